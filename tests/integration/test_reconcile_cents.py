"""`kruispost reconcile` tells cents that Exact rounds from amounts that somebody changed, and both from another exchange rate."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.engines import DATABASES
from support.other_books import run
from support.whole_month import DIVISION, Month, events_of_month, whole_month

from simulators.exact import ledger

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
VAT, CENTS, RATE = "INV-10", "INV-11", "INV-12"
SHOWN = {"INV-10": VAT, "INV-24": CENTS, "INV-42": RATE}  # of the month: one in euros with two rates of VAT, two in dollars
CENT = Decimal("0.01")
MONTH = ("reconcile", "--from", "2026-10-01", "--to", "2026-10-31")


async def reconcile(month: Month, *arguments: str) -> tuple[int, Any]:
    """The exit code, and what was said as JSON."""
    done = await run(month, *MONTH, "--json", *arguments)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def of_three_invoices() -> list[dict[str, Any]]:
    """These invoices as they were first told, so that nothing of them was paid, and before them what they refer to."""
    events = events_of_month(documents=14)
    told: dict[str, dict[str, Any]] = {}
    for event in events:
        invoice = event["content"].get("invoice")
        if invoice is not None and invoice["id"] in SHOWN:
            numbered = {**invoice, "id": SHOWN[invoice["id"]]}
            told.setdefault(invoice["id"], {**event, "event_type": "invoice_generated", "content": {"invoice": numbered}})
    invoices = [event["content"]["invoice"] for event in told.values()]
    names = {invoice["customer_id"] for invoice in invoices}
    names |= {line["entity_id"] for invoice in invoices for line in invoice["line_items"]}
    items = [event["content"].get("item_price", {}) for event in events]
    names |= {price["item_id"] for price in items if price.get("id") in names}
    kept = [event for event in events if len(event["content"]) == 1]
    of_them = [event for event in kept if next(iter(event["content"].values()))["id"] in names]
    return [*of_them, *told.values()]


def change(month: Month, entry_id: str, amounts: dict[str, Decimal], *, currency: str = "DC") -> None:
    """Let Exact's ledger show another amount on some accounts of an entry, in the division's currency or (FC) in both."""
    division = month.server.simulator.world.divisions[DIVISION]
    rows = [row for row in division.table(ledger.LINES) if str(row["EntryID"]) == entry_id]
    for row in rows:
        more = amounts.get(row["GLAccountCode"].strip())
        if more is not None:
            names = ("AmountDC", "AmountFC") if currency == "FC" else ("AmountDC",)
            division.update(ledger.LINES, row["ID"], {name: row[name] + more for name in names})


def found(told: Any, number: str) -> set[tuple[str, str, int]]:
    return {
        (each["name"], each["details"]["place"], each["amount_minor"]) for each in told["findings"] if each["number"] == number
    }


@pytest.mark.parametrize("dialect", DATABASES)
async def test_each_difference_of_cents_and_of_rates_has_its_class(tmp_path: Path, dialect: str) -> None:
    async with whole_month(tmp_path, dialect, changes={"mode": "document"}) as month:
        await month.receive(of_three_invoices())
        await month.book()
        posted = await month.posted()
        assert {number: posted[number].booked_as for number in SHOWN.values()} == {VAT: "document", CENTS: "entry", RATE: "entry"}
        code, told = await reconcile(month, "--all")
        assert (code, told["findings"]) == (0, [])

        change(month, posted[VAT].entry_id, {"1500": -CENT, "8000": CENT}, currency="FC")  # Exact computed a cent of VAT more
        change(month, posted[CENTS].entry_id, {"1300": CENT, "8050": -CENT})  # and converted to a cent more
        code, told = await reconcile(month, "--all")
        assert (code, told["unexplained"], {each["kind"] for each in told["findings"]}) == (0, 0, {"rounding"})
        assert found(told, VAT) == {("entry_rounding", "8000", 1), ("entry_rounding", "VAT 2", -1)}
        assert found(told, CENTS) == {("entry_rounding", "1300", 1), ("entry_rounding", "8050", -1)}
        (counted,) = (each for each in told["explained"] if each["currency"] == "EUR")
        assert (counted["kind"], counted["documents"]) == ("rounding", 2)

        change(month, posted[RATE].entry_id, {"1300": Decimal(5), "8050": Decimal(-5)})
        code, told = await reconcile(month)
        assert (code, told["unexplained"]) == (1, 2)
        assert found(told, RATE) == {("entry_exchange_rate", "1300", 500), ("entry_exchange_rate", "8050", -500)}
        assert {each["kind"] for each in told["findings"]} == {"exchange_rate"}
        assert all(f"entry {posted[RATE].entry_number}" in each["sentence"] for each in told["findings"])

        listed = await run(month, *MONTH, "--all", "--lang", "nl", "--wait", "0")
        assert listed.returncode == 1
        assert f"wisselkoers: factuur {RATE}, boeking {posted[RATE].entry_number}: 1300 is" in listed.stdout
        for number in (VAT, CENTS):
            assert f"factuur {number}, boeking {posted[number].entry_number}" in listed.stdout
        assert "door afronding" in listed.stdout
