# shellcheck shell=bash
# What people and machines in an office do. Sourced by run.sh.

PASSWORD=correct-horse-7
SSH_OPTIONS=(-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
  -o PubkeyAuthentication=no -o GSSAPIAuthentication=no)

# pause MIN MAX: sleep between so many tenths of a second.
pause() {
  local tenths=$((RANDOM % ($2 - $1 + 1) + $1))
  sleep "$((tenths / 10)).$((tenths % 10))"
}

# browse HOST URL-PREFIX [curl options]: one page with its objects, one connection.
browse() {
  local host=$1 site=$2
  shift 2
  on "$host" curl -sk -A 'Mozilla/5.0 (X11; Linux x86_64)' -m 20 "$@" \
    "$site"/{index.html,style.css,app.js,logo.png,photo.jpg} -o /dev/null -o /dev/null \
    -o /dev/null -o /dev/null -o /dev/null
}

# as_alice HOST COMMAND: run a command on srv over SSH with the right password.
as_alice() {
  on "$1" sshpass -p "$PASSWORD" ssh "${SSH_OPTIONS[@]}" "alice@${IP[srv]}" "$2" >/dev/null
}

resolve() {
  on "$1" dig +short +tries=1 +time=2 "@${IP[gw]}" "$2" "${3:-A}" >/dev/null
}

send_mail() {
  on "$1" swaks --server mail.corp.example --from "$1@corp.example" --to bob@corp.example \
    --header "Subject: minutes" --body "Dear Bob, the minutes are attached. $RANDOM" >/dev/null
}

# chatter SECONDS [MIN MAX]: light traffic of two clients, so that a baseline
# exists, with pauses of so many tenths of a second.
chatter() {
  local end=$((SECONDS + $1)) host
  while ((SECONDS < end)); do
    host=c$((RANDOM % 2 + 1))
    case $((RANDOM % 6)) in
      0) browse "$host" http://intranet.corp.example ;;
      1) on "$host" curl -sk -m 10 -o /dev/null https://www.example.org/index.html ;;
      2) resolve "$host" "host$((RANDOM % 20)).corp.example" ;;
      3) on "$host" ping -q -c 2 -i 0.4 "${IP[srv]}" >/dev/null ;;
      4) resolve "$host" www.example.org AAAA ;;
      5) on "$host" curl -s -m 10 -o /dev/null http://intranet.corp.example/style.css ;;
    esac
    pause "${2:-8}" "${3:-22}"
  done
}

# office SECONDS: four people at work, one wrong password each way included.
office() {
  local seconds=$1
  chatter "$seconds" 8 35 &
  local people=($!)
  (
    sleep 6
    on c1 sshpass -p Correct-horse-7 ssh "${SSH_OPTIONS[@]}" "alice@${IP[srv]}" true
    sleep 4
    as_alice c1 'uname -a; ls -l /etc | head -30; sleep 3; id; sleep 4; uptime'
    on c1 sshpass -p "$PASSWORD" scp "${SSH_OPTIONS[@]}" "$WORK/site/photo.jpg" "alice@${IP[srv]}:copy.jpg"
  ) &
  people+=($!)
  (
    sleep 14
    on c2 curl -s -m 10 -o /dev/null -d 'user=alice&pass=correct-horse' http://intranet.corp.example/login
    sleep 5
    on c2 curl -s -m 10 -o /dev/null -d "user=alice&pass=$PASSWORD" http://intranet.corp.example/login
    send_mail c2
    sleep 8
    on c2 curl -s -m 20 -o /dev/null "ftp://alice:$PASSWORD@${IP[srv]}/"
    browse c2 https://www.example.org
    on c2 curl -s -m 10 -o /dev/null http://intranet.corp.example/old-page.html
    sleep 10
    send_mail c2
  ) &
  people+=($!)
  wait "${people[@]}"
}

# labels for benign captures: none, the default class is benign.

benign_web() {
  local i
  for ((i = 0; i < 4; i++)); do
    browse c1 http://intranet.corp.example
    pause 5 20
    browse c2 https://www.example.org
    pause 5 20
  done
}

benign_web_errors() {
  local page
  for page in index.html favicon.ico old.html admin/ style.css missing.png index.html; do
    on c1 curl -s -m 10 -o /dev/null "http://intranet.corp.example/$page"
    pause 5 20
  done
  on c1 curl -s -m 10 -o /dev/null -u admin:wrong http://intranet.corp.example/admin/
  pause 20 30
  on c1 curl -s -m 10 -o /dev/null -u "admin:$PASSWORD" http://intranet.corp.example/admin/
  browse c2 http://intranet.corp.example
  for page in a b c d; do
    on c2 curl -s -m 10 -o /dev/null "http://www.example.org/links/$page.html"
    pause 5 15
  done
}

benign_dns() {
  local i
  for ((i = 0; i < 40; i++)); do
    resolve "c$((i % 2 + 1))" "host$i.corp.example"
    resolve c1 intranet6.corp.example AAAA
    pause 1 5
  done
  resolve c2 corp.example MX
  resolve c2 corp.example TXT
  on c2 dig +tcp +short "@${IP[gw]}" www.example.org >/dev/null
  on c2 dig +short "@${IP[gw]}" -x 192.168.40.10 >/dev/null
}

benign_ssh() {
  as_alice c1 'uname -a; sleep 2; ls -l /etc; sleep 3; df; sleep 2; ps aux | head -20'
  on c1 sshpass -p "$PASSWORD" scp "${SSH_OPTIONS[@]}" "$WORK/site/photo.jpg" "alice@${IP[srv]}:photo.jpg"
  pause 10 20
  as_alice c2 'for i in 1 2 3 4 5 6 7 8 9; do date; sleep 1; done'
}

benign_iperf3() {
  on srv iperf3 -s -1 >"$DIR/iperf3.log" &
  chatter 8
  on c1 iperf3 -c "${IP[srv]}" -R -n 11M >"$DIR/iperf3-c1.log"
  chatter 4
}

benign_ftp() {
  on c1 curl -s -m 30 -o /dev/null "ftp://alice:$PASSWORD@${IP[srv]}/"
  pause 10 20
  on c1 curl -s -m 30 -T "$WORK/site/photo.jpg" "ftp://alice:$PASSWORD@${IP[srv]}/up.jpg"
  pause 10 20
  on c1 curl -s -m 30 -o /dev/null "ftp://alice:typo@${IP[srv]}/"
  pause 10 20
  on c1 curl -s -m 30 -o /dev/null "ftp://alice:$PASSWORD@${IP[srv]}/up.jpg"
  on c2 curl -s -m 30 -P - -o /dev/null "ftp://alice:$PASSWORD@${IP[srv]}/up.jpg"
}

benign_smtp() {
  send_mail c1
  pause 20 40
  send_mail c2
  pause 20 40
  send_mail c1
}

# Regular as a beacon, and legitimate: NTP, and a monitor asking the intranet.
benign_periodic() {
  local host i
  printf 'allow\nlocal stratum 2\nuser root\ncmdport 0\nbindcmdaddress /\npidfile %s\n' \
    "$DIR/ntpd.pid" >"$DIR/ntpd.conf"
  on out chronyd -x -n -f "$DIR/ntpd.conf" 2>"$DIR/ntpd.log" >&2 &
  sleep 1
  for host in c1 c2; do
    printf 'server ntp.example.org iburst minpoll 4 maxpoll 4\nuser root\ncmdport 0\nbindcmdaddress /\npidfile %s\n' \
      "$DIR/ntp-$host.pid" >"$DIR/ntp-$host.conf"
    on "$host" chronyd -x -n -f "$DIR/ntp-$host.conf" 2>"$DIR/ntp-$host.log" >&2 &
  done
  for ((i = 0; i < 36; i++)); do
    on c2 curl -s -m 4 -o /dev/null http://intranet.corp.example/beat
    sleep 5
  done
}

benign_dhcp() {
  local host
  for host in c1 c2; do
    ip -n "$host-$LAB" address flush dev eth0 scope global
    on "$host" udhcpc -f -R -i eth0 -s "$HERE/udhcpc.sh" -x "hostname:$host" >"$DIR/udhcpc-$host.log" 2>&1 &
    sleep 3
  done
  sleep 130
}

benign_apt() {
  local root=$DIR/apt options
  mkdir -p "$root"/{lists/partial,cache/archives/partial,etc}
  echo 'deb [trusted=yes] http://deb.example.org/debian ./' >"$root/etc/sources.list"
  : >"$root/status"
  options=(-o Dir::State::lists="$root/lists" -o Dir::Cache="$root/cache" -o Dir::State::status="$root/status"
    -o Dir::Etc::sourcelist="$root/etc/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::parts=-
    -o APT::Sandbox::User=root -o Acquire::Languages=none)
  on c1 apt-get -qq "${options[@]}" update
  sleep 2
  (cd "$root" && on c1 apt-get -qq "${options[@]}" download minutes tools)
}

benign_ipv6() {
  local i
  for ((i = 0; i < 5; i++)); do
    browse c1 http://intranet6.corp.example -6
    on c2 curl -6 -sk -m 10 -o /dev/null https://www.example.org/index.html
    on c1 dig +short "@${IP6[gw]}" "host$i.corp.example" AAAA >/dev/null
    on c2 ping -q -c 2 -i 0.4 "${IP6[srv]}" >/dev/null
    pause 5 15
  done
  on c1 sshpass -p "$PASSWORD" ssh -6 "${SSH_OPTIONS[@]}" "alice@${IP6[srv]}" 'ls /; sleep 2; id' >/dev/null
}

benign_office() {
  office 150
}

# The same kind of traffic on a mirror port that sees every frame twice.
benign_mirror_twice() {
  chatter 20
  as_alice c1 'ls /etc; sleep 1; id'
  on c1 curl -s -m 10 -o /dev/null -d 'user=alice&pass=wrong' http://intranet.corp.example/login
}

# Known protocols on ports that say otherwise.
odd_ports() {
  on gw dnsmasq -k -C /dev/null --no-resolv --no-hosts --pid-file= --user=root --port=5300 \
    --address=/corp.example/192.168.40.10 &
  start_sshd 2222
  sleep 1
  local i
  for ((i = 0; i < 4; i++)); do
    on c1 dig -p 5300 +short "@${IP[gw]}" "host$i.corp.example" >/dev/null
    browse c1 "http://${IP[srv]}:4444"
    browse c2 "https://${IP[srv]}:9999"
    pause 5 10
  done
  on c2 sshpass -p "$PASSWORD" ssh -p 2222 "${SSH_OPTIONS[@]}" "alice@${IP[srv]}" 'ls /; sleep 1; id' >/dev/null
}
