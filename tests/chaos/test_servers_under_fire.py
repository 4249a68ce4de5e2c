"""PostgreSQL and RabbitMQ are killed and restarted under load, each by itself and both at once: the books are the same.

Both are servers of our own. Every service is a process of its own, which must live through all of it: it waits, says why in its
log, and goes on. `make test` does the worst once, `make chaos` all of it, again and again.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.month import report_of
from support.servers import Servers, own_servers

EVERYWHERE = os.environ.get("KRUISPOST_CHAOS") == "everywhere"
DOCUMENTS, PLAY_SECONDS, ROUNDS = (400, 480, 3) if EVERYWHERE else (30, 20, 1)
# Where others use the machine the writer books a document in ten seconds: what was counted and did not leave at once is not sent.
PATIENCE_SECONDS = 4_200.0 if EVERYWHERE else 600.0
FIRST_DOCUMENTS = 5
STILL_SECONDS = 20.0
SERVICES = ("ingest", "mapper", "exact-writer", "payment-matcher", "console")

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(5_400 if EVERYWHERE else 900)]


async def both_killed(servers: Servers) -> None:
    await asyncio.gather(servers.database.kill(), servers.broker.kill())
    await asyncio.gather(servers.database.start(), servers.broker.start())


async def both_restarted(servers: Servers) -> None:
    await asyncio.gather(servers.database.shut_down(), servers.broker.shut_down())
    await asyncio.gather(servers.database.start(), servers.broker.start())


async def database_killed(servers: Servers) -> None:
    await servers.database.kill()
    await servers.database.start()


async def database_restarted(servers: Servers) -> None:
    await servers.database.shut_down()
    await servers.database.start()


async def broker_killed(servers: Servers) -> None:
    await servers.broker.kill()
    await servers.broker.start()


async def broker_killed_while_it_starts(servers: Servers) -> None:
    await broker_killed(servers)
    await broker_killed(servers)


async def broker_restarted(servers: Servers) -> None:
    await servers.broker.shut_down()
    await servers.broker.start()


async def broker_stands_still(servers: Servers) -> None:
    servers.broker.stand_still()
    await asyncio.sleep(STILL_SECONDS)
    servers.broker.go_on()


Fault = Callable[[Servers], Awaitable[None]]
FEW: list[Fault] = [both_killed]
ALL: list[Fault] = [
    *(database_killed, database_restarted, broker_killed, broker_killed_while_it_starts, broker_restarted),
    *(broker_stands_still, both_killed, both_restarted),
]


class Play:
    """The demo's month, which goes on by itself."""

    def __init__(self, directory: Path, process: asyncio.subprocess.Process) -> None:
        self.directory, self._process = directory, process

    async def until(self, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for something in the progress that Chargebee tells of."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                assert self._process.returncode is None, [each.decode() for each in await self._process.communicate()]
                if (progress := await self._progress()) is not None and is_so(progress):
                    return progress
                await asyncio.sleep(0.2)

    async def _progress(self) -> dict[str, Any] | None:
        log = self.directory / "world.log"
        first = log.read_text().partition("\n")[0] if log.exists() else ""
        if not first.startswith("{"):
            return None
        url = f"http://127.0.0.1:{json.loads(first)['chargebee_port']}/_simulator/progress"
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            with suppress(httpx.TransportError):
                return dict((await client.get(url)).json())
        return None

    async def ended(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end."""
        out, errors = await self._process.communicate()
        return subprocess.CompletedProcess("demo", self._process.returncode or 0, out.decode(), errors.decode())

    def log(self, service: str) -> list[dict[str, Any]]:
        """What a service logged; a line that is no JSON is a failure of the service's own."""
        return [json.loads(line) for line in (self.directory / f"{service}.log").read_text().splitlines()]


@asynccontextmanager
async def playing(directory: Path, servers: Servers) -> AsyncIterator[Play]:
    """Play a month on these servers."""
    options = ["--engine", "rabbitmq", "--documents", str(DOCUMENTS), "--play-seconds", str(PLAY_SECONDS)]
    command = ["-m", "console", "demo", "--directory", str(directory), *options, "--patience-seconds", str(PATIENCE_SECONDS)]
    out = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command, *(["--pdfs"] if EVERYWHERE else [])),
        env={**os.environ, **servers.environment},
        stdout=out,
        stderr=out,
    )
    try:
        yield Play(directory, process)
    finally:
        if process.returncode is None:
            process.terminate()  # it ends what it started
            await process.communicate()


async def test_servers_that_die_under_load_change_nothing(tmp_path: Path, tell: Callable[[str], None]) -> None:
    faults = ALL * ROUNDS if EVERYWHERE else FEW
    async with own_servers(tmp_path / "servers") as servers, playing(tmp_path / "demo", servers) as play:
        await play.until(lambda progress: progress["documents_created"] >= FIRST_DOCUMENTS)
        under_load = 0
        for number, fault in enumerate(faults):
            tell(f"{number + 1} of {len(faults)}: {fault.__name__}")
            under_load += not (await play.until(lambda _: True))["finished"]
            await fault(servers)
            await asyncio.sleep(2.0)
        tell("the month is played to its end and compared")
        report = report_of(play.directory, await play.ended())
    assert under_load * 2 >= len(faults), "too little of it happened under load"
    assert report["restarts"] == {}, "a service died with a server"
    for service in SERVICES:
        lines = play.log(service)
        assert any("waits" in line["event"] or "waiting" in line["event"] or "reconnects" in line["event"] for line in lines)
        loud = [line for line in lines if line["level"] in ("error", "critical") or "exception" in line]
        assert not loud, f"{service}: {json.dumps(loud[:3], indent=1)}"
