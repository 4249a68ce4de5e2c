"""Periods of a division with many years: those of recent years are read every hour, the others once a day; none is missed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.exact_server import DIVISION
from support.virtual_writer import START, VirtualWriter, virtual_writer
from support.writer_stage import said, sale, save_account

from contracts import facts
from exact_writer import upkeep
from exact_writer.master_records import Record
from exact_writer.watched_years import RECENT_DAYS, Watched, calls_of, watched

YEARS = tuple(range(2014, 2028))
HOUR, DAY = 3_600.0, 86_400.0
READS = ("financial/FinancialPeriods", "read/financial/JournalStatusList")
OLD = 2018


@pytest.fixture(name="writer")
async def _writer(tmp_path: Path) -> AsyncIterator[VirtualWriter]:
    async with virtual_writer(tmp_path, answer_seconds=0.05, poll_seconds=7_200, years=YEARS) as writer:
        writer.writer.journal_check_seconds = 120.0  # also how often it looks whether something is due
        for month in range(1, 13):
            await opened(writer, OLD, month, to=False)
        await writer.run(START.timestamp() + 300)
        yield writer


async def opened(writer: VirtualWriter, year: int, period: int, *, to: bool) -> None:
    await writer.server.control("periods", division=DIVISION, journal=None, year=year, period=period, open=to)


async def reads(writer: VirtualWriter) -> int:
    by_endpoint = (await writer.server.calls())["by_endpoint"]
    return sum(int(by_endpoint.get(f"GET {endpoint}", 0)) for endpoint in READS)


async def told(writer: VirtualWriter, year: int, period: int) -> list[bool]:
    """What was said of a period of the invoices' journal: whether it was open."""
    found = await said(writer.database, facts.PeriodObserved)
    return [each.is_open for each in found if (each.journal, each.year, each.period) == ("70", year, period)]


async def pass_by(writer: VirtualWriter, seconds: float) -> None:
    await writer.run(writer.clock.seconds() + seconds)


async def test_a_day_takes_the_calls_that_the_forecast_counts_and_few_of_them(writer: VirtualWriter) -> None:
    before, all_before = await reads(writer), (await writer.server.calls())["total"]
    await pass_by(writer, DAY)
    made, in_all = await reads(writer) - before, (await writer.server.calls())["total"] - all_before
    async with writer.database.reading() as connection:
        expected = await upkeep.reads_a_minute(connection, DIVISION, writer.clock.seconds())
    whole = 3 + 12  # pages: 168 periods, each with four journals
    assert made <= 23 * 4 + 2 * whole, "the three recent years take a page and three"
    polls = 12
    assert expected * 1_440 + polls == pytest.approx(in_all, rel=0.05)


async def test_a_recent_period_is_seen_within_the_hour_and_an_old_one_within_the_day(writer: VirtualWriter) -> None:
    await pass_by(writer, 2 * HOUR)
    await opened(writer, 2026, 1, to=False)
    await opened(writer, OLD, 12, to=True)
    await pass_by(writer, HOUR + 60)
    assert await told(writer, 2026, 1) == [True, False]
    assert await told(writer, OLD, 12) == [False]
    await pass_by(writer, DAY - HOUR)
    assert await told(writer, OLD, 12) == [False, True]


async def test_an_old_year_in_which_somebody_is_at_work_is_watched_as_a_recent_one(writer: VirtualWriter) -> None:
    await opened(writer, OLD, 12, to=True)
    await pass_by(writer, DAY)
    await opened(writer, OLD, 11, to=True)
    await opened(writer, OLD, 12, to=False)
    await pass_by(writer, HOUR + 60)
    assert (await told(writer, OLD, 11), await told(writer, OLD, 12)) == ([False, True], [False, True, False])


async def test_a_refusal_in_an_old_year_has_all_of_them_read(writer: VirtualWriter) -> None:
    await writer.plan(save_account())
    await pass_by(writer, 2 * HOUR)
    await opened(writer, 2016, 3, to=False)
    await opened(writer, OLD, 12, to=True)
    await writer.plan(sale("OLD-1", entry_date=date(2016, 3, 5)))
    await pass_by(writer, 180)
    (refused,) = await said(writer.database, facts.EntryRefused)
    assert refused.code == "period_closed"
    assert (await told(writer, 2016, 3), await told(writer, OLD, 12)) == ([True, False], [False, True])


async def test_a_restart_reads_nothing_anew_and_a_webhook_all_years(writer: VirtualWriter) -> None:
    await pass_by(writer, 2 * HOUR)
    await writer.restart()
    writer.writer.journal_check_seconds = 120.0
    before = await reads(writer)
    await pass_by(writer, HOUR)
    assert await reads(writer) - before == 4
    await opened(writer, OLD, 12, to=True)
    await writer.writer._mirror.refresh("period")  # as for a webhook
    assert await told(writer, OLD, 12) == [False, True]


class TestWatched:
    TODAY = date(2026, 3, 2)

    def of(self, *years: tuple[int, Any]) -> dict[str, Record]:
        """Years of two periods, each with whether it is open."""
        return {
            f"a/b/{year}/{period}": Record(ends=date(year, 6 * period, 28), is_open=is_open)
            for year, states in years
            for period, is_open in enumerate(states, start=1)
        }

    def test_recent_years_and_those_to_come(self) -> None:
        found = watched(self.of((2024, (True, True)), (2025, (False, False)), (2026, (True, True))), self.TODAY)
        assert found == Watched(since=2025)
        assert [found.has(year) for year in (2024, 2025, 2031)] == [False, True, True]

    def test_an_older_year_that_is_partly_open(self) -> None:
        found = watched(self.of((2019, (True, False)), (2020, (False, False)), (2026, (True, True))), self.TODAY)
        assert found is not None
        assert found.filter_by("Year") == "Year ge 2026 or Year eq 2019"

    def test_all_where_no_year_is_recent(self) -> None:
        assert watched(self.of((2019, (True, True))), self.TODAY) is None
        assert watched({}, self.TODAY) is None
        assert RECENT_DAYS > 366, "last year until its report is done"

    def test_pages(self) -> None:
        periods = {
            f"70/{year}/{period}": Record(ends=date(year, period, 28)) for year in range(2020, 2026) for period in range(1, 13)
        }
        assert (calls_of(periods, None), calls_of(periods, Watched(since=2025)), calls_of({}, None)) == (2 + 2, 2, 2)
