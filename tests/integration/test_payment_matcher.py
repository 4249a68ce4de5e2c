"""The payment-matcher on both databases against the Chargebee stand-in: a receipt seen in Exact becomes one payment."""

import asyncio
import dataclasses
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import SITE, observed
from support.facts import invoice as observed_invoice
from support.matcher_stage import DIVISION, PAID_ON, matcher_stage, outcomes, receivable

from backbone.configuration import Configuration
from backbone.errors import Permanent
from contracts import facts
from payment_matcher.chargebee_api import ChargebeeApi
from payment_matcher.decision import InvoiceState
from payment_matcher.intents import reference_of
from simulators.chargebee.invoices import void_invoice
from simulators.chargebee.payments import Money, pay_invoice


@pytest.fixture(params=DATABASES)
async def stage(request, tmp_path: Path):
    async with matcher_stage(request.param, tmp_path) as made:
        yield made


async def test_a_receipt_is_recorded_with_its_date_amount_and_reference(stage):
    invoice = bill(stage.chargebee.app)
    await stage.see(receivable(invoice["id"], invoice["total"]))
    await stage.work()
    (transaction,) = stage.transactions()
    assert (transaction["amount"], transaction["payment_method"], transaction["status"]) == (12_100, "bank_transfer", "success")
    assert datetime.fromtimestamp(transaction["date"], ZoneInfo("Europe/Amsterdam")).date() == PAID_ON
    assert transaction["reference_number"].startswith("KP-")
    assert len(transaction["reference_number"]) == 23
    assert (invoice["status"], invoice["amount_due"]) == ("paid", 0)
    recorded = await stage.only_outcome()
    assert recorded == facts.PaymentRecorded(
        document=recorded.document,
        transaction_id=transaction["id"],
        amount_minor=12_100,
        payment_date=PAID_ON,
        reference=transaction["reference_number"],
        found=False,
    )
    assert recorded.document.number == invoice["id"]


async def test_a_receipt_that_is_seen_again_is_recorded_once(stage):
    invoice = bill(stage.chargebee.app)
    for _ in range(3):
        await stage.see(receivable(invoice["id"], invoice["total"]))
    await stage.work()
    await stage.see(receivable(invoice["id"], invoice["total"]))
    await stage.work()
    assert len(stage.transactions()) == stage.calls() == 1
    assert isinstance(await stage.only_outcome(), facts.PaymentRecorded)


async def test_an_invoice_in_two_terms_gets_a_payment_for_each(stage):
    invoice = bill(stage.chargebee.app)
    await stage.see(receivable(invoice["id"], 5_000, term="term-1"))
    await stage.see(receivable(invoice["id"], 7_100, term="term-2"))
    await stage.work()
    assert sorted(one["amount"] for one in stage.transactions()) == [5_000, 7_100]
    assert len({one["reference_number"] for one in stage.transactions()}) == 2
    assert invoice["status"] == "paid"


async def test_no_more_than_is_due_is_recorded(stage):
    invoice = bill(stage.chargebee.app)
    pay_invoice(stage.chargebee.app.site, invoice["id"], Money("card", amount_minor=2_100, gateway="stripe"))
    await stage.see(receivable(invoice["id"], invoice["total"]))
    await stage.work()
    assert (await stage.only_outcome()).amount_minor == 10_000
    assert sum(one["amount"] for one in stage.transactions()) == invoice["total"]


@pytest.mark.parametrize("idempotency_seconds", [1800, 0], ids=["key remembered", "key forgotten"])
@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_payment_whose_answer_was_lost_is_found_by_looking(dialect, idempotency_seconds, tmp_path):
    async with matcher_stage(dialect, tmp_path, idempotency_seconds=idempotency_seconds) as stage:
        invoice = bill(stage.chargebee.app)
        await stage.fault(fault="lose_answer", method="POST", path_contains="record_payment")
        # Less than is due, so that only the look keeps a second payment away.
        await stage.see(receivable(invoice["id"], 5_000))
        await stage.work()
        (transaction,) = stage.transactions()
        recorded = await stage.only_outcome()
        assert (recorded.found, recorded.transaction_id, recorded.amount_minor) == (True, transaction["id"], 5_000)
        assert stage.calls() == 1


async def test_an_invoice_that_was_paid_online_gets_no_payment(stage):
    invoice = bill(stage.chargebee.app)
    pay_invoice(stage.chargebee.app.site, invoice["id"], Money("card", gateway="stripe", gateway_account_id="gw_1"))
    await stage.see(receivable(invoice["id"], invoice["total"]))
    await stage.work()
    outcome = await stage.only_outcome()
    assert isinstance(outcome, facts.PaymentNotRecorded)
    assert outcome.code == "already_paid"
    assert invoice["id"] in outcome.sentence
    assert (len(stage.transactions()), stage.calls()) == (1, 0)


async def test_a_voided_invoice_gets_no_payment(stage):
    invoice = bill(stage.chargebee.app)
    void_invoice(stage.chargebee.app.site, invoice["id"])
    await stage.see(receivable(invoice["id"], invoice["total"]))
    await stage.work()
    assert (await stage.only_outcome()).code == "voided"
    assert (stage.transactions(), stage.calls()) == ([], 0)


async def test_an_invoice_voided_between_the_look_and_the_call_gets_no_payment(stage):
    invoice = bill(stage.chargebee.app)
    await stage.fault(fault="delay", seconds=0.5, method="POST", path_contains="record_payment")
    await stage.see(receivable(invoice["id"], invoice["total"]))
    working = asyncio.create_task(stage.work())
    while not stage.calls():  # noqa: ASYNC110 - the stand-in has no event to wait for
        await asyncio.sleep(0.01)
    void_invoice(stage.chargebee.app.site, invoice["id"])
    await working
    assert (await stage.only_outcome()).code == "voided"
    assert stage.transactions() == []


async def test_an_invoice_that_chargebee_does_not_know_gets_no_payment(stage):
    await stage.see(receivable("UNKNOWN", 12_100))
    await stage.work()
    outcome = await stage.only_outcome()
    assert (outcome.code, outcome.document.number, stage.calls()) == ("not_found", "UNKNOWN", 0)


async def test_a_booking_that_was_taken_back_is_settled_without_money_and_its_next_state_by_money(stage):
    invoice = bill(stage.chargebee.app)
    total = invoice["total"]

    def booking(suffix: str) -> facts.DocumentRef:
        return facts.DocumentRef(
            site=SITE,
            kind="invoice",
            number=invoice["id"],
            customer_id="cust-1",
            currency="EUR",
            total_minor=total,
            suffix=suffix,
        )

    await stage.see(
        facts.EntryPosted(
            division=DIVISION, command_id="c", document=booking("R"), entry_id="e", entry_number=1, journal="70", your_ref="x"
        )
    )
    await stage.see(receivable(invoice["id"], total, document=booking("")))
    assert await stage.open_intents() == 0
    await stage.see(receivable(invoice["id"], total, term="term-2", document=booking("2")))
    await stage.work()
    (transaction,) = stage.transactions()
    assert transaction["amount"] == total


async def test_what_is_not_one_of_our_invoices_paid_in_full_is_left_alone(stage):
    invoice = bill(stage.chargebee.app)
    number, total = invoice["id"], invoice["total"]
    document = receivable(number, total).document
    assert document is not None
    credit_note = facts.DocumentRef(site=SITE, kind="credit_note", number="CN-1", customer_id="c", currency="EUR", total_minor=-1)
    reversal = facts.DocumentRef(
        site=SITE, kind="invoice", number=number, customer_id="cust-1", currency="EUR", total_minor=-total, suffix="R"
    )
    for fact in (
        receivable(number, total, is_fully_paid=False, status=20, last_payment_date=None),
        receivable(number, total, document=None),
        receivable(number, total, document=credit_note),
        receivable(number, total, document=reversal),
        receivable(number, -total),
    ):
        await stage.see(fact)
    assert await stage.open_intents() == 0
    assert invoice["amount_due"] == total


async def test_an_invoice_known_as_paid_costs_no_call(stage):
    invoice = bill(stage.chargebee.app)
    number, total = invoice["id"], invoice["total"]
    await stage.see(observed_invoice(number, version=2, status="paid", amount_due=0))
    await stage.see(observed_invoice(number, version=1, status="payment_due"))
    await stage.see(receivable(number, total))
    assert (await stage.open_intents(), stage.chargebee.app.calls) == (0, {})


async def test_the_webhooks_of_our_own_payment_change_nothing(stage):
    invoice = bill(stage.chargebee.app)
    await stage.see(receivable(invoice["id"], invoice["total"]))
    await stage.work()
    (transaction,) = stage.transactions()
    calls = dict(stage.chargebee.app.calls)
    await stage.see(observed(facts.TransactionObserved, transaction))
    await stage.see(observed(facts.InvoiceObserved, invoice, invoice["resource_version"]))
    await stage.see(receivable(invoice["id"], invoice["total"], timestamp=2))
    await stage.work()
    assert len(stage.transactions()) == 1
    assert stage.chargebee.app.calls == calls
    assert len(await outcomes(stage.database)) == 1


@pytest.mark.parametrize(
    "how",
    [
        {"fault": "status", "status": 503, "times": 5},
        {"fault": "html_502"},
        {"fault": "lock_timeout"},
        {"fault": "drop_before"},
        {"fault": "status", "status": 409, "times": 3},
    ],
    ids=["503", "HTML", "lock", "dropped", "409"],
)
@pytest.mark.parametrize("call", [{"method": "GET", "path_contains": "/invoices/"}, {"method": "POST"}], ids=["look", "record"])
async def test_an_outage_of_chargebee_is_waited_out(stage, how, call):
    invoice = bill(stage.chargebee.app)
    await stage.fault(**how, **call)
    await stage.see(receivable(invoice["id"], invoice["total"]))
    waited_seconds = await stage.work()
    assert isinstance(await stage.only_outcome(), facts.PaymentRecorded)
    assert len(stage.transactions()) == 1
    assert waited_seconds >= 0.5


async def test_too_many_requests_keep_every_call_of_the_site_waiting_as_long_as_chargebee_says(stage):
    invoices = [bill(stage.chargebee.app) for _ in range(3)]
    await stage.fault(fault="rate_limit", seconds=40)
    for number, invoice in enumerate(invoices):
        await stage.see(receivable(invoice["id"], invoice["total"], term=f"term-{number}"))
    await stage.recorder.step()
    stage.clock.advance(39)
    assert not await stage.recorder.step()
    assert stage.chargebee.app.calls == {"GET invoices/{id}": 1}
    await stage.work()
    assert [invoice["status"] for invoice in invoices] == ["paid"] * 3
    assert len(stage.transactions()) == 3


async def test_a_conflict_after_a_long_outage_is_not_taken_for_a_refusal(stage):
    """The first answer after the outage may be that our own call of before is still running."""
    invoice = bill(stage.chargebee.app)
    await stage.fault(fault="status", status=503, times=9, method="POST")
    await stage.fault(fault="status", status=409, times=1, method="POST")
    await stage.see(receivable(invoice["id"], invoice["total"]))
    await stage.work()
    assert isinstance(await stage.only_outcome(), facts.PaymentRecorded)


async def test_a_conflict_without_end_is_told_to_a_person(stage):
    invoice = bill(stage.chargebee.app)
    await stage.fault(fault="status", status=409, times=100, method="POST")
    await stage.see(receivable(invoice["id"], invoice["total"]))
    await stage.work()
    assert (await stage.only_outcome()).code == "refused"
    assert stage.transactions() == []


async def test_a_call_already_made_with_another_body_is_found_and_not_taken_for_a_refusal(stage):
    """Chargebee answers 422 to a known idempotency key with another body; another process of ours made that call."""
    invoice = bill(stage.chargebee.app)
    reference = reference_of(123456, "term-1")
    money = Money("bank_transfer", amount_minor=5_000, reference_number=reference)
    await stage.fault(fault="status", status=422, method="POST")
    await stage.see(receivable(invoice["id"], 5_000))
    await stage.recorder.step()
    _, transaction = pay_invoice(stage.chargebee.app.site, invoice["id"], money)
    await stage.work()
    recorded = await stage.only_outcome()
    assert (recorded.found, recorded.transaction_id) == (True, transaction["id"])
    assert len(stage.transactions()) == 1


class StallingApi(ChargebeeApi):
    """The real calls over a line on which the answer about the invoice arrives late."""

    def __init__(self, url: str) -> None:
        super().__init__(api_key="test_key", base_url=url)
        self.answered, self.arrives = asyncio.Event(), asyncio.Event()

    async def invoice(self, site: str, number: str) -> InvoiceState:
        state = await super().invoice(site, number)
        self.answered.set()
        await self.arrives.wait()
        return state


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_process_that_was_overtaken_while_it_looked_makes_no_call(dialect, tmp_path):
    """The first process stalls for longer than it may keep a payment to itself; only the fence keeps it from a second payment."""
    async with matcher_stage(dialect, tmp_path, idempotency_seconds=0) as stage:
        invoice = bill(stage.chargebee.app)
        api = StallingApi(stage.chargebee.url)
        await stage.see(receivable(invoice["id"], 5_000))
        stalled = asyncio.create_task(stage.another_recorder(api=api)[0].step())
        await api.answered.wait()
        other, _ = stage.another_recorder(ahead_seconds=60)
        assert await other.step()
        api.arrives.set()
        await stalled
        assert len(stage.transactions()) == stage.calls() == 1
        assert isinstance(await stage.only_outcome(), facts.PaymentRecorded)


async def test_a_refused_key_is_said_on_ready_until_it_is_mended_and_ends_nothing(stage):
    invoice = bill(stage.chargebee.app)
    mended = stage.chargebee.app.settings
    stage.chargebee.app.settings = dataclasses.replace(mended, api_key="another")
    await stage.see(receivable(invoice["id"], invoice["total"]))
    assert await stage.recorder.ready() is None
    await stage.recorder.step()
    assert "KRUISPOST_CHARGEBEE_API_KEY" in str(await stage.recorder.ready())
    stage.chargebee.app.settings = mended
    await stage.work()
    assert invoice["status"] == "paid"
    assert await stage.recorder.ready() is None


async def test_a_payment_of_a_site_taken_out_of_the_configuration_waits_and_is_named_on_ready(stage):
    invoice = bill(stage.chargebee.app)
    await stage.see(receivable(invoice["id"], invoice["total"]))
    without, _ = stage.another_recorder(configuration=Configuration.model_validate({"version": 1, "sites": {}, "divisions": {}}))
    await without.step()
    assert SITE in str(await without.ready())
    await stage.work()
    assert invoice["status"] == "paid"


async def test_a_site_that_is_not_configured_is_a_dead_letter_with_a_reason(stage):
    fact = receivable("INV-1", 100)
    elsewhere = facts.DocumentRef(
        site="elsewhere", kind="invoice", number="INV-1", customer_id="c", currency="EUR", total_minor=100
    )
    with pytest.raises(Permanent, match="elsewhere") as caught:
        await stage.see(receivable("INV-1", fact.amount_minor, document=elsewhere))
    assert caught.value.code == "unknown_site"
