import asyncio
import sys

from asyncua import Client


async def main():
    url = f"opc.tcp://{sys.argv[1]}:4840/lab"
    print(await Client(url).connect_and_get_server_endpoints())
    for i in range(3):
        async with Client(url) as c:
            space = await c.get_namespace_index("http://lab.example.org")
            level = await c.nodes.objects.get_child([f"{space}:Box", f"{space}:Level"])
            for value in (1.0, 2.0):
                await level.write_value(value)
                await level.read_value()
            if i == 2:
                await c.nodes.server.get_children()
    try:
        await Client(url + "/nothing", timeout=1).connect()
    except Exception as e:
        print(repr(e))

asyncio.run(main())
