"""Each fault at each kind of writing call, before and after Exact did it: one booking, as docs/unknown-outcomes.md says."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.faulty_exact import CALLS, FAULTS, check, rehearsal, told
from support.writer_stage import sale, save_account


@pytest.mark.parametrize("kind", CALLS)
async def test_every_fault_at_every_writing_call_ends_as_one_booking(tmp_path: Path, kind: str) -> None:
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"))
        await stage.work()
        for place, fault in enumerate(FAULTS):
            customer, number = f"C{place}", f"{place}-{fault}"
            entries = told(kind, number, customer)
            if kind != "account":
                await stage.plan(save_account(customer))
                await stage.work()
            if kind == "account change":
                await stage.plan(save_account(customer, "2", name="Nieuwe naam"))
            code = stage.vat_code()
            percentage = code["Percentage"]
            if kind == "draft removal":
                code["Percentage"] = percentage / 3
            stage.exact.planned.append((fault, *CALLS[kind]))
            await stage.plan(*([save_account(customer)] if kind == "account" else []), *entries)
            await stage.work()
            code["Percentage"] = percentage
            assert stage.exact.struck == [fault]
            stage.exact.struck.clear()
            check(stage, fault, entries)
            assert (await stage.ends()).items() >= {entry.command_id: "posted" for entry in entries}.items(), fault
            assert len(stage.rows("crm/Accounts", Name="Nieuwe naam")) == (place + 1) * (kind == "account change"), fault
            assert len(stage.rows("crm/Accounts", Name=f"Klant {customer}")) == (kind != "account change"), fault
            assert len(stage.rows("logistics/Items", Code=f"I-{customer}")) <= 1, fault
            if kind in ("document", "attachment"):
                assert len(stage.rows("documents/Documents")) == place + 1, fault
                assert len(stage.rows("documents/DocumentAttachments")) == place + 1, fault
        assert stage.simulator.traffic.concurrent_max == 1
        assert all(row["Status"] == 50 for row in stage.rows("salesinvoice/SalesInvoices"))


async def test_a_writer_that_was_paused_before_its_call_left_does_not_send_it(tmp_path: Path) -> None:
    """As by SIGSTOP: the call was noted, the process stood still for an hour, and another one has booked it meanwhile."""
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"))
        await stage.work()
        await stage.plan(sale("INV-1", "FIRST"))
        stage.database.paused_after_next = lambda: stage.clock.advance(3600)
        calls = stage.simulator.traffic.writes
        await stage.work()
        assert stage.simulator.traffic.writes == calls + 1
        check(stage, "paused", [sale("INV-1", "FIRST")])
