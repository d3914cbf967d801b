#!/usr/bin/env bash
# Runs what dist/ has for other machines in an emulator, and wants of it what the
# archive for linux-amd64 says of the same capture: every verdict, the annotated
# file and the original from it, byte for byte.
#
#   packaging/emulate.sh linux-arm64     with qemu-user-static and libstdc++6-arm64-cross
#   packaging/emulate.sh windows-amd64   with wine, 10 or newer: Debian 13 has it
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:?linux-arm64 or windows-amd64}
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# newest PATTERN prints the newest file of dist/ that is called so.
newest() { find dist -maxdepth 1 -name "$1" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-; }

mkdir "$work/amd64" "$work/other"
tar -xzf "$(newest 'ampulla-*-linux-amd64.tar.gz')" -C "$work/amd64" --strip-components=1
case $target in
  linux-arm64)
    tar -xzf "$(newest 'ampulla-*-linux-arm64.tar.gz')" -C "$work/other" --strip-components=1
    other=(qemu-aarch64-static -L /usr/aarch64-linux-gnu "$work/other/bin/ampulla")
    ;;
  windows-amd64)
    unzip -q "$(newest 'ampulla-*-windows-amd64.zip')" -d "$work/other"
    export WINEDEBUG=-all WINEPREFIX=$work/wine
    other=(wine "$work"/other/*/ampulla.exe)
    ;;
  *)
    echo "emulate: error: no such target: $target" >&2
    exit 2
    ;;
esac
cp testdata/captures/demo.pcapng "$work"
cd "$work"
amd64/bin/ampulla --version
"${other[@]}" --version
amd64/bin/ampulla annotate --verdicts want.jsonl demo.pcapng want.pcapng
"${other[@]}" annotate --verdicts got.jsonl demo.pcapng got.pcapng
"${other[@]}" annotate --strip got.pcapng back.pcapng
cmp want.jsonl got.jsonl
cmp want.pcapng got.pcapng
cmp demo.pcapng back.pcapng
echo "$target says the same as linux-amd64 of $(wc -l <got.jsonl) packets"
