"""Puts a state that was made anew in the place of the mapper's, and says what was decided and never said."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from backbone.database import Database
from backbone.errors import KruispostError
from backbone.event_log import Position, Recorded
from backbone.past import newest
from contracts.commands import PostEntry, SaveAccount
from contracts.envelope import Envelope
from contracts.facts import DocumentHeld, DocumentRef, DocumentSetAside
from contracts.messages import unseal
from mapper import tables
from mapper.rebuild import PAGE
from mapper.store import Store

KEPT = (tables.resources, tables.documents, tables.accounts, tables.merged_customers, tables.periods)
_TYPES = frozenset((PostEntry.TYPE, SaveAccount.TYPE, DocumentHeld.TYPE, DocumentSetAside.TYPE))
_Reason = DocumentHeld | DocumentSetAside
# A plan that PostgreSQL keeps from when a table was empty reads all of it for each row once it is full.
_PLAN_ANEW = sa.text("SET LOCAL plan_cache_mode = force_custom_plan")


class ReplayError(KruispostError):
    """The state that was made anew cannot be put in the place of the present one."""

    def __init__(self, sentence: str) -> None:
        super().__init__("replay_refused", sentence)


async def pages(connection: AsyncConnection, table: sa.Table) -> AsyncIterator[list[Any]]:
    """Give the rows of a table by its key, page by page, so that memory does not grow with the history."""
    keys = list(table.primary_key.columns)
    after: tuple[Any, ...] | None = None
    while True:
        statement = sa.select(*table.c).order_by(*keys).limit(PAGE)
        if after is not None:
            bound = (sa.literal(value, key.type) for value, key in zip(after, keys, strict=True))
            statement = statement.where(sa.tuple_(*keys) > sa.tuple_(*bound))
        page = list(await connection.execute(statement))
        if not page:
            return
        yield page
        after = tuple(getattr(page[-1], key.name) for key in keys)


async def install(scratch: Database, present: Database, before: Position) -> None:
    """Put the rebuilt tables in the place of the present ones, all or nothing.

    Raises ReplayError when the mapper's log has grown beyond `before`.
    """
    async with scratch.reading() as made, present.transaction() as connection:
        await _alone(present, connection, before)
        for table in KEPT:
            await connection.execute(sa.delete(table))
            async for page in pages(made, table):
                await connection.execute(sa.insert(table), [each._asdict() for each in page])


@dataclass(slots=True)
class Missing:
    """What the present log does not have: commands for the writer, and reasons why documents are not booked."""

    commands: int = 0
    reasons: int = 0

    def count(self, rows: Sequence[tuple[str, int, Envelope]]) -> None:
        """Add some."""
        for _, _, envelope in rows:
            if envelope.type in (PostEntry.TYPE, SaveAccount.TYPE):
                self.commands += 1
            else:
                self.reasons += 1


async def send_what_is_missing(scratch: Database, present: Database, before: Position | None) -> Missing:
    """Append what the present log does not have: customers, entries that Exact has not taken yet, and why others are not booked.

    Returns how many. Without `before` they are only counted; else they go a page a transaction, since no service's log is read on
    while one lasts. Stopped halfway and run again it finds the rest. Raises ReplayError when others have written meanwhile.
    """
    found = Missing()
    after = event_log.START
    async with scratch.reading() as made:
        while page := await event_log.read_after(made, after, PAGE, _TYPES):
            after = page[-1].position
            wanted = await _wanted(made, page)
            if not wanted:
                continue
            if before is None:
                async with present.reading() as connection:
                    found.count(await _missing(connection, wanted))
                continue
            async with present.transaction() as connection:
                await _alone(present, connection, before)
                rows = await _missing(connection, wanted)
                await event_log.append_at(connection, rows)
                before = await newest(connection)
            found.count(rows)
    return found


async def _alone(present: Database, connection: AsyncConnection, before: Position) -> None:
    if present.dialect == "postgresql":
        await connection.execute(_PLAN_ANEW)
    await Store(present, connection).share(alone=True)
    if await newest(connection) != before:
        raise ReplayError("The mapper wrote into its log during the replay; stop it, then try again.")


async def _wanted(made: AsyncConnection, page: Sequence[Recorded]) -> list[Recorded]:
    """Those that still hold: an entry that was booked needs no command any more, nor does what is booked a reason why not."""
    messages = [(recorded, unseal(recorded.envelope)) for recorded in page]
    column = tables.documents.c
    ids = [message.command_id for _, message in messages if isinstance(message, PostEntry)]
    planned = sa.select(column.command_id).where(column.command_id.in_(ids), column.state == "planned")
    open_ids = set((await made.execute(planned)).scalars())
    numbers = [message.document.number for _, message in messages if isinstance(message, _Reason)]
    rows = await made.execute(sa.select(*tables.documents.primary_key, column.code).where(column.number.in_(numbers)))
    codes = {(row.site, row.kind, row.number, row.suffix): row.code for row in rows}

    def holds(message: object) -> bool:
        if isinstance(message, PostEntry):
            return message.command_id in open_ids
        return not isinstance(message, _Reason) or codes.get(_key(message.document)) == message.code

    # Of a reason that was told, and told again after another one, the last one counts.
    last = {_key(message.document): recorded for recorded, message in messages if isinstance(message, _Reason)}
    return [
        recorded
        for recorded, message in messages
        if holds(message) and (not isinstance(message, _Reason) or last[_key(message.document)] is recorded)
    ]


def _key(ref: DocumentRef) -> tuple[str, str, str, str]:
    return ref.site, ref.kind, ref.number, ref.suffix


async def _missing(connection: AsyncConnection, wanted: Sequence[Recorded]) -> list[tuple[str, int, Envelope]]:
    """Those that nothing in the present log says, each with the version it takes in its stream."""
    there = await event_log.read_streams(connection, (recorded.stream for recorded in wanted))
    known = {stream: [unseal(each.envelope) for each in recorded] for stream, recorded in there.items()}
    versions = {stream: recorded[-1].version if recorded else 0 for stream, recorded in there.items()}
    rows = []
    for recorded in wanted:
        stream, message = recorded.stream, unseal(recorded.envelope)
        if any(_says_the_same(message, each) for each in known[stream]):
            continue
        versions[stream] += 1
        known[stream].append(message)
        rows.append((stream, versions[stream], recorded.envelope))
    return rows


def _says_the_same(one: object, other: object) -> bool:
    if isinstance(one, PostEntry):
        return isinstance(other, PostEntry) and one.command_id == other.command_id
    if isinstance(one, _Reason):
        return isinstance(other, _Reason) and (_key(one.document), one.code) == (_key(other.document), other.code)
    return isinstance(one, SaveAccount) and isinstance(other, SaveAccount) and one.division == other.division
