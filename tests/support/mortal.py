"""Processes that live in one event loop and can each die as by kill -9: what is not in a file is gone, and nothing else happens.

Everything durable that a process touches (its database, the broker, its locks, its calls) goes through its `Life`. Once that has
ended, every touch raises `KilledError`, so that what still unwinds in memory leaves no trace.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from support.fast_sqlite import InPlace, in_place
from support.virtual_time import WorldClock

from backbone.broker import Outgoing
from backbone.broker_embedded import _SCHEMA, EmbeddedBroker
from backbone.database import Database
from backbone.errors import BrokerUnavailableError
from backbone.settings import Settings
from contracts.topology import Queue

Result = TypeVar("Result")
_living: ContextVar[Life | None] = ContextVar("the process that runs", default=None)


class KilledError(BaseException):
    """The process is dead. No `except Exception` may catch it, as none could catch a kill."""


class Troubles:
    """What is wrong with the ground that a process stands on, and how long things take there, in virtual seconds."""

    def __init__(self, luck: random.Random) -> None:
        self.luck = luck
        self.slow_seconds = 0.02  # the longest that a transaction or a call of the broker takes
        self.full_disk_until = 0.0
        self.commit_fails_per_mille = 0
        self.broker_fails_per_mille = 0


class Life:
    """One process from its start to its end."""

    def __init__(self, name: str, clock: WorldClock, troubles: Troubles, locks: dict[str, Life]) -> None:
        self.name, self.clock, self.troubles = name, clock, troubles
        self.is_over = False
        self._locks = locks
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._connections: list[sqlite3.Connection] = []

    def spawn(self, work: Coroutine[Any, Any, Result], name: str = "") -> asyncio.Task[Result]:
        """Begin some work of this process; what it begins belongs to the process, too."""
        context = copy_context()
        context.run(_living.set, self)
        return asyncio.get_running_loop().create_task(work, name=name or None, context=context)

    def owns(self, task: asyncio.Task[Any]) -> None:
        """Note a task, so that it ends with the process."""
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (self.is_over or isinstance(task.exception(), KilledError)):
            task.exception()  # nobody asks for it any more

    def touch(self) -> None:
        """Fail when the process is dead."""
        if self.is_over:
            raise KilledError(self.name)

    def opened(self, connection: sqlite3.Connection) -> None:
        """Note a connection, whose transaction is undone when the process dies."""
        self.touch()
        self._connections.append(connection)

    async def takes_a_moment(self) -> None:
        """Let some time pass, as whatever is done outside of the process does."""
        await asyncio.sleep(self.troubles.luck.random() * self.troubles.slow_seconds)
        self.touch()

    def lock(self, name: str) -> MortalLock | None:
        """Take a lock that ends with the process; None when another one, or another part of this one, has it."""
        self.touch()
        holder = self._locks.get(name)
        if holder is not None and not holder.is_over:
            return None
        self._locks[name] = self
        return MortalLock(self, name, self._locks)

    def end(self) -> None:
        """Die at once. Whatever of the process runs now gets a KilledError at its next touch, and a cancellation."""
        self.is_over = True
        for connection in self._connections:
            connection.close()
        current = asyncio.current_task()
        for task in list(self._tasks):
            if task is not current:
                task.cancel()

    async def buried(self) -> None:
        """Wait until nothing of it runs any more."""
        for _ in range(100):
            left = [task for task in self._tasks if task is not asyncio.current_task()]
            if not left:
                return
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=1.0)
        raise AssertionError(f"{self.name} does not die: {list(self._tasks)}")


class MortalLock:
    """A lock that its process holds until released or dead."""

    def __init__(self, life: Life, name: str, locks: dict[str, Life]) -> None:
        self._life, self._name, self._locks = life, name, locks

    async def still_held(self) -> bool:
        """Whether it was not taken by another process since."""
        self._life.touch()
        return self._locks.get(self._name) is self._life

    async def release(self) -> None:
        """Give it back."""
        if self._locks.get(self._name) is self._life:
            del self._locks[self._name]


def living() -> Life | None:
    """The process whose code runs now; None outside of all."""
    return _living.get()


def task_of_a_life(loop: asyncio.AbstractEventLoop, coroutine: Any, **arguments: Any) -> asyncio.Task[Any]:
    """Make a task, and have it end with the process that begins it."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **arguments)
    context = arguments.get("context")
    life = context.get(_living) if context is not None else _living.get()
    if life is not None:
        life.owns(task)
    return task


class _Connection(InPlace):
    """A connection of a process to its database."""

    def __init__(self, life: Life, path: str, **arguments: Any) -> None:
        super().__init__(path, **arguments)
        connect = self._connector

        def connecting() -> sqlite3.Connection:
            made = connect()
            life.opened(made)
            return made

        self._connector = connecting
        at_once = self._tx

        class Touching:
            """Does nothing for the dead."""

            def put_nowait(self, item: Any) -> None:
                life.touch()
                at_once.put_nowait(item)

        self._tx = Touching()  # type: ignore[assignment]  # what is used of it

    def stop(self) -> None:
        """There is no thread to be ended."""

    def __del__(self) -> None:
        """What its process left open was closed when it died."""


class MortalDatabase(Database):
    """The database of one process: it takes its time, it may be full, and it may not say whether it committed."""

    life: Life

    @classmethod
    def of(cls, life: Life, settings: Settings, service: str) -> MortalDatabase:
        """Open the database of a service for a process."""
        database = cls.open(settings, service)
        assert isinstance(database, MortalDatabase)
        database.life = life
        in_place(database, partial(_Connection, life))
        return database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that takes a moment, and may fail before or after it was committed."""
        life = self.life
        troubles = life.troubles
        await life.takes_a_moment()
        draw = troubles.luck.randrange(1000)
        async with super().transaction() as connection:
            yield connection
            await life.takes_a_moment()
            if asyncio.get_running_loop().time() < troubles.full_disk_until:
                raise sa.exc.OperationalError("COMMIT", {}, sqlite3.OperationalError("database or disk is full"))
            if draw < troubles.commit_fails_per_mille // 2:
                raise ConnectionResetError("the database went away before the commit")
        if draw < troubles.commit_fails_per_mille:
            raise ConnectionResetError("the database went away after the commit")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that reads; opening one is where the process may find out that it is dead."""
        self.life.touch()
        async with super().reading() as connection:
            yield connection

    async def try_lock(self, name: str) -> Any:
        """Take a lock of this service."""
        return self.life.lock(f"{self.schema}.{name}")


class MortalBroker(EmbeddedBroker):
    """The broker as one process sees it; all of them share a file, as processes on one directory do."""

    def __init__(self, life: Life, path: Path, bindings: list[Any], arrivals: dict[str, asyncio.Event]) -> None:
        super().__init__(path, clock=life.clock)
        self._life = life
        self._bindings = bindings
        self._arrivals = arrivals

    async def publish(self, exchange: str, messages: Sequence[Outgoing]) -> None:
        """Publish, which takes a moment and may fail before or after the messages were stored."""
        await self._life.takes_a_moment()
        troubles = self._life.troubles
        draw = troubles.luck.randrange(1000)
        if draw < troubles.broker_fails_per_mille // 2:
            raise BrokerUnavailableError("the broker is away")
        await super().publish(exchange, messages)
        await self._life.takes_a_moment()
        if draw < troubles.broker_fails_per_mille:
            raise BrokerUnavailableError("the broker did not confirm")

    async def run(self, work: Callable[[sqlite3.Connection], Result], *, durable: bool = True) -> Result:
        """Do some work on the file here and now."""
        self._life.touch()
        try:
            return self._transact(work, durable)
        except sqlite3.Error as error:
            raise BrokerUnavailableError(f"the broker's file cannot be used: {error}") from error

    def _transact(self, work: Callable[[sqlite3.Connection], Result], durable: bool) -> Result:  # noqa: FBT001 - as the base has it
        del durable
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, timeout=0)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.executescript(_SCHEMA)
            self._life.opened(self._connection)
        with self._connection:
            return work(self._connection)

    def take_turn(self, queue: Queue) -> Any:
        """Become the one active consumer of a queue."""
        return self._life.lock(f"queue {queue.name}")
