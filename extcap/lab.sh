# What load.sh and soak.sh share: two network namespaces, $a and $b, joined by
# their interfaces veth0; a home folder, $dir, with AI capture in it; and
# floods of packets from b to a. It is gone when the script ends.
# shellcheck shell=bash

for tool in ip trafgen tcpreplay tshark dumpcap capinfos; do
    command -v "$tool" >/dev/null || { echo "${0##*/}: error: $tool is missing" >&2; exit 1; }
done
((EUID == 0)) || { echo "${0##*/}: error: only root can make network namespaces" >&2; exit 1; }

dir=$(mktemp -d) a=ampulla-lab-a-$$ b=ampulla-lab-b-$$
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
trafgen -o "$dir/udp.pcap" -n 50000 -q "{ $ethernet, udp(sport=5000, dport=9), fill('x', 58) }" >/dev/null 2>&1
trafgen -o "$dir/tcp.pcap" -n 50000 -q "{ $ethernet, tcp(sport=drnd(), dport=80, syn, win=64240) }" >/dev/null 2>&1
# What host a would answer takes time that a sniffer does not have to share.
ip -n "$a" addr del 10.77.0.1/24 dev veth0

# sent prints how many packets host b has sent.
sent() { ip netns exec "$b" cat /sys/class/net/veth0/statistics/tx_packets; }

# flood KIND RATE SECONDS sends udp or tcp, evenly, and prints how many it sent,
# and how many a second.
flood() {
    local before start=$EPOCHREALTIME
    before=$(sent)
    ip netns exec "$b" tcpreplay -q -K -i veth0 -p "$2" --pps-multi $(($2 / 1000 + 1)) -L $(($2 * $3)) -l 0 "$dir/$1.pcap" >/dev/null 2>&1
    awk -v n=$(($(sent) - before)) -v from="$start" -v to="$EPOCHREALTIME" 'BEGIN { printf "%d %d\n", n, n / (to - from) }'
}

# ai FILE OPTION... starts an AI capture on host a, and returns when it captures;
# $capture is its process.
ai() {
    local file=$1
    shift
    HOME=$dir ip netns exec "$a" tshark -q -i ai -o extcap.ai.interface:veth0 "$@" -w "$file" 2>"$dir/said" &
    capture=$!
    until [ -s "$file" ]; do sleep 0.1; done
    sleep 1
}

# program prints the process of the capture program.
program() { pgrep -x ampulla-extcap --ns "$capture" --nslist net; }

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
