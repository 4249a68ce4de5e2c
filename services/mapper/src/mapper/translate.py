"""Chargebee's resources to documents as a bookkeeper sees them; this file and `translate_money.py` know its field names."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from backbone.configuration_types import ISO_CODES
from bookkeeping.debtors import Terms
from bookkeeping.deferral import EarlierCredit, UnreadableInstantError, local_date, service_days
from bookkeeping.documents import (
    CouponUse,
    CreditedLine,
    CreditNote,
    DocumentLine,
    Invoice,
    LineDiscount,
    LineTax,
    VatReclaim,
)
from bookkeeping.rejections import Rejection, SetAside, reject, set_aside
from bookkeeping.vat import vat_number_of
from bookkeeping.write_offs import normal_reason, reclaim_day
from contracts import chargebee

POSTED = frozenset(("posted", "payment_due", "not_paid", "paid"))
CREDITED = frozenset(("adjusted", "refunded", "refund_due"))
ZERO = Decimal(0)
NO_CODE = (CouponUse(),)


def country_of(*addresses: chargebee.Address | None) -> str | None:
    """Return the ISO country of the first address that names one."""
    for address in addresses:
        if address is not None and address.country:
            country = address.country.strip().upper()
            return ISO_CODES.get(country, country)
    return None


@dataclass(frozen=True, slots=True)
class CreditsBefore:
    """The credits of an invoice's lines (by `line_key`) before a note; `awaits` is what must be seen first to know them all."""

    by_line: dict[str, list[EarlierCredit]]
    awaits: str | None = None


def line_key(item: chargebee.LineItem) -> str:
    """Return how a credit's line names the invoice's line: by its id, and where old notes have none by its product."""
    return item.reference_line_item_id or _product_key(item)


def _product_key(item: chargebee.LineItem) -> str:
    return f"\x1f{item.subscription_id or ''}\x1f{item.entity_id or ''}"


def invoice_of(invoice: chargebee.Invoice, customer: chargebee.Customer | None, zone: tzinfo) -> Invoice | Rejection | SetAside:
    """Translate an invoice that counts; pending ones are set aside, unknown statuses rejected."""
    name = f"invoice {invoice.id}"
    if invoice.status == "pending":
        return set_aside("pending", document=name)
    if invoice.status not in POSTED and invoice.status != "voided":
        return reject("unknown_status", document=name, status=invoice.status)
    if invoice.line_items_next_offset:
        return reject("incomplete_lines", document=name)
    shared = _shared(invoice, name, zone, {})
    if isinstance(shared, Rejection):
        return shared
    try:
        due = local_date(invoice.due_date, zone) if invoice.due_date is not None else None
    except UnreadableInstantError:
        return reject("unreadable_document", document=name, field="due date")
    country = country_of(invoice.shipping_address, invoice.billing_address) or (
        country_of(customer.billing_address) if customer is not None else None
    )
    raw_number = invoice.vat_number or (customer.vat_number if customer is not None else None)
    return Invoice(
        **shared,
        due_date=due,
        customer_country=country,
        vat_number=vat_number_of(raw_number, country),
        po_number=invoice.po_number,
        terms=Terms(net_term_days=invoice.net_term_days),
    )


def credit_note_of(
    note: chargebee.CreditNote,
    invoice: chargebee.Invoice | None,
    customer: chargebee.Customer | None,
    zone: tzinfo,
    before: CreditsBefore | None = None,
) -> CreditNote | Rejection:
    """Translate a credit note; `invoice` is the one it refers to, when it has been seen, `before` what was credited of it."""
    name = f"credit note {note.id}"
    if note.status not in CREDITED and note.status != "voided":
        return reject("unknown_status", document=name, status=note.status)
    if note.line_items_next_offset:
        return reject("incomplete_lines", document=name)
    credited = _credited_lines(invoice, zone, before) if invoice is not None else {}
    shared = _shared(note, name, zone, credited, _discounts_of_note(note, invoice))
    if isinstance(shared, Rejection):
        return shared
    country, number = None, None
    if invoice is not None:
        country, number = country_of(invoice.shipping_address, invoice.billing_address), invoice.vat_number
    if customer is not None:
        country, number = country or country_of(customer.billing_address), number or customer.vat_number
    shared["round_off_minor"] += _fractional_correction(note)
    return CreditNote(
        **shared,
        reference_invoice=note.reference_invoice_id,
        reference_known=invoice is not None or note.reference_invoice_id is None,
        reference_date=_reference_date(invoice, zone),
        reason=normal_reason(note.create_reason_code or note.reason_code),
        is_adjustment=note.type == "adjustment",
        awaits=before.awaits if before is not None else None,
        customer_country=country,
        vat_number=vat_number_of(number, country),
        po_number=invoice.po_number if invoice is not None else None,
    )


def _fractional_correction(note: chargebee.CreditNote) -> int:
    """Return what Chargebee rounded away when it cut a part out of an invoice, where the note's total needs it to add up."""
    lines = sum(item.amount for item in note.line_items)
    discounts = sum(row.discount_amount for row in note.line_item_discounts or note.line_items)
    tax = 0 if note.price_type == "tax_inclusive" else note.tax
    missing = note.total - (lines - discounts + tax + note.round_off_amount)
    return missing if missing == note.fractional_correction else 0


def _reference_date(invoice: chargebee.Invoice | None, zone: tzinfo) -> date | None:
    if invoice is None or invoice.date is None:
        return None
    try:
        return local_date(invoice.date, zone)
    except UnreadableInstantError:
        return None  # the credit note is then booked by the rules of its own day, as one that stands alone


def vat_reclaim_of(
    note: chargebee.CreditNote, invoice: chargebee.Invoice | None, customer: chargebee.Customer | None, zone: tzinfo
) -> VatReclaim | Rejection | SetAside:
    """Translate what a write-off leaves to reclaim; the day hangs on the invoice's due date."""
    name = f"VAT of write-off {note.id}"
    if note.status == "voided" or note.deleted:
        return set_aside("write_off_undone", document=name)
    written_off = credit_note_of(note, invoice, customer, zone)
    if isinstance(written_off, Rejection):
        return written_off
    due = invoice.due_date or invoice.date if invoice is not None else None
    if due is None:
        invoice_id = note.reference_invoice_id
        return reject("waiting_for_due_date", waits_for=f"invoice:{invoice_id}", invoice=invoice_id, document=name)
    if invoice is not None and invoice.tax and not note.tax:
        if _most_vat(note.total, invoice) == 0:
            return set_aside("no_vat_to_reclaim", document=name)  # such as the cents that a receipt fell short of
        return reject("write_off_without_vat", document=f"write-off {note.id}", invoice=note.reference_invoice_id)
    try:
        day = reclaim_day(local_date(due, zone), written_off.document_date)
    except UnreadableInstantError:
        return reject("unreadable_document", document=f"invoice {note.reference_invoice_id}", field="due date")
    return VatReclaim(note=written_off, document_date=day)


def _most_vat(part_minor: int, invoice: chargebee.Invoice) -> int:
    """Return how much VAT a part of an invoice can hold: as if all of it were of the line that is taxed highest."""
    rates = [line.tax_rate or Decimal(0) for line in invoice.line_items]
    stacked: defaultdict[str | None, Decimal] = defaultdict(Decimal)
    for tax in invoice.line_item_taxes:
        stacked[tax.line_item_id] += tax.tax_rate or Decimal(0)
    highest = max([*rates, *stacked.values()], default=Decimal(0)) or Decimal(100)  # taxed at a rate that is not told
    return int((part_minor * highest / (100 + highest)).quantize(Decimal(1), ROUND_HALF_UP))


def _shared(
    document: chargebee.Document,
    name: str,
    zone: tzinfo,
    credited: dict[str, CreditedLine],
    given: tuple[chargebee.Discount, ...] | None = None,
) -> dict[str, Any] | Rejection:
    """Translate what invoices and credit notes share, as keyword arguments."""
    if document.date is None or not document.customer_id or not document.currency_code:
        return reject("unreadable_document", document=name, field="date, customer or currency")
    try:
        day = local_date(document.date, zone)
        lines = _lines(document, zone, credited, given)
    except UnreadableInstantError:
        return reject("unreadable_document", document=name, field="date")
    return {
        "number": document.id,
        "customer_id": document.customer_id,
        "document_date": day,
        "currency": document.currency_code,
        "total_minor": document.total,
        "tax_minor": document.tax,
        "lines": lines,
        "round_off_minor": document.round_off_amount,
        "tax_inclusive": document.price_type == "tax_inclusive",
        "base_currency": document.base_currency_code,
        "exchange_rate": document.exchange_rate,
        "tax_origin": document.tax_origin.country if document.tax_origin is not None else None,
        "custom_fields": document.custom_field_texts,
    }


def _lines(
    document: chargebee.Document,
    zone: tzinfo,
    credited: dict[str, CreditedLine],
    of_document: tuple[chargebee.Discount, ...] | None = None,
) -> tuple[DocumentLine, ...]:
    taxes: dict[str | None, list[chargebee.LineItemTax]] = defaultdict(list)
    for row in document.line_item_taxes:
        taxes[row.line_item_id].append(row)
    discounts: dict[str | None, list[chargebee.LineItemDiscount]] = defaultdict(list)
    for discount in document.line_item_discounts:
        discounts[discount.line_item_id].append(discount)
    lines = []
    given: dict[str, list[EarlierCredit]] = defaultdict(list)
    for item in document.line_items:
        days = None
        if item.date_from is not None and item.date_to is not None:
            days = service_days(item.date_from, item.date_to, zone)
        of_invoice = credited.get(line_key(item)) if credited else None
        line = DocumentLine(
            description=item.description or item.entity_id or "",
            entity_type=item.entity_type or "adhoc",
            product_id=item.entity_id,
            amount_minor=item.amount,
            # The rows are the truth where there are any; older documents only have the line's own sum.
            discounts=_discounts(discounts[item.id], document.discounts if of_document is None else of_document)
            if document.line_item_discounts
            else (LineDiscount(amount_minor=item.discount_amount),)
            if item.discount_amount
            else (),
            taxes=_taxes(item, taxes[item.id]),
            exempt_reason=item.tax_exempt_reason,
            service_from=days[0] if days else None,
            service_to=days[1] if days else None,
            credited=replace(of_invoice, earlier=(*of_invoice.earlier, *given[line_key(item)]))
            if of_invoice is not None
            else None,
            subscription_id=item.subscription_id or document.subscription_id,
        )
        if of_invoice is not None and document.date is not None:
            given[line_key(item)].append(EarlierCredit(net_of(line, document), local_date(document.date, zone), days))
        lines.append(line)
    return tuple(lines)


def net_of(line: DocumentLine, document: chargebee.Document) -> int:
    """Return a line's amount after discounts and without tax."""
    net = line.amount_minor - line.discount_minor
    return net - sum(tax.amount_minor for tax in line.taxes) if document.price_type == "tax_inclusive" else net


def credits_of(note: chargebee.CreditNote, zone: tzinfo) -> dict[str, EarlierCredit]:
    """Return what a note takes of each line of its invoice, by `line_key`; lines of one key are never apart in time."""
    found: dict[str, EarlierCredit] = {}
    if note.date is None:
        return found
    reason = normal_reason(note.create_reason_code or note.reason_code) if note.type == "adjustment" else None
    for item, line in zip(note.line_items, _lines(note, zone, {}), strict=True):
        key, days = line_key(item), None
        if line.service_from is not None and line.service_to is not None:
            days = (line.service_from, line.service_to)
        amount = net_of(line, note) + (found[key].amount_minor if key in found else 0)
        found[key] = EarlierCredit(amount, local_date(note.date, zone), days, reason)
    return found


def coupon_of(row: chargebee.LineItemDiscount) -> str | None:
    """Return the coupon of a discount; its entity is one only by its type."""
    return (row.coupon_id or row.entity_id) if (row.discount_type or "").endswith("_coupon") else row.coupon_id


def _discounts(rows: list[chargebee.LineItemDiscount], of_document: tuple[chargebee.Discount, ...]) -> tuple[LineDiscount, ...]:
    return tuple(
        LineDiscount(
            amount_minor=row.discount_amount, type=row.discount_type, coupon=coupon_of(row), uses=_uses(row, of_document)
        )
        for row in rows
        if row.discount_amount
    )


def _discounts_of_note(note: chargebee.CreditNote, invoice: chargebee.Invoice | None) -> tuple[chargebee.Discount, ...]:
    """Return the discounts of a note; where it names no code, those of its invoice, whose codes it takes back."""
    if invoice is None or any(each.coupon_set_code for each in note.discounts):
        return note.discounts
    of_invoice = {each.entity_id for each in invoice.discounts}
    return (*invoice.discounts, *(each for each in note.discounts if each.entity_id not in of_invoice))


def _uses(row: chargebee.LineItemDiscount, of_document: tuple[chargebee.Discount, ...]) -> tuple[CouponUse, ...] | None:
    """Return by which codes the coupon of a line was given: only the document's own list of discounts has them."""
    coupon = coupon_of(row)
    if coupon is None:
        return NO_CODE
    named = [each for each in of_document if each.entity_id == coupon and each.entity_type in (None, row.discount_type)]
    of_line = [each for each in named if each.line_item_id is not None and each.line_item_id == row.line_item_id]
    codes = dict.fromkeys(each.coupon_set_code or "" for each in of_line or named)
    return tuple(CouponUse(code=code) for code in codes) or None


def _taxes(item: chargebee.LineItem, rows: list[chargebee.LineItemTax]) -> tuple[LineTax, ...]:
    """Return a line's taxes; older documents have no rows, only the line's own rate and amount."""
    if rows:
        return tuple(
            LineTax(
                rate=row.tax_rate or ZERO,
                amount_minor=row.tax_amount,
                taxable_minor=row.taxable_amount,
                country=_country_of_tax(row.tax_juris_code, row.tax_juris_type),
            )
            for row in rows
        )
    if item.tax_amount or (item.is_taxed and item.tax_rate):
        return (
            LineTax(rate=item.tax_rate or ZERO, amount_minor=item.tax_amount, taxable_minor=item.amount - item.discount_amount),
        )
    return ()


@lru_cache(maxsize=1024)
def _country_of_tax(juris_code: str | None, juris_type: str | None) -> str | None:
    """Return the country whose tax it is: the jurisdiction's code is a country's, or begins with it (US-OH)."""
    code = (juris_code or "").strip().upper()
    if juris_type not in (None, "country") and "-" not in code:
        return None
    country = code[:2]
    return ISO_CODES.get(country, country) if len(country) == 2 and country.isalpha() else None  # noqa: PLR2004 - ISO alpha-2


def _credited_lines(invoice: chargebee.Invoice, zone: tzinfo, before: CreditsBefore | None) -> dict[str, CreditedLine]:
    """Return the lines of an invoice that are served over time, with their amounts without tax and what was credited of them.

    They stand under their ids, and under their product where only one line has it, for notes that do not name the line.
    """
    found: dict[str, CreditedLine] = {}
    products = Counter(_product_key(item) for item in invoice.line_items)
    earlier = before.by_line if before is not None else {}
    for item, line in zip(invoice.line_items, _lines(invoice, zone, {}), strict=True):
        if item.id is None or line.service_from is None or line.service_to is None:
            continue
        product = _product_key(item)
        alone = products[product] == 1
        taken = [*earlier.get(item.id, ()), *(earlier.get(product, ()) if alone else ())]
        net = net_of(line, invoice)
        found[item.id] = CreditedLine(
            net_minor=net, service_from=line.service_from, service_to=line.service_to, earlier=tuple(taken)
        )
        if alone:
            found[product] = found[item.id]
    return found
