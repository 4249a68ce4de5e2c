"""An event log as a file that an auditor can verify offline: every message with a hash of itself and of the one before it.

A log only grows, so a file that is written later begins with the lines of an earlier one. Whoever changes, leaves out or adds a
message in the database breaks every hash from there on, and the hash that was noted earlier is in no later file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal, TextIO

from backbone import event_log
from backbone.command_database import UnreadableError
from backbone.database import Database, schema_of
from backbone.event_log import START
from backbone.settings import Settings
from contracts import envelope as wire
from mapper.audit_chain import ChainWriter

Service = Literal["ingest", "mapper", "exact-writer", "payment-matcher"]
COLUMNS = ("stream", "version", "message_id", "type", "time", "body")
PAGE = 500


async def write_log(settings: Settings, service: Service, stream: TextIO) -> ChainWriter:
    """Write the log of a service, a page in memory; `body` is the message's envelope as it travels. Raises UnreadableError."""
    if settings.database_url is None and not (settings.data_dir / f"{schema_of(service)}.sqlite").exists():
        raise UnreadableError(f"There is no log of {service} in {settings.data_dir}; set KRUISPOST_DATA_DIR, then try again.")
    writer = ChainWriter(stream, COLUMNS)
    database = Database.open(settings, service)
    try:
        async for values in _rows(database):
            writer.write(values)
    finally:
        await database.close()
    return writer


async def _rows(database: Database) -> AsyncIterator[tuple[str, ...]]:
    position = START
    while True:
        async with database.reading() as connection:
            page = await event_log.read_after(connection, position, PAGE)
        for recorded in page:
            envelope = recorded.envelope
            head = (recorded.stream, str(recorded.version), envelope.id, envelope.type, envelope.time.isoformat())
            yield (*head, wire.encode(envelope).decode())
        if len(page) < PAGE:
            return
        position = page[-1].position
