"""What a receipt leads to, given how the invoice stands in Chargebee, and what Chargebee's refusals mean."""

from datetime import UTC, date, datetime
from string import Formatter
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backbone.chargebee_sdk import retry_after_seconds
from payment_matcher import refusals
from payment_matcher.chargebee_api import AccessDeniedError, ChargebeeError, MissingError, UnavailableError, classify
from payment_matcher.decision import InvoiceState, Receipt, Record, Refuse, decide

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NOW = datetime(2026, 10, 5, 10, tzinfo=UTC)


def decided(*, invoice: dict[str, Any] | None = None, **receipt: Any) -> Record | Refuse:
    state = {"number": "INV-1", "customer_id": "c", "currency": "EUR", "status": "payment_due", "amount_due_minor": 12_100}
    seen = {"number": "INV-1", "currency": "EUR", "decimals": 2, "receivable_currency": "EUR", "amount_hundredths": 12_100}
    return decide(
        Receipt(**{"paid_on": date(2026, 9, 25), **seen, **receipt}),
        InvoiceState(**{**state, **(invoice or {})}),
        zone=AMSTERDAM,
        now=NOW,
    )


def instant(year: int, month: int, day: int, hour: int = 0) -> int:
    return int(datetime(year, month, day, hour, tzinfo=AMSTERDAM).timestamp())


@pytest.mark.parametrize("status", ["payment_due", "posted", "not_paid"])
def test_a_payable_invoice_gets_the_receipt_on_its_day_in_the_sites_time_zone(status):
    assert decided(invoice={"status": status}) == Record(amount_minor=12_100, paid_at=instant(2026, 9, 25))


@pytest.mark.parametrize(
    ("invoice", "code"),
    [
        ({"status": "paid", "amount_due_minor": 0}, "already_paid"),
        ({"amount_due_minor": 0}, "already_paid"),
        ({"status": "voided"}, "voided"),
        ({"status": "pending"}, "not_payable"),
        ({"status": "a status of next year"}, "not_payable"),
        ({"deleted": True}, "not_found"),
    ],
)
def test_an_invoice_that_takes_no_payment_is_named_with_the_reason(invoice, code):
    refusal = decided(invoice=invoice)
    assert isinstance(refusal, Refuse)
    assert refusal.code == code
    assert "INV-1" in refusal.sentence


def test_a_currency_without_cents_is_counted_in_whole_units():
    yen: dict[str, Any] = {"currency": "JPY", "receivable_currency": "JPY", "decimals": 0}
    invoice = {"currency": "JPY", "amount_due_minor": 5_000}
    assert decided(invoice=invoice, **yen, amount_hundredths=500_000) == Record(5_000, instant(2026, 9, 25))
    broken = decided(invoice=invoice, **yen, amount_hundredths=500_050)
    assert isinstance(broken, Refuse)
    assert broken.code == "amount_not_whole"


def test_an_amount_in_another_currency_is_never_recorded():
    refusal = decided(invoice={"currency": "USD"}, currency="USD", receivable_currency="EUR")
    assert isinstance(refusal, Refuse)
    assert refusal.code == "currency_differs"


def test_a_payment_is_dated_neither_before_its_invoice_nor_in_the_future():
    invoiced_at = instant(2026, 9, 25, 15)
    assert decided(invoice={"invoiced_at": invoiced_at}) == Record(12_100, invoiced_at)
    assert decided(paid_on=date(2026, 12, 1)) == Record(12_100, int(NOW.timestamp()))


def refused(status: int, code: str = "some_code", retry_after: str | None = None) -> ChargebeeError:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return classify(status=status, code=code, message="m", retry_after=retry_after_seconds(headers))


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), (None, None), ("inf", None), ("nan", None), ("Mon, 05 Oct 2026 10:00:00 GMT", None)],
)
def test_only_a_wait_in_seconds_is_believed(retry_after, seconds):
    error = refused(429, retry_after=retry_after)
    assert isinstance(error, UnavailableError)
    assert error.retry_after_seconds == seconds


def test_a_missing_site_is_a_wrong_name_and_a_missing_resource_is_missing():
    assert isinstance(refused(404, "site_not_found"), AccessDeniedError)
    assert isinstance(refused(404, "resource_not_found"), MissingError)


@pytest.mark.parametrize("code", refusals.REFUSALS)
def test_what_a_bank_line_keeps_of_a_refusal_is_told_in_dutch(code: str) -> None:
    english = refusals.REFUSALS[code].sentence
    details = {name: f"<{name}>" for _, name, _, _ in Formatter().parse(english) if name}
    assert refusals.in_dutch(refusals.sentence(code, **details)) == refusals.sentence_nl(code, **details)


def test_what_is_no_refusal_stays_as_it_is() -> None:
    assert refusals.in_dutch("rent of the garage") == "rent of the garage"
