"""HTTP/2 in the clear to a real server, by its preface and a request."""
import sys
import socket

with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as s:
    s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("00000c040000000000000300000064000400100000"))
    print(s.recv(1000))
    s.sendall(bytes.fromhex("000000040100000000"))
    print(s.recv(1000))
