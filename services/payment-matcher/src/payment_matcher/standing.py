"""Payments that stand in Chargebee while Exact took back the receipt that they were made from, or may have.

The money of such a receipt is free in Exact, and would stand in Chargebee twice once its bank line was recorded again. Exact does
not say which line a receivable was matched with. So each line of the account that Exact took a match of back counts, and a line
of the same day that was entered anew in the place of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bookkeeping.money import decimals_of
from contracts import envelope as envelopes
from contracts.facts import DocumentRef, ReceivableObserved
from contracts.messages import unseal
from payment_matcher import account_money, afterwards, lines
from payment_matcher.decision import HUNDREDTHS
from payment_matcher.intents import Recorded
from payment_matcher.lines import Line
from payment_matcher.tables import account_owners, bank_line_parts, bank_lines, intents, terms


@dataclass(frozen=True)
class Payment:
    """What was recorded since Exact had matched a receivable; `paid_on` as Exact said then, `shown_paid_on` as it says now."""

    reference: str
    document: DocumentRef
    recorded: Recorded
    is_matched: bool
    doubt: str | None
    paid_on: date | None
    shown_paid_on: date | None
    is_receipt_matched_anew: bool

    @property
    def is_paid_otherwise(self) -> bool:
        """Whether Exact names another day of payment than it did then: the invoice was matched anew."""
        return None not in (self.paid_on, self.shown_paid_on) and self.paid_on != self.shown_paid_on

    @property
    def is_matched_anew(self) -> bool:
        """Whether Exact shows of the invoice or of its receipt that it is matched with something else than it was then."""
        return self.is_paid_otherwise or self.is_receipt_matched_anew

    @property
    def is_doubtful(self) -> bool:
        """Whether a person was told that its receipt may be gone, and Exact has not put it right since."""
        return self.doubt is not None and (self.doubt != afterwards.MATCHED_ANEW or self.is_matched_anew)

    @property
    def amount_hundredths(self) -> int:
        """What it is in Exact's unit."""
        return self.recorded.amount_minor * (HUNDREDTHS if decimals_of(self.document.currency) == 0 else 1)


class PaymentStandsError(Exception):
    """A payment that was made from this very bank line stands in Chargebee still."""

    def __init__(self, payments: Sequence[Payment]) -> None:
        super().__init__(", ".join(each.recorded.transaction_id for each in payments))
        self.payments = tuple(payments)


async def on_account(connection: AsyncConnection, division: int, account_id: str, currency: str) -> list[Payment]:
    """Read the payments that were recorded since Exact had matched invoices of an account, the newest first."""
    same = (intents.c.division == terms.c.division) & (intents.c.term_id == terms.c.term_id)
    of_account = (terms.c.division == division, terms.c.account_id == account_id, terms.c.currency == currency)
    columns = (terms.c.is_matched, terms.c.timestamp, terms.c.paid_on.label("shown_paid_on"))
    query = sa.select(intents, *columns).select_from(intents.join(terms, same))
    rows = await connection.execute(query.where(*of_account, intents.c.transaction_id.is_not(None)))
    anew = await _matched_anew(connection, division, account_id, currency)
    found = []
    for row in sorted(rows.mappings(), key=lambda each: -int(each["timestamp"])):
        seen = unseal(envelopes.decode(bytes(row["cause"])))
        if isinstance(seen, ReceivableObserved) and seen.document is not None:
            recorded = Recorded(row["transaction_id"], row["amount_minor"])
            days = (seen.last_payment_date, row["shown_paid_on"])
            payment = Payment(row["reference"], seen.document, recorded, bool(row["is_matched"]), row["doubt"], *days, False)
            of_it = (payment.document.number, payment.amount_hundredths, payment.paid_on)
            found.append(replace(payment, is_receipt_matched_anew=any(_is_receipt_of(*of_it, *each) for each in anew)))
    return found


async def _matched_anew(
    connection: AsyncConnection, division: int, account_id: str, currency: str
) -> Sequence[sa.Row[tuple[str, int, date | None]]]:
    """Return the receipts of an account that Exact matched anew: the invoice that it named at first, their amount and day."""
    part = bank_line_parts.c
    same = (bank_lines.c.division == part.division) & (bank_lines.c.line_id == part.line_id)
    of_account = (bank_lines.c.division == division, bank_lines.c.account_id == account_id, bank_lines.c.currency == currency)
    query = sa.select(part.first_your_ref, part.amount_hundredths, bank_lines.c.day).join(bank_lines, same)
    return (await connection.execute(query.where(*of_account, lines.is_matched_anew()))).all()


def _is_receipt_of(
    number: str, amount_hundredths: int, paid_on: date | None, named: str, received_hundredths: int, day: date | None
) -> bool:
    """Whether a receipt was a payment's: by the invoice that Exact named at it, or by amount and day where it named none."""
    return named == number if named else (received_hundredths, day) == (amount_hundredths, paid_on)


async def without_receipt(connection: AsyncConnection, division: int, account_id: str, currency: str) -> list[Payment]:
    """Return the payments of an account that Exact shows no receipt for: their match was taken back.

    That of an invoice which was matched with something else since is one where a person was told so, and where more is recorded
    of the account still than Exact has matched of money there.
    """
    payments = await on_account(connection, division, account_id, currency)
    found = [each for each in payments if not each.is_matched]
    matched = [each for each in payments if each.is_matched]
    if matched:
        money = await account_money.money_hundredths(connection, division, account_id, currency)
        missing = -(money or 0) - sum(each.amount_hundredths for each in found)
        for payment in matched:
            if 0 < payment.amount_hundredths <= missing and payment.is_doubtful:
                missing -= payment.amount_hundredths
                found.append(payment)
    return found


async def of_line(connection: AsyncConnection, line: Line, payers: Iterable[tuple[str, str]] = ()) -> list[Payment]:
    """Return the payments that may have been made from a line's own money and stand in Chargebee without a receipt in Exact.

    `payers` are site and id of the customers whom it is to be recorded for, beside the one whose account it stands on.
    """
    found: dict[str, Payment] = {}
    for account_id in sorted(await _accounts(connection, line, payers)):
        is_own = account_id in (line.account_id, line.matched_account)
        for payment in await without_receipt(connection, line.division, account_id, line.currency):
            is_again = payment.paid_on == line.day and payment.amount_hundredths <= line.total_hundredths
            if (line.was_matched and is_own) or is_again:
                found[payment.reference] = payment
    return list(found.values())


async def doubtful(connection: AsyncConnection, division: int | None = None) -> list[Payment]:
    """Return the payments whose invoices Exact has as matched while their receipt is there no more, as a person was told."""
    same = (intents.c.division == terms.c.division) & (intents.c.term_id == terms.c.term_id)
    where = [intents.c.doubt.is_not(None), intents.c.transaction_id.is_not(None), terms.c.is_matched]
    if division is not None:
        where.append(intents.c.division == division)
    places = sa.select(terms.c.division, terms.c.account_id, terms.c.currency).select_from(intents.join(terms, same))
    found = []
    for place in (await connection.execute(places.where(*where).distinct())).all():
        lacking = await without_receipt(connection, *place)
        least = await account_money.money_hundredths(connection, *place, may_pay_notes=False)
        known = {each.reference for each in lacking}
        for payment in await on_account(connection, *place):
            is_anew = payment.is_matched_anew and least is not None and least < 0
            if payment.is_matched and payment.is_doubtful and (payment.reference in known or is_anew):
                found.append(payment)
    return sorted(found, key=lambda each: (each.document.number, each.reference))


async def lines_with(connection: AsyncConnection, lines: Sequence[Line]) -> set[str]:
    """Return the ids of those lines of a division that a standing payment may have been made from, by few questions."""
    if not lines:
        return set()
    same = (intents.c.division == terms.c.division) & (intents.c.term_id == terms.c.term_id)
    recorded = (intents.c.transaction_id.is_not(None), intents.c.division == lines[0].division)
    free = sa.select(terms.c.term_id).select_from(intents.join(terms, same)).where(*recorded, terms.c.is_matched.is_(sa.false()))
    is_any_free = (await connection.execute(free.limit(1))).first() is not None
    found = set()
    for line in lines:
        if line.was_matched or (is_any_free and line.proposals):
            payers = [(each.site, each.customer_id) for each in line.proposals]
            if await of_line(connection, line, payers):
                found.add(line.line_id)
    return found


async def _accounts(connection: AsyncConnection, line: Line, payers: Iterable[tuple[str, str]]) -> set[str]:
    accounts = {line.account_id, line.matched_account}
    for site, customer_id in {*payers}:
        mine = (account_owners.c.division == line.division, account_owners.c.site == site)
        query = sa.select(account_owners.c.account_id).where(*mine, account_owners.c.customer_id == customer_id)
        accounts |= {*await connection.scalars(query)}
    return accounts - {""}
