"""Exact's limits against the writer: full windows, no refusal, no block; and one writer in a division at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.engines import DATABASES
from support.exact_server import DIVISION, exact_server
from support.faulty_exact import check, rehearsal
from support.writer_stage import running, sale, save_account, writer_stage

from backbone.broker_embedded import EmbeddedBroker
from backbone.clock import SystemClock
from backbone.database import Database
from backbone.settings import Settings
from contracts import facts


async def test_a_backlog_fills_each_minute_and_is_never_refused(tmp_path: Path) -> None:
    async with (
        exact_server(minute_limit=20, minute_seconds=2.0) as server,
        writer_stage(server, tmp_path, poll_seconds=600.0) as stage,
    ):
        await stage.tell(save_account(), *(sale(f"INV-{number}") for number in range(80)))
        await stage.until(facts.EntryPosted, 80, seconds=60)
        calls = await server.calls()
        assert calls["rate_limited"] == 0
        assert calls["concurrent_max"] == 1
        full = [window["used"] for window in calls["per_window"]][2:-1]
        assert full == [20] * len(full)
        assert full


async def test_the_day_limit_is_waited_out(tmp_path: Path) -> None:
    async with exact_server(day_limit=15) as server, writer_stage(server, tmp_path, poll_seconds=600.0) as stage:
        today = SystemClock().now().date()  # history would leave calls to what is still to come today
        await stage.tell(save_account(), *(sale(f"INV-{number}", entry_date=today) for number in range(20)))
        await server.until_called("division_calls", 15)
        await asyncio.sleep(0.5)
        calls = await server.calls()
        assert calls["division_calls"] == 15
        assert calls["rate_limited"] == 0


async def test_a_limit_that_others_use_up_is_waited_out_and_the_invoice_is_booked_once(tmp_path: Path) -> None:
    async with exact_server(minute_seconds=1.0) as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account())
        await stage.until(facts.AccountSaved)
        await server.fault("status", method="POST", path_contains="SalesEntries", status=429, retry_after_seconds=1)
        await stage.tell(sale("INV-1"))
        (posted,) = await stage.until(facts.EntryPosted)
        assert not posted.found
        assert await server.booked() == ["INV-1"]
        assert (await server.calls())["by_endpoint"].get("GET salesentry/SalesEntries", 0) == 0


async def test_errors_stop_before_exact_blocks_the_app(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await server.fault("status", method="POST", path_contains="SalesEntries", status=400, times=100)
        await stage.tell(save_account(), *(sale(f"INV-{number}") for number in range(12)))
        await stage.until(facts.EntryRefused, 8)
        await stage.until(facts.ConnectionChanged, state="blocked")
        await asyncio.sleep(0.5)
        assert len(await stage.said(facts.EntryRefused)) == 8
        assert (await server.calls())["error_blocks"] == 0
        assert any("salesentry/SalesEntries" in complaint for complaint in await stage.complaints())
        await stage.tell(save_account("CUST2"))
        await stage.until(facts.AccountSaved, 2)


async def test_a_closed_division_is_left_alone_and_shown(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.until(facts.ConnectionChanged, state="connected")
        await server.fault("status", method="POST", path_contains="Accounts", status=403, times=5)
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.ConnectionChanged, state="blocked")
        await asyncio.sleep(0.5)
        assert (await server.calls())["by_endpoint"].get("POST crm/Accounts", 0) <= 1
        assert await stage.said(facts.AccountRefused) == []


@pytest.mark.parametrize("dialect", DATABASES)
async def test_two_writers_of_a_division_never_act_together(tmp_path: Path, dialect: str) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, dialect) as stage:
        settings: Settings = stage.settings
        database = Database.open(settings, "exact-writer")
        broker = EmbeddedBroker(tmp_path / "broker.sqlite")
        try:
            async with running(settings, database, broker):
                await stage.tell(save_account(), *(sale(f"INV-{number}") for number in range(30)))
                await stage.until(facts.EntryPosted, 30)
                calls = await server.calls()
                assert calls["concurrent_max"] == 1
                assert calls["by_endpoint"]["POST salesentry/SalesEntries"] == 30
                assert calls["by_endpoint"]["GET financial/Journals"] == 1
        finally:
            await broker.close()
            await database.close()


async def test_a_restart_remembers_what_the_minute_still_allows(tmp_path: Path) -> None:
    async with exact_server(minute_limit=12, minute_seconds=30.0) as server:
        async with writer_stage(server, tmp_path, poll_seconds=600.0) as stage:
            await stage.tell(save_account(), *(sale(f"INV-{number}") for number in range(20)))
            await server.until_called("division_calls", 12)
        async with writer_stage(server, tmp_path, logged_in=False, poll_seconds=600.0):
            await asyncio.sleep(1.0)
        calls = await server.calls()
        assert calls["rate_limited"] == 0
        assert max(window["used"] for window in calls["per_window"] if window["division"] == DIVISION) <= 12


async def test_a_clock_that_is_set_while_the_minute_is_used_up_causes_no_refusal_and_no_standstill(tmp_path: Path) -> None:
    """What Exact allows follows its clock: one of ours that is set, by an hour forward and two back, says nothing of it."""
    async with rehearsal(tmp_path, minute_limit=10) as stage:
        await stage.plan(save_account())
        await stage.work()
        invoices = [sale(f"INV-{number}") for number in range(60)]
        began = stage.clock.true_seconds()
        await stage.plan(*invoices)
        for seconds in (3_600.0, 100.0, -7_200.0, -100.0):
            used = stage.simulator.gate.windows[-1].start
            while stage.simulator.gate.windows[-1].start == used or stage.simulator.gate.windows[-1].used < 10:
                await stage.act(1)
            stage.shift_our_clock(seconds)
        await stage.work()
        check(stage, "clock", invoices)
        assert stage.simulator.gate.rate_limited == 0
        assert stage.clock.true_seconds() - began < 15 * 60, "seven minutes' worth of calls"


async def test_what_a_call_without_a_division_says_of_limits_is_not_taken_for_the_divisions(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, minute_limit=10, limits_without_division=True) as stage:
        await stage.work()
        stage.clock.advance(60)
        calls = stage.calls()
        await calls.load()
        for _ in range(9):
            await calls.page("financial/Journals", "financial/Journals")
        await calls.page("current/Me", "/api/v1/current/Me")
        assert calls.room_for_extras_at() is not None, "there is still one call at most"
        for _ in range(5):
            await calls.page("financial/Journals", "financial/Journals")
        assert stage.simulator.gate.rate_limited == 0
