"""Ingest as it was at a moment: the events that it had by then, and the facts that they lead to."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from backbone import event_log
from backbone.clock import ManualClock
from backbone.database import Database
from backbone.past import PAGE, beside, messages, whole_logs
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from contracts.envelope import Envelope
from ingest.translate import EVENT_RECEIVED, SOURCE
from ingest.translator import Translator

RAW = frozenset((EVENT_RECEIVED,))


async def ingest_at(settings: Settings, until: datetime, directory: Path) -> int:
    """Make that state in a directory; returns how many events it has. Raises PastError."""
    count = 0
    async with whole_logs(settings, {SOURCE: RAW}) as logs, beside(directory, SOURCE) as past:
        page: list[tuple[str, Envelope]] = []
        for database in logs.values():
            async for recorded in messages(database, RAW):
                if recorded.envelope.time > until:
                    continue
                page.append((recorded.stream, recorded.envelope))
                if len(page) == PAGE:
                    count += await _take(past, page)
                    page = []
        count += await _take(past, page)
        translator = Translator(past, ManualClock(until), Telemetry(), translated=lambda: None)
        translated = 1
        while translated:
            translated = await translator.translate_batch()
    return count


async def _take(past: Database, page: list[tuple[str, Envelope]]) -> int:
    async with past.transaction() as connection:
        await event_log.append_new(connection, page, in_order=True)
    return len(page)
