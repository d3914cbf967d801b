"""Binary memcached requests, as no client in Debian speaks them any more."""
import socket
import struct
import sys

with socket.create_connection((sys.argv[1], 11211), 5) as s:
    for opcode, key, extras, value in [(1, b"a", bytes(8), b"hello"), (0, b"a", b"", b""), (0x0b, b"", b"", b""), (4, b"a", b"", b"")]:
        s.sendall(struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0, 0, len(key) + len(extras) + len(value), 7, 0)
                  + extras + key + value)
        s.recv(4096)
