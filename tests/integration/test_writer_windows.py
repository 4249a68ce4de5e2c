"""Windows of calls that are not as recorded: days of another zone, with its changes of the clock, and limits that change."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from support.exact_server import DIVISION
from support.virtual_writer import START, VirtualWriter, virtual_writer
from support.writer_stage import sale, save_account

from exact_writer import budget as rules
from exact_writer.budget import Budget, WaitUntil
from exact_writer.forecast import forecast
from exact_writer.outlook import limits_of, outlook_of
from exact_writer.tables import commands
from simulators.exact.limits import Limits
from simulators.exact.settings import ExactSettings

AMSTERDAM = "Europe/Amsterdam"
ZONE = ZoneInfo(AMSTERDAM)
HOUR = 3_600.0
SUMMER, WINTER = datetime(2026, 3, 29, tzinfo=ZONE), datetime(2026, 10, 25, tzinfo=ZONE)  # days of 23 and of 25 hours


async def sent(stage: VirtualWriter) -> list[float]:
    """When each document was sent."""
    async with stage.database.reading() as connection:
        of_documents = sa.select(commands.c.sent_at).where(commands.c.kind == "sales", commands.c.sent_at.is_not(None))
        return sorted((await connection.execute(of_documents)).scalars())


@pytest.mark.parametrize("changes", [SUMMER, WINTER], ids=["23_hours", "25_hours"])
def test_each_day_of_another_zone_is_used_up_and_none_exceeded(changes: datetime) -> None:
    limits = Limits.of(ExactSettings(day_zone=AMSTERDAM, day_limit=50, minute_limit=7))
    now = (changes - timedelta(days=1, hours=-5)).timestamp()
    ends = (changes + timedelta(days=2)).timestamp()
    known = Budget()
    days, minutes = Counter[date](), Counter[int]()
    while now < ends:
        decision = rules.decide(known, now)
        if isinstance(decision, WaitUntil):
            now = max(decision.at, now + 0.001)
            continue
        known = rules.sent(known, now)
        now += 0.05
        minute, (_, day_ends) = math.floor(now / 60), limits.day_of(now)
        day = datetime.fromtimestamp(now, ZONE).date()
        days[day] += 1
        minutes[minute] += 1
        headers = {
            "X-RateLimit-Limit": "50",
            "X-RateLimit-Remaining": str(50 - days[day]),
            "X-RateLimit-Reset": str(round(day_ends * 1_000)),
            "X-RateLimit-Minutely-Limit": "7",
            "X-RateLimit-Minutely-Remaining": str(7 - minutes[minute]),
            "X-RateLimit-Minutely-Reset": str((minute + 1) * 60_000),
        }
        known = rules.answered(known, headers, now)
    assert set(days.values()) == {50}
    assert len(days) == 3
    assert max(minutes.values()) == 7


async def test_over_the_change_of_the_clock_each_day_takes_its_calls_as_forecast(tmp_path: Path) -> None:
    limit = 120
    async with virtual_writer(tmp_path, poll_seconds=40 * HOUR, day_zone=AMSTERDAM, day_limit=limit) as stage:
        await stage.plan(save_account())
        await stage.run(START.timestamp() + HOUR, while_waiting=True)
        stage.clock.advance((SUMMER - timedelta(hours=14)).timestamp() - stage.clock.seconds())
        today = stage.clock.now().date()
        await stage.plan(*(sale(f"INV-{number}", entry_date=today) for number in range(5 * limit // 2)))
        await stage.run(stage.clock.seconds() + 600)  # Exact says how long its day lasts
        begins = stage.clock.seconds()
        async with stage.database.reading() as connection:
            outlook = await outlook_of(connection, DIVISION, begins, poll_seconds=40 * HOUR, lists=False, with_pdfs=False)
            said = forecast(outlook, await limits_of(connection, DIVISION, begins)).seconds["today"]
        await stage.run(begins + 4 * 24 * HOUR, while_waiting=True)
        calls = await stage.server.calls()
        instants = await sent(stage)
    assert (calls["rate_limited"], len(instants)) == (0, 5 * limit // 2)
    of_change = [at for at in instants if datetime.fromtimestamp(at, ZONE).date() == SUMMER.date()]
    first = datetime.fromtimestamp(of_change[0], UTC)
    assert (first.hour, first.minute) == (23, 0), "the day begins an hour before midnight UTC"
    assert max(of_change) < SUMMER.timestamp() + 23 * HOUR
    after = next(at for at in instants if at > max(of_change))
    assert after - SUMMER.timestamp() == pytest.approx(23 * HOUR, abs=120), "and the next one an hour sooner"
    assert said == pytest.approx(instants[-1] - begins, rel=0.05)


async def test_a_minute_that_takes_fewer_or_more_calls_from_now_on_is_used_up_and_not_exceeded(tmp_path: Path) -> None:
    async with virtual_writer(tmp_path, answer_seconds=0.05, poll_seconds=40 * HOUR) as stage:
        await stage.plan(save_account(), *(sale(f"INV-{number}", entry_date=START.date()) for number in range(500)))
        minute = START.timestamp()
        for limit, minutes in ((60, 2), (20, 2), (110, 2)):
            await stage.server.control("limits", minute_limit=limit)
            minute += 60 * minutes
            await stage.run(minute)
        calls = await stage.server.calls()
    assert calls["rate_limited"] == 0
    full = [(window["used"], window["limit"]) for window in calls["per_window"]][1:]
    assert full == [(60, 60), (20, 20), (20, 20), (110, 110), (110, 110)]


async def test_a_limit_that_falls_within_its_minute_costs_one_refusal_and_no_document(tmp_path: Path) -> None:
    """Exact said before that there was more: nobody can know."""
    async with virtual_writer(tmp_path, answer_seconds=0.5, poll_seconds=40 * HOUR) as stage:
        await stage.plan(save_account(), *(sale(f"INV-{number}", entry_date=START.date()) for number in range(150)))
        await stage.run(START.timestamp() + 60 + 15)
        await stage.server.control("limits", minute_limit=20)
        await stage.run(START.timestamp() + 900, while_waiting=True)
        calls = await stage.server.calls()
        assert calls["rate_limited"] == 1
        assert len(await stage.server.booked()) == 150


async def test_a_refusal_without_any_header_is_waited_out_for_a_minute_and_not_repeated(tmp_path: Path) -> None:
    async with virtual_writer(tmp_path, poll_seconds=40 * HOUR) as stage:
        await stage.plan(save_account())
        await stage.run(START.timestamp() + HOUR, while_waiting=True)
        await stage.server.fault("status", method="POST", path_contains="SalesEntries", status=429)
        await stage.plan(*(sale(f"INV-{number}", entry_date=START.date()) for number in range(5)))
        begins = stage.clock.seconds()
        await stage.run(begins + 600, while_waiting=True)
        instants = await sent(stage)
        calls = (await stage.server.calls())["by_endpoint"]["POST salesentry/SalesEntries"]
        booked = await stage.server.booked()
    assert (len(booked), calls) == (5, 6)
    assert instants[0] - begins >= 60.0
