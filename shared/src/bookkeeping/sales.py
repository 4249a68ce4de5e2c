"""Invoices and credit notes to sales entries: one line per line and VAT code, with Chargebee's own cents."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from msgspec.structs import replace as replace_line

from bookkeeping.debtors import TermsRule
from bookkeeping.deferral import Portion, credit_portions
from bookkeeping.discounts import DiscountRule, ShownDiscount, Unclear, merged, with_discounts, without_tax
from bookkeeping.division_currency import portions_in_step, taxes_of_portions
from bookkeeping.documents import CreditedLine, CreditNote, Invoice, LineDiscount, Product
from bookkeeping.exchange import RateUsed
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.line_rules import day_of_rules, rules_of_line, waiting_for_subscription
from bookkeeping.mapping import Mapping
from bookkeeping.money import format_minor, worth_at
from bookkeeping.other_days import with_other_days
from bookkeeping.parts import Part, label, parts_of
from bookkeeping.reasons import LineReason, Share
from bookkeeping.rejections import Rejection, SetAside, reject, set_aside
from bookkeeping.rules import RevenueRule
from bookkeeping.split_cents import with_the_rest, worth_the_rest, worth_the_same
from bookkeeping.telling import InTwo, rule_in_dutch, tell
from bookkeeping.wording import empty_fields, texts_of_line, words_of_document


@dataclass(frozen=True, slots=True)
class _Made:
    """The lines of a part of the document; `whole` are those that its invoice has, where the credit of it is split."""

    lines: list[Line]
    whole: list[Line]


def sales_entry(
    document: Invoice | CreditNote, mapping: Mapping, products: MappingOf[str, Product]
) -> Entry | Rejection | SetAside:
    """Make the entry of an invoice or credit note, or say why there is none.

    Exact takes the amounts without VAT and Chargebee's VAT beside them, so that the debtor is the document's total.
    """
    rate = mapping.rate(document, label(document))
    if isinstance(rate, Rejection):
        return rate
    awaited = _awaited(document, mapping)
    if awaited is not None:
        return awaited
    parts = parts_of(document, gross=mapping.discounts is not None)
    if isinstance(parts, Rejection):
        return parts
    if _is_nothing(parts, document, mapping):
        return set_aside("zero_total", document=label(document))
    condition = _payment_condition(document, mapping)
    if isinstance(condition, Rejection):
        return condition
    sign = -1 if isinstance(document, Invoice) else 1
    debtors = mapping.debtor_account(document.debtor)
    lines = [Line(role=Role.RECEIVABLE, account=debtors, amount_minor=-sign * document.total_minor)]
    explanation = _about_heading(document, rate, debtors, condition, mapping)
    words = words_of_document(document, mapping.texts)
    booked: list[Line] = []
    whole: list[Line] = []
    reasons: list[LineReason] = []
    for part in parts:
        made = _lines_of(part, document, mapping, products, sign, explanation, reasons, words, rate.rate)
        if isinstance(made, Rejection):
            return made
        booked += made.lines
        whole += made.whole
    booked = _discounts_last(booked, mapping)
    lines += booked
    if document.round_off_minor:
        rounding = _rounding_line(document, mapping, sign)
        if isinstance(rounding, Rejection):
            return rounding
        lines.append(rounding)
        explanation.append(tell("rounding", amount=format_minor(document.round_off_minor, document.currency)))
    entry = Entry(
        kind="sales",
        journal=mapping.journals.code(
            "invoices" if isinstance(document, Invoice) else "credit_notes", document.currency, document.document_date
        ),
        reference=document.number,
        entry_date=document.document_date,
        due_date=document.due_date if isinstance(document, Invoice) else None,
        currency=document.currency,
        exchange_rate=rate.rate,
        lines=tuple(lines),
        description=mapping.texts.entry_description(words),
        payment_condition=condition.code if condition is not None else None,
        explanation=(*explanation, *_explanation_of_credit(document)),
        reasons=tuple(reasons),
    )
    return _taking_the_rest(entry, document, whole, booked, mapping)


def _taking_the_rest(
    entry: Entry, document: Invoice | CreditNote, whole: list[Line], booked: list[Line], mapping: Mapping
) -> Entry:
    """Return the entry with what other credits leave; in another currency also worth what its lines are before they are split."""
    beside = document.beside if isinstance(document, CreditNote) else ()
    if beside and mapping.discounts is not None:
        entry = with_the_rest(entry, beside, mapping)
    if entry.exchange_rate is None:
        return entry
    return worth_the_rest(worth_the_same(entry, _discounts_last(whole, mapping), booked, mapping), beside, mapping)


def is_deferred_credit(note: CreditNote, mapping: Mapping, products: MappingOf[str, Product]) -> bool:
    """Tell whether a credit note takes back what its rules defer; False where a rule is missing, which is told of it first."""
    parts = parts_of(note, gross=mapping.discounts is not None)
    if isinstance(parts, Rejection):
        return False
    found = [rules_of_line(part, note, mapping, products) for part in parts]
    rules = [each for each in found if not isinstance(each, Rejection)]
    is_deferred = any(each.revenue.defer and part.line.credited is not None for each, part in zip(rules, parts, strict=False))
    return len(rules) == len(parts) and is_deferred


def _rounding_line(document: Invoice | CreditNote, mapping: Mapping, sign: int) -> Line | Rejection:
    if mapping.rounding_account is None:
        amount = format_minor(document.round_off_minor, document.currency)
        return reject("no_rounding_account", document=label(document), amount=amount, division=mapping.division)
    return Line(
        role=Role.ROUNDING,
        account=mapping.rounding_account,
        amount_minor=sign * document.round_off_minor,
        description=mapping.texts.word("rounding"),
        vat_code=mapping.rounding_vat_code,
    )


def _awaited(document: Invoice | CreditNote, mapping: Mapping) -> Rejection | None:
    """Let a document wait for the subscriptions in its texts, and a credit note for its invoice unless that is given up."""
    unseen = (
        next((line for line in document.lines if line.awaits_subscription), None) if mapping.texts.subscription_fields else None
    )
    if unseen is not None:
        return waiting_for_subscription(unseen, label(document))
    if not isinstance(document, CreditNote) or document.reference_known or document.reference_given_up:
        return None
    waiting = reject(
        "waiting_for_invoice",
        waits_for=f"invoice:{document.reference_invoice}",
        invoice=document.reference_invoice,
        document=label(document),
        subject="its country and service period",
        division=mapping.division,
    )
    # Where the policy ends the wait by booking, no person needs to.
    return waiting if mapping.credit_note_wait_days is None else replace(waiting, overdue="")


def _explanation_of_credit(document: Invoice | CreditNote) -> list[InTwo]:
    if not isinstance(document, CreditNote) or document.reference_invoice is None:
        return []
    if document.reference_known:
        return [tell("credits_invoice", invoice=document.reference_invoice)]
    return [tell("invoice_never_seen", invoice=document.reference_invoice)]


def _discounts_last(lines: list[Line], mapping: Mapping) -> list[Line]:
    if mapping.discounts is None:
        return lines
    revenue = [line for line in lines if line.role is not Role.DISCOUNT]
    discounts = [line for line in lines if line.role is Role.DISCOUNT]
    return revenue + merged(discounts, mapping.texts.word("discount"))


def _about_heading(
    document: Invoice | CreditNote, rate: RateUsed, debtors: str, condition: TermsRule | None, mapping: Mapping
) -> list[InTwo]:
    told = [] if rate.words is None else [rate.words]
    if debtors != mapping.receivable_account:
        told.append(tell("debtor_account", account=debtors))
    if condition is not None:
        rule = InTwo(condition.words, rule_in_dutch(condition.words))
        told.append(tell("payment_condition", code=condition.code, rule=rule))
    empty = empty_fields(document, mapping.texts)
    if empty:
        told.append(tell("empty_fields", names=", ".join(empty)))
    return told


def _is_nothing(parts: list[Part], document: Invoice | CreditNote, mapping: Mapping) -> bool:
    """Tell whether there is nothing to book: no line, or lines of zero whose discounts the policy does not show."""
    if document.round_off_minor:
        return False
    return not parts or (mapping.zero_invoices == "skip" and not any(part.net_minor or part.tax_minor for part in parts))


def _payment_condition(document: Invoice | CreditNote, mapping: Mapping) -> TermsRule | Rejection | None:
    """Return Exact's payment condition of an invoice; a credit note is not paid, so it has none of its own."""
    if mapping.terms is None or not isinstance(document, Invoice):
        return None
    rule = mapping.terms.find(document.terms, document.document_date)
    if rule is not None:
        return rule
    if not mapping.terms.hold_unmapped:
        return None
    days, method = document.terms.net_term_days or 0, document.terms.method
    words = f"net_term_days: {days}" + (f", method: {method}" if method else "")
    held = reject("no_payment_condition", document=label(document), terms=words, division=mapping.division)
    terms, place = mapping.terms, f"divisions.{mapping.division}.payment_conditions.rules"
    return with_other_days(held, terms.dated, document.document_date, place, lambda day: terms.decides(document.terms, day))


def _lines_of(
    part: Part,
    document: Invoice | CreditNote,
    mapping: Mapping,
    products: MappingOf[str, Product],
    sign: int,
    explanation: list[InTwo],
    reasons: list[LineReason],
    words: dict[str, str],
    rate: Decimal | None,
) -> _Made | Rejection:
    line = part.line
    rules = rules_of_line(part, document, mapping, products)
    if isinstance(rules, Rejection):
        return rules
    revenue = rules.revenue
    if revenue.defer and isinstance(document, CreditNote) and not document.reference_known:
        invoice = document.reference_invoice
        return reject("credited_period_unknown", waits_for=f"invoice:{invoice}", invoice=invoice, document=label(document))
    shown = _shown_discounts(part, document, mapping)
    if isinstance(shown, Rejection):
        return shown
    if revenue.defer and line.credited is not None and isinstance(document, CreditNote) and document.awaits is not None:
        missing = document.awaits.replace("_", " ").replace(":", " ")
        return reject("waiting_for_credits", waits_for=document.awaits, document=label(document), missing=missing)
    worth = worth_at(rate, document.currency, mapping.currency)
    portions = portions_in_step(_portions(part, document, revenue, mapping), worth)
    taxes = taxes_of_portions(part.tax_minor, portions, worth)
    gross_minor = part.net_minor + sum(each.net_minor for each in shown) if shown else part.net_minor
    why = LineReason(
        description=line.description,
        account=revenue.account,
        net_minor=gross_minor,
        revenue_rule=revenue.words,
        revenue_index=revenue.index,
        vat_code=rules.vat.code,
        vat_minor=part.tax_minor,
        vat_rule=rules.vat.words,
        vat_index=rules.vat.index,
        rate=part.rate,
        moved_minor=part.moved_minor,
        about_dimensions=rules.about_dimensions,
        about_dimensions_nl=rules.about_dimensions_nl,
        shares=tuple([Share(amount_minor=each.amount_minor, first=each.first, last=each.last) for each in portions]),
    )
    reasons.append(why)
    explanation.append(why.sentence(document.currency))
    description, notes = texts_of_line(line, words, mapping.texts)
    lines = [
        Line(
            role=Role.REVENUE,
            account=revenue.account,
            amount_minor=sign * portion.amount_minor,
            description=description,
            vat_code=rules.vat.code,
            vat_minor=sign * tax,
            cost_center=rules.cost_center,
            cost_unit=rules.cost_unit,
            first=portion.first,
            last=portion.last,
            takes_back=portion.first is not None and (sign > 0 or part.net_minor < 0),
            notes=notes,
            product=line.product_id,
        )
        for portion, tax in zip(portions, taxes, strict=True)
    ]
    explanation.extend(_explained(each, line.description, document.currency) for each in shown)
    credited = line.credited if worth is not None and revenue.defer else None
    return _made(lines, credited, shown, sign, mapping.texts.word("discount"))


def _made(lines: list[Line], credited: CreditedLine | None, shown: list[ShownDiscount], sign: int, word: str) -> _Made:
    """Return the lines with their discounts, and the same of the one line that the invoice of a credit has."""
    booked = with_discounts(lines, shown, sign, word)
    if credited is None:
        return _Made(booked, booked)
    net, tax = sum(line.amount_minor for line in lines), sum(line.vat_minor for line in lines)
    first, last = credited.service_from, credited.service_to
    whole = replace_line(lines[0], amount_minor=net, vat_minor=tax, first=first, last=last)
    return _Made(booked, with_discounts([whole], shown, sign, word))


def _explained(discount: ShownDiscount, line: str, currency: str) -> InTwo:
    rule = InTwo(discount.rule.words, rule_in_dutch(discount.rule.words))
    amount = format_minor(discount.net_minor, currency)
    key = "discount_by_code" if discount.code else "discount"
    return tell(key, rule=rule, line=line, amount=amount, account=discount.rule.account, code=discount.code)


def _shown_discounts(part: Part, document: Invoice | CreditNote, mapping: Mapping) -> list[ShownDiscount] | Rejection:
    """Return the discounts that stand on accounts of their own, each without its tax."""
    shown: list[ShownDiscount] = []
    if mapping.discounts is None:
        return shown
    for discount in part.discounts:
        rule = mapping.discounts.find(discount, day_of_rules(document))
        if not isinstance(rule, DiscountRule):
            return _no_account(discount, rule, part, document, mapping)
        net, tax = without_tax(discount.amount_minor, part.rate, inclusive=document.tax_inclusive)
        asks_code = rule.coupon_code is not None or rule.coupon_set is not None
        codes = " / ".join(use.code for use in discount.uses or ()) if asks_code else ""
        shown.append(ShownDiscount(rule, discount.coupon, net, tax, codes))
    return shown


def _no_account(
    discount: LineDiscount, unclear: Unclear | None, part: Part, document: Invoice | CreditNote, mapping: Mapping
) -> Rejection:
    """Say why no rule tells the account of a discount: none fits, or which one does hangs on a coupon set."""
    about: dict[str, Any] = {
        "document": label(document),
        "line": part.line.description,
        "amount": format_minor(discount.amount_minor, document.currency),
        "division": mapping.division,
    }
    if unclear is None:
        condition = f"coupon: {discount.coupon}" if discount.coupon else f"type: {discount.type}" if discount.type else ""
        held = reject("no_discount_account", discount=condition or "without a type", condition=condition, **about)
        rules, place = mapping.discounts, f"divisions.{mapping.division}.discounts.rules"
        if rules is None:
            return held
        return with_other_days(held, rules.dated, day_of_rules(document), place, lambda day: rules.decides(discount, day))
    codes = unclear.codes
    waits_for = f"coupon_code:{codes[0]}" if unclear.code == "waiting_for_coupon_code" else None
    told = InTwo(*(", ".join(each or without for each in codes) for without in ("no code", "geen code")))
    return reject(unclear.code, waits_for=waits_for, used=told, coupon=discount.coupon or "?", **about)


def _portions(part: Part, document: Invoice | CreditNote, rule: RevenueRule, mapping: Mapping) -> list[Portion]:
    line, method = part.line, mapping.deferral_method
    own: tuple[date, date] | None = None
    if line.service_from is not None and line.service_to is not None:
        own = (line.service_from, line.service_to)
    if not rule.defer:
        return [Portion(part.net_minor)]
    if isinstance(document, CreditNote) and line.credited is not None:
        credited = line.credited
        if credited.at_once:
            return [Portion(part.net_minor)]
        served = (credited.service_from, credited.service_to)
        invoiced = (credited.released_from or credited.service_from, credited.service_to)
        day, before = document.document_date, [each for each in credited.earlier if not mapping.writes_off(each.reason)]
        return credit_portions(
            part.net_minor, day, credited.net_minor, invoiced, own, method=method, earlier=before, served=served
        )
    return [Portion(part.net_minor, *own)] if own is not None else [Portion(part.net_minor)]
