"""The writer as it was at a moment: the commands that it had by then, how they had ended, and which customers stood in Exact.

Made of the mapper's log and its own. What no log holds is not in it: which command was being sent, how often it was tried, and
the mirror of Exact's master data and ledger, which only Exact can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from backbone.past import Types, beside, merged, whole_logs
from backbone.settings import Settings
from contracts import commands, facts
from contracts.envelope import Envelope
from contracts.messages import unseal
from exact_writer import account_book, journal
from exact_writer.account_book import Known
from exact_writer.announce import SOURCE
from exact_writer.tables import commands as journal_rows

PAGE = 500  # messages that are folded in one transaction
HEARD: Mapping[str, Types] = {
    "mapper": frozenset((commands.PostEntry.TYPE, commands.SaveAccount.TYPE)),
    SOURCE: frozenset(
        each.TYPE for each in (facts.EntryPosted, facts.EntryRefused, facts.AccountSaved, facts.AccountRefused)
    ),
}  # fmt: skip


async def writer_at(settings: Settings, until: datetime, directory: Path) -> int:
    """Make that state in a directory; returns of how many messages. Raises PastError."""
    count, page = 0, list[Envelope]()
    async with whole_logs(settings, HEARD) as logs, beside(directory, SOURCE) as past:
        async for said in merged(logs, HEARD):
            if said.time > until:
                continue
            count += 1
            page.append(said.recorded.envelope)
            if len(page) == PAGE:
                await _fold(past, page)
                page = []
        await _fold(past, page)
    return count


async def _fold(past: Database, page: list[Envelope]) -> None:
    async with past.transaction() as connection:
        for envelope in page:
            message = unseal(envelope)
            match message:
                case commands.PostEntry() | commands.SaveAccount():
                    await journal.plan(past, connection, envelope, message, envelope.time.timestamp())
                case facts.EntryPosted():
                    ended = {"exact_id": message.entry_id, "exact_number": message.entry_number, "is_linked": message.is_linked}
                    await _end(connection, message.command_id, state="posted", **ended)
                case facts.EntryRefused():
                    await _end(connection, message.command_id, state="refused", code=message.code, message=message.message)
                case facts.AccountSaved():
                    await _save_account(past, connection, envelope, message)
                case facts.AccountRefused() if envelope.causation is not None:
                    await _end(connection, envelope.causation, state="refused", code=message.code, message=message.message)
                case _:
                    pass


async def _save_account(past: Database, connection: AsyncConnection, envelope: Envelope, fact: facts.AccountSaved) -> None:
    """Know the customer by the version that was saved: the command that caused the fact has its fingerprint."""
    row = None
    if envelope.causation is not None:
        await _end(connection, envelope.causation, state="posted", exact_id=fact.account_id)
        wanted = journal_rows.c.command_id == envelope.causation
        row = (await connection.execute(sa.select(journal_rows).where(wanted))).one_or_none()
    command = journal.work_of(row).command if row is not None else None
    fingerprint = command.fingerprint if isinstance(command, commands.SaveAccount) else ""
    known = Known(account_id=fact.account_id, fingerprint=fingerprint, origin="created" if fact.created else "matched")
    await account_book.remember(past, connection, fact.division, fact.customer_ref, known)


async def _end(connection: AsyncConnection, command_id: str, **values: Any) -> None:
    mine = sa.update(journal_rows).where(journal_rows.c.command_id == command_id)
    await connection.execute(mine.values(is_open=False, **values))
