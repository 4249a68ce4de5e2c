"""What logs said up to a moment, and an empty database beside the present one to fold it into: how a past state is looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from backbone.clock import SystemClock
from backbone.database import Database, schema_of
from backbone.errors import KruispostError
from backbone.event_log import START, Position, Recorded
from backbone.migrations import migrate
from backbone.settings import Settings
from backbone.tables import event_log as log_table

SETTLE_SECONDS = 90.0  # longer than a transaction of ours may idle
PAGE = 500  # messages of a log that are in memory at a time
Types = frozenset[str]


class PastError(KruispostError):
    """The past cannot be shown; the sentence says why and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__("replay_refused", sentence)


@dataclass(frozen=True, slots=True)
class Said:
    """A message and the service in whose log it stands."""

    service: str
    recorded: Recorded

    @property
    def time(self) -> datetime:
        """When it was said."""
        return self.recorded.envelope.time


async def messages(database: Database, types: Types, after: Position = START) -> AsyncIterator[Recorded]:
    """Give the messages of these types in the order of their log."""
    while True:
        async with database.reading() as connection:
            page = await event_log.read_after(connection, after, PAGE, types)
        for recorded in page:
            yield recorded
        if len(page) < PAGE:
            return
        after = page[-1].position


async def merged(logs: Mapping[str, Database], types: Mapping[str, Types]) -> AsyncIterator[Said]:
    """Give the messages of all logs by their time, those of one log in its order; no more than a page a log is in memory."""
    streams = {service: messages(database, types[service]) for service, database in logs.items()}
    heads: dict[str, Recorded] = {}
    for service, stream in streams.items():
        if (first := await anext(stream, None)) is not None:
            heads[service] = first
    while heads:
        service = min(heads, key=lambda name: heads[name].envelope.time)
        recorded = heads.pop(service)
        if (following := await anext(streams[service], None)) is not None:
            heads[service] = following
        yield Said(service, recorded)


async def readable_end(database: Database) -> Position:
    """Wait until everything in a log can be read and return its end: a transaction elsewhere may hold back the newest.

    Raises PastError where one does for long.
    """
    clock = SystemClock()
    deadline = clock.monotonic() + SETTLE_SECONDS
    while True:
        async with database.reading() as connection:
            end, readable = await newest(connection), await event_log.end_position(connection)
        if end == readable:
            return end
        if clock.monotonic() > deadline:
            raise PastError(
                f"The newest messages of {database.service} cannot be read, since a transaction on the server is still running;"
                " end it, then try again."
            )
        await clock.sleep(0.1)


async def newest(connection: AsyncConnection) -> Position:
    """Return the position of the last message of a log, whether it can be read yet or not; START when there is none."""
    column = log_table.c
    statement = sa.select(column.transaction_id, column.sequence).order_by(column.transaction_id.desc(), column.sequence.desc())
    row = (await connection.execute(statement.limit(1))).one_or_none()
    return START if row is None else Position(*row)


@asynccontextmanager
async def whole_logs(settings: Settings, types: Mapping[str, Types]) -> AsyncIterator[dict[str, Database]]:
    """Do the same as open_logs, once all that these logs have can be read. Raises PastError where it cannot."""
    async with open_logs(settings, types) as logs:
        for database in logs.values():
            await readable_end(database)
        yield logs


@asynccontextmanager
async def open_logs(settings: Settings, types: Mapping[str, Types]) -> AsyncIterator[dict[str, Database]]:
    """Open the databases of these services; on SQLite those whose file is there."""
    async with AsyncExitStack() as stack:
        found = {}
        for service in types:
            if settings.database_url is None and not (settings.data_dir / f"{schema_of(service)}.sqlite").exists():
                continue
            found[service] = Database.open(settings, service)
            stack.push_async_callback(found[service].close)
        yield found


@asynccontextmanager
async def beside(directory: Path, service: str) -> AsyncIterator[Database]:
    """Give an empty database of a service in a directory of its own; raises PastError where there is one already."""
    if (directory / f"{schema_of(service)}.sqlite").exists():
        raise PastError(f"{directory} has a database of {service} already; name another directory by --keep.")
    database = Database.open(Settings(data_dir=directory, database_url=None), service, is_scratch=True)
    try:
        await migrate(database, service)
        yield database
    finally:
        await database.close()
