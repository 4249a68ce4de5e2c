"""`kruispost withdraw`: what waits for Exact and was never sent is taken back, and decided anew under the rules of then.

What a call was made for stays, and so does what is looked for in Exact first, customers, and what a person decided about a change
in Exact, which is no document's booking. The mapper hears of each as refused, and decides anew.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from functools import partial
from typing import Final, Literal

import msgspec
import sqlalchemy as sa
import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock, SystemClock
from backbone.configuration import Configuration
from backbone.database import Database
from contracts.commands import PostEntry
from contracts.envelope import derived_id
from contracts.facts import EntryRefused
from exact_writer import announce, journal
from exact_writer.installation import do_in_the_writers_database
from exact_writer.journal import Work
from exact_writer.refusals import action
from exact_writer.tables import commands, divisions
from exact_writer.words import say
from exact_writer.work_classes import HISTORY

PAGE: Final = 500  # a transaction: the writer waits for no longer
ATTEMPTS: Final = 50  # of one booking, more than anybody makes
CODE: Final = "withdrawn"
Language = Literal["en", "nl"]
WORDS: Final = {
    "nothing": ("Nothing that was never sent waits so.", "Er wacht niets dat nog nooit is verstuurd."),
    "would": (
        "division {division}: {number:,} bookings would be taken back; --yes does it",
        "administratie {division}: {number:,} boekingen zouden worden teruggenomen; --yes doet het",
    ),
    "done": (
        "division {division}: {number:,} bookings were taken back",
        "administratie {division}: {number:,} boekingen zijn teruggenomen",
    ),
    "next": (
        "They are decided anew by a mapper with a changed mapping, and by `kruispost retry --code withdrawn`.",
        "Een mapper met een andere mapping besluit er opnieuw over, en `kruispost retry --code withdrawn` doet dat ook.",
    ),
}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Which of what waits: under a reference, of history only, of one division."""

    number: str | None = None
    history: bool = False
    division: int | None = None

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """What holds for their rows in the journal."""
        found = [commands.c.is_open, commands.c.state == "planned", commands.c.attempts == 0, commands.c.kind != "account"]
        found += [commands.c.your_ref == self.number] if self.number is not None else []
        found += [commands.c.work_class.in_(tuple(HISTORY))] if self.history else []
        return found + ([commands.c.division == self.division] if self.division is not None else [])


def tell_withdrawn(wish: Wish, lang: Language, *, install: bool, as_json: bool) -> bool:
    """Take back, or without `install` only count, and print how many; return whether there were any. Raises KruispostError."""
    found = asyncio.run(_withdraw(wish, install=install))
    if as_json:
        typer.echo(json.dumps({"withdrawn": install, "divisions": {str(each): found[each] for each in sorted(found)}}, indent=2))
        return bool(found)
    for division in sorted(found):
        typer.echo(WORDS["done" if install else "would"][lang == "nl"].format(division=division, number=found[division]))
    if not found or install:
        typer.echo(WORDS["next" if found else "nothing"][lang == "nl"])
    return bool(found)


async def _withdraw(wish: Wish, *, install: bool) -> dict[int, int]:
    found, after = Counter[int](), 0
    while True:
        taken, place = await do_in_the_writers_database(partial(_page, wish, after, install=install))
        found.update(taken)
        if place is None:
            return dict(found)
        after = place


async def _page(
    wish: Wish, after: int, _: Database, connection: AsyncConnection, __: Configuration, *, install: bool
) -> tuple[Counter[int], int | None]:
    return await withdraw_page(connection, wish, after, SystemClock(), install=install)


async def withdraw_page(
    connection: AsyncConnection, wish: Wish, after: int, clock: Clock, *, install: bool
) -> tuple[Counter[int], int | None]:
    """Take back the next page after a place in the journal: how many by division, and the place to go on from, if any."""
    statement = sa.select(commands).where(*wish.conditions, commands.c.sequence > after).order_by(commands.c.sequence)
    rows = (await connection.execute(statement.limit(PAGE))).all()
    works = [work for row in rows if _is_booking(work := journal.work_of(row))]
    if install:
        works = await _end(connection, works, clock)
    return Counter(work.command.division for work in works), rows[-1].sequence if len(rows) == PAGE else None


def _is_booking(work: Work) -> bool:
    """Whether the mapper decided it for a document, and will do so again: its id follows from the document then."""
    command = work.command
    if not isinstance(command, PostEntry):
        return False
    ref = command.document
    named = ("entry", str(command.division), ref.site, ref.kind, ref.number, ref.suffix)
    return any(command.command_id == derived_id(*named, str(attempt)) for attempt in range(ATTEMPTS))


async def _end(connection: AsyncConnection, works: list[Work], clock: Clock) -> list[Work]:
    """End them and tell it; returns those that the writer has not sent meanwhile."""
    of_works = sorted({work.command.division for work in works})
    # As the writer does before it sends: one of both waits for the other, and then finds what that did.
    await connection.execute(sa.select(divisions.c.epoch).where(divisions.c.division.in_(of_works)).with_for_update())
    told = say("withdrawn").and_then(action(CODE))
    ended = (
        sa.update(commands)
        .where(commands.c.command_id.in_([work.command_id for work in works]), *Wish().conditions)
        .values(state="refused", is_open=False, code=CODE, message=told.english)
        .returning(commands.c.command_id)
    )
    gone = set((await connection.execute(ended)).scalars())
    withdrawn = [work for work in works if work.command_id in gone]
    facts = [
        (
            EntryRefused(
                division=work.command.division,
                command_id=work.command_id,
                document=work.command.document,
                code=CODE,
                message=told.english,
                message_nl=told.dutch,
            ),
            work.envelope,
        )
        for work in withdrawn
        if isinstance(work.command, PostEntry)
    ]
    await announce.entries(connection, facts, clock.now())
    return withdrawn
