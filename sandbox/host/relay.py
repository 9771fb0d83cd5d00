"""A loopback link: a port of this machine's 127.0.0.1 that leads into a network namespace.

`python -m sandbox.host.relay PORT NAMESPACE HOST:PORT`
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress

from sandbox.host import network
from sandbox.paths import netns_path

CHUNK = 64 * 1024


async def serve(listener: socket.socket, host: str, port: int) -> None:
    """Hand every connection on to host:port, for ever."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        with suppress(ConnectionError):
            await asyncio.gather(_copy(reader, onward[1]), _copy(onward[0], writer))
        writer.close()
        onward[1].close()

    server = await asyncio.start_server(handle, sock=listener)
    await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, until its sender is done; the other direction may go on."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def main(port: str, namespace: str, target: str) -> None:
    """Listen here, then move into the namespace for good: connections are made there."""
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=128)
    network.enter(netns_path(namespace))
    host, _, target_port = target.rpartition(":")
    asyncio.run(serve(listener, host, int(target_port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
