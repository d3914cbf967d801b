import asyncio
import sys

import slixmpp


async def main():
    for password in ("secret", "wrong"):
        c = slixmpp.ClientXMPP("alice@s.example.org", password)
        c["feature_mechanisms"].unencrypted_plain = True
        c.enable_starttls = password == "wrong"
        c.add_event_handler("session_start", lambda _: (c.send_presence(), c.send_message("bob@s.example.org", "hello"), c.disconnect(wait=1)))
        c.connect(sys.argv[1], 5222)
        await asyncio.sleep(3)
        c.disconnect()

asyncio.run(main())
