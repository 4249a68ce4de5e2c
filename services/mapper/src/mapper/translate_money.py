"""Chargebee's movements of money and gateways' payouts to documents as a bookkeeper sees them."""

from __future__ import annotations

from datetime import date, tzinfo

from bookkeeping.deferral import UnreadableInstantError, local_date
from bookkeeping.documents import Application, Payment, Payout, Refund, Settlement, WithheldTax
from bookkeeping.rejections import Rejection, SetAside, reject, set_aside
from contracts import chargebee, settlements
from mapper.applied import Applied

MONEY_UNDER_WAY = frozenset(("in_progress", "needs_attention"))
NO_MONEY = frozenset(("failure", "timeout", "voided", "late_failure"))
OWN_REFERENCE = "KP-"
OFFLINE_GATEWAY = "not_applicable"


def money_of(transaction: chargebee.Transaction, zone: tzinfo) -> Payment | Refund | Rejection | SetAside:
    """Translate a transaction that moved money through a gateway; set aside what moved none, or moved it elsewhere.

    A payment reversal (a chargeback, or a direct debit taken back) is money that went back, like a refund.
    """
    kind = "payment" if transaction.type in ("payment", "authorization", None) else "refund"
    name = f"{kind} {transaction.id}"
    if transaction.type == "authorization":
        return set_aside("authorization", document=name)
    if transaction.type not in ("payment", "refund", "payment_reversal"):
        return reject("unknown_status", document=name, status=transaction.type)
    if (transaction.reference_number or "").startswith(OWN_REFERENCE):
        return set_aside("own_payment", document=name)
    if transaction.gateway in (None, OFFLINE_GATEWAY):
        return set_aside("offline_payment", document=name)
    if transaction.status in NO_MONEY:
        return set_aside("payment_failed", document=name, status=transaction.status)
    if transaction.status in MONEY_UNDER_WAY:
        return reject("payment_in_progress", document=name, status=transaction.status)
    if transaction.status != "success":
        return reject("unknown_status", document=name, status=transaction.status)
    if transaction.date is None or not transaction.customer_id or not transaction.currency_code:
        return reject("unreadable_document", document=name, field="date, customer or currency")
    day = _day_of(transaction.date, zone, name)
    if isinstance(day, Rejection):
        return day
    made = Payment if kind == "payment" else Refund
    return made(
        number=transaction.id,
        customer_id=transaction.customer_id,
        document_date=day,
        currency=transaction.currency_code,
        amount_minor=transaction.amount,
        gateway_account=transaction.gateway_account_id,
        base_currency=transaction.base_currency_code,
        exchange_rate=transaction.exchange_rate,
        settlements=_settlements_of(transaction),
    )


def _settlements_of(transaction: chargebee.Transaction) -> tuple[Settlement, ...]:
    """Return what money was applied to; a refund of no credit note gives back a payment, whose rate it has."""
    invoices = [each for each in transaction.linked_invoices if each.invoice_id]
    notes = [each for each in transaction.linked_credit_notes if each.cn_id]
    back = transaction.refunded_txn_id or transaction.reference_transaction_id
    if back and not invoices and not notes:
        return (Settlement(number=back, amount_minor=transaction.amount, kind="payment"),)
    return (
        *(Settlement(number=each.invoice_id or "", amount_minor=each.applied_amount) for each in invoices),
        *(Settlement(number=each.cn_id or "", amount_minor=each.applied_amount, kind="credit_note") for each in notes),
    )


def payout_of(payout: settlements.Payout, zone: tzinfo) -> Payout | Rejection:
    """Translate a gateway's payout."""
    day = _day_of(payout.date, zone, f"payout {payout.id}")
    if isinstance(day, Rejection):
        return day
    return Payout(
        number=payout.id,
        customer_id="",
        document_date=day,
        currency=payout.currency_code,
        amount_minor=payout.amount,
        gateway_account=payout.gateway_account_id,
        fees_minor=payout.fees,
        fees_tax_minor=payout.fees_tax,
        chargeback_fees_minor=payout.chargeback_fees,
    )


def withheld_of(tax: chargebee.TaxWithheld, zone: tzinfo) -> WithheldTax | Rejection:
    """Translate a tax that was held back from an invoice."""
    name = f"withheld tax {tax.id}"
    if tax.date is None or not tax.customer_id or not tax.currency_code:
        return reject("unreadable_document", document=name, field="date, customer or currency")
    day = _day_of(tax.date, zone, name)
    if isinstance(day, Rejection):
        return day
    return WithheldTax(
        number=tax.id,
        customer_id=tax.customer_id,
        document_date=day,
        currency=tax.currency_code,
        amount_minor=tax.amount,
        invoice=tax.invoice_id,
        base_currency=tax.base_currency_code,
        exchange_rate=tax.exchange_rate,
    )


def application_of(applied: Applied, zone: tzinfo) -> Application | Rejection:
    """Translate what was applied to a document in another currency."""
    name = f"exchange difference {applied.id}"
    if applied.date is None or not applied.customer_id or not applied.currency_code:
        return reject("unreadable_document", document=name, field="date, customer or currency")
    day = _day_of(applied.date, zone, name)
    if isinstance(day, Rejection):
        return day
    return Application(
        number=applied.id,
        customer_id=applied.customer_id,
        document_date=day,
        currency=applied.currency_code,
        amount_minor=applied.amount,
        base_currency=applied.base_currency_code,
        source_kind=applied.source_kind,
        source=applied.source,
        target_kind=applied.target_kind,
        target=applied.target,
        before_minor=applied.before,
    )


def _day_of(instant: int, zone: tzinfo, name: str) -> date | Rejection:
    """Return the site's day of an instant, or hold the document whose number is no instant."""
    try:
        return local_date(instant, zone)
    except UnreadableInstantError:
        return reject("unreadable_document", document=name, field="date")
