#!/usr/bin/env bash
# Makes the captures of a shop: nginx before a small application that asks a
# payment API, curl as its visitors, dumpcap on the shop's two wires, each in a
# network namespace. See README.md.
#
# usage: testdata/shop/make.sh [-d DIR] [NAME...]   (as root; all: two minutes)
#
# A NAME is a fault (timeout, error, reset, down or none) and a protocol (http1,
# tls or http2), as in timeout_http2. VISITORS=N makes a larger crowd. Nothing
# outlives the script or leaves its namespaces.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DIR=$HERE
VISITORS=${VISITORS:-20}
# The captures that are kept; any other combination can be had by its name.
NAMES=(timeout_http1 timeout_tls timeout_http2 none_http1 none_http2)
NEEDED="chrt:util-linux curl:curl dumpcap:wireshark-common ip:iproute2 nginx:nginx-light openssl:openssl python3:python3
setpriv:util-linux unshare:util-linux zstd:zstd"

die() {
  echo "make.sh: error: $*" >&2
  exit 1
}

check() {
  local pair missing=()
  for pair in $NEEDED; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  ((${#missing[@]} == 0)) || die "missing; try: apt-get install --no-install-recommends ${missing[*]}"
  ((EUID == 0)) || die "namespaces need root"
}

# wires: visitors 10.77.1.11 and on -- 10.77.1.1 shop 10.77.2.1 -- 10.77.2.2 payment.
wires() {
  mount -t tmpfs none /run
  mkdir -p /run/netns
  local host
  for host in visitors shop payment; do
    ip netns add "$host"
    ip -n "$host" link set lo up
  done
  ip link add visitors0 netns visitors type veth peer name front netns shop
  ip link add payment0 netns payment type veth peer name back netns shop
  local n
  for ((n = 0; n <= 200; n++)); do # where visitors are at home
    ip -n visitors address add "10.77.1.$((11 + n))/24" dev visitors0
  done
  ip -n shop address add 10.77.1.1/24 dev front
  ip -n shop address add 10.77.2.1/24 dev back
  ip -n payment address add 10.77.2.2/24 dev payment0
  ip -n visitors link set visitors0 up
  ip -n payment link set payment0 up
  ip -n shop link set front up
  ip -n shop link set back up
}

# site: pictures and a bundle; heavy and uncompressed unless all is well.
site() {
  mkdir -p "$WORK/site/static"
  local static=$WORK/site/static
  seq -f '.c%g { color: teal; margin: 0 }' 60 >"$static/style.css"
  # What repeats compresses well in the capture, once that is not encrypted.
  head -c 8000 /dev/urandom >"$WORK/noise"
  if [[ $FAULT == none ]]; then
    seq -f 'function f%g(x){return x+1}' 400 >"$static/app.js"
    { printf 'RIFF....WEBPVP8 '; head -c 6000 "$WORK/noise"; } >"$static/hero.webp"
  else
    seq -f 'function shell%g(pearl) { return pearl + 1 } // not minified' 2400 >"$static/app.js"
    { printf '\x89PNG\r\n\x1a\n'; for _ in {1..20}; do cat "$WORK/noise"; done; } >"$static/hero.png"
  fi
}

# nginx_conf: TLS and HTTP/2 as PROTOCOL says; a good configuration only if all
# is well.
nginx_conf() {
  local listen="listen 10.77.1.1:80;" more='ssl_session_tickets off;'
  [[ $PROTOCOL == tls ]] && listen="listen 10.77.1.1:443 ssl;"
  [[ $PROTOCOL == http2 ]] && listen="listen 10.77.1.1:443 ssl http2;"
  # Over TLS with HTTP/1.1, the bad one closes after each answer.
  [[ $PROTOCOL == tls ]] && more+=' keepalive_timeout 0;'
  [[ $FAULT == none ]] && more='gzip on; gzip_types text/css application/javascript application/json;
    gzip_min_length 200; ssl_session_cache shared:s:1m;'
  cat <<CONF
daemon off;
user root;
worker_processes 1;
pid $WORK/nginx.pid;
error_log $WORK/nginx.err;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  log_format timing escape=json '{"time":\$msec,"visitor":"\$cookie_session","method":"\$request_method",'
    '"path":"\$request_uri","status":\$status,"seconds":\$request_time,"bytes":\$body_bytes_sent}';
  access_log $WORK/nginx.log timing;
  client_body_temp_path $WORK/body;
  proxy_temp_path $WORK/proxy;
  ssl_certificate $WORK/cert.pem;
  ssl_certificate_key $WORK/key.pem;
  ssl_protocols TLSv1.2 TLSv1.3;
  $more
  server {
    $listen
    server_name shop.example;
    location /static/ {
      root $WORK/site;
      $([[ $FAULT == none ]] && echo 'add_header Cache-Control "public, max-age=86400, immutable";' ||
    echo 'etag off; add_header Last-Modified "";')
    }
    location / {
      proxy_pass http://127.0.0.1:8000;
      proxy_set_header Host \$host;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
CONF
}

servers() {
  ip netns exec payment python3 "$HERE/app.py" pay 10.77.2.2 8081 "$FAULT" "$WORK/payment.log" &
  [[ $FAULT != down ]] || kill $!
  ip netns exec shop python3 "$HERE/app.py" shop 127.0.0.1 8000 "$FAULT" http://10.77.2.2:8081 "$WORK/shop.log" &
  nginx_conf >"$WORK/nginx.conf"
  ip netns exec shop nginx -e "$WORK/nginx.err" -c "$WORK/nginx.conf" &
  local i
  for ((i = 0; i < 100; i++)); do
    ip netns exec shop curl -fsko /dev/null "$BASE/" --resolve "$RESOLVE" && return
    sleep 0.1
  done
  die "the shop does not answer"
}

# visit N: one visitor. Some leave early, as people do; who cannot pay leaves too.
visit() {
  local n=$1 urls=() page item=$((1 + $1 % 5)) picture=hero.png
  [[ $FAULT == none ]] && picture=hero.webp
  urls+=("/" /static/style.css)
  # One in ten comes for the first time; the others have these already.
  ((n % 10)) || urls+=(/static/app.js "/static/$picture")
  urls+=("/product/$item")
  if [[ $FAULT == none ]]; then
    urls+=("/api/stock/$item")
  else
    urls+=("/api/stock/$item"{1..4})
  fi
  urls+=(/api/recommendations)
  ((n % 10 == 3)) || urls+=(POST:/cart/add /cart)
  ((n % 10 == 3 || n % 10 == 4)) || urls+=(/checkout POST:/checkout/payment /order/confirmation)
  local args=() common=(--interface "10.77.1.$((11 + n % 200))" -sk -o /dev/null -b "" -H "X-Visitor: $n" -A "Mozilla/5.0 (visitor $n)"
    --resolve "$RESOLVE" --compressed -f "$VERSION")
  for page in "${urls[@]}"; do
    ((${#args[@]})) && args+=(--next)
    args+=("${common[@]}")
    [[ $page == POST:* ]] && args+=(-d "item=$item&count=1")
    args+=("$BASE${page#POST:}")
  done
  SSLKEYLOGFILE=$WORK/keys ip netns exec visitors curl --fail-early --rate 20/s "${args[@]}" || true
}

record() {
  local name=$1
  FAULT=${name%_*} PROTOCOL=${name##*_}
  [[ $FAULT =~ ^(timeout|error|reset|down|none)$ && $PROTOCOL =~ ^(http1|tls|http2)$ ]] || die "no such capture: $name"
  BASE=https://shop.example RESOLVE=shop.example:443:10.77.1.1 VERSION=--http1.1
  [[ $PROTOCOL == http1 ]] && BASE=http://shop.example RESOLVE=shop.example:80:10.77.1.1
  [[ $PROTOCOL == http2 ]] && VERSION=--http2
  wires
  site
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=shop.example \
    -keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2>/dev/null
  servers
  truncate -s 0 "$WORK/nginx.log" "$WORK/shop.log" # without the first look whether all is up
  ip netns exec shop dumpcap -q -i front -i back -B 16 -w "$WORK/shop.pcapng" &
  local dumpcap=$! n i
  for ((i = 0; i < 100; i++)); do
    [[ -s $WORK/shop.pcapng ]] && break
    sleep 0.1
  done
  sleep 0.5
  for ((n = 1; n <= VISITORS; n++)); do
    while (($(jobs -rp | wc -l) >= RUNNING + 6)); do sleep 0.05; done
    visit "$n" &
    sleep 0.15
  done
  while (($(jobs -rp | wc -l) > RUNNING)); do sleep 0.1; done
  # So that nobody is still at it when the capture ends: somebody looks in later.
  sleep 11
  SSLKEYLOGFILE=$WORK/keys ip netns exec visitors curl -sk -o /dev/null -H "X-Visitor: 0" --interface 10.77.1.211 \
    --resolve "$RESOLVE" "$VERSION" "$BASE/"
  sleep 0.5
  kill -INT "$dumpcap"
  wait "$dumpcap" || true
  zstd -q -19 -f "$WORK/shop.pcapng" -o "$OUT/$name.pcapng.zst"
  sort -n -t: -k2 "$WORK/nginx.log" >"$OUT/$name.nginx.jsonl"
  cp "$WORK/shop.log" "$OUT/$name.app.jsonl"
  if [[ $PROTOCOL != http1 ]]; then cp "$WORK/keys" "$OUT/$name.keys"; fi
  chmod 644 "$OUT/$name".*
}

main() {
  check
  if [[ ${1:-} == --inside ]]; then
    OUT=$2 WORK=$3 RUNNING=4
    record "$4"
    exit
  fi
  if [[ ${1:-} == -d ]]; then
    DIR=$2
    shift 2
  fi
  local names=("$@") name work
  ((${#names[@]})) || names=("${NAMES[@]}")
  mkdir -p "$DIR"
  for name in "${names[@]}"; do
    work=$(mktemp -d /tmp/ampulla-shop.XXXXXX)
    # At the head of the queue, so that a busy machine keeps nobody waiting.
    chrt --rr 1 setpriv --pdeathsig KILL unshare --mount --pid --net --fork --kill-child --mount-proc \
      timeout -k 10 900 "${BASH_SOURCE[0]}" --inside "$DIR" "$work" "$name"
    rm -rf "$work"
    echo "$name: done"
  done
}

main "$@"
