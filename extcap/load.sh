#!/bin/bash
# Measures what AI capture loses under load, beside a plain dumpcap: floods of
# UDP datagrams of one flow, and of TCP SYNs from random ports, between two
# network namespaces. Needs root, trafgen (Debian: netsniff-ng), tshark and what
# make build makes.
#
#   extcap/load.sh [SECONDS [RATE...]]   5 s each at 10, 25, 50, 75 and 100 thousand a second
#
# The machine should have nothing else to do. A line of the table is: kind of
# flood, packets a second that were offered, and the share of them that is
# missing in the capture of a plain dumpcap and in that of AI capture, which
# share of the latter has no verdict, and the memory that AI capture took.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-5}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- 10000 25000 50000 75000 100000

dir=$(mktemp -d) a=ampulla-load-a-$$ b=ampulla-load-b-$$
tidy() {
    ip netns pids "$a" | xargs -r kill 2>/dev/null || true
    ip netns del "$a" || true
    ip netns del "$b" || true
    rm -rf "$dir"
}
trap tidy EXIT

mkdir -p "$dir/.config/wireshark/extcap" "$dir/.local/lib/wireshark/extcap" "$dir/run"
chmod 700 "$dir/run"
for folder in .config .local/lib; do
    cp bin/ampulla-extcap "$dir/$folder/wireshark/extcap/"
done
export AMPULLA=$PWD/bin/ampulla XDG_RUNTIME_DIR=$dir/run

ip netns add "$a"
ip netns add "$b"
ip link add veth0 netns "$a" type veth peer name veth0 netns "$b"
for host in "$a 10.77.0.1" "$b 10.77.0.2"; do
    read -r name address <<<"$host"
    ip netns exec "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
    ip -n "$name" addr add "$address/24" dev veth0
    ip -n "$name" link set veth0 up
done
mac_a=$(ip netns exec "$a" cat /sys/class/net/veth0/address)
mac_b=$(ip netns exec "$b" cat /sys/class/net/veth0/address)
ethernet="eth(da=$mac_a, sa=$mac_b), ipv4(saddr=10.77.0.2, daddr=10.77.0.1)"
echo "{ $ethernet, udp(sport=5000, dport=9), fill('x', 58) }" >"$dir/udp"
echo "{ $ethernet, tcp(sport=drnd(), dport=80, syn, win=64240) }" >"$dir/tcp"
# What host a would answer takes time that a sniffer does not have to share.
ip -n "$a" addr del 10.77.0.1/24 dev veth0

# sent prints how many packets host b has sent.
sent() { ip netns exec "$b" cat /sys/class/net/veth0/statistics/tx_packets; }

# flood KIND RATE sends for so many seconds, and prints how many it sent.
flood() {
    local before
    before=$(sent)
    ip netns exec "$b" trafgen -i "$dir/$1" -o veth0 -P 1 -b "${2}pps" -n $(($2 * seconds)) -q >/dev/null 2>&1
    echo $(($(sent) - before))
}

# count FILE prints how many packets a capture holds.
count() { capinfos -M -c "$1" 2>/dev/null | awk '/Number of packets:/ { print $NF }'; }

# settle FILE waits until a capture no longer grows.
settle() {
    local size=-1
    while [ "$size" != "$(stat -c %s "$1")" ]; do
        size=$(stat -c %s "$1")
        sleep 1.5
    done
}

# percent PART WHOLE
percent() { awk -v part="$1" -v whole="$2" 'BEGIN { printf "%.2f %%", (whole > 0 ? 100 * part / whole : 0) }'; }

printf '%-5s %9s %9s | %-13s | %-13s %-15s %s\n' flood offered/s sent/s 'dumpcap lost' 'AI lost' 'without verdict' memory
for kind in udp tcp; do
    for rate; do
        file=$dir/plain.pcapng
        ip netns exec "$a" dumpcap -q -B 16 -i veth0 -w "$file" 2>/dev/null &
        capture=$!
        sleep 1
        plain_sent=$(flood "$kind" "$rate")
        settle "$file"
        kill -INT "$capture"
        wait "$capture" || true
        plain=$(count "$file")
        rm -f "$file"

        file=$dir/ai.pcapng
        HOME=$dir ip netns exec "$a" tshark -q -i ai -o extcap.ai.interface:veth0 -o extcap.ai.comments:all -w "$file" 2>"$dir/said" &
        capture=$!
        until [ -s "$file" ]; do sleep 0.1; done
        sleep 1
        ai_sent=$(flood "$kind" "$rate")
        settle "$file"
        memory=$(awk '/VmHWM/ { printf "%d MB", $2 / 1024 }' "/proc/$(pgrep -x ampulla-extcap --ns "$capture" --nslist net)/status")
        kill -INT "$capture"
        wait "$capture" || true
        ai=$(count "$file")
        judged=$(grep -ac '^ai/1 class=' "$file" || true)
        rm -f "$file"
        printf '%-5s %9d %9d | %-13s | %-13s %-15s %s\n' "$kind" "$rate" $((ai_sent / seconds)) \
            "$(percent $((plain_sent - plain)) "$plain_sent")" "$(percent $((ai_sent - ai)) "$ai_sent")" \
            "$(percent $((ai - judged)) "$ai")" "$memory"
    done
done
