# shellcheck shell=bash disable=SC2034,SC2154
# Routing, management, media and sharing. Sourced by make.sh.

# frr DAEMON NAMESPACE CONFIGURATION: one daemon and its zebra.
frr() {
  local daemon=$1 ns=$2 dir=$WORK/frr-$1-$2
  mkdir -p "$dir" && chmod 777 "$dir"
  printf '%b' "$3" >"$dir/$daemon.conf"
  printf 'interface v0\ninterface v1\n' >"$dir/zebra.conf"
  local program
  for program in zebra "$daemon"; do
    ip netns exec "$ns" setsid unshare --mount bash -c "
      mkdir -p $dir/run && mount --bind $dir/run /run && mkdir -p /run/frr && chmod 777 /run/frr
      exec /usr/lib/frr/$program -f $dir/$program.conf -u frr -g frr -i $dir/$program.pid --vty_socket $dir -z $dir/zserv" >>"$WORK/$NAME.log" 2>&1 &
    SERVERS+=($!)
    sleep 1
  done
}

lab_routing() {
  lab bgp.frr "port 179"
  frr bgpd s "router bgp 65001\n no bgp ebgp-requires-policy\n bgp router-id 1.1.1.1\n neighbor $CLIENT remote-as 65002\n address-family ipv4 unicast\n  network 10.50.0.0/24\n"
  frr bgpd c "router bgp 65002\n no bgp ebgp-requires-policy\n bgp router-id 2.2.2.2\n neighbor $SERVER remote-as 65001\n neighbor $SERVER timers 3 9\n"
  sleep 8
  over
  lab bgp.frr-refused "port 179"
  frr bgpd s "router bgp 65001\n bgp router-id 1.1.1.1\n neighbor $CLIENT remote-as 65009\n"
  frr bgpd c "router bgp 65002\n bgp router-id 2.2.2.2\n neighbor $SERVER remote-as 65001\n"
  sleep 6
  over
  lab bfd.frr "udp port 3784 or udp port 3785"
  frr bfdd s "bfd\n peer $CLIENT interface v1\n  echo-mode\n  no shutdown\n"
  frr bfdd c "bfd\n peer $SERVER interface v0\n  no shutdown\n"
  sleep 6
  over
  lab rip.frr "udp port 520"
  frr ripd s "router rip\n network v1\n redistribute connected\n timers basic 5 15 10\n"
  frr ripd c "router rip\n version 1\n network v0\n timers basic 5 15 10\n"
  sleep 9
  over
  lab ripng.frr "udp port 521"
  frr ripngd s "router ripng\n network v1\n timers basic 5 15 10\n"
  frr ripngd c "router ripng\n network v0\n timers basic 5 15 10\n"
  sleep 9
  over
  lab ldp.frr "port 646"
  frr ldpd s "mpls ldp\n router-id 1.1.1.1\n address-family ipv4\n  discovery transport-address $SERVER\n  interface v1\n"
  frr ldpd c "mpls ldp\n router-id 2.2.2.2\n address-family ipv4\n  discovery transport-address $CLIENT\n  interface v0\n"
  sleep 15
  over
}

lab_radius() {
  lab radius.freeradius "udp port 1812 or udp port 1813"
  printf 'alice Cleartext-Password := "secret"\n\tReply-Message = "hello"\n' >>/etc/freeradius/3.0/mods-config/files/authorize
  printf 'client lab {\n  ipaddr = %s\n  secret = testing123\n}\n' "$CLIENT" >>/etc/freeradius/3.0/clients.conf
  SETTLE=3 serve freeradius -f -l stdout
  call radtest alice secret "$SERVER" 0 testing123
  call radtest -t chap alice secret "$SERVER" 0 testing123
  call radtest -t mschap alice wrong "$SERVER" 0 testing123
  call radtest bob x "$SERVER" 0 wrongsecret
  call sh -c "printf 'User-Name=alice\nAcct-Status-Type=Start\nAcct-Session-Id=7\nNAS-IP-Address=10.0.0.1\n' | radclient $SERVER:1813 acct testing123"
  call sh -c "printf 'Message-Authenticator=0x00\n' | radclient $SERVER status testing123"
  over
}

lab_snmp() {
  lab snmp.net-snmp "udp port 161 or udp port 162"
  printf 'agentAddress udp:161\nrocommunity public\ncreateUser bob SHA secret123 AES secret123\nrouser bob\nsysLocation lab\n' >snmpd.conf
  serve snmpd -f -Lo -C -c "$WORK/snmpd.conf" --persistentDir="$WORK/snmp"
  call snmpget -v1 -c public "$SERVER" sysDescr.0
  call snmpwalk -v2c -c public "$SERVER" system
  call snmpbulkget -v2c -c public "$SERVER" 1.3.6.1.2.1.2
  call snmpget -v3 -u bob -l authPriv -a SHA -A secret123 -x AES -X secret123 "$SERVER" 1.3.6.1.2.1.1.1.0
  call snmpget -v3 -u eve -l noAuthNoPriv "$SERVER" 1.3.6.1.2.1.1.1.0
  call snmpset -v2c -c private -t 1 -r 1 "$SERVER" 1.3.6.1.2.1.1.6.0 s here
  call snmptrap -v2c -c public "$SERVER" '' 1.3.6.1.6.3.1.1.5.1
  call snmptrap -v1 -c public "$SERVER" 1.3.6.1.4.1.8072 '' 6 7 ''
  over
}

lab_ldap() {
  lab ldap.openldap "port 389"
  mkdir -p slapd
  cat >slapd.conf <<CONF
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
directory $WORK/slapd
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw secret
CONF
  SETTLE=2 serve slapd -d 0 -f "$WORK/slapd.conf" -h "ldap://0.0.0.0:389 cldap://0.0.0.0:389"
  call sh -c "printf 'dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: lab\ndc: example\n' | ldapadd -x -H ldap://$SERVER -D cn=admin,dc=example,dc=org -w secret"
  call ldapsearch -x -H "ldap://$SERVER" -b dc=example,dc=org
  call ldapsearch -x -H "ldap://$SERVER" -s base -b '' +
  call ldapwhoami -x -H "ldap://$SERVER" -D cn=admin,dc=example,dc=org -w wrong
  call ldapsearch -x -P 2 -H "ldap://$SERVER" -b dc=nowhere
  LIMIT=4 call ldapsearch -x -ZZ -H "ldap://$SERVER" -b ''
  over
}

lab_smb() {
  lab smb2.samba "port 445"
  mkdir -p share samba && echo hello >share/file
  printf '[global]\nserver min protocol = NT1\nclient min protocol = NT1\nlock directory = %s/samba\nstate directory = %s/samba\ncache directory = %s/samba\nprivate dir = %s/samba\npid directory = %s/samba\nncalrpc dir = %s/samba/n\nlog file = %s/samba/log\nmap to guest = Bad User\n[share]\npath = %s/share\nguest ok = yes\nread only = no\n' \
    "$WORK" "$WORK" "$WORK" "$WORK" "$WORK" "$WORK" "$WORK" "$WORK" >smb.conf
  SETTLE=3 serve smbd -F --no-process-group -s "$WORK/smb.conf"
  call smbclient -s "$WORK/smb.conf" -N "//$SERVER/share" -c 'ls; get file got'
  call smbclient -s "$WORK/smb.conf" -N -m SMB2_02 -L "$SERVER"
  call smbclient -s "$WORK/smb.conf" -m SMB3 -U alice%wrong "//$SERVER/none" -c ls
  over
  lab smb.samba "port 445 or port 139"
  SETTLE=3 serve smbd -F --no-process-group -s "$WORK/smb.conf"
  call smbclient -s "$WORK/smb.conf" -N -m NT1 "//$SERVER/share" -c 'ls; put cert.pem up'
  call smbclient -s "$WORK/smb.conf" -N -m NT1 -p 139 "//$SERVER/share" -c 'ls'
  over
}

lab_nfs() {
  lab nfs.ganesha "port 2049"
  printf 'NFS_CORE_PARAM { Protocols = 3,4; Bind_addr = 0.0.0.0; MNT_Port = 20048; Enable_NLM = false; Enable_RQUOTA = false; }\nEXPORT { Export_Id = 1; Path = %s/repo; Pseudo = /repo; Access_Type = RW; Squash = None; FSAL { Name = VFS; } }\n' "$WORK" >ganesha.conf
  mkdir -p repo
  serve rpcbind -f -w
  SETTLE=5 serve ganesha.nfsd -F -f "$WORK/ganesha.conf" -L "$WORK/ganesha.log" -p "$WORK/ganesha.pid"
  client nfs_client.py "$SERVER"
  over
  lab rpc.rpcbind "port 111 or port 20048"
  serve rpcbind -f -w
  call rpcinfo -p "$SERVER"
  call rpcinfo -s "$SERVER"
  call rpcinfo -T udp "$SERVER" 100000 4
  call rpcinfo -T tcp "$SERVER" 100000 2
  call rpcinfo -T udp "$SERVER" 100003
  call showmount -e "$SERVER"
  over
}

lab_rtsp() {
  local media="audiotestsrc is-live=true ! alawenc ! rtppcmapay"
  lab rtsp.gst "port 8554"
  serve /usr/bin/python3 "$HERE/clients/rtsp_server.py"
  LIMIT=4 call ffmpeg -loglevel error -rtsp_transport tcp -i "rtsp://$SERVER:8554/a" -f null -
  LIMIT=4 call ffmpeg -loglevel error -rtsp_transport udp -i "rtsp://$SERVER:8554/a" -f null -
  LIMIT=4 call gst-launch-1.0 rtspsrc location="rtsp://$SERVER:8554/a" ! fakesink
  call curl -s -X OPTIONS "rtsp://$SERVER:8554/a"
  call curl -s -X DESCRIBE "rtsp://$SERVER:8554/none"
  over
  lab rtp.gst "udp port 5004 or udp port 5006 or udp port 5008"
  LIMIT=4 call gst-launch-1.0 $media ! udpsink host="$SERVER" port=5004
  LIMIT=4 call gst-launch-1.0 videotestsrc is-live=true ! vp8enc ! rtpvp8pay ! udpsink host="$SERVER" port=5006
  LIMIT=4 call ffmpeg -loglevel error -re -f lavfi -i sine -c:a pcm_mulaw -f rtp "rtp://$SERVER:5008?rtcpport=6009"
  over
  lab rtcp.gst "udp port 5005 or udp port 5007 or udp port 5009"
  local pt
  for pt in 5005 5007 5009; do
    LIMIT=14 call gst-launch-1.0 rtpbin name=r $media ! r.send_rtp_sink_0 r.send_rtp_src_0 ! fakesink \
      r.send_rtcp_src_0 ! udpsink host="$SERVER" port=$pt sync=false async=false
  done
  over
}

lab_rtmp() {
  lab rtmpt.ffmpeg "port 1935"
  serve ffmpeg -loglevel error -listen 1 -i rtmp://0.0.0.0:1935/live/a -f null -
  LIMIT=5 call ffmpeg -loglevel error -re -f lavfi -i sine -t 3 -c:a aac -f flv "rtmp://$SERVER:1935/live/a"
  over
}

lab_stun() {
  lab stun.coturn "port 3478"
  SETTLE=2 serve turnserver -n --no-cli -L 0.0.0.0 -p 3478 --lt-cred-mech -u alice:secret -r example.org --log-file stdout --allow-loopback-peers --no-tls --no-dtls
  call turnutils_stunclient -p 3478 "$SERVER"
  call turnutils_stunclient -f -p 3478 "$SERVER"
  LIMIT=6 call turnutils_uclient -y -u alice -w secret -n 5 "$SERVER"
  LIMIT=6 call turnutils_uclient -y -t -u alice -w secret -n 5 "$SERVER"
  LIMIT=3 call turnutils_uclient -y -u alice -w wrong -n 2 "$SERVER"
  over
}

lab_sip() {
  lab sip.sipp "port 5060"
  serve sipp -sn uas -p 5060 -bg -i "$SERVER"
  LIMIT=6 call sipp -sn uac -i "$CLIENT" -p 5070 -m 2 -r 2 "$SERVER:5060"
  over
  lab sip.sipp-tcp "port 5060"
  serve sipp -sn uas -t t1 -p 5060 -bg -i "$SERVER"
  LIMIT=6 call sipp -sn uac -t t1 -i "$CLIENT" -p 5070 -m 2 -r 2 "$SERVER:5060"
  over
}

lab_bittorrent() {
  lab bittorrent.transmission "port 51413 or udp portrange 51000-51500"
  mkdir -p seed leech t1 t2 && head -c 200000 /dev/urandom >seed/file
  transmission-create -o x.torrent seed/file >/dev/null 2>&1
  serve transmission-cli -g "$WORK/t1" -p 51413 -w "$WORK/seed" -v x.torrent
  sleep 3
  client torrent_client.py "$SERVER" 51413 "$WORK/x.torrent"
  LIMIT=3 client dht_client.py "$SERVER" 51413
  over
}

lab_collectd() {
  lab collectd.collectd "udp port 25826"
  printf 'Interval 1\nLoadPlugin cpu\nLoadPlugin load\nLoadPlugin network\n<Plugin network>\nServer "%s" "25826"\n</Plugin>\n' "$CLIENT" >collectd.conf
  serve collectd -f -C "$WORK/collectd.conf" -P "$WORK/collectd.pid"
  sleep 6
  over
}

lab_zabbix() {
  lab zabbix.agent "port 10050 or port 10051"
  printf 'Server=%s\nServerActive=%s:10051\nHostname=lab\nLogType=console\n' "$CLIENT" "$CLIENT" >zabbix.conf
  serve zabbix_agentd -f -c "$WORK/zabbix.conf"
  client zabbix_client.py "$SERVER"
  over
}

lab_natpmp() {
  lab portcontrol.miniupnpd "udp port 5351"
  printf 'ext_ifname=lo\nlistening_ip=v1\nenable_natpmp=yes\nenable_upnp=no\nsecure_mode=no\nallow 1-65535 0.0.0.0/0 1-65535\n' >miniupnpd.conf
  SETTLE=2 serve miniupnpd -d -f "$WORK/miniupnpd.conf" -P "$WORK/miniupnpd.pid"
  client natpmp_client.py "$SERVER"
  over
}

lab_iscsi() {
  lab iscsi.tgt "port 3260"
  SETTLE=2 serve tgtd -f
  ip netns exec s tgtadm --lld iscsi --op new --mode target --tid 1 -T iqn.2026-01.org.example:a >>"$WORK/$NAME.log" 2>&1
  ip netns exec s tgtadm --lld iscsi --op bind --mode target --tid 1 -I ALL >>"$WORK/$NAME.log" 2>&1
  client iscsi_client.py "$SERVER"
  over
}

lab_diameter() {
  lab diameter.freediameter "port 3868"
  local ns peer addr
  for ns in s c; do
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=$ns.example.org" -keyout "$ns-d.key" -out "$ns-d.pem" 2>/dev/null
    peer=$([[ $ns == s ]] && echo c || echo s)
    addr=$([[ $ns == s ]] && echo "$CLIENT" || echo "$SERVER")
    printf 'Identity = "%s.example.org";\nRealm = "example.org";\nTLS_Cred = "%s", "%s";\nTLS_CA = "%s";\nNo_SCTP;\nNo_IPv6;\nConnectPeer = "%s.example.org" { ConnectTo = "%s"; No_TLS; TcTimer = 2; };\n' \
      "$ns" "$WORK/$ns-d.pem" "$WORK/$ns-d.key" "$WORK/$ns-d.pem" "$peer" "$addr" >"fd-$ns.conf"
  done
  SETTLE=2 serve freeDiameterd -c "$WORK/fd-s.conf"
  LIMIT=8 call freeDiameterd -c "$WORK/fd-c.conf"
  over
}

lab_noise() {
  lab unknown.random "port 7001 or port 7002"
  client noise.py "$SERVER"
  over
}
