"""The relay of a demo as a program: between the service and the simulator, with levers by socket.

`python -m tollkeeper.proving.relaying PORT UPSTREAM_PORT CONTROL_PORT`, all on loopback. A line of
JSON on the control port sets all levers: a list of `network.Lever`.
"""

import asyncio
import sys

import msgspec

from tollkeeper.proving.network import Lever, Relay


async def relay(port: int, upstream: int, control: int) -> None:
    """Relays until the process ends."""
    made = Relay(("127.0.0.1", upstream), port=port)
    await made.start()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            made.levers[:] = msgspec.json.decode(line, type=list[Lever])
            writer.write(b"done\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", control)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(relay(*map(int, sys.argv[1:4])))
