"""Operations on invoices: the status machine and the events each step sends, in the recorded order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .coupon_sets import redeem
from .errors import invalid_state
from .pricing import Coupon, LineSpec, PriceType, price
from .site import Resource, Site

PAYABLE = ("payment_due", "posted", "not_paid")


@dataclass(frozen=True)
class InvoiceSpec:
    """What an invoice is made of. `date` is an instant in seconds; before today's local day it is back-dated."""

    customer_id: str
    lines: Sequence[LineSpec]
    date: int | None = None
    currency: str | None = None
    exchange_rate: str = "1"
    price_type: PriceType = "tax_exclusive"
    coupons: Sequence[Coupon] = ()
    net_term_days: int = 0
    subscription_id: str | None = None
    pending: bool = False
    round_to_minor: int | None = None
    number: str | None = None
    members: dict[str, Any] = field(default_factory=dict)
    """Further members as they are: po_number, tax_origin, business_entity_id, cf_..."""

    recurring: bool = True
    first_invoice: bool = False


def refresh_due(invoice: Resource) -> None:
    """Recompute amount_due from everything that lowers it; amounts of a voided invoice stay as they were."""
    invoice["amount_due"] = (
        invoice["total"]
        - invoice["amount_paid"]
        - sum(each["applied_amount"] for each in invoice["applied_credits"])
        - sum(each["cn_total"] for each in invoice["adjustment_credit_notes"] if each["cn_status"] != "voided")
        - sum(each["amount"] for each in invoice.get("linked_taxes_withheld", ()))
    )
    invoice["amount_to_collect"] = invoice["amount_due"]


def settle_status(site: Site, invoice: Resource, paid_at: int | None = None) -> None:
    """Turn the status to paid when nothing is due; a partial payment keeps the status."""
    refresh_due(invoice)
    if invoice["amount_due"] == 0 and invoice["status"] in PAYABLE:
        invoice["status"] = "paid"
        invoice["paid_at"] = site.clock.now() if paid_at is None else paid_at
        invoice.pop("next_retry_at", None)
        if "dunning_status" in invoice:
            invoice["dunning_status"] = "success"


def _new_invoice(site: Site, spec: InvoiceSpec) -> Resource:
    customer = site.get("customer", spec.customer_id)
    date = site.clock.now() if spec.date is None else spec.date
    for coupon in spec.coupons:
        if coupon.code is not None:
            redeem(site, coupon.code, coupon.id, spec.subscription_id)
    priced = price(
        spec.lines,
        price_type=spec.price_type,
        coupons=spec.coupons,
        round_to_minor=spec.round_to_minor,
        new_line_id=lambda: site.new_id("li_"),
    )
    for line in priced.members["line_items"]:
        line["customer_id"] = spec.customer_id
        if spec.subscription_id is not None:
            line["subscription_id"] = spec.subscription_id
        line["date_from"] = date if line["date_from"] is None else line["date_from"]
        line["date_to"] = line["date_from"] if line["date_to"] is None else line["date_to"]
    invoice: Resource = {
        "id": spec.number or f"INV-{site.next_number('invoice')}",
        "customer_id": spec.customer_id,
        "recurring": spec.recurring,
        "status": "pending",
        "date": date,
        "due_date": date + spec.net_term_days * 86_400,
        "net_term_days": spec.net_term_days,
        "exchange_rate": float(spec.exchange_rate),
        "amount_paid": 0,
        "amount_adjusted": 0,
        "write_off_amount": 0,
        "credits_applied": 0,
        "amount_due": priced.total_minor,
        "deleted": False,
        "object": "invoice",
        "first_invoice": spec.first_invoice,
        "amount_to_collect": priced.total_minor,
        "new_sales_amount": priced.total_minor,
        "has_advance_charges": False,
        "currency_code": spec.currency or site.settings.base_currency,
        "base_currency_code": site.settings.base_currency,
        "is_gifted": False,
        "term_finalized": True,
        "channel": "web",
        "linked_payments": [],
        "reference_transactions": [],
        "dunning_attempts": [],
        "applied_credits": [],
        "adjustment_credit_notes": [],
        "issued_credit_notes": [],
        "linked_orders": [],
        "site_details_at_creation": {"timezone": site.settings.timezone},
        **priced.members,
        **spec.members,
    }
    if spec.subscription_id is not None:
        invoice["subscription_id"] = spec.subscription_id
    for copied in ("billing_address", "vat_number", "vat_number_prefix"):
        if copied in customer:
            invoice[copied] = dict(customer[copied]) if copied == "billing_address" else customer[copied]
    return invoice


def _finalize(site: Site, invoice: Resource) -> None:
    invoice["generated_at"] = site.clock.now()
    invoice["status"] = "posted" if invoice["due_date"] > site.clock.now() else "payment_due"
    settle_status(site, invoice)


def create_invoice(site: Site, spec: InvoiceSpec, *, source: str = "api") -> Resource:
    """Make an invoice: pending, or final at once.

    Sends pending_invoice_created (when the site asks for it), invoice_generated, or
    invoice_generated_with_backdating instead when its local date lies before today.
    """
    invoice = _new_invoice(site, spec)
    if spec.pending:
        site.add("invoice", invoice)
        if site.settings.notify_pending_invoices:
            site.emit("pending_invoice_created", {"invoice": invoice}, source=source)
        return invoice
    _finalize(site, invoice)
    site.add("invoice", invoice)
    site.emit(_generated_type(site, invoice), {"invoice": invoice}, source=source)
    return invoice


def _generated_type(site: Site, invoice: Resource) -> str:
    backdated = site.local_date(invoice["date"]) < site.local_date(site.clock.now())
    return "invoice_generated_with_backdating" if backdated else "invoice_generated"


def close_pending(site: Site, invoice_id: str, *, extra_lines: Sequence[LineSpec] = ()) -> Resource:
    """Close a pending invoice: its date moves to now, lines may still be added; sends invoice_generated."""
    invoice = site.get("invoice", invoice_id)
    if invoice["status"] != "pending":
        raise invalid_state(f"Invoice {invoice_id} is not pending.")
    now = site.clock.now()
    if extra_lines:
        _append_lines(site, invoice, extra_lines)
    invoice["date"] = now
    invoice["due_date"] = now + invoice["net_term_days"] * 86_400
    _finalize(site, invoice)
    site.touch(invoice)
    site.emit("invoice_generated", {"invoice": invoice})
    return invoice


def _append_lines(site: Site, invoice: Resource, lines: Sequence[LineSpec]) -> None:
    added = price(lines, price_type=invoice["price_type"], new_line_id=lambda: site.new_id("li_")).members
    for line in added["line_items"]:
        line["customer_id"] = invoice["customer_id"]
        line["date_from"] = site.clock.now() if line["date_from"] is None else line["date_from"]
        line["date_to"] = line["date_from"] if line["date_to"] is None else line["date_to"]
    invoice["line_items"] += added["line_items"]
    invoice.setdefault("line_item_taxes", []).extend(added.get("line_item_taxes", []))
    taxes = invoice.setdefault("taxes", [])
    for tax in added.get("taxes", []):
        same = next((each for each in taxes if each["description"] == tax["description"]), None)
        if same is None:
            taxes.append(tax)
        else:
            same["amount"] += tax["amount"]
    for amount in ("sub_total", "tax", "total"):
        invoice[amount] += added[amount]
    invoice["new_sales_amount"] = invoice["total"]


def void_invoice(site: Site, invoice_id: str, *, reason: str | None = None) -> Resource:
    """Void an unpaid invoice; there is no invoice_voided event, only invoice_updated with the new status."""
    invoice = site.get("invoice", invoice_id)
    if invoice["status"] not in PAYABLE:
        raise invalid_state(f"Invoice {invoice_id} cannot be voided as its status is {invoice['status']}.")
    _require_untouched(invoice)
    invoice["status"] = "voided"
    invoice["voided_at"] = site.clock.now()
    if reason is not None:
        invoice["void_reason_code"] = reason
    site.touch(invoice)
    site.emit("invoice_updated", {"invoice": invoice})
    return invoice


def delete_invoice(site: Site, invoice_id: str) -> Resource:
    """Delete an unpaid or pending invoice; returns it as it was, the event has deleted true."""
    invoice = site.get("invoice", invoice_id)
    if invoice["status"] not in (*PAYABLE, "pending", "voided"):
        raise invalid_state(f"Invoice {invoice_id} cannot be deleted as its status is {invoice['status']}.")
    _require_untouched(invoice)
    before = dict(invoice)
    invoice["deleted"] = True
    site.touch(invoice)
    site.emit("invoice_deleted", {"invoice": invoice})
    return before


def _require_untouched(invoice: Resource) -> None:
    money = [each for each in invoice["linked_payments"] if each["txn_status"] in ("success", "in_progress")]
    notes = [each for each in invoice["issued_credit_notes"] if each["cn_status"] in ("refund_due", "refunded")]
    if money or notes or invoice["amount_adjusted"] or invoice["applied_credits"]:
        raise invalid_state(f"Invoice {invoice['id']} has payments or credits; remove them first.")


def update_details(site: Site, invoice_id: str, members: dict[str, Any]) -> Resource:
    """Change address, VAT number or PO number on the document; sends invoice_updated."""
    invoice = site.get("invoice", invoice_id)
    invoice.update(members)
    site.touch(invoice)
    site.emit("invoice_updated", {"invoice": invoice})
    return invoice


def run_scheduled_jobs(site: Site) -> list[Resource]:
    """Turn posted invoices whose due date has passed to payment_due, as the scheduler of the site does."""
    changed = []
    now = site.clock.now()
    for invoice in site.all("invoice"):
        if invoice["status"] == "posted" and invoice["due_date"] <= now and not invoice["deleted"]:
            invoice["status"] = "payment_due"
            invoice["dunning_status"] = "in_progress"
            invoice["next_retry_at"] = now + int(timedelta(days=1).total_seconds())
            site.touch(invoice)
            site.emit("invoice_updated", {"invoice": invoice}, source="scheduled_job")
            changed.append(invoice)
    return changed
