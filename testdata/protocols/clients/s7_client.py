import sys

from snap7.client import Client

for rack, slot in ((0, 1), (0, 2), (1, 0)):
    c = Client()
    c.connect(sys.argv[1], rack, slot, 1102)
    c.db_read(1, 0, 10)
    c.db_write(1, 0, bytearray(b"ab"))
    try:
        c.db_read(9, 0, 10)
        c.get_cpu_state()
    except Exception as e:
        print(repr(e))
    c.disconnect()
