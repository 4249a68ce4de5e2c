"""A reconciliation while documents are being linked or found again: what became known meanwhile is not called doubled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.whole_month import DIVISION, Month, events_of_month, whole_month

from contracts.ledger import LedgerLine
from exact_writer.ledger_shelf import LedgerShelf
from exact_writer.tables import commands
from mapper.reconcile_columns import Columns, Wish
from mapper.reconcile_scratch import Scratch
from mapper.reconcile_sources import Sources
from mapper.reconcile_strangers import Strangers
from mapper.store import Row

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
WISH = Wish(division=DIVISION, first=date(2026, 10, 1), last=date(2026, 10, 31), by="day")


class KnownMeanwhile(LedgerShelf):
    """What the writer keeps, whose journal learns of every entry after strangers were looked for and before they are judged."""

    async def strangers(self, division: int, journals: Sequence[str], first: date, last: date) -> AsyncIterator[LedgerLine]:
        """Give the lines of before."""
        async with self._database.transaction() as connection:
            rows = list(await connection.execute(sa.select(commands.c.command_id, commands.c.exact_id)))
            await connection.execute(sa.update(commands).values(exact_id=None))
        lines = [each async for each in super().strangers(division, journals, first, last)]
        async with self._database.transaction() as connection:
            for row in rows:
                change = sa.update(commands).where(commands.c.command_id == row.command_id)
                await connection.execute(change.values(exact_id=row.exact_id))
        for line in lines:
            yield line


async def found(month: Month) -> list[str]:
    async def nobody(*_: Any) -> bool:
        raise AssertionError("nothing is read of Exact")

    async def judge(rows: Sequence[Row]) -> None:
        del rows  # what is ours is judged elsewhere

    sources = Sources(month.mapper.database, None, KnownMeanwhile(month.writer.database, nobody))
    with Scratch() as scratch:
        columns = Columns(WISH, scratch, "1300")
        await Strangers(WISH, ["70", "90"], "1300", sources, scratch, columns, judge).run()
        return [each.kind for each in scratch.findings()]


async def test_what_became_known_while_it_was_read_is_no_second_entry(tmp_path: Path) -> None:
    async with whole_month(tmp_path, "sqlite") as month:
        await month.receive(events_of_month(documents=14))
        await month.book()
        assert (await month.reconcile())[0] == 0
        assert set(await found(month)) == {"not_ours"}
