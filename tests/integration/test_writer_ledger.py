"""Mode ledger: many documents in one general-journal entry, each with an outcome and a receivable of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.child import child
from support.engines import DATABASES, settings_for
from support.exact_server import DIVISION, ExactServer, exact_server
from support.writer_stage import (
    environment_of,
    ledger_sale,
    payment,
    prepare,
    sale,
    save_account,
    until_posted,
    writer_environment,
    writer_stage,
)

from contracts import facts
from exact_writer import batches

QUICK = 1.0  # seconds that an answer is waited for, and more than a busy machine holds one up
GENERAL = "POST generaljournalentry/GeneralJournalEntries"


@pytest.fixture(name="hasty")
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for company, where a test sends what belongs together at once."""
    monkeypatch.setattr(batches, "GATHER_SECONDS", 0.3)
    monkeypatch.setattr(batches, "QUIET_SECONDS", 0.2)


async def posts(server: ExactServer) -> int:
    """How many general entries were asked for."""
    return int((await server.calls())["by_endpoint"].get(GENERAL, 0))


async def booked(server: ExactServer) -> list[str]:
    """The references of the customers' lines, by which a double booking would show."""
    return sorted(row["description"] for row in (await server.ledger())["receivables"])


@pytest.mark.parametrize("dialect", DATABASES)
async def test_three_hundred_documents_cost_a_few_calls_and_the_same_balances(tmp_path: Path, dialect: str) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, dialect) as stage:
        customers = [f"CUST{number}" for number in range(5)]
        await stage.tell(*(save_account(customer) for customer in customers))
        await stage.until(facts.AccountSaved, 5)
        await stage.tell(*(ledger_sale(f"INV-{number}", customers[number % 5]) for number in range(300)))
        posted = await stage.until(facts.EntryPosted, 300, seconds=90)
        assert await posts(server) <= 12
        assert len({fact.entry_id for fact in posted}) == await posts(server)
        assert {fact.document.number for fact in posted} == {f"INV-{number}" for number in range(300)}
        ledger = await server.ledger()
        assert ledger["balances_minor"] == {"1300": 3_630_000, "1500": -630_000, "8000": -3_000_000}
        assert len(ledger["receivables"]) == 300


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("fault", ["lose_answer", "drop_before", "html_502_after", "html_502"])
async def test_a_batch_whose_answer_is_lost_is_booked_once(tmp_path: Path, fault: str) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, exact_timeout_seconds=QUICK) as stage:
        await stage.tell(save_account(), save_account("CUST2"))
        await stage.until(facts.AccountSaved, 2)
        await server.fault(fault, method="POST", path_contains="GeneralJournalEntries")
        await stage.tell(ledger_sale("INV-1"), ledger_sale("INV-10", "CUST2"), ledger_sale("INV-2"))
        posted = await stage.until(facts.EntryPosted, 3)
        assert [fact.found for fact in posted] == [fault in {"lose_answer", "html_502_after"}] * 3
        assert await booked(server) == ["INV-1", "INV-10", "INV-2"]


@pytest.mark.usefixtures("hasty")
async def test_an_entry_of_a_person_that_names_the_invoice_is_not_taken_for_ours(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, exact_timeout_seconds=QUICK) as stage:
        await stage.tell(save_account(), payment("INV-1 corrected", amount_minor=12_100))
        await stage.until(facts.EntryPosted)
        await server.fault("drop_before", method="POST", path_contains="GeneralJournalEntries")
        await stage.tell(ledger_sale("INV-1"))
        (posted,) = await stage.until(facts.EntryPosted, command_id="command-INV-1")
        assert not posted.found
        assert "INV-1" in await booked(server)


@pytest.mark.usefixtures("hasty")
async def test_one_bad_document_does_not_hold_up_the_others_of_its_batch(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account())
        await stage.until(facts.AccountSaved)
        documents = [ledger_sale(f"INV-{number}") for number in range(40)]
        bad = documents[17]
        documents[17] = msgspec.structs.replace(bad, lines=(bad.lines[0],))  # does not balance: only Exact can see it
        await stage.tell(*documents)
        await stage.until(facts.EntryPosted, 39)
        (refused,) = await stage.until(facts.EntryRefused)
        assert (refused.document.number, refused.code) == ("INV-17", "unbalanced")
        assert len(await booked(server)) == 39
        assert await posts(server) <= 2 * 6 + 1


@pytest.mark.usefixtures("hasty")
async def test_what_the_mirror_knows_to_be_refused_costs_the_batch_nothing(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account())
        await stage.until(facts.AccountSaved)
        unknown = ledger_sale("INV-2")
        lines = (unknown.lines[0], msgspec.structs.replace(unknown.lines[1], gl_account="8999"))
        await stage.tell(ledger_sale("INV-1"), msgspec.structs.replace(unknown, lines=lines), ledger_sale("INV-3"))
        await stage.until(facts.EntryPosted, 2)
        (refused,) = await stage.until(facts.EntryRefused)
        assert (refused.document.number, refused.code) == ("INV-2", "unknown_gl_account")
        assert await posts(server) == 1


@pytest.mark.usefixtures("hasty")
async def test_a_journal_that_takes_no_vat_is_seen_before_the_call(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), ledger_sale("INV-1", journal="90"))
        (refused,) = await stage.until(facts.EntryRefused)
        assert refused.code == "vat_not_allowed"
        assert await posts(server) == 0


@pytest.mark.usefixtures("hasty")
async def test_a_period_that_is_closed_refuses_the_batch_once_and_every_document_of_it(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account())
        await stage.until(facts.AccountSaved)
        await server.control("periods", division=DIVISION, journal="91", year=2026, period=3, open=False)
        await stage.tell(*(ledger_sale(f"INV-{number}") for number in range(8)))
        refused = await stage.until(facts.EntryRefused, 8)
        assert {fact.code for fact in refused} == {"period_closed"}
        assert await posts(server) == 1


@pytest.mark.usefixtures("hasty")
async def test_each_document_keeps_its_own_receivable(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), save_account("CUST2"))
        await stage.until(facts.AccountSaved, 2)
        await stage.tell(ledger_sale("INV-1"), ledger_sale("INV-10"), ledger_sale("INV-2", "CUST2"))
        await stage.until(facts.EntryPosted, 3)
        seen = await stage.until(facts.ReceivableObserved, 3)
        assert sorted(fact.document.number for fact in seen) == ["INV-1", "INV-10", "INV-2"]
        assert {(fact.your_ref, fact.amount_minor) for fact in seen} == {(f"INV-{n}", 12_100) for n in (1, 10, 2)}
        await server.control("bank-receipts", division=DIVISION, your_ref="INV-2", amount_minor=12_100, date="2026-03-20")
        (paid,) = await stage.until(facts.ReceivableObserved, is_fully_paid=True, your_ref="INV-2")
        assert paid.document.number == "INV-2"


@pytest.mark.usefixtures("hasty")
async def test_a_payment_follows_the_batch_of_its_invoice_and_settles_it(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        paying: Any = msgspec.structs.replace(payment("TX-1"), mode="ledger")
        await stage.tell(save_account(), ledger_sale("INV-1"), paying, sale("INV-2"), ledger_sale("INV-3"))
        await stage.until(facts.EntryPosted, 4)
        receivables = {row["description"]: row["open_minor"] for row in (await server.ledger())["receivables"]}
        assert receivables["INV-1"] == 0
        assert receivables["INV-3"] == 12_100


@pytest.mark.slow
@pytest.mark.parametrize("place", ["exact_writer.sent:3", "exact_writer.posted"])
async def test_killed_in_the_middle_of_a_batch_it_books_every_document_once(tmp_path: Path, place: str) -> None:
    commands = [save_account(), save_account("CUST2"), ledger_sale("INV-1"), ledger_sale("INV-2", "CUST2"), ledger_sale("INV-3")]
    async with exact_server() as server, settings_for("sqlite", tmp_path / "data", **writer_environment(server.url)) as settings:
        await prepare(server, settings, commands)
        environment = environment_of(settings, tmp_path)
        async with child(
            "-m", "exact_writer", directory=tmp_path, settings={**environment, "KRUISPOST_CRASH_AT": place}
        ) as first:
            assert await first.ended() == -9, first.said
        async with child("-m", "exact_writer", directory=tmp_path, settings=environment) as second:
            posted = await until_posted(settings, 3)
            second.terminate()
            await second.ended()
        assert len({fact.entry_id for fact in posted}) == 1
        assert await booked(server) == ["INV-1", "INV-2", "INV-3"]
