"""The writer against the Exact stand-in: what it books, what it costs, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engines import DATABASES
from support.exact_server import exact_server
from support.writer_stage import payment, sale, save_account, writer_stage

from contracts import facts


@pytest.mark.parametrize("dialect", DATABASES)
async def test_an_invoice_of_a_known_customer_costs_one_call(tmp_path: Path, dialect: str) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, dialect, poll_seconds=1000.0) as stage:
        await stage.tell(save_account())
        await stage.until(facts.AccountSaved)
        before = (await server.calls())["by_endpoint"]
        await stage.tell(*(sale(f"INV-{number}") for number in range(20)))
        posted = await stage.until(facts.EntryPosted, 20)
        after = await server.calls()
        assert [fact.your_ref for fact in posted] == [f"INV-{number}" for number in range(20)]
        spent = {name: count - before.get(name, 0) for name, count in after["by_endpoint"].items() if count > before.get(name, 0)}
        spent.pop("GET sync/Cashflow/PaymentTerms", None)  # asking what changed, once since the start
        assert spent == {"POST salesentry/SalesEntries": 20}
        assert after["concurrent_max"] == 1
        assert await server.booked() == sorted(f"INV-{number}" for number in range(20))


async def test_the_entry_carries_chargebees_cents(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-1"), payment("TX-1"))
        await stage.until(facts.EntryPosted, 2)
        ledger = await server.ledger()
        balances = {code: cents for code, cents in ledger["balances_minor"].items() if cents}
        assert balances == {"1290": 12_100, "1500": -2_100, "8000": -10_000}
