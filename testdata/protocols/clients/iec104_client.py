import sys
import time

import c104

for init in (c104.Init.ALL, c104.Init.INTERROGATION, c104.Init.NONE):
    client = c104.Client()
    connection = client.add_connection(ip=sys.argv[1], port=2404, init=init)
    station = connection.add_station(common_address=47)
    station.add_point(io_address=11, type=c104.Type.M_ME_NC_1)
    command = station.add_point(io_address=12, type=c104.Type.C_SC_NA_1)
    client.start()
    time.sleep(1.5)
    command.value = True
    command.transmit(cause=c104.Cot.ACTIVATION)
    time.sleep(1)
    client.stop()
