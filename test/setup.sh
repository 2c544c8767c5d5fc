#!/usr/bin/env bash
# Makes a Debian machine with Node and npm ready for the tests, the demo and the benchmarks:
# npm and Debian packages, kernel file systems, native builds. Says what it does; doing it again
# costs nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec < /dev/null

packages=(
  clang llvm make gcc libc6-dev linux-libc-dev
  libbpf-dev libelf-dev zlib1g-dev bpftool
  iproute2 iptables nftables conntrack ethtool
  iputils-ping tcpdump curl openssl ca-certificates python3-scapy
)

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

require_machine() {
  [ "$(uname -s)" = Linux ] || fail 'only Linux has what kube-shunt needs'
  [ "$(id -u)" = 0 ] || fail 'network namespaces, BPF and packages need root: run this as root'
  command -v node > /dev/null && command -v npm > /dev/null ||
    fail 'Node.js and npm are needed (any Node from 20; the project brings its own 24)'
}

# Two commands started together must not both install.
take_turns() {
  command -v flock > /dev/null || return 0
  exec 9> /run/kube-shunt-setup.lock
  flock -n 9 || { say 'waiting for another setup to finish'; flock 9; }
}

missing_packages() {
  local name
  declare -A present=()
  while read -r status name; do
    [ "$status" = ii ] && present[$name]=1
  done < <(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "${packages[@]}" 2> /dev/null)
  for name in "${packages[@]}"; do
    [ -n "${present[$name]:-}" ] || echo "$name"
  done
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

# The lock on the package lists knows no waiting of its own.
update_lists() {
  local attempt
  for attempt in 1 2 3 4 5 6; do
    apt_get update && return 0
    [ "$attempt" = 6 ] || { say "apt-get update failed; once more in 10 s"; sleep 10; }
  done
  return 1
}

install_packages() {
  local missing
  if ! command -v dpkg-query > /dev/null; then
    for tool in clang make cc bpftool ip nft iptables ethtool curl; do
      command -v "$tool" > /dev/null ||
        fail "$tool is missing, and without Debian's dpkg it has to be installed by hand"
    done
    return
  fi
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing Debian packages: ${missing[*]}"
  update_lists || say 'package lists could not be updated; trying with those at hand'
  apt_get install --no-install-recommends "${missing[@]}" ||
    fail "these Debian packages could not be installed: ${missing[*]}"
}

lock_hash() { sha256sum package-lock.json | cut -d ' ' -f 1; }

modules_are_current() {
  local stamp=node_modules/.kube-shunt-lock
  [ -f node_modules/.package-lock.json ] && [ -x node_modules/.bin/node ] || return 1
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(lock_hash)" ] && return 0
  # an install by hand leaves no stamp, but a hidden lock file newer than ours
  [ ! package-lock.json -nt node_modules/.package-lock.json ]
}

# `npm ci` insists that the lock file names optional packages of every platform; a registry that
# does not carry all of them cannot have written such a lock file. The versions are the lock's
# either way.
npm_install() {
  local log
  [ ! -L node_modules ] || fail 'node_modules is a link: installing would empty what it points to'
  log=$(npm ci --no-fund --no-audit 2>&1) && return 0
  say 'npm ci refused; installing what the lock file names with npm install'
  npm install --no-save --no-fund --no-audit && return 0
  echo "$log" >&2
  fail 'npm packages could not be installed; see the messages above'
}

install_modules() {
  if ! modules_are_current; then
    say 'installing npm packages'
    npm_install
    # newer npm versions run no install scripts; this one fetches Node 24
    [ -x node_modules/node/bin/node ] ||
      (cd node_modules/node && node installArchSpecificPackage.js)
    [ -x node_modules/.bin/node ] || fail 'npm package `node` brought no Node binary'
    lock_hash > node_modules/.kube-shunt-lock
  fi
  # npm links the commands of dependencies, not our own
  if [ "$(readlink node_modules/.bin/kube-shunt || true)" != ../../src/launcher.js ]; then
    say 'linking kube-shunt, so that npx finds it'
    ln -sfn ../../src/launcher.js node_modules/.bin/kube-shunt
  fi
}

is_mounted() { grep -q " $1 " /proc/mounts; }

mount_file_systems() {
  if ! is_mounted '/sys/fs/bpf bpf'; then
    say 'mounting bpffs at /sys/fs/bpf'
    mount -t bpf bpf /sys/fs/bpf || fail 'bpffs cannot be mounted at /sys/fs/bpf'
  fi
  if ! grep -q '^[^ ]* [^ ]* cgroup2 ' /proc/mounts; then
    say 'mounting cgroup v2 at /run/kube-shunt-cgroup'
    mkdir -p /run/kube-shunt-cgroup
    mount -t cgroup2 none /run/kube-shunt-cgroup || fail 'this kernel lacks cgroup v2'
  fi
}

build() {
  local folder=$1 log
  if [ ! -f "$folder/Makefile" ]; then
    say "nothing to build in $folder yet"
    return
  fi
  make -q -C "$folder" > /dev/null 2>&1 && return
  say "building $folder"
  log=$(make --no-print-directory -j2 -C "$folder" 2>&1) || {
    echo "$log" >&2
    fail "building $folder failed"
  }
}

require_machine
take_turns
install_packages
install_modules
mount_file_systems
build bpf
build bpf/loader
build test/traffic
say "ready (${SECONDS} s)"
