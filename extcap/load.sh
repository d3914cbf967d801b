#!/bin/bash
# Measures what AI capture loses under load, beside a plain dumpcap: floods of
# UDP datagrams of one flow, and of TCP SYNs from random ports, between two
# network namespaces. Needs root, trafgen (Debian: netsniff-ng), tcpreplay, tshark
# and what make build makes.
#
#   extcap/load.sh [SECONDS [RATE...]]   5 s each at 10, 25, 50, 75 and 100 thousand a second
#
# The machine should have nothing else to do. A line of the table is: kind of
# flood, packets a second that were offered, those that came of it, and the share
# of them that is missing in the capture of a plain dumpcap and in that of AI
# capture, which share of the latter has no verdict, and the memory that AI
# capture took.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-5}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- 10000 25000 50000 75000 100000

# shellcheck source-path=SCRIPTDIR source=lab.sh
. extcap/lab.sh

# percent PART WHOLE
percent() { awk -v part="$1" -v whole="$2" 'BEGIN { printf "%.2f %%", (whole > 0 ? 100 * part / whole : 0) }'; }

printf '%-5s %9s %9s | %-13s | %-13s %-15s %s\n' flood offered/s sent/s 'dumpcap lost' 'AI lost' 'without verdict' memory
for kind in udp tcp; do
    for rate; do
        file=$dir/plain.pcapng
        ip netns exec "$a" dumpcap -q -B 16 -i veth0 -w "$file" 2>/dev/null &
        capture=$!
        sleep 1
        read -r plain_sent _ <<<"$(flood "$kind" "$rate" "$seconds")"
        settle "$file"
        kill -INT "$capture"
        wait "$capture" || true
        plain=$(count "$file")
        rm -f "$file"

        file=$dir/ai.pcapng
        ai "$file" -o extcap.ai.comments:all
        read -r ai_sent came <<<"$(flood "$kind" "$rate" "$seconds")"
        settle "$file"
        memory=$(awk '/VmHWM/ { printf "%d MB", $2 / 1024 }' "/proc/$(program)/status")
        kill -INT "$capture"
        wait "$capture" || true
        ai=$(count "$file")
        judged=$(grep -ac '^ai/1 class=' "$file" || true)
        rm -f "$file"
        printf '%-5s %9d %9d | %-13s | %-13s %-15s %s\n' "$kind" "$rate" "$came" \
            "$(percent $((plain_sent - plain)) "$plain_sent")" "$(percent $((ai_sent - ai)) "$ai_sent")" \
            "$(percent $((ai - judged)) "$ai")" "$memory"
    done
done
