"""What came in and stands in the log behind the translator, so that nobody was told of it yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from backbone.checkpoints import read_checkpoint
from backbone.clock import Clock, SystemClock
from backbone.database import Database
from backbone.event_log import Position, Recorded
from backbone.past import newest
from contracts.envelope import Envelope
from ingest.translate import DATED, EVENT_RECEIVED, Observation, news, observe
from ingest.translator import BATCH, CHECKPOINT, stored_versions

PATIENCE_SECONDS = 3.0  # a translator that works needs a moment after each event, and a tenth of a second is no backlog
LOOK_AGAIN_SECONDS = 0.1

# An event (`acme/event/ev_1`), when it came, the facts about documents that are news in it, and whether it can be read.
Untranslated = tuple[str, datetime, list[Envelope], bool]


async def untranslated(database: Database) -> AsyncIterator[list[Untranslated]]:
    """Give the events that came before now and are not translated, a page after another; waits a moment for the translator.

    Those are among them that a transaction elsewhere on the server still holds back.
    """
    clock = SystemClock()
    async with database.reading() as connection:
        end = await newest(connection)
    await _let_it_work(database, end, clock)
    position: Position | None = None
    while True:
        async with database.reading() as connection:
            if position is None:
                position = await read_checkpoint(connection, CHECKPOINT)
            page = await _behind(connection, position, end, BATCH)
            told = await _told(connection, page)
        if not page:
            return
        yield told
        position = page[-1].position


async def _let_it_work(database: Database, end: Position, clock: Clock) -> None:
    deadline = clock.monotonic() + PATIENCE_SECONDS
    while clock.monotonic() < deadline:
        async with database.reading() as connection:
            if not await _behind(connection, await read_checkpoint(connection, CHECKPOINT), end, 1):
                return
        await clock.sleep(LOOK_AGAIN_SECONDS)


async def _behind(connection: AsyncConnection, position: Position, end: Position, limit: int) -> list[Recorded]:
    page = await event_log.read_after(connection, position, limit, frozenset({EVENT_RECEIVED}), settled=False)
    return [each for each in page if each.position <= end]


async def _told(connection: AsyncConnection, page: Sequence[Recorded]) -> list[Untranslated]:
    parts = [list(observe(each.envelope)) for each in page]
    observed = [[part for part in each if isinstance(part, Observation) and part.key.kind in DATED] for each in parts]
    keys = {key for each in observed for one in each for key in (one.key, one.end_key)}
    seen = {key: version for key, (version, _) in (await stored_versions(connection, keys)).items()} if keys else {}
    told = []
    for recorded, each, documents in zip(page, parts, observed, strict=True):
        unreadable = [part for part in each if not isinstance(part, Observation) and part.kind in DATED | {"event"}]
        fresh = [one.fact for one in news(seen, documents)]
        told.append((recorded.envelope.subject, recorded.envelope.time, fresh, not unreadable))
    return told
