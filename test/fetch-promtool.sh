#!/usr/bin/env bash
# Puts promtool into build/, alone: its Debian package would install a server as well and start it.
# Without promtool the test that asks it is skipped, so whatever fails here is only said.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec < /dev/null

[ ! -x build/promtool ] || exit 0
if ! command -v apt-get > /dev/null || ! command -v dpkg-deb > /dev/null; then
  echo 'promtool: not fetched, as this is no Debian'
  exit 0
fi

mkdir -p build
folder=$(mktemp -d -p "$PWD/build")
trap 'rm -rf "$folder"' EXIT
download() { (cd "$folder" && apt-get -q -y -o APT::Sandbox::User=root download prometheus); }

echo 'promtool: fetching it (19 MB)'
{ download || { apt-get -q -y update && download; }; } > "$folder/log" 2>&1 || {
  tail -n 3 "$folder/log"
  echo 'promtool: could not be fetched'
  exit 0
}
dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb |
  tar -x -O ./usr/bin/promtool > "$folder/promtool"
chmod 755 "$folder/promtool"
mv "$folder/promtool" build/promtool
