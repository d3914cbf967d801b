"""Queries of BEP 5 to a real node."""
import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(0.5)
    for query in (b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
                  b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:bb1:y1:qe"):
        s.sendto(query, (sys.argv[1], int(sys.argv[2])))
        try:
            print(s.recv(1000))
        except OSError as e:
            print(repr(e))
