"""A service of Apache Thrift by hand of its library: binary, framed, compact."""
import threading

from thrift.protocol import TBinaryProtocol, TCompactProtocol
from thrift.server import TServer
from thrift.Thrift import TMessageType, TType
from thrift.transport import TSocket, TTransport


class Echo:
    def process(self, i, o):
        name, _, number = i.readMessageBegin()
        i.skip(TType.STRUCT)
        i.readMessageEnd()
        o.writeMessageBegin(name, TMessageType.REPLY, number)
        o.writeStructBegin("result")
        o.writeFieldBegin("success", TType.STRING, 0)
        o.writeString("hello")
        o.writeFieldEnd()
        o.writeFieldStop()
        o.writeStructEnd()
        o.writeMessageEnd()
        o.trans.flush()


def serve(port, transport, protocol):
    server = TServer.TThreadedServer(Echo(), TSocket.TServerSocket("0.0.0.0", port), transport, protocol, daemon=True)
    threading.Thread(target=server.serve).start()


serve(9090, TTransport.TBufferedTransportFactory(), TBinaryProtocol.TBinaryProtocolFactory())
serve(9091, TTransport.TFramedTransportFactory(), TBinaryProtocol.TBinaryProtocolFactory())
serve(9092, TTransport.TFramedTransportFactory(), TCompactProtocol.TCompactProtocolFactory())
