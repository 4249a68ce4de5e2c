"""Bank lines come from Exact with what it matched of them, also those on suspense accounts, and they go when they are deleted."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.engines import DATABASES
from support.exact_server import DIVISION, ExactServer, exact_server
from support.writer_stage import WriterStage, configuration, sale, save_account, writer_stage

from backbone.clock import SystemClock
from contracts import facts
from contracts.bank_lines import BankLineObserved

SUSPENSE = "1660"
WATCHING = configuration(bank_matching={"suspense_accounts": [SUSPENSE]})


async def booked(server: ExactServer, amount_minor: int, description: str = "Betaling", **more: Any) -> Any:
    """A line of a bank statement that a person books, on the debtor account of the test's customer unless told otherwise."""
    line = {"gl_account": "1300", "account": "Klant CUST1", "date": SystemClock().now().date().isoformat(), **more}
    return await server.control("bank-lines", division=DIVISION, amount_minor=amount_minor, description=description, **line)


async def lines_of(stage: WriterStage, count: int) -> list[BankLineObserved]:
    return await stage.until(BankLineObserved, count)


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_line_on_a_debtor_account_is_told_with_its_account_and_again_when_it_is_matched(
    tmp_path: Path, dialect: str
) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, dialect) as stage:
        await stage.tell(save_account(), sale("INV-1"))
        (account,) = await stage.until(facts.AccountSaved)
        await stage.until(facts.ReceivableObserved)
        line = await booked(server, 13_000, "NL91ABNA0417164300 factuur INV-1")
        (fact,) = await lines_of(stage, 1)
        assert (fact.line_id, fact.entry_id, fact.entry_number) == (line["line_id"], line["entry_id"], line["entry_number"])
        assert (fact.amount_minor, fact.currency, fact.is_matched, fact.journal, fact.gl_account) == (
            13_000,
            "EUR",
            False,
            "20",
            "1300",
        )
        assert (fact.account_id, fact.account_name) == (account.account_id, "Klant CUST1")
        assert (fact.description, fact.day) == ("NL91ABNA0417164300 factuur INV-1", SystemClock().now().date())
        await server.control("matches", division=DIVISION, your_ref="INV-1", entry_number=line["entry_number"])
        parts = {each.part_id: each for each in await lines_of(stage, 3)}
        assert sorted((each.amount_minor, each.is_matched) for each in parts.values()) == [(900, False), (12_100, True)]
        assert {each.line_id for each in parts.values()} == {line["line_id"]}


async def test_our_own_entries_and_those_of_other_journals_are_no_bank_lines(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.ReceivableObserved)
        await asyncio.sleep(0.6)
        assert await stage.said(BankLineObserved) == []


async def test_the_first_reading_tells_of_the_past_only_what_is_not_matched(tmp_path: Path) -> None:
    async with exact_server() as server:
        for name in ("before", "now"):
            (tmp_path / name).mkdir()
        async with writer_stage(server, tmp_path / "before") as stage:
            await stage.tell(save_account(), sale("INV-1"))
            await stage.until(facts.ReceivableObserved)
        assert (await booked(server, 12_100))["matched"]
        unmatched = await booked(server, 700)
        async with writer_stage(server, tmp_path / "now") as stage:
            (fact,) = await lines_of(stage, 1)
            assert fact.line_id == unmatched["line_id"]


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_line_on_a_suspense_account_is_told_and_gone_when_it_is_deleted(tmp_path: Path, dialect: str) -> None:
    async with (
        exact_server() as server,
        writer_stage(server, tmp_path, dialect, ledger_seconds=0.5, configuration=WATCHING) as stage,
    ):
        await stage.tell(save_account())
        await stage.until(facts.AccountSaved)
        long_ago = (SystemClock().now().date() - timedelta(days=70)).isoformat()
        await booked(server, 500, gl_account=SUSPENSE, account=None, date=long_ago)
        line = await booked(server, 12_100, "Wie is dit?", gl_account=SUSPENSE, account=None)
        (fact,) = await lines_of(stage, 1)
        assert (fact.line_id, fact.part_id, fact.amount_minor, fact.account_id) == (line["line_id"], line["line_id"], 12_100, "")
        await _delete(server, line["entry_id"])
        (_, gone) = await lines_of(stage, 2)
        assert (gone.line_id, gone.is_gone) == (line["line_id"], True)


async def test_a_deleted_line_of_a_debtor_account_is_gone(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, ledger_seconds=0.5) as stage:
        await stage.tell(save_account())
        await stage.until(facts.AccountSaved)
        line = await booked(server, 12_100)
        await lines_of(stage, 1)
        await _delete(server, line["entry_id"])
        (_, gone) = await lines_of(stage, 2)
        assert (gone.line_id, gone.part_id, gone.is_gone) == (line["line_id"], "", True)


async def test_a_line_that_a_person_moves_to_another_account_leaves_where_it_was(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, ledger_seconds=0.5, configuration=WATCHING) as stage:
        await stage.tell(save_account())
        await stage.until(facts.AccountSaved)
        line = await booked(server, 12_100)
        await lines_of(stage, 1)
        for account, count in ((SUSPENSE, 3), ("4900", 5)):
            _move(server, line["line_id"], account)
            told = await lines_of(stage, count)
        assert [(each.part_id == line["line_id"], each.is_gone) for each in told] == [
            (False, False),  # the debtor's part
            (False, True),  # that is gone
            (True, False),  # the part on the suspense account
            *((False, True), (True, True)),  # both are gone
        ]


def _move(server: ExactServer, line_id: str, account: str) -> None:
    """A person books a line on another account."""
    division = server.simulator.world.divisions[DIVISION]
    division.update("financialtransaction/TransactionLines", uuid.UUID(line_id), {"GLAccountCode": account})


async def _delete(server: ExactServer, entry_id: str) -> None:
    token = (await server.control("tokens", client_id="other-app"))["access_token"]
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {token}"}) as http:
        answer = await http.delete(f"/api/v1/{DIVISION}/financialtransaction/BankEntries(guid'{entry_id}')")
        assert answer.status_code == 204, answer.text
