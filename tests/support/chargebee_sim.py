"""The Chargebee stand-in on a real socket, for tests that speak HTTP to it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from simulators.chargebee.app import ChargebeeSimulator, create_app
from simulators.chargebee.settings import ChargebeeSettings


class RunningChargebee:
    """A simulator that listens at `url`; `app.site` is its state machine."""

    def __init__(self, app: ChargebeeSimulator, url: str) -> None:
        self.app = app
        self.url = url


@asynccontextmanager
async def running_chargebee(
    settings: ChargebeeSettings | None = None, app: ChargebeeSimulator | None = None
) -> AsyncIterator[RunningChargebee]:
    """Serve a Chargebee site in this event loop on a free port, and end it afterwards."""
    app = app or create_app(settings or ChargebeeSettings())
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on", ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if serving.done():
                await serving
            await asyncio.sleep(0.01)
        yield RunningChargebee(app, f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        await serving
        listener.close()
