#!/bin/bash
# Lets AI capture run for long, at a steady rate, and watches the capture program
# and the annotator. At the end all frames have to be there, but for those that
# dumpcap itself counts as dropped, and neither may have grown since its first
# quarter: in memory by more than a tenth, in goroutines not at all. Needs what
# load.sh needs.
#
#   extcap/soak.sh [MINUTES [RATE]]   an hour at 5000 packets a second
set -eu
cd "$(dirname "$0")/.."
minutes=${1:-60} rate=${2:-5000}

# shellcheck source-path=SCRIPTDIR source=lab.sh
. extcap/lab.sh

# Go's runtime tells its goroutines on stderr. That of the capture program would
# go to tshark; the annotator's is a file already.
mv "$dir/.config/wireshark/extcap/ampulla-extcap" "$dir/"
for folder in .config .local/lib; do
    wrapper=$dir/$folder/wireshark/extcap/ampulla-extcap
    printf '#!/bin/sh\nexec "%s" "$@" 2>"%s.$$"\n' "$dir/ampulla-extcap" "$dir/trace" >"$wrapper.new"
    chmod +x "$wrapper.new"
    mv "$wrapper.new" "$wrapper"
done
export GODEBUG=schedtrace=10000,scheddetail=1

# memory PID prints the memory of a process in MB.
memory() { awk '/VmRSS/ { printf "%d", $2 / 1024 }' "/proc/$1/status"; }

# goroutines PID prints how many a process had when it last told them.
goroutines() {
    awk '/^SCHED/ { last = n; n = 0 } /^  G[0-9]+: status=[^6]/ { n++ } END { print last }' "/proc/$1/fd/2"
}

file=$dir/ai.pcapng
ai "$file" -o extcap.ai.comments:none -o extcap.ai.snaplen:64
program=$(program) annotator=$(pgrep -f "^$AMPULLA serve --socket $XDG_RUNTIME_DIR/")
declare -i total=0
declare -A first=() now=()
for ((minute = 1; minute <= minutes; minute++)); do
    kind=udp
    ((minute % 2)) || kind=tcp
    read -r n _ <<<"$(flood "$kind" "$rate" 60)"
    total=$((total + n))
    for name in program annotator; do
        now[$name MB]=$(memory "${!name}")
        now[$name goroutines]=$(goroutines "${!name}")
    done
    echo "minute $minute: $total sent; capture program ${now[program MB]} MB and ${now[program goroutines]} goroutines," \
        "annotator ${now[annotator MB]} MB and ${now[annotator goroutines]} goroutines"
    ((minute * 4 > minutes + 3)) || for key in "${!now[@]}"; do
        ((now[$key] <= ${first[$key]:-0})) || first[$key]=${now[$key]}
    done
done
settle "$file"
kill -TERM "$program" # it ends as dumpcap does, with all statistics
wait "$capture" || true
captured=$(count "$file")
statistics=$(grep -ao '^ai/1 statistics=capture [a-z0-9= ]*' "$file" | tail -1)
dropped=$(sed -n 's/.* dropped=\([0-9]*\).*/\1/p' <<<"$statistics")
echo "sent $total, captured $captured: ${statistics#* statistics=capture }"
fail() { echo "soak.sh: error: $1" >&2; exit 1; }
((captured + ${dropped:-0} >= total)) || fail "$((total - captured)) frames are missing"
for key in "${!now[@]}"; do
    ((now[$key] * 10 <= first[$key] * 11)) || fail "${key% *} has grown: from ${first[$key]} to ${now[$key]} ${key#* }"
done
