#!/bin/bash
# Measures ampulla report on the captures of testdata/mix.sh, of 100,000 and of
# 1.2 million packets, and prints a table: how long it takes, and the most memory
# that it and the tshark that works for it had.
#
# usage: annotator/report/bench.sh [CAPTURE...]     those two if not said
#
# AMPULLA names the program (default: bin/ampulla).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
ampulla=${AMPULLA:-$root/bin/ampulla}
if (($# == 0)); then
  mix=$("$root/testdata/mix.sh")
  set -- "$mix/tenth.pcap" "$mix/mix.pcap"
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# peak PID prints the most memory that a process had, in kB; nothing once it has ended.
peak() { awk '$1 == "VmHWM:" { print $2 }' "/proc/$1/status" 2>/dev/null || true; }

# measure CAPTURE prints a line of the table.
measure() {
  local begin=$EPOCHREALTIME pid now ours=0 theirs=0
  "$ampulla" report "$1" -o "$out/report.json" &
  pid=$!
  while now=$(peak "$pid") && [[ $now ]]; do
    ours=$now
    now=$(peak "$(cat "/proc/$pid/task/"*/children 2>/dev/null | tr -d ' \n')")
    theirs=${now:-$theirs}
    sleep 0.1
  done
  wait "$pid"
  awk -v begin="$begin" -v end="$EPOCHREALTIME" -v ours="$ours" -v theirs="$theirs" \
    -v frames="$(jq .capture.frames "$out/report.json")" \
    'BEGIN { printf "| %d | %.0f | %.0f | %.0f |\n", frames, end - begin, ours / 1024, theirs / 1024 }'
}

echo "$(nproc) processors, load average $(cut -d' ' -f1-3 /proc/loadavg), $("$ampulla" --version)"
echo
echo '| packets | wall, s | peak of ampulla report, MB | peak of its tshark, MB |'
echo '|---|---|---|---|'
for capture; do measure "$capture"; done
