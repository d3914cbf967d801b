import threading
import time

import zmq

context = zmq.Context()
reply = context.socket(zmq.REP)
reply.bind("tcp://*:5555")
publish = context.socket(zmq.PUB)
publish.bind("tcp://*:5556")


def publisher():
    while True:
        publish.send_string("news")
        time.sleep(0.2)


threading.Thread(target=publisher, daemon=True).start()
while True:
    reply.send(reply.recv())
