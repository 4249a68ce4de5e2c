"""Puts a state that was made anew in the place of the mapper's, and says what was decided and never said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
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
from contracts.facts import DocumentHeld, DocumentSetAside
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


Name = tuple[str, str, str, str]  # site, kind, number and suffix of a booking


async def pages(connection: AsyncConnection, table: sa.Table, *columns: sa.Column[Any]) -> AsyncIterator[list[Any]]:
    """Give columns of a table, its key among them, by its key and page by page, so that memory does not grow with the history."""
    keys = list(table.primary_key.columns)
    after: tuple[Any, ...] | None = None
    while True:
        statement = sa.select(*columns).order_by(*keys).limit(PAGE)
        if after is not None:
            bound = (sa.literal(value, key.type) for value, key in zip(after, keys, strict=True))
            statement = statement.where(sa.tuple_(*keys) > sa.tuple_(*bound))
        page = list(await connection.execute(statement))
        if not page:
            return
        yield page
        after = tuple(getattr(page[-1], key.name) for key in keys)


def name_of(booking: Any) -> Name:
    """Return the name of a row, or of what a message says of one."""
    return booking.site, booking.kind, booking.number, booking.suffix


async def bookings_of(connection: AsyncConnection, names: Iterable[Name], *columns: sa.Column[Any]) -> dict[Name, Any]:
    """Return these columns of the bookings of some documents, by name; those of their other bookings as well."""
    column = tables.documents.c
    numbers: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for site, kind, number, _ in names:
        numbers[site, kind].add(number)
    found: dict[Name, Any] = {}
    for (site, kind), some in numbers.items():  # which the key begins with: by the number alone every row would be read
        where = (column.site == site, column.kind == kind, column.number.in_(sorted(some)))
        found |= {name_of(row): row for row in await connection.execute(sa.select(*columns).where(*where))}
    return found


async def install(scratch: Database, present: Database, before: Position) -> None:
    """Put the rebuilt tables in the place of the present ones, all or nothing.

    Raises ReplayError when the mapper's log has grown beyond `before`.
    """
    async with scratch.reading() as made, present.transaction() as connection:
        await _alone(present, connection, before)
        for table in KEPT:
            await connection.execute(sa.delete(table))
            async for page in pages(made, table, *table.c):
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
    # The state is looked at here: SQLite would rather read all that are planned than find each by its command.
    rows = await made.execute(sa.select(column.command_id, column.state).where(column.command_id.in_(ids)))
    open_ids = {command_id for command_id, state in rows if state == "planned"}
    names = [name_of(message.document) for _, message in messages if isinstance(message, _Reason)]
    reasons = await bookings_of(made, names, *tables.documents.primary_key.columns, column.code)
    codes = {name: row.code for name, row in reasons.items()}

    def holds(message: object) -> bool:
        if isinstance(message, PostEntry):
            return message.command_id in open_ids
        return not isinstance(message, _Reason) or codes.get(name_of(message.document)) == message.code

    # Of a reason that was told, and told again after another one, the last one counts.
    last = {name_of(message.document): recorded for recorded, message in messages if isinstance(message, _Reason)}
    return [
        recorded
        for recorded, message in messages
        if holds(message) and (not isinstance(message, _Reason) or last[name_of(message.document)] is recorded)
    ]


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
        return isinstance(other, _Reason) and (name_of(one.document), one.code) == (name_of(other.document), other.code)
    return isinstance(one, SaveAccount) and isinstance(other, SaveAccount) and one.division == other.division
