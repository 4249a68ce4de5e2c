"""`kruispost matches`: money for what was written off, for what is due again, and for what somebody recorded by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import customer, observed
from support.matcher_stage import bank_line, matcher_stage, matching, receivable
from support.matches_desk import SETTINGS, Desk

from contracts import facts
from simulators.chargebee.credit_notes import void_credit_note, write_off_invoice
from simulators.chargebee.payments import Money, pay_invoice

UNDO_FIRST = "void that credit note in chargebee first"
KEEP = "     kruispost matches accept 11111111 --excess    (kept for the customer)"
TOLD_EN = "  EUR 121.00 of {number} was written off in Chargebee, by credit note {note}"
TOLD_NL = "  van {number} is in Chargebee EUR 121.00 afgeboekt, met creditnota {note}"


@pytest.fixture(params=DATABASES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    async with matcher_stage(request.param, tmp_path, configuration=matching(**SETTINGS)) as stage:
        await stage.see(customer("cust-1", company="Voorbeeld B.V."))
        yield Desk(stage, tmp_path)


async def show(desk: Desk, note: dict[str, Any], invoice: dict[str, Any]) -> None:
    """Let the matcher hear how a credit note and its invoice stand in Chargebee."""
    await desk.stage.show_invoice_only(invoice)
    copy = msgspec.json.decode(msgspec.json.encode(note))
    await desk.stage.see(observed(facts.CreditNoteObserved, copy, version=int(note["resource_version"])))


async def written_off(desk: Desk) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write an invoice off; Exact matches it with the entry of the write-off."""
    invoice = bill(desk.stage.chargebee.app)
    await desk.stage.show_invoice(invoice)
    note = write_off_invoice(desk.stage.chargebee.app.site, invoice["id"])
    await show(desk, note, invoice)
    term = f"term-{invoice['id']}"
    seen = receivable(note["id"], -12_100, term="term-cn", account_id="account-1")
    assert seen.document is not None
    await desk.stage.see(
        msgspec.structs.replace(seen, document=msgspec.structs.replace(seen.document, kind="credit_note", number=note["id"]))
    )
    await desk.stage.see(receivable(invoice["id"], 12_100, term=term, timestamp=2, account_id="account-1"))
    await desk.stage.work()
    return invoice, note


@pytest.mark.parametrize("is_named", [True, False])
async def test_money_for_a_debt_that_was_written_off_says_so_and_what_to_undo_before_it_is_kept(desk: Desk, is_named) -> None:
    invoice, note = await written_off(desk)
    await desk.stage.see(bank_line(6_000, f"deel van {invoice['id']}" if is_named else "restant"))
    await desk.stage.line()
    _, text = await desk.run()
    assert TOLD_EN.format(number=invoice["id"], note=note["id"]) in text.splitlines()
    assert KEEP in text.splitlines()
    assert UNDO_FIRST in text.lower()
    _, dutch = await desk.run("--lang", "nl")
    assert TOLD_NL.format(number=invoice["id"], note=note["id"]) in dutch.splitlines()
    assert "Annuleer eerst die creditnota in Chargebee" in dutch
    _, found = await desk.json()
    assert [each["amount_minor"] for each in found["lines"][0]["written_off"]] == [12_100]


async def test_keeping_is_offered_beside_an_invoice_of_somebody_else_of_the_same_amount(desk: Desk) -> None:
    """What is proposed is another's; the customer whose account the line stands on has paid what was written off."""
    await desk.stage.see(customer("cust-2", company="Wilg Bouw"))
    owner = {"customer_ref": "acme-test/cust-2", "account_id": "account-2"}
    await desk.stage.see(facts.AccountSaved(division=123456, created=True, **owner))
    invoice = bill(desk.stage.chargebee.app)
    await desk.stage.show_invoice(invoice)
    await desk.stage.see(bank_line(12_100, "betaling", account_id="account-2", account_name="Wilg Bouw"))
    await desk.stage.line()
    text = (await desk.run())[1].splitlines()
    assert {f"     kruispost matches accept 11111111 {invoice['id']}", KEEP} <= {*text}


async def test_once_the_write_off_is_undone_the_line_names_the_invoice_that_is_due_again(desk: Desk) -> None:
    """Exact has the invoice matched with its write-off still, so that it is not proposed; it is paid where a person says so."""
    invoice, note = await written_off(desk)
    await desk.stage.see(bank_line(6_000, "restant"))
    await desk.stage.line()
    void_credit_note(desk.stage.chargebee.app.site, note["id"])
    await show(desk, note, invoice)
    await desk.stage.work()
    line = await desk.stage.line()
    _, text = await desk.run("--reason", "due_again")
    assert (line.reason, UNDO_FIRST in text.lower()) == ("due_again", False)
    command = f"     kruispost matches accept 11111111 {invoice['id']}"
    assert any(row.startswith(command) for row in text.splitlines())
    assert f"  {invoice['id']} van klant cust-1 (Voorbeeld B.V.): EUR 121.00 weer open" in (await desk.run("--lang", "nl"))[1]
    assert (await desk.json("accept", "1111", invoice["id"]))[0] == 0
    await desk.work()
    assert (invoice["amount_due"], [each["amount"] for each in desk.stage.transactions()]) == (6_100, [6_000])


async def test_cents_within_the_tolerance_are_no_debt_that_somebody_pays_after_all(desk: Desk) -> None:
    invoice = bill(desk.stage.chargebee.app)
    pay_invoice(desk.stage.chargebee.app.site, invoice["id"], Money("card", amount_minor=12_098, gateway="stripe"))
    note = write_off_invoice(desk.stage.chargebee.app.site, invoice["id"])
    await show(desk, note, invoice)
    await desk.stage.see(bank_line(12_100, invoice["id"]))
    await desk.stage.line()
    assert UNDO_FIRST not in (await desk.run())[1].lower()


async def test_a_line_of_an_invoice_that_was_paid_by_hand_in_chargebee_says_so(desk: Desk) -> None:
    """Kept for the customer, the same money would stand in Chargebee twice."""
    invoice = bill(desk.stage.chargebee.app)
    _, made = pay_invoice(desk.stage.chargebee.app.site, invoice["id"], Money("bank_transfer", 12_100))
    await desk.stage.show_invoice(invoice)
    await desk.stage.show_transactions()
    await desk.stage.see(bank_line(12_100, invoice["id"]))
    await desk.stage.line()
    (told,) = [row for row in (await desk.run())[1].splitlines() if "by hand" in row]
    assert told.startswith(f"  {invoice['id']}: EUR 121.00 was recorded in Chargebee by hand ({made['id']})")


async def test_a_receipt_that_exact_matched_with_a_written_off_invoice_says_to_undo_that_and_is_recorded_then(desk: Desk) -> None:
    """The money came in before the write-off was booked, so Exact matched the invoice with it."""
    invoice = bill(desk.stage.chargebee.app)
    await desk.stage.show_invoice(invoice)
    note = write_off_invoice(desk.stage.chargebee.app.site, invoice["id"])
    await show(desk, note, invoice)
    term = f"term-{invoice['id']}"
    await desk.stage.see(receivable(invoice["id"], 12_100, term=term, timestamp=2, account_id="account-1"))
    await desk.stage.work()
    (told,) = await desk.stage.told(facts.PaymentNotRecorded)
    assert (told.code, "void that credit note in Chargebee" in told.sentence) == ("money_without_debt", True)
    assert "annuleer dan die creditnota in Chargebee" in (told.sentence_nl or "")
    void_credit_note(desk.stage.chargebee.app.site, note["id"])
    await show(desk, note, invoice)
    await desk.stage.work()
    assert (invoice["status"], [each["amount"] for each in desk.stage.transactions()]) == ("paid", [12_100])
