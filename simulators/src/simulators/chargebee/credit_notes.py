"""Operations on credit notes: adjustment and refundable ones, their use, refunds and voiding."""

from collections.abc import Sequence
from typing import Any

from .catalogue import change_balance
from .errors import ApiError, invalid_state, wrong_value
from .invoices import PAYABLE, refresh_due, settle_status
from .payments import Money, new_transaction
from .pricing import LineSpec, Tax, divide_half_up, price
from .site import Resource, Site


def lines_of_invoice(invoice: Resource, per_mille: int = 1_000) -> list[LineSpec]:
    """Lines that credit this part of each positive line of the invoice, at the line's own tax and net of discounts.

    A partial credit is a single unit of the prorated amount, which is how Chargebee leaves single cents behind.
    """
    taxes = {each["line_item_id"]: each for each in invoice.get("line_item_taxes", ())}
    specs = []
    for line in invoice["line_items"]:
        row = taxes.get(line["id"])
        tax = Tax(row["tax_name"], _rate_text(row["tax_rate"]), row["tax_juris_code"], row["tax_juris_name"]) if row else None
        net = line["amount"] - line["discount_amount"]
        suffix = "" if per_mille == 1_000 else " - Prorated Credits"
        specs.append(
            LineSpec(
                entity_type=line["entity_type"],
                entity_id=line.get("entity_id"),
                description=line["description"] + suffix,
                unit_amount_minor=net if per_mille == 1_000 else divide_half_up(net * per_mille, 1_000),
                date_from=line["date_from"],
                date_to=line["date_to"],
                tax=tax,
                tax_exempt_reason=line.get("tax_exempt_reason"),
                reference_line_item_id=line["id"],
            )
        )
    return specs


def _rate_text(rate: float) -> str:
    return str(int(rate)) if rate == int(rate) else str(rate)


def create_credit_note(
    site: Site,
    invoice_id: str,
    *,
    kind: str,
    lines: Sequence[LineSpec] | None = None,
    date: int | None = None,
    reason: str = "Product Unsatisfactory",
    source: str = "api",
) -> Resource:
    """Credit an invoice.

    An adjustment lowers amount_due: invoice_updated, then credit_note_created (adjusted at once).
    A refundable one becomes a balance of the customer: customer_changed, invoice_updated, credit_note_created.
    Raises 409 when the invoice has nothing unpaid to adjust, or nothing paid to give back.
    """
    invoice = site.get("invoice", invoice_id)
    lines = lines_of_invoice(invoice) if lines is None else lines
    note = _new_note(site, invoice, kind, lines, date=date, reason=reason)
    if kind == "adjustment":
        _adjust(site, invoice, note)
    elif kind == "refundable":
        _make_refundable(site, invoice, note)
    else:
        raise wrong_value("credit_note[type]", f"{kind} is not supported")
    site.touch(note)
    backdated = site.local_date(note["date"]) < site.local_date(site.clock.now())
    event = "credit_note_created_with_backdating" if backdated else "credit_note_created"
    site.emit(event, {"credit_note": note}, source=source)
    return note


def write_off_invoice(site: Site, invoice_id: str, *, source: str = "api") -> Resource:
    """Write off what is due on an invoice: an adjustment of that amount with the reason write_off; the invoice becomes paid.

    A part of an invoice is written off on one line without tax, since Chargebee does not say how it would spread it. Raises 409
    for an invoice that is paid, voided or pending.
    """
    invoice = site.get("invoice", invoice_id)
    if invoice["status"] not in PAYABLE or invoice["deleted"] or invoice["amount_due"] <= 0:
        raise invalid_state(f"Invoice {invoice_id} cannot be written off as its status is {invoice['status']}.")
    due = invoice["amount_due"]
    part = [LineSpec("adhoc", "Write off", due)]
    lines = None if due == invoice["total"] else part
    note = create_credit_note(site, invoice_id, kind="adjustment", lines=lines, reason="write_off", source=source)
    invoice["write_off_amount"] += due
    return note


def _new_note(site: Site, invoice: Resource, kind: str, lines: Sequence[LineSpec], *, date: int | None, reason: str) -> Resource:
    when = site.clock.now() if date is None else date
    priced = price(lines, price_type=invoice["price_type"], new_line_id=lambda: site.new_id("li_"))
    for line in priced.members["line_items"]:
        line["customer_id"] = invoice["customer_id"]
        line["date_from"] = when if line["date_from"] is None else line["date_from"]
        line["date_to"] = line["date_from"] if line["date_to"] is None else line["date_to"]
    note: Resource = {
        "id": f"CN-{site.next_number('credit_note')}",
        "customer_id": invoice["customer_id"],
        "reference_invoice_id": invoice["id"],
        "type": kind,
        "reason_code": "product_unsatisfactory",
        "create_reason_code": reason,
        "status": "refund_due",
        "date": when,
        "generated_at": site.clock.now(),
        "exchange_rate": invoice["exchange_rate"],
        "amount_allocated": 0,
        "amount_refunded": 0,
        "amount_available": priced.total_minor,
        "deleted": False,
        "object": "credit_note",
        "currency_code": invoice["currency_code"],
        "base_currency_code": invoice["base_currency_code"],
        "channel": "web",
        "taxes": [],
        "line_item_taxes": [],
        "line_item_discounts": [],
        "linked_refunds": [],
        "allocations": [],
        "site_details_at_creation": {"timezone": site.settings.timezone},
        **priced.members,
    }
    for copied in ("subscription_id", "billing_address", "vat_number", "vat_number_prefix", "tax_origin"):
        if copied in invoice:
            note[copied] = invoice[copied]
    if priced.total_minor <= 0:
        raise ApiError(400, "invalid_request", "The total of a credit note should be greater than zero.")
    return note


def _reference(note: Resource) -> dict[str, Any]:
    return {
        "cn_id": note["id"],
        "cn_reason_code": note["reason_code"],
        "cn_create_reason_code": note["create_reason_code"],
        "cn_date": note["date"],
        "cn_total": note["total"],
        "cn_status": note["status"],
    }


def _adjust(site: Site, invoice: Resource, note: Resource) -> None:
    if invoice["status"] not in PAYABLE or note["total"] > invoice["amount_due"]:
        raise invalid_state(f"Invoice {invoice['id']} has only {invoice['amount_due']} left to adjust.")
    note.update(
        status="adjusted",
        refunded_at=site.clock.now(),
        amount_allocated=note["total"],
        amount_available=0,
    )
    site.add("credit_note", note)
    invoice["amount_adjusted"] += note["total"]
    invoice["adjustment_credit_notes"].append(_reference(note))
    settle_status(site, invoice)
    note["allocations"].insert(0, _allocation(site, invoice, note["total"]))
    site.touch(invoice)
    site.emit("invoice_updated", {"invoice": invoice})


def _allocation(site: Site, invoice: Resource, amount_minor: int) -> dict[str, Any]:
    return {
        "allocated_amount": amount_minor,
        "allocated_at": site.clock.now(),
        "invoice_id": invoice["id"],
        "invoice_date": invoice["date"],
        "invoice_status": invoice["status"],
        "tax_application": "post_tax",
    }


def _make_refundable(site: Site, invoice: Resource, note: Resource) -> None:
    refunded = sum(each["cn_total"] for each in invoice["issued_credit_notes"] if each["cn_status"] != "voided")
    if note["total"] > invoice["amount_paid"] + invoice["credits_applied"] - refunded:
        raise invalid_state(f"Only the paid part of the invoice {invoice['id']} can be given back.")
    site.add("credit_note", note)
    customer = site.get("customer", invoice["customer_id"])
    change_balance(site, customer, note["currency_code"], "refundable_credits", note["total"])
    invoice["issued_credit_notes"].append(_reference(note))
    site.touch(invoice)
    site.emit("invoice_updated", {"invoice": invoice})


def _copy_status_to_invoice(site: Site, note: Resource) -> Resource:
    invoice = site.get("invoice", note["reference_invoice_id"])
    for link in (*invoice["issued_credit_notes"], *invoice["adjustment_credit_notes"]):
        if link["cn_id"] == note["id"]:
            link["cn_status"] = note["status"]
    return invoice


def void_credit_note(site: Site, credit_note_id: str) -> Resource:
    """Void an unused refundable note: invoice_updated, customer_changed, credit_note_updated.

    amount_available keeps its value, as recordings show, although nothing can be used any more. An adjustment, such as a
    write-off, goes off its invoice, which is due again.
    """
    note = site.get("credit_note", credit_note_id)
    if note["status"] == "adjusted":
        return _void_adjustment(site, note)
    if note["status"] != "refund_due" or note["amount_allocated"] or note["amount_refunded"]:
        raise invalid_state(f"Credit note {credit_note_id} cannot be voided as its status is {note['status']}.")
    note["status"] = "voided"
    note["voided_at"] = site.clock.now()
    invoice = _copy_status_to_invoice(site, note)
    site.touch(invoice)
    site.emit("invoice_updated", {"invoice": invoice})
    customer = site.get("customer", note["customer_id"])
    change_balance(site, customer, note["currency_code"], "refundable_credits", -note["total"])
    site.touch(note)
    site.emit("credit_note_updated", {"credit_note": note})
    return note


def _void_adjustment(site: Site, note: Resource) -> Resource:
    """Void an adjustment: invoice_updated with what is due again and the status not_paid, credit_note_updated."""
    note.update(status="voided", voided_at=site.clock.now(), amount_allocated=0, allocations=[])
    invoice = _copy_status_to_invoice(site, note)
    invoice["amount_adjusted"] -= note["total"]
    if note["create_reason_code"] == "write_off":
        invoice["write_off_amount"] -= note["total"]
    invoice["status"] = "not_paid"
    invoice.pop("paid_at", None)
    refresh_due(invoice)
    site.touch(invoice)
    site.emit("invoice_updated", {"invoice": invoice})
    site.touch(note)
    site.emit("credit_note_updated", {"credit_note": note})
    return note


def refund_credit_note(
    site: Site, credit_note_id: str, money: Money, *, refunded_transaction_id: str | None = None
) -> tuple[Resource, Resource]:
    """Give the money of a refundable note back; returns (credit note, refund transaction).

    Sends payment_refunded with everything that changed, then customer_changed, credit_note_updated and
    invoice_updated. Raises 409 unless the note is refundable and refund_due.
    """
    note = site.get("credit_note", credit_note_id)
    if note["type"] != "refundable" or note["status"] != "refund_due":
        raise invalid_state(f"Credit note {credit_note_id} cannot be refunded as its status is {note['status']}.")
    amount = note["amount_available"] if money.amount_minor is None else money.amount_minor
    if not 0 < amount <= note["amount_available"]:
        raise wrong_value("transaction[amount]", f"should be between 1 and {note['amount_available']}")
    rate = money.exchange_rate or str(note["exchange_rate"])
    settled = Money(**{**money.__dict__, "exchange_rate": rate})
    refund = new_transaction(site, "refund", note["customer_id"], settled, currency=note["currency_code"], amount_minor=amount)
    note["amount_refunded"] += amount
    note["amount_available"] -= amount
    if note["amount_available"] == 0:
        note.update(status="refunded", refunded_at=site.clock.now())
    note["linked_refunds"].append(
        {
            "txn_id": refund["id"],
            "applied_amount": amount,
            "applied_at": site.clock.now(),
            "txn_status": refund["status"],
            "txn_date": refund["date"],
            "txn_amount": amount,
        }
    )
    invoice = _copy_status_to_invoice(site, note)
    refund["linked_credit_notes"] = [
        {
            **_reference(note),
            "applied_amount": amount,
            "applied_at": site.clock.now(),
            "cn_reference_invoice_id": invoice["id"],
        }
    ]
    if refunded_transaction_id is not None:
        refund["refunded_txn_id"] = refunded_transaction_id
    site.touch(note)
    site.touch(invoice)
    customer = site.get("customer", note["customer_id"])
    content = {"transaction": refund, "invoice": invoice, "credit_note": note, "customer": customer}
    site.emit("payment_refunded", content)
    change_balance(site, customer, note["currency_code"], "refundable_credits", -amount)
    site.emit("credit_note_updated", {"credit_note": note})
    site.emit("invoice_updated", {"invoice": invoice})
    return note, refund


def apply_credit(site: Site, invoice_id: str, credit_note_id: str, *, source: str = "scheduled_job") -> Resource:
    """Use what is left of a refundable note for an invoice: credit_note_updated with the allocation, invoice_updated.

    `refunded` then means used up: no money moved.
    """
    invoice = site.get("invoice", invoice_id)
    note = site.get("credit_note", credit_note_id)
    if invoice["status"] not in PAYABLE or note["status"] != "refund_due":
        raise invalid_state(f"Credit note {credit_note_id} cannot be applied to the invoice {invoice_id}.")
    amount = min(note["amount_available"], invoice["amount_due"])
    note["amount_allocated"] += amount
    note["amount_available"] -= amount
    if note["amount_available"] == 0:
        note.update(status="refunded", refunded_at=site.clock.now())
    invoice["credits_applied"] += amount
    invoice["applied_credits"].append(
        {
            "cn_id": note["id"],
            "applied_amount": amount,
            "applied_at": site.clock.now(),
            "cn_reason_code": note["reason_code"],
            "cn_create_reason_code": note["create_reason_code"],
            "cn_date": note["date"],
            "cn_status": note["status"],
            "tax_application": "post_tax",
        }
    )
    settle_status(site, invoice)
    note["allocations"].insert(0, _allocation(site, invoice, amount))
    _copy_status_to_invoice(site, note)
    site.touch(note)
    site.touch(invoice)
    site.emit("credit_note_updated", {"credit_note": note}, source=source)
    site.emit("invoice_updated", {"invoice": invoice}, source=source)
    customer = site.get("customer", note["customer_id"])
    change_balance(site, customer, note["currency_code"], "refundable_credits", -amount)
    return invoice


def delete_credit_note(site: Site, credit_note_id: str) -> Resource:
    """Delete a note; the id in credit_note_deleted carries a suffix, so it does not match the stored id."""
    note = site.get("credit_note", credit_note_id)
    if note["status"] != "voided":
        raise invalid_state(f"Credit note {credit_note_id} must be voided before it is deleted.")
    before = dict(note)
    note["deleted"] = True
    site.touch(note)
    shown = {**note, "id": f"{credit_note_id}_{site.clock.now_ms()}"}
    site.emit("credit_note_deleted", {"credit_note": shown})
    return before
