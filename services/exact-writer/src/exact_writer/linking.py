"""Looks in Exact's ledger for documents that somebody else may have booked, and links them; nothing of it is posted again.

The ledger is read a thousand lines a call, once for all commands that came before. A command waits as unknown until it was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, cast

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.database import Database
from contracts.commands import PostEntry
from contracts.ledger import LedgerLine
from exact_writer import account_book, batches, journal, ledger_lines, standing
from exact_writer.calls import SHADOW_SECONDS
from exact_writer.journal import Work
from exact_writer.mirror import Mirror
from exact_writer.outcomes import Outcomes
from exact_writer.precheck import DEBTORS, Problem
from exact_writer.schedule import State
from exact_writer.standing import Differs, Standing
from exact_writer.tables import commands
from exact_writer.tables import ledger_lines as table
from exact_writer.words import say

LOOK_AGAIN_SECONDS: Final = 1.0
DAYS_AROUND: Final = timedelta(days=62)  # where an entry of the customer is looked for that names the document in its text only
_COLUMNS: Final = tuple(table.c[name] for name in LedgerLine.__struct_fields__)


def is_for(work: Work) -> bool:
    """Whether a command waits to be looked for here: it was not sent from this journal yet."""
    command = work.command
    return isinstance(command, PostEntry) and (command.may_exist or command.linked is not None) and work.attempts == 0


class Linker:
    """Links the commands of one division.

    While commands keep coming in the ledger is read every `read_seconds`, so that it takes few of a minute's calls.
    """

    def __init__(
        self,
        division: int,
        *,
        database: Database,
        clock: Clock,
        mirror: Mirror,
        outcomes: Outcomes,
        read_seconds: float,
        is_shadow: bool = False,
    ) -> None:
        self._is_shadow = is_shadow
        self._read_seconds = read_seconds
        self._division = division
        self._database = database
        self._clock = clock
        self._mirror = mirror
        self._outcomes = outcomes

    async def look(self, work: Work, epoch: int) -> None:
        """Link a command, ask a person about it, or let it be posted; without a fresh ledger it waits for one.

        Others that wait for the same are done with it, so that what is left goes together in mode ledger.
        """
        later = await self._read_at(work.planned_at)
        if later is not None:
            async with self._database.transaction() as connection:
                await journal.mark(connection, self._division, work.command_id, epoch, "unknown", not_before=later)
            return
        await self._decide(work, epoch)
        await self.look_waiting(epoch)

    async def look_waiting(self, epoch: int) -> bool:
        """Decide about what waits to be looked for, as far as the ledger was read since; say whether there was any.

        In shadow mode also about what waits for its customer's account, which we do not write.
        """
        async with self._database.reading() as connection:
            most, now = batches.MOST_DOCUMENTS, self._now()
            waiting = await journal.in_doubt(connection, self._division, most, now, needs_account=not self._is_shadow)
        done = False
        for each in waiting:
            if is_for(each) and await self._read_at(each.planned_at) is None:
                await self._decide(each, epoch)
                done = True
        return done

    async def _decide(self, work: Work, epoch: int) -> None:
        command = cast("PostEntry", work.command)
        async with self._database.reading() as connection:
            known = await account_book.find(connection, self._division, command.customer_ref)
            found = await self._entries(connection, command, known.account_id if known else None)
        if command.linked is not None:
            await self._link_named(work, command, found, epoch)
            return
        verdict = standing.judge(command, known.account_id if known else None, found)
        if isinstance(verdict, Standing):
            await self._link(work, command, verdict, epoch)
        elif isinstance(verdict, Differs):
            problem = await self._problem(command, known.account_id if known else None, verdict)
            await self._outcomes.refused_unsent(work, epoch, problem)
        else:
            # One that waits for the others of its day goes on waiting for them.
            at = batches.earliest(command, 0.0) if work.kind == "ledger" else 0.0
            state: State = "planned" if at > self._now() else "prepared"
            if self._is_shadow:
                state, at = "unknown", self._now() + SHADOW_SECONDS  # another connector may book it yet
            async with self._database.transaction() as connection:
                await journal.mark(connection, self._division, work.command_id, epoch, state, not_before=at)

    async def _read_at(self, planned_at: float) -> float | None:
        """None when the ledger was read since a command came; else when to look again. Asks for a reading where nobody does."""
        async with self._database.reading() as connection:
            reading = await ledger_lines.reading(connection, self._division)
        if reading.read_at is not None and reading.read_at >= planned_at:
            return None
        now, next_reading = self._now(), (reading.read_at or 0.0) + self._read_seconds
        if reading.is_wanted or next_reading > now:
            return max(next_reading, now + LOOK_AGAIN_SECONDS)
        async with self._database.transaction() as connection:
            await ledger_lines.ask(self._database, connection, self._division)
        return now + LOOK_AGAIN_SECONDS

    async def _entries(self, connection: AsyncConnection, command: PostEntry, account_id: str | None) -> list[Standing]:
        """What other people's entries say of the document."""
        own, _ = standing.numbers_of(command)
        days = (command.entry_date - DAYS_AROUND, command.entry_date + DAYS_AROUND)
        where: list[Any] = [table.c.your_ref.in_(sorted(own))]
        if account_id is not None:
            where.append(sa.and_(table.c.relation_id == account_id, table.c.day.between(*days)))
        if command.linked is not None:
            where = [table.c.entry_id == command.linked.entry_id]
        ids: set[str] = set()
        for each in where:  # each by its own index
            rows = await connection.execute(sa.select(table.c.entry_id).where(table.c.division == self._division, each))
            ids.update(rows.scalars())
        by_entry: dict[str, list[LedgerLine]] = {}
        lines = sa.select(*_COLUMNS).where(table.c.division == self._division, table.c.entry_id.in_(sorted(ids)))
        for row in await connection.execute(lines.order_by(table.c.entry_id, table.c.line_number)):
            line = LedgerLine(**row._asdict())
            by_entry.setdefault(line.entry_id, []).append(line)
        ours, shared = await self._owned(connection, sorted(by_entry))
        found = []
        for entry_id, of_entry in by_entry.items():
            debtors = self._debtors(of_entry, command)
            one = standing.standing_of(command, of_entry, debtors, is_shared=entry_id in shared)
            if one is not None and entry_id not in ours:
                found.append(one)
        return sorted(found, key=lambda each: (each.day, each.entry_number))

    async def _owned(self, connection: AsyncConnection, entry_ids: Sequence[str]) -> tuple[set[str], set[str]]:
        """Which of these entries we booked, and which are linked to other documents."""
        statement = sa.select(commands.c.exact_id, commands.c.is_linked).where(
            commands.c.division == self._division, commands.c.exact_id.in_(entry_ids), commands.c.kind != "account"
        )
        rows = (await connection.execute(statement)).all()
        return {row.exact_id for row in rows if not row.is_linked}, {row.exact_id for row in rows if row.is_linked}

    def _debtors(self, lines: Sequence[LedgerLine], command: PostEntry) -> set[str]:
        """The ledgers of debts among those of an entry."""
        found = {line.account for line in lines if (known := self._mirror.find("ledger", line.account)) and known.type == DEBTORS}
        return found | ({command.receivable_account} if command.receivable_account else set())

    async def _link_named(self, work: Work, command: PostEntry, found: Sequence[Standing], epoch: int) -> None:
        """Link what a person named, whatever differs; it is refused where Exact has it no more, or it is another document's."""
        if found:
            await self._link(work, command, found[0], epoch)
            return
        entry = command.linked.entry_number if command.linked is not None else 0
        problem = Problem(code="linked_entry_gone", told=say("linked_entry_gone", entry=entry))
        await self._outcomes.refused_unsent(work, epoch, problem)

    async def _link(self, work: Work, command: PostEntry, entry: Standing, epoch: int) -> None:
        entity: dict[str, Any] = {
            "EntryNumber": entry.entry_number,
            "ReportingYear": entry.year,
            "ReportingPeriod": entry.period,
            "Currency": entry.currency,
        }
        rate = command.exchange_rate
        if entry.currency == command.currency != self._mirror.currency and entry.hundredths:
            # Its credit notes and payments go at the rate that it stands at.
            rate = round(Decimal(entry.base_hundredths) / Decimal(entry.hundredths), 6)
        # Who booked it may have attached a PDF.
        command = replace(command, exchange_rate=rate, pdf=False)
        async with self._database.transaction() as connection:
            await self._outcomes.posted(
                connection, work, command, entry.entry_id, entity, epoch, found=True, linked_journal=entry.journal
            )

    async def _problem(self, command: PostEntry, account_id: str | None, differs: Differs) -> Problem:
        ids = {each for entry in differs.entries for each in entry.account_ids} | ({account_id} if account_id else set())
        names = {record.account_id: record.label.strip() for record in await self._mirror.accounts.get(sorted(ids))}
        told = standing.told(command, names.get(account_id or "", command.document.customer_id), differs, names)
        return Problem(code="exists_otherwise", told=told)

    def _now(self) -> float:
        return self._clock.now().timestamp()
