"""The Exact stand-in in a process of its own, so that what it keeps is not counted as the writer's memory.

It has no clock: each request brings the instant at which it arrives.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import httpx

from simulators.exact.app import create_app
from simulators.exact.settings import ExactSettings


class Apart(httpx.AsyncBaseTransport):
    """The way to it: one request after the other, as the writer makes them."""

    def __init__(self, pipe: Connection, seconds: Callable[[], float]) -> None:
        self._pipe = pipe
        self._seconds = seconds  # the instant of a request

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        self._pipe.send((self._seconds(), request.method, str(request.url), request.headers.raw, content))
        status, headers, body = self._pipe.recv()
        return httpx.Response(status, headers=headers, content=body)


@contextmanager
def apart(**settings: Any) -> Iterator[Callable[[Callable[[], float]], Apart]]:
    """Run a stand-in with these settings; what is given makes the way to it, by a clock."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, settings), daemon=True)
    process.start()
    try:
        yield lambda seconds: Apart(ours, seconds)
    finally:
        ours.send(None)
        process.join()


def _serve(pipe: Connection, settings: dict[str, Any]) -> None:
    asyncio.run(_answer(pipe, settings))


async def _answer(pipe: Connection, settings: dict[str, Any]) -> None:
    now = 0.0

    def clock() -> float:
        return now

    app = create_app(ExactSettings(**{**settings, "clock": clock}))
    inside = httpx.ASGITransport(app=app)
    while (asked := pipe.recv()) is not None:
        now, method, url, headers, content = asked
        answer = await inside.handle_async_request(httpx.Request(method, url, headers=headers, content=content))
        await answer.aread()
        pipe.send((answer.status_code, answer.headers.raw, answer.content))
    await app.state.simulator.webhooks.stop()
