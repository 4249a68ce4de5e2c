"""`kruispost matches unequal`: credit notes that were paid out by bank in Exact, and are still to be given in Chargebee."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import observed
from support.matcher_stage import matcher_stage, matching, receivable
from support.matches_desk import SETTINGS, Desk

from contracts import facts
from simulators.chargebee.credit_notes import create_credit_note, refund_credit_note
from simulators.chargebee.payments import Money, pay_invoice


@pytest.fixture(params=DATABASES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    async with matcher_stage(request.param, tmp_path, configuration=matching(**SETTINGS)) as stage:
        yield Desk(stage, tmp_path)


async def show(desk: Desk, note: dict[str, Any]) -> None:
    """Let the matcher hear how a credit note stands in Chargebee."""
    copy = msgspec.json.decode(msgspec.json.encode(note))
    await desk.stage.see(observed(facts.CreditNoteObserved, copy, version=int(note["resource_version"])))


async def credited(desk: Desk) -> dict[str, Any]:
    """Make a paid invoice whose credit is to be refunded, and let Exact have both."""
    site = desk.stage.chargebee.app.site
    invoice = bill(desk.stage.chargebee.app)
    pay_invoice(site, invoice["id"], Money("card"))
    note = create_credit_note(site, invoice["id"], kind="refundable", reason="Order Change")
    await show(desk, note)
    await in_exact(desk, note)
    return note


async def in_exact(desk: Desk, note: dict[str, Any], timestamp: int = 1, **more: Any) -> None:
    """Let the matcher hear how Exact has a credit note on the customer's account: open, unless told otherwise."""
    document = facts.DocumentRef(
        site="acme-test", kind="credit_note", number=note["id"], customer_id="cust-1", currency="EUR", total_minor=-note["total"]
    )
    known: dict[str, Any] = {"is_fully_paid": False, "status": 20, "last_payment_date": None, "entry_number": 26710001, **more}
    term = f"term-{note['id']}"
    await desk.stage.see(receivable(note["id"], -note["total"], term=term, document=document, timestamp=timestamp, **known))


async def test_a_credit_note_that_was_paid_out_by_bank_is_listed_until_its_refund_is_recorded(desk: Desk) -> None:
    note = await credited(desk)
    assert (await desk.run("unequal", "--days", "0"))[0] == 0
    await in_exact(desk, note, timestamp=2, is_fully_paid=True, status=50)
    code, text = await desk.run("unequal", "--days", "0")
    link = "https://exact.example/entry?d=123456&id=entry-1"
    assert (code, text.splitlines()) == (
        1,
        [
            f"{note['id']}  cust-1: of this credit note EUR 0.00 is open in Exact, and 121.00 is to be given in Chargebee",
            "  was it paid out by bank? Record that refund on it in Chargebee. Else take in Exact back what it is matched with",
            f"  entry 26710001  {link}",
            "",
            "1 with another amount open in Exact than is due in Chargebee",
        ],
    )
    code, found = await desk.json("unequal", "--days", "0", "--lang", "nl")
    assert (code, found["invoices"], [each["number"] for each in found["credit_notes"]]) == (1, [], [note["id"]])
    assert (await desk.run("unequal", "--days", "9000"))[0] == 0
    assert (await desk.run("unequal", "--days", "0", "--division", "1"))[0] == 0
    refund_credit_note(desk.stage.chargebee.app.site, note["id"], Money("bank_transfer", 12_100, note["date"]))
    await show(desk, note)
    assert (await desk.run("unequal", "--days", "0"))[0] == 0


async def test_a_credit_note_that_is_refunded_and_still_open_in_exact_is_not_told(desk: Desk) -> None:
    """Its refund stands against it on the same account; where it was used, the invoice is told."""
    note = await credited(desk)
    refund_credit_note(desk.stage.chargebee.app.site, note["id"], Money("card", 5_000, note["date"]))
    await show(desk, note)
    assert (await desk.run("unequal", "--days", "0"))[0] == 0


async def test_an_older_state_of_a_credit_note_changes_nothing(desk: Desk) -> None:
    note = await credited(desk)
    older = dict(note)
    await in_exact(desk, note, timestamp=2, is_fully_paid=True, status=50)
    refund_credit_note(desk.stage.chargebee.app.site, note["id"], Money("bank_transfer", 12_100, note["date"]))
    await show(desk, note)
    await show(desk, {**older, "resource_version": int(note["resource_version"]) - 1})
    assert (await desk.run("unequal", "--days", "0"))[0] == 0
