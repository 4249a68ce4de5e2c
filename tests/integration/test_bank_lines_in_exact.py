"""What the bookkeeper does with a bank line in Exact after it was decided about: matched in parts, with other invoices, moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import SITE, observed
from support.matcher_stage import Stage, bank_line, matcher_stage, matching, receivable

from contracts import facts
from payment_matcher import decisions, open_invoices, unequal
from payment_matcher.decisions import Recording
from payment_matcher.shares import split
from simulators.chargebee.payments import Money, delete_offline_transaction, pay_invoice


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with matcher_stage(request.param, tmp_path, configuration=matching()) as made:
        yield made


async def accept_only(stage: Stage, invoice: dict[str, Any], amount_minor: int) -> None:
    """A person splits the line: so much of it pays an invoice, the rest stays in the inbox."""
    line = await stage.line()
    async with stage.database.transaction() as connection:
        dues = await open_invoices.dues(connection, [invoice["id"]], None)
        parts, _ = split(line.left_minor or 0, [(dues[invoice["id"]][0], amount_minor)], 0, 0)
        await decisions.record(stage.database, connection, line, Recording(parts=parts), by="a person", now=stage.clock.now())
    await stage.work()


async def match(stage: Stage, invoice: dict[str, Any], timestamp: int) -> None:
    """Exact shows an invoice as matched."""
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", timestamp=timestamp, account_id="account-1"))
    await stage.work()


async def test_the_rest_of_a_split_line_matched_first_is_recorded_once_the_decided_part_is_matched_too(stage: Stage) -> None:
    """242.00 for two invoices: one was decided here. Exact does not say that the other was matched with the other half."""
    rest, decided = bill(stage.chargebee.app), bill(stage.chargebee.app)
    for each in (rest, decided):
        await stage.show_invoice(each)
    await stage.see(bank_line(24_200))
    await accept_only(stage, decided, 12_100)
    await stage.see(bank_line(12_100, timestamp=2))
    await stage.see(bank_line(12_100, part_id="part-b", is_matched=True, timestamp=3))
    await match(stage, rest, 4)
    assert (rest["status"], [each.code for each in await stage.told(facts.PaymentNotRecorded)]) == (
        "posted",
        ["already_counted"],
    )
    await stage.see(bank_line(12_100, is_matched=True, timestamp=5))
    await match(stage, decided, 6)
    assert [each["status"] for each in (rest, decided)] == ["paid", "paid"]
    assert [payment["amount"] for payment in stage.transactions()] == [12_100, 12_100]
    assert ((await stage.line()).state, (await stage.line()).left_hundredths) == ("recorded", 0)


async def test_a_payment_deleted_in_chargebee_since_exact_matched_another_invoice_is_recorded_on_that_one(stage: Stage) -> None:
    decided, matched = bill(stage.chargebee.app), bill(stage.chargebee.app)
    for each in (decided, matched):
        await stage.show_invoice(each)
    await stage.see(bank_line(12_100))
    await stage.accept(await stage.line(), decided)
    await stage.work()
    await stage.see(bank_line(12_100, is_matched=True, timestamp=2))
    await match(stage, matched, 2)
    (payment,) = stage.transactions()
    gone = delete_offline_transaction(stage.chargebee.app.site, payment["id"])
    await stage.see(observed(facts.TransactionObserved, {"id": gone["id"], "type": "payment"}, version=9, deleted=True))
    await stage.work()
    assert [(each["status"], each["amount_due"]) for each in (decided, matched)] == [("posted", 12_100), ("paid", 0)]
    assert [each["deleted"] for each in stage.transactions()] == [True, False]
    assert (await stage.line()).state == "settled"


@pytest.mark.parametrize("is_late", [False, True], ids=["in order", "what is older comes last"])
async def test_a_line_moved_from_a_suspense_account_to_a_customer_counts_once(stage: Stage, *, is_late: bool) -> None:
    """Its part on the debtor account is told at the next poll, that it left the suspense account hours later."""
    on_suspense = bank_line(12_100, "x", part_id="11111111-aaaa", account_id="", gl_account="2090")
    moved = bank_line(12_100, "x", part_id="term-of-line", timestamp=2)
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    if is_late:
        await stage.see(moved)
        await stage.see(on_suspense)
    else:
        await stage.see(on_suspense)
        await stage.accept(await stage.line(), invoice)
        await stage.work()
        await stage.see(moved)
    line = await stage.line()
    assert (line.total_hundredths, line.gl_account, line.account_id) == (12_100, "1300", "account-1")
    assert (line.state, line.left_hundredths) == (("open", 12_100) if is_late else ("recorded", 0))
    await stage.see(bank_line(0, part_id="11111111-aaaa", is_gone=True, timestamp=2))
    assert (await stage.line()).total_hundredths == 12_100


async def test_a_line_moved_back_to_a_suspense_account_counts_there(stage: Stage) -> None:
    await stage.see(bank_line(12_100, part_id="11111111-aaaa", account_id="", gl_account="2090"))
    await stage.see(bank_line(12_100, part_id="term-of-line", timestamp=2))
    await stage.see(bank_line(0, part_id="", is_gone=True, timestamp=3))
    await stage.see(bank_line(12_100, part_id="11111111-aaaa", account_id="", gl_account="2090", timestamp=3))
    line = await stage.line()
    assert (line.state, line.total_hundredths, line.gl_account) == ("open", 12_100, "2090")


@pytest.mark.parametrize("came_twice", [False, True])
async def test_an_invoice_paid_from_suspense_that_exact_matched_with_another_transfer_was_paid_twice(
    stage: Stage, *, came_twice: bool
) -> None:
    """Once, it is the money in suspense that a person moved to the customer and matched, by an entry that nobody tells of."""
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(12_100, "x", line_id="22222222-aaaa", account_id="", gl_account="2090"))
    await stage.accept(await stage.line(), invoice)
    await stage.work()
    await stage.show_invoice(invoice)
    if came_twice:
        await stage.see(bank_line(12_100, "y", line_id="33333333-aaaa", is_matched=True, timestamp=2))
    await match(stage, invoice, 2)
    codes = [each.code for each in await stage.told(facts.PaymentNotRecorded)]
    assert ("money_without_debt" in codes) is came_twice
    assert len(stage.transactions()) == 1


@pytest.mark.parametrize("is_excess", [False, True])
async def test_money_moved_from_suspense_that_exact_matched_with_another_invoice_is_not_recorded_a_second_time(
    stage: Stage, *, is_excess: bool
) -> None:
    """Exact matches what a person moved to the customer by equal amounts, whatever was decided here."""
    decided, other = bill(stage.chargebee.app), bill(stage.chargebee.app)
    for each in (decided, other):
        await stage.show_invoice(each)
    await stage.see(bank_line(12_100, "x", account_id="", gl_account="2090"))
    if is_excess:
        excess = Recording(parts=(), excess_minor=12_100, site=SITE, customer_id="cust-1")
        line = await stage.line()
        async with stage.database.transaction() as connection:
            await decisions.record(stage.database, connection, line, excess, by="a person", now=stage.clock.now())
    else:
        await stage.accept(await stage.line(), decided)
    await stage.work()
    for each in (decided, other):
        await stage.show_invoice(each)
    await match(stage, other, 2)
    assert (other["status"], len(stage.transactions())) == ("posted", 1)
    async with stage.database.reading() as connection:
        found = await unequal.read(connection, until=stage.clock.now() + timedelta(days=1))
    shown = {each.number: (each.open_hundredths, each.due_hundredths) for each in found}
    assert shown == {other["id"]: (0, 12_100)} | ({} if is_excess else {decided["id"]: (12_100, 0)})
    await match(stage, decided, 3)
    paid = [each["status"] for each in (decided, other)].count("paid")
    assert (paid, len(stage.transactions())) == (1 if is_excess else 2, 2), "other money that Exact matched was never recorded"


async def test_what_is_left_of_a_receipt_that_an_invoice_took_a_part_of_is_told(stage: Stage) -> None:
    """60.00 was accepted for the invoice, then 121.00 came, and Exact matched that with all of it."""
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(6_000, "deel", line_id="22222222-aaaa"))
    await stage.accept(await stage.line(), invoice)
    await stage.work()
    await stage.show_invoice(invoice)
    await stage.see(bank_line(12_100, "alles", line_id="33333333-aaaa", is_matched=True, timestamp=2))
    await match(stage, invoice, 2)
    assert ([each["amount"] for each in stage.transactions()], invoice["status"]) == ([6_000, 6_100], "paid")
    (told,) = await stage.told(facts.PaymentNotRecorded)
    assert (told.code, told.document.number) == ("money_without_debt", invoice["id"])
    assert "EUR 60.00" in told.sentence
    await stage.see(bank_line(6_000, "deel", line_id="22222222-aaaa", is_matched=True, timestamp=3))
    await stage.see(bank_line(6_100, "alles", line_id="33333333-aaaa", is_matched=True, timestamp=3))
    await stage.see(bank_line(6_000, "alles", line_id="33333333-aaaa", part_id="rest", timestamp=3))
    await stage.work()
    assert [each.code for each in await stage.told(facts.PaymentNotRecorded)][1:] == ["money_resolved"]
    assert len(stage.transactions()) == 2


async def test_what_an_online_payment_settled_of_an_invoice_beside_a_receipt_is_no_rest_of_the_receipt(stage: Stage) -> None:
    """Exact shows one part of 121.00, matched with 61.00 from the bank and 60.00 that a card paid."""
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    pay_invoice(stage.chargebee.app.site, invoice["id"], Money("card", 6_000, gateway="stripe"))
    await stage.show_invoice(invoice)
    await stage.see(bank_line(6_100, "rest", is_matched=True, timestamp=2))
    of_card = facts.DocumentRef(
        site=SITE, kind="payment", number="txn_1", customer_id="cust-1", currency="EUR", total_minor=-6_000
    )
    card = receivable(invoice["id"], -6_000, term="card", timestamp=2, account_id="account-1")
    await stage.see(msgspec.structs.replace(card, document=of_card))
    await match(stage, invoice, 2)
    assert [each["amount"] for each in stage.transactions()] == [6_000, 6_100]
    assert await stage.told(facts.PaymentNotRecorded) == []
