"""Entries that Exact has of us and the journal does not know: after a loss they are found by their reference, not booked again.

What Exact's ledger shows is looked at first, since a thousand of its lines cost one call; only what is not there is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from contracts.commands import PostEntry, SaveAccount
from contracts.envelope import Envelope
from contracts.messages import unseal
from exact_writer import attachments, journal, payloads
from exact_writer.tables import commands, divisions
from exact_writer.tables import ledger_lines as ledger

UNSENT = ("planned", "prepared")
HUNDREDTHS = Decimal(100)


class InLedger(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of Exact's under a reference of ours."""

    entry_id: str
    number: int
    year: int
    period: int


async def find(connection: AsyncConnection, command: PostEntry, account_id: str | None) -> InLedger | None:
    """Find the entry of a command in the ledger as it was last read: its reference, amount and account, and no other's."""
    column = ledger.c
    where = [column.division == command.division, column.journal == command.journal]
    if command.kind == "sales":
        # The first line is the debtor's; an entry of another amount or account is asked for, and told to a person.
        whole = int(payloads.total(command) * HUNDREDTHS)
        where += [column.your_ref == command.your_ref, column.line_number == 0, column.fc_hundredths == whole]
        if account_id is not None:
            where.append(column.relation_id.is_(None) | (column.relation_id == account_id))
    else:
        where.append(column.day == command.entry_date)
        where.append(column.description.startswith(command.your_ref, autoescape=True))
    rows = (await connection.execute(sa.select(ledger).where(*where).order_by(column.entry_id, column.line_number))).all()
    found = {row.entry_id: row for row in rows if command.kind == "sales" or _is_named(command, row)}
    taken = await journal.owners(connection, command.division, list(found))
    for entry_id, row in found.items():
        # In mode ledger an entry is of several commands, each under a reference of its own.
        if not any(each.your_ref == command.your_ref for each in taken.get(entry_id, [])):
            return InLedger(entry_id=entry_id, number=row.entry_number, year=row.year, period=row.period)
    return None


def _is_named(command: PostEntry, row: sa.Row[tuple[object, ...]]) -> bool:
    """Whether a line of the ledger is a line of the command as it was sent: a person's entry may name the document as well."""
    booked = Decimal(row.fc_hundredths) / HUNDREDTHS
    marked = [line for line in command.lines if line.is_receivable] or list(command.lines)
    return any(
        (row.description or "") == payloads.general_description(line, command.your_ref)
        and booked == payloads.amount(line.amount_minor, command.decimals)
        for line in marked
    )


async def doubt(database: Database, connection: AsyncConnection, division: int, until: float) -> int:
    """Let every command that waits, and every one that comes up to an instant, be looked for before it is carried out.

    Returns how many wait now.
    """
    insert = database.insert(divisions).values(division=division, epoch=0, looks_first_until=until)
    await connection.execute(insert.on_conflict_do_update(index_elements=["division"], set_={"looks_first_until": until}))
    waiting = (commands.c.division == division, commands.c.is_open, commands.c.state.in_(UNSENT))
    changed = await connection.execute(sa.update(commands).where(*waiting).values(state="unknown", not_before=0.0, batch_id=None))
    await attachments.doubt(connection, division)
    return int(changed.rowcount)


async def take_back(database: Database, connection: AsyncConnection, envelopes: Sequence[Envelope], now: float) -> int:
    """Take commands of a lost journal into this one, in doubt; those that it has are left. Returns how many were new."""
    ids = {each.id: unseal(each) for each in envelopes}
    names = {key: command.command_id if isinstance(command, PostEntry) else key for key, command in ids.items()}
    known = set(
        (await connection.execute(sa.select(commands.c.command_id).where(commands.c.command_id.in_(names.values())))).scalars()
    )
    new = [each for each in envelopes if names[each.id] not in known]
    for envelope in new:
        command = ids[envelope.id]
        if isinstance(command, PostEntry | SaveAccount):
            await journal.plan(database, connection, envelope, command, now)
    return len(new)
