"""NAT-PMP (RFC 6886) and PCP (RFC 6887) requests to a real server."""
import socket
import struct
import sys

address = socket.inet_pton(socket.AF_INET6, "::ffff:10.99.0.1")
for request in (b"\0\0", struct.pack(">BBHHHI", 0, 1, 0, 5000, 5000, 60), struct.pack(">BBHHHI", 0, 2, 0, 5001, 5001, 60),
                struct.pack(">BBHI", 2, 0, 0, 0) + address,
                struct.pack(">BBHI", 2, 1, 0, 60) + address + b"n" * 12 + struct.pack(">BBHHH", 6, 0, 0, 5002, 5002) + address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.7)
        s.connect((sys.argv[1], 5351))
        for _ in range(2):
            s.send(request)
            try:
                print(s.recv(100))
            except OSError as e:
                print(repr(e))
