"""A person pauses the booking of history: what of a site's waits in the background class is not sent until it is resumed.

Today's documents go on, and take along what of their customer's history they settle or credit, as always. What was sent already
is looked up to its end.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from exact_writer.tables import commands, paused_history
from exact_writer.work_classes import HISTORY


async def pause(database: Database, connection: AsyncConnection, sites: Sequence[str]) -> None:
    """Let the history of sites wait."""
    if rows := [{"site": site} for site in sites]:
        await connection.execute(database.insert(paused_history).on_conflict_do_nothing(), rows)


async def resume(connection: AsyncConnection, sites: Sequence[str]) -> int:
    """Let the history of sites go on; return of how many it was paused."""
    return int((await connection.execute(sa.delete(paused_history).where(paused_history.c.site.in_(sites)))).rowcount)


async def paused_sites(connection: AsyncConnection) -> frozenset[str]:
    """Sites whose history waits."""
    return frozenset(await connection.scalars(sa.select(paused_history.c.site)))


async def waiting_history(connection: AsyncConnection, sites: Sequence[str]) -> dict[str, int]:
    """How many documents of history wait, of each of these sites that has any."""
    statement = (
        sa.select(commands.c.site, sa.func.count().label("documents"))
        .where(commands.c.is_open, commands.c.work_class.in_(sorted(HISTORY)), commands.c.site.in_(sites))
        .group_by(commands.c.site)
    )
    return {row.site: row.documents for row in await connection.execute(statement)}
