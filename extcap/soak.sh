#!/bin/bash
# Lets AI capture run for long, at a steady rate, and watches the memory of the
# capture program and of the annotator. At the end all frames have to be there,
# and neither may have grown since its first quarter by more than a tenth. Needs
# what load.sh needs.
#
#   extcap/soak.sh [MINUTES [RATE]]   an hour at 5000 packets a second
set -eu
cd "$(dirname "$0")/.."
minutes=${1:-60} rate=${2:-5000}

# shellcheck source-path=SCRIPTDIR source=lab.sh
. extcap/lab.sh

# rss PID prints the memory of a process, and how many threads it has.
rss() { awk '/VmRSS|Threads/ { print $2 }' "/proc/$1/status" | paste -sd' '; }

file=$dir/ai.pcapng
ai "$file" -o extcap.ai.comments:none -o extcap.ai.snaplen:64
annotator=$(pgrep -f "^$AMPULLA serve --socket $XDG_RUNTIME_DIR/")
declare -i total=0 first_program=0 first_annotator=0
for ((minute = 1; minute <= minutes; minute++)); do
    kind=udp
    ((minute % 2)) || kind=tcp
    total+=$(flood "$kind" "$rate" 60)
    read -r program_kb threads <<<"$(rss "$(program)")"
    read -r annotator_kb _ <<<"$(rss "$annotator")"
    echo "minute $minute: $total sent; capture program $((program_kb / 1024)) MB in $threads threads, annotator $((annotator_kb / 1024)) MB"
    if ((minute <= (minutes + 3) / 4)); then
        first_program=$((program_kb > first_program ? program_kb : first_program))
        first_annotator=$((annotator_kb > first_annotator ? annotator_kb : first_annotator))
    fi
done
settle "$file"
kill -INT "$capture"
wait "$capture" || true
captured=$(count "$file")
echo "sent $total, captured $captured"
((captured >= total)) || { echo "soak.sh: error: $((total - captured)) frames are missing" >&2; exit 1; }
((program_kb * 10 <= first_program * 11)) || { echo "soak.sh: error: the capture program has grown" >&2; exit 1; }
((annotator_kb * 10 <= first_annotator * 11)) || { echo "soak.sh: error: the annotator has grown" >&2; exit 1; }
