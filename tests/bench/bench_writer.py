"""The whole writer in virtual time: calls for invoices of many sizes, calls with PDFs, and the share of the minutes it uses.

Waits are skipped; what the writer does between two calls is not, where the share of the allowed calls is measured.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from support.virtual_writer import START, spent, virtual_writer
from support.writer_stage import configuration, sale, save_account

from contracts.commands import EntryLine, PostEntry

ANSWER_MS = (50, 300, 900)
INVOICES, CUSTOMERS, MOST_LINES = 10_000, 2_000, 60
WITH_PDF, MINUTES = 300, 8
DAY = date(2026, 3, 2)
FAR = START.timestamp() + 400 * 86_400
SALES = "POST salesentry/SalesEntries"


def measure() -> dict[str, dict[str, Any]]:
    """Return the figures; calls are counted and not timed, so the ceilings are the goals."""
    figures = asyncio.run(_many())
    figures["calls_per_invoice_with_pdf"] = _row(asyncio.run(_with_pdf()), "calls/invoice", 3.02)
    for milliseconds in ANSWER_MS:
        # Sixty answers of 900 ms take 54 of the 58 seconds that a minute has after its margin.
        figures[f"budget_used_share_{milliseconds}ms"] = _row(asyncio.run(_share(milliseconds)), "of full minutes", 1.0)
    return figures


async def _many() -> dict[str, dict[str, Any]]:
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as directory:
        async with virtual_writer(Path(directory), day_limit=1_000_000) as stage:
            await stage.plan(*(save_account(f"C{number}") for number in range(CUSTOMERS)))
            await stage.run(FAR, while_waiting=True)
            before = await spent(stage)
            for start in range(0, INVOICES, 500):
                await stage.plan(*(_invoice(number, chance) for number in range(start, start + 500)))
            await stage.run(FAR, while_waiting=True)
            after = await spent(stage)
    writes = after["by_endpoint"][SALES] - before["by_endpoint"].get(SALES, 0)
    return {
        "write_calls_per_invoice": _row(writes / INVOICES, "calls/invoice", 1.0),
        "calls_per_invoice": _row((after["total"] - before["total"]) / INVOICES, "calls/invoice", 1.02),
        "rate_limited": _row(float(after["rate_limited"]), "refusals", 0.0),
        "error_blocks": _row(float(after["error_blocks"]), "blocks", 0.0),
    }


def _invoice(number: int, chance: random.Random) -> PostEntry:
    lines = tuple(
        EntryLine(gl_account="8000", amount_minor=100 * each + 1, vat_code="2", vat_amount_minor=21 * each)
        for each in range(1, chance.randint(1, MOST_LINES) + 1)
    )
    return sale(f"INV-{number}", f"C{number % CUSTOMERS}", lines=lines, entry_date=DAY)


async def _with_pdf() -> float:
    with tempfile.TemporaryDirectory() as directory:
        settings = configuration(pdf={"policy": "always"})
        async with virtual_writer(Path(directory), day_limit=1_000_000, configuration=settings) as stage:
            await stage.plan(*(save_account(f"C{number}") for number in range(5)))
            await stage.run(FAR, while_waiting=True)
            before = (await spent(stage))["total"]
            await stage.plan(*(sale(f"INV-{number}", f"C{number % 5}", entry_date=DAY, pdf=True) for number in range(WITH_PDF)))
            await stage.run(FAR, while_waiting=True)
            return float((await spent(stage))["total"] - before) / WITH_PDF


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
