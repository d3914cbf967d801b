import asyncio
import sys

from bacpypes3.app import Application
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.pdu import Address
from bacpypes3.primitivedata import ObjectIdentifier


async def main():
    app = Application.from_object_list([
        DeviceObject(objectIdentifier=("device", 8), objectName="client", vendorIdentifier=999),
        NetworkPortObject(sys.argv[1], objectIdentifier=("network-port", 1), objectName="port")])
    print(await app.who_is(0, 100))
    for name in ("present-value", "object-name", "no-such-property"):
        try:
            print(await app.read_property(Address(sys.argv[2]), ObjectIdentifier("analog-value,1"), name))
        except BaseException as e:
            print(repr(e))
    try:
        print(await app.read_property(Address(sys.argv[2]), ObjectIdentifier("device,7"), "object-list"))
    except BaseException as e:
        print(repr(e))

asyncio.run(main())
