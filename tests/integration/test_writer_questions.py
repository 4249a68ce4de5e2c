"""What the writer asks of Exact over a month of commands of all kinds: nothing by key, and no more for more documents."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.virtual_writer import START, Arrival, Command, VirtualWriter, spent, virtual_writer
from support.writer_stage import configuration, ledger_sale, payment, said, sale, save_account

from contracts import facts
from contracts.commands import EntryLine

HOUR = 3_600.0
STEP = 4 * HOUR  # a day's commands come so long after those of the day before, so that the test is short
DAYS, CUSTOMERS, ITEMS = 30, 6, 3
TERMS = "GET sync/Cashflow/PaymentTerms?Timestamp"


def of_day(day: int, each: int) -> Iterator[Command]:
    """So many commands of each kind, and on some days a customer that is new or has moved."""
    today = (START + timedelta(days=day)).date()
    if day < CUSTOMERS:
        yield save_account(f"C{day}", email=f"c{day}@voorbeeld.example")
    elif day % 5 == 0:
        yield save_account(f"C{day % CUSTOMERS}", f"moved-{day}", email=f"c{day}@voorbeeld.example", city=f"Plaats {day}")
    for number in range(day * each, day * each + each):
        customer = f"C{number % min(day + 1, CUSTOMERS)}"
        yield sale(f"INV-{number}", customer, entry_date=today, pdf=number % 2 == 0)
        yield _credit(f"CN-{number}", customer, today)
        yield payment(f"txn-{number}", customer)
        yield _with_item(f"DOC-{number}", customer, today, f"8000-Team-{number % ITEMS}")
        yield ledger_sale(f"L-{number}", customer, entry_date=today)


def _credit(number: str, customer: str, day: date) -> Command:
    line = EntryLine(gl_account="8000", amount_minor=-3_000, vat_code="2", vat_amount_minor=-630)
    return sale(number, customer, lines=(line,), journal="71", entry_date=day)


def _with_item(number: str, customer: str, day: date, item: str) -> Command:
    line = EntryLine(gl_account="8000", amount_minor=5_000, vat_code="2", vat_amount_minor=1_050, item_code=item)
    return sale(number, customer, lines=(line,), mode="document", entry_date=day)


async def month(directory: Path, each: int) -> dict[str, Any]:
    """The calls of a month with so many documents of each kind a day, all of them booked."""
    settings = configuration(pdf={"policy": "always", "lists": True})
    async with virtual_writer(directory, poll_seconds=HOUR, configuration=settings) as stage:
        coming = [Arrival(START.timestamp() + (day + 1) * STEP, tuple(of_day(day, each))) for day in range(DAYS)]
        await stage.run(START.timestamp() + (DAYS + 2) * STEP, coming)
        assert await stage.waiting() == 0
        await _all_booked(stage, DAYS * each)
        return await spent(stage)


async def _all_booked(stage: VirtualWriter, count: int) -> None:
    told = await said(stage.database, facts.EntryPosted, facts.EntryRefused)
    assert [each for each in told if isinstance(each, facts.EntryRefused)] == []
    assert len(told) == 5 * count
    assert {each.booked_as for each in told} == {"entry", "document", "ledger"}


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_month_asks_nothing_by_key_and_no_more_for_more_documents(tmp_path: Path) -> None:
    few, many = await month(tmp_path / "few", 1), await month(tmp_path / "many", 3)
    for calls in (few, many):
        assert (calls["errors_counted"], calls["rate_limited"]) == (0, 0)
        assert [question for question in calls["by_question"] if question.startswith("GET ") and "(key)" in question] == []
    assert many["by_question"]["POST salesentry/SalesEntries"] == 3 * few["by_question"]["POST salesentry/SalesEntries"]
    assert asked(few) == asked(many)


def asked(calls: dict[str, Any]) -> dict[str, int]:
    """All that was read but the polls of what changed of receivables."""
    return {name: count for name, count in calls["by_question"].items() if name.startswith("GET ") and name != TERMS}
