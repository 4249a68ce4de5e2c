"""Money through a gateway, and taxes held back, to general entries: the customer against a clearing account."""

from __future__ import annotations

from collections.abc import Sequence

from bookkeeping.documents import Payment, Refund, Settlement, WithheldTax
from bookkeeping.exchange_differences import rate_of_settled
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.mapping import Mapping
from bookkeeping.money import format_minor
from bookkeeping.rejections import Rejection, SetAside, reject, set_aside
from bookkeeping.telling import InTwo, tell


def money_label(document: Payment | Refund) -> str:
    """Name a movement of money in a sentence."""
    return f"{'payment' if isinstance(document, Payment) else 'refund'} {document.number}"


def money_entry(document: Payment | Refund, mapping: Mapping) -> Entry | Rejection | SetAside:
    """Make the entry of a payment (control account debit, customer credit) or a refund (the mirror of it).

    The customer gets one line per invoice or credit note that the money was applied to, because Exact matches by equal amount.
    Every line's description starts with the transaction's id, which general entries are looked up by.
    """
    name = money_label(document)
    if document.amount_minor == 0:
        return set_aside("zero_total", document=name)
    if not mapping.book_payments:
        return set_aside("payments_not_booked", document=name)
    used = rate_of_settled(document, mapping, name)
    if isinstance(used, Rejection):
        return used
    account = mapping.control_of(document, name)
    if isinstance(account, Rejection):
        return account
    debtors = mapping.debtor_account(document.debtor)
    sign = 1 if isinstance(document, Payment) else -1
    shares = document.shares()
    # In another currency Exact rounds each line by itself: pairs of equal lines balance in the division's currency, too.
    amounts = [document.amount_minor] if document.currency == mapping.currency else [share.amount_minor for share in shares]
    lines = [
        Line(
            role=Role.CONTROL,
            account=account,
            amount_minor=sign * amount_minor,
            description=f"{document.number} {document.customer_id}",
        )
        for amount_minor in amounts
    ]
    lines += [
        Line(
            role=Role.RECEIVABLE,
            account=debtors if share.customer_id is None else mapping.debtor_account(share.debtor),
            amount_minor=-sign * share.amount_minor,
            description=f"{document.number} {share.number or document.customer_id}",
            customer_id=share.customer_id,
        )
        for share in shares
    ]
    return Entry(
        kind="general",
        journal=mapping.journals.code("payments", document.currency, document.document_date),
        reference=document.number,
        entry_date=document.document_date,
        currency=document.currency,
        exchange_rate=used.rate,
        lines=tuple(lines),
        description=mapping.texts.word("payment" if sign > 0 else "refund", number=document.number),
        explanation=(
            *_explanation(document, account, mapping),
            *_what_it_settles(document, shares),
            *([used.words] if used.words else []),
            *([tell("payments_of_a_day")] if mapping.payments == "daily" else []),
        ),
    )


def withheld_entry(document: WithheldTax, mapping: Mapping) -> Entry | Rejection | SetAside:
    """Make the entry of a withheld tax: what the tax office is to settle, against the customer."""
    name = f"withheld tax {document.number}"
    if document.amount_minor == 0:
        return set_aside("zero_total", document=name)
    account = mapping.withheld_tax_account
    if account is None:
        amount = f"{format_minor(document.amount_minor, document.currency)} {document.currency}"
        return reject(
            "no_withheld_tax_account", document=name, amount=amount, invoice=document.invoice, division=mapping.division
        )
    used = mapping.rate(document, name)
    if isinstance(used, Rejection):
        return used
    words = f"{document.number} {document.invoice}"
    sides = (
        (Role.CONTROL, account, document.amount_minor),
        (Role.RECEIVABLE, mapping.debtor_account(document.debtor), -document.amount_minor),
    )
    return Entry(
        kind="general",
        journal=mapping.journals.code("payments", document.currency, document.document_date),
        reference=document.number,
        entry_date=document.document_date,
        currency=document.currency,
        exchange_rate=used.rate,
        lines=tuple(Line(role=role, account=code, amount_minor=amount, description=words) for role, code, amount in sides),
        description=mapping.texts.word("withheld_tax", invoice=document.invoice),
        explanation=(
            tell("withheld_tax", invoice=document.invoice, account=account),
            *([used.words] if used.words else []),
        ),
    )


def _what_it_settles(document: Payment | Refund, shares: Sequence[Settlement]) -> list[InTwo]:
    currency = document.currency
    settled = [f"{share.number} ({format_minor(share.amount_minor, currency)})" for share in shares if share.number]
    rest = sum(share.amount_minor for share in shares if not share.number)
    if not settled:
        return [] if document.settlements else [tell("settles_nothing")]
    values = {"settled": ", ".join(settled), "rest": format_minor(rest, currency)}
    return [tell("settles_in_part" if rest else "settles", **values)]


def _explanation(document: Payment | Refund, account: str, mapping: Mapping) -> list[InTwo]:
    amount = f"{format_minor(document.amount_minor, document.currency)} {document.currency}"
    gateway = document.gateway_account or InTwo("any", "*")
    told = [tell("control_account", amount=amount, account=account, gateway=gateway)]
    rule = mapping.control_rule(document.gateway_account, document.currency, document.document_date)
    if rule is not None and (rule.first or rule.last):
        told.append(tell("control_rule", account=account, rule=rule.words))
    return told
