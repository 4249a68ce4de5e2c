"""A web server that receives webhooks on a real port, and can refuse them."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Receiver:
    """What was received: `events` in order of arrival, also refused ones; `answers` are used up first, then 200."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[int] = []
        self.port = 0
        self.arrived = asyncio.Event()

    @property
    def url(self) -> str:
        """Where to send to."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.events.append(json.loads(await request.body()))
        self.headers.append(dict(request.headers))
        status = self.answers.pop(0) if self.answers else 200
        await Response(status_code=status)(scope, receive, send)
        self.arrived.set()

    async def wait_for(self, count: int, seconds: float = 10.0) -> list[dict[str, Any]]:
        """Wait until that many deliveries arrived; raises TimeoutError when they do not come."""
        async with asyncio.timeout(seconds):
            while len(self.events) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.events


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds that nobody announces; raises TimeoutError when it never does."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the simulator has no event for its tests' questions
            await asyncio.sleep(0.01)


def basic(username: str, password: str) -> str:
    """The header of Basic auth."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Serve a receiver in this event loop on a free port, and end it afterwards."""
    receiver = Receiver()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    receiver.port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(receiver, log_level="critical", lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if serving.done():
                await serving
            await asyncio.sleep(0.01)
        yield receiver
    finally:
        server.should_exit = True
        await serving
        listener.close()
