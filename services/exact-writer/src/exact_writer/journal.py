"""The command journal: planned, prepared, sent, then posted, refused or unknown.

A command is `sent` in the database before its call leaves. A process that finds one sent by another, or by itself before it died,
makes it `unknown`, and looks Exact up before it sends again. Every change checks the epoch: who lost the
division changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from contracts import envelope as wire
from contracts.commands import PostEntry, SaveAccount
from contracts.envelope import Envelope
from contracts.messages import unseal
from exact_writer import batches
from exact_writer.schedule import OPEN, Kind, State
from exact_writer.tables import accounts, attachments, commands, divisions
from exact_writer.work_classes import ORDER, WorkClass, class_of, is_before, waits_for

NOBODY = ""  # whose account an entry without a debtor waits for


class LeaseLostError(Exception):
    """Another process acts in the division now."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One command with its place in the journal."""

    command_id: str
    kind: Kind
    state: State
    attempts: int
    planned_at: float
    sent_at: float | None
    envelope: Envelope
    command: PostEntry | SaveAccount
    batch_id: str | None = None
    exact_id: str | None = None


def kind_of(command: PostEntry | SaveAccount) -> Kind:
    """How the journal calls a command."""
    if isinstance(command, SaveAccount):
        return "account"
    return command.kind if command.mode == "entry" else command.mode


async def plan(database: Database, connection: AsyncConnection, envelope: Envelope, command: Any, now: float) -> None:
    """Take a command into the journal; one that is there already changes nothing."""
    entry = command if isinstance(command, PostEntry) else None
    work_class = class_of(command, datetime.fromtimestamp(now, UTC).date())
    if entry is None:
        work_class = await _class_of_waiting(connection, command, work_class)
    else:
        await raise_earlier(connection, entry, work_class)
    # What a division gets whose journal is in doubt is looked for before it is written: an entry as well as a customer. So is
    # what somebody else may have booked.
    is_in_doubt: Any = sa.exists().where(divisions.c.division == command.division, divisions.c.looks_first_until > now)
    if entry is not None and (entry.may_exist or entry.linked is not None):
        is_in_doubt = sa.true()
    goes_at = batches.earliest(entry, now) if entry and kind_of(command) == "ledger" else 0.0
    values = {
        "command_id": entry.command_id if entry else envelope.id,
        "division": command.division,
        "kind": kind_of(command),
        "customer_ref": command.customer_ref,
        "your_ref": entry.your_ref if entry else "",
        "state": sa.case((is_in_doubt, sa.literal("unknown")), else_=sa.literal("planned")),
        "is_open": True,
        "planned_at": now,
        # What is in doubt is looked for at once, since it holds up its customer.
        "not_before": sa.case((is_in_doubt, sa.literal(0.0)), else_=sa.literal(goes_at)),
        "batch_key": batches.key_of(entry) if entry and kind_of(command) == "ledger" else None,
        "work_class": work_class,
        "site": entry.document.site if entry else command.customer_ref.partition("/")[0],
        "envelope": wire.encode(envelope),
    }
    await connection.execute(database.insert(commands).values(values).on_conflict_do_nothing(index_elements=["command_id"]))


async def _class_of_waiting(connection: AsyncConnection, command: SaveAccount, own: WorkClass) -> WorkClass:
    """An account goes with the most urgent entry that waits for it."""
    statement = (
        sa.select(commands.c.work_class)
        .distinct()
        .where(commands.c.division == command.division, commands.c.customer_ref == command.customer_ref, commands.c.is_open)
    )
    found = [cast("WorkClass", row.work_class) for row in await connection.execute(statement)]
    return min((own, *found), key=ORDER.index)


async def raise_earlier(connection: AsyncConnection, entry: PostEntry, work_class: WorkClass) -> None:
    """Let what an entry has to wait for go as soon as the entry itself, and the entry too where it waits already.

    That is its customer, and what was there before it; of its customer's history only what it follows: a payment comes after
    the invoice that it settles, and the other hundreds wait for what the day leaves them. Rows that the writer is working on
    are left out, since waiting for them while holding others could lock both up; they are on their way in any case.
    """
    if work_class == "backfill":
        return
    later = [each for each in ORDER if is_before(work_class, each)]
    of_customers = [each for each in later if waits_for(work_class, each)]
    open_ones = (commands.c.division == entry.division, commands.c.is_open)
    # Several questions, since one with an "or" would read all that waits.
    found = [sa.select(commands.c.sequence).where(*open_ones, commands.c.command_id == entry.command_id)]
    if entry.customer_ref != NOBODY:
        of_customer = commands.c.customer_ref == entry.customer_ref
        found.append(sa.select(commands.c.sequence).where(*open_ones, of_customer, commands.c.work_class.in_(of_customers)))
    if entry.follows:
        is_followed = commands.c.your_ref.in_(entry.follows)
        found.append(sa.select(commands.c.sequence).where(*open_ones, is_followed, commands.c.work_class.in_(later)))
    sequences: set[int] = set()
    for each in found:
        sequences.update((await connection.execute(each.with_for_update(skip_locked=True))).scalars())
    if sequences:
        await connection.execute(sa.update(commands).where(commands.c.sequence.in_(sequences)).values(work_class=work_class))


async def take_over(database: Database, connection: AsyncConnection, division: int, first_look_seconds: float, now: float) -> int:
    """Become the holder of a division: returns the new epoch. What was sent is unknown now, and looked up soon.

    Whatever is under way counts as sent now: the clock of who sent it may differ, and only waiting by one's own is sure.
    """
    insert = database.insert(divisions).values(division=division, epoch=1)
    raised = insert.on_conflict_do_update(index_elements=["division"], set_={"epoch": divisions.c.epoch + 1})
    epoch = (await connection.execute(raised.returning(divisions.c.epoch))).scalar_one()
    await connection.execute(
        sa.update(commands)
        .where(commands.c.division == division, commands.c.is_open, commands.c.state == "sent")
        .values(state="unknown", not_before=now + first_look_seconds)
    )
    await connection.execute(
        sa.update(commands)
        .where(commands.c.division == division, commands.c.is_open, commands.c.state == "unknown")
        .values(sent_at=now)
    )
    under_way = (attachments.c.division == division, attachments.c.is_open, attachments.c.state.in_(("creating", "attaching")))
    await connection.execute(sa.update(attachments).where(*under_way).values(sent_at=now, not_before=now + first_look_seconds))
    return int(epoch)


async def load(connection: AsyncConnection, command_id: str) -> Work | None:
    """One open command, decoded; None when it has ended."""
    row = (await connection.execute(sa.select(commands).where(commands.c.command_id == command_id))).one()
    return work_of(row) if row.is_open else None


def work_of(row: Any) -> Work:
    """A row of the journal, decoded."""
    envelope = wire.decode(bytes(row.envelope))
    return Work(
        command_id=row.command_id,
        kind=cast("Kind", row.kind),
        state=cast("State", row.state),
        attempts=row.attempts,
        planned_at=row.planned_at,
        sent_at=row.sent_at,
        envelope=envelope,
        command=cast("PostEntry | SaveAccount", unseal(envelope)),
        batch_id=row.batch_id,
        exact_id=row.exact_id,
    )


async def batch(connection: AsyncConnection, division: int, batch_id: str, states: Sequence[State]) -> list[Work]:
    """The open commands that were sent, or are to be sent, in one call: those in the states that such a call leaves."""
    where = (commands.c.division == division, commands.c.batch_id == batch_id, commands.c.is_open, commands.c.state.in_(states))
    return [work_of(row) for row in await connection.execute(sa.select(commands).where(*where).order_by(commands.c.sequence))]


async def in_doubt(
    connection: AsyncConnection, division: int, most: int, now: float, *, needs_account: bool = True
) -> list[Work]:
    """The oldest entries that Exact is looked at for before they are sent for the first time, of customers that it has."""
    of_customer = (accounts.c.division == commands.c.division) & (accounts.c.customer_ref == commands.c.customer_ref)
    has_account = [accounts.c.account_id.is_not(None)] if needs_account else []
    is_due = (commands.c.state == "unknown", commands.c.attempts == 0, commands.c.not_before <= now, commands.c.kind != "account")
    statement = (
        sa.select(commands)
        .outerjoin(accounts, of_customer)
        .where(commands.c.division == division, commands.c.is_open, *is_due, *has_account)
        .order_by(commands.c.sequence)
        .limit(most)
    )
    return [work_of(row) for row in await connection.execute(statement)]


def waits_for_day(rows: Any, now: float | sa.ColumnElement[float]) -> sa.ColumnElement[bool]:
    """Whether a row of the journal waits for the others of its day: it holds up nothing, since nothing builds on it."""
    is_later = rows.c.not_before > now + batches.GATHER_SECONDS
    return sa.and_(rows.c.kind == "ledger", rows.c.state == "planned", is_later)


async def mark(connection: AsyncConnection, division: int, command_id: str, epoch: int, state: State, **values: Any) -> None:
    """Move an open command to another state; raises LeaseLostError when another process has the division now.

    What became unknown meanwhile, since a person doubts the journal, is never sent: that is told by the same error.
    """
    await mark_all(connection, division, [command_id], epoch, state, **values)


async def mark_all(
    connection: AsyncConnection, division: int, command_ids: Sequence[str], epoch: int, state: State, **values: Any
) -> None:
    """Move open commands to another state in one statement; raises as `mark` does, also when that holds for some of them."""
    new = {"state": state, "is_open": state in OPEN, "epoch": epoch, **values}
    given = {"of_commands": command_ids, "of_division": division, "in_epoch": epoch}
    given |= {f"new_{name}": new[name] for name in new}
    marked = (await connection.execute(_marking(tuple(new), is_sending=state == "sent"), given)).rowcount
    if marked != len(command_ids):
        raise LeaseLostError(f"division {division} is no longer held in epoch {epoch}")


@cache
def _marking(names: tuple[str, ...], *, is_sending: bool) -> sa.Update:
    """Changes these columns of commands. Made once, since making it takes longer than carrying it out."""
    # Locked, so that a take-over waits for this transaction and then sees what it did, or this one sees the take-over.
    held = divisions.c.division == sa.bindparam("of_division")
    current = sa.select(divisions.c.epoch).where(held).with_for_update().scalar_subquery()
    of_commands = commands.c.command_id.in_(sa.bindparam("of_commands", expanding=True))
    sendable = [commands.c.state.in_(("planned", "prepared"))] if is_sending else []
    return (
        sa.update(commands)
        .where(of_commands, commands.c.is_open, current == sa.bindparam("in_epoch"), *sendable)
        .values({name: sa.bindparam(f"new_{name}") for name in names})
    )


async def mark_sent(
    connection: AsyncConnection, division: int, works: Sequence[Work], epoch: int, now: float, batch_id: str | None
) -> None:
    """Note that the call of a command, or of a batch of them, is about to leave."""
    for attempts, tried in by_attempts(works).items():
        values = {"sent_at": now, "attempts": attempts + 1, "batch_id": batch_id}
        await mark_all(connection, division, tried, epoch, "sent", **values)


def by_attempts(works: Sequence[Work]) -> dict[int, list[str]]:
    """The ids of commands by how often each was tried."""
    found: dict[int, list[str]] = {}
    for work in works:
        found.setdefault(work.attempts, []).append(work.command_id)
    return found


async def owners(connection: AsyncConnection, division: int, exact_ids: list[str]) -> dict[str, list[PostEntry]]:
    """Which of these entries of Exact are ours, with the commands that made them: several in mode ledger."""
    found: dict[str, list[PostEntry]] = {}
    for start in range(0, len(exact_ids), 500):
        statement = sa.select(commands.c.exact_id, commands.c.envelope, commands.c.is_linked).where(
            commands.c.division == division,
            commands.c.exact_id.in_(exact_ids[start : start + 500]),
            commands.c.kind != "account",
        )
        for row in await connection.execute(statement):
            command = unseal(wire.decode(bytes(row.envelope)))
            if isinstance(command, PostEntry):
                # Who booked it put nothing else into it as mode ledger does, and marked no lines as we would have.
                found.setdefault(row.exact_id, []).append(replace(command, mode="entry") if row.is_linked else command)
    return found
