# shellcheck shell=bash disable=SC2034,SC2154
# Mail, chat, files and other protocols of text. Sourced by make.sh.

lab_xmpp() {
  lab xmpp.prosody "port 5222 or port 5269"
  cat >prosody.cfg.lua <<CONF
admins = {}
modules_enabled = { "roster", "saslauth", "tls", "dialback", "disco", "ping", "register" }
allow_registration = true
c2s_require_encryption = false
s2s_require_encryption = false
authentication = "internal_plain"
data_path = "$WORK/prosody"
allow_unencrypted_plain_auth = true
VirtualHost "s.example.org"
CONF
  mkdir -p prosody && chmod 777 prosody
  SETTLE=3 serve prosody --root --config "$WORK/prosody.cfg.lua" -F
  ip netns exec s prosodyctl --root --config "$WORK/prosody.cfg.lua" register alice s.example.org secret >>"$WORK/$NAME.log" 2>&1
  client xmpp_client.py "$SERVER"
  talk 5222 "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='s.example.org' version='1.0'>
<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHNlY3JldA==</auth>
</stream:stream>"
  talk 5222 "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='nowhere' version='1.0'>"
  talk 5269 "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:server' xmlns:db='jabber:server:dialback' to='s.example.org' from='c.example.org' version='1.0'>"
  over
}

lab_irc() {
  lab irc.ngircd "port 6667"
  printf '[Global]\nName = irc.example.org\nInfo = lab\nListen = 0.0.0.0\nServerUID = root\nServerGID = root\n[Options]\nIdent = no\nDNS = no\nPAM = no\n' >ngircd.conf
  serve ngircd -n -f "$WORK/ngircd.conf"
  talk 6667 'NICK alice\r\n
USER alice 0 * :Alice\r\n
JOIN #lab\r\n
PRIVMSG #lab :hello\r\n
PART #lab\r\n
QUIT :bye\r\n'
  talk 6667 'CAP LS 302\r\nNICK bob\r\nUSER bob bob s :Bob B\r\n
CAP END\r\n
LIST\r\n
PING x\r\n'
  talk 6667 'PASS wrong\r\nNICK carol\r\nUSER carol 8 * :C\r\n
WHOIS bob\r\n
NOTICE carol :self\r\n'
  talk 6667 'BOGUS\r\n'
  over
}

lab_mail() {
  cat >dovecot.conf <<CONF
protocols = imap pop3
base_dir = $WORK/dovecot
log_path = $WORK/dovecot.log
listen = 0.0.0.0
ssl_cert = <$WORK/cert.pem
ssl_key = <$WORK/key.pem
disable_plaintext_auth = no
mail_location = maildir:$WORK/mail
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=$WORK
}
CONF
  mkdir -p mail && chmod 777 mail
  lab imap.dovecot "port 143"
  SETTLE=2 serve dovecot -F -c "$WORK/dovecot.conf"
  talk 143 'a1 CAPABILITY\r\n
a2 LOGIN alice secret\r\n
a3 SELECT INBOX\r\n
a4 FETCH 1:* (FLAGS)\r\n
a5 LOGOUT\r\n'
  call curl -s -u alice:secret "imap://$SERVER/INBOX?ALL"
  call curl -sk --ssl-reqd -u alice:secret "imap://$SERVER/"
  call curl -s -u alice:wrong "imap://$SERVER/"
  call curl -s -u alice:secret -T "$WORK/dovecot.conf" "imap://$SERVER/INBOX"
  talk 143 '. NOOP\r\n
. LOGOUT\r\n'
  over
  lab pop.dovecot "port 110"
  SETTLE=2 serve dovecot -F -c "$WORK/dovecot.conf"
  talk 110 'USER alice\r\n
PASS secret\r\n
STAT\r\n
UIDL\r\n
QUIT\r\n'
  call curl -s -u alice:secret "pop3://$SERVER/"
  call curl -s -u alice:secret "pop3://$SERVER/1"
  call curl -sk --ssl-reqd -u alice:secret "pop3://$SERVER/"
  call curl -s -u alice:wrong "pop3://$SERVER/"
  over
}

lab_telnet() {
  lab telnet.inetutils "port 23"
  printf 'telnet stream tcp nowait root /usr/sbin/telnetd telnetd\n' >inetd.conf
  serve inetutils-inetd -d "$WORK/inetd.conf"
  { sleep 1; printf 'alice\r'; sleep 1; printf 'secret\r'; sleep 2; } | ip netns exec c timeout 8 inetutils-telnet "$SERVER" >>"$WORK/$NAME.log" 2>&1
  { sleep 1; printf 'root\r'; sleep 1; } | ip netns exec c timeout 8 inetutils-telnet -8 "$SERVER" >>"$WORK/$NAME.log" 2>&1
  LIMIT=3 call curl -s -t USER=alice "telnet://$SERVER"
  over
}

lab_finger() {
  lab finger.fingerd "port 79"
  printf 'finger stream tcp nowait root /usr/sbin/in.fingerd in.fingerd -w\n' >inetd.conf
  serve inetutils-inetd -d "$WORK/inetd.conf"
  local who
  for who in root nobody '' '-l daemon' www-data; do call finger ${who:+${who% *}}"@$SERVER"; done
  over
}

lab_syslog() {
  lab syslog.rsyslog "port 514 or port 601"
  printf 'module(load="imudp")\ninput(type="imudp" port="514")\nmodule(load="imtcp")\ninput(type="imtcp" port="601")\n*.* /dev/null\n' >rsyslog.conf
  serve rsyslogd -n -f "$WORK/rsyslog.conf" -i "$WORK/rsyslog.pid"
  local level
  for level in info err debug; do
    call logger -n "$SERVER" -d -P 514 -p "user.$level" "something happened at $level"
    call logger -n "$SERVER" -d -P 514 -p "local3.$level" --rfc5424 -t app "structured $level"
    call logger -n "$SERVER" -T -P 601 -p "auth.$level" --octet-count --rfc5424 "over a stream"
    call logger -n "$SERVER" -T -P 601 -p "cron.$level" --rfc3164 "over a stream"
  done
  call logger -n "$SERVER" -d -P 514 -p kern.emerg x
  over
}

lab_tftp() {
  lab tftp.tftpd-hpa "udp"
  mkdir -p tftp && head -c 1700 /dev/urandom >tftp/file && touch tftp/up && chmod -R 777 tftp
  serve in.tftpd -L -c -s "$WORK/tftp"
  call curl -s -o /dev/null "tftp://$SERVER/file"
  call curl -s --tftp-blksize 1024 -o /dev/null "tftp://$SERVER/file"
  call curl -s --tftp-no-options -o /dev/null "tftp://$SERVER/nothing"
  call curl -s -T "$WORK/cert.pem" "tftp://$SERVER/up"
  call sh -c "printf 'mode netascii\nget file\n' | tftp $SERVER"
  over
}

lab_repositories() {
  mkdir -p repo
  git init -q --bare repo/a.git
  git -C repo/a.git config core.logAllRefUpdates false
  lab git.git "port 9418"
  serve git daemon --reuseaddr --export-all --base-path="$WORK/repo" "$WORK/repo"
  call git ls-remote "git://$SERVER/a.git"
  call git -c protocol.version=0 ls-remote "git://$SERVER/a.git"
  call git clone -q "git://$SERVER/a.git" "$WORK/copy"
  call git ls-remote "git://$SERVER/nothing.git"
  over
  lab svn.subversion "port 3690"
  svnadmin create repo/s
  serve svnserve -d --foreground -r "$WORK/repo"
  call svn ls "svn://$SERVER/s"
  call svn checkout -q "svn://$SERVER/s" "$WORK/checkout"
  call svn log "svn://$SERVER/nothing"
  over
  lab rsync.rsync "port 873"
  printf 'use chroot = no\nuid = root\n[repo]\npath = %s\n' "$WORK/repo" >rsyncd.conf
  serve rsync --daemon --no-detach --config="$WORK/rsyncd.conf"
  call rsync "rsync://$SERVER/"
  call rsync -a "rsync://$SERVER/repo/a.git" "$WORK/r"
  call rsync "rsync://$SERVER/nothing/"
  over
}

lab_x11() {
  lab x11.xvfb "port 6001"
  SETTLE=2 serve Xvfb :1 -listen tcp -ac
  LIMIT=3 call env DISPLAY="$SERVER:1" xlsclients
  LIMIT=3 call env DISPLAY="$SERVER:1" xdpyinfo
  LIMIT=3 call env DISPLAY="$SERVER:1" xclock
  over
  lab vnc.tigervnc "port 5901"
  SETTLE=3 serve Xvnc :1 -SecurityTypes None -rfbport 5901
  client vnc_client.py "$SERVER" 5901
  over
}

lab_rdp() {
  lab rdp.xrdp "port 3389"
  SETTLE=2 serve xrdp -n
  LIMIT=5 call xvfb-run -a xfreerdp /v:"$SERVER" /u:alice /p:secret /cert:ignore /sec:rdp
  LIMIT=5 call xvfb-run -a xfreerdp /v:"$SERVER" /u:alice /p:secret /cert:ignore /sec:tls
  LIMIT=5 call xvfb-run -a xfreerdp /v:"$SERVER" /u:alice /p:secret /cert:ignore
  over
}

lab_ftp() {
  lab ftp.vsftpd "port 21"
  mkdir -p ftp && chmod 555 ftp && seq 2000 >ftp/numbers && head -c 3000 /dev/urandom >ftp/noise
  printf 'listen=YES\nanonymous_enable=YES\nanon_root=%s\nbackground=NO\nsecure_chroot_dir=%s/ftp\npasv_min_port=40000\npasv_max_port=40010\nno_anon_password=YES\nseccomp_sandbox=NO\n' "$WORK/ftp" "$WORK" >vsftpd.conf
  mkdir -p /run/vsftpd/empty
  serve vsftpd "$WORK/vsftpd.conf"
  ftp_session
  over
  lab ftp-data.vsftpd "portrange 40000-40010 or port 20"
  serve vsftpd "$WORK/vsftpd.conf"
  ftp_session
  over
}

ftp_session() {
  local file
  for file in '' numbers noise nothing; do
    call curl -s -o /dev/null "ftp://$SERVER/$file"
    call curl -s -o /dev/null --ftp-port - "ftp://$SERVER/$file"
    call curl -s -o /dev/null --disable-epsv -l -u ftp:a@example.org "ftp://$SERVER/$file"
  done
  call curl -s -u alice:secret "ftp://$SERVER/"
}
