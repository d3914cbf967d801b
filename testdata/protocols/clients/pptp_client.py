"""Start-Control-Connection-Request of RFC 2637 section 2.1, by hand."""
import socket
import struct
import sys

with socket.create_connection((sys.argv[1], 1723), 5) as s:
    s.sendall(struct.pack(">HHIHHHHIIHH64s64s", 156, 1, 0x1A2B3C4D, 1, 0, 0x100, 0, 3, 3, 0, 1, b"client", b"lab"))
    print(s.recv(200))
    s.sendall(struct.pack(">HHIHHHHIIIIHHI64s64s", 168, 1, 0x1A2B3C4D, 7, 0, 1, 1, 300, 100000000, 3, 3, 64, 0, 0, b"", b"")[:168])
    print(s.recv(200))
