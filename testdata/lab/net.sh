# shellcheck shell=bash
# Namespaces, wires and the capture of one laboratory. Sourced by run.sh.
#
#   inside 192.168.40.0/24, 2001:db8:40::/64            outside 198.51.100.0/24
#   c1 .101  c2 .102  atk .66  srv .10 --[switch]-- gw .1 --[switch]-- out .2
#                                            |                          also 203.0.113.10, .53, .77
#                                          span0 -> dumpcap
#
# Wires inside take 120 us one way, the one to out 14 ms, all with jitter.

declare -A MAC=(
  [gw]=02:28:00:00:00:01 [srv]=02:28:00:00:00:10 [c1]=02:28:00:00:01:01
  [c2]=02:28:00:00:01:02 [atk]=02:28:00:00:00:66
)
declare -A IP=(
  [gw]=192.168.40.1 [srv]=192.168.40.10 [c1]=192.168.40.101 [c2]=192.168.40.102
  [atk]=192.168.40.66 [out]=198.51.100.2 [web]=203.0.113.10 [dns]=203.0.113.53 [c2c]=203.0.113.77
)
declare -A IP6=(
  [gw]=2001:db8:40::1 [srv]=2001:db8:40::10 [c1]=2001:db8:40::101 [c2]=2001:db8:40::102
  [atk]=2001:db8:40::66
)

# on HOST COMMAND...: run a command on a host of this laboratory.
on() {
  local host=$1
  shift
  ip netns exec "$host-$LAB" "$@"
}

# lab_up MTU [switch options]: make the namespaces and start the switch.
lab_up() {
  local mtu=$1 host
  shift
  for host in gw srv c1 c2 atk out span; do
    ip netns add "$host-$LAB"
    on "$host" ip link set lo up
  done
  local ports=(inside:gw0:120 inside:srv0:120 inside:c10:120 inside:c20:120 inside:atk0:120
    outside:gw1:1000 outside:out0:14000)
  coproc SWITCH { on span nice -n -10 python3 "$HERE/switch.py" "$@" span0 "${ports[@]}"; }
  local word
  read -r -t 40 word <&"${SWITCH[0]}"
  [[ $word == ready ]] || die "the switch did not start"
  local device
  for device in gw0 gw1 srv0 c10 c20 atk0 out0; do
    ip -n "span-$LAB" link set "$device" mtu "$mtu"
    ip -n "span-$LAB" link set "$device" netns "${device%[01]}-$LAB"
  done
  ip -n "span-$LAB" link set span0 mtu "$((mtu + 4))" arp off
  on span sysctl -qw net.ipv6.conf.span0.disable_ipv6=1
  ip -n "span-$LAB" link set span0 up
  for host in gw srv c1 c2 atk; do
    ip -n "$host-$LAB" link set "${host}0" name eth0 address "${MAC[$host]}"
    ip -n "$host-$LAB" address add "${IP[$host]}/24" dev eth0
    ip -n "$host-$LAB" address add "${IP6[$host]}/64" dev eth0 nodad
    ip -n "$host-$LAB" link set eth0 up
  done
  ip -n "gw-$LAB" address add 198.51.100.1/24 dev gw1
  ip -n "gw-$LAB" address add 2001:db8:ff::1/64 dev gw1 nodad
  ip -n "gw-$LAB" link set gw1 up
  ip -n "out-$LAB" link set out0 name eth0
  ip -n "out-$LAB" address add 198.51.100.2/24 dev eth0
  ip -n "out-$LAB" address add 2001:db8:ff::2/64 dev eth0 nodad
  ip -n "out-$LAB" link set eth0 up
  local name
  for name in web dns c2c; do
    ip -n "out-$LAB" address add "${IP[$name]}/32" dev lo
  done
  ip -n "out-$LAB" route add default via 198.51.100.1
  ip -n "out-$LAB" -6 route add default via 2001:db8:ff::1
  ip -n "gw-$LAB" route add 203.0.113.0/24 via 198.51.100.2
  ip -n "gw-$LAB" route add default via 198.51.100.2
  on gw sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  for host in srv c1 c2 atk; do
    ip -n "$host-$LAB" route add default via "${IP[gw]}"
    ip -n "$host-$LAB" -6 route add default via "${IP6[gw]}"
  done
}

# lab_down: end every process in the namespaces of this laboratory, and them.
lab_down() {
  local host pid
  for host in gw srv c1 c2 atk out span; do
    for pid in $(ip netns pids "$host-$LAB" 2>/dev/null); do
      kill -KILL "$pid" 2>/dev/null
    done
    ip netns delete "$host-$LAB" 2>/dev/null
  done
}

# capture_start FILE SNAPLEN and capture_stop: dumpcap on the mirror port.
capture_start() {
  ip netns exec "span-$LAB" dumpcap -q -i span0 -s "$2" -B 16 -w "$1" & # itself, to be signalled
  DUMPCAP=$!
  local i
  for ((i = 0; i < 200; i++)); do
    [[ -s $1 ]] && break
    sleep 0.1
  done
  sleep 0.5
}

capture_stop() {
  sleep 1
  kill -TERM "$DUMPCAP"
  wait "$DUMPCAP"
}
