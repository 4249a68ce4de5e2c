"""`kruispost reconcile` reads what its days need: a longer history makes a week's reconciliation no dearer, and hides nothing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from support.command_line import kruispost_here
from support.engines import database_for
from support.equal_books import NOW, fill, seconds_of
from support.facts import SITE, invoice
from support.sqlite_steps import sqlite_steps

from backbone import event_log
from contracts.commands import PostEntry
from contracts.envelope import seal
from ingest.tables import resource_versions
from mapper import reconciling
from mapper.store import row_of, values_of
from mapper.tables import documents

FIRST, OTHER_DAY = date(2026, 3, 2), date(2026, 3, 28)
A_DAY = 10  # documents
WEEK = ("--from", "2026-03-09", "--to", "2026-03-15")  # INV-70 to INV-139
MORE = 1.25  # a longer history has deeper indexes


async def of_the_week(directory: Path) -> tuple[int, Any]:
    """The steps that reconciling the week takes, and what it says."""
    with sqlite_steps() as made:
        done = await asyncio.to_thread(kruispost_here, "reconcile", *WEEK, "--wait", "0", "--json", directory=directory)
    assert done.returncode in (0, 1), done.stderr
    return made[0], json.loads(done.stdout)


async def redate(directory: Path, number: str, day: date, *, is_booked_so: bool) -> None:
    """Let Chargebee show an invoice with another date, which it was booked under from the start, or not."""
    async with database_for("sqlite", directory / "data", "ingest") as ingest, ingest.transaction() as connection:
        fact = invoice(number, version=2, date=seconds_of(day))
        sealed = seal(fact, source="test", subject=number, key=SITE, time=NOW, distinguisher="2")
        await event_log.append(connection, f"{SITE}/invoice/{number}", 1, [sealed])
        here = resource_versions.c.resource_id == number
        await connection.execute(sa.update(resource_versions).where(here).values(dated_at=seconds_of(day)))
    if not is_booked_so:
        return
    async with database_for("sqlite", directory / "data", "mapper") as mapper, mapper.transaction() as connection:
        here = documents.c.number == number
        row = row_of((await connection.execute(sa.select(documents).where(here))).one())
        command = msgspec.structs.replace(msgspec.json.decode(row.command or b"", type=PostEntry), entry_date=day)
        values = values_of(replace(row, command=msgspec.json.encode(command)))
        await connection.execute(sa.update(documents).where(here).values(values))


async def test_a_week_of_a_long_history_costs_what_it_costs_in_a_short_one(tmp_path: Path) -> None:
    for name, days in (("short", 30), ("long", 300)):
        (tmp_path / name).mkdir()
        await fill(tmp_path / name, days * A_DAY, FIRST, days)
    short, said = await of_the_week(tmp_path / "short")
    long, said_of_long = await of_the_week(tmp_path / "long")
    assert (said["unexplained"], said["series"][0]["booked"]) == (0, 70)
    assert said == said_of_long
    assert long <= MORE * short, (short, long)


@pytest.mark.parametrize("most_looked_up", [reconciling.MOST_LOOKED_UP, 0])
async def test_a_number_of_the_series_with_another_date_is_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_looked_up: int
) -> None:
    monkeypatch.setattr(reconciling, "MOST_LOOKED_UP", most_looked_up)
    await fill(tmp_path, 300, FIRST, 30)
    await redate(tmp_path, "INV-75", OTHER_DAY, is_booked_so=True)
    _, said = await of_the_week(tmp_path)
    (series,) = said["series"]
    assert (series["numbers"], series["booked"], series["missing"]) == (70, 70, [])
    assert said["findings"] == []


async def test_what_was_booked_on_these_days_is_judged_whatever_date_chargebee_shows_now(tmp_path: Path) -> None:
    await fill(tmp_path, 300, FIRST, 30)
    await redate(tmp_path, "INV-75", OTHER_DAY, is_booked_so=False)
    _, said = await of_the_week(tmp_path)
    assert (said["series"][0]["booked"], said["findings"]) == (70, [])
    days = {
        row["key"]: row["chargebee_minor"] - row["exact_minor"] for row in said["rows"] if row["key"] != OTHER_DAY.isoformat()
    }
    assert days.pop("2026-03-09") == -12_100, "Chargebee has it on another day"
    assert set(days.values()) == {0}


async def test_a_booking_of_these_days_that_chargebee_does_not_show_is_named(tmp_path: Path) -> None:
    await fill(tmp_path, 300, FIRST, 30)
    async with database_for("sqlite", tmp_path / "data", "ingest") as ingest, ingest.transaction() as connection:
        await connection.execute(sa.delete(resource_versions))
        await connection.execute(sa.text("DROP TRIGGER event_log_no_delete"))
        await connection.execute(sa.text("DELETE FROM event_log WHERE stream LIKE '%INV-75'"))
    _, said = await of_the_week(tmp_path)
    assert [(each["number"], each["name"]) for each in said["findings"]] == [("INV-75", "document_not_shown")]
