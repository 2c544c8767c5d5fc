#!/usr/bin/env bash
# Assembles the image's root file system in a directory, with Debian's packages and our own build,
# and without a container engine: the Dockerfile runs this very script in its build stage.
# Needs a Debian machine of the wanted architecture with deploy/image/build-packages, package lists
# (apt-get update) and npm's packages (npm ci).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "rootfs: $*" >&2; exit 1; }

[ $# = 1 ] || fail 'usage: deploy/rootfs.sh DIRECTORY'
[ ! -e "$1" ] || [ -z "$(ls -A "$1")" ] || fail "$1 is not empty"
mkdir -p "$1"
root=$(cd "$1" && pwd)
node=node_modules/node/bin/node
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# All times in the image are those of the last change, so that the same source gives the same files.
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2> /dev/null || echo 0)}"

build() {
  local log
  log=$(make --no-print-directory -C bpf 2>&1 && make --no-print-directory -C bpf/loader 2>&1) ||
    fail "build failed: $log"
  # npm of today runs no install scripts; this one fetches the runtime
  [ -x "$node" ] || (cd node_modules/node && node installArchSpecificPackage.js)
  [ -x "$node" ] || fail 'npm package `node` brought no Node binary'
}

# Debian's directories of today: /bin and its like are links into /usr.
lay_out() {
  chmod 755 "$root"
  (
    umask 022
    cd "$root"
    mkdir -p usr/bin usr/sbin usr/lib usr/lib64 dev etc proc run sys tmp var/lib/dpkg/status.d
    for name in bin sbin lib lib64; do ln -s "usr/$name" "$name"; done
    chmod 1777 tmp
    echo 'root:x:0:0:root:/root:/bin/sh' > etc/passwd
    echo 'root:x:0:' > etc/group
  )
}

# Kept in build/debian; apt verifies signatures and skips what is there already.
download_packages() {
  mkdir -p build/debian
  (cd build/debian && apt-get -qq -o APT::Sandbox::User=root download "$@")
}

# Unpacked, not installed: their scripts have nothing to do here. Scanners read status.d.
unpack_packages() {
  local names file name
  mapfile -t names < deploy/image/packages
  download_packages "${names[@]}" ||
    { apt-get -q update > /dev/null && download_packages "${names[@]}"; } ||
    fail 'packages could not be downloaded'
  for file in $(apt-get -qq --print-uris download "${names[@]}" | cut -d ' ' -f 2); do
    name=$(dpkg-deb -f "build/debian/$file" Package)
    dpkg-deb --fsys-tarfile "build/debian/$file" |
      tar -x --keep-directory-symlink --no-same-owner -C "$root"
    dpkg-deb -f "build/debian/$file" > "$root/var/lib/dpkg/status.d/$name"
  done
  [ "$(ls "$root/var/lib/dpkg/status.d" | wc -l)" = "${#names[@]}" ] || fail 'a package is missing'
}

# What nothing in the image reads; the licences (copyright) stay.
prune() {
  find "$root/usr/share/doc" -type f ! -name copyright -delete
  rm -rf "$root"/usr/share/{man,info,locale,lintian,gcc,gdb,base-files,initramfs-tools}
  rm -rf "$root"/usr/lib/*/gconv "$root"/etc/{init.d,default,skel,profile.d,update-motd.d}
  rm -rf "$root"/{boot,home,media,mnt,opt,srv} "$root"/usr/{games,include,src} "$root"/etc/dpkg
  find "$root/var" -mindepth 1 -maxdepth 1 ! -name lib -exec rm -rf {} +
  ln -s ../run "$root/var/run"
}

link_tools() {
  local tool
  for tool in sh cat cp env head ls mkdir ps rm sleep tail tar test; do
    [ -e "$root/usr/bin/$tool" ] || ln -s busybox "$root/usr/bin/$tool"
  done
}

install_agent() {
  local home=$root/usr/lib/kube-shunt
  install -D -m 755 "$node" "$root/usr/bin/node"
  # a package for the build machine's architecture alone
  "$node" deploy/image/bundle.ts "$home" "$work/inputs.json"
  install -D -m 644 -t "$home/build/bpf" build/bpf/*.bpf.o
  install -D -m 644 -t "$home/build/loader" build/loader/kube_shunt_loader.node
  install -D -m 644 -t "$root/usr/share/doc/kube-shunt" LICENSE
  ln -s ../lib/kube-shunt/lib/agent/kube-shunt.mjs "$root/usr/bin/kube-shunt"
  # the command of kubeadm's DaemonSet
  mkdir -p "$root/usr/local/bin"
  ln -s ../../lib/kube-shunt/lib/agent/kube-shunt.mjs "$root/usr/local/bin/kube-proxy"
}

build
lay_out
unpack_packages
prune
link_tools
install_agent
"$node" deploy/image/sbom.ts "$root" "$work/inputs.json" > "$work/sbom.json"
install -D -m 644 "$work/sbom.json" "$root/usr/share/sbom/kube-shunt.cdx.json"
find "$root" -xdev -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
echo "rootfs: $(du -sh "$root" | cut -f 1) in $root"
