"""What Exact refuses ends with a stable code; what the mirror knows it would refuse costs no call."""

from __future__ import annotations

import uuid
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.exact_server import DIVISION, ExactServer, exact_server
from support.writer_stage import sale, save_account, writer_stage

from backbone.clock import SystemClock
from contracts import facts
from contracts.commands import EntryLine
from exact_writer.mirror import AGAIN_SECONDS, PERIODS_SECONDS
from exact_writer.tables import mirror_state

SALES = "POST salesentry/SalesEntries"


def line(**more: Any) -> EntryLine:
    """A line of 100.00 and 21.00 VAT."""
    return EntryLine(**{"gl_account": "8000", "amount_minor": 10_000, "vat_code": "2", "vat_amount_minor": 2_100, **more})


@pytest.mark.parametrize("language", ["nl-NL", "en-US"])
async def test_a_period_that_closed_meanwhile_is_told_before_the_refusal(tmp_path: Path, language: str) -> None:
    async with exact_server(language=language) as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        await server.control("periods", division=DIVISION, journal="70", year=2026, period=3, open=False)
        await stage.tell(sale("INV-2"), sale("INV-3"))
        refused = await stage.until(facts.EntryRefused, 2)
        assert [fact.code for fact in refused] == ["period_closed"] * 2
        said = await stage.said(facts.PeriodObserved, facts.EntryRefused)
        closed = next(fact for fact in said if isinstance(fact, facts.PeriodObserved) and not fact.is_open)
        assert (closed.journal, closed.year, closed.period) == ("70", 2026, 3)
        assert said.index(closed) < said.index(refused[0])
        assert (await server.calls())["by_endpoint"][SALES] == 2
        await stage.tell(sale("INV-4", reporting_year=2026, reporting_period=4))
        posted = await stage.until(facts.EntryPosted, 2)
        assert (posted[-1].reporting_year, posted[-1].reporting_period) == (2026, 4)


async def test_a_refusal_that_may_mean_another_period_closes_none(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        await server.control("periods", division=DIVISION, journal="70", year=2026, period=2, open=False)
        await stage.tell(sale("INV-2", lines=(line(from_date=date(2026, 2, 1), to_date=date(2026, 4, 30)),)))
        (refused,) = await stage.until(facts.EntryRefused)
        assert refused.code == "period_closed"
        assert all(fact.is_open for fact in await stage.said(facts.PeriodObserved)), "March takes entries as before"
        async with stage.database.reading() as connection:
            read_at = await connection.scalar(sa.select(mirror_state.c.read_at).where(mirror_state.c.kind == "period"))
        soon = SystemClock().now().timestamp() - PERIODS_SECONDS + AGAIN_SECONDS
        assert read_at is not None
        assert read_at <= soon, "whoever has the division then looks at the periods within the minute, also after a restart"
        await stage.tell(sale("INV-3"))
        await stage.until(facts.EntryPosted, 2)


@pytest.mark.parametrize(
    ("lines", "more", "code"),
    [
        ((line(gl_account="8888"),), {}, "unknown_gl_account"),
        ((line(vat_code="X"),), {}, "unknown_vat_code"),
        ((line(cost_center="MOON"),), {}, "unknown_cost_center"),
        ((line(cost_unit="MOON"),), {}, "unknown_cost_unit"),
        ((), {"journal": "99"}, "unknown_journal"),
        ((), {"journal": "20"}, "wrong_journal_type"),
    ],
)
async def test_what_the_mirror_does_not_have_costs_no_writing_call(
    tmp_path: Path, lines: tuple[EntryLine, ...], more: dict[str, Any], code: str
) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-1", lines=lines, **more), sale("INV-2"))
        (refused,) = await stage.until(facts.EntryRefused)
        assert refused.code == code
        await stage.until(facts.EntryPosted)
        assert (await server.calls())["by_endpoint"][SALES] == 1


async def test_a_blocked_ledger_is_named(tmp_path: Path) -> None:
    async with exact_server() as server:
        await server.control("rows", division=DIVISION, endpoint="financial/GLAccounts", code="8000", changes={"IsBlocked": True})
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account(), sale("INV-1"))
            (refused,) = await stage.until(facts.EntryRefused)
            assert refused.code == "blocked_gl_account"
            assert "8000" in refused.message


async def test_a_year_that_exact_does_not_have_is_named(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-1", reporting_year=2031, reporting_period=1))
        (refused,) = await stage.until(facts.EntryRefused)
        assert refused.code in {"no_financial_year", "invalid_reference"}


async def test_a_refused_customer_holds_its_entries_until_a_newer_version_is_saved(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(vat_number="NL123456789B01"), sale("INV-1"), save_account("CUST2"), sale("INV-2", "CUST2"))
        (refused,) = await stage.until(facts.AccountRefused)
        assert refused.customer_ref.endswith("CUST1")
        await stage.until(facts.EntryPosted)
        await stage.tell(save_account(fingerprint="2"))
        posted = await stage.until(facts.EntryPosted, 2)
        assert sorted(fact.your_ref for fact in posted) == ["INV-1", "INV-2"]


async def test_a_customer_is_created_once_and_changed_only_when_something_differs(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), save_account(), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        await stage.tell(save_account(fingerprint="2", name="Nieuwe naam"))
        saved = await stage.until(facts.AccountSaved, 2)
        assert [fact.created for fact in saved] == [True, False]
        assert len({fact.account_id for fact in saved}) == 1
        calls = (await server.calls())["by_endpoint"]
        assert (calls["POST crm/Accounts"], calls["PUT crm/Accounts"]) == (1, 1)


async def test_an_installation_made_anew_finds_the_accounts_of_the_old_one(tmp_path: Path) -> None:
    async with exact_server() as server:
        for directory in ("old", "new"):
            await _book_one(server, tmp_path / directory, f"INV-{directory}")
        calls = (await server.calls())["by_endpoint"]
        assert calls["POST crm/Accounts"] == 1
        accounts = {row["account"] for row in (await server.ledger())["receivables"]}
        assert len(accounts) == 1


async def _book_one(server: ExactServer, directory: Path, number: str) -> None:
    async with writer_stage(server, directory) as stage:
        await stage.tell(save_account(), sale(number))
        await stage.until(facts.EntryPosted)


async def test_an_account_removed_in_exact_is_made_anew(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account())
        (first,) = await stage.until(facts.AccountSaved)
        accounts = server.simulator.world.divisions[DIVISION].table("crm/Accounts")
        accounts.remove(uuid.UUID(first.account_id))
        await stage.tell(save_account(fingerprint="2", phone="030 1234567"), sale("INV-1"))
        saved = await stage.until(facts.AccountSaved, 2)
        assert saved[1].account_id != first.account_id
        await stage.until(facts.EntryPosted)
