"""The rows that stand for payments to record: written before any call, closed once, so that a crash loses and doubles nothing."""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from contracts import envelope as envelopes
from contracts.bank_lines import BankLineDecided
from contracts.envelope import Envelope
from contracts.facts import DocumentRef, ReceivableObserved
from payment_matcher.lines import MONEY_OF, SHORTAGE_OF
from payment_matcher.tables import booked_back, intents, invoices, terms

REFERENCE_PREFIX = "KP-"
REFERENCE_CHARACTERS = 20
MILLISECONDS = 1000
NO_MONEY = "already_counted"
DELETED = "deleted"  # by a person in Chargebee, whose decision stands
WRITTEN_OFF = "write_off"  # in the place of a transaction: a write-off makes none
# What Exact matched with each other is shown in one reading, and told one by one.
SETTLE = timedelta(seconds=3)


@dataclass(frozen=True)
class Intent:
    """One payment to record; `attempts` counts the present one.

    Once it was prepared a call may have been made, and `paid_at` (unix seconds) stays as it is. `term_id` says what of, `number`
    is the invoice's, empty for an excess payment.
    """

    reference: str
    term_id: str
    site: str
    number: str
    cause: Envelope
    attempts: int
    was_prepared: bool
    paid_at: int | None


@dataclass(frozen=True)
class Recorded:
    """A payment in Chargebee; `amount_minor` in Chargebee's unit."""

    transaction_id: str
    amount_minor: int


@dataclass(frozen=True)
class Due:
    """An intent whose time has come, as it was read; `due_at_ms` tells whether somebody else took it since."""

    intent: Intent
    due_at_ms: int


def reference_of(division: int, term_id: str) -> str:
    """Return the reference of the payment that a receivable of Exact leads to: the same receivable, the same reference."""
    return _reference("payment", str(division), term_id)


def rest_of(division: int, term_id: str) -> str:
    """Return the reference of what is left of it."""
    return _reference("rest", str(division), term_id)


def reference_of_line(division: int, term_id: str, site: str, number: str, round_: int) -> str:
    """Return the reference of what one decision made of a bank line: a payment of an invoice, or an excess without one."""
    return _reference("bank", str(division), term_id, site, number, str(round_))


def _reference(*parts: str) -> str:
    digest = uuid.UUID(envelopes.derived_id(*parts)).bytes
    return REFERENCE_PREFIX + base64.b32encode(digest).decode()[:REFERENCE_CHARACTERS]


async def fold_invoice(
    database: Database, connection: AsyncConnection, *, key: tuple[str, str], version: int, values: dict[str, Any]
) -> None:
    """Keep the newest state of an invoice; an older or equal version changes nothing."""
    site, number = key
    row = {"resource_version": version, **values}
    statement = database.insert(invoices).values(site=site, number=number, **row)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["site", "number"], set_=row, where=invoices.c.resource_version < version)
    )


async def known_invoice(connection: AsyncConnection, site: str, number: str) -> sa.RowMapping | None:
    """Return what was last observed of an invoice."""
    query = sa.select(invoices).where(invoices.c.site == site, invoices.c.number == number)
    return (await connection.execute(query)).mappings().one_or_none()


async def note_booked_back(database: Database, connection: AsyncConnection, site: str, number: str, suffix: str) -> None:
    """Remember that a booking of an invoice was taken back."""
    row = {"site": site, "number": number, "suffix": suffix}
    await connection.execute(database.insert(booked_back).values(**row).on_conflict_do_nothing())


async def is_booked_back(connection: AsyncConnection, document: DocumentRef) -> bool:
    """Tell whether a booking of an invoice was taken back."""
    table = booked_back.c
    query = sa.select(table.suffix).where(table.site == document.site, table.number == document.number)
    return (await connection.scalar(query.where(table.suffix == document.suffix))) is not None


async def plan(
    database: Database,
    connection: AsyncConnection,
    *,
    cause: Envelope,
    receivable: ReceivableObserved,
    document: DocumentRef,
    now: datetime,
) -> None:
    """Write the intent to record a receivable's payment, due once what Exact showed with it has come in, too.

    One that exists already stays as it is, unless it was no money then: Exact may have matched it with something else since.
    """
    row = _of_receipt(reference_of(receivable.division, receivable.term_id), cause, receivable, document, now)
    again = {name: row[name] for name in ("cause", "state", "attempts", "due_at_ms")}
    statement = database.insert(intents).values(**row)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["reference"],
            set_={**again, "outcome": None, "paid_at": None},
            where=(intents.c.outcome == NO_MONEY) & (intents.c.cause != row["cause"]),
        )
    )


async def plan_rest(
    database: Database,
    connection: AsyncConnection,
    cause: Envelope,
    receivable: ReceivableObserved,
    document: DocumentRef,
    now: datetime,
    *,
    is_money: bool,
) -> None:
    """Write the intent to look at what is left of a receipt of which Chargebee took less than Exact matched.

    Where none of it is money now, it is only looked at once more of what Exact matched on the account is.
    """
    row = _of_receipt(rest_of(receivable.division, receivable.term_id), cause, receivable, document, now)
    if not is_money:
        row |= {"state": "not_recorded", "outcome": NO_MONEY}
    await connection.execute(database.insert(intents).values(**row).on_conflict_do_nothing())


def _of_receipt(
    reference: str, cause: Envelope, receivable: ReceivableObserved, document: DocumentRef, now: datetime
) -> dict[str, Any]:
    return {
        "reference": reference,
        "division": receivable.division,
        "term_id": receivable.term_id,
        "site": document.site,
        "number": document.number,
        "cause": envelopes.encode(cause),
        "state": "planned",
        "attempts": 0,
        "due_at_ms": _milliseconds(now + SETTLE),
    }


async def plan_bank_payment(
    database: Database,
    connection: AsyncConnection,
    cause: Envelope,
    decided: BankLineDecided,
    site: str,
    number: str,
    now: datetime,
    *,
    is_shortage: bool = False,
) -> None:
    """Write the intent to record what was decided of a bank line on an invoice, or as an excess payment without one.

    The reference derives from the line, the invoice and the round, so that a decision after a lost database finds its payment.
    """
    term_id = (SHORTAGE_OF if is_shortage else MONEY_OF) + decided.line_id
    row = {
        "reference": reference_of_line(decided.division, term_id, site, number, decided.round),
        "division": decided.division,
        "term_id": term_id,
        "site": site,
        "number": number,
        "cause": envelopes.encode(cause),
        "state": "planned",
        "attempts": 0,
        "due_at_ms": _milliseconds(now),
        "customer_id": decided.customer_id,
    }
    await connection.execute(database.insert(intents).values(**row).on_conflict_do_nothing())


async def look_for(connection: AsyncConnection, reference: str, now: datetime) -> bool:
    """Look for a payment that was seen in Chargebee, where its intent had ended without one; says whether there is an intent."""
    mine = intents.c.reference == reference
    ended = (intents.c.outcome.is_not(None), intents.c.outcome != DELETED, intents.c.transaction_id.is_(None))
    again = {"outcome": None, "state": "planned", "attempts": 0, "amount_minor": None, "due_at_ms": _milliseconds(now + SETTLE)}
    await connection.execute(sa.update(intents).where(mine, *ended).values(**again))
    return (await connection.execute(sa.select(intents.c.reference).where(mine))).first() is not None


async def open_again(connection: AsyncConnection, of_terms: sa.Select[tuple[int, str]], now: datetime) -> None:
    """Look again at what was no money then and is not paid yet, as far as is known.

    More of what Exact matched on an account may be money now: a credit note was used in Chargebee, the payment of a bank line was
    deleted there, or Exact matched another invoice, too, so that what was recorded already is that one's.
    """
    same = (invoices.c.site == intents.c.site, invoices.c.number == intents.c.number)
    is_paid = sa.exists().where(*same, invoices.c.amount_due_minor <= 0)
    await connection.execute(
        sa.update(intents)
        .where(intents.c.outcome == NO_MONEY, sa.tuple_(intents.c.division, intents.c.term_id).in_(of_terms), ~is_paid)
        .values(outcome=None, state="planned", attempts=0, due_at_ms=_milliseconds(now + SETTLE))
    )


async def make_all_due(connection: AsyncConnection, now: datetime) -> None:
    """Let every open intent be taken at once: those that a stopped process held are not waited for."""
    moment = _milliseconds(now)
    await connection.execute(
        sa.update(intents).where(intents.c.outcome.is_(None), intents.c.due_at_ms > moment).values(due_at_ms=moment)
    )


async def next_due(connection: AsyncConnection, now: datetime, paused_sites: frozenset[str]) -> Due | None:
    """Return the open intent that has been due longest, of a site that is not paused."""
    query = (
        sa.select(intents)
        .where(intents.c.outcome.is_(None), intents.c.due_at_ms <= _milliseconds(now), intents.c.site.not_in(paused_sites))
        .order_by(intents.c.due_at_ms, intents.c.reference)
        .limit(1)
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    intent = Intent(
        reference=row["reference"],
        term_id=row["term_id"],
        site=row["site"],
        number=row["number"],
        cause=envelopes.decode(bytes(row["cause"])),
        attempts=row["attempts"] + 1,
        was_prepared=row["state"] == "prepared",
        paid_at=row["paid_at"],
    )
    return Due(intent, row["due_at_ms"])


async def sites_with_work(connection: AsyncConnection) -> set[str]:
    """Return the sites that payments are still to be recorded in."""
    rows = await connection.execute(sa.select(intents.c.site).where(intents.c.outcome.is_(None)).distinct())
    return {row.site for row in rows}


async def take(connection: AsyncConnection, due: Due, until: datetime) -> bool:
    """Keep every other process from an intent until that moment; returns False when one of them was quicker."""
    taken = await connection.execute(
        _open(due.intent.reference)
        .where(intents.c.due_at_ms == due.due_at_ms)
        .values(due_at_ms=_milliseconds(until), attempts=due.intent.attempts)
    )
    return bool(taken.rowcount == 1)


async def prepare(connection: AsyncConnection, intent: Intent, *, paid_at: int, due_at: datetime) -> bool:
    """Note before the call that it may be made, with which date, and keep the intent taken until `due_at`.

    Returns False when another process took or ended the intent since; then the call must not be made.
    """
    result = await connection.execute(_taken(intent).values(state="prepared", paid_at=paid_at, due_at_ms=_milliseconds(due_at)))
    return bool(result.rowcount == 1)


async def postpone(connection: AsyncConnection, intent: Intent, *, due_at: datetime, error: str) -> None:
    """Let the intent rest until `due_at`, and keep why; one that another process took stays as it is."""
    await connection.execute(_taken(intent).values(due_at_ms=_milliseconds(due_at), last_error=error))


async def close(
    connection: AsyncConnection,
    reference: str,
    *,
    state: str,
    outcome: str,
    payment: Recorded | None = None,
    left_minor: int = 0,
) -> bool:
    """End the intent, with the payment that it became, or with the money that a person was told of instead.

    Returns False when another process already did.
    """
    values: dict[str, object] = {"amount_minor": left_minor} if left_minor else {}
    if payment is not None:
        values = {"transaction_id": payment.transaction_id, "amount_minor": payment.amount_minor}
    result = await connection.execute(_open(reference).values(state=state, outcome=outcome, last_error=None, **values))
    return bool(result.rowcount == 1)


async def look_again(connection: AsyncConnection, of_terms: sa.Select[tuple[int, str]], now: datetime) -> None:
    """Look again at money that a person was told of: it may have been matched otherwise since, between two looks at Exact.

    Or it was none: what settled the invoice turned out to be ours only later.
    """
    was_told = (intents.c.outcome != DELETED, intents.c.transaction_id.is_(None), intents.c.amount_minor.is_not(None))
    mine = (*was_told, sa.tuple_(intents.c.division, intents.c.term_id).in_(of_terms))
    again = {"outcome": None, "state": "planned", "attempts": 0, "amount_minor": None, "due_at_ms": _milliseconds(now + SETTLE)}
    await connection.execute(sa.update(intents).where(*mine).values(**again))


async def forget_money(connection: AsyncConnection, reference: str) -> None:
    """Let a receipt that paid nothing in Chargebee be looked at anew when Exact matches it again: its match was taken back."""
    mine = (intents.c.reference == reference, intents.c.outcome.is_not(None), intents.c.transaction_id.is_(None))
    await connection.execute(sa.update(intents).where(*mine).values(outcome=NO_MONEY, amount_minor=None))


async def forget_payment(connection: AsyncConnection, site: str, transaction_id: str) -> list[tuple[int, str]]:
    """Note that somebody deleted the payment of a receipt in Chargebee.

    As long as Exact has the receipt matched with that invoice, its money stays that invoice's, and nothing is recorded anew. Once
    that match was taken back it is free for what Exact matched it with since: returns divisions and accounts on which it is.
    """
    of_term = (terms.c.division == intents.c.division) & (terms.c.term_id == intents.c.term_id)
    mine = (intents.c.site == site, intents.c.transaction_id == transaction_id)
    query = sa.select(intents.c.reference, terms.c.division, terms.c.account_id, terms.c.is_matched).join(terms, of_term)
    freed = []
    for row in (await connection.execute(query.where(*mine))).all():
        gone = {"transaction_id": None, "state": "not_recorded", "outcome": DELETED, "doubt": None}
        await connection.execute(sa.update(intents).where(intents.c.reference == row.reference).values(**gone))
        if not row.is_matched:
            await forget_money(connection, row.reference)
            freed.append((int(row.division), str(row.account_id)))
    return freed


async def recorded(connection: AsyncConnection, reference: str) -> Recorded | None:
    """Return the payment in Chargebee that an intent became."""
    query = sa.select(intents.c.transaction_id, intents.c.amount_minor).where(
        intents.c.reference == reference, intents.c.transaction_id.is_not(None)
    )
    row = (await connection.execute(query)).one_or_none()
    return Recorded(row.transaction_id, row.amount_minor) if row is not None else None


def _open(reference: str) -> sa.Update:
    return sa.update(intents).where(intents.c.reference == reference, intents.c.outcome.is_(None))


def _taken(intent: Intent) -> sa.Update:
    # Every taking counts an attempt, so another number means that another process has it now.
    return _open(intent.reference).where(intents.c.attempts == intent.attempts)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * MILLISECONDS)
