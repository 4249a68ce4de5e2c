"""Bank lines that nobody matched in Exact: judged, decided, recorded in Chargebee once, and never more than is due."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import SITE
from support.matcher_stage import DIVISION, Stage, bank_line, matcher_stage, matching, receivable

from contracts import facts
from contracts.bank_lines import BankLineDecided, DecidedPart, ExcessNotRecorded, ExcessRecorded, ShortageWrittenOff
from payment_matcher import decisions
from payment_matcher.decisions import Recording
from payment_matcher.shares import Due, share_out
from simulators.chargebee.invoices import void_invoice
from simulators.chargebee.payments import Money, apply_payment, pay_invoice

IBAN = "NL91ABNA0417164300"


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with matcher_stage(request.param, tmp_path, configuration=matching(tolerances={"EUR": 2})) as made:
        yield made


async def test_a_line_with_number_amount_and_account_is_certain_and_waits_for_a_person_all_the_same(stage: Stage) -> None:
    """Recording without a person is for the controller to switch on."""
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(12_100, f"Betaling factuur {invoice['id']}"))
    line = await stage.line()
    assert (line.state, line.reason, line.is_certain) == ("open", "certain", True)
    assert line.proposals[0].numbers == (invoice["id"],)
    assert set(line.proposals[0].evidence) == {"number", "amount", "account"}
    assert (await stage.open_intents(), stage.transactions()) == (0, [])


@pytest.mark.parametrize("dialect", DATABASES)
async def test_what_is_certain_is_recorded_once_where_the_controller_switched_it_on(dialect: str, tmp_path: Path) -> None:
    async with matcher_stage(dialect, tmp_path, configuration=matching(record_certain=True)) as stage:
        sure, unsure = bill(stage.chargebee.app), bill(stage.chargebee.app, 5_000)
        for invoice in (sure, unsure):
            await stage.show_invoice(invoice)
        await stage.see(bank_line(12_100, f"factuur {sure['id']}"))
        # The same invoice a second time, and one without a number: both are for a person.
        await stage.see(bank_line(12_100, f"factuur {sure['id']}", line_id="22222222-aaaa"))
        await stage.see(bank_line(6_050, line_id="33333333-aaaa"))
        assert await stage.proposer.step() == 1
        assert await stage.proposer.step() == 0
        await stage.work()
        (payment,) = stage.transactions()
        assert (payment["amount"], sure["status"], unsure["status"]) == (12_100, "paid", "posted")
        assert [line.state for line in await stage.lines()] == ["recorded", "open", "open"]
        (decided,) = await stage.told(BankLineDecided)
        assert decided.by == "kruispost"


async def test_an_accepted_line_is_recorded_with_its_day_and_a_reference(stage: Stage) -> None:
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(12_100, "zonder nummer"))
    await stage.accept(await stage.line(), invoice)
    await stage.work()
    (payment,) = stage.transactions()
    assert (payment["amount"], payment["payment_method"]) == (12_100, "bank_transfer")
    assert payment["reference_number"].startswith("KP-")
    assert invoice["status"] == "paid"
    (recorded,) = await stage.told(facts.PaymentRecorded)
    assert (recorded.document.number, recorded.transaction_id) == (invoice["id"], payment["id"])
    line = await stage.line()
    assert (line.state, line.left_hundredths, line.is_to_match) == ("recorded", 0, True)


async def test_what_is_matched_in_exact_after_it_was_recorded_is_not_recorded_again(stage: Stage) -> None:
    """No loop: the bookkeeper matches the line with the invoice, and Exact shows both as settled."""
    invoice, other = bill(stage.chargebee.app), bill(stage.chargebee.app, 5_000)
    for each in (invoice, other):
        await stage.show_invoice(each)
    await stage.see(bank_line(12_100))
    await stage.accept(await stage.line(), invoice)
    await stage.work()
    await stage.see(bank_line(12_100, is_matched=True, timestamp=2))
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", timestamp=2, account_id="account-1"))
    await stage.work()
    assert len(stage.transactions()) == 1
    line = await stage.line()
    assert (line.state, line.is_to_match) == ("recorded", False)
    # Another transfer for another invoice of the same customer is money of its own.
    await stage.see(receivable(other["id"], 6_050, term=f"term-{other['id']}", timestamp=3, account_id="account-1"))
    await stage.work()
    assert [payment["amount"] for payment in stage.transactions()] == [12_100, 6_050]


async def test_another_receipt_is_recorded_while_an_accepted_line_still_waits_to_be_matched_in_exact(stage: Stage) -> None:
    invoice, other = bill(stage.chargebee.app), bill(stage.chargebee.app, 5_000)
    for each in (invoice, other):
        await stage.show_invoice(each)
    await stage.see(bank_line(12_100))
    await stage.accept(await stage.line(), invoice)
    await stage.work()
    await stage.see(receivable(other["id"], 6_050, term=f"term-{other['id']}", timestamp=2, account_id="account-1"))
    await stage.work()
    assert [payment["amount"] for payment in stage.transactions()] == [12_100, 6_050]


async def test_a_line_matched_in_exact_with_another_invoice_than_was_decided_is_no_second_money(stage: Stage) -> None:
    decided, matched = bill(stage.chargebee.app), bill(stage.chargebee.app)
    for each in (decided, matched):
        await stage.show_invoice(each)
    await stage.see(bank_line(12_100))
    await stage.accept(await stage.line(), decided)
    await stage.work()
    await stage.see(bank_line(12_100, is_matched=True, timestamp=2))
    await stage.see(receivable(matched["id"], 12_100, term=f"term-{matched['id']}", timestamp=2, account_id="account-1"))
    await stage.work()
    assert len(stage.transactions()) == 1
    assert (await stage.told(facts.PaymentNotRecorded))[0].code == "already_counted"


async def test_a_line_that_exact_matched_by_itself_needs_no_decision(stage: Stage) -> None:
    await stage.see(bank_line(12_100))
    assert (await stage.line()).state == "open"
    await stage.see(bank_line(12_100, is_matched=True, timestamp=2))
    assert (await stage.line()).state == "settled"
    await stage.see(bank_line(12_100, timestamp=1))  # an older message that comes late
    assert (await stage.line()).state == "settled"


async def test_more_than_is_due_becomes_an_excess_payment_of_the_customer(stage: Stage) -> None:
    """G41: 130.00 for an invoice of 121.00."""
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(13_000, f"factuur {invoice['id']}"))
    line = await stage.line()
    assert (line.reason, line.proposals[0].difference_minor) == ("to_judge", 900)
    await stage.accept(line, invoice)
    await stage.work()
    assert sorted(payment["amount"] for payment in stage.transactions()) == [900, 12_100]
    assert invoice["status"] == "paid"
    (excess,) = await stage.told(ExcessRecorded)
    assert (excess.amount_minor, excess.customer_id, excess.found) == (900, "cust-1", False)
    assert stage.chargebee.app.site.get("customer", "cust-1")["excess_payments"] == 900


async def test_what_is_left_of_a_line_that_exact_matched_in_part_is_decided_about_by_itself(stage: Stage) -> None:
    """The bookkeeper matched 121.00 of 130.00 in Exact: only 9.00 is left to decide, and 121.00 is recorded as always."""
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(13_000))
    await stage.see(bank_line(12_100, is_matched=True, timestamp=2))
    await stage.see(bank_line(900, part_id="rest", timestamp=3))
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", timestamp=2, account_id="account-1"))
    await stage.work()
    line = await stage.line()
    assert (line.state, line.left_minor) == ("open", 900)
    await stage.accept(line)
    await stage.work()
    assert sorted(payment["amount"] for payment in stage.transactions()) == [900, 12_100]
    assert (await stage.line()).state == "recorded"


async def test_a_cent_within_the_tolerance_is_written_off_and_two_more_are_not(stage: Stage) -> None:
    """G42: 120.99 for 121.00; the invoice is paid. 120.97 leaves it open."""
    short, shorter = bill(stage.chargebee.app), bill(stage.chargebee.app)
    for each in (short, shorter):
        await stage.show_invoice(each)
    await stage.see(bank_line(12_099, f"factuur {short['id']}"))
    line = await stage.line()
    assert line.proposals[0].evidence[:2] == ("number", "within_tolerance")
    assert not line.is_certain
    await stage.accept(line, short)
    await stage.work()
    assert (short["status"], short["amount_due"], short["write_off_amount"]) == ("paid", 0, 1)
    (written_off,) = await stage.told(ShortageWrittenOff)
    assert (written_off.document.number, written_off.amount_minor) == (short["id"], 1)
    await stage.see(bank_line(12_097, f"factuur {shorter['id']}", line_id="22222222-aaaa"))
    await stage.proposer.step()
    await stage.accept((await stage.lines())[1], shorter)
    await stage.work()
    assert (shorter["status"], shorter["amount_due"]) == ("posted", 3)


async def test_one_transfer_for_several_invoices_and_several_for_one(stage: Stage) -> None:
    first, second, third = bill(stage.chargebee.app), bill(stage.chargebee.app, 5_000), bill(stage.chargebee.app, 20_000)
    for each in (first, second, third):
        await stage.show_invoice(each)
    await stage.see(bank_line(18_150))
    line = await stage.line()
    assert set(line.proposals[0].numbers) == {first["id"], second["id"]}
    assert "sum" in line.proposals[0].evidence
    await stage.accept(line, first, second)
    for number, amount in (("2", 10_000), ("3", 14_200)):
        await stage.see(bank_line(amount, line_id=f"{number * 8}-aaaa"))
    await stage.work()
    for each in (first, second):
        await stage.show_invoice(each)
    for line in (await stage.lines())[1:]:
        await stage.accept(line, third)
        await stage.work()
        await stage.show_invoice(third)
    assert [each["status"] for each in (first, second, third)] == ["paid"] * 3
    assert sum(payment["amount"] for payment in stage.transactions()) == 18_150 + 24_200


async def test_known_iban_and_two_invoices_of_the_amount_are_shown_and_not_chosen_between(stage: Stage) -> None:
    """G44: a payment without a reference, from an IBAN that this customer paid from before, on no account yet."""
    before, one, other = (bill(stage.chargebee.app) for _ in range(3))
    for each in (before, one, other):
        await stage.show_invoice(each)
    await stage.see(bank_line(12_100, f"{IBAN} {before['id']}", is_matched=True))
    pay_invoice(stage.chargebee.app.site, before["id"], Money("bank_transfer"))
    await stage.show_invoice(before)
    on_suspense = {"line_id": "22222222-aaaa", "account_id": "", "gl_account": "2090"}
    await stage.see(bank_line(12_100, f"SEPA {IBAN} dank", **on_suspense))
    await stage.proposer.step()
    line = (await stage.lines())[1]
    assert (line.reason, line.is_certain) == ("equally_likely", False)
    assert {proposal.numbers for proposal in line.proposals} == {(one["id"],), (other["id"],)}
    assert set(line.proposals[0].evidence) == {"amount", "iban"}


async def test_money_before_its_invoice_is_kept_for_the_customer_and_pays_the_invoice_without_a_second_payment(
    stage: Stage,
) -> None:
    """G45: 121.00 on an advance; later Chargebee applies it, and Exact matches line and invoice."""
    await stage.see(facts.AccountSaved(division=DIVISION, customer_ref=f"{SITE}/cust-1", account_id="account-1", created=True))
    await stage.see(bank_line(12_100, "aanbetaling"))
    line = await stage.line()
    assert (line.reason, line.customer_id) == ("nothing_open", "cust-1")
    await stage.accept(line)
    await stage.work()
    (payment,) = stage.transactions()
    assert (payment["amount"], payment["amount_unused"]) == (12_100, 12_100)
    invoice = bill(stage.chargebee.app)
    apply_payment(stage.chargebee.app.site, invoice["id"], payment["id"])
    await stage.show_invoice(invoice)
    await stage.see(bank_line(12_100, is_matched=True, timestamp=2))
    await stage.see(receivable(invoice["id"], 12_100, term=f"term-{invoice['id']}", timestamp=2, account_id="account-1"))
    await stage.work()
    assert len(stage.transactions()) == 1
    assert (invoice["status"], (await stage.line()).state) == ("paid", "recorded")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (bank_line(12_100, account_id="nobody", account_name="Onbekend"), "unknown_customer"),
        (bank_line(12_100, currency="USD"), "other_currency"),
        (bank_line(0), "no_money"),
        (bank_line(-12_100), "money_left"),
    ],
)
async def test_a_bad_receipt_is_in_the_inbox_with_its_reason(stage: Stage, line: Any, reason: str) -> None:
    invoice = bill(stage.chargebee.app, 9_999)
    await stage.show_invoice(invoice)
    await stage.see(line)
    found = await stage.line()
    assert (found.state, found.reason, found.proposals) == ("open", reason, ())


async def test_what_turns_out_not_to_be_due_comes_back_to_the_inbox(stage: Stage) -> None:
    """Part of an invoice was paid online between the decision and the call, and another one was voided."""
    online, voided = bill(stage.chargebee.app), bill(stage.chargebee.app)
    for each in (online, voided):
        await stage.show_invoice(each)
    await stage.see(bank_line(24_200))
    await stage.accept(await stage.line(), online, voided)
    pay_invoice(stage.chargebee.app.site, online["id"], Money("card", amount_minor=2_100, gateway="stripe"))
    void_invoice(stage.chargebee.app.site, voided["id"])
    await stage.work()
    assert [payment["amount"] for payment in stage.transactions()] == [2_100, 10_000]
    line = await stage.line()
    assert (line.state, line.left_minor) == ("open", 14_200)
    assert voided["id"] in line.why


async def test_an_excess_of_a_customer_that_chargebee_does_not_know_comes_back_to_the_inbox(stage: Stage) -> None:
    await stage.see(bank_line(12_100))
    line = await stage.line()
    async with stage.database.transaction() as connection:
        recording = Recording(parts=(), excess_minor=12_100, site=SITE, customer_id="nobody")
        await decisions.record(stage.database, connection, line, recording, by="a person", now=stage.clock.now())
    await stage.work()
    (refused,) = await stage.told(ExcessNotRecorded)
    assert refused.code == "customer_missing"
    assert ((await stage.line()).state, stage.transactions()) == ("open", [])


@pytest.mark.parametrize("call", ["record_payment", "record_excess_payment", "write_off"])
@pytest.mark.parametrize("idempotency_seconds", [1800, 0], ids=["key remembered", "key forgotten"])
async def test_a_lost_answer_records_nothing_twice(call: str, idempotency_seconds: int, tmp_path: Path) -> None:
    configuration = matching(tolerances={"EUR": 2})
    async with matcher_stage("sqlite", tmp_path, configuration=configuration, idempotency_seconds=idempotency_seconds) as stage:
        invoice = bill(stage.chargebee.app)
        await stage.show_invoice(invoice)
        received = 12_099 if call == "write_off" else 13_000
        await stage.see(bank_line(received))
        await stage.accept(await stage.line(), invoice)
        await stage.fault(fault="lose_answer", method="POST", path_contains=f"/{call}")
        await stage.work()
        assert sum(payment["amount"] for payment in stage.transactions()) == received
        assert (invoice["amount_due"], invoice["write_off_amount"]) == (0, 12_100 - min(received, 12_100))
        assert (await stage.line()).state == "recorded"


async def test_a_decision_after_a_lost_database_finds_what_stands_in_chargebee(stage: Stage) -> None:
    """The same decision leads to the same references, which are looked for before anything is recorded."""
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await stage.see(bank_line(13_000))
    line = await stage.line()
    await stage.accept(line, invoice)
    await stage.work()
    await stage.forget()
    await stage.show_invoice({**invoice, "amount_due": 12_100, "status": "posted"})
    await stage.see(bank_line(13_000))
    await stage.accept(await stage.line(), invoice)
    await stage.work()
    assert [payment["amount"] for payment in stage.transactions()] == [12_100, 900]
    assert [(type(each), each.found) for each in await stage.told(facts.PaymentRecorded, ExcessRecorded)][2:] == [
        (facts.PaymentRecorded, True),
        (ExcessRecorded, True),
    ]


def test_parts_name_what_falls_short_only_within_the_tolerance() -> None:
    document = facts.DocumentRef(site=SITE, kind="invoice", number="INV-1", customer_id="c", currency="EUR", total_minor=100)
    due = Due(document, 100)
    assert share_out(98, [due], 2) == ((DecidedPart(document=document, amount_minor=98, short_minor=2),), 0)
    assert share_out(97, [due], 2) == ((DecidedPart(document=document, amount_minor=97),), 0)
    assert share_out(103, [due], 2) == ((DecidedPart(document=document, amount_minor=100),), 3)
