import asyncio
import sys

import aiocoap
from aiocoap import resource


class Level(resource.ObservableResource):
    async def render_get(self, request):
        return aiocoap.Message(payload=b"1.5")

    async def render_put(self, request):
        return aiocoap.Message(code=aiocoap.CHANGED)


async def main():
    root = resource.Site()
    root.add_resource(["level"], Level())
    root.add_resource([".well-known", "core"], resource.WKCResource(root.get_resources_as_linkheader))
    await aiocoap.Context.create_server_context(root, bind=(sys.argv[1], 5683))
    await asyncio.sleep(60)

asyncio.run(main())
