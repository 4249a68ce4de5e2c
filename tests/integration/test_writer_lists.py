"""Mode ledger: the list of the documents that one entry books hangs on it, once, and never at the cost of a booking."""

import asyncio
import base64
from pathlib import Path

import msgspec
import pytest
from support.child import child
from support.engines import settings_for
from support.exact_server import DIVISION, ExactServer, exact_server
from support.writer_stage import (
    configuration,
    environment_of,
    ledger_sale,
    prepare,
    sale,
    save_account,
    until_posted,
    writer_environment,
    writer_stage,
)

from contracts import facts
from exact_writer import batches
from exact_writer.ledger_lists import content_of
from simulators.exact.settings import CustomField

DOCUMENTS, ATTACHMENTS = "documents/Documents", "documents/DocumentAttachments"
QUICK = 1.0  # seconds that an answer is waited for, and more than a busy machine holds one up


@pytest.fixture(name="hasty", autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "GATHER_SECONDS", 0.3)
    monkeypatch.setattr(batches, "QUIET_SECONDS", 0.2)


def hung(server: ExactServer):
    division = server.simulator.world.divisions[DIVISION]
    return list(division.table(DOCUMENTS)), list(division.table(ATTACHMENTS))


async def until_hung(server: ExactServer) -> list[str]:
    """Wait for the list, and return its lines."""
    async with asyncio.timeout(30):
        while not hung(server)[1]:  # noqa: ASYNC110 - the stand-in does not notify
            await asyncio.sleep(0.02)
    ((document,), (file,)) = hung(server)
    assert document["Subject"] == file["FileName"]
    assert file["FileName"].startswith("documents-")
    content = file["Attachment"]
    raw = base64.b64decode(content) if isinstance(content, str) else bytes(content)
    return raw.decode("utf-8-sig").splitlines()


async def tell(stage):
    await stage.tell(save_account(), save_account("CUST2"))
    await stage.until(facts.AccountSaved, 2)
    await stage.tell(ledger_sale("INV-1"), ledger_sale("INV-2", "CUST2"))
    return await stage.until(facts.EntryPosted, 2)


async def test_the_list_names_every_document_of_the_entry(tmp_path: Path):
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        posted = await tell(stage)
        heading, *lines = await until_hung(server)
        (document,), _ = hung(server)
    assert heading == "reference;kind;date;customer;currency;total;description"
    assert [line.split(";")[0] for line in lines] == ["INV-1", "INV-2"]
    assert [line.split(";")[3:6] for line in lines] == [["CUST1", "EUR", "121,00"], ["CUST2", "EUR", "121,00"]]
    assert str(document["FinancialTransactionEntryID"]) == posted[0].entry_id
    assert document["Type"] == 55


@pytest.mark.parametrize("endpoint", [DOCUMENTS, ATTACHMENTS])
@pytest.mark.parametrize("fault", ["lose_answer", "drop_before", "html_502_after"])
async def test_a_list_whose_answer_is_lost_hangs_there_once(tmp_path: Path, endpoint: str, fault: str):
    async with exact_server() as server, writer_stage(server, tmp_path, exact_timeout_seconds=QUICK) as stage:
        await server.fault(fault, method="POST", path_contains=endpoint)
        await tell(stage)
        await until_hung(server)
        await stage.tell(sale("INV-3"))
        await stage.until(facts.EntryPosted, 3)
        documents, files = hung(server)
    assert (len(documents), len(files)) == (1, 1)


async def test_a_division_can_do_without_lists(tmp_path: Path):
    without = configuration(pdf={"lists": False})
    async with exact_server() as server, writer_stage(server, tmp_path, configuration=without) as stage:
        await tell(stage)
        await stage.tell(sale("INV-3"))
        await stage.until(facts.EntryPosted, 3)
        await asyncio.sleep(0.5)
        assert hung(server) == ([], [])


def test_a_text_that_a_spreadsheet_would_take_for_a_formula_is_harmless():
    command = ledger_sale("INV-1", description="=HYPERLINK(0)")
    note = msgspec.structs.replace(command, document=msgspec.structs.replace(command.document, total_minor=-12_100))
    lines = content_of([command, note]).decode("utf-8-sig").splitlines()
    assert lines[1].endswith(";121,00;'=HYPERLINK(0)")
    assert ";-121,00;" in lines[2]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["exact_writer.pdf_sent:1", "exact_writer.pdf_sent:2", "exact_writer.pdf_attached"])
async def test_killed_while_it_attaches_it_attaches_once(tmp_path: Path, place: str):
    commands = [save_account(), save_account("CUST2"), ledger_sale("INV-1"), ledger_sale("INV-2", "CUST2")]
    async with exact_server() as server, settings_for("sqlite", tmp_path / "data", **writer_environment(server.url)) as settings:
        await prepare(server, settings, commands)
        environment = environment_of(settings, tmp_path)
        crash = {**environment, "KRUISPOST_CRASH_AT": place}
        async with child("-m", "exact_writer", directory=tmp_path, settings=crash) as first:
            assert await first.ended() == -9, first.said
        async with child("-m", "exact_writer", directory=tmp_path, settings=environment) as second:
            await until_posted(settings, 2)
            await until_hung(server)
            second.terminate()
            await second.ended()
        documents, files = hung(server)
    assert (len(documents), len(files)) == (1, 1)


async def test_many_custom_fields_do_not_keep_a_list_waiting(tmp_path: Path):
    many, fields = 80, {"Segment": "Retail"}
    chosen = configuration(customers={"custom_fields": {"Segment": "cf_segment"}})
    async with (
        exact_server(custom_fields=(CustomField("Account", "Segment"),)) as server,
        writer_stage(server, tmp_path, configuration=chosen) as stage,
    ):
        customers = [save_account(f"CUST{number}", custom_fields=fields) for number in range(1, many + 1)]
        await stage.tell(*customers, ledger_sale("INV-1"), ledger_sale("INV-2", "CUST2"))
        await until_hung(server)
        written = (await server.calls())["by_endpoint"].get("POST customfield/UpdateCustomField", 0)
    assert written < many
