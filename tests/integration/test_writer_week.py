"""A week of a division in virtual time: documents by day, nights, maintenance, a backlog; and what was forecast of it."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
import typer
from support.exact_server import DIVISION
from support.virtual_writer import START, VirtualWriter, spent, virtual_writer, working_day
from support.writer_stage import CONFIGURATION, configuration, ledger_sale, sale, save_account
from typer.testing import CliRunner

from contracts.commands import PostEntry
from exact_writer import commands, waiting
from exact_writer.forecast import Forecast, Limits, Outlook, forecast
from exact_writer.outlook import limits_of, outlook_of, variants
from exact_writer.tables import commands as journal_rows

DAY, HOUR = 86_400.0, 3_600.0
CUSTOMERS = 20
DAY_LIMIT = 500  # a tenth of Exact's, with a tenth of the documents
TODAYS, HISTORY, IN_LEDGER = 300, 600, 400
POLL_SECONDS = 3_000.0
DAYS = 6
LAST_YEAR = date(2026, 1, 5)


def todays(number: int, day: date) -> PostEntry:
    return sale(f"NEW-{number}", f"C{number % CUSTOMERS}", entry_date=day)


async def looked_ahead(stage: VirtualWriter) -> tuple[Outlook, Limits]:
    now = stage.clock.seconds()
    async with stage.database.reading() as connection:
        outlook = await outlook_of(connection, DIVISION, now, poll_seconds=POLL_SECONDS, lists=False, with_pdfs=False)
        return outlook, await limits_of(connection, DIVISION, now)


async def history_left(stage: VirtualWriter) -> int:
    async with stage.database.reading() as connection:
        counts = await waiting.counts(connection, DIVISION, stage.clock.seconds())
    return sum(each.commands for each in counts if each.work_class == "backfill")


async def history_emptied_at(stage: VirtualWriter) -> float:
    """When the last call for history was made."""
    last = sa.select(sa.func.max(journal_rows.c.sent_at)).where(journal_rows.c.work_class == "backfill")
    async with stage.database.reading() as connection:
        return float((await connection.execute(last)).scalar_one())


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_week_goes_as_forecast_without_a_refusal(tmp_path: Path) -> None:
    maintenance = (START.timestamp() + 2 * DAY + 9 * HOUR, START.timestamp() + 2 * DAY + 12 * HOUR)
    settings = configuration(pdf={"policy": "never", "lists": False})
    exact: dict[str, Any] = {"poll_seconds": POLL_SECONDS, "day_limit": DAY_LIMIT}
    async with virtual_writer(tmp_path, maintenance=maintenance, configuration=settings, **exact) as stage:
        await stage.plan(*(save_account(f"C{number}") for number in range(CUSTOMERS)))
        await stage.run(START.timestamp() + HOUR, while_waiting=True)
        old = (sale(f"OLD-{number}", f"C{number % CUSTOMERS}", entry_date=LAST_YEAR) for number in range(HISTORY))
        ledger = (ledger_sale(f"L-{number}", f"C{number % CUSTOMERS}", entry_date=LAST_YEAR) for number in range(IN_LEDGER))
        await stage.plan(*old, *ledger)
        days = chain.from_iterable(working_day(day, TODAYS, todays) for day in range(DAYS))
        coming = list(days)
        first = [each for each in coming if each.at < START.timestamp() + DAY]
        await stage.run(START.timestamp() + DAY, first)
        outlook, limits = await looked_ahead(stage)
        said = forecast(outlook, limits)
        begun = stage.clock.seconds()
        later = [each for each in coming if each.at >= START.timestamp() + DAY]
        await stage.run(START.timestamp() + DAYS * DAY, later)
        assert not await history_left(stage), "history moves on behind the documents of each day"
        emptied_at = await history_emptied_at(stage)
        calls = await spent(stage)
    assert (calls["rate_limited"], calls["error_blocks"]) == (0, 0)
    forecast_seconds = said.seconds["backfill"]
    assert forecast_seconds is not None
    actual_seconds = emptied_at - begun
    assert forecast_seconds == pytest.approx(actual_seconds, rel=0.05)


async def test_customers_of_an_import_are_not_expected_every_day(tmp_path: Path) -> None:
    async with virtual_writer(tmp_path) as stage:
        await stage.plan(*(save_account(f"C{number}") for number in range(CUSTOMERS)))
        stage.clock.advance(2 * HOUR)
        first_day, _ = await looked_ahead(stage)
        stage.clock.advance(DAY)
        await stage.plan(save_account("IMPORTED"), sale("OLD", "IMPORTED", entry_date=LAST_YEAR))
        await stage.plan(save_account("NEW"), todays(1, START.date()))
        stage.clock.advance(HOUR)
        outlook, _ = await looked_ahead(stage)
    assert not first_day.hourly
    assert sum(outlook.hourly["master"]) == 1, "a new customer a day, and no more imports"
    assert sum(outlook.hourly["today"]) == 1


async def test_the_calls_of_each_mode_and_of_its_pdfs_are_known(tmp_path: Path) -> None:
    """A sales invoice takes a draft and its becoming final, and Exact files its print; two hundred entries may share a call."""
    async with virtual_writer(tmp_path, configuration=configuration(pdf={"policy": "always"})) as stage:
        booked = msgspec.structs.replace(todays(0, START.date()), pdf=True)
        await stage.plan(*(save_account(f"C{number}") for number in range(CUSTOMERS)), booked)
        await stage.run(START.timestamp() + HOUR, while_waiting=True)
        documents = [msgspec.structs.replace(todays(number, START.date()), mode="document") for number in range(1, 11)]
        await stage.plan(*documents, *(ledger_sale(f"L-{number}", "C0", entry_date=LAST_YEAR) for number in range(400)))
        async with stage.database.reading() as connection:
            now = stage.clock.seconds()
            outlook = await outlook_of(connection, DIVISION, now, poll_seconds=POLL_SECONDS, lists=False, with_pdfs=True)
    assert (outlook.waiting["today"], outlook.waiting["backfill"]) == (20, 2)
    assert outlook.pdf_calls_per_call["backfill"] == 400
    assert outlook.pdf_calls_per_call["today"] == pytest.approx((10 + 2) / (20 + 1)), "with the entry that was booked"


class TestForecast:
    LIMITS = Limits(minute=60, day=5_000, left_today=5_000.0, day_seconds_left=DAY)

    def of(self, limits: Limits | None = None, **waiting_calls: float) -> Forecast:
        return forecast(Outlook(waiting=waiting_calls), limits or self.LIMITS)  # type: ignore[arg-type]  # names of classes

    def test_a_short_queue_takes_its_minutes(self) -> None:
        assert self.of(today=90).done_after_seconds == 120.0

    def test_a_long_queue_takes_its_days(self) -> None:
        after = self.of(today=12_000).done_after_seconds
        assert after is not None
        assert 2 * DAY < after < 2 * DAY + HOUR, "5,000 each on two days, 2,000 on the third"

    def test_history_keeps_the_reserve_of_the_day(self) -> None:
        after = self.of(backfill=4_900).done_after_seconds
        assert after is not None
        assert 10 * HOUR < after < DAY, "a tenth of what is left of the day is kept until it is nearly over"

    def test_each_class_gets_its_share_at_once(self) -> None:
        found = self.of(today=600, money=9)
        assert found.seconds["money"] == 60.0
        assert found.seconds["today"] == 660.0

    def test_what_comes_in_every_day_can_be_more_than_exact_takes(self) -> None:
        outlook = Outlook(waiting={"today": 100.0}, hourly={"today": (300.0,) * 24})
        found = forecast(msgspec.structs.replace(outlook, waiting={"today": 9_000.0}), self.LIMITS, most_minutes=10 * 1_440)
        assert found.done_after_seconds is None

    def test_asking_for_changes_does_not_slow_a_burst_of_history(self) -> None:
        often = forecast(Outlook(waiting={"backfill": 4_000.0}, poll_seconds=1.0), self.LIMITS)
        assert often.done_after_seconds == self.of(backfill=4_000).done_after_seconds

    def test_the_choices_change_what_they_say(self) -> None:
        outlook = Outlook(waiting={"backfill": 20_000.0, "pdf": 2_000.0}, pdf_calls_per_call={"backfill": 1.0})
        now = forecast(outlook, self.LIMITS).done_after_seconds
        without = Outlook(waiting={"backfill": 20_000.0})
        chosen = variants(outlook, self.LIMITS, {"calls": 20_000.0, "ledger_calls": 100.0}, without=without)
        after = {name: forecast(*each).done_after_seconds for name, each in chosen.items()}
        assert now is not None
        assert set(after) == {"no_pdfs", "history_in_ledger", "double_daily_calls"}
        assert all(each is not None and each < now for each in after.values()), (now, after)


@pytest.mark.parametrize(("language", "said"), [("en", "today's invoices"), ("nl", "facturen van vandaag")])
async def test_the_command_says_what_waits_and_when_it_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, said: str
) -> None:
    async with virtual_writer(tmp_path) as stage:
        await stage.plan(save_account("C0"), *(todays(number, START.date()) for number in range(90)))
        await stage.plan(*(sale(f"OLD-{number}", "C0", entry_date=LAST_YEAR) for number in range(400)))
        file = tmp_path / "kruispost.yaml"
        file.write_text(CONFIGURATION.model_dump_json(exclude_defaults=True), encoding="utf-8")
        monkeypatch.setenv("KRUISPOST_CONFIG", str(file))
        monkeypatch.setenv("KRUISPOST_DATA_DIR", str(tmp_path))
        monkeypatch.delenv("KRUISPOST_DATABASE_URL", raising=False)
        told = await asyncio.to_thread(CliRunner().invoke, application(), ["forecast", "--lang", language])
        as_json = await asyncio.to_thread(CliRunner().invoke, application(), ["forecast", "--json", "--per-day", "0"])
    assert told.exit_code == 0, told.output
    assert said in told.output
    found = json.loads(as_json.output)["divisions"][0]
    assert found["classes"]["today"]["calls"] == 90 + 1, "the customer goes with its invoices"
    assert found["classes"]["backfill"]["calls"] == 400
    assert found["classes"]["today"]["empty_at"] < found["classes"]["backfill"]["empty_at"] == found["empty_at"]


def application() -> typer.Typer:
    app = typer.Typer()
    app.command()(commands.forecast)
    app.command()(commands.hurry)
    return app
