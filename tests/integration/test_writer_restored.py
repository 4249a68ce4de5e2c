"""`kruispost restored`: what waited in the journal of a backup may be booked already, and is looked for before it is sent."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from support.command_line import kruispost_here
from support.fast_sqlite import migrated
from support.writer_stage import CONFIGURATION, sale, save_account

from backbone.database import Database
from backbone.settings import Settings
from contracts.envelope import seal
from exact_writer import journal
from exact_writer.tables import commands

NOW = datetime(2026, 10, 5, tzinfo=UTC)


async def plan(directory: Path) -> None:
    """Let something wait, as a backup has it."""
    database = Database.open(Settings(data_dir=directory, database_url=None), "exact-writer")
    await migrated(database, "exact-writer")
    async with database.transaction() as connection:
        for command in (save_account(), sale("INV-1")):
            envelope = seal(command, source="mapper", subject="s", key="1", time=NOW, distinguisher=command.TYPE)
            await journal.plan(database, connection, envelope, command, NOW.timestamp())
    await database.close()


async def states(directory: Path) -> set[str]:
    """How what waits is to be carried out."""
    database = Database.open(Settings(data_dir=directory, database_url=None), "exact-writer")
    async with database.reading() as connection:
        found = set((await connection.execute(sa.select(commands.c.state))).scalars())
    await database.close()
    return found


def test_a_backup_is_put_in_doubt_before_anybody_is_connected(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "kruispost.yaml").write_text(json.dumps(CONFIGURATION.model_dump(mode="json")), encoding="utf-8")
    asyncio.run(plan(tmp_path / "data"))
    done = kruispost_here("restored", "--wait", "0", "--json", directory=tmp_path)  # Exact cannot be reached here
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)[0]["waiting"] == 2
    assert asyncio.run(states(tmp_path / "data")) == {"unknown"}
