#!/usr/bin/env bash
# Makes the captures of this folder: real programs in network namespaces, one
# laboratory a capture, and labels by display filter. See README.md.
#
# usage: testdata/make.sh [-j JOBS] [NAME...]     (as root; all: 10 minutes)
#
# Everything runs in mount, process and network namespaces of this script, so
# nothing outlives it, not even when it is killed, and nothing leaves them.
# With KEEP=1 in the environment the folder with the logs stays.
set -uo pipefail
OUT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
HERE=$OUT/lab

# Debian packages, and a program of each.
NEEDED="aiosmtpd:python3-aiosmtpd arping:iputils-arping arpspoof:dsniff chronyd:chrony curl:curl
dig:dnsutils dnsmasq:dnsmasq-base dpkg-deb:dpkg dumpcap:wireshark-common hping3:hping3 hydra:hydra
iodine:iodine ip:iproute2 iperf3:iperf3 nginx:nginx-light nmap:nmap openssl:openssl pg_lsclusters:postgresql-15 ping:iputils-ping
ptunnel-ng:ptunnel-ng python3:python3 scp:openssh-client slowhttptest:slowhttptest sshd:openssh-server
sshpass:sshpass swaks:swaks setpriv:util-linux sysctl:procps tshark:tshark udhcpc:udhcpc unshare:util-linux vsftpd:vsftpd"

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
  [[ -c /dev/net/tun ]] || die "no /dev/net/tun"
}

# Users, keys and sites, in places that only this mount namespace sees.
prepare() {
  mount -t tmpfs none /run
  mkdir -p /run/netns /run/sshd /run/vsftpd/empty "$WORK/site/debian" "$WORK/home/alice"
  local file
  for file in passwd shadow group resolv.conf; do
    cat "/etc/$file" >"$WORK/$file"
    chmod --reference="/etc/$file" "$WORK/$file"
  done
  echo "alice:x:4040:4040:Alice:$WORK/home/alice:/bin/bash" >>"$WORK/passwd"
  echo "alice:x:4040:" >>"$WORK/group"
  echo "alice:$(openssl passwd -6 correct-horse-7):20000:0:99999:7:::" >>"$WORK/shadow"
  echo "nameserver 192.168.40.1" >"$WORK/resolv.conf"
  for file in passwd shadow group resolv.conf; do
    mount --bind "$WORK/$file" "/etc/$file"
  done
  chown 4040:4040 "$WORK/home/alice"
  chmod 755 "$WORK" "$WORK/home"
  ssh-keygen -q -t ed25519 -N '' -C lab -f "$WORK/hostkey"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=www.example.org \
    -keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2>/dev/null
  echo "admin:$(openssl passwd -apr1 correct-horse-7)" >"$WORK/htpasswd"
  sites
}

sites() {
  local site=$WORK/site
  mkdir -p "$site/admin"
  echo '<h1>Staff only</h1>' >"$site/admin/index.html"
  seq -f '<p>Minutes of meeting number %g.</p>' 30 >"$site/index.html"
  seq -f '.c%g { color: teal; margin: 0 }' 20 >"$site/style.css"
  seq -f 'function f%g(x) { return x + 1 }' 20 >"$site/app.js"
  head -c 900 /dev/urandom >"$site/logo.png"
  head -c 2500 /dev/urandom >"$site/photo.jpg"
  head -c 28000 /dev/urandom >"$site/archive.zip"
  local name
  for name in minutes tools; do
    mkdir -p "$WORK/deb/$name/DEBIAN" "$WORK/deb/$name/usr/share/$name"
    head -c 200000 /dev/urandom >"$WORK/deb/$name/usr/share/$name/data"
    printf 'Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: Lab <lab@example.org>\nDescription: %s\n' \
      "$name" "$name" >"$WORK/deb/$name/DEBIAN/control"
    dpkg-deb --root-owner-group -b "$WORK/deb/$name" "$site/debian/$name.deb" >/dev/null
    {
      cat "$WORK/deb/$name/DEBIAN/control"
      printf 'Filename: ./%s.deb\nSize: %s\nSHA256: %s\n\n' "$name" \
        "$(stat -c %s "$site/debian/$name.deb")" "$(sha256sum "$site/debian/$name.deb" | cut -d' ' -f1)"
    } >>"$site/debian/Packages"
  done
}

# record JOBS NAME...: so many laboratories at the same time.
record() {
  local jobs=$1 name failed=0
  shift
  for name in "$@"; do
    while (($(jobs -rp | wc -l) >= jobs)); do wait -n || failed=1; done
    (
      if timeout -k 10 480 "$HERE/run.sh" "$name" >"$WORK/$name.log" 2>&1; then
        echo "$name: done"
      else
        echo "$name: FAILED; the end of its log:"
        tail -5 "$WORK/$name.log"
        exit 1
      fi
    ) &
    sleep 1
  done
  while (($(jobs -rp | wc -l) > 0)); do wait -n || failed=1; done
  return "$failed"
}

inside() {
  prepare
  mkdir -p "$OUT/captures" "$OUT/labels"
  local failed=0
  record "$@" || failed=1
  "$HERE/tables.sh" || failed=1
  return "$failed"
}

main() {
  check
  if [[ ${1:-} == --inside ]]; then
    shift
    inside "$@"
    return
  fi
  local jobs=8 names
  if [[ ${1:-} == -j ]]; then
    jobs=$2
    shift 2
  fi
  names=("$@")
  ((${#names[@]})) || mapfile -t names < <(grep -v '^#' "$HERE/scenarios.tsv" | cut -f1)
  WORK=$(mktemp -d /tmp/ampulla-lab.XXXXXX)
  export WORK OUT
  setpriv --pdeathsig KILL unshare --mount --pid --net --fork --kill-child --mount-proc \
    timeout -k 10 1500 "${BASH_SOURCE[0]}" --inside "$jobs" "${names[@]}" &
  LAB=$!
  trap 'kill -KILL "$LAB" 2>/dev/null' INT TERM # and with it all that runs inside
  local status=0
  wait "$LAB" || status=$?
  if [[ -n ${KEEP:-} ]]; then echo "logs: $WORK"; else rm -rf "$WORK"; fi
  return "$status"
}

main "$@"
