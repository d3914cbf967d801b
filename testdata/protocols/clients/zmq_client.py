import sys

import zmq

context = zmq.Context()
request = context.socket(zmq.REQ)
request.connect(f"tcp://{sys.argv[1]}:5555")
for text in (b"a", b"b" * 300):
    request.send(text)
    request.recv()
subscribe = context.socket(zmq.SUB)
subscribe.connect(f"tcp://{sys.argv[1]}:5556")
subscribe.subscribe("")
for _ in range(3):
    subscribe.recv()
