"""Mode document: sales invoices of items, to Chargebee's cents or else as sales entries, each once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.engines import DATABASES
from support.exact_server import DIVISION, ExactServer, exact_server
from support.faulty_exact import rehearsal
from support.writer_stage import configuration, sale, save_account, writer_stage

from contracts import commands, facts
from exact_writer import asking
from exact_writer.tables import attachments
from simulators.exact.documents import delete_document

QUICK = 1.0  # seconds that an answer is waited for, and more than a busy machine holds one up
DRAFTS, FINAL, ENTRIES = (
    "POST salesinvoice/SalesInvoices",
    "POST salesinvoice/PrintedSalesInvoices",
    "POST salesentry/SalesEntries",
)


def invoiced(number: str, *amounts: tuple[int, int], **more: Any) -> commands.PostEntry:
    """A document of mode document with these net amounts and VAT at 21%."""
    lines = tuple(
        commands.EntryLine(
            gl_account="8000", amount_minor=net, vat_code="2", vat_amount_minor=tax, item_code=f"8000-Team-{place}"
        )
        for place, (net, tax) in enumerate(amounts or ((10_000, 2_100),))
    )
    return sale(number, lines=lines, mode="document", **more)


async def called(server: ExactServer) -> dict[str, int]:
    """How many of each writing call were asked for."""
    by_endpoint = (await server.calls())["by_endpoint"]
    return {name: by_endpoint.get(name, 0) for name in (DRAFTS, FINAL, ENTRIES)}


def drafts(server: ExactServer) -> list[int]:
    """The states of all sales invoices: 20 is a draft, 50 is final."""
    return [row["Status"] for row in server.simulator.world.divisions[DIVISION].table("salesinvoice/SalesInvoices")]


@pytest.mark.parametrize("dialect", DATABASES)
async def test_an_invoice_of_known_items_costs_two_calls(tmp_path: Path, dialect: str) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, dialect) as stage:
        await stage.tell(save_account(), invoiced("INV-1"))
        await stage.until(facts.EntryPosted)
        before = await called(server)
        await stage.tell(invoiced("INV-2"), invoiced("CN-1", (-10_000, -2_100), (2_000, 420), journal="71"))
        posted = await stage.until(facts.EntryPosted, 3)
        after = await called(server)
        assert {name: after[name] - before[name] for name in after} == {DRAFTS: 2, FINAL: 2, ENTRIES: 0}
        assert {fact.booked_as for fact in posted} == {"document"}
        assert drafts(server) == [50, 50, 50]
        ledger = await server.ledger()
        assert ledger["balances_minor"] == {"1300": 14_520, "1500": -2_520, "8000": -12_000}
        assert {entry["entry_id"] for entry in ledger["entries"]} == {fact.entry_id for fact in posted}
        seen = await stage.until(facts.ReceivableObserved, 3)
        assert sorted(fact.document.number for fact in seen) == ["CN-1", "INV-1", "INV-2"]


@pytest.mark.parametrize("vat", ["given", "computed"])
async def test_cents_that_exact_would_not_keep_are_booked_as_a_sales_entry(tmp_path: Path, vat: Any) -> None:
    async with exact_server(invoice_vat=vat) as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), invoiced("INV-1", (10_000, 2_101), (10_000, 2_099)))
        (posted,) = await stage.until(facts.EntryPosted)
        assert posted.booked_as == "entry"
        assert await called(server) == {DRAFTS: 0, FINAL: 0, ENTRIES: 1}
        assert (await server.ledger())["balances_minor"]["1500"] == -4_200


@pytest.mark.parametrize("fault", [None, "status", "drop_before", "lose_answer"])
async def test_a_draft_with_other_cents_is_taken_away_and_booked_as_a_sales_entry(tmp_path: Path, fault: str | None) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, exact_timeout_seconds=QUICK) as stage:
        await stage.tell(save_account(), invoiced("INV-1"))
        await stage.until(facts.EntryPosted)
        code = server.simulator.world.divisions[DIVISION].by_code("vat/VATCodes", "2  ")
        assert code is not None
        code["Percentage"] = code["Percentage"] / 3  # changed since the mirror was read
        if fault is not None:
            more = {"status": 503} if fault == "status" else {}
            await server.fault(fault, method="DELETE", path_contains="SalesInvoices", **more)
        await stage.tell(invoiced("INV-2"))
        (posted,) = await stage.until(facts.EntryPosted, command_id="command-INV-2")
        assert posted.booked_as == "entry"
        assert drafts(server) == [50]
        assert (await server.ledger())["balances_minor"] == {"1300": 24_200, "1500": -4_200, "8000": -20_000}


@pytest.mark.parametrize("path", ["SalesInvoices", "PrintedSalesInvoices", "logistics/Items"])
@pytest.mark.parametrize("fault", ["lose_answer", "drop_before"])
async def test_a_lost_answer_to_either_call_ends_as_one_invoice(tmp_path: Path, fault: str, path: str) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, exact_timeout_seconds=QUICK) as stage:
        await stage.tell(save_account())
        await stage.until(facts.AccountSaved)
        await server.fault(fault, method="POST", path_contains=f"/{path}")
        await stage.tell(invoiced("INV-1"))
        (posted,) = await stage.until(facts.EntryPosted)
        assert posted.booked_as == "document"
        assert posted.found == (fault == "lose_answer" and path == "PrintedSalesInvoices")
        assert drafts(server) == [50]
        assert await server.booked() == ["INV-1"]


async def test_a_closed_period_leaves_no_draft_behind(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), invoiced("INV-1"))
        await stage.until(facts.EntryPosted)
        await server.control("periods", division=DIVISION, journal="70", year=2026, period=3, open=False)
        await stage.tell(invoiced("INV-2"))
        (refused,) = await stage.until(facts.EntryRefused)
        assert refused.code == "period_closed"
        await stage.tell(invoiced("INV-3", reporting_year=2026, reporting_period=4))
        await stage.until(facts.EntryPosted, 2)
        assert drafts(server) == [50, 50]


@pytest.mark.parametrize(("switch", "calls"), [("made", 3), ("none", 4)])
async def test_the_pdf_is_filed_with_exacts_own_print_which_saves_a_call(tmp_path: Path, switch: str, calls: int) -> None:
    async with rehearsal(tmp_path, printed_document=switch) as stage:
        await stage.plan(save_account(), invoiced("INV-1"))
        await stage.work()
        before = stage.simulator.traffic.writes
        await stage.plan(invoiced("INV-2", pdf=True))
        await stage.work()
        assert stage.simulator.traffic.writes - before == calls
        [invoice] = stage.rows("salesinvoice/SalesInvoices", YourRef="INV-2")
        [filed] = stage.rows("documents/Documents", FinancialTransactionEntryID=invoice["InvoiceID"])
        assert "INV-2.pdf" in [row["FileName"] for row in stage.rows("documents/DocumentAttachments", Document=filed["ID"])]


async def test_a_print_that_was_deleted_is_told_and_the_pdf_asked_for_again_gets_a_document_of_its_own(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account(), invoiced("INV-1", pdf=True))
        while not (prints := stage.rows("documents/Documents")):
            await stage.act(1)
        delete_document(stage.simulator.world.divisions[DIVISION], prints[0])
        await stage.work()
        async with stage.database.reading() as connection:
            assert list(await connection.scalars(sa.select(attachments.c.code))) == ["invalid_reference"]
        async with stage.database.transaction() as connection:
            await asking.queue(stage.database, connection, configuration(pdf={"policy": "always"}), "INV-1", DIVISION)
        await stage.work()
        assert stage.filed() == (["INV-1"], ["INV-1.pdf"])
