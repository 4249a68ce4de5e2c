"""Operations on money: recorded and collected payments, failures, excess payments and their removal."""

from dataclasses import dataclass
from typing import Any

from .catalogue import change_balance
from .errors import invalid_state, wrong_value
from .invoices import PAYABLE, settle_status
from .site import Resource, Site


@dataclass(frozen=True)
class Money:
    """How money moved. Offline payments have the gateway not_applicable and no gateway account."""

    payment_method: str
    amount_minor: int | None = None
    date: int | None = None
    reference_number: str | None = None
    gateway: str = "not_applicable"
    gateway_account_id: str | None = None
    id_at_gateway: str | None = None
    custom_payment_method_id: str | None = None
    transaction_id: str | None = None
    exchange_rate: str | None = None
    status: str = "success"
    error_code: str | None = None
    error_text: str | None = None


def new_transaction(site: Site, kind: str, customer_id: str, money: Money, *, currency: str, amount_minor: int) -> Resource:
    """Store a transaction of that type; links are added by the caller. No event is sent here."""
    now = site.clock.now()
    transaction: Resource = {
        "id": money.transaction_id or site.new_id("txn_"),
        "customer_id": customer_id,
        "payment_method": money.payment_method,
        "gateway": money.gateway,
        "type": kind,
        "date": now if money.date is None else money.date,
        "exchange_rate": float(money.exchange_rate or "1"),
        "amount": amount_minor,
        "status": money.status,
        "deleted": False,
        "object": "transaction",
        "currency_code": currency,
        "base_currency_code": site.settings.base_currency,
    }
    if money.status == "success":
        transaction["settled_at"] = now
    if kind == "payment":
        transaction.update(amount_unused=0, linked_invoices=[], linked_refunds=[])
    optional = {
        "reference_number": money.reference_number,
        "gateway_account_id": money.gateway_account_id,
        "id_at_gateway": money.id_at_gateway,
        "custom_payment_method_id": money.custom_payment_method_id,
        "error_code": money.error_code,
        "error_text": money.error_text,
    }
    if money.payment_method == "card":
        optional["masked_card_number"] = "************4242"
        transaction["payment_method_details"] = '{"card":{"iin":"424242","last4":"4242","brand":"visa"}}'
    transaction.update({key: value for key, value in optional.items() if value is not None})
    return site.add("transaction", transaction)


def _link(site: Site, transaction: Resource, invoice: Resource, amount_minor: int) -> None:
    now = site.clock.now()
    link = {
        "txn_id": transaction["id"],
        "applied_amount": amount_minor,
        "applied_at": now,
        "txn_status": transaction["status"],
        "txn_date": transaction["date"],
        "txn_amount": transaction["amount"],
    }
    invoice["linked_payments"].append(link)
    invoice["reference_transactions"].append({**link, "txn_type": transaction["type"]})
    if transaction["status"] == "success":
        invoice["amount_paid"] += amount_minor
        settle_status(site, invoice, paid_at=transaction["date"])
    if "subscription_id" in invoice:
        transaction["subscription_id"] = invoice["subscription_id"]
    transaction["linked_invoices"].append(
        {
            "invoice_id": invoice["id"],
            "applied_amount": amount_minor,
            "applied_at": now,
            "invoice_date": invoice["date"],
            "invoice_total": invoice["total"],
            "invoice_status": invoice["status"],
        }
    )


def _payment_content(site: Site, transaction: Resource, invoice: Resource) -> dict[str, Any]:
    content = {
        "transaction": transaction,
        "invoice": invoice,
        "customer": site.get("customer", invoice["customer_id"]),
    }
    if "subscription_id" in invoice and invoice["subscription_id"] in site.collections["subscription"]:
        content["subscription"] = site.get("subscription", invoice["subscription_id"])
    return content


def pay_invoice(
    site: Site, invoice_id: str, money: Money, *, source: str = "api", collected_at_generation: bool = False
) -> tuple[Resource, Resource]:
    """Record or collect a payment; returns (invoice, transaction).

    Sends payment_succeeded (or payment_failed) and then invoice_updated; no customer_changed and no
    transaction_created unless more was paid than is due: the rest becomes an excess payment.
    Raises 409 for invoices that are paid, voided or pending, 400 for an amount that is not positive.
    """
    invoice = site.get("invoice", invoice_id)
    if invoice["status"] not in PAYABLE or invoice["deleted"]:
        raise invalid_state(f"Payment cannot be recorded for the invoice {invoice_id} as its status is {invoice['status']}.")
    amount = invoice["amount_due"] if money.amount_minor is None else money.amount_minor
    if amount <= 0:
        raise wrong_value("transaction[amount]", "should be greater than zero")
    currency = invoice["currency_code"]
    rate = money.exchange_rate or str(invoice["exchange_rate"])
    transaction = new_transaction(
        site, "payment", invoice["customer_id"], _with_rate(money, rate), currency=currency, amount_minor=amount
    )
    applied = min(amount, invoice["amount_due"])
    _link(site, transaction, invoice, applied)
    transaction["amount_unused"] = amount - applied if money.status == "success" else 0
    site.touch(invoice)
    succeeded = "payment_succeeded" if money.status == "success" else "payment_failed"
    site.emit(succeeded, _payment_content(site, transaction, invoice), source=source)
    if not collected_at_generation:
        site.emit("invoice_updated", {"invoice": invoice}, source=source)
    if transaction["amount_unused"]:
        customer = site.get("customer", invoice["customer_id"])
        change_balance(site, customer, currency, "excess_payments", transaction["amount_unused"])
    return invoice, transaction


def _with_rate(money: Money, exchange_rate: str) -> Money:
    return Money(**{**money.__dict__, "exchange_rate": exchange_rate})


def record_excess_payment(site: Site, customer_id: str, currency: str, money: Money) -> tuple[Resource, Resource]:
    """Record money that belongs to no invoice; returns (customer, transaction).

    Sends transaction_created with amount_unused equal to the amount and no links, then customer_changed.
    """
    customer = site.get("customer", customer_id)
    if money.amount_minor is None or money.amount_minor <= 0:
        raise wrong_value("transaction[amount]", "should be greater than zero")
    transaction = new_transaction(site, "payment", customer_id, money, currency=currency, amount_minor=money.amount_minor)
    transaction["amount_unused"] = money.amount_minor
    site.emit("transaction_created", {"transaction": transaction})
    change_balance(site, customer, currency, "excess_payments", money.amount_minor)
    return customer, transaction


def apply_payment(site: Site, invoice_id: str, transaction_id: str, amount_minor: int | None = None) -> Resource:
    """Apply an excess payment to an invoice; sends transaction_updated, invoice_updated and customer_changed."""
    invoice = site.get("invoice", invoice_id)
    transaction = site.get("transaction", transaction_id)
    if invoice["status"] not in PAYABLE:
        raise invalid_state(f"Payments cannot be applied to the invoice {invoice_id}; it is {invoice['status']}.")
    amount = min(amount_minor or transaction["amount_unused"], transaction["amount_unused"], invoice["amount_due"])
    if amount <= 0:
        raise invalid_state(f"Transaction {transaction_id} has nothing left to apply.")
    transaction["amount_unused"] -= amount
    _link(site, transaction, invoice, amount)
    site.touch(transaction)
    site.touch(invoice)
    site.emit("transaction_updated", {"transaction": transaction})
    site.emit("invoice_updated", {"invoice": invoice})
    customer = site.get("customer", invoice["customer_id"])
    change_balance(site, customer, invoice["currency_code"], "excess_payments", -amount)
    return invoice


def remove_payment(site: Site, invoice_id: str, transaction_id: str) -> tuple[Resource, Resource]:
    """Take a payment off an invoice: the amount becomes excess and the invoice is due again."""
    invoice = site.get("invoice", invoice_id)
    transaction = site.get("transaction", transaction_id)
    links = [each for each in invoice["linked_payments"] if each["txn_id"] == transaction_id]
    if not links or links[0]["txn_status"] != "success":
        raise invalid_state(f"Transaction {transaction_id} is not applied to the invoice {invoice_id}.")
    if any(each["cn_status"] in ("refunded", "refund_due") for each in invoice["issued_credit_notes"]):
        raise invalid_state(f"Invoice {invoice_id} has refundable credit notes.")
    amount = links[0]["applied_amount"]
    invoice["linked_payments"].remove(links[0])
    invoice["reference_transactions"] = [each for each in invoice["reference_transactions"] if each["txn_id"] != transaction_id]
    invoice["amount_paid"] -= amount
    invoice["status"] = "posted" if invoice["due_date"] > site.clock.now() else "payment_due"
    invoice.pop("paid_at", None)
    settle_status(site, invoice)
    transaction["amount_unused"] += amount
    transaction["linked_invoices"] = [each for each in transaction["linked_invoices"] if each["invoice_id"] != invoice_id]
    site.touch(transaction)
    site.touch(invoice)
    site.emit("transaction_updated", {"transaction": transaction})
    site.emit("invoice_updated", {"invoice": invoice})
    change_balance(site, site.get("customer", invoice["customer_id"]), invoice["currency_code"], "excess_payments", amount)
    return invoice, transaction


def delete_offline_transaction(site: Site, transaction_id: str) -> Resource:
    """Undo a mistaken offline record that is on no invoice any more; sends transaction_deleted."""
    transaction = site.get("transaction", transaction_id)
    if transaction["gateway"] != "not_applicable" or transaction["deleted"]:
        raise invalid_state(f"Transaction {transaction_id} is not an offline transaction.")
    for link in list(transaction.get("linked_invoices", ())):
        remove_payment(site, link["invoice_id"], transaction_id)
    unused = transaction.get("amount_unused", 0)
    transaction["deleted"] = True
    site.touch(transaction)
    site.emit("transaction_deleted", {"transaction": transaction})
    if unused:
        customer = site.get("customer", transaction["customer_id"])
        change_balance(site, customer, transaction["currency_code"], "excess_payments", -unused)
    return transaction
