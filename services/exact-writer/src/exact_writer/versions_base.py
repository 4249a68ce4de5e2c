"""What is added to row versions that are told, so that they keep growing when the division is moved and Exact's start anew."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from exact_writer.tables import ledger_readings, mirror_state, receivables

KIND: Final = "versions_base"  # its row in `mirror_state`


async def of(connection: AsyncConnection, division: int) -> int:
    """What is added now; 0 for a division that was never moved."""
    where = (mirror_state.c.division == division, mirror_state.c.kind == KIND)
    return int(await connection.scalar(sa.select(mirror_state.c.timestamp).where(*where)) or 0)


async def put_above(database: Database, connection: AsyncConnection, division: int, now: float) -> None:
    """Raise it to the highest version seen before the move.

    All of a division's row versions come from one counter, so that none that was told is higher than this. The terms that are
    kept count as well: a position stays behind what it saw while pages come out of order.
    """
    base = await of(connection, division)
    ours = mirror_state.c.division == division
    statements = (
        sa.select(base + sa.func.max(mirror_state.c.timestamp)).where(ours, mirror_state.c.kind != KIND),
        sa.select(base + sa.func.max(ledger_readings.c.highest)).where(ledger_readings.c.division == division),
        sa.select(sa.func.max(receivables.c.timestamp)).where(receivables.c.division == division),
    )
    highest = [int(await connection.scalar(statement) or 0) for statement in statements]
    values = {"timestamp": max(base, *highest), "read_at": now}
    insert = database.insert(mirror_state).values(division=division, kind=KIND, **values)
    await connection.execute(insert.on_conflict_do_update(index_elements=["division", "kind"], set_=values))
