"""What no protocol is: random bytes, as of ciphers without a header, and
counters and readings of home-made protocols, over both transports."""
import os
import random
import socket
import struct
import sys
import threading

random.seed(7)


def echo(server):
    while True:
        s, _ = server.accept()
        threading.Thread(target=lambda s=s: s.sendall(os.urandom(len(s.recv(4096)) or 1)), daemon=True).start()


def message(kind, i):
    if kind < 6:
        return os.urandom(random.randint(8, 1200))
    if kind == 6:
        return struct.pack("<IId", i, random.getrandbits(32), random.random())
    if kind == 7:
        return b"T%.2f;H%.1f;#%d\n" % (random.random() * 40, random.random() * 100, i)
    if kind == 8:
        return bytes([random.randint(0, 255)]) * random.randint(4, 200)
    return struct.pack(">BH", 0xA5, i) + os.urandom(random.randint(2, 40)) + b"\x5a"


for number in range(60):
    kind = number % 10
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for i in range(3):
            s.sendto(message(kind, i), (sys.argv[1], 7001))
