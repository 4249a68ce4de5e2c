"""Bytes that go to the kernel in the moment in which they are found to be in time, not some turns of the event loop later.

A loop such as uvloop keeps what is written until the end of its round, so that a process which is stopped (SIGSTOP, a sleeping
machine) in between would send it when it wakes, long after another writer took its place and sent the same. Reading, connecting,
proxies and TLS stay the libraries'.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

import anyio
import httpcore
import httpx
from anyio.abc import ByteStream, SocketAttribute

# Asked before the first byte of each write of the call that is made in this context; it raises where the call is too late.
before_bytes: ContextVar[Callable[[], None]] = ContextVar("before_bytes", default=lambda: None)


class PromptStream(ByteStream):
    """A connected stream whose bytes are written by a socket of its own; everything else is the stream's."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        # Its own number, since a loop lets nobody else wait for one that it serves.
        self._out = socket.socket(fileno=os.dup(stream.extra(SocketAttribute.raw_socket).fileno()))  # noqa: S610 - no Django

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """What is known of the connection."""
        return self._stream.extra_attributes

    async def send(self, item: bytes) -> None:
        """Write all of it; raises what `before_bytes` raises before anything is written."""
        left = memoryview(item)
        while left:
            if len(left) == len(item):
                before_bytes.get()()
            try:
                left = left[self._out.send(left) :]
            except BlockingIOError:
                await anyio.wait_writable(self._out)
            except OSError as error:
                raise anyio.BrokenResourceError from error

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Read what has come."""
        return await self._stream.receive(max_bytes)

    async def send_eof(self) -> None:
        """Say that nothing more is written."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the connection."""
        self._out.close()
        await self._stream.aclose()


class _PromptBackend(httpcore.AnyIOBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's own
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        connected: Any = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        connected._stream = PromptStream(connected._stream)  # noqa: SLF001 - TLS and time-outs go on around it
        return connected  # type: ignore[no-any-return]  # its class is not among what the library shows


def send_promptly(http: httpx.AsyncClient) -> None:
    """Let a client write by prompt streams, by whatever way (also a proxy's) it reaches its host."""
    for transport in (http._transport, *http._mounts.values()):  # noqa: SLF001 - it takes no backend itself
        if isinstance(transport, httpx.AsyncHTTPTransport):
            transport._pool._network_backend = _PromptBackend()  # noqa: SLF001 - as above; a test notices when it moves
