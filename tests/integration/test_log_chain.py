"""An exported event log vouches for itself: what was changed, removed or inserted since a hash was noted shows offline."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.command_line import kruispost

from backbone import event_log
from backbone.database import Database
from backbone.migrations import migrate
from backbone.settings import Settings
from contracts import commands
from contracts.envelope import Envelope, seal
from mapper.log_chain import write_log

NOW = datetime(2026, 10, 5, tzinfo=UTC)
OPEN_UP = "DROP TRIGGER event_log_no_delete; DROP TRIGGER event_log_no_update;"
DAMAGE = {
    "changed": "UPDATE event_log SET body = replace(body, 'Klant 2', 'Klant x') WHERE sequence = 3;",
    "removed": "DELETE FROM event_log WHERE sequence = 3;",
    "inserted": (
        "UPDATE event_log SET sequence = -sequence WHERE sequence >= 3;"
        "UPDATE event_log SET sequence = 1 - sequence WHERE sequence < 0;"
        "INSERT INTO event_log (transaction_id, sequence, stream, version, message_id, type, body)"
        " SELECT 0, 3, 'other', 1, 'another', type, body FROM event_log WHERE sequence = 1;"
    ),
}


def message(number: int) -> Envelope:
    command = commands.SaveAccount(division=1, customer_ref=f"acme/{number}", fingerprint="1", name=f"Klant {number}")
    return seal(command, source="mapper", subject=f"c{number}", key="1", time=NOW, distinguisher=str(number))


async def written(settings: Settings, file: Path) -> str:
    with file.open("w", encoding="utf-8", newline="") as stream:
        return (await write_log(settings, "mapper", stream)).last


@pytest.mark.parametrize("damage", [None, *DAMAGE])
async def test_a_later_file_has_the_noted_hash_unless_somebody_touched_the_log(tmp_path: Path, damage: str | None) -> None:
    settings, file = Settings(data_dir=tmp_path / "data", database_url=None), tmp_path / "mapper.csv"
    database = Database.open(settings, "mapper")
    await migrate(database, "mapper")
    for number in range(5):
        async with database.transaction() as connection:
            await event_log.append(connection, f"stream/{number}", 0, [message(number)])
    noted = await written(settings, file)
    async with database.transaction() as connection:
        await event_log.append(connection, "stream/later", 0, [message(9)])
    await database.close()
    if damage is not None:
        with sqlite3.connect(tmp_path / "data" / "mapper.sqlite") as raw:
            raw.executescript(OPEN_UP + DAMAGE[damage])
    later = await written(settings, file)
    assert later != noted
    checked = kruispost("export", "--verify", str(file), "--noted", noted, directory=tmp_path)
    assert checked.returncode == (1 if damage else 0), checked.stdout + checked.stderr
