# shellcheck shell=bash
# Real servers for one laboratory. Sourced by run.sh.

# services_up: DNS and DHCP on gw, web, SSH, FTP, mail on srv, web outside.
services_up() {
  start_dnsmasq
  start_nginx srv
  start_nginx out
  start_sshd 22
  start_vsftpd
  on srv aiosmtpd -n -c aiosmtpd.handlers.Sink -l "${IP[srv]}:25" 2>"$DIR/smtp.log" &
  local host
  for host in srv out; do
    on "$host" python3 "$HERE/login.py" 127.0.0.1 8000 2>"$DIR/login-$host.log" &
  done
  sleep 1
}

start_dnsmasq() {
  cat >"$DIR/dnsmasq.conf" <<CONF
no-resolv
no-hosts
log-facility=$DIR/dnsmasq.log
pid-file=
user=root
dhcp-leasefile=$DIR/leases
dhcp-range=192.168.40.150,192.168.40.199,2m
domain=corp.example
edns-packet-max=1232
address=/intranet.corp.example/192.168.40.10
address=/intranet6.corp.example/2001:db8:40::10
address=/mail.corp.example/192.168.40.10
address=/www.example.org/203.0.113.10
address=/www.example.org/2001:db8:ff::2
address=/deb.example.org/203.0.113.10
address=/ntp.example.org/203.0.113.10
address=/update.example.net/203.0.113.77
address=/share.example.net/203.0.113.77
mx-host=corp.example,mail.corp.example,10
txt-record=corp.example,"v=spf1 a mx -all"
local=/corp.example/
server=/t.example.net/203.0.113.53
CONF
  on gw dnsmasq -k -C "$DIR/dnsmasq.conf" &
}

# start_nginx HOST: the same sites inside and outside.
start_nginx() {
  local conf=$DIR/nginx-$1.conf
  cat >"$conf" <<CONF
daemon off;
user root;
worker_processes 1;
pid $DIR/nginx-$1.pid;
error_log $DIR/nginx-$1.err;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  access_log $DIR/nginx-$1.log;
  client_body_temp_path $DIR/body-$1;
  client_max_body_size 64m;
  sendfile on;
  ssl_certificate $WORK/cert.pem;
  ssl_certificate_key $WORK/key.pem;
  server {
    listen 80 default_server;
    listen [::]:80 default_server;
    listen 4444;
    listen 443 ssl;
    listen [::]:443 ssl;
    listen 9999 ssl;
    root $WORK/site;
    location /admin/ { auth_basic staff; auth_basic_user_file $WORK/htpasswd; }
    location = /login { proxy_pass http://127.0.0.1:8000; }
    location = /upload { proxy_pass http://127.0.0.1:8000; }
    location = /beat { return 200 "ok\n"; }
  }
}
CONF
  on "$1" nginx -e "$DIR/nginx-$1.err" -c "$conf" &
}

# start_sshd PORT: password log-ins through PAM, as on a fresh server.
start_sshd() {
  on srv /usr/sbin/sshd -D -f /dev/null -E "$DIR/sshd-$1.log" -h "$WORK/hostkey" \
    -o Port="$1" -o UsePAM=yes -o PidFile=none -o UseDNS=no -o MaxStartups=50 \
    -o Subsystem="sftp internal-sftp" &
}

start_vsftpd() {
  cat >"$DIR/vsftpd.conf" <<CONF
listen=YES
listen_ipv6=NO
local_enable=YES
write_enable=YES
xferlog_enable=NO
pam_service_name=vsftpd
seccomp_sandbox=NO
pasv_min_port=50000
pasv_max_port=50100
CONF
  on srv vsftpd "$DIR/vsftpd.conf" &
}

start_postgres() {
  local bin
  bin=$(echo /usr/lib/postgresql/*/bin | tr ' ' '\n' | tail -1)
  install -d -o postgres "$DIR/pg"
  runuser -u postgres -- "$bin/initdb" -D "$DIR/pg" >"$DIR/initdb.log"
  echo 'host all all 192.168.40.0/24 scram-sha-256' >>"$DIR/pg/pg_hba.conf"
  on srv runuser -u postgres -- "$bin/postgres" -D "$DIR/pg" -c listen_addresses='*' \
    -c unix_socket_directories="$DIR/pg" 2>"$DIR/postgres.log" &
  sleep 3
}
