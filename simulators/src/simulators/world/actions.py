"""Carrying out the steps of a plan on a site."""

from dataclasses import dataclass, field, replace
from typing import Any

from simulators.chargebee import catalogue, credit_notes, invoices, payments
from simulators.chargebee.site import Site

from .plan import (
    Action,
    AddCustomer,
    Bill,
    ChangeCustomer,
    ClosePending,
    Collect,
    Credit,
    PayByBank,
    Refund,
    UseCredit,
)
from .products import STRIPE_EUR, STRIPE_USD


@dataclass(frozen=True)
class Receipt:
    """Money of a customer that is on its way to the bank: amount in minor units, date in seconds since 1970."""

    invoice_number: str
    amount_minor: int
    at: int


@dataclass
class Ledger:
    """What the plan's keys became on the site, and why each document is there."""

    invoices: dict[str, str] = field(default_factory=dict)
    credit_notes: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    unmapped: set[str] = field(default_factory=set)
    receipts: list[Receipt] = field(default_factory=list)


def perform(site: Site, action: Action, ledger: Ledger) -> None:
    """Carry out one action at the site's present time; bank payments are only noted in `ledger.receipts`."""
    match action:
        case AddCustomer():
            catalogue.create_customer(site, action.customer_id, action.members)
        case ChangeCustomer():
            catalogue.update_customer(site, action.customer_id, action.members)
        case Bill():
            _bill(site, action, ledger)
        case Collect():
            _collect(site, ledger.invoices[action.invoice_key], action)
        case ClosePending():
            invoices.close_pending(site, ledger.invoices[action.invoice_key], extra_lines=action.extra_lines)
        case Credit():
            _credit(site, action, ledger)
        case Refund():
            _refund(site, ledger.credit_notes[action.credit_key])
        case UseCredit():
            invoice_id, note_id = ledger.invoices[action.invoice_key], ledger.credit_notes[action.credit_key]
            credit_notes.apply_credit(site, invoice_id, note_id)
        case PayByBank():
            _transfer(site, ledger.invoices[action.invoice_key], ledger)


def _bill(site: Site, bill: Bill, ledger: Ledger) -> None:
    spec = bill.spec
    subscription = None
    if bill.subscription is not None:
        members = dict(bill.subscription)
        subscription = catalogue.create_subscription(site, spec.customer_id, members.pop("id"), members, announce=False)
    invoice = invoices.create_invoice(site, spec, source="scheduled_job" if spec.recurring else "api")
    ledger.invoices[bill.key] = invoice["id"]
    ledger.why[invoice["id"]] = bill.why
    if bill.unmapped:
        ledger.unmapped.add(invoice["id"])
    if bill.collect:
        _collect(site, invoice["id"], Collect(bill.key), at_once=True)
    if subscription is not None:
        customer = site.get("customer", spec.customer_id)
        site.emit("subscription_created", {"subscription": subscription, "customer": customer, "invoice": invoice})


def _card(site: Site, currency: str) -> payments.Money:
    return payments.Money(
        payment_method="card",
        gateway="stripe",
        gateway_account_id=STRIPE_USD if currency == "USD" else STRIPE_EUR,
        id_at_gateway=site.new_id("ch_"),
    )


def _collect(site: Site, invoice_id: str, collect: Collect, *, at_once: bool = False) -> None:
    currency = site.get("invoice", invoice_id)["currency_code"]
    money = replace(_card(site, currency), exchange_rate=collect.exchange_rate)
    if collect.declined:
        money = replace(money, status="failure", error_code="card_declined", error_text="Your card was declined.")
    payments.pay_invoice(site, invoice_id, money, source="scheduled_job" if not at_once else "api")


def _credit(site: Site, credit: Credit, ledger: Ledger) -> None:
    invoice = site.get("invoice", ledger.invoices[credit.invoice_key])
    note = credit_notes.create_credit_note(
        site,
        invoice["id"],
        kind=credit.kind,
        lines=credit_notes.lines_of_invoice(invoice, credit.per_mille),
        reason=credit.reason,
    )
    ledger.credit_notes[credit.key] = note["id"]
    ledger.why[note["id"]] = f"{credit.kind} credit of {invoice['id']}"


def _refund(site: Site, note_id: str) -> None:
    note = site.get("credit_note", note_id)
    paid: list[dict[str, Any]] = site.get("invoice", note["reference_invoice_id"])["linked_payments"]
    money = _card(site, note["currency_code"])
    credit_notes.refund_credit_note(site, note_id, money, refunded_transaction_id=paid[0]["txn_id"])


def _transfer(site: Site, invoice_id: str, ledger: Ledger) -> None:
    due = site.get("invoice", invoice_id)["amount_due"]
    if due > 0:
        ledger.receipts.append(Receipt(invoice_id, due, site.clock.now()))
