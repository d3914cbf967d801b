#!/bin/bash
# Measures ampulla annotate as a whole, beside ndpiReader, editcap and tshark on
# the same captures in turn, and prints a table: medians of the rounds, and their
# ratios within this run.
#
# usage: annotator/bench.sh [ROUNDS]     5 if not said
#
# AMPULLA names the program (default: bin/ampulla). The captures are those of
# testdata/mix.sh (9.7M has the same flows eight times, 9.7M-hosts other ones each
# time) and, once each, the labelled ones (AMPULLA_DATA) of 2 MB or more; what is
# not installed is left out, and named. Times are wall clock; "processor" is the
# time of all processors together, which is what remains comparable on a machine
# that has other work.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
rounds=${1:-5}
ampulla=${AMPULLA:-$root/bin/ampulla}
mix=$("$root/testdata/mix.sh")
data=${AMPULLA_DATA:-$("$root/../shared/data/unpack")}
for tool in ndpiReader:libndpi-bin editcap:wireshark-common tshark:tshark; do
  [[ -n $(command -v "${tool%%:*}") ]] ||
    echo "bench: ${tool%%:*} is not installed and left out; as root, run: apt-get install ${tool#*:}" >&2
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# measure NAME CAPTURE COMMAND...: adds a line of wall s, processor s, peak kB.
measure() {
  local name=$1 capture=$2
  shift 2
  rm -f "$work/out.pcapng" "$work/copy" # or else taking their place counts
  /usr/bin/time -o "$work/time" -f '%e %U %S %M' "$@" >/dev/null 2>&1
  awk -v name="$name" -v capture="$capture" '{ print name, capture, $1, $2 + $3, $4 }' "$work/time" >>"$work/all"
}

each() { # CAPTURE FILE: every program once
  local capture=$1 file=$2
  measure ampulla "$capture" "$ampulla" annotate --comments flagged "$file" "$work/out.pcapng"
  [[ -z $(command -v ndpiReader) ]] || measure ndpiReader "$capture" ndpiReader -q -i "$file"
  [[ -z $(command -v editcap) ]] || measure editcap "$capture" editcap "$file" "$work/copy"
}

for ((i = 0; i < rounds; i++)); do
  each 0.1M "$mix/tenth.pcap"
  each 1.2M "$mix/mix.pcap"
  each 9.7M "$mix/ten.pcapng"
  each 9.7M-hosts "$mix/hosts.pcapng"
  GOMAXPROCS=1 measure 'ampulla, one processor' 1.2M "$ampulla" annotate --comments flagged "$mix/mix.pcap" "$work/out.pcapng"
  measure 'ampulla --hindsight' 1.2M "$ampulla" annotate --hindsight --comments flagged "$mix/mix.pcap" "$work/out.pcapng"
  measure 'ampulla baseline learn' 1.2M "$ampulla" baseline learn "$mix/mix.pcap" -o "$work/mix.baseline"
  measure ampulla start "$ampulla" annotate "$mix/tiny.pcap" "$work/out.pcapng"
  [[ ! -x $root/bin/ampulla-extcap ]] || measure ampulla-extcap start "$root/bin/ampulla-extcap" --extcap-interfaces
done
while read -r file; do
  name=$(basename "$file")
  each "${name// /_}" "$file"
done < <(find "$data" -type f \( -name '*cap' -o -name '*capng' \) -size +2M | sort)
measure 'ampulla --hindsight' 9.7M "$ampulla" annotate --hindsight --comments flagged "$mix/ten.pcapng" "$work/out.pcapng"
[[ -z $(command -v tshark) ]] || measure tshark 0.1M tshark -n -r "$mix/tenth.pcap" -T fields -e frame.number -e ip.src

echo "$(nproc) processors, load average $(cut -d' ' -f1-3 /proc/loadavg), $rounds rounds, $("$ampulla" --version)"
echo
echo '| packets | program | wall, s | processor, s | peak, MB | wall of ampulla | peak of ampulla |'
echo '|---|---|---|---|---|---|---|'
sort -k2,2 "$work/all" | awk '
  { name = $1; for (i = 2; i <= NF - 4; i++) name = name " " $i; key = name SUBSEP $(NF - 3)
    if (!(key in n)) order[++keys] = key
    n[key]++; wall[key, n[key]] = $(NF - 2); cpu[key, n[key]] = $(NF - 1); peak[key, n[key]] = $NF / 1024 }
  function median(list, key,   i, j, x, v, k) {
    k = n[key]; for (i = 1; i <= k; i++) v[i] = list[key, i]
    for (i = 1; i <= k; i++) for (j = i + 1; j <= k; j++) if (v[j] < v[i]) { x = v[i]; v[i] = v[j]; v[j] = x }
    return v[int((k + 1) / 2)] }
  END { for (i = 1; i <= keys; i++) { key = order[i]; split(key, part, SUBSEP); ours = "ampulla" SUBSEP part[2]
    took = median(wall, key); ratio = took < .01 ? "" : sprintf("%.2f", median(wall, ours) / took) # too short to tell
    printf "| %s | %s | %.2f | %.2f | %.0f | %s | %.2f |\n", part[2], part[1], took, median(cpu, key), median(peak, key),
      ratio, median(peak, ours) / median(peak, key) } }'
