"""A longer way to a server: a proxy on loopback that hands everything on later."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

_CHUNK = 64 * 1024


@contextmanager
def longer(host: str, port: int, seconds: float) -> Generator[int]:
    """A port of 127.0.0.1 that leads to host:port; there and back takes `seconds` more.

    What is sent is on its way all at once, as on a long line: only the first byte is waited for.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    link = _Link(host, port, seconds / 2)
    server = asyncio.run_coroutine_threadsafe(
        asyncio.start_server(link.handle, "127.0.0.1", 0), loop
    ).result()
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Link:
    def __init__(self, host: str, port: int, delay: float) -> None:
        self._host, self._port, self._delay = host, port, delay

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; that it is made takes a way there and back, too."""
        await asyncio.sleep(2 * self._delay)
        with suppress(OSError):
            onward = await asyncio.open_connection(self._host, self._port)
            try:
                await asyncio.gather(self._carry(reader, onward[1]), self._carry(onward[0], writer))
            finally:
                onward[1].close()
        writer.close()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """One direction, until its sender is done."""
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def arrive() -> None:
            data = b"."
            while data:
                due, data = await under_way.get()
                await asyncio.sleep(due - loop.time())
                if data:
                    sink.write(data)
                    await sink.drain()
                elif sink.can_write_eof():
                    sink.write_eof()

        arriving = asyncio.create_task(arrive())
        data = b"."
        while data:
            data = await source.read(_CHUNK)
            under_way.put_nowait((loop.time() + self._delay, data))
        await arriving


async def _close(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
