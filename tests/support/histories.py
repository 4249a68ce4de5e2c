"""Histories that were recorded from a release: what each log said, the configuration of then, and the books that came of it.

`PYTHONPATH=tests python -m support.histories DIRECTORY` records one of the present release into a new directory of
tests/golden/histories, which has its kruispost.yaml already. A directory that is there is never recorded anew.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from support.engines import database_for
from support.mapper_stage import Stage, posted
from support.played_month import heard_in_month

from backbone.configuration import load_configuration
from backbone.database import Database
from contracts.commands import PostEntry
from contracts.envelope import Message, encode, seal
from mapper import tables

HISTORIES = Path(__file__).parent.parent / "golden" / "histories"
START = datetime(2026, 9, 1, tzinfo=UTC)
FACTS = 200  # of a month of about 100 documents, so that the file stays small enough to read


async def books(database: Database) -> dict[str, Any]:
    """Return what a mapper made of its history: bookings by state, and cents by ledger account and VAT code."""
    states, accounts, vat = Counter[str](), Counter[str](), Counter[str]()
    column = tables.documents.c
    async with database.reading() as connection:
        rows = list(await connection.execute(sa.select(column.kind, column.state, column.code, column.command)))
    for kind, state, code, command in rows:
        states[f"{kind} {code or state}"] += 1
        for line in msgspec.json.decode(command, type=PostEntry).lines if command else ():
            accounts[line.gl_account] += line.amount_minor
            vat[line.vat_code or "-"] += line.vat_amount_minor or 0
    return {name: dict(sorted(sums.items())) for name, sums in (("states", states), ("accounts", accounts), ("vat", vat))}


async def record(directory: Path) -> None:
    """Play a small month to a mapper and write down what every log says of it."""
    lines: list[bytes] = []
    with tempfile.TemporaryDirectory() as data:
        async with database_for("sqlite", Path(data), "mapper") as database:
            stage = Stage(database, load_configuration(directory / "kruispost.yaml"))
            for message in heard_in_month(42, 20)[:FACTS]:
                await _say(stage, lines, "ingest", message)
                for entry in await stage.entries():
                    if entry.command_id not in stage.posted:
                        stage.posted.add(entry.command_id)
                        await _say(stage, lines, "exact-writer", posted(entry))
            expected = await books(database)
    (directory / "logs.jsonl").write_bytes(b"".join(lines))
    (directory / "books.json").write_text(json.dumps(expected, indent=2) + "\n")


async def _say(stage: Stage, lines: list[bytes], service: str, message: Message) -> None:
    moment = START + timedelta(minutes=len(lines))
    number = str(len(lines))
    sealed = seal(message, source=service, subject=f"{service}/{number}", key="acme-test", time=moment, distinguisher=number)
    lines.append(msgspec.json.encode({"log": service, "envelope": msgspec.Raw(encode(sealed))}) + b"\n")
    async with stage.database.transaction() as connection:
        await stage.mapper.handle(connection, sealed, message)


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
