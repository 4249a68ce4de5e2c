"""What is recorded for a receipt: how much, with which date, or why not."""

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from payment_matcher import refusals
from payment_matcher.decision import InvoiceState, Receipt, Record, Refuse, decide, is_settled
from payment_matcher.intents import reference_of

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NOW = datetime(2026, 10, 20, 8, tzinfo=UTC)
INVOICE = InvoiceState(
    number="INV-1",
    customer_id="c",
    currency="EUR",
    status="posted",
    amount_due_minor=12_100,
    invoiced_at=int(datetime(2026, 10, 1, 10, tzinfo=AMSTERDAM).timestamp()),
)
RECEIPT = Receipt(
    number="INV-1", currency="EUR", decimals=2, receivable_currency="EUR", amount_hundredths=12_100, paid_on=date(2026, 10, 15)
)


def verdict(receipt: Receipt = RECEIPT, invoice: InvoiceState = INVOICE, now: datetime = NOW) -> Record | Refuse:
    return decide(receipt, invoice, zone=AMSTERDAM, now=now)


def instant(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=AMSTERDAM).timestamp())  # type: ignore[misc,arg-type]  # year, month, day, hour


def test_the_whole_amount_is_recorded_on_the_day_of_the_payment_in_the_site_s_time_zone():
    assert verdict() == Record(12_100, instant(2026, 10, 15))


@pytest.mark.parametrize(("due", "received", "recorded"), [(10_000, 12_100, 10_000), (12_100, 9_000, 9_000)])
def test_never_more_than_is_due_nor_than_was_received(due, received, recorded):
    found = verdict(replace(RECEIPT, amount_hundredths=received), replace(INVOICE, amount_due_minor=due))
    assert isinstance(found, Record)
    assert found.amount_minor == recorded


def test_a_currency_without_cents_is_counted_in_whole_units():
    yen = replace(RECEIPT, currency="JPY", receivable_currency="JPY", decimals=0)
    invoice = replace(INVOICE, currency="JPY", amount_due_minor=121)
    assert verdict(yen, invoice) == Record(121, instant(2026, 10, 15))
    broken = verdict(replace(yen, amount_hundredths=12_150), invoice)
    assert isinstance(broken, Refuse)
    assert broken.code == "amount_not_whole"


def test_a_receivable_in_another_currency_is_left_to_a_person():
    found = verdict(replace(RECEIPT, receivable_currency="USD"))
    assert isinstance(found, Refuse)
    assert found.code == "currency_differs"


def test_the_date_is_never_before_the_invoice_nor_in_the_future():
    early = verdict(replace(RECEIPT, paid_on=date(2026, 10, 1)))
    assert isinstance(early, Record)
    assert early.paid_at == INVOICE.invoiced_at
    late = verdict(replace(RECEIPT, paid_on=date(2026, 10, 25)))
    assert isinstance(late, Record)
    assert late.paid_at == int(NOW.timestamp())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"status": "paid", "amount_due_minor": 0}, "already_paid"),
        ({"status": "posted", "amount_due_minor": 0}, "already_paid"),
        ({"status": "voided"}, "voided"),
        ({"status": "pending"}, "not_payable"),
        ({"status": "a_new_status"}, "not_payable"),
        ({"deleted": True}, "not_found"),
    ],
)
def test_what_cannot_take_a_payment_is_refused_by_name(change, code):
    found = verdict(invoice=replace(INVOICE, **change))
    assert isinstance(found, Refuse)
    assert found.code == code
    assert "INV-1" in found.sentence


def test_only_what_is_surely_settled_saves_the_call():
    assert is_settled("paid", 0, deleted=False)
    assert is_settled("voided", 100, deleted=False)
    assert not is_settled("posted", 1, deleted=False)
    assert not is_settled("pending", 0, deleted=False)


def test_the_reference_names_the_receivable_and_nothing_else():
    assert reference_of(1, "a") == reference_of(1, "a")
    assert len({reference_of(1, "a"), reference_of(2, "a"), reference_of(1, "b"), reference_of(11, "a")}) == 4
    assert len(reference_of(1, "a")) == len("KP-") + 20


def test_every_reason_can_be_said():
    details = dict.fromkeys(("number", "status", "currency", "receivable_currency", "amount", "message"), "x")
    for code in refusals.REFUSALS:
        assert "{" not in refusals.sentence(code, **details) + refusals.action(code, **details)
