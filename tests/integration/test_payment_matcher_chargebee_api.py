"""The adapter around Chargebee's SDK, against the Chargebee stand-in over HTTP."""

import time
from contextlib import asynccontextmanager

import pytest
from support.chargebee_sim import running_chargebee

from payment_matcher.chargebee_api import (
    AccessDeniedError,
    BusyOrStaleError,
    ChargebeeApi,
    MissingError,
    RefusedError,
    UnavailableError,
)
from simulators.chargebee.admission import Fault
from simulators.chargebee.catalogue import create_customer
from simulators.chargebee.invoices import InvoiceSpec, create_invoice, void_invoice
from simulators.chargebee.payments import Money, pay_invoice
from simulators.chargebee.pricing import LineSpec

SITE = "acme-test"
PAID_AT = 1_790_000_000


@asynccontextmanager
async def chargebee_with_invoice(number="INV-1", amount_minor=12_100):
    async with running_chargebee() as running:
        create_customer(running.app.site, "cust-1", {"company": "Bakkerij Jansen"})
        lines = [LineSpec(entity_type="adhoc", description="Advice", unit_amount_minor=amount_minor)]
        create_invoice(running.app.site, InvoiceSpec(customer_id="cust-1", lines=lines, number=number, net_term_days=14))
        yield running, ChargebeeApi(api_key="test_key", base_url=running.url)


async def record(api, number="INV-1", amount_minor=12_100, reference="KP-ABC"):
    return await api.record_payment(
        SITE, number, amount_minor=amount_minor, paid_at=PAID_AT, reference=reference, comment="Receipt seen in Exact"
    )


async def test_a_recorded_payment_settles_the_invoice_and_is_found_by_its_reference():
    async with chargebee_with_invoice() as (running, api):
        before = await api.invoice(SITE, "INV-1")
        assert (before.status, before.amount_due_minor, before.has_payments) == ("posted", 12_100, False)
        assert await api.find_payment(SITE, "cust-1", "KP-ABC") is None
        payment = await record(api)
        after = await api.invoice(SITE, "INV-1")
        assert (after.status, after.amount_due_minor, after.has_payments) == ("paid", 0, True)
        assert await api.find_payment(SITE, "cust-1", "KP-ABC") == payment
        (transaction,) = running.app.site.all("transaction")
        assert transaction["payment_method"] == "bank_transfer"
        assert transaction["date"] == PAID_AT


async def test_the_same_call_twice_records_one_payment():
    async with chargebee_with_invoice() as (running, api):
        assert await record(api) == await record(api)
        assert len(running.app.site.all("transaction")) == 1


async def test_a_payment_is_found_among_many_even_when_the_filter_is_ignored(monkeypatch):
    async with chargebee_with_invoice(amount_minor=1_000_000) as (running, api):
        wanted = await record(api, amount_minor=1, reference="KP-OLDEST")
        for number in range(120):
            pay_invoice(running.app.site, "INV-1", Money("bank_transfer", amount_minor=1, reference_number=f"KP-{number}"))
        monkeypatch.setattr("simulators.chargebee.listing._matches", lambda *_: True)
        assert await api.find_payment(SITE, "cust-1", "KP-OLDEST") == wanted


async def test_an_id_with_a_slash_and_a_space_is_one_id():
    async with chargebee_with_invoice(number="2026/00 1") as (_, api):
        assert (await api.invoice(SITE, "2026/00 1")).number == "2026/00 1"
        assert (await record(api, number="2026/00 1")).amount_minor == 12_100


async def test_refusals_are_told_apart():
    async with chargebee_with_invoice() as (running, api):
        with pytest.raises(MissingError):
            await api.invoice(SITE, "INV-404")
        with pytest.raises(RefusedError):
            await record(api, amount_minor=-5)
        void_invoice(running.app.site, "INV-1")
        with pytest.raises(BusyOrStaleError):
            await record(api)
        with pytest.raises(AccessDeniedError):
            await ChargebeeApi(api_key="wrong", base_url=running.url).invoice(SITE, "INV-1")


@pytest.mark.parametrize(
    "fault",
    [
        Fault("html_502"),
        Fault("status", status=503),
        Fault("status", status=500),
        Fault("lock_timeout"),
        Fault("drop_before"),
        Fault("lose_answer"),
    ],
    ids=lambda fault: f"{fault.fault}-{fault.status}",
)
async def test_no_valid_answer_is_an_unknown_outcome_and_is_not_retried_by_the_sdk(fault):
    async with chargebee_with_invoice() as (running, api):
        running.app.faults.waiting.append(fault)
        with pytest.raises(UnavailableError):
            await record(api)
        assert running.app.faults.waiting == []


async def test_too_many_requests_names_the_wait_and_is_not_retried_by_the_sdk():
    async with chargebee_with_invoice() as (running, api):
        running.app.faults.waiting.append(Fault("rate_limit", seconds=7))
        started = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            await api.invoice(SITE, "INV-1")
        assert caught.value.retry_after_seconds == 7
        assert time.monotonic() - started < 5


async def test_nobody_listening_is_an_unknown_outcome():
    async with running_chargebee() as running:
        url = running.url
    with pytest.raises(UnavailableError):
        await ChargebeeApi(api_key="test_key", base_url=url).invoice(SITE, "INV-1")
