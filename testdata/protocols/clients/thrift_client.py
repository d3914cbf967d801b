import sys

from thrift.protocol import TBinaryProtocol, TCompactProtocol
from thrift.Thrift import TMessageType, TType
from thrift.transport import TSocket, TTransport

for port, wrap, kind in [(9090, TTransport.TBufferedTransport, TBinaryProtocol.TBinaryProtocol),
                         (9091, TTransport.TFramedTransport, TBinaryProtocol.TBinaryProtocol),
                         (9092, TTransport.TFramedTransport, TCompactProtocol.TCompactProtocol)]:
    for name in ("ping", "get_user", "listProducts", "add"):
        transport = wrap(TSocket.TSocket(sys.argv[1], port))
        transport.open()
        p = kind(transport)
        for number in range(3):
            p.writeMessageBegin(name, TMessageType.CALL, number)
            p.writeStructBegin("args")
            p.writeFieldBegin("id", TType.I32, 1)
            p.writeI32(number)
            p.writeFieldEnd()
            p.writeFieldStop()
            p.writeStructEnd()
            p.writeMessageEnd()
            p.trans.flush()
            p.readMessageBegin()
            p.skip(TType.STRUCT)
            p.readMessageEnd()
        transport.close()
