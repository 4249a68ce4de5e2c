"""A person asks the writer for something: the PDF of a booked document, or that a waiting one goes first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.configuration import Configuration
from backbone.database import Database
from contracts import envelope as wire
from contracts.commands import PostEntry
from contracts.messages import unseal
from exact_writer import attachments, journal
from exact_writer.installation import in_the_writers_database
from exact_writer.tables import accounts, commands
from exact_writer.tables import attachments as pdfs

Question = Callable[[Database, AsyncConnection, Configuration, str, int | None], Awaitable[list[dict[str, Any]]]]
GOES_FIRST = "It goes to Exact before all that waits."
WITHOUT_ACCOUNT = "It waits for its customer, whom Exact did not take; `kruispost trace` says why."
ENDED = {"posted": "It is booked already.", "refused": "Exact refused it; `kruispost trace` says why, and what to do."}
WITH_PDF = ("invoice", "credit_note")
QUEUED = "Its PDF is queued; it is attached before all that waits, as soon as Chargebee has given it."
NEVER = "The division's policy is that no PDF is attached (pdf: {policy: never})."
STANDS = {
    "attached": "Its PDF is attached already.",
    "waiting": "Its PDF is queued already.",
}
UNDER_WAY = "Its PDF is on its way already."


def ask_for_pdf(number: str, division: int | None) -> list[dict[str, Any]]:
    """Queue the PDFs of what is booked under a number; say for each division what becomes of it. Raises KruispostError."""
    return _ask(queue, number, division)


def ask_to_hurry(number: str, division: int | None) -> list[dict[str, Any]]:
    """Let what waits under a number go first; say for each command what becomes of it. Raises KruispostError."""
    return _ask(hurry, number, division)


def _ask(what: Question, number: str, division: int | None) -> list[dict[str, Any]]:
    async def ask(database: Database, connection: AsyncConnection, configuration: Configuration) -> list[dict[str, Any]]:
        return await what(database, connection, configuration, number, division)

    return in_the_writers_database(ask)


async def hurry(
    _: Database, connection: AsyncConnection, configuration: Configuration, number: str, division: int | None
) -> list[dict[str, Any]]:
    """Move the commands of a reference to the class that goes first, with what they have to wait for."""
    statement = sa.select(commands).where(commands.c.your_ref == number, commands.c.kind != "account")
    if division is not None:
        statement = statement.where(commands.c.division == division)
    found = []
    for row in (await connection.execute(statement.order_by(commands.c.sequence))).all():
        command = unseal(wire.decode(bytes(row.envelope)))
        if row.division not in configuration.divisions or not isinstance(command, PostEntry):
            continue
        if row.is_open:
            await journal.raise_earlier(connection, command, "person")
            sentence = GOES_FIRST if await _can_go(connection, command) else WITHOUT_ACCOUNT
        else:
            sentence = ENDED[row.state]
        found.append({"division": row.division, "document": command.document.number, "sentence": sentence})
    return found


async def _can_go(connection: AsyncConnection, command: PostEntry) -> bool:
    """Whether the customer has an account in Exact, or one on its way: without it the entry waits, whatever its class."""
    ref = command.customer_ref
    known = sa.select(accounts.c.account_id).where(
        accounts.c.division == command.division, accounts.c.customer_ref == ref, accounts.c.account_id.is_not(None)
    )
    coming = sa.select(commands.c.command_id).where(
        commands.c.division == command.division, commands.c.customer_ref == ref, commands.c.is_open, commands.c.kind == "account"
    )
    return ref == journal.NOBODY or await connection.scalar(sa.select(sa.exists(known) | sa.exists(coming))) is True


async def queue(
    database: Database, connection: AsyncConnection, configuration: Configuration, number: str, division: int | None
) -> list[dict[str, Any]]:
    """Queue the PDFs of the entries under a reference, each unless it is attached or under way."""
    statement = sa.select(commands.c.command_id, commands.c.division, commands.c.envelope).where(
        commands.c.your_ref == number, commands.c.state == "posted", commands.c.kind != "account"
    )
    if division is not None:
        statement = statement.where(commands.c.division == division)
    found = []
    for row in (await connection.execute(statement)).all():
        command = unseal(wire.decode(bytes(row.envelope)))
        if not isinstance(command, PostEntry) or command.document.kind not in WITH_PDF:
            continue
        section = configuration.divisions.get(row.division)
        if section is None or section.pdf.policy == "never":
            sentence = NEVER
        elif await attachments.plan(database, connection, row.division, row.command_id, is_asked=True):
            sentence = QUEUED
        else:
            state = await connection.scalar(sa.select(pdfs.c.state).where(pdfs.c.command_id == row.command_id))
            sentence = STANDS.get(str(state), UNDER_WAY)
        found.append({"division": row.division, "document": command.document.number, "sentence": sentence})
    return found
