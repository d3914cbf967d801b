import asyncio

from asyncua import Server


async def main():
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://0.0.0.0:4840/lab")
    space = await server.register_namespace("http://lab.example.org")
    box = await server.nodes.objects.add_object(space, "Box")
    await (await box.add_variable(space, "Level", 1.5)).set_writable()
    async with server:
        await asyncio.sleep(60)

asyncio.run(main())
