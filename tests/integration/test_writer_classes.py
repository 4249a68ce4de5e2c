"""Whose turn it is: today's work is not hidden by history, and history moves on behind it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from support.engines import settings_for
from support.exact_server import DIVISION, exact_server
from support.virtual_writer import START, virtual_writer
from support.writer_stage import (
    SITE,
    WriterStage,
    configuration,
    document,
    ledger_sale,
    outgoing,
    payment,
    running,
    said,
    sale,
    save_account,
    writer_stage,
)

from backbone.clock import SystemClock
from backbone.database import Database
from backbone.migrations import migrate
from contracts import facts
from contracts.commands import PostEntry
from contracts.envelope import decode
from exact_writer import asking, history_pause, journal, waiting, work_queue
from exact_writer.tables import commands

TODAY = SystemClock().now().date()
SLOW = {"minute_limit": 20, "minute_seconds": 1.0}  # calls last longer than it takes to send commands


def history(count: int, customer: str = "CUST1", start: int = 0) -> list[PostEntry]:
    return [sale(f"OLD-{start + number}", customer) for number in range(count)]


async def hurried(stage: WriterStage, number: str) -> list[str]:
    async with stage.database.transaction() as connection:
        told = await asking.hurry(stage.database, connection, configuration(), number, None)
    return [each["sentence"] for each in told]


async def order_of(stage: WriterStage) -> list[str]:
    return [each.document.number for each in await stage.said(facts.EntryPosted)]


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
async def test_todays_invoice_goes_before_hundreds_of_its_customers_history(tmp_path: Path, dialect: str) -> None:
    async with exact_server(**SLOW) as server, writer_stage(server, tmp_path, dialect) as stage:
        await stage.tell(save_account(), *history(300))
        await stage.until(facts.EntryPosted, 3)
        await stage.tell(sale("NEW-1", entry_date=TODAY))
        await stage.until(facts.EntryPosted, document=document("NEW-1"))
        assert len(await order_of(stage)) < 200, "it did not wait for the three hundred"
        async with stage.database.reading() as connection:
            counts = await waiting.counts(connection, DIVISION, SystemClock().now().timestamp())
        assert {each.work_class for each in counts} == {"backfill"}


async def test_a_payment_of_today_takes_along_what_it_settles(tmp_path: Path) -> None:
    async with exact_server(**SLOW) as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), save_account("CUST2"), *history(100, "CUST2"), *history(100, start=100), sale("OLD-OWN"))
        await stage.until(facts.EntryPosted, 3)
        await stage.tell(msgspec.structs.replace(dated(payment("TX-1")), follows=("OLD-OWN",)))
        await stage.until(facts.EntryPosted, document=document("TX-1", kind="payment"))
        order = await order_of(stage)
        assert order.index("OLD-OWN") < order.index("TX-1")
        assert len(order) < 150, "it waited neither for another customer's history nor for the rest of its own"


async def test_history_moves_on_behind_a_stream_of_todays_documents(tmp_path: Path) -> None:
    waits = [*(sale(f"NEW-{number}", entry_date=TODAY) for number in range(120)), *history(20, "CUST2")]

    async def plan(database: Database, _: object) -> None:
        await plan_all(database, save_account(), save_account("CUST2"), *waits)

    async with exact_server() as server, writer_stage(server, tmp_path, before=plan) as stage:
        await stage.until(facts.EntryPosted, 140)
        order = (await order_of(stage))[:110]
    old = [number for number in order if number.startswith("OLD")]
    assert 3 <= len(old) <= 8, "one call in twenty"


async def test_a_ledger_entry_takes_todays_documents_before_history(tmp_path: Path) -> None:
    month_ago = TODAY - timedelta(days=30)
    old = [ledger_sale(f"OLD-{number}", entry_date=month_ago) for number in range(260)]
    # What decides is the age; of one period they are because both name it.
    period = {"reporting_year": month_ago.year, "reporting_period": month_ago.month}
    waits: list[Any] = [msgspec.structs.replace(each, **period) for each in (*old, ledger_sale("NEW-1", entry_date=TODAY))]

    async def plan(database: Database, _: object) -> None:
        await plan_all(database, save_account(), *waits)

    async with exact_server() as server, writer_stage(server, tmp_path, before=plan) as stage:
        posted = await stage.until(facts.EntryPosted, 261, seconds=60)
    first = [each.document.number for each in posted if each.entry_id == posted[0].entry_id]
    assert (len(first), "NEW-1" in first) == (200, True)


@pytest.mark.parametrize(("dialect", "mode"), [("sqlite", "entry"), ("postgresql", "ledger")])
async def test_history_that_a_person_paused_waits_while_todays_documents_are_booked(
    tmp_path: Path, dialect: str, mode: str
) -> None:
    book = sale if mode == "entry" else ledger_sale
    old, new = [book(f"OLD-{number}") for number in range(5)], [book(f"NEW-{number}", entry_date=TODAY) for number in range(5)]
    period = {"reporting_year": TODAY.year, "reporting_period": TODAY.month}

    async def plan(database: Database, _: object) -> None:
        await plan_all(database, save_account(), *(msgspec.structs.replace(each, **period) for each in (*old, *new)))
        async with database.transaction() as connection:
            await history_pause.pause(database, connection, [SITE])

    async with exact_server() as server, writer_stage(server, tmp_path, dialect, before=plan) as stage:
        await stage.until(facts.EntryPosted, 5)
        await asyncio.sleep(0.5)
        assert {number.partition("-")[0] for number in await order_of(stage)} == {"NEW"}
        async with stage.database.transaction() as connection:
            assert await history_pause.waiting_history(connection, [SITE]) == {SITE: 5}
            assert await history_pause.resume(connection, [SITE]) == 1
        await stage.until(facts.EntryPosted, 10)


async def test_a_person_lets_a_waiting_document_go_first(tmp_path: Path) -> None:
    async with exact_server(**SLOW) as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), *history(200))
        told = await hurried(stage, "OLD-199")
        while not told:
            told = await hurried(stage, "OLD-199")
        assert told == [asking.GOES_FIRST]
        before = len(await order_of(stage))
        await stage.until(facts.EntryPosted, document=document("OLD-199"))
        assert len(await order_of(stage)) < before + 120
        assert await hurried(stage, "OLD-199") == [asking.ENDED["posted"]]


@pytest.mark.parametrize("hour", [0, 9, 20])
async def test_history_leaves_the_rest_of_the_day_to_what_is_still_to_come(tmp_path: Path, hour: int) -> None:
    last_year = START.date().replace(year=START.year - 1)
    async with virtual_writer(tmp_path, day_limit=60) as stage:
        stage.clock.advance(hour * 3600.0)
        await stage.plan(save_account(), *(sale(f"OLD-{number}", entry_date=last_year) for number in range(80)))
        await stage.run(stage.clock.seconds() + 600.0)
        booked = len(await said(stage.database, facts.EntryPosted))
        assert booked < 80, "not all of it goes on the first day"
        await stage.plan(sale("NEW-1", entry_date=stage.clock.now().date()))
        await stage.run(stage.clock.seconds() + 600.0)
        numbers = [each.document.number for each in await said(stage.database, facts.EntryPosted)]
        assert numbers[booked:] == ["NEW-1"]
        assert (await stage.server.calls())["rate_limited"] == 0


async def test_a_command_that_another_replica_took_in_is_seen_soon(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, poll_seconds=60.0) as stage:
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        async with running(stage.settings, stage.database, stage._broker) as second:  # stands by, and consumes too
            await second.tell(*(sale(f"INV-{number}") for number in range(2, 12)))
            await stage.until(facts.EntryPosted, 11, seconds=15)


def dated(command: PostEntry) -> PostEntry:
    return msgspec.structs.replace(command, entry_date=TODAY)


@pytest.mark.postgres
async def test_a_new_command_does_not_wait_for_one_that_is_being_sent(tmp_path: Path) -> None:
    """Each would wait for what the other holds: the consumer raises several rows, a batch of mode ledger marks several."""
    async with settings_for("postgresql", tmp_path) as settings:
        database = Database.open(settings, "exact-writer")
        try:
            await migrate(database, "exact-writer")
            await plan_all(database, *history(4))
            being_sent = sa.select(commands.c.sequence).where(commands.c.your_ref == "OLD-1").with_for_update()
            async with database.transaction() as sending:
                await sending.execute(being_sent)
                async with asyncio.timeout(60):
                    await plan_all(database, msgspec.structs.replace(dated(payment("TX-1")), follows=("OLD-0", "OLD-1", "OLD-2")))
            async with database.reading() as connection:
                rows = await connection.execute(sa.select(commands.c.your_ref, commands.c.work_class))
                found = dict(rows.tuples().all())
                history_left = {"OLD-1": "backfill", "OLD-3": "backfill"}
                assert found == {"OLD-0": "money", "OLD-2": "money", "TX-1": "money", **history_left}, "OLD-3 is not what it pays"
        finally:
            await database.close()


async def test_a_document_whose_customer_exact_refused_cannot_go_first(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(sale("INV-1"))
        told = await hurried(stage, "INV-1")
        while not told:
            told = await hurried(stage, "INV-1")
        assert told == [asking.WITHOUT_ACCOUNT]


async def plan_all(database: Database, *messages: Any) -> None:
    async with database.transaction() as connection:
        for each in messages:
            await journal.plan(database, connection, decode(outgoing(each).body), each, SystemClock().now().timestamp())


async def test_history_of_another_site_has_its_turn_while_much_of_one_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_queue, "MUCH_HISTORY", 10)  # from there on it is not counted anew at each look
    last_year = START.date() - timedelta(days=60)
    async with virtual_writer(tmp_path) as stage:
        await stage.plan(
            save_account(), save_account("CUST2"), *(sale(f"OLD-{number}", entry_date=last_year) for number in range(150))
        )
        await stage.run(START.timestamp() + 30.0)
        other = sale("OTHER", "CUST2", entry_date=last_year)
        whose = msgspec.structs.replace(other.document, site="zuid-test")
        await stage.plan(msgspec.structs.replace(other, document=whose))
        await stage.run(START.timestamp() + 30.0 + work_queue.HISTORY_COUNT_SECONDS + 30.0)
        booked = [each.document.number for each in await said(stage.database, facts.EntryPosted)]
    assert "OTHER" in booked
    assert len(booked) < 151, "it did not wait for all of the first site's"
