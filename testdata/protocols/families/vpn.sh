# shellcheck shell=bash disable=SC2034,SC2154
# Tunnels. Sourced by make.sh.

lab_openvpn() {
  local mode
  openvpn --genkey secret "$WORK/ta.key" >/dev/null
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=ca -keyout ca.key -out ca.pem 2>/dev/null
  local who
  for who in server client; do
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$who" -keyout "$who.key" -out "$who.csr" 2>/dev/null
    openssl x509 -req -in "$who.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -out "$who.pem" 2>/dev/null
  done
  for mode in plain tls-auth tls-crypt tcp tcp-tls-auth auth-sha256; do
    local proto=udp extra=() server=()
    case $mode in
      tcp*) proto=tcp ;;
    esac
    case $mode in
      *tls-auth) extra=(--tls-auth "$WORK/ta.key") ;;
      tls-crypt) extra=(--tls-crypt "$WORK/ta.key") ;;
      auth-sha256) extra=(--tls-auth "$WORK/ta.key" --auth SHA256) ;;
    esac
    lab "openvpn.openvpn-$mode" "port 1194"
    serve openvpn --dev tun --ifconfig 10.8.0.1 10.8.0.2 --tls-server --dh none --ca ca.pem --cert server.pem --key server.key \
      --proto "${proto/tcp/tcp-server}" --port 1194 "${extra[@]}" --keepalive 2 10
    (LIMIT=7 call openvpn --dev tun --ifconfig 10.8.0.2 10.8.0.1 --tls-client --ca ca.pem --cert client.pem --key client.key \
      --proto "${proto/tcp/tcp-client}" --remote "$SERVER" 1194 --nobind "${extra[@]}" --keepalive 2 10) &
    sleep 4
    LIMIT=2 call ping -c 5 -i 0.2 10.8.0.1
    wait $!
    over
  done
}

lab_wireguard() {
  local ns
  lab wg.wireguard-go "udp port 51820"
  wg genkey >a.key; wg genkey >b.key
  SETTLE=1 serve wireguard-go -f wgs
  ip netns exec c setsid wireguard-go -f wgc >/dev/null 2>&1 &
  SERVERS+=($!)
  sleep 1
  ip netns exec s wg set wgs private-key b.key listen-port 51820 peer "$(wg pubkey <a.key)" allowed-ips 10.9.0.1/32
  ip netns exec c wg set wgc private-key a.key peer "$(wg pubkey <b.key)" allowed-ips 10.9.0.2/32 endpoint "$SERVER:51820" persistent-keepalive 2
  ip -n s addr add 10.9.0.2/24 dev wgs; ip -n s link set wgs up
  ip -n c addr add 10.9.0.1/24 dev wgc; ip -n c link set wgc up
  call ping -c 20 -i 0.2 10.9.0.2
  over
  lab wg.wireguard-go-no-answer "udp port 51999"
  ip netns exec c setsid wireguard-go -f wgd >/dev/null 2>&1 &
  SERVERS+=($!)
  sleep 1
  ip netns exec c wg set wgd private-key a.key peer "$(wg pubkey <b.key)" allowed-ips 10.10.0.2/32 endpoint "$SERVER:51999"
  ip -n c addr add 10.10.0.1/24 dev wgd; ip -n c link set wgd up
  LIMIT=7 call ping -c 3 10.10.0.2
  over
}

lab_ipsec() {
  local version
  for version in ikev2 ikev1 ikev2-nat ikev1-aggressive; do
    lab "isakmp.strongswan-$version" "udp port 500 or udp port 4500"
    cat >ipsec.conf <<CONF
conn x
  keyexchange=${version:0:5}
  aggressive=$([[ $version == *aggressive ]] && echo yes || echo no)
  authby=secret
  leftid=a
  rightid=b
  forceencaps=$([[ $version == *nat ]] && echo yes || echo no)
  auto=add
CONF
    strongswan "$version"
    over
  done
}

# strongswan VERSION: two daemons, each in mounts of its own.
strongswan() {
  local side left right
  for side in s:$SERVER:$CLIENT c:$CLIENT:$SERVER; do
    IFS=: read -r side left right <<<"$side"
    mkdir -p "run-$side"
    { cat ipsec.conf; echo "  left=$left"; echo "  right=$right"
      [[ $side == s ]] && printf '  leftid=b\n  rightid=a\n'; } >"ipsec-$side.conf"
    echo ': PSK "correct horse"' >"ipsec-$side.secrets"
    ip netns exec "$side" setsid unshare --mount bash -c "
      mount --bind $WORK/run-$side /run
      cp ipsec-$side.conf /etc/ipsec.conf; cp ipsec-$side.secrets /etc/ipsec.secrets
      exec /usr/sbin/ipsec start --nofork" >>"$NAME.log" 2>&1 &
    SERVERS+=($!)
    [[ $side == c ]] && last=$!
    sleep 2
  done
  local starter
  starter=$(pgrep -n -f 'starter --daemon charon.*nofork' || echo "$last")
  ip netns exec c timeout 10 nsenter -t "$starter" --mount /usr/sbin/ipsec up x >>"$NAME.log" 2>&1
  ip netns exec c timeout 3 ping -c 8 -i 0.1 "$SERVER" >/dev/null 2>&1
}

lab_l2tp() {
  lab l2tp.xl2tpd "udp port 1701"
  mkdir -p /run/xl2tpd
  printf '[global]\nport = 1701\n[lns default]\nip range = 10.7.0.2-10.7.0.9\nlocal ip = 10.7.0.1\nrequire authentication = no\n' >lns.conf
  printf "[global]\nport = 1701\n[lac x]\nlns = $SERVER\nautodial = yes\nrequire authentication = no\n" >lac.conf
  serve xl2tpd -D -c lns.conf -p "$WORK/lns.pid" -C "$WORK/lns.ctl"
  LIMIT=5 call xl2tpd -D -c lac.conf -p "$WORK/lac.pid" -C "$WORK/lac.ctl"
  over
}

lab_vxlan() {
  lab vxlan.linux "udp port 14789"
  local ns peer dev n
  for ns in s:$CLIENT:v1:1 c:$SERVER:v0:2; do
    IFS=: read -r ns peer dev n <<<"$ns"
    ip -n "$ns" link add t0 type vxlan id 42 remote "$peer" dstport 14789 dev "$dev"
    ip -n "$ns" addr add "10.6.0.$n/24" dev t0
    ip -n "$ns" link set t0 up
  done
  call ping -c 3 -i 0.2 10.6.0.1
  serve nc -lk -p 80
  call sh -c 'echo GET / HTTP/1.0 | nc -q1 10.6.0.1 80'
  over
}

lab_socks() {
  lab socks.pproxy "port 1080"
  serve "$PYTHON" -m http.server -b 127.0.0.1 8000
  serve "$PYTHON" -m pproxy -l "socks4+socks5://0.0.0.0:1080"
  call curl -s --socks5 "$SERVER:1080" http://127.0.0.1:8000/
  call curl -s --socks5-hostname "$SERVER:1080" http://localhost:8000/
  call curl -s --socks4 "$SERVER:1080" http://127.0.0.1:8000/
  call curl -s --socks4a "$SERVER:1080" http://localhost:8000/
  call curl -s --socks5 "$SERVER:1080" http://127.0.0.1:9/
  over
}

lab_pptp() {
  lab pptp.pptpd "port 1723"
  printf 'option /dev/null\nlocalip 10.5.0.1\nremoteip 10.5.0.2-9\n' >pptpd.conf
  serve pptpd -f -c pptpd.conf
  LIMIT=4 client pptp_client.py "$SERVER"
  over
}
