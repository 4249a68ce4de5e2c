"""What takes a change in Exact back: in an open period, as every entry is, and with the cost centres that it was booked with."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import msgspec
from support.engines import database_for
from support.mapper_stage import CONFIGURATION, Stage, period

from bookkeeping.rejections import Rejection
from contracts.commands import EntryLine, PostEntry
from contracts.facts import DocumentRef
from contracts.ledger import LedgerLine
from mapper.configuration import mappings_of
from mapper.drift import Revert, in_open_period, revert_of
from mapper.issue import booked_entry
from mapper.reconcile_judging import Booking
from mapper.reconcile_scratch import Finding
from mapper.store import Key, Row, Store

DIVISION = 100001
COUNTER = PostEntry(
    division=DIVISION,
    command_id="c",
    kind="general",
    document=DocumentRef(site="site0", kind="invoice", number="INV-1", customer_id="CUST1", currency="EUR", total_minor=100),
    customer_ref="",
    journal="90",
    your_ref="INV-1/C1",
    entry_date=date(2026, 9, 5),
    currency="EUR",
    decimals=2,
    lines=(EntryLine(gl_account="8000", amount_minor=-100), EntryLine(gl_account="8010", amount_minor=100)),
    description="INV-1/C1",
)


def test_deferred_revenue_is_not_taken_back_since_exact_releases_it_where_it_was_moved_to() -> None:
    lines = (EntryLine(gl_account="8000", amount_minor=1_000, from_date=date(2026, 9, 1), to_date=date(2026, 12, 31)),)
    command = msgspec.structs.replace(COUNTER, kind="sales", journal="70", your_ref="INV-1", lines=lines)
    row = Row(key=Key("site0", "invoice", "INV-1", ""), customer_id="CUST1", division=DIVISION, state="booked")
    booking = Booking(row=row, command=command, entry=booked_entry(command, "INV-1", "1300"))
    findings = [
        Finding(kind="edited", name="entry_edited_account", document="invoice", number="INV-1", amount_minor=amount, details=of)
        for amount, of in ((1_000, {"place": "8000"}), (-1_000, {"place": "8010"}))
    ]
    assert revert_of(booking, findings, mappings_of(CONFIGURATION)[DIVISION], 0) == "deferral"


async def test_an_entry_that_takes_a_change_back_goes_into_an_open_period(tmp_path: Path) -> None:
    async with database_for("sqlite", tmp_path, "mapper") as database:
        await Stage(database).hear(period(9, is_open=False, journal="90"), period(10, is_open=True, journal="90"))
        async with database.reading() as connection:
            mapping = mappings_of(CONFIGURATION)[DIVISION]
            placed = await in_open_period(Store(database, connection), Revert(command=COUNTER, is_again=False), mapping)
    assert not isinstance(placed, Rejection), placed.sentence
    assert (placed.command.entry_date, placed.command.reporting_period) == (date(2026, 9, 5), 10)


def shown(account: str, cost_center: str, hundredths: int) -> LedgerLine:
    """A line as Exact's ledger has it."""
    zeros: dict[str, Any] = dict.fromkeys(("timestamp", "entry_number", "line_number", "line_type", "type", "period"), 0)
    nothing: dict[str, Any] = dict.fromkeys(
        ("relation_id", "vat_code", "vat_fc_hundredths", "cost_unit", "your_ref", "description")
    )
    nothing |= dict.fromkeys(("payment_reference", "invoice_number"))
    amounts: dict[str, Any] = {"dc_hundredths": hundredths, "fc_hundredths": hundredths, "currency": "EUR"}
    place: dict[str, Any] = {"line_id": cost_center, "entry_id": "e", "journal": "70", "day": date(2026, 9, 5), "year": 2026}
    return LedgerLine(account=account, cost_center=cost_center, **zeros, **nothing, **amounts, **place)


def test_each_cost_centre_gets_back_what_it_was_booked_with_though_the_other_account_was_booked_too() -> None:
    lines = (
        EntryLine(gl_account="8000", amount_minor=1_000, cost_center="NL"),
        EntryLine(gl_account="8010", amount_minor=500, cost_center="SALES"),
    )
    command = msgspec.structs.replace(
        COUNTER, kind="sales", journal="70", your_ref="INV-1", customer_ref="site0/CUST1", lines=lines
    )
    entry = booked_entry(command, "INV-1", "1300")
    row = Row(key=Key("site0", "invoice", "INV-1", ""), customer_id="CUST1", division=DIVISION, state="booked")
    # 10.00 of NL was moved from 8000 to 8010, where 5.00 of SALES stands by right.
    there = (shown("8010", "NL", -1_000), shown("8010", "SALES", -500))
    booking = Booking(row=row, command=command, entry=entry, lines=there)
    findings = [
        Finding(kind="edited", name="entry_edited_amount", document="invoice", number="INV-1", amount_minor=amount, details=of)
        for amount, of in ((1_000, {"place": "8000"}), (-1_000, {"place": "8010"}))
    ]
    revert = revert_of(booking, findings, mappings_of(CONFIGURATION)[DIVISION], 0)
    assert isinstance(revert, Revert)
    made = {(each.gl_account, each.cost_center, each.amount_minor) for each in revert.command.lines}
    assert made == {("8000", "NL", -1_000), ("8010", "NL", 1_000)}


def test_what_takes_a_change_back_in_another_currency_balances_in_both() -> None:
    """Each amount is rounded by itself: 0.08 dollars at 0.9 are 0.07 euros, but 0.03 and 0.05 are 0.03 and 0.05."""
    lines = tuple(
        EntryLine(gl_account=account, amount_minor=amount) for account, amount in (("8000", 7), ("8010", 3), ("8020", 5))
    )
    changes = {"kind": "sales", "journal": "70", "your_ref": "INV-1", "customer_ref": "site0/CUST1", "currency": "USD"}
    command = msgspec.structs.replace(COUNTER, lines=lines, exchange_rate=Decimal("0.9"), **changes)
    row = Row(key=Key("site0", "invoice", "INV-1", ""), customer_id="CUST1", division=DIVISION, state="booked")
    there = tuple(shown(account, "", amount) for account, amount in (("8000", -15), ("8010", 0), ("8020", 0)))
    booking = Booking(row=row, command=command, entry=booked_entry(command, "INV-1", "1300"), lines=there)
    findings = [
        Finding(kind="edited", name="entry_edited_amount", document="invoice", number="INV-1", amount_minor=amount, details=of)
        for amount, of in ((-8, {"place": "8000"}), (3, {"place": "8010"}), (5, {"place": "8020"}))
    ]
    revert = revert_of(booking, findings, mappings_of(CONFIGURATION)[DIVISION], 0)
    assert isinstance(revert, Revert)
    amounts = [line.amount_minor for line in revert.command.lines]
    assert sum(amounts) == 0
    assert sum(int((amount * Decimal("0.9")).quantize(Decimal(1), ROUND_HALF_UP)) for amount in amounts) == 0
    sums = Counter[str]()
    for line in revert.command.lines:
        sums[line.gl_account] += line.amount_minor
    assert sums == {"8000": 8, "8010": -3, "8020": -5}
