"""Which revenue rule and which VAT rule a line of a document is booked by, or the named reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf

from bookkeeping.documents import CreditNote, Invoice, Product
from bookkeeping.mapping import SETUP_FEE, WITHOUT_PRODUCT, Mapping, ProductNeeded, RevenueQuestion, RevenueRule
from bookkeeping.parts import Part, label
from bookkeeping.rejections import Rejection, reject
from bookkeeping.vat import NO_REASON, REVERSE_CHARGE, VatRule

EXPORT = "export"


def revenue_rule(
    part: Part, document: Invoice | CreditNote, mapping: Mapping, products: MappingOf[str, Product], reason: str | None
) -> RevenueRule | Rejection:
    """Find the account of a line; it is held while its product is unknown or no rule covers it."""
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


def vat_rule(part: Part, document: Invoice | CreditNote, mapping: Mapping, reason: str | None) -> VatRule | Rejection:
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
