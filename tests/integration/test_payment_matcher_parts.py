"""Receipts in parts: what Exact has matched is in Chargebee once, and both systems show the same amount due."""

import itertools
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.exact_server import DIVISION, exact_server
from support.facts import SITE, observed
from support.matcher_stage import bank_line, matcher_stage, outcomes, receivable
from support.writer_stage import sale, save_account, writer_stage

from backbone.tables import event_log
from contracts import facts
from contracts.envelope import decode
from simulators.chargebee.credit_notes import create_credit_note
from simulators.chargebee.payments import Money, pay_invoice


@pytest.fixture(params=DATABASES)
async def stage(request, tmp_path: Path):
    async with matcher_stage(request.param, tmp_path) as made:
        yield made


WHOLE = 12_100


def part(number: str, amount_minor: int, term: str, *, matched: bool = True, at: int = 1):
    """A part of the receivable of an invoice, of which another part is open."""
    status = 50 if matched else 20
    state: dict[str, Any] = {"is_fully_paid": False, "status": status, "timestamp": at}
    return receivable(number, amount_minor, term=term, whole_minor=WHOLE, **state)


def last(number: str, amount_minor: int, term: str):
    """The part whose matching leaves nothing open."""
    return receivable(number, amount_minor, term=term, whole_minor=WHOLE, timestamp=2)


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
async def test_each_part_becomes_a_payment_of_its_own_in_any_order(stage, order):
    invoice = bill(stage.chargebee.app)
    number = invoice["id"]
    parts = [part(number, 5_000, "t-1"), part(number, 3_000, "t-2"), part(number, 4_100, "t-3", matched=False)]
    for index in order:
        await stage.see(parts[index])
        await stage.work()
    assert sorted(one["amount"] for one in stage.transactions()) == [3_000, 5_000]
    assert invoice["amount_due"] == 4_100
    await stage.see(last(invoice["id"], 4_100, "t-3"))
    await stage.work()
    assert (invoice["status"], invoice["amount_due"]) == ("paid", 0)


async def test_what_exact_matched_with_an_online_payment_is_not_recorded_again(stage):
    invoice = bill(stage.chargebee.app)
    pay_invoice(stage.chargebee.app.site, invoice["id"], Money("card", amount_minor=5_000, gateway="stripe"))
    await stage.see(part(invoice["id"], 5_000, "t-1"))
    await stage.see(part(invoice["id"], 7_100, "t-2", matched=False))
    await stage.work()
    outcome = await stage.only_outcome()
    assert (outcome.code, stage.calls(), invoice["amount_due"]) == ("already_counted", 0, 7_100)
    await stage.see(last(invoice["id"], 7_100, "t-2"))
    await stage.work()
    assert (stage.transactions()[-1]["amount"], invoice["status"]) == (7_100, "paid")


@pytest.mark.parametrize("seed", range(12))
async def test_both_systems_show_the_same_due_after_any_parts_and_online_payments(tmp_path, seed):
    """Online payments are in Chargebee first and matched in Exact later; bank receipts the other way round; some come twice."""
    chance = random.Random(seed)
    async with matcher_stage("sqlite", tmp_path) as stage:
        invoice = bill(stage.chargebee.app)
        left, parts = WHOLE, list[tuple[str, int, bool]]()
        while left and len(parts) < 5:
            amount = left if len(parts) == 4 else chance.randint(1, left)
            parts.append((f"t-{len(parts)}", amount, chance.random() < 0.4))
            left -= amount
        for _, amount, is_online in parts:
            if is_online:
                pay_invoice(stage.chargebee.app.site, invoice["id"], Money("card", amount_minor=amount, gateway="stripe"))
        chance.shuffle(parts)
        matched = 0
        for term, amount, _ in parts:
            matched += amount
            seen = part(invoice["id"], amount, term) if matched < WHOLE else last(invoice["id"], amount, term)
            for _ in range(chance.randint(1, 2)):
                await stage.see(seen)
            if chance.random() < 0.7:
                await stage.work()
        await stage.work()
        assert (invoice["status"], invoice["amount_due"]) == ("paid", 0)
        assert sum(one["amount"] for one in stage.transactions()) == 12_100


async def test_a_receipt_that_exact_takes_back_is_told_with_the_payment_in_chargebee(stage):
    invoice = bill(stage.chargebee.app)
    await stage.see(part(invoice["id"], 5_000, "t-1"))
    await stage.work()
    await stage.see(part(invoice["id"], 5_000, "t-1", matched=False, at=2))
    recorded, taken_back = await outcomes(stage.database)
    assert taken_back.code == "taken_back"
    assert recorded.transaction_id in taken_back.sentence
    assert "EUR 50.00" in taken_back.sentence
    await stage.see(part(invoice["id"], 5_000, "t-1", at=3))
    await stage.work()
    assert len(stage.transactions()) == 1, "matched again, it is the payment that is there"


async def test_an_older_state_of_a_part_changes_nothing(stage):
    invoice = bill(stage.chargebee.app)
    await stage.see(part(invoice["id"], 5_000, "t-1", at=2))
    await stage.work()
    await stage.see(part(invoice["id"], 12_100, "t-1", matched=False, at=1))
    assert len(await outcomes(stage.database)) == 1


async def test_exact_shows_a_part_that_a_person_matched(tmp_path: Path):
    """The shape of the stand-in's parts is the one that the matcher takes."""
    async with exact_server() as server, writer_stage(server, tmp_path) as writer:
        await writer.tell(save_account(), sale("INV-1"))
        await writer.until(facts.EntryPosted)
        await writer.until(facts.ReceivableObserved)
        paid = {"your_ref": "INV-1", "amount_minor": 5_000, "date": "2026-03-20", "match": True}
        await server.control("bank-receipts", division=DIVISION, **paid)
        seen = await writer.until(facts.ReceivableObserved, status=50, is_fully_paid=False)
        (matched,) = [fact for fact in seen if fact.document is not None]
        assert (matched.amount_minor, matched.document.number, matched.last_payment_date is not None) == (5_000, "INV-1", True)


ACCOUNT = "00000000-0000-0000-0000-000000000001"


def credit(number: str, amount_minor: int, term: str, *, at: int = 1):
    """A credit note's receivable that Exact matched with something on the same account."""
    document = facts.DocumentRef(
        site=SITE, kind="credit_note", number=number, customer_id="cust-1", currency="EUR", total_minor=-amount_minor
    )
    seen = receivable(number, -amount_minor, term=term, account_id=ACCOUNT, timestamp=at)
    return msgspec.structs.replace(seen, document=document)


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
async def test_an_invoice_that_exact_matched_with_a_credit_note_was_not_paid(stage, order):
    """Exact matches equal amounts by itself; Chargebee still has the credit note to give, so no money came."""
    invoice = bill(stage.chargebee.app)
    messages = [receivable(invoice["id"], WHOLE, account_id=ACCOUNT), credit("CN-1", WHOLE, "t-cn")]
    for index in order:
        await stage.see(messages[index])
    await stage.work()
    outcome = await stage.only_outcome()
    assert (outcome.code, stage.transactions(), invoice["amount_due"]) == ("already_counted", [], WHOLE)


async def test_of_two_invoices_of_which_a_credit_note_settled_one_the_money_is_recorded_once(stage):
    first, second = bill(stage.chargebee.app), bill(stage.chargebee.app)
    await stage.see(receivable(first["id"], WHOLE, term="t-1", account_id=ACCOUNT))
    await stage.see(receivable(second["id"], WHOLE, term="t-2", account_id=ACCOUNT))
    await stage.see(credit("CN-1", WHOLE, "t-cn"))
    await stage.work()
    assert [one["amount"] for one in stage.transactions()] == [WHOLE]


async def test_a_credit_note_that_was_paid_out_by_bank_takes_nothing_from_a_receipt(stage):
    invoice = bill(stage.chargebee.app)
    await stage.see(credit("CN-1", WHOLE, "t-cn"))
    await stage.see(paid_out(WHOLE))
    await stage.see(receivable(invoice["id"], WHOLE, account_id=ACCOUNT))
    await stage.work()
    assert (invoice["status"], len(stage.transactions())) == ("paid", 1)


def paid_out(amount_minor):
    """Exact matched money that went to the customer by bank."""
    return bank_line(-amount_minor, line_id="out", account_id=ACCOUNT, is_matched=True)


async def test_a_receipt_is_looked_at_again_once_the_credit_note_was_seen_to_be_paid_out_by_bank(stage):
    invoice = bill(stage.chargebee.app)
    await stage.see(credit("CN-1", WHOLE, "t-cn"))
    await stage.see(receivable(invoice["id"], WHOLE, account_id=ACCOUNT))
    await stage.work()
    assert stage.transactions() == []
    await stage.see(paid_out(WHOLE))
    await stage.work()
    assert (invoice["status"], len(stage.transactions())) == ("paid", 1)
    assert [type(one).__name__ for one in await outcomes(stage.database)] == ["PaymentNotRecorded", "PaymentRecorded"]


def online(number: str, amount_minor: int, term: str):
    """Exact matched the customer's line of an online payment, which is ours, too."""
    seen = credit(number, amount_minor, term)
    return msgspec.structs.replace(seen, document=msgspec.structs.replace(seen.document, kind="payment"))


async def test_an_online_payment_that_exact_matched_with_another_invoice_is_no_receipt_of_that_one(stage):
    unpaid = bill(stage.chargebee.app)
    await stage.see(receivable(unpaid["id"], WHOLE, term="t-1", account_id=ACCOUNT))
    await stage.see(online("txn_of_another", WHOLE, "t-2"))
    await stage.work()
    assert (unpaid["amount_due"], stage.transactions()) == (WHOLE, [])


async def test_money_that_exact_matched_with_an_invoice_that_was_settled_otherwise_is_told_until_it_is_matched_anew(stage):
    settled = bill(stage.chargebee.app)
    create_credit_note(stage.chargebee.app.site, settled["id"], kind="adjustment")
    resource = msgspec.json.decode(msgspec.json.encode(settled))
    await stage.see(observed(facts.InvoiceObserved, resource, int(settled["resource_version"])))
    await stage.see(receivable(settled["id"], WHOLE, term="t-1", account_id=ACCOUNT))
    await stage.work()
    (told,) = await outcomes(stage.database)
    assert (told.code, stage.transactions()) == ("money_without_debt", [])
    assert "EUR 121.00" in told.sentence
    await stage.see(credit("CN-1", WHOLE, "t-cn"))
    await stage.see(bank_line(WHOLE, "factuur", account_id=ACCOUNT))
    await stage.work()
    assert [outcome.code for outcome in await outcomes(stage.database)] == ["money_without_debt", "money_resolved"]
    another = bill(stage.chargebee.app)
    await stage.see(receivable(another["id"], WHOLE, term="t-2", account_id=ACCOUNT))
    await stage.work()
    assert another["status"] == "paid"


async def test_an_alarm_about_an_online_payment_that_turned_out_to_be_ours_later_keeps_no_later_money_away(stage):
    """The answer about its entry was lost, so Exact showed the invoice as matched before the payment was known as ours."""
    paid = bill(stage.chargebee.app)
    pay_invoice(stage.chargebee.app.site, paid["id"], Money("card", amount_minor=WHOLE, gateway="stripe"))
    voided = bill(stage.chargebee.app)
    voided["status"] = "voided"
    await stage.see(receivable(paid["id"], WHOLE, term="t-1", account_id=ACCOUNT))
    await stage.see(receivable(voided["id"], WHOLE, term="t-2", account_id=ACCOUNT))
    await stage.work()
    assert {one.code for one in await outcomes(stage.database)} == {"money_without_debt", "voided"}
    await stage.see(receivable(paid["id"], WHOLE, term="t-1", account_id=ACCOUNT, is_fully_paid=False, status=20, timestamp=2))
    assert (await outcomes(stage.database))[-1].code == "money_resolved"
    await stage.see(receivable(paid["id"], WHOLE, term="t-1", account_id=ACCOUNT, timestamp=3))
    await stage.see(online("txn_1", WHOLE, "t-3"))
    await stage.see(credit("CN-1", WHOLE, "t-4"))
    await stage.work()
    another = bill(stage.chargebee.app)
    await stage.see(receivable(another["id"], WHOLE, term="t-5", account_id=ACCOUNT))
    await stage.work()
    assert another["status"] == "paid"


async def test_a_receipt_whose_payment_was_deleted_in_chargebee_pays_the_invoice_that_exact_matched_it_with_since(stage):
    wrong, right = bill(stage.chargebee.app), bill(stage.chargebee.app)
    await stage.see(receivable(wrong["id"], WHOLE, term="t-1", account_id=ACCOUNT))
    await stage.work()
    (payment,) = stage.transactions()
    open_again: dict[str, Any] = {"is_fully_paid": False, "status": 20, "timestamp": 2}
    await stage.see(receivable(wrong["id"], WHOLE, term="t-1", account_id=ACCOUNT, **open_again))
    await stage.see(receivable(right["id"], WHOLE, term="t-2", account_id=ACCOUNT))
    await stage.work()
    assert right["amount_due"] == WHOLE
    assert "taken_back" in {one.code for one in await stage.told(facts.PaymentNotRecorded)}
    deleted = {"id": payment["id"], "type": "payment"}
    payment["deleted"], wrong["status"], wrong["amount_due"] = True, "not_paid", WHOLE
    await stage.see(observed(facts.TransactionObserved, deleted, version=9, deleted=True))
    await stage.work()
    assert (wrong["amount_due"], right["status"], len(stage.transactions())) == (WHOLE, "paid", 2)


async def test_money_without_debt_is_news_where_the_receipt_was_told_as_counted_before(stage):
    """A message that has the id of an earlier one is dropped by whoever heard that one."""
    invoice, other = bill(stage.chargebee.app), bill(stage.chargebee.app)
    await stage.see(receivable(invoice["id"], WHOLE, term="t-1", account_id=ACCOUNT))
    await stage.see(online("txn_1", WHOLE, "t-2"))
    await stage.work()
    pay_invoice(stage.chargebee.app.site, invoice["id"], Money("card", amount_minor=WHOLE, gateway="stripe"))
    await stage.see(receivable(other["id"], 1, term="t-3", account_id=ACCOUNT))
    await stage.work()
    async with stage.database.reading() as connection:
        ids = [decode(row.body).id for row in await connection.execute(sa.select(event_log.c.body))]
    assert "money_without_debt" in {one.code for one in await stage.told(facts.PaymentNotRecorded)}
    assert len(set(ids)) == len(ids)


async def test_a_match_that_exact_took_back_before_it_was_recorded_takes_no_money_of_another_invoice(stage):
    """Chargebee was away meanwhile, and a person corrected the match in Exact."""
    wrong, right = bill(stage.chargebee.app), bill(stage.chargebee.app)
    await stage.see(receivable(wrong["id"], WHOLE, term="t-1", account_id=ACCOUNT))
    await stage.see(msgspec.structs.replace(part(wrong["id"], WHOLE, "t-1", matched=False, at=2), account_id=ACCOUNT))
    await stage.see(receivable(right["id"], WHOLE, term="t-2", account_id=ACCOUNT))
    await stage.work()
    assert (wrong["amount_due"], right["status"], await stage.told(facts.PaymentNotRecorded)) == (WHOLE, "paid", [])


async def test_a_transfer_that_was_paid_back_by_bank_is_no_money_of_an_invoice_that_was_paid_online(stage):
    paid = bill(stage.chargebee.app)
    pay_invoice(stage.chargebee.app.site, paid["id"], Money("card", amount_minor=WHOLE, gateway="stripe"))
    await stage.see(bank_line(WHOLE, line_id="in", account_id=ACCOUNT, is_matched=True))
    await stage.see(paid_out(WHOLE))
    await stage.see(receivable(paid["id"], WHOLE, term="t-1", account_id=ACCOUNT))
    await stage.see(online("txn_1", WHOLE, "t-2"))
    await stage.work()
    assert "money_without_debt" not in {one.code for one in await outcomes(stage.database)}


@pytest.mark.parametrize(("difference_minor", "is_recorded"), [(-1_100, True), (-WHOLE, False)])
async def test_an_exchange_difference_is_no_money_unless_exact_may_have_matched_an_invoice_with_it(
    stage, difference_minor, is_recorded
):
    invoice = bill(stage.chargebee.app)
    seen = credit("txn_1/INV-0", -difference_minor, "t-fx")
    of_difference = msgspec.structs.replace(seen.document, kind="application")
    await stage.see(msgspec.structs.replace(seen, document=of_difference))
    await stage.see(receivable(invoice["id"], WHOLE, term="t-1", account_id=ACCOUNT))
    await stage.work()
    assert (invoice["status"] == "paid") is is_recorded
