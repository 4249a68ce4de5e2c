"""Calls to Exact per invoice in real time over real connections: writes (the goal is 1.00), and all calls with mirror and tokens.

In mode ledger for history, where many documents share a call, the goal is at most 0.02.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from support.exact_server import exact_server
from support.writer_stage import ledger_sale, sale, save_account, writer_stage

from contracts import facts

INVOICES = 360
# Sixty calls in six seconds instead of in sixty: the same windows, ten times as fast.
MINUTE_SECONDS, MINUTE_LIMIT = 6.0, 60
GOAL_WRITES, GOAL_ALL = 1.00, 1.02
HISTORY, GOAL_LEDGER = 2_000, 0.02
SALES = "POST salesentry/SalesEntries"


async def run() -> dict[str, dict[str, Any]]:
    """Book invoices of known customers in fast windows and count what it took."""
    customers = [f"CUST{number}" for number in range(5)]
    with tempfile.TemporaryDirectory() as directory:
        async with (
            exact_server(minute_seconds=MINUTE_SECONDS, minute_limit=MINUTE_LIMIT) as server,
            writer_stage(server, Path(directory), poll_seconds=30.0) as stage,
        ):
            await stage.tell(*(save_account(customer) for customer in customers))
            await stage.until(facts.AccountSaved, len(customers))
            before = await server.calls()
            await stage.tell(*(sale(f"INV-{number}", customers[number % len(customers)]) for number in range(INVOICES)))
            await stage.until(facts.EntryPosted, INVOICES, seconds=120)
            after = await server.calls()
    writes = after["by_endpoint"][SALES] - before["by_endpoint"].get(SALES, 0)
    every = after["total"] - before["total"]
    windows = [window for window in after["per_window"] if window["used"]][2:-1]
    used = sum(window["used"] for window in windows) / max(1, sum(window["limit"] for window in windows))
    return {
        "real_time_write_calls_per_invoice": _row(writes / INVOICES, "calls/invoice", GOAL_WRITES),
        "real_time_calls_per_invoice": _row(every / INVOICES, "calls/invoice", GOAL_ALL),
        "share_of_allowed_calls_used": _row(used, "of full windows", 1.0),
        "real_time_rate_limited": _row(float(after["rate_limited"]), "refusals", 0.0),
        "real_time_error_blocks": _row(float(after["error_blocks"]), "blocks", 0.0),
        "real_time_calls_per_invoice_ledger": _row(await history(), "calls/document", GOAL_LEDGER),
    }


async def history() -> float:
    """Book invoices of known customers in mode ledger; all calls a document."""
    customers = [f"CUST{number}" for number in range(50)]
    with tempfile.TemporaryDirectory() as directory:
        async with exact_server() as server, writer_stage(server, Path(directory), poll_seconds=30.0) as stage:
            await stage.tell(*(save_account(customer) for customer in customers))
            await stage.until(facts.AccountSaved, len(customers))
            before = await server.calls()
            for start in range(0, HISTORY, 500):
                numbers = range(start, start + 500)
                await stage.tell(*(ledger_sale(f"INV-{number}", customers[number % len(customers)]) for number in numbers))
            await stage.until(facts.EntryPosted, HISTORY, seconds=300)
            after = await server.calls()
    return float(after["total"] - before["total"]) / HISTORY


def _row(value: float, unit: str, ceiling: float) -> dict[str, Any]:
    return {"value": value, "unit": unit, "ceiling": ceiling, "ratio": value / ceiling if ceiling else value}


def measure() -> dict[str, dict[str, Any]]:
    """Return the figures; the ceilings are the goals, since calls are counted and not timed."""
    return asyncio.run(run())
