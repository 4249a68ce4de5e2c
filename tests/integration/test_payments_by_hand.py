"""Payments that somebody recorded by hand in Chargebee, and the receipts of the same money in Exact."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.matcher_stage import Stage, matcher_stage, outcomes, receivable

from contracts import facts
from payment_matcher import unrecorded
from simulators.chargebee.payments import Money, delete_offline_transaction, pay_invoice

ACCOUNT = "account-1"
WHOLE = 12_100


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with matcher_stage(request.param, tmp_path) as found:
        yield found


def pay_by_hand(stage: Stage, invoice: dict[str, Any], amount_minor: int) -> dict[str, Any]:
    """Record a transfer in Chargebee as a person does, with a reference of the bank's or none."""
    _, made = pay_invoice(stage.chargebee.app.site, invoice["id"], Money("bank_transfer", amount_minor, None, "statement 41"))
    return made


def receipt(invoice: dict[str, Any], amount_minor: int, **more: Any) -> facts.ReceivableObserved:
    """Say that Exact matched so much of an invoice."""
    return receivable(invoice["id"], amount_minor, **{"whole_minor": WHOLE, "account_id": ACCOUNT, **more})


def credit(amount_minor: int, *, is_matched: bool) -> facts.ReceivableObserved:
    """Say that a credit note stands on the account."""
    shown: dict[str, Any] = {} if is_matched else {"is_fully_paid": False, "status": 20, "last_payment_date": None}
    seen = receivable("CN-1", -amount_minor, term="t-cn", account_id=ACCOUNT, **shown)
    assert seen.document is not None
    return msgspec.structs.replace(seen, document=msgspec.structs.replace(seen.document, kind="credit_note", number="CN-1"))


@pytest.mark.parametrize("is_seen_first", [True, False])
async def test_the_receipt_of_a_payment_that_was_recorded_by_hand_is_no_money_without_a_debt(stage: Stage, is_seen_first) -> None:
    """Whichever is seen first; and the money of the next invoice is recorded as ever."""
    invoice = bill(stage.chargebee.app)
    pay_by_hand(stage, invoice, WHOLE)
    await stage.show_invoice_only(invoice)
    if is_seen_first:
        await stage.show_transactions()
    await stage.see(receipt(invoice, WHOLE, term="t-1"))
    await stage.work()
    if not is_seen_first:
        await stage.show_transactions()
        await stage.work()
    told = [each.code for each in await outcomes(stage.database)]
    assert told == ([] if is_seen_first else ["money_without_debt", "money_resolved"])
    another = bill(stage.chargebee.app)
    await stage.see(receipt(another, WHOLE, term="t-2"))
    await stage.work()
    assert (another["status"], len(stage.transactions())) == ("paid", 2)


async def test_money_that_was_recorded_by_hand_is_not_recorded_once_more_on_another_invoice(stage: Stage) -> None:
    """Exact matched the other one with a credit note that Chargebee has not used for it."""
    invoice, other = bill(stage.chargebee.app), bill(stage.chargebee.app)
    pay_by_hand(stage, invoice, 5_000)
    await stage.show_invoice_only(invoice)
    await stage.show_transactions()
    is_open: dict[str, Any] = {"is_fully_paid": False, "status": 20, "last_payment_date": None}
    await stage.see(credit(5_000, is_matched=True))
    for number, one in enumerate((invoice, other)):
        await stage.see(receipt(one, WHOLE - 5_000, term=f"t-rest-{number}", **is_open))
        await stage.see(receipt(one, 5_000, term=f"t-part-{number}", is_fully_paid=False))
        await stage.work()
    assert (other["amount_due"], len(stage.transactions())) == (WHOLE, 1)


async def test_a_part_that_was_recorded_by_hand_is_not_told_as_money_that_waits(stage: Stage) -> None:
    invoice = bill(stage.chargebee.app)
    pay_by_hand(stage, invoice, 5_000)
    await stage.show_invoice_only(invoice)
    await stage.see(credit(1_000, is_matched=False))
    await stage.see(receipt(invoice, WHOLE - 5_000, term="t-rest", is_fully_paid=False, status=20, last_payment_date=None))
    await stage.see(receipt(invoice, 5_000, term="t-part", is_fully_paid=False))
    await stage.work()
    await stage.show_transactions()
    await stage.work()
    async with stage.database.reading() as connection:
        assert await unrecorded.read(connection) == []
    assert (invoice["amount_due"], len(stage.transactions())) == (WHOLE - 5_000, 1)


async def test_a_payment_that_was_recorded_by_hand_and_deleted_again_leaves_its_receipt_to_be_recorded(stage: Stage) -> None:
    invoice = bill(stage.chargebee.app)
    made = pay_by_hand(stage, invoice, WHOLE)
    await stage.show_invoice_only(invoice)
    await stage.show_transactions()
    await stage.see(receipt(invoice, WHOLE, term="t-1"))
    await stage.work()
    delete_offline_transaction(stage.chargebee.app.site, made["id"])
    await stage.show_transactions()
    await stage.see(receipt(invoice, WHOLE, term="t-1", timestamp=2))
    await stage.work()
    *_, last = stage.transactions()
    assert (invoice["amount_due"], last["reference_number"][:3]) == (0, "KP-")
