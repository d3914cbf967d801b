"""NULL calls and an NFSv4 compound, over both transports (RFC 5531, RFC 7530)."""
import socket
import struct
import sys


def call(xid, version, procedure, body=b""):
    return struct.pack(">IIIIII", xid, 0, 2, 100003, version, procedure) + \
        struct.pack(">IIIIIIIII", 1, 24, 0, 4, 0x6C616200, 0, 0, 1, 0) + bytes(8) + body


PUTROOTFH_GETATTR = struct.pack(">IIIIIIII", 0, 0, 2, 24, 9, 1, 0x10, 0)[:28]
for attempt in range(4):
    with socket.create_connection((sys.argv[1], 2049), 3) as s:
        for xid, (version, procedure, body) in enumerate([(4, 0, b""), (4, 1, PUTROOTFH_GETATTR), (3, 0, b""), (3, 1, struct.pack(">I", 8) + bytes(8))][attempt:], 77):
            message = call(xid, version, procedure, body)
            s.sendall(struct.pack(">I", 0x80000000 | len(message)) + message)
            s.recv(1000)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(1)
    for xid, body in enumerate((struct.pack(">I", 8) + bytes(8), b""), 99):
        s.sendto(call(xid, 3, 1 if body else 0, body), (sys.argv[1], 2049))
        try:
            s.recv(1000)
        except OSError as e:
            print(repr(e))
