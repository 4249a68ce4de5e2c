"""Exchange differences: money in another currency is booked at the rate of what it settles, and what is over on its own account.

So the debtor is at zero in both currencies, and Exact, which matches by equal amount, sees the same amount twice. A general entry
of Exact has one rate for all its lines, so the difference is an entry of its own, in the division's currency. What was applied to
a document only later, or to several of different rates, is booked at its own rate: then the debtor gets the difference.
"""

from __future__ import annotations

from bookkeeping.documents import Application, ExchangeDifference, MoneyMovement, Refund
from bookkeeping.exchange import RateUsed
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.mapping import Mapping
from bookkeeping.money import worth_at
from bookkeeping.rejections import Rejection, SetAside, reject, set_aside
from bookkeeping.telling import InTwo, tell


def rate_of_settled(document: MoneyMovement, mapping: Mapping, name: str) -> RateUsed | Rejection:
    """Return the rate that a movement of money is booked at: that of what it settles, else its own; so where they are several."""
    own = mapping.rate(document, name)
    if isinstance(own, Rejection) or own.rate is None:
        return own
    rates = sorted({settled.exchange_rate for settled in document.settlements if settled.exchange_rate is not None})
    if len(rates) != 1 or rates == [own.rate]:
        return own
    if mapping.exchange_difference_account is None:
        return reject("no_exchange_difference_account", document=name, rate=own.rate, booked=rates[0], division=mapping.division)
    account = mapping.exchange_difference_account
    words = tell("rate_of_settled", rate=rates[0], own=own.rate, account=account)
    return RateUsed(rates[0], words)


def difference_entry(document: ExchangeDifference, mapping: Mapping) -> Entry | Rejection | SetAside:
    """Make the entry of an exchange difference: the control account against the account for differences, never revenue."""
    name = difference_label(document)
    if not mapping.book_payments:
        return set_aside("payments_not_booked", document=name)
    own = mapping.rate(document, name)
    if isinstance(own, Rejection):
        return own
    if own.rate is None:
        # Without a rate of ours Exact took its own of each day, and only Exact knows what lies between.
        is_exact = document.currency != mapping.currency
        return set_aside("exchange_difference_by_exact" if is_exact else "no_exchange_difference", document=name)
    booked = rate_of_settled(document, mapping, name)
    if isinstance(booked, Rejection):
        return booked
    account = mapping.exchange_difference_account
    if booked.rate is None or account is None:
        return set_aside("no_exchange_difference", document=name)
    as_booked, as_received = (worth_at(rate, document.currency, mapping.currency) for rate in (booked.rate, own.rate))
    if as_booked is None or as_received is None:
        return set_aside("no_exchange_difference", document=name)
    on_control = sum(as_booked(share.amount_minor) for share in document.shares())
    more_minor = as_received(document.amount_minor) - on_control
    if document.went_out:
        more_minor = -more_minor
    if more_minor == 0:
        return set_aside("no_exchange_difference", document=name)
    control = mapping.control_of(document, name)
    if isinstance(control, Rejection):
        return control
    words = f"{document.number} {document.currency} {booked.rate} > {own.rate}"
    side = Line(role=Role.CONTROL, account=control, amount_minor=more_minor, description=words)
    why = tell("exchange_difference", booked=booked.rate, own=own.rate, account=account)
    return _difference(document, mapping, side, account, why)


def application_entry(document: Application, mapping: Mapping) -> Entry | Rejection | SetAside:
    """Make the entry that brings the debtor to zero in the division's currency, where it is so in the other one."""
    name = application_label(document)
    if document.currency == mapping.currency:
        return set_aside("no_exchange_difference", document=name)
    if document.debit_minor is None or document.credit_minor is None:
        return set_aside("exchange_difference_by_exact", document=name)
    left_minor = document.debit_minor - document.credit_minor
    account = mapping.exchange_difference_account
    if left_minor and account is None and document.debit_rate != document.credit_rate:
        credit, debit = document.credit_rate, document.debit_rate
        return reject("no_exchange_difference_account", document=name, rate=credit, booked=debit, division=mapping.division)
    if left_minor == 0 or account is None:  # without an account, the cents of rounding stay where they are
        return set_aside("no_exchange_difference", document=name)
    words = f"{document.number} {document.currency} {document.credit_rate} > {document.debit_rate}"
    debtors = mapping.debtor_account(document.debtor)
    side = Line(role=Role.RECEIVABLE, account=debtors, amount_minor=-left_minor, description=words)
    why = tell("application_difference", debit=document.debit_rate, credit=document.credit_rate, account=account)
    return _difference(document, mapping, side, account, why)


def _difference(document: ExchangeDifference | Application, mapping: Mapping, side: Line, account: str, why: InTwo) -> Entry:
    """Make the entry, in the division's currency, that has `side` and its opposite on the account for differences."""
    opposite = Line(role=Role.EXCHANGE, account=account, amount_minor=-side.amount_minor, description=side.description)
    return Entry(
        kind="general",
        journal=mapping.journals.code("payments", mapping.currency, document.document_date),
        reference=document.number,
        entry_date=document.document_date,
        currency=mapping.currency,
        lines=(side, opposite),
        description=mapping.texts.word("exchange_difference", number=document.number),
        explanation=(why,),
    )


def application_label(document: Application) -> str:
    """Name the exchange difference of an application in a sentence."""
    return f"exchange difference on the debtor of {document.number}"


def difference_label(document: ExchangeDifference) -> str:
    """Name an exchange difference in a sentence."""
    return f"exchange difference of {'refund' if document.went_out else 'payment'} {document.number}"


def difference_of(document: MoneyMovement) -> ExchangeDifference:
    """Return the exchange difference of a payment or refund as a document of its own."""
    return ExchangeDifference(
        number=document.number,
        customer_id=document.customer_id,
        document_date=document.document_date,
        currency=document.currency,
        amount_minor=document.amount_minor,
        gateway_account=document.gateway_account,
        base_currency=document.base_currency,
        exchange_rate=document.exchange_rate,
        settlements=document.settlements,
        went_out=isinstance(document, Refund),
    )
