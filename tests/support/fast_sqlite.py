"""What makes SQLite cheap in tests: the tables are made once a process, and statements run without a thread and without waiting.

The statements and what they do to the file are the same. A power cut is not survived, which no test makes.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from typing import Any

import aiosqlite
import sqlalchemy as sa
from sqlalchemy import event

from backbone.database import Database, schema_of
from backbone.migrations import migrate

_migrated: dict[str, bytes] = {}  # by service: a file with all tables and nothing in them


async def migrated(database: Database, service: str) -> None:
    """Make the tables of a service; in a new SQLite file those that this process has made before."""
    path = database._data_dir / f"{schema_of(service)}.sqlite"
    if database.dialect != "sqlite" or path.exists():
        await migrate(database, service)
        return
    if service not in _migrated:
        await migrate(database, service)
        async with database.reading() as connection:
            await connection.execute(sa.text("SELECT 1"))
            driver: Any = (await connection.get_raw_connection()).driver_connection
            _migrated[service] = bytes(driver._connection.serialize())
        return
    path.write_bytes(_migrated[service])


class _AtOnce:
    """In the place of the queue that a connection's thread works off: each function is carried out as it is put there."""

    def put_nowait(self, item: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        future, function = item
        assert future is not None
        try:
            future.set_result(function())
        except sqlite3.Error as error:  # whatever else it is may well end the test
            future.set_exception(error)


class InPlace(aiosqlite.Connection):
    """Runs each statement where it is asked for. Nothing else of the event loop runs meanwhile."""

    def __init__(self, path: str, **arguments: Any) -> None:
        super().__init__(lambda: sqlite3.connect(path, **arguments), 64)
        self._tx = _AtOnce()  # type: ignore[assignment]  # what is used of it

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        return self._connect().__await__()


def in_place(database: Database, connect: Callable[..., InPlace] = InPlace) -> None:
    """Have a database that nobody opened yet work without a thread a connection; for stages where one thing happens at a time."""

    def connecting(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        parameters["async_creator_fn"] = connect

    def connected(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    for engine in (database._writer, database._reader):
        event.listen(engine.sync_engine, "do_connect", connecting)
        event.listen(engine.sync_engine, "connect", connected)
