"""A PostgreSQL and a RabbitMQ of our own that can be killed, restarted and stopped where they are, in the middle of the work."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from support.engines import unreachable

import services_debian
from services_debian import CannotStartError, Started

PATIENCE_SECONDS = 60.0


class Server:
    """One server, by its processes."""

    def __init__(self, name: str, started: Started) -> None:
        self.name = name
        self._started = started

    @property
    def url(self) -> str:
        """Where it answers, also after a restart."""
        return self._started.url

    async def kill(self) -> None:
        """Kill it without warning (SIGKILL): PostgreSQL's postmaster, or RabbitMQ's whole node."""
        pid = self._pid()
        if self.name == "postgres":
            os.kill(pid, signal.SIGKILL)  # its backends notice, and end by themselves
        else:
            os.killpg(pid, signal.SIGKILL)
        await asyncio.to_thread(self._has_ended, pid)

    async def shut_down(self) -> None:
        """End it as an operator does: PostgreSQL fast, without waiting for its clients; RabbitMQ with all in its files."""
        pid = self._pid()
        os.kill(pid, signal.SIGINT if self.name == "postgres" else signal.SIGTERM)
        await asyncio.to_thread(self._has_ended, pid)

    async def start(self) -> None:
        """Start it again."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                await asyncio.to_thread(services_debian.start_again, self._started)
            except CannotStartError:
                # PostgreSQL refuses while a backend of the killed one still ends.
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.5)
            else:
                return

    def stand_still(self) -> None:
        """Stop it where it is (SIGSTOP): its connections stay open, and nobody answers."""
        os.killpg(self._pid(), signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on (SIGCONT)."""
        os.killpg(self._pid(), signal.SIGCONT)

    async def lose_data(self) -> None:
        """Shut RabbitMQ down, delete all that it kept, its users included, and start it as if it were new."""
        await self.shut_down()
        await asyncio.to_thread(shutil.rmtree, Path(self._started.directory) / "mnesia")
        await self.start()

    async def controlled(self, *arguments: str, told: str = "") -> None:
        """Give `rabbitmqctl` a command, as an operator does, with this as its input."""
        await asyncio.to_thread(partial(services_debian.control_rabbitmq, self._started, *arguments, told=told))

    async def does(self, expression: str) -> None:
        """Let RabbitMQ's node do what no client can ask of it, in Erlang."""
        await self.controlled("eval", expression)

    def _pid(self) -> int:
        return int(next(iter(self._started.processes)))

    def _has_ended(self, pid: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while services_debian._began(pid):
            assert time.monotonic() < deadline, f"{self.name} does not end"
            time.sleep(0.05)


class Servers:
    """Both."""

    def __init__(self, database: Server, broker: Server) -> None:
        self.database, self.broker = database, broker

    @property
    def environment(self) -> dict[str, str]:
        """What makes the demo use them."""
        return {"KRUISPOST_TEST_DATABASE_URL": self.database.url, "KRUISPOST_TEST_AMQP_URL": self.broker.url}


@asynccontextmanager
async def own_server(name: str, directory: Path) -> AsyncIterator[Server]:
    """Start `postgres` or `rabbitmq` on a free port; nothing that runs already is touched."""
    try:
        started = await asyncio.to_thread(services_debian.start, name, directory, _say_nothing)
    except CannotStartError as error:
        unreachable("A server of our own", error)
    try:
        yield Server(name, started)
    finally:
        await asyncio.to_thread(services_debian.stop, started)


@asynccontextmanager
async def own_servers(directory: Path) -> AsyncIterator[Servers]:
    """Start both."""
    async with own_server("postgres", directory) as database, own_server("rabbitmq", directory) as broker:
        yield Servers(database, broker)


def _say_nothing(_sentence: str) -> None:
    """Nobody reads what is started."""
