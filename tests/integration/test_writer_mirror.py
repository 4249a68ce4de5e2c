"""The mirror follows Exact: what changed and what was deleted, page by page, over a crash and over a move of the division."""

from __future__ import annotations

import tracemalloc
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.engines import DATABASES
from support.exact_server import DIVISION, exact_server
from support.mirror_stage import MirrorStage, mirror_stage
from support.writer_stage import CONFIGURATION, said, sale, save_account, writer_stage

from backbone.database import Database
from backbone.settings import Settings
from contracts import facts
from exact_writer.client import UnknownError
from exact_writer.master_records import Kind
from exact_writer.mirror import AT_START, DELETIONS_KEPT_SECONDS, Mirror
from exact_writer.row_versions import Position
from exact_writer.tables import accounts as customers
from exact_writer.tables import mirror_state
from simulators.exact import master_data, sales_entries

ACCOUNTS = "GET sync/CRM/Accounts"
FOLLOWED: tuple[Kind, ...] = ("ledger", "account", "deleted")


@pytest.mark.parametrize("dialect", DATABASES)
async def test_what_is_deleted_in_exact_leaves_the_mirror(tmp_path: Path, dialect: str) -> None:
    async with exact_server() as server, mirror_stage(server, tmp_path, dialect) as stage:
        kept, gone, ours = stage.add_accounts(3)
        contact = master_data.create_contact(stage.division, {"Account": kept, "LastName": "J", "Email": "j@voorbeeld.example"})
        ledger = master_data.create_coded(stage.division, "financial/GLAccounts", {"Code": "8100", "Description": "Oud"})
        async with stage.database.transaction() as connection:
            row = {"division": DIVISION, "customer_ref": "acme/1", "account_id": str(ours), "fingerprint": "1"}
            await connection.execute(sa.insert(customers).values(row))
        for kind in ("ledger", "account", "contact", "deleted"):
            await stage.mirror.refresh(kind)
        assert await stage.knows("R1")
        assert stage.mirror.find("ledger", "8100") is not None
        for row in [row for row in stage.division.table("crm/Accounts") if row["ID"] in (gone, ours)]:
            master_data.delete_account(stage.division, row)
        stage.division.delete("crm/Contacts", contact["ID"], master_data.ENTITY_CONTACTS)
        stage.division.delete("financial/GLAccounts", ledger["ID"], master_data.ENTITY_GL_ACCOUNTS)
        await stage.mirror.refresh("deleted")
        assert [await stage.knows(code) for code in ("R0", "R1", "R2")] == [True, False, False]
        assert not await stage.mirror.accounts.find("contact_email", "j@voorbeeld.example")
        assert stage.mirror.find("ledger", "8100") is None
        assert [record.is_gone for record in await stage.mirror.accounts.get([str(ours)])] == [True]
        # Read again from the log's position, nothing comes twice, and a new account is no deletion.
        stage.add_accounts(1)
        await stage.mirror.refresh("account")
        await stage.mirror.refresh("deleted")
        assert [record.is_gone for record in await stage.mirror.accounts.get([str(kept)])] == [False]


async def test_what_was_deleted_is_asked_for_within_six_hours_and_what_nobody_misses_within_a_day(tmp_path: Path) -> None:
    async with exact_server() as server, mirror_stage(server, tmp_path) as stage:
        for kind in AT_START:
            await stage.mirror.refresh(kind)
        assert stage.mirror.stale() is None
        others = mirror_state.c.kind.not_in(("division", "period"))
        async with stage.database.transaction() as connection:
            await connection.execute(sa.update(mirror_state).where(others).values(read_at=mirror_state.c.read_at - 6 * 3600))
        await stage.mirror.load()
        assert stage.mirror.stale() == "deleted"
        await stage.mirror.refresh("deleted")
        assert stage.mirror.stale() is None


async def test_an_account_that_was_deleted_gets_no_call_and_a_person_says_which_one_it_is_now(tmp_path: Path) -> None:
    async with exact_server() as server:
        division = server.simulator.world.divisions[DIVISION]
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account())
            await stage.until(facts.AccountSaved)
        (account,) = division.table("crm/Accounts")
        master_data.delete_account(division, account)
        other = master_data.create_account(division, {"Name": "Samengevoegd", "Status": "C", "Code": "900"})
        async with writer_stage(server, tmp_path, before=read_at_once("account", "deleted")) as stage:
            await stage.tell(sale("INV-1"))
            (refused,) = await stage.until(facts.EntryRefused)
            assert (refused.code, "customers.links" in refused.message) == ("account_gone", True)
            await stage.tell(save_account(fingerprint="2", account_code="900"))
            assert (await stage.until(facts.AccountSaved, 2))[-1].account_id == str(other["ID"])
            await stage.tell(sale("INV-2"))
            await stage.until(facts.EntryPosted)
        calls = await server.calls()
        assert calls["by_endpoint"]["POST salesentry/SalesEntries"] == 1
        assert calls["errors_counted"] == 0


def read_at_once(*kinds: str) -> Callable[[Database, Settings], Any]:
    """Let parts be read again that were read today, from where they are."""

    async def change(database: Database, _: Settings) -> None:
        async with database.transaction() as connection:
            statement = sa.update(mirror_state).values(read_at=1.0).where(mirror_state.c.kind.in_(kinds))
            await connection.execute(statement)

    return change


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_crash_between_two_pages_goes_on_behind_the_page_that_is_stored(tmp_path: Path, dialect: str) -> None:
    async with exact_server(sync_page_size=10) as server, mirror_stage(server, tmp_path, dialect) as stage:
        stage.add_accounts(95)
        await server.fault("drop_before", path_contains="sync/CRM/Accounts", skip=6)
        with pytest.raises(UnknownError):
            await stage.mirror.refresh("account")
        assert await stage.count() == 60
        again = Mirror(DIVISION, CONFIGURATION.divisions[DIVISION], database=stage.database, clock=stage.clock, calls=stage.calls)
        await again.load()
        assert again.stale() == "division", "a list that was begun is not one that was read"
        assert again.is_worth_reading("account", 0.0)
        before = await stage.asked(ACCOUNTS)
        await again.refresh("account")
        assert await stage.count() == 95
        assert await stage.asked(ACCOUNTS) - before == 4, "60 are there; 35 are four pages"


@pytest.mark.parametrize("dialect", DATABASES)
async def test_after_a_move_everything_is_read_anew_and_receivables_are_told_as_newer(tmp_path: Path, dialect: str) -> None:
    async with exact_server() as server, mirror_stage(server, tmp_path, dialect) as stage:
        (first, second) = stage.add_accounts(2)
        for kind in ("division", "ledger", "account", "deleted"):
            await stage.mirror.refresh(kind)
        await stage.poll()
        _sell(stage, first, "INV-1")
        assert await stage.poll() == 1
        told = await _told(stage)
        # The account vanishes while its deletion cannot be seen: the log starts anew with the move, too.
        stage.division.table("crm/Accounts").remove(second)
        async with stage.database.transaction() as connection:
            row = {"division": DIVISION, "customer_ref": "acme/2", "account_id": str(second), "fingerprint": "1"}
            await connection.execute(sa.insert(customers).values(row))
        await server.control("moves", division=DIVISION)
        await stage.mirror.refresh("division")
        assert stage.mirror.find("ledger", "8000") is None
        assert stage.mirror.stale() == "ledger", "it is read before anything is written"
        for again in FOLLOWED:
            await stage.mirror.refresh(again)
        assert stage.mirror.find("ledger", "8000") is not None
        assert [record.is_gone for record in await stage.mirror.accounts.get([str(second)])] == [True]
        await stage.poll()
        _sell(stage, first, "INV-2")
        await stage.poll()
        newer = await _told(stage)
        assert newer["INV-2"] > told["INV-1"], "whoever folds receivables by their version takes the newest"
        # The same date again is no move.
        calls = await stage.asked(ACCOUNTS)
        await stage.mirror.refresh("division")
        await stage.mirror.refresh("account")
        assert await stage.asked(ACCOUNTS) == calls + 1
        assert stage.mirror.find("ledger", "8000") is not None


def _sell(stage: MirrorStage, customer: uuid.UUID, number: str) -> None:
    ledger = stage.division.by_code("financial/GLAccounts", "8000")
    assert ledger is not None
    line = {"GLAccount": ledger["ID"], "AmountFC": Decimal(100), "VATCode": "2"}
    sales_entries.create(stage.division, {"Customer": customer, "Journal": "70", "YourRef": number, "SalesEntryLines": [line]})


async def _told(stage: MirrorStage) -> dict[str, int]:
    found = await said(stage.database, facts.ReceivableObserved)
    return {fact.your_ref: fact.timestamp for fact in found}


async def test_a_log_of_deletions_that_is_too_old_has_everything_read_anew(tmp_path: Path) -> None:
    async with exact_server() as server, mirror_stage(server, tmp_path) as stage:
        (gone,) = stage.add_accounts(1)
        for kind in ("account", "deleted"):
            await stage.mirror.refresh(kind)
        stage.division.table("crm/Accounts").remove(gone)  # deleted so long ago that Exact's log has dropped it
        long_ago = (stage.clock.now() - timedelta(seconds=DELETIONS_KEPT_SECONDS + 60)).timestamp()
        async with stage.database.transaction() as connection:
            await connection.execute(sa.update(mirror_state).values(read_at=long_ago))
        await stage.mirror.load()
        await stage.mirror.refresh("deleted")
        await stage.mirror.refresh("account")
        assert not await stage.knows("R0")


async def test_without_the_right_to_see_deletions_and_moves_the_writer_books_on(tmp_path: Path) -> None:
    async with (
        exact_server(missing_scopes=("Organization administration",)) as server,
        writer_stage(server, tmp_path) as stage,
    ):
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        assert await stage.complaints() == []
        calls = (await server.calls())["by_endpoint"]
        assert (calls["GET sync/Deleted"], calls["GET system/Divisions"]) == (1, 1)


async def test_memory_does_not_grow_with_the_number_of_accounts(tmp_path: Path) -> None:
    peaks = []
    for count in (2_000, 12_000):
        async with exact_server() as server, mirror_stage(server, tmp_path / str(count)) as stage:
            stage.add_accounts(count)
            tracemalloc.start()
            await stage.mirror.refresh("account")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert await stage.count() == count
            assert await stage.asked(ACCOUNTS) == count // 1_000
    # Ten thousand rows that were kept would take about 15 MB; the stand-in itself is in this process, too.
    assert peaks[1] - peaks[0] < 5_000_000, peaks


class TestPosition:
    """How far a list of changes was read."""

    def test_a_page_in_order_moves_it(self) -> None:
        position = Position.behind(1).after(_rows(5, 7)).after(_rows(8, 20))
        assert (position.at, position.until) == (20, 20)

    def test_a_page_out_of_order_holds_it_until_the_end(self) -> None:
        position = Position.behind(1).after(_rows(5, 7)).after(_rows(30, 9)).after(_rows(50, 60))
        assert (position.at, position.until) == (7, 30), "a row that changed while page 3 was read has more than 30"

    def test_an_empty_page_changes_nothing(self) -> None:
        assert Position.behind(4).after([]) == Position.behind(4)


def _rows(*versions: int) -> list[dict[str, str]]:
    return [{"Timestamp": str(version)} for version in versions]
