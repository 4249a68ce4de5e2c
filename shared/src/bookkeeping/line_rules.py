"""Which rules a line of a document is booked by: account, dimensions and VAT code, or the named reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingOf
from dataclasses import replace
from datetime import date

import msgspec

from bookkeeping.conditions import Conditions, Question
from bookkeeping.documents import CreditNote, DocumentLine, Invoice, Product
from bookkeeping.mapping import Mapping
from bookkeeping.other_days import Dated, named, with_other_days
from bookkeeping.parts import Part, label
from bookkeeping.rejections import Rejection, reject
from bookkeeping.rules import SETUP_FEE, WITHOUT_PRODUCT, CodeRule, Found, ProductNeeded, RevenueRule, Rules, SubscriptionNeeded
from bookkeeping.telling import rule_in_dutch
from bookkeeping.vat import NO_REASON, REVERSE_CHARGE

EXPORT = "export"


class LineRules(msgspec.Struct, frozen=True):
    """What the rules make of a line; `about_dimensions` says in words which rules gave its cost centre and cost unit."""

    revenue: RevenueRule
    vat: CodeRule
    cost_center: str | None
    cost_unit: str | None
    about_dimensions: str = ""
    about_dimensions_nl: str = ""


def rules_of_line(
    part: Part, document: Invoice | CreditNote, mapping: Mapping, products: MappingOf[str, Product]
) -> LineRules | Rejection:
    """Find all that rules decide about a line; it is held while one of them is missing or hangs on what is not known yet."""
    question = _question_of(part, document)
    revenue = _revenue_rule(question, part, document, mapping, products)
    if isinstance(revenue, Rejection):
        return revenue
    vat = _vat_rule(question, part, document, mapping, products)
    if isinstance(vat, Rejection):
        return vat
    if mapping.cost_centers is None and mapping.cost_units is None:
        return LineRules(revenue, vat, revenue.cost_center, revenue.cost_unit)
    return _with_dimensions(revenue, vat, question, part, document, mapping, products)


def _question_of(part: Part, document: Invoice | CreditNote) -> Question:
    """Return what a line asks the rules of accounts and dimensions, which are those of the day of its rules.

    A line that carries tax has no reason to be exempt, whatever is written on it.
    """
    line = part.line
    return Question(
        entity_type=line.entity_type,
        product_id=line.product_id,
        currency=document.currency,
        country=document.customer_country or part.country,
        reason=None if part.rate or part.tax_minor else line.exempt_reason,
        rate=part.rate,
        customer="business" if document.is_business else "consumer",
        fields=document.custom_fields,
        subscription_fields=None if line.awaits_subscription else line.subscription_fields or {},
        day=day_of_rules(document),
    )


def _revenue_rule(
    question: Question, part: Part, document: Invoice | CreditNote, mapping: Mapping, products: MappingOf[str, Product]
) -> RevenueRule | Rejection:
    """Find the account of a line; it is held while its product is unknown or no rule covers it."""
    line, product = part.line, _product(question, products)
    found = mapping.revenue.find(question, product)
    if isinstance(found, RevenueRule):
        return found
    if isinstance(found, ProductNeeded | SubscriptionNeeded):
        return _waiting(found, part, document)
    is_named = line.product_id is not None and line.entity_type != WITHOUT_PRODUCT
    condition = f"item_price: {line.product_id}" if is_named else f"type: {line.entity_type}"
    if line.entity_type == SETUP_FEE:
        condition = f"type: {SETUP_FEE}, {condition}"
    held = reject(
        "no_revenue_account",
        waits_for=f"product:{line.product_id}" if is_named else None,
        line=line.description,
        entity_type=line.entity_type,
        product=f" {line.product_id}" if is_named else "",
        document=label(document),
        division=mapping.division,
        condition=condition,
    )
    place, dated = f"divisions.{mapping.division}.revenue", _dated(mapping.revenue.rules)
    country = question.country
    return with_other_days(
        held, dated, question.day, place, lambda other: _words(mapping.revenue.find_at(question, product, country, other))
    )


def _with_dimensions(
    revenue: RevenueRule,
    vat: CodeRule,
    question: Question,
    part: Part,
    document: Invoice | CreditNote,
    mapping: Mapping,
    products: MappingOf[str, Product],
) -> LineRules | Rejection:
    """Add the cost centre and the cost unit; the revenue rule's own come first, and a line that no rule covers has none."""
    codes: list[str | None] = []
    words, dutch = "", ""
    for own, rules, name, name_nl in (
        (revenue.cost_center, mapping.cost_centers, "cost centre", "kostenplaats"),
        (revenue.cost_unit, mapping.cost_units, "cost unit", "kostendrager"),
    ):
        found = rules.find(question, _product(question, products)) if rules is not None and own is None else None
        if isinstance(found, ProductNeeded | SubscriptionNeeded):
            return _waiting(found, part, document)
        codes.append(own if found is None else found.code)
        if found is not None:
            words += f"; {name} {found.code} by rule ({found.words})"
            dutch += f"; {name_nl} {found.code} volgens regel ({rule_in_dutch(found.words)})"
    return LineRules(revenue, vat, codes[0], codes[1], words, dutch)


def _vat_rule(
    question: Question, part: Part, document: Invoice | CreditNote, mapping: Mapping, products: MappingOf[str, Product]
) -> CodeRule | Rejection:
    """Find the VAT code by the country whose tax it is, in the version of the day of supply.

    That country is what the tax row names; else, where tax was charged, the seller's registration that it was charged under,
    then the customer's country. Without tax the customer's country decides, since the seller's says nothing about why it is zero.
    """
    reason = question.reason
    if part.country is not None:
        countries: list[str | None] = [part.country]
    elif part.rate or part.tax_minor:
        countries = [country for country in (document.tax_origin, document.customer_country) if country is not None]
    else:
        countries = [document.customer_country] if document.customer_country is not None else []
    day, product = day_of_supply(part, document), _product(question, products)
    found = _first(mapping.vat, question, countries, day, product)
    if isinstance(found, ProductNeeded | SubscriptionNeeded):
        return _waiting(found, part, document)
    if found is None and reason == EXPORT and not countries:
        return reject("country_unknown", line=part.line.description, document=label(document))
    if found is None:
        country = countries[0] if countries else None
        rate = f"{part.rate.normalize():f}"
        condition = f"rate: {rate}, reason: {reason or NO_REASON}"
        held = reject(
            "no_vat_code",
            line=part.line.description,
            document=label(document),
            country=country or "unknown",
            rate=rate,
            reason=reason or NO_REASON,
            division=mapping.division,
            condition=f"country: {country}, {condition}" if country else condition,
        )
        place, dated = f"divisions.{mapping.division}.vat", _dated(mapping.vat.rules)
        return with_other_days(
            held, dated, day, place, lambda other: _words(_first(mapping.vat, question, countries, other, product))
        )
    if reason == REVERSE_CHARGE and document.vat_number is None:
        return reject(
            "vat_number_missing",
            waits_for=f"customer:{document.customer_id}",
            document=label(document),
            customer=f"customer {document.customer_id}",
        )
    return found


def day_of_rules(document: Invoice | CreditNote) -> date:
    """Return the day whose rules of accounts, dimensions and discounts hold: the document's own, for a credit note its invoice's.

    So an invoice and its full credit are zero on every account, also where another account began between the two.
    """
    invoiced = document.reference_date if isinstance(document, CreditNote) else None
    return invoiced or document.document_date


def day_of_supply(part: Part, document: Invoice | CreditNote) -> date:
    """Return the day whose VAT rules hold: the start of the service, else the document's own day.

    A credit note takes those of the invoice that it credits, so that an old rate is credited at the old rate.
    """
    line = part.line
    if isinstance(document, CreditNote):
        credited = line.credited.service_from if line.credited is not None else None
        return credited or document.reference_date or line.service_from or document.document_date
    return line.service_from or document.document_date


def _first(
    rules: Rules[CodeRule], question: Question, countries: list[str | None], day: date, product: Product | None
) -> Found[CodeRule]:
    for country in countries or [None]:
        found = rules.find_at(question, product, country, day)
        if found is not None:
            return found
    return None


def _dated(rules: Iterable[RevenueRule] | Iterable[CodeRule]) -> list[Dated]:
    """Return the rules that are in force for a time only."""
    found = []
    for rule in rules:
        always = replace(rule.when, first=None, last=None)
        conditions = "" if always == Conditions() else str(always)
        item = named(conditions, "account" if isinstance(rule, RevenueRule) else "code")
        if always != rule.when:
            found.append(Dated(words=rule.words, item=item, first=rule.when.first, last=rule.when.last))
    return found


def _words(found: Found[RevenueRule] | Found[CodeRule]) -> str | None:
    return found.words if isinstance(found, RevenueRule | CodeRule) else None


def _product(question: Question, products: MappingOf[str, Product]) -> Product | None:
    return products.get(question.product_id) if question.product_id is not None else None


def _waiting(needed: ProductNeeded | SubscriptionNeeded, part: Part, document: Invoice | CreditNote) -> Rejection:
    if isinstance(needed, SubscriptionNeeded):
        return waiting_for_subscription(part.line, label(document))
    return reject(
        "waiting_for_product",
        waits_for=f"product:{needed.product_id}",
        product=needed.product_id,
        line=part.line.description,
        document=label(document),
    )


def waiting_for_subscription(line: DocumentLine, document: str) -> Rejection:
    """Let a document wait for the subscription of one of its lines."""
    return reject(
        "waiting_for_subscription",
        waits_for=f"subscription:{line.subscription_id}",
        subscription=line.subscription_id,
        line=line.description,
        document=document,
    )
