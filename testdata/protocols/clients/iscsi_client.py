"""Discovery login (RFC 7143 section 11.12) to a real target."""
import socket
import struct
import sys

keys = b"InitiatorName=iqn.2026-01.org.example:c\0SessionType=Discovery\0AuthMethod=None\0"
for flags in (0x87, 0x81):
    with socket.create_connection((sys.argv[1], 3260), 3) as s:
        s.sendall(struct.pack(">BBBBI6sHIHHII16s", 0x43, flags, 0, 0, len(keys), b"\x00\x02\x3d\x00\x00\x07", 0, 1, 0, 0, 1, 0, b"")
                  + keys + bytes(-len(keys) % 4))
        print(s.recv(1000))
