"""Handshakes of BEP 3 with a real seeder."""
import hashlib
import re
import socket
import sys

torrent = open(sys.argv[3], "rb").read()
start = torrent.index(b"4:infod") + 6
info = torrent[start:-1]
for length in range(len(info), 0, -1):
    if info[length - 1:length] == b"e" and info[:length].count(b"d") >= 1:
        break
for digest in (hashlib.sha1(info[:length]).digest(), bytes(20)):
    for reserved in (bytes(8), bytes.fromhex("0000000000100005")):
        try:
            with socket.create_connection((sys.argv[1], int(sys.argv[2])), 3) as s:
                s.settimeout(2)
                s.sendall(b"\x13BitTorrent protocol" + reserved + digest + b"-LB0001-" + b"x" * 12)
                print(s.recv(200))
                s.sendall(bytes.fromhex("0000000102"))
                print(s.recv(200))
        except OSError as e:
            print(repr(e))
