"""What processes that can die stand on: a database and a broker that are slow, full or away, and leave nothing of the dead."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from support.fast_sqlite import InPlace, in_place
from support.mortal import Life, MortalLock

from backbone.broker import Outgoing
from backbone.broker_embedded import _SCHEMA, EmbeddedBroker
from backbone.database import Database
from backbone.errors import BrokerUnavailableError
from backbone.locks import Holders
from backbone.settings import Settings
from contracts.topology import Queue

Result = TypeVar("Result")
STAND_BY_SECONDS = 30.0


class Session(InPlace):
    """A connection of a process to its database."""

    def __init__(self, life: Life, path: str, **arguments: Any) -> None:
        super().__init__(path, **arguments)
        connect = self._connector
        self._is_ended = False

        def connecting() -> sqlite3.Connection:
            made = connect()
            made.execute("PRAGMA busy_timeout = 0")  # nobody else is in the middle of writing
            life.opened(made, self)
            return made

        self._connector = connecting
        at_once = self._tx

        outer = self

        class Touching:
            """Does nothing for the dead, and nothing more in a transaction that was ended by others."""

            def put_nowait(self, item: Any) -> None:
                life.touch()
                future, function = item
                if outer._is_ended and getattr(function, "func", function) not in outer._ways_out():
                    future.set_exception(sqlite3.OperationalError("disk I/O error: the session was ended"))
                    return
                outer._is_ended = False
                at_once.put_nowait(item)

        self._tx = Touching()  # type: ignore[assignment]  # what is used of it

    def end(self) -> None:
        """Undo its transaction; what its process still does in it fails until it rolls back itself."""
        connection = self._connection
        if connection is not None and connection.in_transaction:
            connection.rollback()
            self._is_ended = True

    def _ways_out(self) -> tuple[Any, ...]:
        return (self._conn.rollback, self._conn.close)

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
        in_place(database, partial(Session, life))
        return database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that takes a moment, and may fail before or after it was committed."""
        life = self.life
        troubles = life.troubles
        await life.takes_a_moment()
        draw = troubles.luck.randrange(1000)
        await life.takes_turn(self.schema)
        try:
            async with super().transaction() as connection:
                yield connection
                await life.takes_a_moment()
                life.passes("before commit")
                if asyncio.get_running_loop().time() < troubles.full_disk_until:
                    raise sa.exc.OperationalError("COMMIT", {}, sqlite3.OperationalError("database or disk is full"))
                if draw < troubles.commit_fails_per_mille // 2:
                    raise ConnectionResetError("the database went away before the commit")
        finally:
            life.gives_turn(self.schema)
        life.passes("after commit")
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

    async def join(self, name: str) -> Any:
        """Be counted with the other processes of this service."""
        return self.life.join(f"{self.schema}.{name}")

    async def holders(self, names: Sequence[str]) -> Holders | None:
        """Say which processes hold these locks."""
        self.life.touch()
        of = {}
        for name in names:
            holder = self.life.ground.holder(f"{self.schema}.{name}")
            known = set(self.life.ground.of(f"{self.schema}.{name}"))
            of[name] = frozenset(known if holder is None else {*known, holder.number})
        return Holders(self.life.number if any(self.life.number in each for each in of.values()) else None, of)


class MortalBroker(EmbeddedBroker):
    """The broker as one process sees it; all of them share a file, as processes on one directory do."""

    def __init__(self, life: Life, path: Path, bindings: list[Any], arrivals: dict[str, asyncio.Event]) -> None:
        super().__init__(path, clock=life.clock)
        self._life = life
        self._bindings = bindings
        self._arrivals = arrivals
        self._turns: dict[str, MortalLock | None] = {}

    async def publish(self, exchange: str, messages: Sequence[Outgoing]) -> None:
        """Publish, which takes a moment and may fail before or after the messages were stored."""
        await self._life.takes_a_moment()
        troubles = self._life.troubles
        draw = troubles.luck.randrange(1000)
        if draw < troubles.broker_fails_per_mille // 2:
            raise BrokerUnavailableError("the broker is away")
        self._life.passes("before publish")
        await super().publish(exchange, messages)
        await self._life.takes_a_moment()
        self._life.passes("after publish")
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
        self._turns[queue.name] = self._life.lock(f"queue {queue.name}")
        return self._turns[queue.name]

    async def has_turn(self, queue: Queue) -> bool:
        """Whether it still is, or is again: the queue of a process that hung went to another one."""
        turn = self._turns.get(queue.name)
        return (turn is not None and await turn.still_held()) or self.take_turn(queue) is not None


def round_in_turn(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Have a consumer whose queue went to another one stand by."""

    async def in_turn(consumer: Any) -> None:
        if await consumer._broker.has_turn(consumer._queue):
            await original(consumer)
            consumer._broker._life.passes("after ack")
        else:
            await asyncio.sleep(STAND_BY_SECONDS)

    return in_turn
