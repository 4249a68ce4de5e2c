"""`kruispost matches unequal` names what stands open in Exact that a person may have to match, and money that waits for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import observed
from support.matcher_stage import bank_line, matcher_stage, matching, receivable
from support.matches_desk import LINK, SETTINGS, Desk

from contracts import facts
from payment_matcher import matches_words
from simulators.chargebee import invoices
from simulators.chargebee.credit_notes import apply_credit, create_credit_note
from simulators.chargebee.late_money import fail_late
from simulators.chargebee.payments import Money, apply_payment, pay_invoice

OPEN: dict[str, Any] = {"is_fully_paid": False, "status": 20, "last_payment_date": None, "account_id": "account-1"}
MATCHED: dict[str, Any] = {"account_id": "account-1", "timestamp": 5, "is_fully_paid": False, "status": 50}


@pytest.fixture(params=DATABASES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    configuration = matching(**SETTINGS, suspense_accounts=["2090"])
    async with matcher_stage(request.param, tmp_path, configuration=configuration) as stage:
        yield Desk(stage, tmp_path)


async def ours(desk: Desk, kind: facts.DocumentKind, number: str, amount_minor: int, **more: Any) -> None:
    """Let the matcher hear how Exact has another document of ours on the customer's account: open, unless told otherwise."""
    document = facts.DocumentRef(
        site="acme-test", kind=kind, number=number, customer_id="cust-1", currency="EUR", total_minor=amount_minor
    )
    suffix = str(more.pop("suffix", ""))
    document = msgspec.structs.replace(document, suffix=suffix)
    known = {**OPEN, "entry_number": 26900001, **more}
    await desk.stage.see(receivable(number, amount_minor, term=f"term-{number}{suffix}", document=document, **known))


async def show_note(desk: Desk, note: dict[str, Any]) -> None:
    copy = msgspec.json.decode(msgspec.json.encode(note))
    await desk.stage.see(observed(facts.CreditNoteObserved, copy, version=int(note["resource_version"])))


async def used_credit(desk: Desk) -> tuple[dict[str, Any], dict[str, Any]]:
    """An invoice of 242.00 of which 121.00 was paid by a credit note, both open in Exact."""
    site = desk.stage.chargebee.app.site
    paid, invoice = bill(desk.stage.chargebee.app), bill(desk.stage.chargebee.app, 20_000)
    pay_invoice(site, paid["id"], Money("card"))
    note = create_credit_note(site, paid["id"], kind="refundable", reason="Order Change")
    await show_note(desk, note)
    await ours(desk, "credit_note", note["id"], -12_100)
    apply_credit(site, invoice["id"], note["id"])
    await show_note(desk, note)
    await desk.stage.show_invoice(invoice)
    return invoice, note


async def unequal(desk: Desk, *more: str) -> tuple[int, list[str]]:
    code, text = await desk.run("unequal", "--days", "0", *more)
    return code, text.splitlines()


async def test_the_receipt_that_chargebee_has_on_the_invoice_and_what_is_open_beside_it_are_named(desk: Desk) -> None:
    stage = desk.stage
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(11_100, f"factuur {invoice['id']}"))
    await stage.accept(await stage.line(), invoice)
    await stage.work()
    await stage.show_invoice(invoice)
    await ours(desk, "tax_withheld", "tax_1", -1_000)
    await stage.see(bank_line(5_000, "iets anders", line_id="22222222-bbbb", entry_number=26200002, entry_id="e2"))
    await stage.see(bank_line(7_700, "huur", line_id="33333333-cccc", entry_number=26200003, entry_id="e3"))
    await stage.proposer.step()
    assert (await desk.run("dismiss", "33333333", "--why", "huur"))[0] == 0
    code, told = await unequal(desk)
    first = LINK.format(division=123456, entry_id="bank-entry-1")
    assert (code, told[0]) == (1, f"{invoice['id']}  cust-1: EUR 121.00 open in Exact, 10.00 due in Chargebee")
    second, third = (LINK.format(division=123456, entry_id=each) for each in ("entry-1", "e2"))
    on_it, undecided = (
        "Chargebee has it on this invoice, or a part of it",
        "nothing is decided about it (`kruispost matches`, 22222222)",
    )
    assert told[told.index("  open in Exact for this customer:") + 1 : -2] == [
        f"    EUR 111.00 received on 2026-09-25, entry 26200001 in journal 20: {on_it}  {first}",
        f"    EUR 10.00 withheld tax tax_1, entry 26900001  {second}",
        f"    EUR 50.00 received on 2026-09-25, entry 26200002 in journal 20: {undecided}  {third}",
    ]
    _, dutch = await unequal(desk, "--lang", "nl")
    assert any("ontvangen op 2026-09-25, boekstuk 26200001 in dagboek 20: Chargebee heeft dit" in line for line in dutch)
    assert any("EUR 10.00 ingehouden belasting tax_1, boekstuk 26900001" in line for line in dutch)
    _, found = await desk.json("unequal", "--days", "0")
    items = found["invoices"][0]["open_on_account"]
    assert [(each["kind"], each["amount_hundredths"], each["is_recorded_on_it"]) for each in items] == [
        ("bank_line", 11_100, True),
        ("tax_withheld", 1_000, False),
        ("bank_line", 5_000, False),
    ]


async def test_money_that_was_kept_is_named_at_the_invoice_that_it_pays_now_and_where_it_stands(desk: Desk) -> None:
    stage = desk.stage
    await stage.see(bank_line(12_100, "voorschot", account_id="", gl_account="2090"))
    await stage.proposer.step()
    assert (await desk.run("accept", "11111111", "--excess", "--customer", "acme-test/cust-1"))[0] == 0
    await desk.work()
    invoice = bill(stage.chargebee.app)
    (kept,) = stage.transactions()
    apply_payment(stage.chargebee.app.site, invoice["id"], kept["id"])
    await stage.show_transactions()
    await stage.show_invoice(invoice)
    code, told = await unequal(desk)
    (named,) = [line for line in told if "received" in line]
    assert code == 1
    assert "entry 26200001 in journal 20: Chargebee has it on this invoice, or a part of it; it stands on 2090: move it" in named


async def test_what_stands_against_an_invoice_of_which_exact_has_less_open_is_named(desk: Desk) -> None:
    """The withheld tax that Exact has matched with it was taken back; its reversal is what is open now."""
    stage = desk.stage
    invoice = bill(stage.chargebee.app, 20_000)
    await stage.show_invoice(invoice)
    part: dict[str, Any] = {"term": f"term-{invoice['id']}", "whole_minor": 24_200}
    await ours(desk, "tax_withheld", "tax_1", -1_000, is_fully_paid=True, status=50, timestamp=2)
    await stage.see(receivable(invoice["id"], 23_200, **{**part, **OPEN}, timestamp=2))
    await stage.see(receivable(invoice["id"], 1_000, **{**part, "term": "part"}, **MATCHED))
    await stage.work()
    await ours(desk, "tax_withheld", "tax_1", 1_000, suffix="R", entry_number=26900003)
    await ours(desk, "payment", "txn_1", -2_000)
    code, told = await unequal(desk)
    assert (code, told[0]) == (1, f"{invoice['id']}  cust-1: EUR 232.00 open in Exact, 242.00 due in Chargebee")
    assert [line.partition("  http")[0] for line in told if line.startswith("    ")] == [
        "    EUR 10.00 withheld tax tax_1/R, entry 26900003: exactly this amount"
    ]


async def test_a_credit_note_that_the_customer_still_has_in_both_books_is_not_offered(desk: Desk) -> None:
    stage = desk.stage
    site = stage.chargebee.app.site
    paid, invoice = bill(stage.chargebee.app), bill(stage.chargebee.app)
    pay_invoice(site, paid["id"], Money("card"))
    await show_note(desk, note := create_credit_note(site, paid["id"], kind="refundable", reason="Order Change"))
    await ours(desk, "credit_note", note["id"], -12_100)
    pay_invoice(site, invoice["id"], Money("cash"))
    await stage.show_invoice(invoice)
    _, told = await unequal(desk)
    assert told[0] == f"{invoice['id']}  cust-1: EUR 121.00 open in Exact, 0.00 due in Chargebee"
    assert (
        "  nothing that fits is open in Exact for this customer: it is matched with something else there, or not booked yet"
        in told
    )


async def test_money_that_exact_matched_beside_a_credit_note_that_is_open_there_is_told_until_it_is_recorded(desk: Desk) -> None:
    stage = desk.stage
    invoice, note = await used_credit(desk)
    part: dict[str, Any] = {"whole_minor": 24_200}
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", **part, **{**OPEN, "timestamp": 5}))
    await stage.see(receivable(invoice["id"], 12_100, term="part", **part, **MATCHED))
    await stage.work()
    await stage.show_invoice_only(invoice)
    assert (invoice["amount_due"], stage.calls()) == (12_100, 0)
    (refused,) = await stage.told(facts.PaymentNotRecorded)
    assert (refused.code, "matches unequal" in refused.sentence) == ("already_counted", True)
    code, text = await desk.run("unequal")  # whatever changed in Chargebee lately
    told = text.splitlines()
    waits = "EUR 121.00 that Exact matched with it is not recorded in Chargebee yet"
    assert (code, told[0]) == (1, f"{invoice['id']}  cust-1: {waits}; 121.00 is open in Exact, and 121.00 due in Chargebee")
    assert any(line.startswith(f"    EUR 121.00 credit note {note['id']}, entry 26900001: exactly this amount") for line in told)
    _, found = await desk.json("unequal", "--lang", "nl")
    assert [each["not_recorded_hundredths"] for each in found["money_not_recorded"]] == [12_100]
    assert (await desk.run("unequal", "--division", "1"))[0] == 0
    # A person matches the credit note with the rest of the invoice.
    await ours(desk, "credit_note", note["id"], -12_100, is_fully_paid=True, status=50, timestamp=6)
    rest = {**MATCHED, "timestamp": 6}
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", **part, **rest))
    await stage.work()
    await stage.show_invoice_only(invoice)
    assert (invoice["amount_due"], stage.calls()) == (0, 1)
    assert (await unequal(desk))[0] == 0


async def test_what_another_connector_had_credited_and_exact_matched_is_no_money_that_waits(desk: Desk) -> None:
    """No document of ours is open, so a person has nothing to match, and nothing is told."""
    stage = desk.stage
    site = stage.chargebee.app.site
    paid, invoice = bill(stage.chargebee.app), bill(stage.chargebee.app, 20_000)
    pay_invoice(site, paid["id"], Money("card"))
    note = create_credit_note(site, paid["id"], kind="refundable", reason="Order Change")
    apply_credit(site, invoice["id"], note["id"])
    await stage.show_invoice(invoice)
    part: dict[str, Any] = {"whole_minor": 24_200}
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", **part, **{**OPEN, "timestamp": 5}))
    await stage.see(receivable(invoice["id"], 12_100, term="part", **part, **MATCHED))
    await stage.work()
    assert (invoice["amount_due"], stage.calls()) == (12_100, 0)
    assert (await unequal(desk))[0] == 0


async def test_money_that_waited_beside_a_withheld_tax_is_recorded_when_that_is_taken_off_the_invoice(desk: Desk) -> None:
    """The tax and its reversal are matched with each other in Exact, and nothing else of the account changes there."""
    stage = desk.stage
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    invoice["linked_taxes_withheld"] = [{"id": "tax_1", "type": "tax_withheld", "amount": 1_000}]
    await changed(desk, invoice)
    await ours(desk, "tax_withheld", "tax_1", -1_000)
    part: dict[str, Any] = {"whole_minor": 12_100}
    await stage.see(receivable(invoice["id"], 1_000, term=f"term-{invoice['id']}", **part, **{**OPEN, "timestamp": 5}))
    await stage.see(receivable(invoice["id"], 11_100, term="part", **part, **MATCHED))
    await stage.work()
    await stage.show_invoice_only(invoice)
    assert (invoice["amount_due"], invoice["amount_paid"]) == (1_000, 10_100)
    assert (await desk.run("unequal"))[0] == 1
    invoice["linked_taxes_withheld"] = []
    await ours(desk, "tax_withheld", "tax_1", -1_000, is_fully_paid=True, status=50, timestamp=6)
    await ours(desk, "tax_withheld", "tax_1", 1_000, suffix="R", is_fully_paid=True, status=50)
    await changed(desk, invoice)
    await stage.work()
    await stage.show_invoice_only(invoice)
    assert (invoice["amount_due"], invoice["amount_paid"]) == (1_000, 11_100)
    assert (await unequal(desk))[0] == 0


async def test_a_receipt_that_exact_matched_with_the_reversal_of_a_failed_debit_is_told_until_it_is_on_the_invoice(
    desk: Desk,
) -> None:
    stage = desk.stage
    site = stage.chargebee.app.site
    card = Money("card", gateway="stripe", gateway_account_id="gw_1")
    invoice = bill(stage.chargebee.app)
    _, paid = pay_invoice(site, invoice["id"], card)
    await stage.show_invoice(invoice)
    whole = f"term-{invoice['id']}"
    known: dict[str, Any] = {"is_fully_paid": True, "status": 50}
    await stage.see(receivable(invoice["id"], 12_100, term=whole, **{**MATCHED, "is_fully_paid": True}))
    await ours(desk, "payment", paid["id"], -12_100, **known)
    fail_late(site, paid["id"])
    await stage.show_invoice_only(invoice)
    await ours(desk, "payment", paid["id"], 12_100, suffix="R", entry_number=26900002)
    await stage.work()
    _, told = await unequal(desk)
    assert any(f"online payment {paid['id']}/R, entry 26900002: exactly this amount" in line for line in told)
    assert told[1] == f"  {matches_words.say('less_in_exact', 'en').strip()}"
    await ours(desk, "payment", paid["id"], 12_100, suffix="R", timestamp=6, **known)
    await stage.see(bank_line(12_100, f"factuur {invoice['id']}", is_matched=True))
    await stage.work()
    code, told = await unequal(desk)
    assert (code, told[0]) == (1, f"{invoice['id']}  cust-1: EUR 0.00 open in Exact, 121.00 due in Chargebee")
    assert told[1].startswith("  Exact matched EUR 121.00 that came in from this customer with something else, such as a payment")
    assert "Exact letterde EUR 121.00 die van deze klant binnenkwam" in (await unequal(desk, "--lang", "nl"))[1][1]
    _, found = await desk.json("unequal", "--days", "0")
    assert [each["matched_elsewhere_hundredths"] for each in found["invoices"]] == [12_100]
    # A person takes both matches back, and matches the debit with its reversal and the receipt with the invoice.
    await stage.see(receivable(invoice["id"], 12_100, term=whole, **{**OPEN, "timestamp": 7}))
    await stage.see(receivable(invoice["id"], 12_100, term=whole, **{**MATCHED, "timestamp": 8, "is_fully_paid": True}))
    await stage.work()
    await stage.show_invoice_only(invoice)
    assert (invoice["amount_due"], await unequal(desk, "--limit", "0")) == (0, (0, [matches_words.say("all_equal", "en")]))


async def changed(desk: Desk, invoice: dict[str, Any]) -> None:
    """Let the site reckon anew what is due on an invoice, and the matcher hear of it."""
    site = desk.stage.chargebee.app.site
    invoices.settle_status(site, invoice)
    site.touch(invoice)
    await desk.stage.show_invoice_only(invoice)
