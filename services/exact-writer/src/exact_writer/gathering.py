"""Which of the waiting commands of mode ledger go into the next entry of Exact's.

Hundreds of thousands may wait, so what is read follows from what fits into one entry, and not from what waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from exact_writer.journal import Work, waits_for_day, work_of
from exact_writer.tables import accounts, commands, paused_history
from exact_writer.work_classes import HISTORY, OF_COMMANDS, WorkClass, waits_for

BUT_HISTORY: Final = tuple(each for each in OF_COMMANDS if each not in HISTORY)
Blocking = dict[str, dict[WorkClass, int]]  # by customer and class, the first command


async def gather(connection: AsyncConnection, division: int, batch_key: str, most: int, now: float) -> list[Work]:
    """The commands that fit into one entry of Exact's, and that nothing earlier of their customer holds up: history last."""
    found: list[Any] = []
    for classes in (BUT_HISTORY, tuple(HISTORY)):
        after = 0
        while len(found) < most:
            page = (await connection.execute(_waiting(division, batch_key, classes, after, now).limit(most))).all()
            if not page:
                break
            blocking = await _blocking(connection, division, batch_key, {row.customer_ref for row in page}, now)
            found += [row for row in page if not _is_held_up(row, blocking)]
            after = page[-1].sequence
    return [work_of(row) for row in found[:most]]


def _waiting(division: int, batch_key: str, classes: Sequence[WorkClass], after: int, now: float) -> sa.Select[Any]:
    """Commands of these classes that have an account and are in no batch yet, in the order of their arrival."""
    return (
        sa.select(commands)
        .join(accounts, (accounts.c.division == commands.c.division) & (accounts.c.customer_ref == commands.c.customer_ref))
        .where(
            commands.c.division == division,
            commands.c.is_open,
            commands.c.batch_key == batch_key,
            commands.c.work_class.in_(classes),
            commands.c.sequence > after,
            # Written so that no index of batches is taken for it: nearly all that waits is in none.
            sa.func.coalesce(commands.c.batch_id, "") == "",
            commands.c.state.in_(("planned", "prepared")),
            accounts.c.account_id.is_not(None),
            ~waits_for_day(commands, now),  # the day of another site's time zone may last longer
            commands.c.work_class.not_in(tuple(HISTORY)) | commands.c.site.not_in(sa.select(paused_history.c.site)),
        )
        .order_by(commands.c.sequence)
    )


async def _blocking(connection: AsyncConnection, division: int, batch_key: str, customers: Iterable[str], now: float) -> Blocking:
    """The first open command of each of these customers that cannot go into the same entry."""
    statement = (
        sa.select(commands.c.customer_ref, commands.c.work_class, sa.func.min(commands.c.sequence).label("sequence"))
        .where(
            commands.c.division == division,
            commands.c.is_open,
            commands.c.customer_ref.in_(sorted(customers)),
            (sa.func.coalesce(commands.c.batch_key, "") != batch_key) | commands.c.batch_id.is_not(None),
            ~waits_for_day(commands, now),
        )
        .group_by(commands.c.customer_ref, commands.c.work_class)
    )
    found: Blocking = {}
    for row in await connection.execute(statement):
        found.setdefault(row.customer_ref, {})[row.work_class] = row.sequence
    return found


def _is_held_up(row: Any, blocking: Blocking) -> bool:
    """Whether something earlier of its customer goes before it."""
    earlier = (each for each, sequence in blocking.get(row.customer_ref, {}).items() if sequence < row.sequence)
    return any(waits_for(row.work_class, each) for each in earlier)
