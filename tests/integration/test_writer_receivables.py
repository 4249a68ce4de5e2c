"""What is paid in Exact is told once, with the document it belongs to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.engines import DATABASES
from support.exact_server import DIVISION, exact_server
from support.writer_stage import DAY, sale, save_account, writer_stage

from contracts import facts


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_bank_receipt_is_told_with_our_document_and_only_once(tmp_path: Path, dialect: str) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, dialect) as stage:
        await stage.tell(save_account(), sale("INV-1"), sale("INV-2"))
        await stage.until(facts.EntryPosted, 2)
        await stage.until(facts.ReceivableObserved, 2)
        await server.control("bank-receipts", division=DIVISION, your_ref="INV-1", amount_minor=12_100, date="2026-03-20")
        paid = await stage.until(facts.ReceivableObserved, is_fully_paid=True)
        await asyncio.sleep(0.6)
        ours = [fact for fact in await stage.said(facts.ReceivableObserved) if fact.is_fully_paid and fact.document]
        assert len(ours) == 1
        assert paid[0].document is not None or len(paid) > 1
        fact = ours[0]
        assert fact.document is not None
        assert fact.document.number == "INV-1"
        assert (fact.amount_minor, fact.currency, fact.status) == (12_100, "EUR", 50)
        assert fact.last_payment_date is not None
        assert fact.last_payment_date >= DAY


async def test_what_a_division_held_before_is_not_told_at_the_first_reading(tmp_path: Path) -> None:
    async with exact_server() as server:
        for directory in ("old", "new"):
            async with writer_stage(server, tmp_path / directory) as stage:
                await stage.tell(save_account(), sale(f"INV-{directory}"))
                await stage.until(facts.EntryPosted)
                seen = await stage.until(facts.ReceivableObserved)
                assert {fact.your_ref for fact in seen} == {f"INV-{directory}"}


async def test_an_entry_found_after_a_lost_answer_has_its_receivable_told_again(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, exact_timeout_seconds=4.0, poll_seconds=0.05) as stage:
        await stage.tell(save_account())
        await stage.until(facts.AccountSaved)
        await server.fault("lose_answer", method="POST", path_contains="SalesEntries")
        await stage.tell(sale("INV-1"))
        await stage.until(facts.EntryPosted, found=True)
        async with asyncio.timeout(60):
            while not any(fact.document for fact in await stage.said(facts.ReceivableObserved)):  # noqa: ASYNC110 - read from a database
                await asyncio.sleep(0.02)
