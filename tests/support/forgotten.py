"""A writer that does not know any more what it did, so that what stands in Exact is somebody else's."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from support.faulty_exact import Rehearsal

from exact_writer.tables import accounts, commands


async def forget_bookings(stage: Rehearsal, command_ids: Iterable[str]) -> None:
    """Forget what these commands booked."""
    async with stage.database.transaction() as connection:
        await connection.execute(sa.delete(commands).where(commands.c.command_id.in_(list(command_ids))))


async def forget_accounts(stage: Rehearsal) -> None:
    """Forget which customer is which account."""
    async with stage.database.transaction() as connection:
        await connection.execute(sa.delete(accounts))
