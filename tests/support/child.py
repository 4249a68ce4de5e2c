"""Child processes for tests: started with an environment of their own, always ended."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

# Below the ports that the system gives to outgoing connections, one of which could take a chosen port before its process does.
FIRST_PORT, PORTS = 20_000, 12_000
TESTS = Path(__file__).parent.parent
CONFIGURATION = """
version: 1
sites:
  acme-test: {time_zone: Europe/Amsterdam, division: 123456}
divisions:
  123456:
    name: Acme B.V.
    journals: {invoices: 70, credit_notes: 71, payments: 90}
    receivable_account: 1300
"""


def free_port() -> int:
    """Return a port that was free a moment ago."""
    while True:
        port = FIRST_PORT + secrets.randbelow(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Child:
    """A running process and what it said."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self._output = b""

    async def ended(self, seconds: float = 30) -> int:
        """Wait for the end and return the exit code (minus the signal's number when it was killed)."""
        async with asyncio.timeout(seconds):
            _, errors = await self.process.communicate()
        self._output += errors
        return self.process.returncode or 0

    @property
    def said(self) -> str:
        """What it wrote to standard error until it ended, or as far as `says` read it."""
        return self._output.decode()

    async def says(self, words: str, times: int = 1, seconds: float = 60) -> None:
        """Wait until it has said something so often on standard error, however long it takes to start."""
        assert self.process.stderr is not None
        async with asyncio.timeout(seconds):
            while self.said.count(words) < times:
                line = await self.process.stderr.readline()
                assert line, f"it ended and said {self.said!r}"
                self._output += line

    def terminate(self) -> None:
        """Ask it to stop, as Kubernetes does."""
        self.process.send_signal(signal.SIGTERM)

    async def get(self, path: str, seconds: float = 60) -> httpx.Response:
        """Ask over HTTP, patiently while it starts."""
        async with asyncio.timeout(seconds), httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as client:
            while True:
                with suppress(httpx.TransportError):
                    return await client.get(path)
                await asyncio.sleep(0.05)

    async def holding(self, gauge: str) -> set[int]:
        """The parts (divisions, partitions) that the process says it holds."""
        lines = (await self.get("/metrics")).text.splitlines()
        return {int(line.split('"')[1]) for line in lines if line.startswith(f"{gauge}{{") and line.endswith(" 1.0")}


async def shared(replicas: Sequence[Child], gauge: str, loads: list[int]) -> list[Child]:
    """Wait until these processes hold so many parts and none twice, and return them by how many, fewest first."""
    async with asyncio.timeout(30):
        while True:
            held = [await replica.holding(gauge) for replica in replicas]
            if sorted(map(len, held)) == loads and len(set().union(*held)) == sum(loads):
                return [replica for _, replica in sorted(zip(map(len, held), replicas, strict=True), key=lambda each: each[0])]
            await asyncio.sleep(0.4)


@asynccontextmanager
async def child(*arguments: str, directory: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[Child]:
    """Run `python <arguments>` on SQLite in `directory` unless the settings say otherwise; killed at the end if it still runs."""
    port = free_port()
    configuration = directory / "kruispost.yaml"
    if not configuration.exists():
        configuration.write_text(CONFIGURATION, encoding="utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KRUISPOST_")},
        "KRUISPOST_CONFIG": str(configuration),
        "KRUISPOST_DATA_DIR": str(directory / "data"),
        "KRUISPOST_PORT": str(port),
        "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(TESTS)))),
        **(settings or {}),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield Child(process, port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
