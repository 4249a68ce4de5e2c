"""Payouts of payment gateways: what came to the bank and what was held back, off the control account, so that it comes to zero.

Charges and refunds were booked on the control account one by one when they happened, so a payout takes off it only what left the
gateway's balance: the transfer and the fees. A reserve that the gateway keeps stays there, where it can be seen.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from bookkeeping.documents import Payout
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.mapping import FeeVat, Mapping, Settlements
from bookkeeping.money import format_minor, half_up
from bookkeeping.rejections import Rejection, SetAside, reject, set_aside
from bookkeeping.telling import tell


def payout_entry(payout: Payout, mapping: Mapping) -> Entry | Rejection | SetAside:
    """Make the entry of a payout: money under way to the bank and fees, against the control account."""
    name = f"payout {payout.number}"
    policy = mapping.settlements
    if policy is None:
        return reject("no_settlement_accounts", document=name, division=mapping.division)
    account = mapping.control_of(payout, name)
    if isinstance(account, Rejection):
        return account
    used = mapping.rate(payout, name)
    if isinstance(used, Rejection):
        return used
    whole = payout.amount_minor + payout.fees_minor + payout.chargeback_fees_minor
    lines = [
        *_line(Role.CONTROL, policy.payout_account, payout.amount_minor, payout.number),
        *_fees(payout, policy),
        *_line(Role.LOSS, policy.chargeback_fee_account or policy.fee_account, payout.chargeback_fees_minor, payout.number),
    ]
    # In another currency Exact rounds each amount by itself: pairs of equal ones balance in the division's currency, too.
    if payout.currency == mapping.currency:
        own = [whole - sum(amount for _, amount in payout.elsewhere)]
    else:
        own = [amount for line in lines for amount in (line.amount_minor, line.vat_minor)]
        own += [-amount for _, amount in payout.elsewhere]
    # What the control account of its day gives comes first: `control-accounts` reads there which one that is.
    for place, amount_minor in (*((account, each) for each in own), *payout.elsewhere):
        lines += _line(Role.CONTROL, place, -amount_minor, payout.number)
    if not lines:
        return set_aside("zero_total", document=name)
    paid, fees = (format_minor(amount, payout.currency) for amount in (payout.amount_minor, whole - payout.amount_minor))
    return Entry(
        kind="general",
        journal=mapping.journals.code("settlements", payout.currency, payout.document_date),
        reference=payout.number,
        entry_date=payout.document_date,
        currency=payout.currency,
        exchange_rate=used.rate,
        lines=tuple(lines),
        description=mapping.texts.word("payout", number=payout.number),
        explanation=(
            tell("payout", paid=paid, currency=payout.currency, fees=fees, account=account),
            *(
                tell("payout_elsewhere", amount=format_minor(amount, payout.currency), currency=payout.currency, account=place)
                for place, amount in payout.elsewhere
            ),
            *([used.words] if used.words else []),
        ),
    )


def _fees(payout: Payout, policy: Settlements) -> list[Line]:
    """Return the line of the fees with its VAT: none, what is in them, or what is shifted to us, which Exact books itself."""
    vat = policy.fee_vat
    tax = _tax_within(payout, vat) if vat.treatment == "domestic" else 0
    lines = _line(Role.LOSS, policy.fee_account, payout.fees_minor - tax, payout.number)
    if not lines or vat.code is None:
        return lines
    is_shifted = vat.treatment == "reverse_charge"
    return [
        Line(
            role=Role.LOSS,
            account=line.account,
            amount_minor=line.amount_minor,
            description=line.description,
            vat_code=vat.code,
            vat_minor=tax,
            is_vat_by_exact=is_shifted,
        )
        for line in lines
    ]


def _tax_within(payout: Payout, vat: FeeVat) -> int:
    """Return the VAT that is in the fees: what the gateway says, else the rate's share of them."""
    if payout.fees_tax_minor or vat.rate is None:
        return payout.fees_tax_minor
    rate = Fraction(Decimal(vat.rate))
    return half_up(Fraction(payout.fees_minor) * rate / (100 + rate))


def _line(role: Role, account: str, amount_minor: int, description: str) -> list[Line]:
    return [Line(role=role, account=account, amount_minor=amount_minor, description=description)] if amount_minor else []
