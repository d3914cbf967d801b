import asyncio
import sys

import nats


async def main():
    c = await nats.connect(f"nats://{sys.argv[1]}:4222")
    s = await c.subscribe("a.*")
    await c.publish("a.b", b"hello")
    await s.next_msg()
    await c.drain()

asyncio.run(main())
