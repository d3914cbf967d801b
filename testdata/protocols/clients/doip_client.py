"""A tester that is not answered: activation of a route over TCP."""
import sys

from doipclient import DoIPClient

for version in (2, 3):
    try:
        DoIPClient(sys.argv[1], 0x1234, protocol_version=version, auto_reconnect_tcp=False)
    except Exception as e:
        print(repr(e))
