#!/bin/bash
# Merges the labelled captures into large ones to measure speed with, and prints
# their folder (default: $XDG_CACHE_HOME/ampulla-bench):
#
#   mix.pcap      every Ethernet capture of at least 1,000 packets whose clock was
#                 set, each content once, in order of time: 1.2 million packets
#   tenth.pcap    the first 100,000 of them
#   ten.pcapng    8 times the mix, one after the other: 10 million packets, 1.6 GB
#   hosts.pcapng  the same with other addresses each time: 8 times the hosts and
#                 flows
#   tiny.pcap     the first ten
#
# usage: testdata/mix.sh [FOLDER]
#
# Does nothing where they are there. AMPULLA_DATA names the labelled captures;
# editcap, mergecap and capinfos come with tshark (Debian: wireshark-common); Go
# builds what changes the addresses.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/ampulla-bench}
data=${AMPULLA_DATA:-$("$here/../../shared/data/unpack")}
mkdir -p "$out"
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# captures lists what goes into the mix.
captures() {
  { find "$data" -type f \( -name '*cap' -o -name '*capng' \) -size +40k -print0 | sort -z |
    xargs -0 capinfos -T -M -r -c -E -a -S 2>/dev/null || true; } | # broken ones are left out
    awk -F'\t' '$2 == "ether" && $3 >= 1000 && $4 > 946684800 { print $1 }' | # 2000-01-01
    xargs -d '\n' sha256sum | sort | awk '!seen[$1]++ { sub(/^[0-9a-f]+  /, ""); print }'
}

if [[ ! -e $out/mix.pcap ]]; then
  captures >"$work/list"
  xargs -a "$work/list" -d '\n' mergecap -F pcap -w "$work/mix.pcap"
  mv "$work/mix.pcap" "$out/mix.pcap"
fi
[[ -e $out/tenth.pcap ]] || { editcap -r "$out/mix.pcap" "$work/tenth.pcap" 1-100000; mv "$work/tenth.pcap" "$out/tenth.pcap"; }
[[ -e $out/tiny.pcap ]] || { editcap -r "$out/mix.pcap" "$work/tiny.pcap" 1-10; mv "$work/tiny.pcap" "$out/tiny.pcap"; }

# eightfold OUT COMMAND...: writes one capture of the mix eight times, one hour
# apart, each time as the command writes it into a file: COMMAND K FILE, K from 0.
eightfold() {
  local to=$1 span k
  shift
  span=$(capinfos -T -M -r -u "$out/mix.pcap" | awk -F'\t' '{ printf "%d", $2 + 3600 }')
  for k in 0 1 2 3 4 5 6 7; do
    "$@" "$k" "$work/next.pcap"
    editcap -F pcapng -t $((k * span)) "$work/next.pcap" "$work/$k.pcapng"
    rm "$work/next.pcap"
  done
  mergecap -a -w "$work/all.pcapng" "$work"/[0-7].pcapng
  rm "$work"/[0-7].pcapng
  mv "$work/all.pcapng" "$to"
}
same() { ln "$out/mix.pcap" "$2"; }
readdressed() { "$work/readdress" "$1" <"$out/mix.pcap" >"$2"; }
[[ -e $out/ten.pcapng ]] || eightfold "$out/ten.pcapng" same
if [[ ! -e $out/hosts.pcapng ]]; then
  (cd "$here" && go build -o "$work/readdress" readdress.go)
  eightfold "$out/hosts.pcapng" readdressed
fi
printf '%s\n' "$out"
