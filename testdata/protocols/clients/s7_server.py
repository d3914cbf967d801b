import time

from snap7.server import Server
from snap7.type import SrvArea

server = Server()
server.register_area(SrvArea.DB, 1, bytearray(100))
server.start(tcp_port=1102)
time.sleep(60)
