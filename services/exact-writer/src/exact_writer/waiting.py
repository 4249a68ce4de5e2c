"""What waits in the journal, by class and site: the oldest of each are what the writer chooses from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from exact_writer.journal import NOBODY, waits_for_day
from exact_writer.schedule import Candidate, Kind, State
from exact_writer.tables import accounts, commands
from exact_writer.work_classes import HISTORY, OF_COMMANDS, WorkClass, waits_for

MOST_OF_EACH: Final = 200
LONG_SECONDS: Final = 600.0
DAY_SECONDS: Final = 86_400.0
DAYS_LOOKED_BACK: Final = 7
# A sales invoice is drafted and made final; hundreds of entries of mode ledger share a call.
_CALLS_EACH: Final = sa.case((commands.c.kind == "document", 2), (commands.c.kind == "ledger", 0), else_=1)
BUT_HISTORY: Final = tuple(each for each in OF_COMMANDS if each not in HISTORY)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """How many open commands of a class a site has, and the calls that those take which do not share one."""

    work_class: WorkClass
    site: str
    commands: int
    calls: int = 0


async def counts(connection: AsyncConnection, division: int, now: float) -> list[Waiting]:
    """How many commands have not ended, by class and site, without those that wait for their day to end: reads all of them."""
    return await _counted(connection, division, now, OF_COMMANDS)


async def counts_but_history(connection: AsyncConnection, division: int, now: float) -> list[Waiting]:
    """The same without history, of which hundreds of thousands may wait."""
    return await _counted(connection, division, now, BUT_HISTORY)


async def _counted(connection: AsyncConnection, division: int, now: float, classes: Sequence[WorkClass]) -> list[Waiting]:
    of_classes = commands.c.work_class.in_(classes)
    statement = (
        sa.select(
            commands.c.work_class, commands.c.site, sa.func.count().label("commands"), sa.func.sum(_CALLS_EACH).label("calls")
        )
        .where(commands.c.division == division, commands.c.is_open, of_classes, ~waits_for_day(commands, now))
        .group_by(commands.c.work_class, commands.c.site)
    )
    return [
        Waiting(work_class=cast("WorkClass", row.work_class), site=row.site, commands=row.commands, calls=row.calls)
        for row in await connection.execute(statement)
    ]


async def candidates(connection: AsyncConnection, division: int, found: list[Waiting], now: float) -> list[Candidate]:
    """The oldest open commands of each class and site, so that a backlog of one hides nothing of another.

    Left out are entries whose account is not known, and commands that an earlier one of another class holds up, which may be
    further back in its own class than is read here. So are payments that wait for the others of their day.
    """
    rows: list[Any] = []
    for each in found:
        given = {"of_division": division, "of_site": each.site, "at": now}
        rows += (await connection.execute(_oldest(each.work_class), given)).all()
    return [
        Candidate(
            sequence=row.sequence,
            command_id=row.command_id,
            kind=cast("Kind", row.kind),
            customer_ref=row.customer_ref,
            state=cast("State", row.state),
            not_before=row.not_before,
            has_account=True,
            work_class=cast("WorkClass", row.work_class),
            site=row.site,
            attempts=row.attempts,
        )
        for row in rows
    ]


async def usual_arrivals(connection: AsyncConnection, division: int, now: float, seconds: float) -> float:
    """How many calls entries other than history took that came in during the coming `seconds` of the clock, on an average day.

    Of mode ledger each entry is counted that they went to. 0 before there was a whole day.
    """
    first = await connection.scalar(sa.select(sa.func.min(commands.c.planned_at)).where(commands.c.division == division))
    days = [day for day in range(1, DAYS_LOOKED_BACK + 1) if first is not None and now - day * DAY_SECONDS >= first]
    if not days:
        return 0.0
    of_current_work = (commands.c.division == division, commands.c.work_class != "backfill", commands.c.kind != "account")
    spans = [commands.c.planned_at.between(now - day * DAY_SECONDS, now - day * DAY_SECONDS + seconds) for day in days]
    entries = sa.func.count(sa.distinct(commands.c.batch_id)).label("entries")
    statement = sa.select(sa.func.sum(_CALLS_EACH).label("calls"), entries).where(*of_current_work, sa.or_(*spans))
    row = (await connection.execute(statement)).one()
    return float((row.calls or 0) + row.entries) / len(days)


@cache
def _oldest(work_class: WorkClass) -> sa.Select[Any]:
    """The oldest of a class and site. Made once a class, since making it takes longer than carrying it out."""
    division: Any = sa.bindparam("of_division")
    now = sa.bindparam("at", type_=sa.Float())
    known_account = (accounts.c.division == commands.c.division) & (accounts.c.customer_ref == commands.c.customer_ref)
    columns = [commands.c[name] for name in Candidate.__struct_fields__ if name in commands.c]  # not the envelopes
    oldest = (
        sa.select(*columns, accounts.c.account_id)
        .outerjoin(accounts, known_account)
        .where(
            commands.c.division == division,
            commands.c.is_open,
            commands.c.work_class == work_class,
            commands.c.site == sa.bindparam("of_site"),
            ~waits_for_day(commands, now),
            # What waits for long, as in shadow mode, is not to hide what does not.
            (commands.c.not_before <= now + LONG_SECONDS) | (commands.c.attempts > 0),
            (commands.c.kind == "account") | accounts.c.account_id.is_not(None) | (commands.c.customer_ref == NOBODY),
        )
        .order_by(commands.c.sequence)
        .limit(MOST_OF_EACH)
        .subquery()
    )
    other = commands.alias("other")
    others = [each for each in OF_COMMANDS if each != work_class and waits_for(work_class, each)]
    # Without an account it was never sent: it is in doubt since a journal was lost, and waits for the account itself.
    is_lost = (other.c.state == "unknown") & (other.c.kind != "account") & oldest.c.account_id.is_not(None)
    holds_up_account = (other.c.kind == "account") | is_lost
    held_up = sa.exists().where(
        other.c.division == division,
        other.c.customer_ref == oldest.c.customer_ref,
        other.c.is_open,
        other.c.work_class.in_(others),
        other.c.sequence < oldest.c.sequence,
        ~waits_for_day(other, now),
        (oldest.c.kind != "account") | holds_up_account,
    )
    return sa.select(oldest).where(~held_up)
