"""`kruispost export`: what was booked, as a file that vouches for itself; one that cannot be whole is not written."""

from __future__ import annotations

import asyncio
import csv
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from integration.test_reconcile import DOCUMENTS
from support.command_line import kruispost
from support.whole_month import events_of_month, whole_month

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
DAYS = ("--from", "2026-09-01", "--to", "2026-11-30")


def unfinished(directory: Path) -> list[str]:
    return [each.name for each in directory.glob(".*.part")]


def forget(log: Path, stream: str) -> None:
    """Take a stream out of a log, as an older backup lacks it."""
    with sqlite3.connect(log, timeout=30) as connection:
        connection.execute("DROP TRIGGER event_log_no_delete")
        connection.execute("DELETE FROM event_log WHERE stream = ?", (stream,))


async def test_what_was_booked_is_exported_with_hashes_that_show_every_change(tmp_path: Path) -> None:
    file = tmp_path / "booked.csv"
    async with whole_month(tmp_path) as month:
        await month.receive(events_of_month(documents=DOCUMENTS))
        await month.book()
        done = await month.run("export", *DAYS, "--out", str(file))
        assert done.returncode == 0, done.stderr
        with file.open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        exported = {fact.entry_id for fact in (await month.posted()).values()}
        assert {row["entry_id"] for row in rows} == exported
        euros = [row for row in rows if row["currency"] == "EUR"]
        debit, credit = (
            sum(Decimal(row[side] or 0) + Decimal(row[f"vat_{side}"] or 0) for row in euros) for side in ("debit", "credit")
        )
        assert debit == credit > 0
        whole = await month.run("export", "--verify", str(file))
        assert whole.returncode == 0
        assert rows[-1]["sha256"] in done.stdout
        assert rows[-1]["sha256"] in whole.stdout
        text = file.read_text(encoding="utf-8").splitlines(keepends=True)
        changed = text[5].replace("2026", "2025", 1)
        assert changed != text[5]
        for damaged, line in (
            ([*text[:5], changed, *text[6:]], 6),
            (text[:5] + text[6:], 6),
            ([*text[:5], text[6], text[5], *text[7:]], 6),
        ):
            file.write_text("".join(damaged), encoding="utf-8")
            found = await month.run("export", "--verify", str(file))
            assert found.returncode == 1
            assert f"Line {line} of" in found.stdout

        file.write_text("last month's", encoding="utf-8")
        address = {"KRUISPOST_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
        away = kruispost("export", *DAYS, "--out", str(file), directory=tmp_path, settings=address)
        assert (away.returncode, file.read_text(encoding="utf-8")) == (2, "last month's"), away.stderr
        forgotten = (await month.posted())[rows[0]["reference"]]
        log = month.writer.settings.data_dir / "exact_writer.sqlite"
        await asyncio.to_thread(forget, log, f"entry/{forgotten.command_id}")  # the writer writes at the same time
        short = await month.run("export", *DAYS, "--out", str(file))
        assert (short.returncode, file.read_text(encoding="utf-8")) == (2, "last month's")
        assert f"{forgotten.document.number} is booked, and the exact-writer has no record of it" in short.stderr
        assert unfinished(tmp_path) == []
        code, told = await month.reconcile()
        assert code == 1
        assert [(each["name"], each["number"]) for each in told["findings"]] == [("entry_untold", forgotten.your_ref)]
