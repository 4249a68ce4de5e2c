"""What waits in mode ledger in the order of its customers: `kruispost forecast` counts the entries that it makes by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Final, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.commands import PostEntry
from exact_writer.grouping import Run
from exact_writer.journal import waits_for_day, work_of
from exact_writer.tables import commands
from exact_writer.work_classes import HISTORY, WorkClass

SAMPLE: Final = 50
PAGE: Final = 1_000
OUTSIDE_LEDGER: Final = ("sales", "document", "general")


class InLedger(msgspec.Struct, frozen=True, kw_only=True):
    """History that waits outside mode ledger: how many documents of each kind, and how they would follow each other there."""

    documents: Counter[str]
    runs: list[Run]


class _Entry(msgspec.Struct, frozen=True):
    """What of a command says which others would share an entry with it."""

    entry_date: date
    currency: str
    lines: tuple[msgspec.Raw, ...]
    exchange_rate: str | None = None
    reporting_year: int | None = None
    reporting_period: int | None = None

    @property
    def key(self) -> str:
        period = f"{self.reporting_year}/{self.reporting_period}" if self.reporting_year else f"{self.entry_date:%Y-%m}"
        return f"ledger {self.currency} {self.exchange_rate or 1} {period}"


class _Sealed(msgspec.Struct, frozen=True):
    data: _Entry


_decoder = msgspec.json.Decoder(_Sealed)


async def runs(connection: AsyncConnection, division: int, now: float) -> list[Run]:
    """What waits of the customers that have something in mode ledger, a row for all that follows each other and has one key."""
    is_history = commands.c.work_class.in_(tuple(HISTORY))
    key = sa.case((commands.c.kind == "ledger", sa.func.coalesce(commands.c.batch_key, "")), else_="")
    waiting = (commands.c.division == division, commands.c.is_open, ~waits_for_day(commands, now))
    place = sa.func.row_number().over(partition_by=(commands.c.customer_ref, is_history), order_by=commands.c.sequence)
    own = (commands.c.customer_ref, commands.c.work_class, key)
    place_of_own = sa.func.row_number().over(partition_by=own, order_by=commands.c.sequence)
    have_some = sa.select(commands.c.customer_ref).where(*waiting, commands.c.kind == "ledger")
    each = (
        sa.select(
            commands.c.customer_ref,
            commands.c.work_class,
            key.label("key"),
            commands.c.sequence,
            sa.func.length(commands.c.envelope).label("bytes"),
            (place - place_of_own).label("island"),
        )
        .where(*waiting, commands.c.customer_ref.in_(have_some))
        .subquery()
    )
    named = (each.c.customer_ref, each.c.work_class, each.c.key)
    first, number, size = sa.func.min(each.c.sequence), sa.func.count(), sa.func.sum(each.c.bytes)
    statement = sa.select(*named, first.label("first"), number.label("number"), size.label("bytes"))
    lines_a_byte = await _lines_a_byte(connection, waiting)
    return [
        Run(
            customer=row.customer_ref,
            work_class=cast("WorkClass", row.work_class),
            key=row.key,
            sequence=row.first,
            number=row.number,
            lines=float(row.bytes) * lines_a_byte,
        )
        for row in await connection.execute(statement.group_by(*named, each.c.island))
    ]


async def _lines_a_byte(connection: AsyncConnection, waiting: Sequence[sa.ColumnElement[bool]]) -> float:
    """How many lines an entry has for its size, by some of those that wait: an entry of Exact's takes only so many lines."""
    of_ledger = sa.select(commands).where(*waiting, commands.c.kind == "ledger").limit(SAMPLE)
    rows = [
        row
        for order in (commands.c.sequence, commands.c.sequence.desc())
        for row in await connection.execute(of_ledger.order_by(order))
    ]
    lines = sum(len(cast("PostEntry", work_of(row).command).lines) for row in rows)
    return lines / max(1, sum(len(row.envelope) for row in rows))


async def history_in_ledger(connection: AsyncConnection, division: int) -> InLedger:
    """Read all history outside mode ledger, so many a page: what of it would share an entry is known by the commands alone."""
    columns = (commands.c.sequence, commands.c.customer_ref, commands.c.kind, commands.c.envelope)
    waiting = (commands.c.division == division, commands.c.is_open, commands.c.work_class == "backfill")
    documents = Counter[str]()
    runs: list[Run] = []
    last: dict[str, int] = {}  # by customer, the place of its last run
    after = 0
    while True:
        page = sa.select(*columns).where(*waiting, commands.c.kind.in_(OUTSIDE_LEDGER), commands.c.sequence > after)
        rows = (await connection.execute(page.order_by(commands.c.sequence).limit(PAGE))).all()
        if not rows:
            return InLedger(documents=documents, runs=runs)
        for row in rows:
            documents[row.kind] += 1
            entry = _decoder.decode(bytes(row.envelope)).data
            place = last.get(row.customer_ref)
            if place is not None and runs[place].key == entry.key:
                known = runs[place]
                runs[place] = msgspec.structs.replace(known, number=known.number + 1, lines=known.lines + len(entry.lines))
                continue
            last[row.customer_ref] = len(runs)
            runs.append(
                Run(
                    customer=row.customer_ref,
                    work_class="backfill",
                    key=entry.key,
                    sequence=row.sequence,
                    number=1,
                    lines=float(len(entry.lines)),
                )
            )
        after = rows[-1].sequence
