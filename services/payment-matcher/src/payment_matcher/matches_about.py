"""What `kruispost matches` tells of a line besides itself: what stands in Chargebee of it, whose invoices are, what it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bookkeeping.money import format_minor
from contracts import envelope as envelopes
from contracts.bank_lines import BankLineDecided
from contracts.messages import unseal
from payment_matcher import settled_invoices, standing
from payment_matcher.lines import MONEY_OF, Line
from payment_matcher.matches_words import Language, say
from payment_matcher.settled_invoices import SettledInvoice
from payment_matcher.standing import Payment
from payment_matcher.tables import customers, intents, invoices


@dataclass(frozen=True)
class RecordedMoney:
    """A payment of a line in Chargebee, in minor units of its currency; without a number it is kept for the customer."""

    transaction_id: str
    number: str
    customer_id: str
    amount_minor: int


@dataclass(frozen=True)
class About:
    """Payments of its money without a receipt, what was recorded of it, settled invoices that it names, names of customers."""

    stands: tuple[Payment, ...] = ()
    recorded: tuple[RecordedMoney, ...] = ()
    settled: tuple[SettledInvoice, ...] = ()
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)


async def read(connection: AsyncConnection, lines: Sequence[Line]) -> dict[str, About]:
    """Read it for these lines, by the line's id."""
    settled = await settled_invoices.named_in(connection, [line.text if line.state == "open" else "" for line in lines])
    found = {}
    for line, named in zip(lines, settled, strict=True):
        is_open = line.state == "open"
        proposed = {(each.site, each.customer_id) for each in line.proposals if is_open}
        payers = proposed | {(each.site, each.customer_id) for each in named}
        stands = await standing.of_line(connection, line, proposed) if is_open else []
        recorded = tuple(await recorded_of(connection, line))
        told = {each.document.number for each in stands}
        rest = tuple(each for each in named if each.number not in told)
        names = {payer: await _name(connection, *payer) for payer in payers}
        found[line.line_id] = About(stands=tuple(stands), recorded=recorded, settled=rest, names=names)
    return found


async def decided_for(connection: AsyncConnection, customer: str) -> frozenset[tuple[int, str]]:
    """Read the lines, by division and id, whose money was decided to be a customer's of this id or with this in the name.

    Such as one on a suspense account, which itself says nothing of a customer.
    """
    named = (customers.c.site == intents.c.site, customers.c.name.icontains(customer, autoescape=True))
    payer = (invoices.c.site == intents.c.site) & (invoices.c.number == intents.c.number)
    whose_ = sa.func.coalesce(invoices.c.customer_id, intents.c.customer_id)
    is_named = sa.exists().where(*named, customers.c.customer_id == whose_)
    query = sa.select(intents.c.division, intents.c.term_id).select_from(intents.outerjoin(invoices, payer))
    rows = await connection.execute(query.where(intents.c.term_id.startswith(MONEY_OF), (whose_ == customer) | is_named))
    return frozenset((row.division, row.term_id.removeprefix(MONEY_OF)) for row in rows)


async def recorded_of(connection: AsyncConnection, line: Line, prefix: str = MONEY_OF) -> list[RecordedMoney]:
    """Read what stands in Chargebee of a line's money, the invoices before what is kept for the customer."""
    mine = (intents.c.division == line.division, intents.c.term_id == prefix + line.line_id)
    order = (intents.c.number == "", intents.c.number, intents.c.reference)
    rows = await connection.execute(sa.select(intents).where(*mine, intents.c.transaction_id.is_not(None)).order_by(*order))
    return [RecordedMoney(row.transaction_id, row.number, _decided_for(row, line), row.amount_minor) for row in rows]


def _decided_for(row: Any, line: Line) -> str:
    """Return the customer as it was decided: a line on an account that nobody owns, or several do, has none itself."""
    decided = unseal(envelopes.decode(bytes(row.cause)))
    return decided.customer_id if isinstance(decided, BankLineDecided) else row.customer_id or line.customer_id


async def _name(connection: AsyncConnection, site: str, customer_id: str) -> str:
    mine = (customers.c.site == site, customers.c.customer_id == customer_id)
    return str(await connection.scalar(sa.select(customers.c.name).where(*mine)) or "")


def whose(about: About, site: str, customer_id: str) -> str:
    """Return a customer's id with the name, where it is known and says more."""
    name = about.names.get((site, customer_id), "")
    return f"{customer_id} ({name})" if name not in ("", customer_id) else customer_id


def recorded_in_words(about: About, currency: str, lang: Language) -> list[str]:
    """Say with what a line has to be matched in Exact: each payment of it that stands in Chargebee."""
    told = []
    for each in about.recorded:
        amount = f"{currency} {format_minor(each.amount_minor, currency)}"
        words = {"transaction": each.transaction_id, "amount": amount, "number": each.number, "customer": each.customer_id}
        told.append(say("stands_on" if each.number else "stands_kept", lang, **words))
    return told


def settled_in_words(line: Line, about: About, short_id: str, lang: Language) -> list[str]:
    """Say which invoices a line names that are settled, and how its money is kept where they tell whose it is."""
    told = [
        say("names_settled", lang, number=each.number, customer=whose(about, each.site, each.customer_id))
        for each in about.settled
    ]
    payers = {(each.site, each.customer_id) for each in about.settled}
    if line.reason == "names_settled" and len(payers) == 1:
        ((site, customer_id),) = payers
        told.append(say("keep_for", lang, id=short_id, customer=f"{site}/{customer_id}"))
    return told
