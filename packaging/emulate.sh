#!/usr/bin/env bash
# Runs the arm64 archive of dist/ in an emulator, and wants of it what the amd64 one
# says of the same capture: every verdict, and the annotated file byte for byte.
# Needs qemu-user-static and libstdc++6-arm64-cross.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
for arch in amd64 arm64; do
  archives=(dist/ampulla-*-linux-"$arch".tar.gz)
  mkdir "$work/$arch"
  tar -xzf "${archives[-1]}" -C "$work/$arch" --strip-components=1
  emulator=()
  if [[ $arch == arm64 ]]; then emulator=(qemu-aarch64-static -L /usr/aarch64-linux-gnu); fi
  "${emulator[@]}" "$work/$arch/bin/ampulla" --version
  "${emulator[@]}" "$work/$arch/bin/ampulla" annotate --verdicts "$work/$arch.jsonl" \
    testdata/captures/demo.pcapng "$work/$arch.pcapng"
done
cmp "$work/amd64.jsonl" "$work/arm64.jsonl"
cmp "$work/amd64.pcapng" "$work/arm64.pcapng"
echo "arm64 says the same as amd64 of $(wc -l <"$work/arm64.jsonl") packets"
