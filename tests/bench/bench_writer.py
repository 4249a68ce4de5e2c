"""The whole writer in virtual time: calls for invoices of many sizes in each mode, and the share of the minutes it uses.

Waits are skipped; what the writer does between two calls is not, where the share of the allowed calls is measured.
Reading Exact's ledger back for `kruispost reconcile` has a figure of its own: it follows the number of lines and takes only calls
that nothing waits for.
`KRUISPOST_BENCH_INVOICES=1000` takes a tenth of the invoices and of their customers.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa
from support.virtual_writer import START, VirtualWriter, spent, virtual_writer
from support.writer_stage import configuration, sale, save_account

from contracts.commands import EntryLine, PostEntry
from exact_writer.tables import ledger_lines

Mode = Literal["entry", "document", "ledger"]
ANSWER_MS = (50, 300, 900)
INVOICES: Final = int(os.environ.get("KRUISPOST_BENCH_INVOICES", "10000"))
CUSTOMERS, MOST_LINES = INVOICES // 5, 60
ITEMS, MINUTES = 40, 8
DAY = date(2026, 3, 2)
FAR = START.timestamp() + 400 * 86_400
WRITES: Final[dict[Mode, str]] = {
    "entry": "POST salesentry/SalesEntries",
    "document": "POST salesinvoice/SalesInvoices",
    "ledger": "POST generaljournalentry/GeneralJournalEntries",
}
# Calls an invoice of a known customer, and those that its PDF adds. A draft and its becoming final are two.
GOALS: Final[dict[Mode, float]] = {"entry": 1.02, "document": 2.02, "ledger": 0.02}
CALLS_OF_PDF: Final[dict[Mode, float]] = {"entry": 2.0, "document": 1.0, "ledger": 2.0}  # a sales invoice's document Exact makes
READS_LEDGER: Final = "GET sync/Financial/TransactionLines"
LINES_A_PAGE: Final = 1_000
NAMES: Final[dict[Mode, str]] = {"entry": "", "document": "_document", "ledger": "_ledger"}


def measure() -> dict[str, dict[str, Any]]:
    """Return the figures; calls are counted and not timed, so the ceilings are the goals."""
    figures: dict[str, dict[str, Any]] = {}
    refusals = {"rate_limited": 0, "error_blocks": 0}
    for mode in WRITES:
        print(f"  mode {mode}", flush=True)
        counted = asyncio.run(_mode(mode))
        print(f"  {counted}", flush=True)
        name, goal = NAMES[mode], GOALS[mode]
        new, known, with_pdf = (counted[each] for each in ("new", "known", "with_pdf"))
        figures[f"write_calls_per_invoice{name}"] = _row(known["writes"] / INVOICES, "calls/invoice", min(1.0, goal))
        figures[f"calls_per_invoice{name}"] = _row(known["calls"] / INVOICES, "calls/invoice", goal)
        each_new = CUSTOMERS / INVOICES
        figures[f"calls_per_invoice{name}_new_customers"] = _row(new["calls"] / INVOICES, "calls/invoice", goal + each_new)
        figures[f"calls_per_invoice{name}_with_pdf"] = _row(
            with_pdf["calls"] / INVOICES, "calls/invoice", goal + CALLS_OF_PDF[mode]
        )
        pages = counted["ledger"]
        figures[f"ledger_reading_calls_per_invoice{name}"] = _row(
            pages["calls"] / (3 * INVOICES), "calls/invoice", pages["lines"] / LINES_A_PAGE / (3 * INVOICES)
        )
        for refusal in refusals:
            refusals[refusal] += counted["refusals"][refusal]
    figures |= {
        name: _row(float(number), "refusals" if name == "rate_limited" else "blocks", 0.0) for name, number in refusals.items()
    }
    for milliseconds in ANSWER_MS:
        # Sixty answers of 900 ms take 54 of the 58 seconds that a minute has after its margin.
        figures[f"budget_used_share_{milliseconds}ms"] = _row(asyncio.run(_share(milliseconds)), "of full minutes", 1.0)
    return figures


async def _mode(mode: Mode) -> dict[str, dict[str, Any]]:
    """The calls for invoices of new customers, then for as many of the same customers, then for as many with a PDF each."""
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as directory:
        settings = configuration(pdf={"policy": "always"})
        async with virtual_writer(Path(directory), day_limit=1_000_000, configuration=settings) as stage:
            # The mirror is read once for all, and in mode document each item is made once.
            await stage.plan(save_account("C0"), *(_items() if mode == "document" else ()))
            await stage.run(FAR, while_waiting=True)
            await stage.plan(*(save_account(f"C{number}") for number in range(1, CUSTOMERS)))
            new = await _booked(stage, mode, (_invoice(number, mode, chance) for number in range(INVOICES)))
            numbers = range(INVOICES, 2 * INVOICES)
            known = await _booked(stage, mode, (_invoice(number, mode, chance) for number in numbers))
            numbers = range(2 * INVOICES, 3 * INVOICES)
            with_pdf = await _booked(stage, mode, (_invoice(number, mode, chance, pdf=True) for number in numbers))
            calls = await spent(stage)
            async with stage.database.reading() as connection:
                lines = await connection.scalar(sa.select(sa.func.count()).select_from(ledger_lines))
    refusals = {name: calls[name] for name in ("rate_limited", "error_blocks")}
    ledger = {"calls": calls["by_endpoint"].get(READS_LEDGER, 0), "lines": lines}
    return {"new": new, "known": known, "with_pdf": with_pdf, "refusals": refusals, "ledger": ledger}


async def _booked(stage: VirtualWriter, mode: Mode, invoices: Iterator[PostEntry]) -> dict[str, Any]:
    """Book these; all calls meanwhile but those that read the ledger back, and those that wrote an invoice."""
    before = await spent(stage)
    while part := list(islice(invoices, 500)):
        await stage.plan(*part)
    await stage.run(FAR, while_waiting=True)
    after = await spent(stage)
    writes, pages = (
        after["by_endpoint"].get(each, 0) - before["by_endpoint"].get(each, 0) for each in (WRITES[mode], READS_LEDGER)
    )
    return {"calls": after["total"] - before["total"] - pages, "writes": writes}


def _invoice(number: int, mode: Mode, chance: random.Random, *, pdf: bool = False) -> PostEntry:
    count = chance.randint(1, MOST_LINES)
    known: dict[str, Any] = {"entry_date": DAY, "pdf": pdf, "mode": mode}
    if mode == "ledger":
        total = sum(121 * each for each in range(1, count + 1))
        lines = tuple(_line(-each) for each in range(1, count + 1))
        debtor = EntryLine(gl_account="1300", amount_minor=total, description=f"INV-{number}", is_receivable=True)
        known |= {"kind": "general", "journal": "91", "lines": (debtor, *lines)}
    elif mode == "document":
        known["lines"] = tuple(msgspec.structs.replace(_line(each), item_code=f"I{each % ITEMS}") for each in range(1, count + 1))
    else:
        known["lines"] = tuple(_line(each) for each in range(1, count + 1))
    return sale(f"INV-{number}", f"C{number % CUSTOMERS}", **known)


def _line(each: int) -> EntryLine:
    return EntryLine(gl_account="8000", amount_minor=100 * each, vat_code="2", vat_amount_minor=21 * each, description="Plan")


def _items() -> Iterator[PostEntry]:
    """An invoice of each item."""
    lines = tuple(msgspec.structs.replace(_line(1), item_code=f"I{each}") for each in range(ITEMS))
    yield sale("ITEMS", "C0", lines=lines, entry_date=DAY, mode="document")


async def _share(milliseconds: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        waits = virtual_writer(Path(directory), answer_seconds=milliseconds / 1_000, counts_own_time=True)
        async with waits as stage:
            await stage.plan(*(save_account(f"C{number}") for number in range(5)))
            await stage.run(START.timestamp() + 120, while_waiting=True)
            await stage.plan(*(sale(f"INV-{number}", f"C{number % 5}", entry_date=DAY) for number in range(60 * (MINUTES + 2))))
            begun = stage.clock.seconds()
            await stage.run(begun + MINUTES * 60)
            windows = (await spent(stage))["per_window"]
    # The last windows before the stop, by their place: all but the one that the stop cut off.
    full = windows[-MINUTES:-1]
    return float(sum(each["used"] for each in full) / sum(each["limit"] for each in full))


def _row(value: float, unit: str, ceiling: float) -> dict[str, Any]:
    return {"value": value, "unit": unit, "ceiling": ceiling, "ratio": value / ceiling if ceiling else value}
