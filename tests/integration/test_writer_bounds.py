"""How large an entry of mode ledger becomes: so many lines and bytes, and what does not fit goes into the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.faulty_exact import Rehearsal, rehearsal
from support.writer_stage import ledger_sale, save_account

from contracts.commands import EntryLine, PostEntry
from exact_writer import batches

ENTRIES = "generaljournalentry/GeneralJournalEntries"


def of_many_lines(number: int, lines: int) -> PostEntry:
    """An invoice of a cent a line, without VAT."""
    cents = tuple(EntryLine(gl_account="8000", amount_minor=-1, description=f"INV-{number}") for _ in range(lines - 1))
    debt = EntryLine(gl_account="1300", amount_minor=lines - 1, description=f"INV-{number}", is_receivable=True)
    return ledger_sale(f"INV-{number}", lines=(debt, *cents))


async def sizes(stage: Rehearsal) -> list[int]:
    """How many lines each entry has in Exact."""
    found: dict[Any, int] = {}
    for row in stage.rows("generaljournalentry/GeneralJournalEntryLines"):
        found[row["EntryID"]] = found.get(row["EntryID"], 0) + 1
    return sorted(found.values())


async def test_an_entry_takes_six_thousand_lines_and_a_larger_document_one_of_its_own(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        of_each = (2_500, 2_500, 1_000, 2_500, batches.MOST_LINES + 500)
        await stage.plan(save_account(), *(of_many_lines(number, lines) for number, lines in enumerate(of_each)))
        await stage.work()
        assert await sizes(stage) == [2_500, batches.MOST_LINES, batches.MOST_LINES + 500]


async def test_an_entry_takes_so_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_BYTES", 20_000)
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account(), *(of_many_lines(number, 20) for number in range(16)))
        await stage.work()
        assert sum(await sizes(stage)) == 16 * 20
        assert len(await sizes(stage)) > 1
        assert stage.exact.largest_body_bytes <= 20_000
        assert {stage.bookings(of_many_lines(number, 20)) for number in range(16)} == {1}
