"""How many documents a second `kruispost reconcile` compares, and its memory, as the number of documents grows."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from support.command_line import environment
from support.engines import database_for
from support.facts import invoice

from backbone import event_log
from backbone.database import Database
from contracts import commands, facts
from contracts.envelope import encode, seal
from exact_writer import tables as writer_tables
from mapper import tables as mapper_tables

SITE, DIVISION = "acme-test", 100001
DEMO = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"
SIZES = tuple(int(size) for size in os.environ.get("KRUISPOST_BENCH_DOCUMENTS", "1000,10000").split(","))
NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = date(2026, 10, 5)
BATCH = 500


def measure() -> dict[str, dict[str, Any]]:
    """Reconcile invoices that are equal on all three sides; the ceiling is reading and decoding ingest's log alone."""
    figures: dict[str, dict[str, Any]] = {}
    first_mib = 0.0
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            reading = asyncio.run(_fill(directory, size))
            seconds, mib = _reconcile(directory)
        first_mib = first_mib or mib
        figures[f"reconcile of {size} documents"] = {
            "value": size / seconds, "unit": "documents/s", "ceiling": size / reading, "ratio": reading / seconds,
        }  # fmt: skip
        figures[f"memory of reconciling {size} documents"] = {
            "value": mib, "unit": "MiB", "ceiling": first_mib, "ratio": mib / first_mib,
        }  # fmt: skip
    return figures


async def _fill(directory: Path, size: int) -> float:
    (directory / "kruispost.yaml").write_text(DEMO.read_text(encoding="utf-8"), encoding="utf-8")
    data = directory / "data"
    async with (
        database_for("sqlite", data, "ingest") as ingest,
        database_for("sqlite", data, "mapper") as mapper,
        database_for("sqlite", data, "exact-writer") as writer,
    ):
        for start in range(0, size, BATCH):
            await _fill_batch(ingest, mapper, writer, range(start, min(start + BATCH, size)))
        async with writer.transaction() as connection:
            row = {"division": DIVISION, "read_at": NOW.timestamp() + 1, "answered": 0}
            await connection.execute(sa.insert(writer_tables.ledger_readings).values(row))
        started, position = time.perf_counter(), event_log.START
        while True:
            async with ingest.reading() as connection:
                page = await event_log.read_after(connection, position, BATCH)
            if not page:
                return time.perf_counter() - started
            for recorded in page:
                msgspec.json.decode(recorded.envelope.data, type=facts.InvoiceObserved)
            position = page[-1].position


async def _fill_batch(ingest: Database, mapper: Database, writer: Database, numbers: range) -> None:
    entries = [(_command(number), f"entry-{number}") for number in numbers]
    async with ingest.transaction() as connection:
        sealed = [(f"{SITE}/invoice/INV-{number}", _sealed(_invoice(number), f"observed-{number}")) for number in numbers]
        await event_log.append_new(connection, sealed)
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


def _invoice(number: int) -> facts.Observed:
    return invoice(f"INV-{number}")


def _command(number: int) -> commands.PostEntry:
    name = f"INV-{number}"
    document = facts.DocumentRef(
        site=SITE, kind="invoice", number=name, customer_id="CUST1", currency="EUR", total_minor=12_100, document_date=DAY
    )
    revenue = commands.EntryLine(gl_account="8000", amount_minor=10_000, vat_code="2", vat_amount_minor=2_100)
    return commands.PostEntry(
        division=DIVISION, command_id=f"command-{number}", kind="sales", document=document, customer_ref=f"{SITE}/CUST1",
        journal="70", your_ref=name, entry_date=DAY, currency="EUR", decimals=2, lines=(revenue,), receivable_account="1300",
    )  # fmt: skip


def _posted(command: commands.PostEntry, entry: str) -> facts.EntryPosted:
    return facts.EntryPosted(
        division=DIVISION, command_id=command.command_id, document=command.document, entry_id=entry, entry_number=1,
        journal="70", your_ref=command.your_ref, reporting_year=2026, reporting_period=10,
    )  # fmt: skip


def _document(command: commands.PostEntry) -> dict[str, Any]:
    key = {"site": SITE, "kind": "invoice", "number": command.your_ref, "suffix": "", "customer_id": "CUST1"}
    body = {"command_id": command.command_id, "command": msgspec.json.encode(command)}
    return {**key, **body, "division": DIVISION, "state": "booked", "attempt": 1}


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
            "line_number": place, "line_type": line_type, "type": 20, "journal": "70", "day": DAY, "year": 2026, "period": 10,
            "account": account, "dc_hundredths": amount, "fc_hundredths": amount, "currency": "EUR", "vat_code": code,
            "your_ref": command.your_ref,
        }
        for place, (account, amount, line_type, code) in enumerate(amounts)
    ]  # fmt: skip


def _reconcile(directory: Path) -> tuple[float, float]:
    """Run the command as a person does; seconds, and the most memory it ever had in MiB."""
    command = [sys.executable, "-m", "console", "reconcile", "--from", "2026-10-01", "--to", "2026-10-31", "--wait", "0"]
    started = time.perf_counter()
    running = subprocess.Popen(command, env=environment(directory), stdout=subprocess.PIPE)
    printed = running.stdout.read() if running.stdout is not None else b""
    _, status, used = os.wait4(running.pid, 0)
    seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(printed.decode())
    return seconds, used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
