import socket
import sys

for version in (b"RFB 003.008\n", b"RFB 003.003\n", b"RFB 003.007\n"):
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 3) as s:
        s.settimeout(2)
        try:
            s.recv(12)
            s.sendall(version)
            s.recv(64)
            if version != b"RFB 003.003\n":
                s.sendall(b"\x01")
                s.recv(4)
            s.sendall(b"\x01")
            s.recv(200)
            s.sendall(bytes.fromhex("03000000000000640064"))
            s.recv(2000)
        except OSError as e:
            print(repr(e))
