"""A TCP proxy on loopback that can cut every connection, stay shut, or be slow, to try what a network or a server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Forwards to one address while it is open."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._open = True
        self.port = 0
        self.accepted = 0
        self.cut_at = b""  # what a client says, at which every connection breaks, before it goes through
        self.cuts = 0  # how often that happens, from now on
        self.delay_seconds = 0.0  # how long each piece of data takes, as with a server that is slow

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection in both directions until either side ends it."""
        if not self._open:
            writer.close()
            return
        try:
            upstream_reader, upstream = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        self.accepted += 1
        self._writers |= {writer, upstream}
        for source, sink in ((reader, upstream), (upstream_reader, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if self.cuts and self.cut_at in data:
                    self.cuts -= 1
                    self.cut()
                    break
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                sink.write(data)
                await sink.drain()
        sink.close()
        self._writers.discard(sink)

    def cut(self) -> None:
        """Break every connection now; new ones still go through."""
        for writer in list(self._writers):
            writer.transport.abort()

    def shut(self) -> None:
        """Break every connection and refuse new ones until reopened."""
        self._open = False
        self.cut()

    def reopen(self) -> None:
        """Let connections through again."""
        self._open = True

    async def end(self) -> None:
        """Break what is left and wait for it."""
        self.shut()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)


@asynccontextmanager
async def proxy_to(host: str, port: int) -> AsyncIterator[Proxy]:
    """Run a proxy to an address on a free port."""
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()
