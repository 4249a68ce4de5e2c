"""The Exact Online stand-in on a real socket, in the test's own event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from simulators.exact.app import Simulator, create_app
from simulators.exact.settings import ExactSettings

DIVISION = 100002


class ExactServer:
    """Where it listens, its insides, and its control interface."""

    def __init__(self, url: str, simulator: Simulator, http: httpx.AsyncClient) -> None:
        self.url = url
        self.simulator = simulator
        self._http = http

    async def control(self, path: str, **body: Any) -> Any:
        """Change something as the outside world would."""
        answer = await self._http.post(f"/_simulator/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def fault(self, fault: str, **how: Any) -> None:
        """Let the next fitting call go wrong."""
        await self.control("faults", fault=fault, **how)

    async def ledger(self, division: int = DIVISION) -> Any:
        """The books of the test division or of another one, in cents."""
        return (await self._http.get("/_simulator/ledger", params={"division": division})).json()

    async def calls(self) -> Any:
        """What was asked of it."""
        return (await self._http.get("/_simulator/calls")).json()

    async def until_called(self, what: str, count: int, seconds: float = 40) -> None:
        """Wait until so many calls of a kind were counted."""
        async with asyncio.timeout(seconds):
            while (await self.calls())[what] < count:  # noqa: ASYNC110 - the stand-in counts, it does not notify
                await asyncio.sleep(0.02)

    async def booked(self, division: int = DIVISION) -> list[str]:
        """The references of all entries, by which a double booking would show."""
        return sorted(entry["your_ref"] for entry in (await self.ledger(division))["entries"])


@asynccontextmanager
async def exact_server(**settings: Any) -> AsyncIterator[ExactServer]:
    """Run a stand-in whose language is Dutch and whose limits are wide unless told otherwise."""
    wide = {"minute_limit": 10_000, "minute_seconds": 1.0, "day_limit": 1_000_000}
    app = create_app(ExactSettings(**{**wide, **settings}))
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server._serve([listening]))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=url) as http:
            yield ExactServer(url, app.state.simulator, http)
    finally:
        server.should_exit = True
        await serving
        listening.close()
        await app.state.simulator.webhooks.stop()
