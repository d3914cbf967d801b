from pymodbus.server import StartTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

StartTcpServer(SimDevice(0, simdata=[SimData(0, values=7, count=200, datatype=DataType.REGISTERS)]), address=("0.0.0.0", 5020))
