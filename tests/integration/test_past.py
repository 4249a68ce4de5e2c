"""`kruispost replay SERVICE --until --keep`: the state of a moment, made of the logs beside the present one, is what it was."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.chargebee_shop import bill
from support.command_line import kruispost_here
from support.engines import DATABASES
from support.facts import SITE
from support.matcher_stage import Stage, bank_line, matcher_stage, matching, receivable
from support.whole_month import events_of_month, whole_month

from backbone import event_log
from backbone.clock import SystemClock
from backbone.database import Database
from backbone.migrations import migrate
from backbone.settings import Settings
from backbone.tables import event_log as log_table
from contracts import facts
from contracts.envelope import Message, seal
from exact_writer import tables as writer_tables
from exact_writer.past import writer_at
from ingest import tables as ingest_tables
from ingest.past import ingest_at
from payment_matcher import tables as matcher_tables
from payment_matcher.past import matcher_at

pytestmark = [pytest.mark.timeout(240)]
State = dict[str, list[tuple[Any, ...]]]
JOURNAL = ("command_id", "kind", "customer_ref", "your_ref", "is_open", "exact_id", "exact_number", "code", "envelope")
# What was only proposed, and when a call is due, stands in no log.
MATCHER = {
    "bank_lines": ("proposals", "is_certain", "reason"),
    "intents": ("due_at_ms", "attempts", "paid_at", "last_error"),
}


async def rows(database: Database, *statements: sa.Select[Any]) -> list[list[tuple[Any, ...]]]:
    async with database.reading() as connection:
        return [sorted(map(tuple, await connection.execute(each)), key=repr) for each in statements]


async def of_ingest(database: Database) -> list[list[tuple[Any, ...]]]:
    known = sa.select(log_table.c.stream, log_table.c.version, log_table.c.body)
    return await rows(database, sa.select(ingest_tables.resource_versions), known)


async def of_writer(database: Database) -> list[list[tuple[Any, ...]]]:
    journal, accounts = writer_tables.commands.c, writer_tables.accounts.c
    known = sa.select(accounts.division, accounts.customer_ref, accounts.account_id, accounts.fingerprint)
    return await rows(database, sa.select(*(journal[name] for name in JOURNAL)), known)


async def of_matcher(database: Database) -> list[list[tuple[Any, ...]]]:
    tables = matcher_tables.metadata.sorted_tables
    return await rows(
        database, *(sa.select(*(one for one in each.c if one.name not in MATCHER.get(each.name, ()))) for each in tables)
    )


def kept(directory: Path, service: str) -> Database:
    return Database.open(Settings(data_dir=directory, database_url=None), service)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DATABASES)
async def test_ingest_and_writer_are_as_they_were_in_the_middle_of_the_month(tmp_path: Path, dialect: str) -> None:
    async with whole_month(tmp_path, dialect) as month:
        events = events_of_month(documents=20)
        half = len(events) // 2
        await month.receive(events[:half])
        await month.book()
        ingest, writer = Database.open(month.writer.settings, "ingest"), month.writer.database
        then, moment = (await of_ingest(ingest), await of_writer(writer)), SystemClock().now()
        month.mapper.clock.advance((SystemClock().now() - month.mapper.clock.now()).total_seconds())
        await month.receive(events[half:])
        await month.book()
        assert then != (await of_ingest(ingest), await of_writer(writer))
        past = tmp_path / "past"
        assert await ingest_at(month.writer.settings, moment, past) == half
        await writer_at(month.writer.settings, moment, past)
        made = kept(past, "ingest"), kept(past, "exact-writer")
        assert [each[0] for each in await of_ingest(made[0])] == [each[0] for each in then[0]]
        assert await of_ingest(made[0]) == then[0]
        assert await of_writer(made[1]) == then[1]
        for database in (ingest, *made):
            await database.close()
        keep = tmp_path / "now"
        done = await month.run("replay", "exact-writer", "--keep", str(keep), "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["service"] == "exact-writer"
        again = await month.run("replay", "exact-writer", "--keep", str(keep))
        assert (again.returncode, "name another directory" in again.stderr) == (2, True)
        assert (await month.run("replay", "ingest", "--keep", str(keep), "--yes")).returncode == 2


@pytest.mark.parametrize("dialect", DATABASES)
async def test_the_matcher_is_as_it_was_between_two_receipts(
    tmp_path: Path, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kruispost.yaml").write_text(
        json.dumps(matching(tolerances={"EUR": 2}).model_dump(mode="json", exclude_unset=True))
    )
    async with matcher_stage(dialect, tmp_path, configuration=matching(tolerances={"EUR": 2})) as stage:
        settings = Settings(data_dir=tmp_path, database_url=stage.url, config=tmp_path / "kruispost.yaml")
        logs = {name: Database.open(settings, name) for name in ("ingest", "exact-writer")}
        for name, database in logs.items():
            await migrate(database, name)
        monkeypatch.setattr(stage, "see", lambda message: see(stage, logs, message))
        first, second, third = (bill(stage.chargebee.app) for _ in range(3))
        for invoice in (first, second, third):
            await stage.show_invoice(invoice)
        # One is matched by Exact, of one a bank line is two cents short, and one is dismissed.
        await stage.see(receivable(first["id"], first["total"], term=f"term-{first['id']}", timestamp=2))
        await stage.see(bank_line(second["total"] - 2, second["id"]))
        await stage.work()
        await stage.accept(await stage.line(), second)
        await stage.work()
        then, moment = await of_matcher(stage.database), stage.clock.now()
        stage.clock.advance(60)
        await stage.see(receivable(third["id"], third["total"], term=f"term-{third['id']}", timestamp=2))
        await stage.work()
        assert then != await of_matcher(stage.database)
        await matcher_at(settings, moment, tmp_path / "past")
        made = kept(tmp_path / "past", "payment-matcher")
        for table, is_made, was in zip(matcher_tables.metadata.sorted_tables, await of_matcher(made), then, strict=True):
            assert is_made == was, table.name
        place = {"KRUISPOST_DATA_DIR": str(tmp_path)} | ({"KRUISPOST_DATABASE_URL": stage.url} if stage.url else {})
        replay = ("replay", "payment-matcher", "--keep", str(tmp_path / "told"))
        done = await asyncio.to_thread(kruispost_here, *replay, directory=tmp_path, settings=place)
        assert (done.returncode, done.stderr) == (0, "")
        assert "proposals that nobody had decided about" in done.stdout, "what no log holds is said, not passed over"
        for database in (*logs.values(), made):
            await database.close()


async def see(stage: Stage, logs: dict[str, Database], message: Message) -> None:
    """Let the matcher hear a fact that stands in the log of who said it."""
    service = "ingest" if isinstance(message, facts.Observed) else "exact-writer"
    now = stage.clock.now()
    async with logs[service].transaction() as connection:
        count = await connection.scalar(sa.select(sa.func.count()).select_from(log_table))
        sealed = seal(message, source=service, subject=f"{count}", key=f"{SITE}/cust-1", time=now, distinguisher=f"{count}")
        await event_log.append(connection, f"said/{count}", 0, [sealed])
    async with stage.database.transaction() as connection:
        await stage.receipts.handle(connection, sealed, message)
    stage.clock.advance(3.0)
