"""Invoices that the text of a bank line names although nothing is due on them in Chargebee: paid twice, or written off before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bookkeeping.matching import FEWEST_BARE_DIGITS
from payment_matcher.decision import PAYABLE_STATUSES
from payment_matcher.tables import invoices

_BETWEEN = re.compile(r"[\s,;:()]+")
_ROUND_A_NUMBER = ".-/#'\""
AT_ONCE = 500  # names in one question to the database


@dataclass(frozen=True)
class SettledInvoice:
    """One such invoice, and whose it is."""

    site: str
    number: str
    customer_id: str


async def named_in(connection: AsyncConnection, texts: Sequence[str]) -> list[tuple[SettledInvoice, ...]]:
    """Return, for each text, the invoices without anything due whose whole number stands in it as one word."""
    words = [numbers_in(text) for text in texts]
    wanted = sorted(set().union(*words))
    is_paid = invoices.c.status.in_(sorted(PAYABLE_STATUSES)) & (invoices.c.amount_due_minor <= 0)
    is_settled = invoices.c.status.in_(("paid", "voided")) | is_paid
    columns = (invoices.c.site, invoices.c.number, invoices.c.customer_id)
    found: dict[str, list[SettledInvoice]] = {}
    for first in range(0, len(wanted), AT_ONCE):
        named = invoices.c.number.in_(wanted[first : first + AT_ONCE])
        query = sa.select(*columns).where(named, is_settled, invoices.c.deleted.is_(sa.false())).order_by(*columns)
        for row in await connection.execute(query):
            found.setdefault(row.number, []).append(SettledInvoice(row.site, row.number, row.customer_id))
    return [tuple(each for number in sorted(some) for each in found.get(number, ())) for some in words]


def numbers_in(text: str) -> set[str]:
    """Return the words of a text that may be an invoice's number: a few digits by themselves are a day or an amount."""
    words = {word.strip(_ROUND_A_NUMBER) for word in _BETWEEN.split(text)}
    words |= {word.upper() for word in words}
    return {word for word in words if re.search(r"\d", word) and (not word.isdecimal() or len(word) >= FEWEST_BARE_DIGITS)}
