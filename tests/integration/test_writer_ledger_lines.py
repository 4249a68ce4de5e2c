"""Exact's ledger comes to the writer a page a call, when asked or at an interval, and never in front of a booking."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
import sqlalchemy as sa
from support.engines import DATABASES, database_for
from support.exact_server import DIVISION, ExactServer, exact_server
from support.writer_stage import DAY, WriterStage, payment, sale, save_account, writer_stage

from backbone.database import Database
from contracts import facts
from exact_writer import ledger_lines
from exact_writer.ledger_lines import ENDPOINT, Reading
from exact_writer.tables import ledger_lines as table

READ = f"GET {ENDPOINT}"


async def ask(database: Database) -> int:
    async with database.transaction() as connection:
        return await ledger_lines.ask(database, connection, DIVISION)


async def until_answered(database: Database, wish: int, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while True:
            async with database.reading() as connection:
                if (await ledger_lines.reading(connection, DIVISION)).answered >= wish:
                    return
            await asyncio.sleep(0.02)


async def read_now(stage: WriterStage) -> list[Any]:
    """The ledger as the writer has it after a fresh reading, in the order of entries."""
    await until_answered(stage.database, await ask(stage.database))
    async with stage.database.reading() as connection:
        order = (table.c.entry_number, table.c.line_number)
        return list(await connection.execute(sa.select(table).order_by(*order)))


async def pages(server: ExactServer) -> int:
    found = (await server.calls())["by_endpoint"].get(READ, 0)
    assert isinstance(found, int)
    return found


async def until_read(server: ExactServer, count: int) -> None:
    async with asyncio.timeout(20):
        while await pages(server) < count:  # noqa: ASYNC110 - the stand-in counts, it does not notify
            await asyncio.sleep(0.05)


async def as_person(server: ExactServer, method: str, path: str, body: dict[str, Any] | None = None) -> None:
    """Somebody else's app changes something in Exact."""
    token = (await server.control("tokens", client_id="other-app"))["access_token"]
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {token}"}) as http:
        answer = await http.request(method, f"/api/v1/{DIVISION}/{path}", json=body)
        assert answer.status_code == 204, answer.text


@pytest.mark.parametrize("dialect", DATABASES)
async def test_the_ledger_is_read_when_asked_and_then_only_what_changed(tmp_path: Path, dialect: str) -> None:
    async with exact_server(sync_page_size=4) as server, writer_stage(server, tmp_path, dialect, ledger_seconds=0) as stage:
        await stage.tell(save_account(), sale("INV-1"), payment("txn_1"), sale("INV-2"))
        posted = {fact.document.number: fact for fact in await stage.until(facts.EntryPosted, 3)}
        await asyncio.sleep(0.5)
        assert await pages(server) == 0  # nobody asked
        lines = await read_now(stage)
        assert await pages(server) == 2  # eight lines, four a page
        of_invoice = [line for line in lines if line.your_ref == "INV-1"]
        assert [(line.account, line.dc_hundredths, line.fc_hundredths) for line in of_invoice] == [
            ("1300", 12_100, 12_100),
            ("8000", -10_000, -10_000),
            ("1500", -2_100, -2_100),
        ]
        header = of_invoice[0]
        assert (header.entry_id, header.entry_number) == (posted["INV-1"].entry_id, posted["INV-1"].entry_number)
        assert (header.journal, header.day, header.year, header.period) == ("70", DAY, 2026, 3)
        assert (of_invoice[1].vat_code, of_invoice[1].vat_fc_hundredths) == ("2", -2_100)
        assert {line.entry_id for line in lines} == {fact.entry_id for fact in posted.values()}
        await read_now(stage)
        assert await pages(server) == 3  # one call says that there is nothing new
        await as_person(server, "PUT", f"salesentry/SalesEntries(guid'{posted['INV-2'].entry_id}')", {"YourRef": "INV-2a"})
        changed = await read_now(stage)
        assert await pages(server) == 4
        assert {line.line_id for line in changed} == {line.line_id for line in lines}
        assert {line.your_ref for line in changed if line.entry_id == posted["INV-2"].entry_id} == {"INV-2a"}


async def test_a_reading_that_broke_off_goes_on_at_the_page_where_it_was(tmp_path: Path) -> None:
    async with exact_server(sync_page_size=3) as server:
        async with writer_stage(server, tmp_path, ledger_seconds=0) as stage:
            await stage.tell(save_account(), *(sale(f"INV-{number}") for number in range(4)))
            await stage.until(facts.EntryPosted, 4)
            await server.fault("status", method="GET", path_contains=ENDPOINT, skip=2, times=1_000, status=503)
            wish = await ask(stage.database)
            await until_read(server, 3)  # two pages, and a third that did not come
        before = await pages(server)
        async with httpx.AsyncClient(base_url=server.url) as http:
            await http.delete("/_simulator/faults")
        async with writer_stage(server, tmp_path, ledger_seconds=0) as stage:
            await until_answered(stage.database, wish)
            async with stage.database.reading() as connection:
                assert await connection.scalar(sa.select(sa.func.count()).select_from(table)) == 12
        assert await pages(server) == before + 2  # the third and the fourth page, and neither of the first two again


@pytest.mark.parametrize("dialect", DATABASES)
async def test_what_was_deleted_in_exact_is_gone_after_the_next_reading(tmp_path: Path, dialect: str) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, dialect, ledger_seconds=0) as stage:
        await stage.tell(save_account(), sale("INV-1"), sale("INV-2"))
        posted = {fact.document.number: fact for fact in await stage.until(facts.EntryPosted, 2)}
        assert len(await read_now(stage)) == 6
        await as_person(server, "DELETE", f"salesentry/SalesEntries(guid'{posted['INV-1'].entry_id}')")
        assert {line.your_ref for line in await read_now(stage)} == {"INV-2"}


async def test_without_the_right_to_see_deletions_the_ledger_is_read_all_the_same(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, ledger_seconds=0) as stage:
        await server.fault("status", method="GET", path_contains="sync/Deleted", times=100, status=403)
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        assert len(await read_now(stage)) == 3
        await read_now(stage)
        async with stage.database.reading() as connection:
            assert not (await ledger_lines.reading(connection, DIVISION)).sees_deletions
        # Once for the ledger, and at most once for the master data.
        assert (await server.calls())["by_endpoint"]["GET sync/Deleted"] <= 2
        assert await stage.complaints() == []


async def test_bookings_go_first(tmp_path: Path) -> None:
    async with exact_server(minute_limit=20, minute_seconds=1.0) as server:
        async with writer_stage(server, tmp_path, ledger_seconds=0, poll_seconds=600.0) as stage:
            await stage.tell(save_account(), *(sale(f"INV-{number}") for number in range(60)))
            await stage.until(facts.EntryPosted, 1)
            wish = await ask(stage.database)
            while len(await stage.said(facts.EntryPosted)) < 59:
                assert await pages(server) == 0
                await asyncio.sleep(0.05)
            await until_answered(stage.database, wish)
        calls = await server.calls()
        assert calls["rate_limited"] == 0
        assert calls["by_endpoint"][READ] == 1


async def test_the_ledger_is_read_at_an_interval_without_being_asked(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, ledger_seconds=0.5) as stage:
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        await until_read(server, 2)


async def test_without_the_right_to_read_the_ledger_bookings_go_on(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, ledger_seconds=0) as stage:
        await server.fault("status", method="GET", path_contains=ENDPOINT, times=100, status=403)
        await ask(stage.database)
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        await until_read(server, 1)
        await stage.tell(sale("INV-2"))
        await stage.until(facts.EntryPosted, 2)
        assert await pages(server) == 1  # an hour's pause: errors count against a limit that is shared with bookings
        assert await stage.complaints() == []


class TestReading:
    """How far the ledger was read, when its pages come in the order of their row versions and when they do not."""

    def test_pages_in_order_move_it_page_by_page(self) -> None:
        first = Reading(asks=1).after(_versions(5, 7), "next", 10.0)
        assert (first.timestamp, first.next_page, first.begun_at) == (7, "next", 10.0)
        lines = first.after(_versions(8, 20), None, 11.0)
        assert (lines.timestamp, lines.in_deletions, lines.begun_at) == (20, True, 10.0)
        whole = lines.after(_versions(21), None, 12.0)
        assert (whole.timestamp, whole.deleted_timestamp, whole.answered, whole.read_at) == (20, 21, 1, 10.0)

    def test_what_changed_behind_a_page_out_of_order_is_read_the_next_time(self) -> None:
        # Line 5 changes after the first page was read, as 60; the second page was asked for later and shows 120 already.
        first = Reading().after(_versions(50, 5), "next", 10.0)
        assert first.timestamp == 1
        lines = first.after(_versions(9, 120), None, 11.0)
        assert (lines.timestamp, lines.highest) == (50, 120)
        assert "Timestamp gt 50L" in unquote(lines.after([], None, 12.0).page)

    def test_the_same_holds_for_deletions(self) -> None:
        reading = Reading(timestamp=40, in_deletions=True, deleted_timestamp=3)
        first = reading.after(_versions(30, 8), "next", 10.0)
        assert (first.deleted_timestamp, first.timestamp) == (3, 40)
        assert first.after(_versions(31, 90), None, 11.0).deleted_timestamp == 30


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_restart_remembers_that_pages_were_out_of_order(tmp_path: Path, dialect: str) -> None:
    found = Reading().after(_versions(50, 5), "next", 10.0)
    async with database_for(dialect, tmp_path, "exact-writer") as database:
        async with database.transaction() as connection:
            await ledger_lines.keep(database, connection, DIVISION, [], found)
        async with database.reading() as connection:
            assert await ledger_lines.reading(connection, DIVISION) == found


def _versions(*versions: int) -> list[dict[str, str]]:
    return [{"Timestamp": str(version)} for version in versions]
