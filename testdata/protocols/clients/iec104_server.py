import time

import c104

server = c104.Server(ip="0.0.0.0", port=2404)
station = server.add_station(common_address=47)
station.add_point(io_address=11, type=c104.Type.M_ME_NC_1, report_ms=500)
station.add_point(io_address=12, type=c104.Type.C_SC_NA_1)
server.start()
time.sleep(60)
