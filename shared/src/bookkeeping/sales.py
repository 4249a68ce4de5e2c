"""Invoices and credit notes to sales entries: one line per line and VAT code, with Chargebee's own cents."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from bookkeeping.deferral import Portion, credit_portions
from bookkeeping.documents import CreditNote, DocumentLine, Invoice, Product
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.mapping import SETUP_FEE, WITHOUT_PRODUCT, Mapping, ProductNeeded, RevenueQuestion, RevenueRule
from bookkeeping.money import allocate, format_minor, settle_difference
from bookkeeping.rejections import Rejection, SetAside, reject, set_aside
from bookkeeping.vat import NO_REASON, REVERSE_CHARGE, ZERO, VatRule

EXPORT = "export"
PERCENT = 100


@dataclass(slots=True)
class _Part:
    """A line, or the part of it that one rate of tax falls on; amounts as the document has them (positive in a sale)."""

    line: DocumentLine
    net_minor: int
    tax_minor: int
    rate: Decimal
    country: str | None


def label(document: Invoice | CreditNote) -> str:
    """Name a document in a sentence."""
    return f"{'invoice' if isinstance(document, Invoice) else 'credit note'} {document.number}"


def sales_entry(
    document: Invoice | CreditNote, mapping: Mapping, products: MappingOf[str, Product]
) -> Entry | Rejection | SetAside:
    """Make the entry of an invoice or credit note, or say why there is none.

    Exact takes the amounts without VAT and Chargebee's VAT beside them, so that the debtor is the document's total.
    """
    rate = exchange_rate(document.currency, document.base_currency, document.exchange_rate, mapping)
    if rate is False:
        return reject(
            "no_exchange_rate", document=label(document), currency=document.currency, division_currency=mapping.currency
        )
    if isinstance(document, CreditNote) and not document.reference_known:
        return reject(
            "waiting_for_invoice",
            waits_for=f"invoice:{document.reference_invoice}",
            invoice=document.reference_invoice,
            document=label(document),
            subject="its country and service period",
        )
    parts = _parts(document)
    if isinstance(parts, Rejection):
        return parts
    if not parts and not document.round_off_minor:
        return set_aside("zero_total", document=label(document))
    sign = -1 if isinstance(document, Invoice) else 1
    lines = [
        Line(role=Role.RECEIVABLE, account=mapping.receivable_account, amount_minor=-sign * document.total_minor),
    ]
    explanation: list[str] = []
    for part in parts:
        made = _lines_of(part, document, mapping, products, sign, explanation)
        if isinstance(made, Rejection):
            return made
        lines += made
    if document.round_off_minor:
        if mapping.rounding_account is None:
            amount = format_minor(document.round_off_minor, document.currency)
            return reject("no_rounding_account", document=label(document), amount=amount, division=mapping.division)
        lines.append(
            Line(
                role=Role.ROUNDING,
                account=mapping.rounding_account,
                amount_minor=sign * document.round_off_minor,
                description="Rounding",
                vat_code=mapping.rounding_vat_code,
            )
        )
        explanation.append(f"Rounding of {format_minor(document.round_off_minor, document.currency)} on its own account.")
    return Entry(
        kind="sales",
        journal=mapping.invoice_journal if isinstance(document, Invoice) else mapping.credit_note_journal,
        reference=document.number,
        entry_date=document.document_date,
        due_date=document.due_date if isinstance(document, Invoice) else None,
        currency=document.currency,
        exchange_rate=rate or None,
        lines=tuple(lines),
        description=_description(document),
        explanation=tuple(explanation),
    )


def exchange_rate(currency: str, base: str | None, rate: Decimal | None, mapping: Mapping) -> Decimal | Literal[False] | None:
    """Return the rate to the division's currency, None when it is the same currency, False when nobody gave one.

    Chargebee's rate is to the site's base currency; it is sent with the entry, or Exact would take its own of the day.
    """
    if currency == mapping.currency:
        return None
    if base != mapping.currency or rate is None or rate <= 0:
        return False
    return rate


def _description(document: Invoice | CreditNote) -> str:
    if isinstance(document, CreditNote) and document.reference_invoice:
        return f"Credit note {document.number} for invoice {document.reference_invoice}"
    return label(document).capitalize() if isinstance(document, CreditNote) else f"Invoice {document.number}"


def _parts(document: Invoice | CreditNote) -> list[_Part] | Rejection:
    """Cut the lines by rate, settle the document's VAT over them, and check that everything adds up to the total."""
    parts = [part for line in document.lines for part in _parts_of(line, inclusive=document.tax_inclusive)]
    if sum(part.tax_minor for part in parts) != document.tax_minor:
        taxed = [part for part in parts if part.rate or part.tax_minor]
        settled = settle_difference(
            [part.tax_minor for part in taxed],
            [_ideal_tax(part, inclusive=document.tax_inclusive) for part in taxed],
            document.tax_minor,
        )
        if settled is not None:
            for part, tax in zip(taxed, settled, strict=True):
                if document.tax_inclusive:
                    part.net_minor += part.tax_minor - tax
                part.tax_minor = tax
    net, tax = sum(part.net_minor for part in parts), sum(part.tax_minor for part in parts)
    if tax != document.tax_minor or net + tax + document.round_off_minor != document.total_minor:
        amounts = {
            "lines": net,
            "tax": document.tax_minor,
            "rounding": document.round_off_minor,
            "sum": net + document.tax_minor + document.round_off_minor,
            "total": document.total_minor,
        }
        written = {name: format_minor(amount, document.currency) for name, amount in amounts.items()}
        return reject("amounts_do_not_add_up", document=label(document), **written)
    return [part for part in parts if part.net_minor or part.tax_minor]


def _parts_of(line: DocumentLine, *, inclusive: bool) -> list[_Part]:
    value = line.amount_minor - line.discount_minor
    if not line.taxes:
        return [_Part(line, value, 0, ZERO, None)]
    if len(line.taxes) == 1:
        tax = line.taxes[0]
        return [_Part(line, value - tax.amount_minor if inclusive else value, tax.amount_minor, tax.rate, tax.country)]
    total_tax = sum(tax.amount_minor for tax in line.taxes)
    net = value - total_tax if inclusive else value
    bases = [tax.taxable_minor for tax in line.taxes]
    if sum(bases) != net or len({tax.rate for tax in line.taxes}) == 1:
        if all(base in (0, net) for base in bases):
            # Taxes of several authorities on the same base (state and county) are one combined rate to Exact's VAT codes.
            rate = sum((tax.rate for tax in line.taxes), ZERO)
            return [_Part(line, net, total_tax, rate, line.taxes[0].country)]
        weights = [abs(base) for base in bases]
        bases = allocate(net, weights) if any(weights) else [net, *([0] * (len(bases) - 1))]
    return [_Part(line, base, tax.amount_minor, tax.rate, tax.country) for base, tax in zip(bases, line.taxes, strict=True)]


def _ideal_tax(part: _Part, *, inclusive: bool) -> Fraction:
    rate = Fraction(part.rate)
    if inclusive:
        return Fraction(part.net_minor + part.tax_minor) * rate / (PERCENT + rate)
    return Fraction(part.net_minor) * rate / PERCENT


def _lines_of(
    part: _Part,
    document: Invoice | CreditNote,
    mapping: Mapping,
    products: MappingOf[str, Product],
    sign: int,
    explanation: list[str],
) -> list[Line] | Rejection:
    line = part.line
    reason = None if part.rate or part.tax_minor else line.exempt_reason
    revenue = _revenue_rule(part, document, mapping, products, reason)
    if isinstance(revenue, Rejection):
        return revenue
    vat = _vat_rule(part, document, mapping, reason)
    if isinstance(vat, Rejection):
        return vat
    portions = _portions(part, document, revenue)
    explanation.append(
        f"'{line.description}' {format_minor(part.net_minor, document.currency)} on {revenue.account} by rule"
        f" ({revenue.words}); VAT {format_minor(part.tax_minor, document.currency)} with code {vat.code} by rule ({vat.words})."
    )
    taxes = _vat_of_portions(part.tax_minor, portions)
    return [
        Line(
            role=Role.REVENUE,
            account=revenue.account,
            amount_minor=sign * portion.amount_minor,
            description=line.description,
            vat_code=vat.code,
            vat_minor=sign * tax,
            cost_center=revenue.cost_center,
            cost_unit=revenue.cost_unit,
            first=portion.first,
            last=portion.last,
        )
        for portion, tax in zip(portions, taxes, strict=True)
    ]


def _vat_of_portions(tax_minor: int, portions: list[Portion]) -> list[int]:
    if len(portions) == 1:
        return [tax_minor]
    return allocate(tax_minor, [abs(portion.amount_minor) for portion in portions])


def _portions(part: _Part, document: Invoice | CreditNote, rule: RevenueRule) -> list[Portion]:
    line = part.line
    own: tuple[date, date] | None = None
    if line.service_from is not None and line.service_to is not None:
        own = (line.service_from, line.service_to)
    if not rule.defer:
        return [Portion(part.net_minor)]
    if isinstance(document, CreditNote) and line.credited is not None:
        credited = line.credited
        invoiced = (credited.service_from, credited.service_to)
        return credit_portions(part.net_minor, document.document_date, credited.net_minor, invoiced, own)
    return [Portion(part.net_minor, *own)] if own is not None else [Portion(part.net_minor)]


def _revenue_rule(
    part: _Part, document: Invoice | CreditNote, mapping: Mapping, products: MappingOf[str, Product], reason: str | None
) -> RevenueRule | Rejection:
    line = part.line
    country = document.customer_country or part.country
    question = RevenueQuestion(
        entity_type=line.entity_type, product_id=line.product_id, currency=document.currency, country=country, reason=reason
    )
    found = mapping.revenue.find(question, products.get(line.product_id) if line.product_id is not None else None)
    if isinstance(found, RevenueRule):
        return found
    if isinstance(found, ProductNeeded):
        return reject(
            "waiting_for_product",
            waits_for=f"product:{found.product_id}",
            product=found.product_id,
            line=line.description,
            document=label(document),
        )
    named = line.product_id is not None and line.entity_type != WITHOUT_PRODUCT
    condition = f"item_price: {line.product_id}" if named else f"type: {line.entity_type}"
    if line.entity_type == SETUP_FEE:
        condition = f"type: {SETUP_FEE}, {condition}"
    return reject(
        "no_revenue_account",
        waits_for=f"product:{line.product_id}" if named else None,
        line=line.description,
        entity_type=line.entity_type,
        product=f" {line.product_id}" if named else "",
        document=label(document),
        division=mapping.division,
        condition=condition,
    )


def _vat_rule(part: _Part, document: Invoice | CreditNote, mapping: Mapping, reason: str | None) -> VatRule | Rejection:
    """Find the VAT code by the country whose tax it is.

    That is what the tax row names; else, where tax was charged, the seller's registration that it was charged under, then the
    customer's country. Without tax the customer's country decides, since the seller's says nothing about why it is zero.
    """
    if part.country is not None:
        countries: list[str | None] = [part.country]
    elif part.rate or part.tax_minor:
        countries = [country for country in (document.tax_origin, document.customer_country) if country is not None]
    else:
        countries = [document.customer_country] if document.customer_country is not None else []
    found = next(
        (rule for country in countries or [None] if (rule := mapping.vat.find(country, part.rate, reason)) is not None), None
    )
    if found is None and reason == EXPORT and not countries:
        return reject("country_unknown", line=part.line.description, document=label(document))
    if found is None:
        country = countries[0] if countries else None
        rate = f"{part.rate.normalize():f}"
        condition = f"rate: {rate}, reason: {reason or NO_REASON}"
        return reject(
            "no_vat_code",
            line=part.line.description,
            document=label(document),
            country=country or "unknown",
            rate=rate,
            reason=reason or NO_REASON,
            division=mapping.division,
            condition=f"country: {country}, {condition}" if country else condition,
        )
    if reason == REVERSE_CHARGE and document.vat_number is None:
        return reject(
            "vat_number_missing",
            waits_for=f"customer:{document.customer_id}",
            document=label(document),
            customer=f"customer {document.customer_id}",
        )
    return found
