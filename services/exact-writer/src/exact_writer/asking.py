"""A person asks the writer for something: the PDF of a booked document, or that a waiting one goes first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.configuration import Configuration, load_configuration
from backbone.database import Database, is_away, schema_of
from backbone.errors import KruispostError
from backbone.settings import Settings
from contracts import envelope as wire
from contracts.commands import PostEntry
from contracts.messages import unseal
from exact_writer import attachments, journal
from exact_writer.tables import attachments as pdfs
from exact_writer.tables import commands

SERVICE = "exact-writer"
Question = Callable[[Database, AsyncConnection, Configuration, str, int | None], Awaitable[list[dict[str, Any]]]]
GOES_FIRST = "It goes to Exact before all that waits."
ENDED = {"posted": "It is booked already.", "refused": "Exact refused it; `kruispost trace` says why, and what to do."}
WITH_PDF = ("invoice", "credit_note")
QUEUED = "Its PDF is queued; it is attached when there is nothing to book."
NEVER = "The division's policy is that no PDF is attached (pdf: {policy: never})."
STANDS = {
    "attached": "Its PDF is attached already.",
    "waiting": "Its PDF is queued already.",
}
UNDER_WAY = "Its PDF is on its way already."


def ask_for_pdf(number: str, division: int | None) -> list[dict[str, Any]]:
    """Queue the PDFs of what is booked under a number; say for each division what becomes of it. Raises KruispostError."""
    return asyncio.run(_ask(queue, number, division))


def ask_to_hurry(number: str, division: int | None) -> list[dict[str, Any]]:
    """Let what waits under a number go first; say for each command what becomes of it. Raises KruispostError."""
    return asyncio.run(_ask(hurry, number, division))


async def _ask(what: Question, number: str, division: int | None) -> list[dict[str, Any]]:
    settings = Settings()
    configuration = load_configuration(settings.config)
    file = settings.data_dir / f"{schema_of(SERVICE)}.sqlite"
    if settings.database_url is None and not file.exists():
        sentence = f"There is no installation here: {file} does not exist. Set KRUISPOST_DATA_DIR or KRUISPOST_DATABASE_URL."
        raise KruispostError("database_unavailable", sentence)
    database = Database.open(settings, SERVICE)
    try:
        async with database.transaction() as connection:
            return await what(database, connection, configuration, number, division)
    except Exception as error:
        if not is_away(error) and not isinstance(error, SQLAlchemyError):
            raise
        sentence = f"The writer's database cannot be used ({error}); check its address and run `kruispost migrate`."
        raise KruispostError("database_unavailable", sentence) from error
    finally:
        await database.close()


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
            first = commands.c.command_id == row.command_id
            await connection.execute(sa.update(commands).where(first).values(work_class="person"))
        sentence = GOES_FIRST if row.is_open else ENDED[row.state]
        found.append({"division": row.division, "document": command.document.number, "sentence": sentence})
    return found


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
        elif await attachments.plan(database, connection, row.division, row.command_id):
            sentence = QUEUED
        else:
            state = await connection.scalar(sa.select(pdfs.c.state).where(pdfs.c.command_id == row.command_id))
            sentence = STANDS.get(str(state), UNDER_WAY)
        found.append({"division": row.division, "document": command.document.number, "sentence": sentence})
    return found
