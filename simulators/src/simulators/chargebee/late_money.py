"""Money that turns out otherwise days later: debits under way, debits that failed after all, and money that a bank took back."""

from .catalogue import change_balance
from .errors import invalid_state
from .invoices import settle_status
from .payments import Money, new_transaction, remove_payment
from .site import Resource, Site


def start_debit(site: Site, invoice_id: str, money: Money) -> Resource:
    """Begin to collect what is due: a transaction in progress, which pays nothing yet. Sends transaction_created."""
    invoice = site.get("invoice", invoice_id)
    under_way = Money(**{**money.__dict__, "status": "in_progress"})
    amount = invoice["amount_due"] if money.amount_minor is None else money.amount_minor
    currency = invoice["currency_code"]
    transaction = new_transaction(site, "payment", invoice["customer_id"], under_way, currency=currency, amount_minor=amount)
    transaction["exchange_rate"] = invoice["exchange_rate"]
    transaction["linked_invoices"].append({"invoice_id": invoice_id, "applied_amount": amount, "applied_at": site.clock.now()})
    site.emit("transaction_created", {"transaction": transaction})
    return transaction


def end_debit(site: Site, transaction_id: str, *, succeeded: bool) -> Resource:
    """Learn how a debit that was under way ended; what came in pays the invoice as far as something is due.

    Sends payment_succeeded or payment_failed with transaction and invoice.
    """
    transaction = site.get("transaction", transaction_id)
    if transaction["status"] != "in_progress":
        raise invalid_state(f"Transaction {transaction_id} is {transaction['status']}.")
    transaction["status"] = "success" if succeeded else "failure"
    (link,) = transaction["linked_invoices"]
    invoice = site.get("invoice", link["invoice_id"])
    applied = min(transaction["amount"], invoice["amount_due"]) if succeeded else 0
    if applied:
        shown = {"txn_id": transaction_id, "txn_status": "success", "txn_date": transaction["date"]}
        invoice["linked_payments"].append({**shown, "applied_amount": applied, "txn_amount": transaction["amount"]})
        invoice["amount_paid"] += applied
        settle_status(site, invoice, paid_at=transaction["date"])
    transaction["linked_invoices"] = [{**link, "applied_amount": applied}] if applied else []
    transaction["amount_unused"] = transaction["amount"] - applied if succeeded else 0
    site.touch(transaction)
    site.touch(invoice)
    site.emit("payment_succeeded" if succeeded else "payment_failed", {"transaction": transaction, "invoice": invoice})
    if transaction["amount_unused"]:
        customer = site.get("customer", transaction["customer_id"])
        change_balance(site, customer, transaction["currency_code"], "excess_payments", transaction["amount_unused"])
    return transaction


def fail_late(site: Site, transaction_id: str) -> Resource:
    """Let a direct debit that had succeeded fail after all (status late_failure): its invoices are due again.

    Sends transaction_updated and invoice_updated for each. What was kept as excess goes off the customer's balance.
    """
    transaction = _taken_off(site, transaction_id)
    transaction["status"] = "late_failure"
    unused, transaction["amount_unused"] = transaction["amount_unused"], 0
    site.touch(transaction)
    site.emit("transaction_updated", {"transaction": transaction})
    customer = site.get("customer", transaction["customer_id"])
    change_balance(site, customer, transaction["currency_code"], "excess_payments", -unused)
    return transaction


def take_back(site: Site, transaction_id: str, money: Money) -> Resource:
    """Let the bank take a payment back: a transaction of type payment_reversal of its amount, and invoices that are due again.

    Sends transaction_updated, invoice_updated and transaction_created.
    """
    transaction = _taken_off(site, transaction_id)
    unused, transaction["amount_unused"] = transaction["amount_unused"], 0
    currency = transaction["currency_code"]
    reversal = new_transaction(
        site, "payment_reversal", transaction["customer_id"], money, currency=currency, amount_minor=transaction["amount"]
    )
    reversal |= {"reference_transaction_id": transaction_id, "exchange_rate": transaction["exchange_rate"]}
    site.touch(transaction)
    site.emit("transaction_updated", {"transaction": transaction})
    site.emit("transaction_created", {"transaction": reversal})
    change_balance(site, site.get("customer", transaction["customer_id"]), currency, "excess_payments", -unused)
    return reversal


def _taken_off(site: Site, transaction_id: str) -> Resource:
    transaction = site.get("transaction", transaction_id)
    if transaction["status"] != "success" or transaction["gateway"] == "not_applicable":
        raise invalid_state(f"Transaction {transaction_id} did not bring money in through a gateway.")
    for link in list(transaction["linked_invoices"]):
        remove_payment(site, link["invoice_id"], transaction_id)
    return transaction
