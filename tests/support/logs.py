"""Messages for the backbone's own tests, and reading a log the way its readers must: again, until it is there."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec

from backbone import event_log
from backbone.database import Database
from backbone.event_log import START, Position, Recorded
from contracts.envelope import Envelope

PATIENCE_SECONDS = 20.0


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
