# shellcheck shell=bash disable=SC2034,SC2154
# Plants, buildings, vehicles and small devices. Sourced by make.sh.

lab_opcua() {
  lab opcua.asyncua "port 4840"
  SETTLE=4 serve "$PYTHON" "$HERE/clients/opcua_server.py"
  LIMIT=20 client opcua_client.py "$SERVER"
  over
}

lab_modbus() {
  lab modbus.pymodbus "port 5020"
  SETTLE=2 serve "$PYTHON" "$HERE/clients/modbus_server.py"
  client modbus_client.py "$SERVER"
  over
}

lab_iec104() {
  lab iec60870_104.c104 "port 2404"
  SETTLE=2 serve "$PYTHON" "$HERE/clients/iec104_server.py"
  client iec104_client.py "$SERVER"
  over
}

lab_bacnet() {
  lab bacnet.bacpypes3 "udp port 47808"
  SETTLE=3 serve "$PYTHON" "$HERE/clients/bacnet_server.py" "$SERVER/24"
  LIMIT=15 client bacnet_client.py "$CLIENT/24" "$SERVER"
  over
}

lab_coap() {
  lab coap.libcoap "udp port 5683"
  serve coap-server-notls -A "$SERVER" -d 5
  local path
  for path in '' time .well-known/core nope async; do
    LIMIT=3 call coap-client-notls -B 2 "coap://$SERVER/$path"
  done
  LIMIT=3 call coap-client-notls -B 2 -m put -e 12 -t text/plain "coap://$SERVER/new"
  LIMIT=3 call coap-client-notls -B 2 -N "coap://$SERVER/time"
  LIMIT=3 call coap-client-notls -B 2 -m delete -T ab "coap://$SERVER/new"
  LIMIT=3 call coap-client-notls -B 2 -s 2 -T longtoken "coap://$SERVER/time"
  over
  lab coap.aiocoap "udp port 5683"
  SETTLE=2 serve "$PYTHON" "$HERE/clients/coap_server.py" "$SERVER"
  client coap_client.py "$SERVER"
  over
}

lab_synphasor() {
  lab synphasor.pypmu "port 4712"
  SETTLE=2 serve "$PYTHON" "$HERE/clients/pmu_server.py"
  LIMIT=5 client pmu_client.py "$SERVER"
  over
}

lab_s7() {
  lab s7comm.snap7 "port 1102"
  SETTLE=2 serve "$PYTHON" "$HERE/clients/s7_server.py"
  client s7_client.py "$SERVER"
  over
}

lab_doip() {
  lab doip.doipclient "port 13400"
  serve nc -lk -p 13400
  LIMIT=5 client doip_client.py "$SERVER"
  over
}

lab_someip() {
  lab someip.python-someip "udp port 30490 or udp port 30509"
  LIMIT=5 client someip_client.py "$CLIENT" "$SERVER"
  over
}

lab_ptp() {
  lab ptp.linuxptp "udp port 319 or udp port 320"
  serve ptp4l -S -4 -i v1 -m --priority1=10
  LIMIT=8 call ptp4l -S -4 -s -i v0 -m --free_running=1
  over
  lab ptp.linuxptp-p2p "udp port 319 or udp port 320"
  serve ptp4l -S -6 -P -i v1 -m --priority1=10
  LIMIT=8 call ptp4l -S -6 -P -s -i v0 -m --free_running=1
  over
}

lab_ipmi() {
  lab rmcp.ipmitool "udp port 623"
  serve nc -luk -p 623
  LIMIT=4 call ipmitool -I lanplus -H "$SERVER" -U a -P b -R 1 -N 1 chassis status
  LIMIT=4 call ipmitool -I lan -H "$SERVER" -U a -P b -R 1 -N 1 chassis status
  over
}
