"""Lost answers, refused tries and killed processes: whatever happens between writer and Exact, everything is booked once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.child import child
from support.engines import DATABASES, settings_for
from support.exact_server import exact_server
from support.faults import CALLS
from support.faulty_exact import check, rehearsal, told
from support.kill_engines import each_on_an_engine
from support.writer_stage import (
    environment_of,
    payment,
    prepare,
    sale,
    save_account,
    until_posted,
    writer_environment,
    writer_stage,
)

from contracts import facts

QUICK = 1.0  # seconds that an answer is waited for, and more than a busy machine holds one up
PLACES = [
    "exact-writer.100002.before_commit:3",
    "exact-writer.100002.committed:2",
    "exact_writer.sent:1",
    "exact_writer.sent:3",
    "exact_writer.after_call:9",
    "exact_writer.after_call:7",
    "exact_writer.saved",
    "exact_writer.posted",
    "relay.published:2",
]


@pytest.mark.parametrize("dialect", DATABASES)
@pytest.mark.parametrize("fault", ["lose_answer", "drop_before", "cut_answer", "html_502_after", "html_502"])
async def test_a_lost_answer_ends_as_one_booking(tmp_path: Path, dialect: str, fault: str) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, dialect, exact_timeout_seconds=QUICK) as stage:
        for path in ("crm/Accounts", "salesentry/SalesEntries", "generaljournalentry/GeneralJournalEntries"):
            await server.fault(fault, method="POST", path_contains=path)
        await stage.tell(save_account(), sale("INV-1"), payment("TX-1"))
        posted = await stage.until(facts.EntryPosted, 2)
        done_before_the_fault = fault in {"lose_answer", "cut_answer", "html_502_after"}
        assert [fact.found for fact in posted] == [done_before_the_fault] * 2
        ledger = await server.ledger()
        assert [entry["journal"] for entry in ledger["entries"]] == ["70", "90"]
        assert len({entry["account_code"] for entry in ledger["entries"] if entry["account_code"]}) == 1
        assert (await server.calls())["by_endpoint"]["POST crm/Accounts"] == (1 if done_before_the_fault else 2)


async def test_an_answer_that_takes_too_long_is_looked_up(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, exact_timeout_seconds=QUICK) as stage:
        await stage.tell(save_account())
        await stage.until(facts.AccountSaved)
        await server.fault("delay_after", method="POST", path_contains="SalesEntries", seconds=1.6 * QUICK)
        await stage.tell(sale("INV-1"))
        (posted,) = await stage.until(facts.EntryPosted)
        assert posted.found
        assert await server.booked() == ["INV-1"]


async def test_references_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, exact_timeout_seconds=QUICK) as stage:
        await stage.tell(save_account(), sale("INV-10"), payment("TX-10", amount_minor=5_000))
        await stage.until(facts.EntryPosted, 2)
        await server.fault("drop_before", method="POST", path_contains="Entries", times=2)
        await stage.tell(sale("INV-1"), payment("TX-1", amount_minor=6_000))
        await stage.until(facts.EntryPosted, 4)
        assert len((await server.ledger())["entries"]) == 4


async def test_a_document_at_which_exact_fails_for_ever_ends_as_a_named_refusal_after_five_tries(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        await stage.plan(*(save_account(f"C{number}") for number in range(9)), sale("INV-1", "C1"))
        await stage.work()
        stage.exact.failing = b"POISON"
        calls = stage.exact.failed
        await stage.plan(sale("POISON", "C0"))
        for number in range(2, 9):
            await stage.act(3)
            await stage.plan(sale(f"INV-{number}", f"C{number}"))
            stage.clock.advance(120)
        await stage.work()
        ends = await stage.ends()
    assert ends["command-POISON"] == "exact_failure"
    assert set(ends.values()) == {"posted", "exact_failure"}
    assert stage.exact.failed - calls == 5


@pytest.mark.parametrize("kind", ["sales entry", "ledger batch", "draft", "document"])
async def test_an_hour_in_which_exact_takes_no_writes_costs_few_calls_and_refuses_nothing(tmp_path: Path, kind: str) -> None:
    """As around maintenance: it can be read, and whatever is written fails."""
    async with rehearsal(tmp_path) as stage:
        await stage.plan(*(save_account(f"C{number}") for number in range(6)))
        await stage.work()
        before = stage.simulator.traffic.total
        stage.exact.failing = CALLS[kind][1].encode()
        entries = [entry for number in range(6) for entry in told(kind, f"INV-{number}", f"C{number}")]
        await stage.plan(*entries)
        until = stage.clock.now().timestamp() + 3_600
        while stage.clock.now().timestamp() < until:
            await stage.act(1)
        assert stage.exact.failed < 25
        assert stage.simulator.traffic.total - before < 100, "what is lost is looked up, and Exact is polled"
        if kind != "document":  # bookings go on without those
            assert "Exact fails at whatever is written to" in str(await stage.complaint())
        stage.exact.failing = b""
        await stage.work()
        check(stage, kind, entries)
        assert set((await stage.ends()).values()) == {"posted"}
        assert await stage.complaint() is None


async def test_an_exact_that_is_away_costs_nothing_but_time(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await server.fault("status", method="GET", path_contains="Journals", status=503, times=2)
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        assert await server.booked() == ["INV-1"]


@pytest.mark.slow
@pytest.mark.parametrize(("dialect", "place"), each_on_an_engine((place,) for place in PLACES))
async def test_killed_anywhere_it_books_everything_once(tmp_path: Path, dialect: str, place: str) -> None:
    commands = [save_account(), sale("INV-1"), payment("TX-1"), save_account("CUST2"), sale("INV-2", "CUST2")]
    async with exact_server() as server, settings_for(dialect, tmp_path / "data", **writer_environment(server.url)) as settings:
        await prepare(server, settings, commands)
        environment = environment_of(settings, tmp_path)
        async with child(
            "-m", "exact_writer", directory=tmp_path, settings={**environment, "KRUISPOST_CRASH_AT": place}
        ) as first:
            assert await first.ended() == -9, first.said
        async with child("-m", "exact_writer", directory=tmp_path, settings=environment) as second:
            said = await until_posted(settings, 3)
            second.terminate()
            assert await second.ended() == 0, second.said
        assert sorted(fact.your_ref for fact in said) == ["INV-1", "INV-2", "TX-1"]
        ledger = await server.ledger()
        assert sorted(entry["journal"] for entry in ledger["entries"]) == ["70", "70", "90"]
        accounts = {row["account"] for row in ledger["receivables"]}
        assert len(accounts) == 2
