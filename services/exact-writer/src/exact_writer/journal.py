"""The command journal: planned, prepared, sent, then posted, refused or unknown.

A command is `sent` in the database before its call leaves. A process that finds one sent by another, or by itself before it died,
makes it `unknown`, and looks Exact up before it sends again. Every change checks the epoch: who lost the
division changes nothing.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from contracts import envelope as wire
from contracts.commands import PostEntry, SaveAccount
from contracts.envelope import Envelope
from contracts.messages import unseal
from exact_writer.schedule import OPEN, Candidate, Kind, State
from exact_writer.tables import accounts, commands, divisions

CANDIDATES = 200


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


async def plan(database: Database, connection: AsyncConnection, envelope: Envelope, command: Any, now: float) -> None:
    """Take a command into the journal; one that is there already changes nothing."""
    entry = command if isinstance(command, PostEntry) else None
    values = {
        "command_id": entry.command_id if entry else envelope.id,
        "division": command.division,
        "kind": entry.kind if entry else "account",
        "customer_ref": command.customer_ref,
        "your_ref": entry.your_ref if entry else "",
        "state": "planned",
        "is_open": True,
        "planned_at": now,
        "envelope": wire.encode(envelope),
    }
    await connection.execute(database.insert(commands).values(values).on_conflict_do_nothing(index_elements=["command_id"]))


async def take_over(database: Database, connection: AsyncConnection, division: int, first_look_seconds: float) -> int:
    """Become the holder of a division: returns the new epoch. What was sent is unknown now, and looked up soon."""
    insert = database.insert(divisions).values(division=division, epoch=1)
    raised = insert.on_conflict_do_update(index_elements=["division"], set_={"epoch": divisions.c.epoch + 1})
    epoch = (await connection.execute(raised.returning(divisions.c.epoch))).scalar_one()
    await connection.execute(
        sa.update(commands)
        .where(commands.c.division == division, commands.c.is_open, commands.c.state == "sent")
        .values(state="unknown", not_before=commands.c.sent_at + first_look_seconds)
    )
    return int(epoch)


async def candidates(connection: AsyncConnection, division: int) -> list[Candidate]:
    """The oldest open commands; entries whose account is not known cannot be posted and are left out."""
    statement = (
        sa.select(
            commands.c.sequence,
            commands.c.command_id,
            commands.c.kind,
            commands.c.customer_ref,
            commands.c.state,
            commands.c.not_before,
        )
        .outerjoin(accounts, (accounts.c.division == commands.c.division) & (accounts.c.customer_ref == commands.c.customer_ref))
        .where(
            commands.c.division == division,
            commands.c.is_open,
            (commands.c.kind == "account") | accounts.c.account_id.is_not(None),
        )
        .order_by(commands.c.sequence)
        .limit(CANDIDATES)
    )
    return [
        Candidate(
            sequence=row.sequence,
            command_id=row.command_id,
            kind=cast("Kind", row.kind),
            customer_ref=row.customer_ref,
            state=cast("State", row.state),
            not_before=row.not_before,
            has_account=True,
        )
        for row in await connection.execute(statement)
    ]


async def load(connection: AsyncConnection, command_id: str) -> Work | None:
    """One open command, decoded; None when it has ended."""
    row = (await connection.execute(sa.select(commands).where(commands.c.command_id == command_id))).one()
    if not row.is_open:
        return None
    envelope = wire.decode(bytes(row.envelope))
    return Work(
        command_id=command_id,
        kind=cast("Kind", row.kind),
        state=cast("State", row.state),
        attempts=row.attempts,
        planned_at=row.planned_at,
        sent_at=row.sent_at,
        envelope=envelope,
        command=cast("PostEntry | SaveAccount", unseal(envelope)),
    )


async def mark(connection: AsyncConnection, division: int, command_id: str, epoch: int, state: State, **values: Any) -> None:
    """Move an open command to another state; raises LeaseLostError when another process has the division now."""
    current = sa.select(divisions.c.epoch).where(divisions.c.division == division).scalar_subquery()
    statement = (
        sa.update(commands)
        .where(commands.c.command_id == command_id, commands.c.is_open, current == epoch)
        .values(state=state, is_open=state in OPEN, epoch=epoch, **values)
    )
    if (await connection.execute(statement)).rowcount != 1:
        raise LeaseLostError(f"division {division} is no longer held in epoch {epoch}")


async def mark_sent(connection: AsyncConnection, division: int, work: Work, epoch: int, now: float) -> None:
    """Note that a command's call is about to leave."""
    await mark(connection, division, work.command_id, epoch, "sent", sent_at=now, attempts=work.attempts + 1)


async def owners(connection: AsyncConnection, division: int, exact_ids: list[str]) -> dict[str, PostEntry]:
    """Which of these entries of Exact are ours, with the command that made them."""
    found: dict[str, PostEntry] = {}
    for start in range(0, len(exact_ids), 500):
        statement = sa.select(commands.c.exact_id, commands.c.envelope).where(
            commands.c.division == division,
            commands.c.exact_id.in_(exact_ids[start : start + 500]),
            commands.c.kind != "account",
        )
        for row in await connection.execute(statement):
            command = unseal(wire.decode(bytes(row.envelope)))
            if isinstance(command, PostEntry):
                found[row.exact_id] = command
    return found


async def waiting(connection: AsyncConnection, division: int) -> int:
    """How many commands have not ended."""
    statement = sa.select(sa.func.count()).select_from(commands).where(commands.c.division == division, commands.c.is_open)
    return int((await connection.execute(statement)).scalar_one())
