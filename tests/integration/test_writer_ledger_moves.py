"""Whoever asks for Exact's ledger after the division was moved gets what was booked since, before the look at the interval."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from support.engines import DATABASES, settings_for
from support.exact_server import DIVISION, ExactServer, exact_server
from support.virtual_writer import START, VirtualWriter, virtual_writer
from support.whole_month import DIVISION as MONTHS_DIVISION
from support.whole_month import Month, events_of_month, whole_month
from support.writer_stage import CONFIGURATION, log_in, running, sale, save_account, writer_environment

from backbone.broker_embedded import EmbeddedBroker
from backbone.database import Database
from backbone.migrations import migrate
from contracts import facts
from contracts.topology import topology
from exact_writer import ledger_lines, ledger_reader
from exact_writer.__main__ import open_ledger
from exact_writer.tables import counted_errors, mirror_state
from exact_writer.tables import ledger_lines as table

HOUR = 3_600.0
MOVES = "system/Divisions"
DOCUMENTS = 20

pytestmark = pytest.mark.timeout(240)


async def looks(server: ExactServer) -> int:
    """How often Exact was asked whether the division was moved."""
    return int((await server.calls())["by_endpoint"].get(f"GET {MOVES}", 0))


async def read_now(stage: VirtualWriter) -> set[str]:
    """The references in the ledger as the writer has it after somebody asked."""
    async with stage.database.transaction() as connection:
        wish = await ledger_lines.ask(stage.database, connection, DIVISION)
    await stage.run(stage.clock.seconds() + 60)
    async with stage.database.reading() as connection:
        assert (await ledger_lines.reading(connection, DIVISION)).answered >= wish
        return {ref for ref in await connection.scalars(sa.select(table.c.your_ref).distinct()) if ref}


async def book(stage: VirtualWriter, number: str) -> None:
    await stage.plan(sale(number, entry_date=START.date()))
    await stage.run(stage.clock.seconds() + HOUR / 2)


async def test_what_was_booked_after_a_move_is_there_for_whoever_asks(tmp_path: Path) -> None:
    async with virtual_writer(tmp_path, poll_seconds=3_000.0) as stage:
        await stage.plan(save_account())
        await book(stage, "INV-1")
        assert await read_now(stage) == {"INV-1"}
        assert await looks(stage.server) == 1, "all of it was read, so that no move can hide anything"
        await stage.server.control("moves", division=DIVISION)
        await book(stage, "INV-2")
        assert await looks(stage.server) == 1, "nobody asked"
        assert await read_now(stage) == {"INV-1", "INV-2"}
        assert await read_now(stage) == {"INV-1", "INV-2"}
        assert await looks(stage.server) == 2, "who asks again within minutes costs no look"


async def test_a_reading_at_its_interval_costs_no_look(tmp_path: Path) -> None:
    async with virtual_writer(tmp_path, poll_seconds=3_000.0) as stage:
        stage.writer._ledger._every_seconds = HOUR
        await stage.plan(save_account())
        await book(stage, "INV-1")
        await stage.run(START.timestamp() + 5 * HOUR)
        calls = (await stage.server.calls())["by_endpoint"]
        assert calls[f"GET {ledger_lines.ENDPOINT}"] >= 3
        assert calls[f"GET {MOVES}"] == 1


@pytest.mark.parametrize("status", [403, 404])
async def test_where_exact_refuses_the_look_the_ledger_is_read_without(tmp_path: Path, status: int) -> None:
    async with virtual_writer(tmp_path, poll_seconds=3_000.0) as stage:
        await stage.plan(save_account())
        await book(stage, "INV-1")
        await read_now(stage)
        await stage.server.fault("status", method="GET", path_contains=MOVES, times=100, status=status)
        for number in (2, 3):
            await book(stage, f"INV-{number}")
            assert f"INV-{number}" in await read_now(stage)
        assert await looks(stage.server) == 2, "each refusal counts against the error limit: one, and no second for the next ask"
        assert stage.writer.connection.complaint() is None


async def test_a_closed_endpoint_is_not_asked(tmp_path: Path) -> None:
    async with virtual_writer(tmp_path, poll_seconds=3_000.0) as stage:
        await stage.plan(save_account())
        await book(stage, "INV-1")
        await read_now(stage)
        async with stage.database.transaction() as connection:
            rows = [{"division": DIVISION, "endpoint": MOVES, "at": stage.clock.seconds() + second} for second in range(8)]
            await connection.execute(sa.insert(counted_errors), rows)
        await stage.restart()
        await book(stage, "INV-2")
        assert await read_now(stage) == {"INV-1", "INV-2"}
        assert await looks(stage.server) == 1


@pytest.mark.parametrize("dialect", DATABASES)
async def test_without_a_writer_the_command_line_looks_itself(tmp_path: Path, dialect: str) -> None:
    config = tmp_path / "kruispost.yaml"
    config.write_text(CONFIGURATION.model_dump_json(exclude_defaults=True), encoding="utf-8")
    async with exact_server() as server:
        values = {**writer_environment(server.url), "poll_seconds": 0.2, "ledger_seconds": 0, "config": config}
        async with settings_for(dialect, tmp_path, **values) as settings, broker(tmp_path) as queues:
            database = Database.open(settings, "exact-writer")
            try:
                await migrate(database, "exact-writer")
                await log_in(server, settings, database)
                async with running(settings, database, queues) as stage, open_ledger(settings) as shelf:
                    await stage.tell(save_account(), sale("INV-1"))
                    await stage.until(facts.EntryPosted)
                    await shelf.refresh(DIVISION, 30)
                    await server.control("moves", division=DIVISION)
                    await stage.tell(sale("INV-2"))
                    await stage.until(facts.EntryPosted, 2)
                of_look = (mirror_state.c.division == DIVISION, mirror_state.c.kind == "division")
                async with database.transaction() as connection:
                    hour_ago = sa.update(mirror_state).where(*of_look).values(read_at=mirror_state.c.read_at - HOUR)
                    await connection.execute(hour_ago)
                before = await looks(server)
                for _ in range(2):
                    async with open_ledger(settings) as shelf:
                        await shelf.refresh(DIVISION, 30)
                async with database.reading() as connection:
                    found = set(await connection.scalars(sa.select(table.c.your_ref)))
                assert found >= {"INV-1", "INV-2"}
                assert await looks(server) == before + 1, "the second command knows of the first one's look"
            finally:
                await database.close()


@asynccontextmanager
async def broker(directory: Path) -> AsyncIterator[EmbeddedBroker]:
    queues = EmbeddedBroker(directory / "broker.sqlite")
    try:
        await queues.declare(topology(CONFIGURATION.divisions))
        yield queues
    finally:
        await queues.close()


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DATABASES)
async def test_reconcile_after_a_move_misses_nothing(tmp_path: Path, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    events = events_of_month(documents=DOCUMENTS)
    async with whole_month(tmp_path, dialect) as month:
        await month.receive(events[: len(events) // 2])
        await month.book()
        before = await booked(month)
        await month.reconcile()
        monkeypatch.setattr(ledger_reader, "MOVES_SECONDS", 2.0)  # the last look is longer ago than that once half is booked
        await month.server.control("moves", division=MONTHS_DIVISION)
        await month.receive(events[len(events) // 2 :])
        await month.book()
        assert await booked(month) > before
        await asyncio.sleep(2)
        code, told = await month.reconcile()
        assert (code, told["findings"]) == (0, [])


async def booked(month: Month) -> int:
    """How many entries stand in Exact."""
    return len((await month.server.ledger(MONTHS_DIVISION))["entries"])
