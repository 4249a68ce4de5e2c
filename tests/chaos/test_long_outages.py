"""Drills in virtual time: Exact cannot be reached for two days, and a division that Exact moved while documents came in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from support.exact_server import DIVISION
from support.virtual_writer import START, VirtualWriter, virtual_writer, working_day
from support.writer_stage import said, sale, save_account

from contracts import facts

DAY, HOUR = 86_400.0, 3_600.0
A_DAY = 12
CUSTOMERS = 3

pytestmark = pytest.mark.timeout(120)


async def booked(stage: VirtualWriter) -> Counter[str]:
    """What stands in Exact, by reference."""
    return Counter(entry["your_ref"] for entry in (await stage.server.ledger(DIVISION))["entries"])


async def test_exact_is_unreachable_for_two_days(tmp_path: Path) -> None:
    away = (START.timestamp() + DAY, START.timestamp() + 3 * DAY)
    async with virtual_writer(tmp_path, maintenance=away, poll_seconds=3_000.0) as stage:
        await stage.plan(*(save_account(f"C{number}") for number in range(CUSTOMERS)))
        arrivals = [
            arrival
            for day in range(4)
            for arrival in working_day(day, A_DAY, lambda number, date: sale(f"I-{number}", f"C{number % 3}", entry_date=date))
        ]
        await stage.run(away[0] + HOUR, arrivals[:A_DAY])
        # Between its tries nothing happens; the clock goes on by itself, and what comes in meanwhile waits.
        stage.clock.advance(away[1] - 2 * HOUR - stage.clock.seconds())
        await stage.run(away[1] - HOUR, arrivals[A_DAY : 3 * A_DAY])
        assert len(await booked(stage)) == A_DAY, "nothing is booked while Exact is away"
        assert await stage.waiting() == 2 * A_DAY
        assert "Exact has not worked since 20" in (await stage.writer.ready() or "")
        await stage.run(away[1] + DAY, arrivals[3 * A_DAY :], while_waiting=True)
        assert await stage.waiting() == 0
        assert await booked(stage) == {f"I-{number}": 1 for number in range(4 * A_DAY)}
        assert (await stage.server.calls())["rate_limited"] == 0
        told = await said(stage.database, facts.ConnectionChanged)
        assert [fact.state for fact in told] == ["connected", "blocked", "connected"], "told once, and when it is over"
        assert told[1].reason_nl.startswith("Exact werkt sinds")


async def test_exact_moves_the_division(tmp_path: Path) -> None:
    async with virtual_writer(tmp_path, poll_seconds=3_000.0) as stage:
        await stage.plan(*(save_account(f"C{number}") for number in range(CUSTOMERS)))
        arrivals = list(working_day(0, A_DAY, lambda number, date: sale(f"I-{number}", f"C{number % 3}", entry_date=date)))
        await stage.run(START.timestamp() + 12.5 * HOUR, arrivals[: A_DAY // 2])
        await stage.server.control("moves", division=DIVISION)
        await stage.run(START.timestamp() + 2 * DAY, arrivals[A_DAY // 2 :])
        assert await stage.waiting() == 0
        assert await booked(stage) == {f"I-{number}": 1 for number in range(A_DAY)}
        told = [fact for fact in await said(stage.database, facts.ReceivableObserved) if fact.your_ref.startswith("I-")]
        assert {fact.your_ref for fact in told} == set(await booked(stage)), "open items are followed after the move, too"
