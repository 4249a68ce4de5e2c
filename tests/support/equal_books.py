"""Invoices that are equal on all three sides, in the databases of a new installation: as many as wanted, over some days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from support.engines import database_for
from support.facts import SITE, invoice

from backbone import event_log
from backbone.checkpoints import write_checkpoint
from backbone.database import Database
from backbone.past import newest
from contracts import commands, facts
from contracts.envelope import encode, seal
from exact_writer import tables as writer_tables
from ingest import tables as ingest_tables
from ingest.translator import CHECKPOINT as TRANSLATOR
from mapper import tables as mapper_tables
from mapper.store import Key, Row, values_of

DIVISION = 100001
DEMO = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
BATCH = 500


async def fill(directory: Path, size: int, first: date, days: int = 1) -> None:
    """Make an installation on SQLite in a directory: as many invoices, dated evenly over days from the first one on."""
    (directory / "kruispost.yaml").write_text(DEMO.read_text(encoding="utf-8"), encoding="utf-8")
    data = directory / "data"
    async with (
        database_for("sqlite", data, "ingest") as ingest,
        database_for("sqlite", data, "mapper") as mapper,
        database_for("sqlite", data, "exact-writer") as writer,
    ):
        dated = [(number, first + timedelta(days=number * days // size)) for number in range(size)]
        for start in range(0, size, BATCH):
            await fill_some(ingest, mapper, writer, dated[start : start + BATCH])
        async with writer.transaction() as connection:
            row = {"division": DIVISION, "read_at": NOW.timestamp() + 1, "answered": 0}
            await connection.execute(sa.insert(writer_tables.ledger_readings).values(row))


async def fill_some(ingest: Database, mapper: Database, writer: Database, dated: Sequence[tuple[int, date]]) -> None:
    """Add invoices, by their numbers and days."""
    entries = [(_command(number, day), f"entry-{number}") for number, day in dated]
    async with ingest.transaction() as connection:
        observed = [(_name(number), seconds_of(day)) for number, day in dated]
        sealed = [(f"{SITE}/invoice/{name}", _sealed(invoice(name, date=at), f"observed-{name}")) for name, at in observed]
        await event_log.append_new(connection, sealed)
        known = [
            {"site": SITE, "kind": "invoice", "resource_id": name, "resource_version": 1, "facts": 1, "dated_at": at}
            for name, at in observed
        ]
        await connection.execute(sa.insert(ingest_tables.resource_versions), known)
        await write_checkpoint(connection, TRANSLATOR, await newest(connection))  # all of it was translated
    async with mapper.transaction() as connection:
        rows = [_document(command) for command, _ in entries]
        await connection.execute(sa.insert(mapper_tables.documents), rows)
    async with writer.transaction() as connection:
        told = [
            (f"entry/{command.command_id}", _sealed(_posted(command, entry), command.command_id)) for command, entry in entries
        ]
        await event_log.append_new(connection, told)
        await connection.execute(sa.insert(writer_tables.commands), [_journal(*each) for each in entries])
        lines = [row for command, entry in entries for row in _ledger(command, entry)]
        await connection.execute(sa.insert(writer_tables.ledger_lines), lines)


def _sealed(message: Any, unique: str) -> Any:
    return seal(message, source="bench", subject=unique, key=SITE, time=NOW, distinguisher=unique)


def _name(number: int) -> str:
    return f"INV-{number}"


def seconds_of(day: date) -> int:
    """Return a second of a day, as Chargebee dates documents."""
    return int(datetime(day.year, day.month, day.day, 10, tzinfo=UTC).timestamp())


def _command(number: int, day: date) -> commands.PostEntry:
    name = _name(number)
    document = facts.DocumentRef(
        site=SITE, kind="invoice", number=name, customer_id="CUST1", currency="EUR", total_minor=12_100, document_date=day
    )
    revenue = commands.EntryLine(gl_account="8000", amount_minor=10_000, vat_code="2", vat_amount_minor=2_100)
    return commands.PostEntry(
        division=DIVISION, command_id=f"command-{number}", kind="sales", document=document, customer_ref=f"{SITE}/CUST1",
        journal="70", your_ref=name, entry_date=day, currency="EUR", decimals=2, lines=(revenue,), receivable_account="1300",
    )  # fmt: skip


def _posted(command: commands.PostEntry, entry: str) -> facts.EntryPosted:
    return facts.EntryPosted(
        division=DIVISION, command_id=command.command_id, document=command.document, entry_id=entry, entry_number=1,
        journal="70", your_ref=command.your_ref, reporting_year=command.entry_date.year,
        reporting_period=command.entry_date.month,
    )  # fmt: skip


def _document(command: commands.PostEntry) -> dict[str, Any]:
    key, body = Key(SITE, "invoice", command.your_ref), msgspec.json.encode(command)
    return values_of(
        Row(
            key=key, customer_id="CUST1", division=DIVISION, state="booked", attempt=1, command_id=command.command_id,
            command=body,
        )
    )  # fmt: skip


def _journal(command: commands.PostEntry, entry: str) -> dict[str, Any]:
    sealed = encode(_sealed(command, f"journal-{command.command_id}"))
    head = {"command_id": command.command_id, "division": DIVISION, "kind": "sales", "customer_ref": command.customer_ref}
    state = {"state": "posted", "is_open": False, "planned_at": 0.0, "exact_id": entry, "exact_number": 1}
    return {**head, **state, "your_ref": command.your_ref, "envelope": sealed}


def _ledger(command: commands.PostEntry, entry: str) -> list[dict[str, Any]]:
    amounts = (("1300", 12_100, 0, None), ("8000", -10_000, 0, "2"), ("1500", -2_100, 5, "2"))
    return [
        {
            "division": DIVISION, "line_id": f"{entry}-{place}", "timestamp": 1, "entry_id": entry, "entry_number": 1,
            "line_number": place, "line_type": line_type, "type": 20, "journal": "70", "day": command.entry_date,
            "year": command.entry_date.year, "period": command.entry_date.month,
            "account": account, "dc_hundredths": amount, "fc_hundredths": amount, "currency": "EUR", "vat_code": code,
            "your_ref": command.your_ref,
        }
        for place, (account, amount, line_type, code) in enumerate(amounts)
    ]  # fmt: skip
