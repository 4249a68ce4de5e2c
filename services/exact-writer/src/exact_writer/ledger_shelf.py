"""Exact's ledger as the writer keeps it, for `kruispost reconcile`: read by pages, and brought up to date when asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date
from typing import Any, Final

import sqlalchemy as sa

from backbone import event_log
from backbone.database import Database
from backbone.errors import KruispostError
from contracts.envelope import Envelope, Message
from contracts.facts import EntryPosted, EntryRefused
from contracts.ledger import LedgerLine, LedgerOwner, LedgerState, LedgerYear
from contracts.messages import unseal
from exact_writer import adopting, announce, ledger_lines, ledger_year
from exact_writer.tables import accounts, commands
from exact_writer.tables import ledger_lines as table

PAGE_LINES: Final = 2_000
LOOK_SECONDS: Final = 0.2
_FIELDS: Final = tuple(LedgerLine.__struct_fields__)
_COLUMNS: Final = tuple(table.c[name] for name in _FIELDS)
_ENTRIES_A_STATEMENT: Final = 500


class NotFreshError(KruispostError):
    """The ledger could not be read now; `reason` is a clause."""

    def __init__(self, division: int, reason: str) -> None:
        sentence = (
            f"Exact's ledger of division {division} could not be read up to now: {reason}. Try again later, or use --wait 0 for"
            " what was read before."
        )
        super().__init__("ledger_not_read", sentence)


class LedgerShelf:
    """The ledger of all divisions. `read_in_its_place` reads one where no writer acts, and says whether it could act there."""

    def __init__(self, database: Database, read_in_its_place: Callable[[int, int, float], Awaitable[bool]]) -> None:
        self._database = database
        self._read_in_its_place = read_in_its_place

    async def refresh(self, division: int, patience_seconds: float) -> LedgerState:
        """Have the ledger read up to now, by the writer that acts in the division or in its place; raises NotFreshError."""
        async with self._database.transaction() as connection:
            wish = await ledger_lines.ask(self._database, connection, division)
        try:
            async with asyncio.timeout(patience_seconds):
                while not await self._is_answered(division, wish):
                    if not await self._read_in_its_place(division, wish, patience_seconds):
                        await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError as error:
            waiting = await self._commands_waiting(division)
            behind = f"; {waiting} bookings go first" if waiting else ""
            reason = f"no writer has read it within {patience_seconds:.0f} seconds{behind}"
            raise NotFreshError(division, reason) from error
        return await self.state(division)

    async def state(self, division: int) -> LedgerState:
        """How far the ledger of a division was read."""
        async with self._database.reading() as connection:
            found = await ledger_lines.reading(connection, division)
        return LedgerState(read_at=found.read_at, sees_deletions=found.sees_deletions)

    async def posted(self, command_ids: Sequence[str]) -> list[tuple[EntryPosted, float]]:
        """What was said of commands that were booked, and when (unix seconds, by the clock of `LedgerState.read_at`)."""
        said = await self._said(command_ids)
        return [(fact, at) for fact, at in said if isinstance(fact, EntryPosted)]

    async def refused(self, command_ids: Sequence[str]) -> set[str]:
        """Those of these commands of which the last word is that they were refused."""
        return {fact.command_id for fact, _ in await self._said(command_ids) if isinstance(fact, EntryRefused)}

    async def _said(self, command_ids: Sequence[str]) -> list[tuple[Message, float]]:
        streams = [announce.entry_stream(command_id) for command_id in command_ids]
        async with self._database.reading() as connection:
            recorded = await event_log.read_last_of(connection, streams)
        return [(unseal(each.envelope), each.envelope.time.timestamp()) for each in recorded]

    async def of_entries(self, division: int, entry_ids: Sequence[str]) -> list[LedgerLine]:
        """The lines of these entries."""
        return await self._of(division, table.c.entry_id, entry_ids)

    async def numbered(self, division: int, entry_numbers: Sequence[int]) -> list[LedgerLine]:
        """The lines of entries by their numbers, which several journals may share."""
        return await self._of(division, table.c.entry_number, entry_numbers)

    async def _of(self, division: int, column: sa.Column[Any], values: Sequence[Any]) -> list[LedgerLine]:
        found = []
        async with self._database.reading() as connection:
            for start in range(0, len(values), _ENTRIES_A_STATEMENT):
                where = (table.c.division == division, column.in_(values[start : start + _ENTRIES_A_STATEMENT]))
                found += [_line(row) for row in await connection.execute(sa.select(*_COLUMNS).where(*where))]
        return found

    async def strangers(self, division: int, journals: Sequence[str], first: date, last: date) -> AsyncIterator[LedgerLine]:
        """Lines of these journals and days whose entry no command of ours made, by day and entry."""
        ours = sa.exists().where(commands.c.division == table.c.division, commands.c.exact_id == table.c.entry_id)
        async for row in self._by_day(division, first, last, sa.select(*_COLUMNS).where(table.c.journal.in_(journals), ~ours)):
            yield _line(row)

    async def strangers_on(self, division: int, accounts: Sequence[str], last: date) -> list[LedgerLine]:
        """Lines on these ledger accounts, up to a day, whose entry no command of ours made."""
        ours = sa.exists().where(commands.c.division == table.c.division, commands.c.exact_id == table.c.entry_id)
        mine = (table.c.division == division, table.c.account.in_(accounts), table.c.day <= last, table.c.line_number > 0)
        async with self._database.reading() as connection:
            return [_line(row) for row in await connection.execute(sa.select(*_COLUMNS).where(*mine, ~ours))]

    async def owners(self, division: int, first: date, last: date) -> AsyncIterator[LedgerOwner]:
        """Which commands made the entries of these days; one of several documents has several."""
        entries = sa.select(table.c.day, table.c.entry_id, table.c.line_id, table.c.entry_number)
        numbers: dict[str, int] = {}
        async for row in self._by_day(division, first, last, entries):
            numbers[row.entry_id] = row.entry_number
            if len(numbers) > _ENTRIES_A_STATEMENT:
                last_entry = numbers.popitem()  # its lines may go on
                for owner in await self._owners_of(division, numbers):
                    yield owner
                numbers = dict([last_entry])
        for owner in await self._owners_of(division, numbers):
            yield owner

    async def booked_under(self, division: int, references: Sequence[str]) -> dict[str, LedgerOwner]:
        """What we booked under these references, as our journal has it."""
        columns = (commands.c.command_id, commands.c.your_ref, commands.c.exact_id, commands.c.exact_number)
        where = (commands.c.division == division, commands.c.your_ref.in_(references), commands.c.state == "posted")
        async with self._database.reading() as connection:
            # The newest of a reference counts: what was deleted in Exact may have been booked again.
            found = sa.select(*columns).where(*where, commands.c.kind != "account").order_by(commands.c.sequence)
            rows = await connection.execute(found)
            return {
                row.your_ref: LedgerOwner(
                    command_id=row.command_id,
                    your_ref=row.your_ref,
                    entry_id=row.exact_id or "",
                    entry_number=row.exact_number or 0,
                )
                for row in rows
            }

    async def year(self, division: int, year: int) -> LedgerYear:
        """What the lines of a financial year come to, and what they name."""
        async with self._database.reading() as connection:
            return await ledger_year.year_of(connection, division, year)

    def lines_of_year(self, division: int, year: int) -> AsyncIterator[LedgerLine]:
        """The lines of a financial year by journal, entry, period and line."""
        return ledger_year.lines_of_year(self._database, division, year)

    async def customers(self, division: int, relation_ids: Sequence[str]) -> dict[str, list[str]]:
        """The customers of Chargebee (`site/id`) that stand in Exact as these accounts."""
        found: dict[str, list[str]] = {}
        where = (accounts.c.division == division, accounts.c.account_id.in_(relation_ids))
        async with self._database.reading() as connection:
            for row in await connection.execute(sa.select(accounts.c.account_id, accounts.c.customer_ref).where(*where)):
                found.setdefault(row.account_id, []).append(row.customer_ref)
        return found

    async def doubt(self, division: int, until: float) -> int:
        """Let every entry that waits, and every one that comes up to an instant, be looked for in Exact before it is posted."""
        async with self._database.transaction() as connection:
            return await adopting.doubt(self._database, connection, division, until)

    async def take_back(self, envelopes: Sequence[Envelope], now: float) -> int:
        """Take commands of a journal that was lost into this one; those that it has are left. Returns how many were new."""
        async with self._database.transaction() as connection:
            return await adopting.take_back(self._database, connection, envelopes, now)

    async def _by_day(self, division: int, first: date, last: date, statement: sa.Select[Any]) -> AsyncIterator[Any]:
        place = (table.c.day, table.c.entry_id, table.c.line_id)
        statement = statement.where(table.c.division == division, table.c.day <= last).order_by(*place).limit(PAGE_LINES)
        after: tuple[Any, ...] | None = None
        while True:
            # One lower bound only: with the first day beside it SQLite would read a whole day for each of its pages.
            if after is None:
                page = statement.where(table.c.day >= first)
            else:
                here = (sa.literal(after[0], sa.Date()), sa.literal(after[1]), sa.literal(after[2]))
                page = statement.where(sa.tuple_(*place) > sa.tuple_(*here))
            async with self._database.reading() as connection:
                rows = list(await connection.execute(page))
            for row in rows:
                yield row
            if len(rows) < PAGE_LINES:
                return
            after = (rows[-1].day, rows[-1].entry_id, rows[-1].line_id)

    async def _owners_of(self, division: int, numbers: dict[str, int]) -> list[LedgerOwner]:
        columns = (commands.c.command_id, commands.c.your_ref, commands.c.exact_id)
        where = (commands.c.division == division, commands.c.exact_id.in_(list(numbers)), commands.c.kind != "account")
        async with self._database.reading() as connection:
            rows = await connection.execute(sa.select(*columns).where(*where))
            return [
                LedgerOwner(
                    command_id=row.command_id, your_ref=row.your_ref, entry_id=row.exact_id, entry_number=numbers[row.exact_id]
                )
                for row in rows
            ]

    async def _is_answered(self, division: int, wish: int) -> bool:
        async with self._database.reading() as connection:
            return (await ledger_lines.reading(connection, division)).answered >= wish

    async def _commands_waiting(self, division: int) -> int:
        statement = sa.select(sa.func.count()).select_from(commands).where(commands.c.division == division, commands.c.is_open)
        async with self._database.reading() as connection:
            return int(await connection.scalar(statement) or 0)


def _line(row: Any) -> LedgerLine:
    return LedgerLine(**dict(zip(_FIELDS, row, strict=True)))
