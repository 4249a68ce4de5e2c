"""Messages for the backbone's own tests, and reading a log the way its readers must: again, until it is there."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from backbone import event_log
from backbone.database import Database
from backbone.event_log import START, Position, Recorded
from backbone.tables import event_log as log_table
from contracts.envelope import Envelope, Message, decode
from contracts.messages import unseal

PATIENCE_SECONDS = 60.0


def note(identity: str, *, kind: str = "test.noted", key: str = "acme-test/C1", data: bytes = b'{"n": 1}') -> Envelope:
    """Return an envelope with this id."""
    return Envelope(
        id=identity,
        type=kind,
        version=1,
        source="test",
        subject=f"acme-test/note/{identity}",
        time=datetime(2026, 10, 5, 10, tzinfo=UTC),
        key=key,
        correlation=identity,
        data=msgspec.Raw(data),
    )


class Heard:
    """A service's log as a test asks for it again and again: each message is read and opened once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._messages: dict[int, Message] = {}

    async def said(self, *kinds: type[Message]) -> list[Any]:
        """Return what was said, of these types only if given."""
        async with self._database.reading() as connection:
            # Read past the log's own reader, which waits for every older transaction of a server that other tests use too.
            sequences = list(await connection.scalars(sa.select(log_table.c.sequence).order_by(log_table.c.sequence)))
            # Not only those after the last one: what commits late has an earlier number.
            new = [each for each in sequences if each not in self._messages]
            if new:
                rows = sa.select(log_table.c.sequence, log_table.c.body).where(log_table.c.sequence >= min(new))
                for row in await connection.execute(rows):
                    if row.sequence not in self._messages:
                        self._messages[row.sequence] = unseal(decode(row.body))
        messages = [self._messages[each] for each in sequences]
        return [message for message in messages if not kinds or isinstance(message, kinds)]


async def read_until(database: Database, count: int, position: Position = START, *, limit: int = 100) -> list[Recorded]:
    """Read after a position until `count` messages came; other tests' transactions on the server may hold them back a moment."""
    found: list[Recorded] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found) < count:
            async with database.reading() as connection:
                more = await event_log.read_after(connection, found[-1].position if found else position, limit)
            found += more
            if not more:
                await asyncio.sleep(0.02)
    return found
