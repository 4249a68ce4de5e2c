"""A journal in doubt (`kruispost restored`): nothing goes out unseen, today's work goes on, and no PDF is attached twice."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
import yaml
from support.exact_server import DIVISION
from support.fast_sqlite import migrated
from support.faulty_exact import Rehearsal, rehearsal
from support.writer_stage import CONFIGURATION, payment, sale, save_account, writer_environment

from backbone.database import Database
from backbone.errors import KruispostError
from backbone.settings import Settings
from exact_writer import adopting, journal
from exact_writer.restored import doubt_all
from exact_writer.tables import attachments, divisions

SALES, DOCUMENTS, FILES = "salesentry/SalesEntries", "documents/Documents", "documents/DocumentAttachments"
A_DAY = 86_400.0
TODAY, LONG_AGO = date(2026, 3, 10), date(2026, 2, 10)  # by the clock of a rehearsal


async def doubt(stage: Rehearsal) -> None:
    """Doubt the journal from now on, as `kruispost restored` does."""
    async with stage.database.transaction() as connection:
        await adopting.doubt(stage.database, connection, DIVISION, stage.clock.now().timestamp() + A_DAY)


async def restore(stage: Rehearsal, table: sa.Table, **values: Any) -> None:
    """Put rows back to what an older backup had."""
    async with stage.database.transaction() as connection:
        await connection.execute(sa.update(table).values(is_open=True, **values))


async def test_what_is_doubted_while_its_call_is_prepared_is_not_sent(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"), sale("INV-1", "FIRST"))
        async with stage.database.reading() as connection:
            work = await journal.load(connection, "command-INV-1")
            epoch = int(await connection.scalar(sa.select(divisions.c.epoch)) or 0)
        assert work is not None
        await doubt(stage)
        with pytest.raises(journal.LeaseLostError):
            async with stage.database.transaction() as connection:
                await journal.mark_sent(connection, DIVISION, [work], epoch, 0.0, None)
        await stage.work()
        assert len(stage.rows(SALES)) == 1


async def test_todays_invoice_does_not_wait_until_doubted_history_was_looked_for(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        customers = [f"C{place}" for place in range(10)]
        await stage.plan(save_account("NEW"), *map(save_account, customers))
        await stage.work()
        await stage.plan(*(sale(f"OLD-{customer}", customer, entry_date=LONG_AGO) for customer in customers))
        await doubt(stage)
        await stage.plan(sale("NEW-1", "NEW", entry_date=TODAY))
        await stage.act(6)
        assert [row["YourRef"] for row in stage.rows(SALES)][:1] == ["NEW-1"]


@pytest.mark.parametrize("state", ["waiting", "wanted", "fetched", "created"])
async def test_a_pdf_of_the_lost_hour_is_not_attached_twice(tmp_path: Path, state: str) -> None:
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"), sale("INV-1", "FIRST", pdf=True))
        await stage.work()
        (document,) = stage.rows(DOCUMENTS)
        known = str(document["ID"]) if state == "created" else None
        content = b"%PDF" if state in ("fetched", "created") else None
        await restore(stage, attachments, state=state, document_id=known, sent_at=None, attempts=0, content=content)
        await doubt(stage)
        await stage.start()
        await stage.work()
        assert (len(stage.rows(DOCUMENTS)), len(stage.rows(FILES))) == (1, 1)


async def test_a_pdf_that_was_not_attached_before_the_loss_is_attached_once(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"), sale("INV-1", "FIRST", pdf=True))
        for _ in range(20):
            if stage.rows(SALES):
                break
            await stage.act(1)
        assert not stage.rows(DOCUMENTS)
        await doubt(stage)
        await stage.work()
        assert (len(stage.rows(DOCUMENTS)), len(stage.rows(FILES))) == (1, 1)


@pytest.mark.parametrize("wait", [0.0, 1.0])
def test_every_division_is_in_doubt_although_no_ledger_can_be_read_yet(
    tmp_path: Path, wait: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before `kruispost login` nothing can be read, and as soon as it is done the writer posts."""
    known = CONFIGURATION.model_dump(mode="json")
    known["divisions"][str(DIVISION + 1)] = known["divisions"][str(DIVISION)]
    (tmp_path / "kruispost.yaml").write_text(yaml.safe_dump(known))
    monkeypatch.setenv("KRUISPOST_CONFIG", str(tmp_path / "kruispost.yaml"))
    monkeypatch.setenv("KRUISPOST_DATA_DIR", str(tmp_path))
    for name, value in writer_environment("http://127.0.0.1:9").items():
        monkeypatch.setenv(f"KRUISPOST_{name.upper()}", str(value))
    settings = Settings()

    async def prepare() -> None:
        database = Database.open(settings, "exact-writer")
        await migrated(database, "exact-writer")
        await database.close()

    async def doubted() -> list[int]:
        database = Database.open(settings, "exact-writer")
        async with database.reading() as connection:
            found = await connection.execute(sa.select(divisions.c.division).where(divisions.c.looks_first_until.is_not(None)))
            rows = sorted(found.scalars())
        await database.close()
        return rows

    asyncio.run(prepare())
    if wait:
        with pytest.raises(KruispostError):
            doubt_all(None, 24.0, wait)
    else:
        assert len(doubt_all(None, 24.0, wait)) == 2
    assert asyncio.run(doubted()) == [DIVISION, DIVISION + 1]


async def test_doubted_entries_do_not_hold_up_the_account_that_they_wait_for(tmp_path: Path) -> None:
    """They are looked for by it; Exact had refused the customer before."""
    async with rehearsal(tmp_path) as stage:
        await stage.plan(
            sale("INV-1", "FIRST", entry_date=TODAY), msgspec.structs.replace(payment("TX-1", "FIRST"), entry_date=TODAY)
        )
        await doubt(stage)
        await stage.plan(save_account("FIRST"))
        await stage.act(30)
        assert await stage.open_commands() == []
