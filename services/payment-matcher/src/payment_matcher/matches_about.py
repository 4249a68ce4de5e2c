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
from payment_matcher import by_hand, due_again, settled_invoices, standing, write_offs
from payment_matcher.by_hand import HandPayment
from payment_matcher.due_again import DueAgain
from payment_matcher.lines import MONEY_OF, Line
from payment_matcher.matches_words import Language, say
from payment_matcher.settled_invoices import SettledInvoice
from payment_matcher.standing import Payment
from payment_matcher.tables import customers, intents, invoices
from payment_matcher.write_offs import WriteOff

WRITE_OFFS_SHOWN = 3


@dataclass(frozen=True)
class RecordedMoney:
    """A payment of a line in Chargebee, in minor units of its currency; without a number it is kept for the customer."""

    transaction_id: str
    number: str
    customer_id: str
    amount_minor: int


@dataclass(frozen=True)
class About:
    """Payments of its money without a receipt, what was recorded of it, settled invoices that it names, names of customers.

    And what it may pay though it is not proposed: what was written off, and what is due again; what was recorded by hand already.
    """

    stands: tuple[Payment, ...] = ()
    recorded: tuple[RecordedMoney, ...] = ()
    settled: tuple[SettledInvoice, ...] = ()
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)
    written_off: tuple[WriteOff, ...] = ()
    due_again: tuple[DueAgain, ...] = ()
    by_hand: tuple[HandPayment, ...] = ()


async def read(connection: AsyncConnection, lines: Sequence[Line]) -> dict[str, About]:
    """Read it for these lines, by the line's id."""
    settled = await settled_invoices.named_in(connection, [line.text if line.state == "open" else "" for line in lines])
    due = await due_again.of_lines(connection, [line for line in lines if line.state == "open"])
    found = {}
    for line, named in zip(lines, settled, strict=True):
        is_open = line.state == "open"
        proposed = {(each.site, each.customer_id) for each in line.proposals if is_open}
        again = tuple(due.get(line.line_id, ()))
        payers = proposed | {(each.site, each.customer_id) for each in named} | {(each.site, each.customer_id) for each in again}
        stands = await standing.of_line(connection, line, proposed) if is_open else []
        recorded = tuple(await recorded_of(connection, line))
        told = {each.document.number for each in stands}
        rest = tuple(each for each in named if each.number not in told)
        names = {payer: await _name(connection, *payer) for payer in payers}
        found[line.line_id] = About(
            stands=tuple(stands),
            recorded=recorded,
            settled=rest,
            names=names,
            written_off=await _written_off(connection, line, named),
            due_again=again,
            by_hand=await _by_hand(connection, named),
        )
    return found


async def _written_off(connection: AsyncConnection, line: Line, named: Sequence[SettledInvoice]) -> tuple[WriteOff, ...]:
    """Read what is written off of the invoices that an open line names, else of its customer where nothing else is open."""
    found = [each for one in named for each in await write_offs.of_invoices(connection, one.site, {one.number})]
    if not found and line.state == "open" and line.customer_id and line.reason == "nothing_open":
        found = await write_offs.of_customer(connection, line.site, line.customer_id, line.currency)
    return tuple(sorted(found, key=lambda each: each.amount_minor != line.left_minor))


async def _by_hand(connection: AsyncConnection, named: Sequence[SettledInvoice]) -> tuple[HandPayment, ...]:
    """Read what somebody recorded by hand on the invoices that an open line names."""
    return tuple([each for one in named for each in await by_hand.on_invoices(connection, one.site, {one.number})])


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


def settled_in_words(line: Line, about: About, short_id: str, lang: Language, tolerance_minor: int) -> list[str]:
    """Say what a line names or may pay that is not proposed, and how its money is kept where they tell whose it is.

    What was written off within the tolerance was of the receipt that fell short of it, and is not told.
    """
    told = [
        say("names_settled", lang, number=each.number, customer=whose(about, each.site, each.customer_id))
        for each in about.settled
    ]
    told += [
        say("by_hand", lang, number=each.number, amount=_money(each.amount_minor, line), transaction=each.transaction_id)
        for each in about.by_hand
    ]
    told += _written_off_in_words(line, about, lang, tolerance_minor)
    for each in about.due_again:
        customer = whose(about, each.site, each.customer_id)
        told.append(say("due_again", lang, number=each.number, customer=customer, amount=_money(each.due_minor, line)))
        told.append(say("accept_due_again", lang, id=short_id, number=each.number))
    payers = {(each.site, each.customer_id) for each in about.settled}
    if line.reason == "names_settled" and len(payers) == 1:
        ((site, customer_id),) = payers
        told.append(say("keep_for", lang, id=short_id, customer=f"{site}/{customer_id}"))
    return told


def _written_off_in_words(line: Line, about: About, lang: Language, tolerance_minor: int) -> list[str]:
    found = [each for each in about.written_off if each.amount_minor > tolerance_minor]
    told = [
        say("written_off", lang, number=each.invoice, amount=_money(each.amount_minor, line), note=each.number)
        for each in found[:WRITE_OFFS_SHOWN]
    ]
    more = len(found) - WRITE_OFFS_SHOWN
    told += [say("written_off_more", lang, count=more)] if more > 0 else []
    return [*told, *([say("undo_write_off_first", lang)] if found else [])]


def _money(amount_minor: int, line: Line) -> str:
    return f"{line.currency} {format_minor(amount_minor, line.currency)}"
