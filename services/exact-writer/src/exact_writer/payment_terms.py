"""Payment terms that Exact has no more: they leave what is kept, and the parts of bank lines among them are told as gone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from contracts.bank_lines import BankLineObserved
from exact_writer import announce
from exact_writer.tables import receivables


async def forget_deleted(connection: AsyncConnection, division: int, deleted: Mapping[str, int], now: datetime) -> None:
    """Drop terms that Exact deleted; the row version of the deletion, as it is told, by the term's id."""
    rows = await _drop(connection, receivables.c.division == division, receivables.c.term_id.in_(list(deleted)))
    await _tell_gone(connection, division, {row.term_id: (row.line_id, deleted[row.term_id]) for row in rows}, now)


async def forget_missing(connection: AsyncConnection, division: int, base: int, now: datetime) -> None:
    """Drop what a whole reading after a move of the division did not show: the log of deletions started anew with it.

    `base` is what the move added to row versions, so that whatever was seen since has more.
    """
    rows = await _drop(connection, receivables.c.division == division, receivables.c.timestamp <= base)
    await _tell_gone(connection, division, {row.term_id: (row.line_id, base + 1) for row in rows}, now)


async def _drop(connection: AsyncConnection, *where: sa.ColumnElement[bool]) -> list[Any]:
    rows = list(await connection.execute(sa.select(receivables.c.term_id, receivables.c.line_id).where(*where)))
    await connection.execute(sa.delete(receivables).where(*where))
    return rows


async def _tell_gone(
    connection: AsyncConnection, division: int, gone: Mapping[str, tuple[str | None, int]], now: datetime
) -> None:
    streams = {line_id: announce.bank_line_stream(division, line_id) for line_id, _ in gone.values() if line_id is not None}
    told = await event_log.known_streams(connection, streams.values())
    for term_id, (line_id, timestamp) in sorted(gone.items()):
        if line_id is None or streams[line_id] not in told:
            continue
        fact = BankLineObserved(division=division, line_id=line_id, part_id=term_id, timestamp=timestamp, is_gone=True)
        await announce.bank_line(connection, fact, streams[line_id], now)
