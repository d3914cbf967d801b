#!/usr/bin/env bash
# Makes the captures of this folder: real servers and clients talk in two
# network namespaces; each capture holds one protocol, and is named after its
# class and the programs that spoke it. See README.md.
#
# usage: testdata/protocols/make.sh [NAME...]     (as root; all: 10 minutes)
#
# PYTHON names a Python that has what requirements.txt lists. Everything runs in
# namespaces of this script, so nothing outlives it and nothing leaves them.
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHON=${PYTHON:-python3}
SERVER=10.99.0.2
CLIENT=10.99.0.1

die() {
  echo "make.sh: error: $*" >&2
  exit 1
}

# Two namespaces, joined by a wire; all mounts are private.
prepare() {
  mount -t tmpfs none /run
  mkdir -p /run/netns /run/lock /run/sshd /run/frr /var/run/ganesha 2>/dev/null
  for dir in /etc /var; do # what programs write there vanishes with the namespace
    mkdir -p "$WORK/up$dir" "$WORK/work$dir"
    mount -t overlay overlay -o "lowerdir=$dir,upperdir=$WORK/up$dir,workdir=$WORK/work$dir" "$dir"
  done
  ip netns add s
  ip netns add c
  ip link add v0 netns c type veth peer name v1 netns s
  local ns dev
  for ns in c:v0:$CLIENT s:v1:$SERVER; do
    IFS=: read -r ns dev addr <<<"$ns"
    ip -n "$ns" link set lo up
    ip -n "$ns" addr add "$addr/24" dev "$dev"
    ip -n "$ns" addr add "fd99::${addr##*.}/64" dev "$dev" nodad
    ip -n "$ns" link set "$dev" up
    ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=0
  done
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=s.example.org \
    -keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2>/dev/null
  chmod 755 "$WORK"
  chmod 644 "$WORK/key.pem"
  cd "$WORK" || exit
}

# lab NAME FILTER: begins the capture NAME of what FILTER lets through.
lab() {
  NAME=$1
  SERVERS=()
  ip netns exec c dumpcap -q -i v0 -s 700 -c 900 -f "$2" -w "$WORK/$NAME.pcapng" 2>"$WORK/$NAME.dumpcap" &
  DUMPCAP=$!
  sleep 0.7
}

# serve COMMAND...: a server, until the end of the lab.
serve() {
  ip netns exec s setsid "$@" >>"$WORK/$NAME.log" 2>&1 &
  SERVERS+=($!)
  sleep "${SETTLE:-1}"
}

# call COMMAND...: a client, for at most 12 seconds.
call() {
  ip netns exec c timeout -k 1 "${LIMIT:-12}" "$@" >>"$WORK/$NAME.log" 2>&1 </dev/null
}

# talk PORT TEXT: a client of lines, with netcat; \r\n and pauses by the caller.
talk() {
  { while read -r line; do printf '%b' "$line"; sleep 0.2; done <<<"$2"; sleep 0.5; } |
    ip netns exec c timeout 8 nc -q 1 "$SERVER" "$1" >>"$WORK/$NAME.log" 2>&1
}

# client FILE ARGUMENTS...: a client in Python.
client() {
  local file=$1
  shift
  call "$PYTHON" "$HERE/clients/$file" "$@"
}

# over ends the lab and keeps its capture.
over() {
  sleep 0.5
  local pid
  for pid in "${SERVERS[@]}"; do kill -TERM -- "-$pid" 2>/dev/null; done
  kill -INT "$DUMPCAP" 2>/dev/null
  wait "$DUMPCAP" 2>/dev/null
  sleep 0.3
  for pid in "${SERVERS[@]}"; do kill -KILL -- "-$pid" 2>/dev/null; done
  local packets
  packets=$(capinfos -TrMc "$WORK/$NAME.pcapng" 2>/dev/null | tail -1 | cut -f2)
  if [[ ${packets:-0} -lt 1 ]]; then
    echo "$NAME: NOTHING CAPTURED"; tail -3 "$WORK/$NAME.log" | sed 's/^/    /'
    return
  fi
  editcap -F pcap "$WORK/$NAME.pcapng" "$WORK/$NAME.pcap" 2>/dev/null && gzip -n9 <"$WORK/$NAME.pcap" >"$HERE/captures/$NAME.pcap.gz"
  echo "$NAME: $packets packets"
}

inside() {
  prepare
  local family name
  for family in "$HERE"/families/*.sh; do
    # shellcheck source=/dev/null
    . "$family"
  done
  if (($# == 0)); then
    mapfile -t names < <(declare -F | sed -n 's/^declare -f lab_//p')
  else
    names=("$@")
  fi
  for name in "${names[@]}"; do "lab_$name"; done
}

main() {
  if [[ ${1:-} == --inside ]]; then
    shift
    inside "$@"
    return
  fi
  ((EUID == 0)) || die "namespaces need root"
  WORK=$(mktemp -d /tmp/ampulla-protocols.XXXXXX)
  mount -t tmpfs none "$WORK" # overlays need it
  export WORK PYTHON
  unshare --mount --pid --net --uts --fork --kill-child --mount-proc timeout -k 5 1800 "${BASH_SOURCE[0]}" --inside "$@"
  umount "$WORK"
  rmdir "$WORK"
}

main "$@"
