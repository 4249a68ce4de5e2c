"""Payments of a day in one entry: sent after the day, each with a line, an outcome and a later life of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.exact_server import DIVISION
from support.virtual_writer import START, VirtualWriter, virtual_writer
from support.writer_stage import payment, said, sale, save_account

from contracts import commands, facts
from exact_writer import adopting
from exact_writer.forecast import Forecast, forecast
from exact_writer.outlook import limits_of, outlook_of

DAY = START.date()
AFTER = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) + timedelta(days=1, hours=1)
GENERAL = "POST generaljournalentry/GeneralJournalEntries"
HOUR = 3_700.0  # the writer looks for what is due every hour here, in place of every two seconds
NOON, EVENING = START.timestamp() + 12 * 3_600, START.timestamp() + 20 * 3_600


def bundled(number: str, customer: str = "CUST1", amount_minor: int = 12_100, **more: Any) -> commands.PostEntry:
    """A payment that goes with the others of the first day."""
    own = payment(number, customer, amount_minor)
    known = {"entry_date": DAY, "mode": "ledger", "bundle": f"1290 {DAY}", "not_before": AFTER, **more}
    return msgspec.structs.replace(own, **known)


@pytest.fixture(name="writer")
async def _writer(tmp_path: Path) -> AsyncIterator[VirtualWriter]:
    async with virtual_writer(tmp_path, answer_seconds=0.05, poll_seconds=7_200) as writer:
        await writer.plan(save_account("CUST1"), save_account("CUST2"))
        await writer.run(START.timestamp() + 600, while_waiting=True)
        yield writer


async def entries(writer: VirtualWriter) -> dict[str, set[str]]:
    """The documents in each general entry of Exact, by its id."""
    found: dict[str, set[str]] = {}
    for fact in await said(writer.database, facts.EntryPosted):
        if fact.document.kind == "payment":
            found.setdefault(fact.entry_id, set()).add(fact.document.number)
    return found


async def posts(writer: VirtualWriter) -> int:
    return int((await writer.server.calls())["by_endpoint"].get(GENERAL, 0))


def now(writer: VirtualWriter) -> float:
    return writer.clock.seconds()


async def forecasted(writer: VirtualWriter) -> Forecast:
    """What `kruispost forecast` says of what waits now."""
    async with writer.database.reading() as connection:
        limits = await limits_of(connection, DIVISION, now(writer))
        ahead = await outlook_of(connection, DIVISION, now(writer), poll_seconds=7_200, lists=False, with_pdfs=False)
    return forecast(msgspec.structs.replace(ahead, hourly={}), limits)


async def test_a_day_is_one_entry_after_its_end_and_what_comes_late_is_in_a_following_one(writer: VirtualWriter) -> None:
    numbers = {f"TX{number}" for number in range(205)}
    amounts = {number: 1_000 + index for index, number in enumerate(sorted(numbers))}
    await writer.plan(*(bundled(number, f"CUST{index % 2 + 1}", amounts[number]) for index, number in enumerate(sorted(numbers))))
    expected = await forecasted(writer)
    assert expected.calls["money"] == 1.0
    assert expected.seconds["money"] == pytest.approx(AFTER.timestamp() - now(writer), abs=120)
    await writer.run(AFTER.timestamp() - 60)
    assert await posts(writer) == 0
    await writer.run(AFTER.timestamp() + HOUR)
    assert list((await entries(writer)).values()) == [numbers]
    await writer.plan(bundled("LATE"))
    await writer.run(AFTER.timestamp() + 2 * HOUR)
    assert sorted(map(len, (await entries(writer)).values())) == [1, 205]
    shown = {row["description"]: row["amount_minor"] for row in (await writer.server.ledger())["receivables"]}
    assert shown == {"LATE Betaling": -12_100, **{f"{number} Betaling": -amounts[number] for number in numbers}}


async def test_what_waits_for_its_day_holds_up_nothing_of_its_customer(writer: VirtualWriter) -> None:
    await writer.plan(bundled("TX1"), sale("INV-2"), payment("TX-EACH"))
    await writer.run(NOON, while_waiting=False)
    assert [fact.document.number for fact in await said(writer.database, facts.EntryPosted)] == ["INV-2", "TX-EACH"]


async def test_currencies_accounts_and_days_have_entries_of_their_own(writer: VirtualWriter) -> None:
    other_day: dict[str, Any] = {"entry_date": date(2026, 3, 1), "bundle": "1290 2026-03-01", "not_before": START}
    await writer.plan(
        *(bundled("EUR1"), bundled("EUR2"), bundled("USD", currency="USD", exchange_rate="0.9200")),
        *(bundled("OTHER", bundle=f"1291 {DAY}"), bundled("EARLIER", **other_day)),
    )
    await writer.run(EVENING)
    assert list((await entries(writer)).values()) == [{"EARLIER"}]
    await writer.run(AFTER.timestamp() + HOUR)
    assert sorted(map(sorted, (await entries(writer)).values())) == [["EARLIER"], ["EUR1", "EUR2"], ["OTHER"], ["USD"]]


async def test_the_day_of_a_site_in_another_time_zone_ends_when_it_ends_there(writer: VirtualWriter) -> None:
    await writer.plan(bundled("AMS"), bundled("NYC", "CUST2", not_before=AFTER + timedelta(hours=6)))
    await writer.run(AFTER.timestamp() + HOUR)
    assert list((await entries(writer)).values()) == [{"AMS"}]
    await writer.plan(bundled("NYC2", not_before=AFTER + timedelta(hours=6)))
    await writer.run(AFTER.timestamp() + 8 * HOUR)
    assert sorted(map(sorted, (await entries(writer)).values())) == [["AMS"], ["NYC", "NYC2"]]


@pytest.mark.parametrize("fault", ["lose_answer", "drop_before"])
async def test_a_lost_answer_and_a_replay_book_nothing_twice(writer: VirtualWriter, fault: str) -> None:
    payments = [bundled(f"TX{number}", amount_minor=1_000 + number) for number in range(5)]
    await writer.plan(*payments)
    await writer.server.fault(fault, method="POST", path_contains="GeneralJournalEntries")
    await writer.run(AFTER.timestamp() + HOUR)
    await writer.restart()
    await writer.plan(*payments)
    await writer.run(AFTER.timestamp() + 3 * HOUR)
    assert list((await entries(writer)).values()) == [{f"TX{number}" for number in range(5)}]
    assert len((await writer.server.ledger())["receivables"]) == 5


async def test_one_that_exact_refuses_stops_none_of_its_day_and_a_reversal_is_in_the_entry_of_its_own_day(
    writer: VirtualWriter,
) -> None:
    bad = commands.EntryLine(gl_account="1290", amount_minor=12_100, cost_center="NOWHERE")
    refused = bundled("BAD")
    await writer.plan(bundled("TX1"), msgspec.structs.replace(refused, lines=(bad, refused.lines[1])), bundled("TX2", "CUST2"))
    await writer.run(AFTER.timestamp() + 2 * HOUR)
    assert set().union(*(await entries(writer)).values()) == {"TX1", "TX2"}
    (told,) = await said(writer.database, facts.EntryRefused)
    assert told.document.number == "BAD"
    first = bundled("TX1")
    mirror = tuple(msgspec.structs.replace(line, amount_minor=-line.amount_minor) for line in first.lines)
    taken_back = bundled(
        "TX1",
        lines=mirror,
        command_id="command-TX1-R",
        your_ref="TX1/R",
        document=msgspec.structs.replace(first.document, suffix="R"),
        entry_date=AFTER.date(),
        bundle=f"1290 {AFTER.date()}",
        not_before=AFTER + timedelta(days=1),
    )
    await writer.plan(taken_back, bundled("TX3", bundle=f"1290 {AFTER.date()}", not_before=AFTER + timedelta(days=1)))
    await writer.run(AFTER.timestamp() + 26 * HOUR)
    assert {"TX1", "TX3"} in (await entries(writer)).values()
    assert (await writer.server.ledger())["balances_minor"]["1290"] == 2 * 12_100


async def test_what_is_in_doubt_is_looked_for_and_then_waits_for_its_day_as_before(writer: VirtualWriter) -> None:
    await writer.plan(bundled("TX1"), bundled("TX2", "CUST2"))
    async with writer.database.transaction() as connection:
        await adopting.doubt(writer.database, connection, DIVISION, NOON)
    await writer.plan(bundled("TX3"))
    await writer.run(EVENING)
    assert await posts(writer) == 0
    await writer.run(AFTER.timestamp() + HOUR)
    assert list((await entries(writer)).values()) == [{"TX1", "TX2", "TX3"}]
