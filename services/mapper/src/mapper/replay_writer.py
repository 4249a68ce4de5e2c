"""`kruispost replay exact-writer`: the writer's journal made anew from what the mapper asked of it and from what Exact has."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, get_args

import msgspec
import sqlalchemy as sa
import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from backbone.clock import Clock, SystemClock
from backbone.command_database import run_command
from backbone.configuration import load_configuration
from backbone.settings import Settings
from backbone.stand_in import stand_in
from contracts.commands import PostEntry, SaveAccount
from contracts.envelope import Envelope, seal
from contracts.facts import DocumentKind
from contracts.messages import unseal
from contracts.topology import MAPPER_PARTITIONS
from mapper import tables
from mapper.drift_decisions import decisions, entries_of_decisions, gone
from mapper.reconcile_sources import PAGE, open_sources
from mapper.store import ISSUED, Row
from mapper.wording import Language

SOURCE = "mapper"
DOUBT_HOURS = 24


@dataclass(slots=True)
class Report:
    """What the writer is asked to take back, and with `--yes` how much of it its journal did not have."""

    customers: int = 0
    entries: int = 0
    left: int = 0  # deleted in Exact, and accepted so
    new: int = 0
    installed: bool = False


def replay_writer(lang: Language, patience_seconds: float, *, install: bool, as_json: bool) -> None:
    """Count what would be taken back, or take it back. Raises KruispostError when it could not be done."""
    settings = Settings()
    report = run_command(_replay(settings, patience_seconds, install=install), "A database cannot be used")
    told: dict[str, Any] = msgspec.to_builtins(report)
    typer.echo(json.dumps(told, indent=2) if as_json else _text(report, lang))


async def _replay(settings: Settings, patience_seconds: float, *, install: bool) -> Report:
    divisions, clock = sorted(load_configuration(settings.config).divisions), SystemClock()
    report = Report(installed=install)
    async with AsyncExitStack() as stack:
        sources = await stack.enter_async_context(open_sources(settings))
        if install:  # what the mapper asks of an empty journal meanwhile would not wait for what was asked before
            await stack.enter_async_context(stand_in(sources.mapper, range(MAPPER_PARTITIONS)))
        for division in divisions if install else ():
            until = clock.now() + timedelta(hours=DOUBT_HOURS)
            await sources.ledger.doubt(division, until.timestamp())
            # The ledger first: what it shows is then adopted without a call.
            await sources.ledger.refresh(division, patience_seconds)
        async with sources.mapper.reading() as connection:
            for division in divisions:
                stays = gone(await decisions(connection, division))
                async for page in _customers(connection, division):
                    report.customers += len(page)
                    report.new += await sources.ledger.take_back(page, clock.now().timestamp()) if install else 0
                async for rows in sources.rows_of_kinds(division, get_args(DocumentKind)):
                    wanted = [row for row in rows if row.command_id not in stays]
                    report.left += len(rows) - len(wanted)
                    page = await _entries(connection, wanted, clock)
                    report.entries += len(page)
                    report.new += await sources.ledger.take_back(page, clock.now().timestamp()) if install else 0
                async for counters in entries_of_decisions(connection, division):
                    page = [envelope for envelope, _ in counters]
                    report.entries += len(page)
                    report.new += await sources.ledger.take_back(page, clock.now().timestamp()) if install else 0
    return report


async def _customers(connection: AsyncConnection, division: int) -> AsyncIterator[list[Envelope]]:
    """Give each customer as it was last sent to a division."""
    column, after = tables.accounts.c, ""
    while True:
        refs = sa.select(column.customer_ref).where(column.division == division, column.customer_ref > after)
        found = list((await connection.execute(refs.order_by(column.customer_ref).limit(PAGE))).scalars())
        page = []
        for customer_ref in found:
            sent = await event_log.read_stream(connection, f"account/{customer_ref}")
            of_division = [each.envelope for each in sent if _division_of(each.envelope) == division]
            page += of_division[-1:]
        yield page
        if len(found) < PAGE:
            return
        after = found[-1]


def _division_of(envelope: Envelope) -> int | None:
    message = unseal(envelope)
    return message.division if isinstance(message, SaveAccount) else None


async def _entries(connection: AsyncConnection, rows: list[Row], clock: Clock) -> list[Envelope]:
    """Return what was last asked of the writer for each booking; what it refused or was given up is not asked again."""
    page = []
    for row in rows:
        if row.state not in ISSUED or row.command is None or row.command_id is None:
            continue
        stream = f"document/{row.key.site}/{row.key.kind}/{row.key.number}"
        known = [each.envelope for each in await event_log.read_stream(connection, stream) if _asks(each.envelope, row)]
        page.append(known[-1] if known else _sealed(row, row.command, clock))
    return page


def _asks(envelope: Envelope, row: Row) -> bool:
    message = unseal(envelope) if envelope.type == PostEntry.TYPE else None
    return isinstance(message, PostEntry) and message.command_id == row.command_id


def _sealed(row: Row, command: bytes, clock: Clock) -> Envelope:
    """Seal a command anew whose message was lost with the mapper's own log."""
    message = msgspec.json.decode(command, type=PostEntry)
    subject = f"{row.key.site}/{row.key.kind}/{row.key.number}"
    key = str(message.division)
    return seal(message, source=SOURCE, subject=subject, key=key, time=clock.now(), distinguisher=message.command_id)


def _text(report: Report, lang: Language) -> str:
    what = {"customers": report.customers, "entries": report.entries, "new": report.new, "left": report.left}
    if report.installed:
        english = (
            "The writer took back {new} commands of {entries} entries and {customers} customers; it adopts what Exact has, and "
            "posts the rest."
        )
        dutch = (
            "De schrijver nam {new} opdrachten terug van {entries} boekingen en {customers} klanten; wat Exact heeft neemt hij "
            "over, de rest boekt hij."
        )
    else:
        english = (
            "{entries} entries and {customers} customers were asked of the writer. Nothing was changed; connect with `kruispost "
            "login`, then run this again with --yes."
        )
        dutch = (
            "{entries} boekingen en {customers} klanten zijn aan de schrijver gevraagd. Niets is gewijzigd; verbind met "
            "`kruispost login` en herhaal dit met --yes."
        )
    if report.left:
        english += " {left} stay deleted in Exact, as somebody accepted."
        dutch += " {left} blijven verwijderd in Exact, zoals iemand heeft aanvaard."
    return (dutch if lang == "nl" else english).format_map(what)
