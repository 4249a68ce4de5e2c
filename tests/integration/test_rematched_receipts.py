"""Matching again in Exact between two looks: the invoice shows as matched all the time, and its receipt is free again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import SITE
from support.matcher_stage import DIVISION, PAID_ON, Stage, bank_line, matcher_stage, matching, receivable
from support.matches_desk import Desk

from contracts import facts


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with matcher_stage(request.param, tmp_path, configuration=matching(record_certain=True)) as made:
        yield made


def first_receipt(**more: Any) -> Any:
    return bank_line(12_100, "betaling", is_matched=True, **more)


async def paid_by_a_receipt(stage: Stage) -> dict[str, Any]:
    """Exact matched an invoice with a receipt, and its payment stands in Chargebee."""
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(first_receipt(timestamp=2))
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", timestamp=2, account_id="account-1"))
    await stage.work()
    await stage.show_invoice(invoice)
    assert (invoice["status"], len(stage.transactions())) == ("paid", 1)
    return invoice


async def look(stage: Stage, invoice: dict[str, Any], *others: Any) -> list[str]:
    """Exact shows the invoice as matched still, by something else, and its first receipt as free; return what is told then."""
    before = len(await stage.told(facts.PaymentNotRecorded))
    for message in (bank_line(12_100, "betaling", timestamp=3), *others):
        await stage.see(message)
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", timestamp=4, account_id="account-1"))
    await stage.work()
    return [each.code for each in (await stage.told(facts.PaymentNotRecorded))[before:]]


def online_payment(number: str) -> facts.ReceivableObserved:
    """Say that Exact has an online payment of 121.00 on the account matched."""
    document = facts.DocumentRef(
        site=SITE, kind="payment", number="txn_1", customer_id="cust-1", currency="EUR", total_minor=-12_100
    )
    more: dict[str, Any] = {"document": document, "timestamp": 3, "account_id": "account-1"}
    return receivable(number, -12_100, term="term-of-payment", **more)


async def test_an_invoice_matched_with_an_online_payment_instead_of_its_receipt_is_told_once(stage: Stage) -> None:
    invoice = await paid_by_a_receipt(stage)
    payment = online_payment(invoice["id"])
    assert await look(stage, invoice, payment) == ["taken_back"]
    (told,) = await stage.told(facts.PaymentNotRecorded)
    assert stage.transactions()[0]["id"] in told.sentence
    assert told.document.number == invoice["id"]
    await stage.see(first_receipt(timestamp=5))
    await stage.see(bank_line(12_100, "betaling", timestamp=6))
    await stage.work()
    assert len(await stage.told(facts.PaymentNotRecorded)) == 1, "the same payment was told twice"


async def test_an_invoice_matched_with_another_receipt_instead_needs_nobody(stage: Stage) -> None:
    """What was recorded stands for the other one, whichever of both Exact tells first; the free one is in the inbox."""
    invoice = await paid_by_a_receipt(stage)
    other = bank_line(12_100, "nog een", line_id="22222222-aaaa", is_matched=True, timestamp=3)
    assert await look(stage, invoice, other) == []
    assert {line.line_id[:4]: line.state for line in await stage.lines()} == {"1111": "open", "2222": "settled"}
    assert len(stage.transactions()) == 1


async def test_an_invoice_matched_with_a_receipt_that_was_recorded_as_another_payment_is_told(stage: Stage) -> None:
    invoice, paid = await paid_by_a_receipt(stage), bill(stage.chargebee.app)
    await stage.show_invoice(paid)
    await stage.see(bank_line(12_100, "iets", line_id="22222222-aaaa"))
    await stage.proposer.step()
    (line,) = [each for each in await stage.lines() if each.line_id == "22222222-aaaa"]
    await stage.accept(line, paid)
    await stage.work()
    await stage.show_invoice(paid)
    second = bank_line(12_100, "iets", line_id="22222222-aaaa", is_matched=True, timestamp=3)
    assert await look(stage, invoice, second) == ["taken_back"]
    assert len(stage.transactions()) == 2


async def test_a_receipt_that_exact_took_off_an_invoice_is_not_recorded_on_another_without_a_person(stage: Stage) -> None:
    """Its payment stands in Chargebee until somebody removes it there."""
    invoice, meant = await paid_by_a_receipt(stage), bill(stage.chargebee.app)
    await stage.show_invoice(meant)
    text = f"factuur {meant['id']}"
    await stage.see(bank_line(12_100, text, timestamp=3))
    is_open: dict[str, Any] = {"timestamp": 4, "is_fully_paid": False, "status": 20, "account_id": "account-1"}
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", **is_open))
    assert await stage.proposer.step() == 0
    (line,) = await stage.lines()
    assert (line.division, line.reason, line.was_matched) == (DIVISION, "payment_stands", True)
    assert [each.code for each in await stage.told(facts.PaymentNotRecorded)] == ["taken_back"]


async def test_a_receipt_that_was_deleted_while_its_invoice_was_matched_otherwise_is_told(stage: Stage) -> None:
    invoice = await paid_by_a_receipt(stage)
    await stage.see(bank_line(0, part_id="", is_gone=True, timestamp=3))
    await stage.see(online_payment(invoice["id"]))
    await stage.work()
    assert [each.code for each in await stage.told(facts.PaymentNotRecorded)] == ["taken_back"]


LATER = PAID_ON.replace(month=10, day=3)


def ours(kind: Any, number: str, amount_minor: int, **more: Any) -> facts.ReceivableObserved:
    """Say that Exact has a document of ours that lowers the debt matched on the account."""
    reference = facts.DocumentRef(
        site=SITE, kind=kind, number=number, customer_id="cust-1", currency="EUR", total_minor=-amount_minor
    )
    members: dict[str, Any] = {"document": reference, "timestamp": 3, "account_id": "account-1", **more}
    return receivable(number, -amount_minor, term=f"term-of-{number}", **members)


def went_out(timestamp: int = 3, amount_minor: int = 12_100, **more: Any) -> Any:
    return bank_line(-amount_minor, "terugbetaling", line_id="99999999-aaaa", timestamp=timestamp, is_matched=True, **more)


async def still_matched(stage: Stage, invoice: dict[str, Any], *others: Any, paid_on: Any = LATER) -> list[Any]:
    """Exact shows invoice and receipt as matched at both looks, the invoice as paid on that day; return what is told then."""
    before = len(await stage.told(facts.PaymentNotRecorded))
    for message in (first_receipt(timestamp=4), *others):
        await stage.see(message)
    again: dict[str, Any] = {"timestamp": 5, "account_id": "account-1", "last_payment_date": paid_on}
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", **again))
    await stage.work()
    return (await stage.told(facts.PaymentNotRecorded))[before:]


@pytest.mark.parametrize("kind", ["credit_note", "payment"])
async def test_a_receipt_matched_with_money_that_went_out_is_told_where_its_invoice_was_paid_otherwise(
    stage: Stage, kind: str, tmp_path: Path
) -> None:
    """Both stay matched all the time; what the invoice was matched with could as well have been paid out by that money."""
    invoice = await paid_by_a_receipt(stage)
    other = ours(kind, "CN-1", 12_100)
    (told,) = await still_matched(stage, invoice, other, went_out())
    (payment,) = stage.transactions()
    assert (told.code, payment["id"] in told.sentence) == ("matched_anew", True)
    assert "paid on 2026-10-03 instead of 2026-09-25" in told.sentence
    assert "opnieuw afgeletterd" in told.sentence_nl
    desk = Desk(stage, tmp_path)
    code, text = await desk.run("unequal", "--days", "0")
    assert code == 1
    assert text.startswith(f"{invoice['id']}: payment {payment['id']} of EUR 121.00 stands in Chargebee, and Exact has matched")
    _, found = await desk.json("unequal", "--days", "0")
    assert [each["transaction_id"] for each in found["payments_without_receipt"]] == [payment["id"]]
    # A person matches the invoice with its receipt again, and what paid the note out with the note.
    assert await still_matched(stage, invoice, went_out(6), paid_on=PAID_ON) == []
    again: dict[str, Any] = {"timestamp": 7, "account_id": "account-1"}
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", **again))
    await stage.work()
    assert (await desk.run("unequal", "--days", "0"))[0] == 0


async def test_a_credit_note_paid_out_by_bank_troubles_no_payment_of_the_same_amount(stage: Stage) -> None:
    """Nothing of the invoice was touched, so it says the same day as before."""
    invoice = await paid_by_a_receipt(stage)
    assert await still_matched(stage, invoice, ours("credit_note", "CN-1", 12_100), went_out(), paid_on=PAID_ON) == []


async def test_a_receipt_matched_with_an_entry_of_the_books_is_told_as_taken_back(stage: Stage) -> None:
    """Nothing went out by bank, so less money is matched on the account than was recorded of it."""
    invoice = await paid_by_a_receipt(stage)
    (told,) = await still_matched(stage, invoice, ours("payment", "txn_1", 12_100))
    assert told.code == "taken_back"
    assert stage.transactions()[0]["id"] in told.sentence


async def test_an_invoice_that_another_receipt_of_another_day_pays_now_needs_nobody(stage: Stage) -> None:
    invoice = await paid_by_a_receipt(stage)
    other = bank_line(12_100, "nog een", line_id="22222222-aaaa", is_matched=True, timestamp=3, day=LATER)
    assert await still_matched(stage, invoice, other, went_out()) == []
