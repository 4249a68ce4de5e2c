"""PDFs on entries in Exact: two calls each, after the bookings, once, and never at the cost of a booking."""

import asyncio
import json
from datetime import UTC, datetime

import msgspec
import pytest
import sqlalchemy as sa
from support.exact_server import DIVISION, exact_server
from support.virtual_writer import virtual_writer
from support.writer_stage import configuration, ledger_sale, payment, sale, save_account, writer_stage

from backbone.broker import Outgoing
from backbone.clock import SystemClock
from contracts import facts
from contracts.envelope import derived_id, encode, seal
from contracts.parcels import PdfFetched
from contracts.topology import PARCELS_EXCHANGE, parcel_routing_key
from exact_writer import attachments
from exact_writer.asking import NEVER, QUEUED, STANDS, queue
from exact_writer.tables import attachments as table

PDF = b"%PDF-1.7 factuur"
QUICK = 1.0  # seconds that an answer is waited for, and more than a busy machine holds one up
DOCUMENTS, ATTACHMENTS = "documents/Documents", "documents/DocumentAttachments"


def parcel(wanted, content=PDF, **more):
    fact = PdfFetched(division=DIVISION, request_id=wanted.request_id, content=content, **more)
    now = datetime(2026, 3, 10, tzinfo=UTC)
    key = wanted.request_id
    envelope = seal(fact, source="ingest", subject=key, key=str(DIVISION), time=now, distinguisher=f"{content!r} {more}")
    return Outgoing(parcel_routing_key(fact.TYPE, DIVISION), encode(envelope), envelope.id)


async def answer(stage, number, content=PDF, **more):
    """Wait until a document's PDF is wanted, and send it as ingest would."""
    async with asyncio.timeout(30):
        while True:
            wanted = [each for each in await stage.said(facts.PdfWanted) if each.document.number == number]
            if wanted:
                break
            await asyncio.sleep(0.02)
    await stage._broker.publish(PARCELS_EXCHANGE, [parcel(wanted[-1], content, **more)])


def hung(server):
    """The documents and the files in Exact."""
    division = server.simulator.world.divisions[DIVISION]
    return list(division.table(DOCUMENTS)), list(division.table(ATTACHMENTS))


async def kept(stage):
    """How many bytes of PDFs the writer has."""
    async with stage.database.reading() as connection:
        return [len(bytes(row.content)) for row in await connection.execute(sa.select(table.c.content)) if row.content]


async def test_a_pdf_becomes_a_document_of_the_entry_with_the_file_on_it(tmp_path):
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV/1", pdf=True), sale("INV-2"))
        await answer(stage, "INV/1")
        (told,) = await stage.until(facts.PdfAttached)
        posted = {each.document.number: each for each in await stage.said(facts.EntryPosted)}
        (document,), (file,) = hung(server)
        calls = (await server.calls())["by_endpoint"]
        assert await kept(stage) == []
    assert (document["Subject"], document["Type"]) == ("INV/1", 10)
    assert str(document["FinancialTransactionEntryID"]) == posted["INV/1"].entry_id == told.entry_id
    assert document["Account"]
    assert (file["Document"], file["FileName"], file["FileSize"]) == (document["ID"], "INV-1.pdf", len(PDF))
    about_pdfs = {name: count for name, count in calls.items() if "documents/" in name}
    assert about_pdfs == {f"POST {DOCUMENTS}": 1, f"POST {ATTACHMENTS}": 1}


@pytest.mark.parametrize("fault", [None, "lose_answer"])
async def test_documents_that_share_an_entry_have_a_pdf_each_beside_the_list_of_them(tmp_path, fault):
    async with exact_server() as server, writer_stage(server, tmp_path, exact_timeout_seconds=QUICK) as stage:
        await stage.tell(save_account(), save_account("CUST2"))
        await stage.until(facts.AccountSaved, 2)
        if fault is not None:
            await server.fault(fault, method="POST", path_contains=DOCUMENTS)
        await stage.tell(ledger_sale("INV-1", pdf=True), ledger_sale("INV-2", "CUST2", pdf=True), ledger_sale("INV-3"))
        (entry_id,) = {posted.entry_id for posted in await stage.until(facts.EntryPosted, 3)}
        for number in ("INV-1", "INV-2"):
            await answer(stage, number, PDF + number.encode())
        await stage.until(facts.PdfAttached, 2)
        async with asyncio.timeout(30):
            while len(hung(server)[1]) < 3:  # noqa: ASYNC110 - the stand-in does not notify
                await asyncio.sleep(0.02)
        documents, files = hung(server)
        accounts = {str(document["Account"]) for document in documents if document["Subject"] in ("INV-1", "INV-2")}
    assert len(documents) == 3
    assert {str(document["FinancialTransactionEntryID"]) for document in documents} == {entry_id}
    assert {"INV-1.pdf", "INV-2.pdf"} < {file["FileName"] for file in files}
    assert len(accounts) == 2, "each at its own customer"


@pytest.mark.parametrize("endpoint", [DOCUMENTS, ATTACHMENTS])
@pytest.mark.parametrize("fault", ["lose_answer", "drop_before", "cut_answer", "html_502"])
async def test_a_lost_answer_ends_as_one_document_with_one_file(tmp_path, fault, endpoint):
    async with exact_server() as server, writer_stage(server, tmp_path, exact_timeout_seconds=QUICK) as stage:
        await server.fault(fault, method="POST", path_contains=endpoint)
        await stage.tell(save_account(), sale("INV-1", pdf=True))
        await answer(stage, "INV-1")
        await stage.until(facts.PdfAttached)
        documents, files = hung(server)
    assert (len(documents), len(files)) == (1, 1)


@pytest.mark.parametrize("endpoint", [DOCUMENTS, ATTACHMENTS])
async def test_a_pdf_that_exact_refuses_is_told_and_touches_no_booking(tmp_path, endpoint):
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        body = {"error": {"code": "", "message": {"lang": "", "value": "Niet toegestaan: Bestand"}}}
        await server.fault("status", method="POST", path_contains=endpoint, status=500, body=json.dumps(body))
        await stage.tell(save_account(), sale("INV-1", pdf=True))
        await answer(stage, "INV-1")
        (told,) = await stage.until(facts.PdfNotAttached)
        await stage.tell(sale("INV-2"))
        await stage.until(facts.EntryPosted, 2)
        assert await stage.complaints() == []
        assert await kept(stage) == []
    assert told.code == "invalid_value"
    assert "Bestand" in told.message
    assert "kruispost pdf" in told.message


async def test_a_missing_right_to_documents_stops_no_booking(tmp_path):
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await server.fault("status", method="POST", path_contains=DOCUMENTS, status=403)
        await stage.tell(save_account(), sale("INV-1", pdf=True))
        await answer(stage, "INV-1")
        async with asyncio.timeout(30):
            while server.simulator.traffic.faults:  # noqa: ASYNC110 - the stand-in does not notify
                await asyncio.sleep(0.02)
        await stage.tell(sale("INV-2"))
        await stage.until(facts.EntryPosted, 2)
        assert await stage.complaints() == []
        assert await stage.said(facts.PdfNotAttached) == [], "it waits for the right"


async def test_why_chargebee_has_no_pdf_is_told_with_what_to_do(tmp_path):
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-1", pdf=True))
        await answer(stage, "INV-1", content=None, code="pdf_missing", message="Chargebee has no invoice INV-1.")
        (told,) = await stage.until(facts.PdfNotAttached)
        documents, _ = hung(server)
    assert told.code == "pdf_missing"
    assert told.message.startswith("Chargebee has no invoice INV-1. Nothing, if")
    assert documents == []


async def test_a_pdf_that_failed_can_be_asked_for_again(tmp_path):
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-1", pdf=True))
        await answer(stage, "INV-1", content=None, code="pdf_unavailable", message="No answer.")
        await stage.until(facts.PdfNotAttached)
        async with stage.database.transaction() as connection:
            assert await attachments.plan(stage.database, connection, DIVISION, "command-INV-1")
        await stage.until(facts.PdfWanted, 2)
        await answer(stage, "INV-1")
        await stage.until(facts.PdfAttached)
        async with stage.database.transaction() as connection:
            assert not await attachments.plan(stage.database, connection, DIVISION, "command-INV-1")
        documents, files = hung(server)
    assert (len(documents), len(files)) == (1, 1)


async def test_only_a_few_pdfs_are_under_way_at_once(tmp_path):
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        numbers = [f"INV-{number}" for number in range(8)]
        await stage.tell(save_account(), *(sale(number, pdf=True) for number in numbers))
        await stage.until(facts.EntryPosted, 8)
        await stage.until(facts.PdfWanted, 5)
        async with stage.database.reading() as connection:
            assert await attachments.counts(connection, DIVISION) == {"wanted": 5, "waiting": 3}
        for number in numbers:
            await answer(stage, number)
        await stage.until(facts.PdfAttached, 8)


async def test_pdfs_wait_while_the_rest_of_the_day_belongs_to_bookings(tmp_path):
    async with exact_server(day_limit=40) as server, writer_stage(server, tmp_path) as stage:
        today = SystemClock().now().date()
        numbers = [f"INV-{number}" for number in range(40)]
        await stage.tell(save_account(), *(sale(number, pdf=True, entry_date=today) for number in numbers))
        await server.until_called("division_calls", 40)
        calls = (await server.calls())["by_endpoint"]
        assert [name for name in calls if "documents/" in name] == []
        assert (await server.calls())["rate_limited"] == 0
        assert await stage.said(facts.PdfWanted) == [], "nothing is fetched that cannot be attached today"


async def test_pdfs_get_their_share_of_a_backlog_of_history(tmp_path):
    async with exact_server(minute_limit=20, minute_seconds=1.0) as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-0", pdf=True))
        await stage.until(facts.PdfWanted)
        await answer(stage, "INV-0")
        await stage.tell(*(sale(f"INV-{number}") for number in range(1, 200)))
        await stage.until(facts.PdfAttached)
        assert len(await stage.said(facts.EntryPosted)) < 150, "the PDF did not wait for the whole backlog"


async def test_a_parcel_that_nobody_waits_for_is_dropped(tmp_path):
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-1", pdf=True))
        await answer(stage, "INV-1")
        await answer(stage, "INV-1", content=None, code="pdf_missing", message="Later.")
        await stage.until(facts.PdfAttached)
        await stage.tell(sale("INV-2"))
        await stage.until(facts.EntryPosted, 2)
        assert await stage.said(facts.PdfNotAttached) == []


async def test_a_person_asks_for_the_pdf_of_what_is_booked(tmp_path):
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-1"), payment("TX-1"))
        await stage.until(facts.EntryPosted, 2)

        async def ask(number, **division):
            async with stage.database.transaction() as connection:
                said = await queue(stage.database, connection, configuration(**division), number, None)
            return [each["sentence"] for each in said]

        assert await ask("INV-1", pdf={"policy": "never"}) == [NEVER]
        assert await ask("INV-1") == [QUEUED]
        assert await ask("INV-2") == []
        assert await ask("TX-1") == [], "a payment has none"
        await answer(stage, "INV-1")
        await stage.until(facts.PdfAttached)
        assert await ask("INV-1") == [STANDS["attached"]]


@pytest.mark.parametrize("following", ["R", "#2"])
async def test_a_pdf_that_may_be_of_the_next_document_with_the_number_is_not_attached_to_the_former(tmp_path, following):
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        first = sale("INV-1", pdf=True)
        await stage.tell(save_account(), first)
        (wanted,) = await stage.until(facts.PdfWanted)
        ref = first.document
        of_next = derived_id("entry", str(DIVISION), ref.site, ref.kind, ref.number, following, "0")
        again = sale("INV-1/R" if following == "R" else "INV-1#2", command_id=of_next, pdf=following == "#2")
        again = msgspec.structs.replace(again, document=msgspec.structs.replace(ref, suffix=following))
        await stage.tell(again)
        await stage.until(facts.EntryPosted, 2)
        await stage._broker.publish(PARCELS_EXCHANGE, [parcel(wanted)])
        (told,) = await stage.until(facts.PdfNotAttached)
        if following == "#2":
            async with asyncio.timeout(30):
                while len(asked := await stage.said(facts.PdfWanted)) == 1:  # noqa: ASYNC110 - seen in the log only
                    await asyncio.sleep(0.02)
            await stage._broker.publish(PARCELS_EXCHANGE, [parcel(asked[-1], b"%PDF next")])
            await stage.until(facts.PdfAttached)
        documents, _ = hung(server)
    assert (told.code, told.document.suffix) == ("pdf_of_another", "")
    assert [each["Subject"] for each in documents] == (["INV-1#2"] if following == "#2" else [])


async def test_pdfs_that_wait_rest_while_the_policy_is_that_none_is_attached_and_go_on_afterwards(tmp_path):
    always, never = (configuration(pdf={"policy": policy}) for policy in ("always", "never"))
    async with virtual_writer(tmp_path, configuration=always) as stage:
        await stage.restart(never)
        sales = [msgspec.structs.replace(sale(f"INV-{number}"), pdf=True) for number in range(3)]
        await stage.plan(save_account(), *sales, ledger_sale("L-1"), ledger_sale("L-2"))
        await stage.run(stage.clock.seconds() + 3_600.0)
        _, files = hung(stage.server)
        assert [row["FileName"].partition(".")[2] for row in files] == ["csv"], "the list of an entry is ours, and goes"
        assert await stage.waiting() == 3
        async with stage.database.transaction() as connection:  # a person had asked before
            await attachments.plan(stage.database, connection, DIVISION, "command-INV-2", is_asked=True)
        await stage.run(stage.clock.seconds() + 3_600.0)
        assert await stage.waiting() == 2
        await stage.restart(always)
        await stage.run(stage.clock.seconds() + 3_600.0)
        assert await stage.waiting() == 0
        assert len(hung(stage.server)[1]) == 4
