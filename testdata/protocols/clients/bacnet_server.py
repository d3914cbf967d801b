import asyncio
import sys

from bacpypes3.app import Application
from bacpypes3.local.analog import AnalogValueObject
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject


async def main():
    app = Application.from_object_list([
        DeviceObject(objectIdentifier=("device", 7), objectName="box", vendorIdentifier=999),
        NetworkPortObject(sys.argv[1], objectIdentifier=("network-port", 1), objectName="port")])
    app.add_object(AnalogValueObject(objectIdentifier=("analog-value", 1), objectName="level", presentValue=1.5))
    await asyncio.sleep(60)

asyncio.run(main())
