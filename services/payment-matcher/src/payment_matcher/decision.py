"""What to do with one receipt, given how the invoice stands in Chargebee. Pure: values in, values out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from bookkeeping.money import format_minor
from payment_matcher import refusals

PAYABLE_STATUSES = frozenset({"payment_due", "posted", "not_paid"})
HUNDREDTHS = 100


@dataclass(frozen=True)
class InvoiceState:
    """An invoice as Chargebee shows it now; `amount_due_minor` in Chargebee's unit, `invoiced_at` in unix seconds.

    `has_payments` is true when any transaction, of whatever outcome, is linked to it; `written_off_minor` is what was given up.
    """

    number: str
    customer_id: str
    currency: str
    status: str
    amount_due_minor: int
    invoiced_at: int | None = None
    has_payments: bool = False
    deleted: bool = False
    written_off_minor: int = 0


@dataclass(frozen=True)
class Receipt:
    """A receivable, or a part of one, that Exact has matched; `amount_hundredths` as Exact counts, whatever the currency.

    `open_hundredths` is what Exact still shows as open of the whole invoice, `money_hundredths` how much of what Exact matched on
    the account may be money that Chargebee does not have, None where that is not known.
    """

    number: str
    currency: str
    decimals: int
    receivable_currency: str
    amount_hundredths: int
    paid_on: date
    open_hundredths: int = 0
    money_hundredths: int | None = None


@dataclass(frozen=True)
class Record:
    """Record this amount (Chargebee's unit) with this date (unix seconds)."""

    amount_minor: int
    paid_at: int


@dataclass(frozen=True)
class Refuse:
    """Do not record, for the reason `code` of the refusals table; `action` is what a person can do, if anything.

    `left_minor` is money that Exact has matched and that stands nowhere in Chargebee: a person has to see it.
    """

    code: str
    sentence: str
    sentence_nl: str
    left_minor: int = 0
    action: str = ""
    action_nl: str = ""


def refuse(code: str, **details: object) -> Refuse:
    """Fill in the sentences of a code; raises KeyError for an unknown code or a missing detail."""
    return Refuse(
        code,
        refusals.sentence(code, **details),
        refusals.sentence_nl(code, **details),
        action=refusals.action(code, **details),
        action_nl=refusals.action_nl(code, **details),
    )


def is_settled(status: str, amount_due_minor: int, *, deleted: bool) -> bool:
    """Whether an invoice can take no payment any more, so that no call is needed to know it."""
    return deleted or status in {"paid", "voided"} or (amount_due_minor == 0 and status in PAYABLE_STATUSES)


def decide(receipt: Receipt, invoice: InvoiceState, *, zone: ZoneInfo, now: datetime) -> Record | Refuse:
    """Decide whether and how much to record.

    Never more is recorded than what Chargebee shows as due beyond what is open in Exact, so that both show the same amount due
    afterwards, and never more than came as money: what Exact matched with a credit note or an online payment is none. What
    Chargebee does with more than is due differs between its own texts.
    """
    number = receipt.number
    refusal = _not_payable(number, invoice)
    if refusal is not None:
        return _with_money(refusal, receipt, invoice)
    received_minor = _in_chargebee_unit(receipt, receipt.amount_hundredths)
    open_minor = _in_chargebee_unit(receipt, receipt.open_hundredths)
    if isinstance(received_minor, Refuse):
        return received_minor
    if isinstance(open_minor, Refuse):
        return open_minor
    missing_minor = invoice.amount_due_minor - max(0, open_minor)
    if receipt.money_hundredths is not None:
        money_minor = receipt.money_hundredths // (HUNDREDTHS if receipt.decimals == 0 else 1)
        received_minor = min(received_minor, money_minor)
    if missing_minor <= 0 or received_minor <= 0:
        return refuse("already_counted", number=number)
    return Record(
        amount_minor=min(missing_minor, received_minor),
        paid_at=payment_instant(receipt.paid_on, invoice.invoiced_at, zone, now),
    )


def _with_money(refusal: Refuse, receipt: Receipt, invoice: InvoiceState) -> Refuse:
    """Name the money of a receipt that pays nothing in Chargebee, where it is known how much of it is money."""
    received = min(receipt.amount_hundredths, receipt.money_hundredths or 0)
    left_minor = _in_chargebee_unit(receipt, received)
    if isinstance(left_minor, Refuse) or left_minor <= 0:
        return refusal
    if refusal.code == "already_paid":
        amount = f"{receipt.currency} {format_minor(left_minor, receipt.currency)}"
        refusal = refuse("money_without_debt", number=receipt.number, amount=amount, status=invoice.status)
    return replace(refusal, left_minor=left_minor)


def decide_bank_payment(
    amount_minor: int, invoice: InvoiceState, *, paid_on: date, zone: ZoneInfo, now: datetime
) -> Record | Refuse:
    """Decide how much of a decided payment is recorded: never more than is due now; the rest goes back to the inbox."""
    refusal = _not_payable(invoice.number, invoice)
    if refusal is not None:
        return refusal
    return Record(
        amount_minor=min(amount_minor, invoice.amount_due_minor),
        paid_at=payment_instant(paid_on, invoice.invoiced_at, zone, now),
    )


def _not_payable(number: str, invoice: InvoiceState) -> Refuse | None:
    if invoice.status == "voided":
        return refuse("voided", number=number)
    if invoice.deleted:
        return refuse("not_found", number=number)
    if invoice.status == "paid" or (invoice.amount_due_minor <= 0 and invoice.status in PAYABLE_STATUSES):
        return refuse("already_paid", number=number, status=invoice.status)
    if invoice.status not in PAYABLE_STATUSES:
        return refuse("not_payable", number=number, status=invoice.status)
    return None


def _in_chargebee_unit(receipt: Receipt, hundredths: int) -> int | Refuse:
    if receipt.receivable_currency != receipt.currency:
        currencies = {"receivable_currency": receipt.receivable_currency, "currency": receipt.currency}
        return refuse("currency_differs", number=receipt.number, **currencies)
    if receipt.decimals != 0:
        return hundredths
    whole, rest = divmod(hundredths, HUNDREDTHS)
    if rest:
        return refuse("amount_not_whole", number=receipt.number, amount=hundredths, currency=receipt.currency)
    return whole


def payment_instant(paid_on: date, invoiced_at: int | None, zone: ZoneInfo, now: datetime) -> int:
    """Return the first instant of the payment's day on the site's clock, not before the invoice and not in the future."""
    start_of_day = int(datetime.combine(paid_on, time.min, tzinfo=zone).timestamp())
    earliest = start_of_day if invoiced_at is None else max(start_of_day, invoiced_at)
    return min(earliest, int(now.timestamp()))
