"""Passive checks of the agent, and its active ones taken in."""
import socket
import struct
import sys
import threading


def packet(text):
    return b"ZBXD\x01" + struct.pack("<Q", len(text)) + text


def active():
    with socket.create_server(("0.0.0.0", 10051)) as listener:
        for _ in range(2):
            s, _ = listener.accept()
            print(s.recv(1000))
            s.sendall(packet(b'{"response":"success","data":[]}'))
            s.close()


threading.Thread(target=active, daemon=True).start()
for key in (b"agent.ping", b"system.uname", b"no.such.key", b"agent.version"):
    with socket.create_connection((sys.argv[1], 10050), 3) as s:
        s.sendall(packet(key))
        print(s.recv(1000))
