"""Bank lines stay true while Exact changes under them: the division moves, terms are deleted, a journal is new."""

from __future__ import annotations

import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.engines import DATABASES
from support.exact_server import DIVISION, exact_server
from support.mirror_stage import MirrorStage, mirror_stage
from support.writer_stage import configuration, said, save_account, writer_stage

from backbone.clock import SystemClock
from contracts import facts
from contracts.bank_lines import BankLineObserved
from simulators.exact import ledger, receivables, sales_entries
from simulators.exact.master_data import open_periods
from simulators.exact.world import Division

SUSPENSE = "1660"


async def parts(stage: MirrorStage) -> list[tuple[int, bool]]:
    """What stands of bank lines, in cents and whether it is matched, for whoever folds what was told."""
    return standing(await said(stage.database, BankLineObserved))


def standing(told: list[BankLineObserved]) -> list[tuple[int, bool]]:
    """The newest state of each part that is not gone."""
    newest: dict[str, BankLineObserved] = {}
    for fact in told:
        if fact.part_id not in newest or newest[fact.part_id].timestamp <= fact.timestamp:
            newest[fact.part_id] = fact
    return sorted((fact.amount_minor, fact.is_matched) for fact in newest.values() if not fact.is_gone)


async def book(stage: MirrorStage, amount_minor: int, journal: str = "20") -> Any:
    """A line of a bank statement on the account of the first customer."""
    line = {"gl_account": "1300", "account": "Relatie 0", "description": "Betaling", "journal": journal}
    return await stage.server.control("bank-lines", division=DIVISION, amount_minor=amount_minor, **line)


def sell(stage: MirrorStage, customer: uuid.UUID, number: str) -> None:
    """An invoice of 121.00."""
    revenue = stage.division.by_code("financial/GLAccounts", "8000")
    assert revenue is not None
    line = {"GLAccount": revenue["ID"], "AmountFC": Decimal(100), "VATCode": "2"}
    sales_entries.create(stage.division, {"Customer": customer, "Journal": "70", "YourRef": number, "SalesEntryLines": [line]})


def new_journal(division: Division, code: str) -> None:
    """A second bank account gets its journal."""
    bank = division.by_code("financial/Journals", "20")
    assert bank is not None
    kept = {name: value for name, value in bank.items() if name not in {"Timestamp", "Created", "Modified"}}
    open_periods(division, division.create("financial/Journals", {**kept, "ID": division.world.next_id(), "Code": code}))


@pytest.mark.parametrize("dialect", DATABASES)
async def test_what_is_matched_before_a_move_is_noticed_is_told_as_matched(tmp_path: Path, dialect: str) -> None:
    async with exact_server() as server, mirror_stage(server, tmp_path, dialect) as stage:
        (customer,) = stage.add_accounts(1)
        sell(stage, customer, "INV-1")
        await stage.mirror.refresh("division")
        line = await book(stage, 13_000)
        await stage.poll()
        assert await parts(stage) == [(13_000, False)]
        await server.control("moves", division=DIVISION)
        await server.control("matches", division=DIVISION, your_ref="INV-1", entry_number=line["entry_number"])
        assert (await book(stage, 12_100))["matched"] is False
        sell(stage, customer, "INV-2")
        await server.control("matches", division=DIVISION, your_ref="INV-2", entry_number=line["entry_number"] + 1)
        await stage.mirror.refresh("division")
        await stage.poll()
        # What came in and was matched before we looked was never told, and needs nobody.
        assert await parts(stage) == [(900, False), (12_100, True)]
        told = len(await said(stage.database, BankLineObserved))
        await stage.poll()
        assert len(await said(stage.database, BankLineObserved)) == told


async def test_a_part_that_vanished_before_a_move_is_noticed_is_gone(tmp_path: Path) -> None:
    async with exact_server(sync_page_size=2) as server, mirror_stage(server, tmp_path) as stage:
        stage.add_accounts(1)
        await stage.mirror.refresh("division")
        for amount_minor in (100, 200, 300, 400, 500):
            await book(stage, amount_minor)
        await stage.poll()
        await server.control("moves", division=DIVISION)
        (term,) = [term for term in stage.division.table(receivables.TERMS) if term["AmountDC"] == Decimal(2)]
        stage.division.table(receivables.TERMS).remove(term["ID"])  # the log of deletions started anew with the move
        await stage.mirror.refresh("division")
        await stage.poll()
        assert await parts(stage) == [(amount_minor, False) for amount_minor in (100, 300, 400, 500)]


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_part_whose_term_exact_deletes_is_gone(tmp_path: Path, dialect: str) -> None:
    async with exact_server() as server, mirror_stage(server, tmp_path, dialect) as stage:
        (customer,) = stage.add_accounts(1)
        sell(stage, customer, "INV-1")
        line = await book(stage, 13_000)
        await stage.poll()
        await server.control("matches", division=DIVISION, your_ref="INV-1", entry_number=line["entry_number"])
        await stage.poll()
        await stage.mirror.refresh("deleted")
        assert await parts(stage) == [(900, False), (12_100, True)]
        (rest,) = [term for term in stage.division.table(receivables.TERMS) if term["AmountDC"] == Decimal(9)]
        stage.division.delete(receivables.TERMS, rest["ID"], ledger.ENTITY_PAYMENT_TERMS)
        stage.division.delete(receivables.TERMS, next(_of_invoice(stage)), ledger.ENTITY_PAYMENT_TERMS)
        await stage.mirror.refresh("deleted")
        assert await parts(stage) == [(12_100, True)]
        told = await said(stage.database, BankLineObserved)
        assert [(fact.line_id, fact.part_id) for fact in told if fact.is_gone] == [(line["line_id"], str(rest["ID"]))]


def _of_invoice(stage: MirrorStage) -> Any:
    return (term["ID"] for term in stage.division.table(receivables.TERMS) if term.get("Journal") == "70")


@pytest.mark.parametrize("dialect", DATABASES)
async def test_money_on_a_journal_that_is_new_in_exact_is_told(tmp_path: Path, dialect: str) -> None:
    async with exact_server() as server, mirror_stage(server, tmp_path, dialect) as stage:
        stage.add_accounts(1)
        await stage.mirror.refresh("journal")
        await book(stage, 100)
        await stage.poll()
        new_journal(stage.division, "21")
        await book(stage, 200, "21")
        await book(stage, 300, "21")
        await stage.poll()
        await book(stage, 400, "21")
        await stage.poll()
        assert await parts(stage) == [(100, False), (200, False), (300, False), (400, False)]
        assert await stage.asked("GET financial/Journals") == 2


async def test_a_journal_that_exact_does_not_show_is_looked_for_once(tmp_path: Path) -> None:
    async with exact_server() as server, mirror_stage(server, tmp_path) as stage:
        stage.add_accounts(1)
        await stage.mirror.refresh("journal")
        for code in ("21", "22", "21", "22"):
            new_journal(stage.division, code)
            await book(stage, 200, code)
            journals = stage.division.table("financial/Journals")
            journals.remove(next(row["ID"] for row in journals if row["Code"] == code))
            await stage.poll()
        assert await stage.asked("GET financial/Journals") == 3
        await stage.mirror.refresh("journal")
        await book(stage, 300)
        await stage.poll()
        assert await parts(stage) == [(300, False)]
        assert await stage.asked("GET financial/Journals") == 4


async def test_money_on_a_suspense_account_by_a_new_journal_is_told(tmp_path: Path) -> None:
    watching = configuration(bank_matching={"suspense_accounts": [SUSPENSE]})
    async with (
        exact_server() as server,
        writer_stage(server, tmp_path, ledger_seconds=0.5, configuration=watching) as stage,
    ):
        await stage.tell(save_account())
        await stage.until(facts.AccountSaved)
        new_journal(server.simulator.world.divisions[DIVISION], "21")
        line = {"gl_account": SUSPENSE, "description": "Wie?", "journal": "21"}
        today = SystemClock().now().date().isoformat()
        await server.control("bank-lines", division=DIVISION, amount_minor=12_100, date=today, **line)
        (fact,) = await stage.until(BankLineObserved, 1)
        assert (fact.journal, fact.amount_minor, fact.gl_account) == ("21", 12_100, SUSPENSE)
