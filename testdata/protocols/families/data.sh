# shellcheck shell=bash disable=SC2034,SC2154
# Databases, caches and brokers. Sourced by make.sh.

lab_memcached() {
  lab memcache.memcached "port 11211"
  serve memcached -u nobody -U 11211 -l 0.0.0.0
  talk 11211 'set a 0 0 5\r\nhello\r\n
get a\r\n
gets a b\r\n
incr a 1\r\n
delete a\r\n
quit\r\n'
  talk 11211 'version\r\n
stats items\r\n
flush_all\r\n
bogus\r\n'
  talk 11211 'add k1 0 100 2\r\n12\r\nadd k1 0 0 1\r\n1\r\n
append k1 0 0 1\r\n3\r\n
get k1 k2 k3\r\n
cas k1 0 0 1 1\r\n4\r\n
touch k1 9\r\n'
  call sh -c "printf '\0\1\0\0\0\1\0\0get a\r\n' | nc -u -w1 $SERVER 11211"
  call sh -c "printf '\0\2\0\0\0\1\0\0stats\r\n' | nc -u -w1 $SERVER 11211"
  client memcache_binary.py "$SERVER"
  over
}

lab_redis() {
  lab resp.redis "port 6379"
  serve redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --save '' --dir "$WORK" --requirepass ''
  call redis-cli -h "$SERVER" set a 1
  call redis-cli -h "$SERVER" lpush list a b c
  call redis-cli -h "$SERVER" -3 hset h f v
  call redis-cli -h "$SERVER" -a wrong get a
  call redis-cli -h "$SERVER" info server
  call redis-benchmark -h "$SERVER" -n 20 -c 2 -P 4 -t set,get -q
  talk 6379 'PING\r\n
GET a\r\n
NOPE\r\n'
  LIMIT=2 call redis-cli -h "$SERVER" subscribe news
  over
}

lab_mysql() {
  lab mysql.mariadb "port 3306"
  mkdir -p "$WORK/mysql" && mariadb-install-db --no-defaults --user=root --datadir="$WORK/mysql" >/dev/null 2>&1
  SETTLE=4 serve mariadbd --no-defaults --user=root --datadir="$WORK/mysql" --socket="$WORK/mysql.sock" --bind-address=0.0.0.0 \
    --ssl-cert="$WORK/cert.pem" --ssl-key="$WORK/key.pem"
  ip netns exec s mariadb -S "$WORK/mysql.sock" -e "create user u identified by 'p'; grant all on *.* to u; create database shop"
  call mariadb -h "$SERVER" -u u -pp -e 'show databases; select 1'
  call mariadb -h "$SERVER" -u u -pp --skip-ssl shop -e 'create table t(a int); insert into t values(1); select * from t; bogus'
  call mariadb -h "$SERVER" -u u -pwrong -e 'select 1'
  call mariadb -h "$SERVER" -u u -pp --ssl -e 'select 1'
  call mariadb-admin -h "$SERVER" -u u -pp ping
  over
}

lab_mosquitto() {
  lab mqtt.mosquitto "port 1883"
  printf 'listener 1883 0.0.0.0\nallow_anonymous true\n' >mosquitto.conf
  serve mosquitto -c mosquitto.conf
  call mosquitto_pub -h "$SERVER" -t home/temp -m 21
  call mosquitto_pub -h "$SERVER" -V mqttv5 -q 2 -t home/temp -m 22 -r
  call mosquitto_pub -h "$SERVER" -V mqttv31 -q 1 -i '' -u u -P p -t a -m b
  LIMIT=2 call mosquitto_sub -h "$SERVER" -t '#' -k 1
  LIMIT=2 call mosquitto_sub -h "$SERVER" -V mqttv5 -t 'home/+' --will-topic w --will-payload x
  over
}

lab_nats() {
  lab nats.nats-server "port 4222"
  serve nats-server -p 4222
  client nats_client.py "$SERVER"
  talk 4222 'CONNECT {}\r\n
SUB a 1\r\n
PUB a 2\r\nhi\r\n
PING\r\n'
  talk 4222 'BOGUS\r\n'
  over
}

lab_zmq() {
  lab zmtp.libzmq "port 5555 or port 5556"
  serve "$PYTHON" "$HERE/clients/zmq_server.py"
  client zmq_client.py "$SERVER"
  over
}

lab_gearman() {
  lab gearman.gearmand "port 4730"
  serve gearmand -L 0.0.0.0 -p 4730 -u nobody -l "$WORK/gearmand.log"
  (LIMIT=5 call gearman -h "$SERVER" -w -f wc -- wc -l) &
  sleep 1
  echo a | ip netns exec c timeout 5 gearman -h "$SERVER" -f wc >/dev/null 2>&1
  call gearadmin -h "$SERVER" --status
  over
}

lab_etcd() {
  lab http2.etcd "port 2379"
  ETCD_UNSUPPORTED_ARCH='' SETTLE=3 serve etcd --data-dir "$WORK/etcd" --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls "http://$SERVER:2379"
  client grpc_preface.py "$SERVER" 2379
  over
}

lab_thrift() {
  lab thrift.apache-python "port 9090 or port 9091 or port 9092"
  serve "$PYTHON" "$HERE/clients/thrift_server.py"
  client thrift_client.py "$SERVER"
  over
}
