import asyncio
import sys

import aiocoap


async def main():
    for code, path, kind in [(aiocoap.GET, "level", aiocoap.CON), (aiocoap.PUT, "level", aiocoap.CON), (aiocoap.GET, "nothing", aiocoap.NON),
                             (aiocoap.GET, ".well-known/core", aiocoap.CON), (aiocoap.POST, "level", aiocoap.NON)]:
        context = await aiocoap.Context.create_client_context()
        request = aiocoap.Message(code=code, uri=f"coap://{sys.argv[1]}/{path}", mtype=kind, payload=b"2.5" if code != aiocoap.GET else b"")
        for _ in range(2):
            await asyncio.wait_for(context.request(request.copy()).response, 3)
        await context.shutdown()

asyncio.run(main())
