"""The operations of `/api/v2`: which method and path calls what, and with which parameters."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import catalogue, credit_notes, invoices, payments
from .downloads import Downloads
from .errors import ApiError, missing, wrong_value
from .listing import list_page, shown_with
from .long_documents import lines_asked
from .site import Resource, Site

# fmt: off
PAYMENT_METHODS = frozenset({
    "card", "cash", "check", "chargeback", "bank_transfer", "amazon_payments", "paypal_express_checkout",
    "direct_debit", "alipay", "unionpay", "apple_pay", "wechat_pay", "ach_credit", "sepa_credit", "ideal",
    "google_pay", "sofort", "bancontact", "giropay", "dotpay", "other", "upi", "netbanking_emandates", "boleto",
    "venmo", "pay_to", "faster_payments", "sepa_instant_transfer", "automated_bank_transfer", "klarna",
    "klarna_pay_now", "pay_by_bank", "trustly", "twint", "wero", "swish", "blik", "p24", "bizum", "custom",
})
# fmt: on
WEBHOOK_STATUS_WINDOW_SECONDS = 6 * 86_400
_CATALOG_OF = {"item_price": "2.0", "item": "2.0", "item_family": "2.0", "plan": "1.0", "addon": "1.0"}


@dataclass(frozen=True)
class Call:
    """One request: the site, the id in the path, query or form parameters, and where this simulator is reached."""

    site: Site
    downloads: Downloads
    id: str
    parameters: Mapping[str, str]
    base_url: str

    def text(self, name: str, *, longest: int | None = None) -> str | None:
        """A parameter, None when absent or blank; raises 400 when it is too long."""
        value = self.parameters.get(name) or None
        if value is not None and longest is not None and len(value) > longest:
            raise wrong_value(name, f"should not be longer than {longest} characters")
        return value

    def number(self, name: str) -> int | None:
        """An integer parameter, None when absent; raises 400 for anything else."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?\d{1,18}", value):
            raise wrong_value(name, "should be a number")
        return int(value)

    def money(self, *, date_required: bool = False) -> payments.Money:
        """The transaction[...] parameters of calls that record money; raises 400 for missing or wrong ones."""
        method = self.text("transaction[payment_method]")
        if method is None:
            raise missing("transaction[payment_method]")
        if method not in PAYMENT_METHODS:
            raise wrong_value("transaction[payment_method]", f"invalid value {method}")
        custom = self.text("transaction[custom_payment_method_id]")
        if method == "custom" and custom is None:
            raise missing("transaction[custom_payment_method_id]")
        status = self.text("transaction[status]") or "success"
        if status not in ("success", "failure"):
            raise wrong_value("transaction[status]", f"invalid value {status}")
        date = self.number("transaction[date]")
        if date_required and date is None:
            raise missing("transaction[date]")
        transaction_id = self.text("transaction[id]", longest=40)
        if transaction_id is not None and transaction_id in self.site.collections["transaction"]:
            text = f"The value {transaction_id} is already present for the parameter id."
            raise ApiError(400, "duplicate_entry", text, param="transaction[id]")
        self.text("comment", longest=300)
        return payments.Money(
            payment_method=method,
            amount_minor=self.number("transaction[amount]"),
            date=date,
            reference_number=self.text("transaction[reference_number]", longest=100),
            id_at_gateway=self.text("transaction[id_at_gateway]", longest=100),
            custom_payment_method_id=custom,
            transaction_id=transaction_id,
            status=status,
            error_code=self.text("transaction[error_code]", longest=100),
            error_text=self.text("transaction[error_text]"),
        )


Operation = Callable[[Call], dict[str, Any]]


def _list(kind: str) -> Operation:
    def operation(call: Call) -> dict[str, Any]:
        if kind in _CATALOG_OF:
            catalogue.require_catalog(call.site, _CATALOG_OF[kind])
        return list_page(call.site, kind, call.site.all(kind), call.parameters)

    return operation


def _retrieve(kind: str) -> Operation:
    def operation(call: Call) -> dict[str, Any]:
        if kind in _CATALOG_OF:
            catalogue.require_catalog(call.site, _CATALOG_OF[kind])
        found = call.site.get(kind, call.id)
        if kind in ("invoice", "credit_note"):
            return {kind: lines_asked(call.site.settings, found, call.parameters)}
        return shown_with(call.site, kind, found)

    return operation


def _list_events(call: Call) -> dict[str, Any]:
    events = call.site.living_events()
    names = [name.partition("[")[0] for name in call.parameters]
    if "webhook_status" in names and "occurred_at" not in names:
        oldest = call.site.clock.now() - WEBHOOK_STATUS_WINDOW_SECONDS
        events = [event for event in events if event["occurred_at"] >= oldest]
    legacy = {"start_time": "occurred_at[after]", "end_time": "occurred_at[before]"}
    query = {legacy.get(name, name): value for name, value in call.parameters.items()}
    return list_page(call.site, "event", events, query)


def _retrieve_event(call: Call) -> dict[str, Any]:
    for event in call.site.living_events():
        if event["id"] == call.id:
            return {"event": event}
    raise ApiError(404, "resource_not_found", f"{call.id} not found")


def _record_payment(call: Call) -> dict[str, Any]:
    invoice, transaction = payments.pay_invoice(call.site, call.id, call.money())
    return {"invoice": invoice, "transaction": transaction}


def _record_excess_payment(call: Call) -> dict[str, Any]:
    money = call.money(date_required=True)
    if money.amount_minor is None:
        raise missing("transaction[amount]")
    customer = call.site.get("customer", call.id)
    currency = call.text("transaction[currency_code]") or customer["preferred_currency_code"]
    customer, transaction = payments.record_excess_payment(call.site, call.id, currency, money)
    return {"customer": customer, "transaction": transaction}


def _apply_payments(call: Call) -> dict[str, Any]:
    invoice: Resource = call.site.get("invoice", call.id)
    index = 0
    while (transaction_id := call.text(f"transactions[id][{index}]")) is not None:
        amount = call.number(f"transactions[amount][{index}]")
        invoice = payments.apply_payment(call.site, call.id, transaction_id, amount)
        index += 1
    if index == 0:
        raise missing("transactions[id][0]")
    return {"invoice": invoice}


def _remove_payment(call: Call) -> dict[str, Any]:
    transaction_id = call.text("transaction[id]")
    if transaction_id is None:
        raise missing("transaction[id]")
    invoice, transaction = payments.remove_payment(call.site, call.id, transaction_id)
    return {"invoice": invoice, "transaction": transaction}


def _refund_credit_note(call: Call) -> dict[str, Any]:
    note, transaction = credit_notes.refund_credit_note(call.site, call.id, call.money(date_required=True))
    return {"credit_note": note, "transaction": transaction}


def _void_invoice(call: Call) -> dict[str, Any]:
    return {"invoice": invoices.void_invoice(call.site, call.id, reason=call.text("void_reason_code"))}


def _close_invoice(call: Call) -> dict[str, Any]:
    return {"invoice": invoices.close_pending(call.site, call.id)}


def _write_off(call: Call) -> dict[str, Any]:
    call.text("comment", longest=300)
    note = credit_notes.write_off_invoice(call.site, call.id)
    return {"invoice": call.site.get("invoice", call.id), "credit_note": note}


def _pdf(kind: str) -> Operation:
    def operation(call: Call) -> dict[str, Any]:
        document = call.site.get(kind, call.id)
        return {"download": call.downloads.offer(document, call.base_url)}

    return operation


_RETRIEVABLE = {
    "invoices": "invoice",
    "credit_notes": "credit_note",
    "transactions": "transaction",
    "customers": "customer",
    "subscriptions": "subscription",
    "item_prices": "item_price",
    "items": "item",
    "item_families": "item_family",
    "plans": "plan",
    "addons": "addon",
    "coupons": "coupon",
    "coupon_sets": "coupon_set",
    "coupon_codes": "coupon_code",
}
_ACTIONS: dict[tuple[str, str], Operation] = {
    ("invoices", "record_payment"): _record_payment,
    ("invoices", "apply_payments"): _apply_payments,
    ("invoices", "remove_payment"): _remove_payment,
    ("invoices", "void"): _void_invoice,
    ("invoices", "close"): _close_invoice,
    ("invoices", "write_off"): _write_off,
    ("invoices", "pdf"): _pdf("invoice"),
    ("invoices", "delete"): lambda call: {"invoice": invoices.delete_invoice(call.site, call.id)},
    ("credit_notes", "pdf"): _pdf("credit_note"),
    ("credit_notes", "record_refund"): _refund_credit_note,
    ("credit_notes", "void"): lambda call: {"credit_note": credit_notes.void_credit_note(call.site, call.id)},
    ("customers", "record_excess_payment"): _record_excess_payment,
    ("customers", "delete"): lambda call: {"customer": catalogue.delete_customer(call.site, call.id)},
    ("transactions", "delete_offline_transaction"): lambda call: {
        "transaction": payments.delete_offline_transaction(call.site, call.id)
    },
}
READ_ONLY_POSTS = frozenset({"pdf"})


def find_operation(method: str, segments: list[str]) -> tuple[Operation, str]:
    """The operation for a method and the decoded path segments after /api/v2; returns it with the id in the path.

    Raises 404 for a path that does not exist and 405 for one that wants the other method.
    """
    unknown = ApiError(404, "resource_not_found", "Sorry, we couldn't find that resource")
    resource = segments[0] if segments else ""
    if resource == "events" and len(segments) <= 2:
        operation: Operation = _list_events if len(segments) == 1 else _retrieve_event
    elif resource in _RETRIEVABLE and len(segments) <= 2:
        kind = _RETRIEVABLE[resource]
        operation = _list(kind) if len(segments) == 1 else _retrieve(kind)
    elif len(segments) == 3 and (resource, segments[2]) in _ACTIONS:
        if method != "POST":
            raise ApiError(405, "http_method_not_supported", f"HTTP method {method} is not supported for this path.")
        return _ACTIONS[(resource, segments[2])], segments[1]
    else:
        raise unknown
    if method != "GET":
        raise ApiError(405, "http_method_not_supported", f"HTTP method {method} is not supported for this path.")
    return operation, segments[1] if len(segments) == 2 else ""
