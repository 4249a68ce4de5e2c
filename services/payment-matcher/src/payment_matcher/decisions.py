"""What is decided about a bank line, by a person or where nothing is left to judge: written down, told, and made payments of.

The line is locked and read again before it is changed, so that of two who decide at once only one wins, and nothing is decided by
an amount that Exact has corrected since it was shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from backbone.database import Database
from contracts.bank_lines import BankLineDecided, DecidedPart
from contracts.envelope import Envelope, seal
from payment_matcher import intents, lines, standing
from payment_matcher.lines import MONEY_OF, Line
from payment_matcher.standing import PaymentStandsError
from payment_matcher.tables import bank_lines
from payment_matcher.tables import intents as intents_table

SOURCE = "payment-matcher"
BY_ITSELF = "kruispost"


class DecidedAlreadyError(Exception):
    """Somebody else decided about the line meanwhile, or Exact changed it."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What to record of a line: payments on invoices, and an excess payment of the customer; amounts in Chargebee's unit."""

    parts: tuple[DecidedPart, ...]
    excess_minor: int = 0
    site: str = ""
    customer_id: str = ""


async def record(
    database: Database,
    connection: AsyncConnection,
    line: Line,
    recording: Recording,
    *,
    by: str,
    now: datetime,
    although_payment_stands: bool = False,
) -> BankLineDecided:
    """Decide that a line is recorded so in Chargebee; raises DecidedAlreadyError.

    Raises PaymentStandsError where a payment of the same money stands there still, unless a person wants it all the same.
    """
    base = max(line.base_hundredths, line.matched_hundredths - line.recorded_hundredths)
    await _change(connection, line, "accepted", base_hundredths=base, why="")
    payers = {(part.document.site, part.document.customer_id) for part in recording.parts}
    besides = await standing.of_line(connection, line, payers | {(recording.site, recording.customer_id)})
    if besides and not although_payment_stands:
        raise PaymentStandsError(besides)
    site, customer_id = recording.site, recording.customer_id
    if recording.parts and not customer_id:
        first = recording.parts[0].document
        site, customer_id = first.site, first.customer_id
    fact = BankLineDecided(
        division=line.division,
        line_id=line.line_id,
        entry_id=line.entry_id,
        decision="record",
        by=by,
        round=line.round + 1,
        currency=line.currency,
        paid_on=line.day,
        parts=recording.parts,
        excess_minor=recording.excess_minor,
        site=site,
        customer_id=customer_id,
        besides=tuple(each.recorded.transaction_id for each in besides),
    )
    cause = await _tell(connection, fact, now)
    await plan_payments(database, connection, cause, fact, now)
    await lines.learn_iban(database, connection, line.division, line.iban, site, customer_id)
    return fact


async def plan_payments(
    database: Database, connection: AsyncConnection, cause: Envelope, decided: BankLineDecided, now: datetime
) -> None:
    """Write the intents of what was decided to be recorded; `cause` is the decision's envelope."""
    # In this order: an excess payment that came first might be applied to the invoice that a payment is meant for.
    paid = [(part.document.site, part.document.number) for part in decided.parts]
    for place, (site, number) in enumerate([*paid, (decided.site, "")] if decided.excess_minor else paid):
        due_at = now + timedelta(milliseconds=place)
        await intents.plan_bank_payment(database, connection, cause, decided, site, number, due_at)


async def forget_untouched(connection: AsyncConnection, division: int, line_id: str) -> None:
    """End the intents of a bank line for which no call was made."""
    mine = (intents_table.c.division == division, intents_table.c.term_id == MONEY_OF + line_id)
    untouched = sa.update(intents_table).where(*mine, intents_table.c.outcome.is_(None), intents_table.c.state == "planned")
    await connection.execute(untouched.values(state="not_recorded", outcome="undone"))


async def dismiss(connection: AsyncConnection, line: Line, *, why: str, by: str, now: datetime) -> None:
    """Decide that a line is no receipt of ours, or is dealt with elsewhere; raises DecidedAlreadyError."""
    await _change(connection, line, "dismissed", why=why)
    await _tell(connection, _without_parts(line, "dismiss", by, why), now)


async def undo(connection: AsyncConnection, line: Line, *, by: str, now: datetime) -> None:
    """Take back a decision of which nothing was recorded; raises DecidedAlreadyError, also when a call may be under way."""
    await _change(connection, line, "open", why="", reason=lines.NOT_JUDGED)
    await forget_untouched(connection, line.division, line.line_id)
    mine = (intents_table.c.division == line.division, intents_table.c.term_id == MONEY_OF + line.line_id)
    if await connection.scalar(
        sa.select(sa.func.count()).select_from(intents_table).where(*mine, intents_table.c.outcome.is_(None))
    ):
        raise DecidedAlreadyError
    await _tell(connection, _without_parts(line, "undo", by, ""), now)
    await lines.refresh(connection, line.division, line.line_id)


def _without_parts(line: Line, decision: str, by: str, why: str) -> BankLineDecided:
    return BankLineDecided(
        division=line.division,
        line_id=line.line_id,
        entry_id=line.entry_id,
        decision="dismiss" if decision == "dismiss" else "undo",
        by=by,
        round=line.round + 1,
        currency=line.currency,
        paid_on=line.day,
        site=line.site,
        customer_id=line.customer_id,
        why=why,
    )


async def _change(connection: AsyncConnection, line: Line, state: lines.State, **more: object) -> None:
    await lines.lock(connection, line.division, line.line_id)
    now = await lines.one(connection, line.division, line.line_id)
    if now is None or _decided_by(now) != _decided_by(line):
        raise DecidedAlreadyError
    mine = (bank_lines.c.division == line.division, bank_lines.c.line_id == line.line_id)
    values = {"state": state, "round": line.round + 1, "is_certain": False, **more}
    await connection.execute(sa.update(bank_lines).where(*mine).values(**values))


def _decided_by(line: Line) -> tuple[object, ...]:
    """Return what a decision about a line depends on."""
    amounts = (line.currency, line.total_hundredths, line.matched_hundredths, line.recorded_hundredths)
    return (line.state, line.round, line.day, line.account_id, *amounts)


async def _tell(connection: AsyncConnection, fact: BankLineDecided, now: datetime) -> Envelope:
    subject = f"{fact.division}/bank_line/{fact.line_id}"
    key = f"{fact.site}/{fact.customer_id}" if fact.customer_id else str(fact.division)
    envelope = seal(fact, source=SOURCE, subject=subject, key=key, time=now, distinguisher=f"{fact.round} {now.isoformat()}")
    await event_log.append(connection, subject, await event_log.stream_version(connection, subject), [envelope])
    return envelope
