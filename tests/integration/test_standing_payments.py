"""Money that stands in Chargebee already: a payment whose match Exact took back, and the bank line that it was made from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import customer, observed
from support.matcher_stage import PAID_ON, bank_line, matcher_stage, matching, receivable
from support.matches_desk import SETTINGS, Desk

from contracts import facts
from contracts.bank_lines import BankLineDecided
from simulators.chargebee.payments import delete_offline_transaction

OPEN: dict[str, Any] = {"is_fully_paid": False, "status": 20, "last_payment_date": None, "account_id": "account-1"}


@pytest.fixture(params=DATABASES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    settings = matching(**SETTINGS, record_certain=True)
    async with matcher_stage(request.param, tmp_path, configuration=settings) as stage:
        await stage.see(customer("cust-1", company="Voorbeeld B.V."))
        yield Desk(stage, tmp_path)


async def paid(desk: Desk) -> dict[str, Any]:
    """Exact matched a bank line with an invoice, and its payment stands in Chargebee."""
    stage = desk.stage
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(12_100, "betaling", is_matched=True, timestamp=2))
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", timestamp=2, account_id="account-1"))
    await stage.work()
    await stage.show_invoice(invoice)
    assert invoice["status"] == "paid"
    return invoice


async def taken_back(desk: Desk, invoice: dict[str, Any], text: str = "betaling", **line: Any) -> None:
    """A person took that match back in Exact."""
    await desk.stage.see(bank_line(12_100, text, timestamp=4, **line))
    await desk.stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", timestamp=4, **OPEN))
    await desk.stage.work()


async def billed(desk: Desk, net_minor: int = 10_000) -> dict[str, Any]:
    invoice = bill(desk.stage.chargebee.app, net_minor)
    await desk.stage.show_invoice(invoice)
    return invoice


async def test_a_line_whose_payment_stands_in_chargebee_is_recorded_only_by_an_explicit_word(desk: Desk) -> None:
    invoice, other = await paid(desk), await billed(desk)
    await taken_back(desk, invoice)
    await desk.stage.proposer.step()
    (payment,) = desk.stage.transactions()
    code, text = await desk.run()
    assert code == 1
    shown = (
        f"  stands in Chargebee: {payment['id']}, EUR 121.00 on invoice {invoice['id']}; match it again in Exact, or remove it"
    )
    assert [row for row in text.splitlines() if row.startswith(shown)], text
    assert "a payment that may be of this money stands in Chargebee" in text
    _, found = await desk.json()
    (told,) = found["lines"][0]["standing_payments"]
    assert (told["transaction_id"], told["invoice"], told["amount_minor"]) == (payment["id"], invoice["id"], 12_100)
    for words in (("accept", "1111", other["id"]), ("split", "1111", f"{other['id']}=50.00"), ("accept", "1111", "--excess")):
        code, answer = await desk.json(*words)
        assert (code, answer["code"], answer["done"]) == (1, "payment_stands", False)
        assert payment["id"] in answer["sentences"][0]
    assert "staat nog in Chargebee" in (await desk.run("accept", "1111", other["id"], "--lang", "nl"))[1]
    assert await desk.stage.open_intents() == 0
    code, _ = await desk.run("accept", "1111", other["id"], "--although-payment-stands")
    await desk.work()
    assert (code, other["status"], len(desk.stage.transactions())) == (0, "paid", 2)
    (decided,) = await desk.stage.told(BankLineDecided)
    assert decided.besides == (payment["id"],)


async def test_a_line_is_free_again_once_its_payment_was_removed_in_chargebee(desk: Desk) -> None:
    invoice, other = await paid(desk), await billed(desk)
    await taken_back(desk, invoice)
    (payment,) = desk.stage.transactions()
    delete_offline_transaction(desk.stage.chargebee.app.site, payment["id"])
    shown = {**payment, "resource_version": int(payment["resource_version"]) + 1}
    await desk.stage.see(observed(facts.TransactionObserved, shown, version=shown["resource_version"], deleted=True))
    await desk.stage.proposer.step()
    assert (await desk.json())[1]["lines"][0]["standing_payments"] == []
    assert (await desk.run("accept", "1111", other["id"]))[0] == 0
    await desk.work()
    (decided,) = await desk.stage.told(BankLineDecided)
    assert (other["status"], decided.besides) == ("paid", ())


async def test_a_line_is_free_again_once_another_receipt_stands_for_its_payment(desk: Desk) -> None:
    """A person matched the wrong one of two transfers first."""
    invoice, other = await paid(desk), await billed(desk)
    await taken_back(desk, invoice)
    await desk.stage.see(bank_line(12_100, "tweede", line_id="22222222-aaaa", is_matched=True, timestamp=6))
    again: dict[str, Any] = {"term": f"term-{invoice['id']}", "timestamp": 6, "account_id": "account-1"}
    await desk.stage.see(receivable(invoice["id"], 12_100, **again))
    await desk.stage.work()
    assert (await desk.json("accept", "1111", other["id"]))[0] == 0


@pytest.mark.parametrize("where", ["debtor", "suspense"])
async def test_nothing_is_recorded_by_itself_of_a_line_that_was_entered_again(desk: Desk, where: str) -> None:
    """The bank entry was deleted and made anew, or moved: it names an invoice and has its amount, and is paid for already."""
    invoice, other = await paid(desk), await billed(desk)
    moved = {"line_id": "11111111-aaaa", "part_id": "11111111-aaaa", "gl_account": "1660", "account_id": "", "timestamp": 5}
    anew: dict[str, Any] = moved if where == "suspense" else {"line_id": "33333333-aaaa"}
    part = "part-of-11111111-aaaa" if where == "suspense" else ""
    await desk.stage.see(bank_line(0, part_id=part, is_gone=True, timestamp=4))
    await desk.stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", timestamp=4, **OPEN))
    await desk.stage.see(bank_line(12_100, f"factuur {other['id']}", **anew))
    await desk.stage.work()
    assert await desk.stage.proposer.step() == 0
    (line,) = [each for each in await desk.stage.lines() if each.state == "open"]
    assert (line.reason, line.is_certain) == ("payment_stands", False)
    assert (await desk.json("accept", line.line_id, other["id"]))[1]["code"] == "payment_stands"


async def test_another_transfer_of_that_customer_is_recorded_all_the_same(desk: Desk) -> None:
    """Of another day, and never matched: the payment that stands cannot have been made from it."""
    invoice, other = await paid(desk), await billed(desk)
    await taken_back(desk, invoice)
    later = PAID_ON.replace(month=10, day=2)
    await desk.stage.see(bank_line(12_100, f"factuur {other['id']}", line_id="44444444-aaaa", day=later))
    assert await desk.stage.proposer.step() == 1
    await desk.work()
    assert other["status"] == "paid"


async def test_what_a_standing_payment_kept_from_another_invoice_is_recorded_once_its_receipt_is_matched_again(
    desk: Desk,
) -> None:
    """Exact shows too little money for both until then; the account says how much, not which."""
    invoice, other = await paid(desk), await billed(desk, 30_000)
    await taken_back(desk, invoice)
    await desk.stage.see(bank_line(36_300, "later", line_id="55555555-aaaa", is_matched=True, timestamp=6))
    await desk.stage.see(receivable(other["id"], 36_300, term=f"term-{other['id']}", timestamp=6, account_id="account-1"))
    await desk.stage.work()
    await desk.stage.show_invoice(other)
    assert [money["amount"] for money in desk.stage.transactions()] == [12_100, 24_200]
    await desk.stage.see(bank_line(12_100, "betaling", is_matched=True, timestamp=8))
    again: dict[str, Any] = {"term": f"term-{invoice['id']}", "timestamp": 8, "account_id": "account-1"}
    await desk.stage.see(receivable(invoice["id"], 12_100, **again))
    await desk.stage.work()
    assert [money["amount"] for money in desk.stage.transactions()] == [12_100, 24_200, 12_100]
    assert other["status"] == "paid"
    # Now the money of both payments of that receipt stands in Chargebee without it.
    is_open: dict[str, Any] = {"term": f"term-{other['id']}", "timestamp": 9, **OPEN}
    await desk.stage.see(receivable(other["id"], 36_300, **is_open))
    told = [each.sentence for each in await desk.stage.told(facts.PaymentNotRecorded) if each.document.number == other["id"]]
    assert [("EUR 242.00" in each, "EUR 121.00" in each) for each in told] == [(True, False), (False, True)]


async def test_what_is_left_of_a_receipt_is_no_more_than_what_its_invoice_did_not_take_of_it(desk: Desk) -> None:
    """A person recorded another transfer on that invoice first; told as money without a debt, more would be missing elsewhere."""
    stage, invoice = desk.stage, await billed(desk)
    await stage.see(bank_line(6_000, "deel"))
    await stage.proposer.step()
    await stage.accept(await stage.line(), invoice)
    await stage.work()
    await stage.see(bank_line(12_100, "alles", line_id="77777777-aaaa", is_matched=True, timestamp=3))
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", timestamp=3, account_id="account-1"))
    await stage.work()
    assert [money["amount"] for money in stage.transactions()] == [6_000, 6_100]
    other = await billed(desk, 30_000)
    await stage.see(bank_line(36_300, "later", line_id="88888888-aaaa", is_matched=True, timestamp=5))
    await stage.see(receivable(other["id"], 36_300, term=f"term-{other['id']}", timestamp=5, account_id="account-1"))
    await stage.work()
    assert other["status"] == "paid"
    told = {each.sentence.split(" with ")[0] for each in await stage.told(facts.PaymentNotRecorded)}
    assert told == {"Exact matched EUR 60.00"}


async def test_a_receipt_that_the_bank_took_back_leaves_nothing_twice_and_nothing_unnamed(desk: Desk) -> None:
    """Exact has it matched with what the bank took back, so that the invoice is open there, while its payment stands here."""
    invoice = await paid(desk)
    await desk.stage.see(bank_line(12_100, "betaling", is_matched=True, timestamp=4))
    await desk.stage.see(bank_line(-12_100, "storno", line_id="99999999-aaaa", is_matched=True, timestamp=4))
    await desk.stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", timestamp=4, **OPEN))
    await desk.stage.work()
    await desk.stage.proposer.step()
    (told,) = await desk.stage.told(facts.PaymentNotRecorded)
    (payment,) = desk.stage.transactions()
    assert (told.code, payment["id"] in told.sentence) == ("taken_back", True)
    assert (await desk.run())[0] == 0, "neither line is left to decide about"
    code, found = await desk.json("unequal", "--days", "0")
    assert (code, [each["number"] for each in found["invoices"]]) == (1, [invoice["id"]])
    delete_offline_transaction(desk.stage.chargebee.app.site, payment["id"])
    shown = {**payment, "resource_version": int(payment["resource_version"]) + 1}
    await desk.stage.see(observed(facts.TransactionObserved, shown, version=shown["resource_version"], deleted=True))
    copy = msgspec.json.decode(msgspec.json.encode(invoice))
    await desk.stage.see(observed(facts.InvoiceObserved, copy, version=int(invoice["resource_version"])))
    await desk.stage.work()
    assert (invoice["amount_due"], len([each for each in desk.stage.transactions() if not each["deleted"]])) == (12_100, 0)
    assert (await desk.run("unequal", "--days", "0"))[0] == 0


@pytest.mark.parametrize(
    ("shown", "code"),
    [({"currency": "USD"}, "currency_differs"), ({"amount_minor": 0}, None), ({"amount_minor": -12_100}, None)],
    ids=["another currency", "nothing", "less than nothing"],
)
async def test_a_matched_receivable_that_is_no_receipt_of_its_invoice_is_not_recorded(
    desk: Desk, shown: dict[str, Any], code: str | None
) -> None:
    """What has another currency is told with what to do; what Exact does not expect money for is none, and needs nobody."""
    invoice = await billed(desk)
    seen: dict[str, Any] = {"amount_minor": 12_100, "account_id": "account-1", "timestamp": 2, **shown}
    amount = seen.pop("amount_minor")
    await desk.stage.see(receivable(invoice["id"], amount, term="term-other", whole_minor=12_100, **seen))
    await desk.stage.work()
    assert desk.stage.transactions() == []
    told = await desk.stage.told(facts.PaymentNotRecorded)
    assert [each.code for each in told] == ([] if code is None else [code])
    assert all("USD" in each.sentence and "EUR" in each.sentence_nl for each in told)
