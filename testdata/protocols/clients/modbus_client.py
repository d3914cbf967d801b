import sys

from pymodbus.client import ModbusTcpClient

calls = [lambda c: c.read_holding_registers(0, count=10), lambda c: c.read_coils(1, count=8), lambda c: c.write_register(3, 4),
         lambda c: c.write_registers(3, [1, 2, 3]), lambda c: c.read_input_registers(5, count=2), lambda c: c.write_coil(1, True),
         lambda c: c.read_discrete_inputs(1, count=3), lambda c: c.read_holding_registers(9000, count=5), lambda c: c.read_device_information()]
for i, call in enumerate(calls):
    with ModbusTcpClient(sys.argv[1], port=5020) as c:
        for j in (0, i % 3, 1):
            call(c)
            calls[j](c)
