"""What `kruispost forecast` says that each choice would change, held against what happens when the choice is made.

The choices are made as the documentation says: another policy of PDFs and a restart; history taken back and asked for again in
mode ledger; more calls a day from Exact.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from support.exact_server import DIVISION
from support.virtual_writer import START, Arrival, VirtualWriter, spent, virtual_writer, working_day
from support.writer_stage import configuration, ledger_sale, sale, save_account

from backbone.configuration import Configuration
from contracts.commands import PostEntry
from contracts.envelope import derived_id
from exact_writer.forecast import forecast
from exact_writer.outlook import history_of, limits_of, outlook_of, variants
from exact_writer.tables import attachments, commands
from exact_writer.withdrawing import Wish, withdraw_page

DAY, HOUR = 86_400.0, 3_600.0
CUSTOMERS, DAY_LIMIT, POLL_SECONDS = 10, 400, 3_000.0
TODAYS, HISTORY, MONTHS = 20, 330, 4
WITH_PDFS = configuration(pdf={"policy": "always", "lists": True})
WITHOUT = configuration(pdf={"policy": "never", "lists": True})
STEP_SECONDS = 900.0
MOST_DAYS = 10


def todays(number: int, day: date, *, pdf: bool = True) -> PostEntry:
    return msgspec.structs.replace(sale(f"NEW-{number}", f"C{number % CUSTOMERS}", entry_date=day), pdf=pdf)


def old(number: int, make: Any = sale) -> PostEntry:
    """History comes a month after the other, as backfill reads it."""
    entry: PostEntry = make(f"OLD-{number}", f"C{number % CUSTOMERS}", entry_date=date(2025, number * MONTHS // HISTORY + 1, 15))
    ref = entry.document
    attempt = "0" if make is sale else "1"
    named = derived_id("entry", str(DIVISION), ref.site, ref.kind, ref.number, ref.suffix, attempt)
    return msgspec.structs.replace(entry, pdf=True, command_id=named)


async def said(stage: VirtualWriter) -> dict[str, float]:
    """In how many seconds all that waits now is done: as it is, and by each choice."""
    now = stage.clock.seconds()
    async with stage.database.reading() as connection:
        asked: dict[str, Any] = {"poll_seconds": POLL_SECONDS, "lists": True}
        outlook = await outlook_of(connection, DIVISION, now, with_pdfs=True, **asked)
        without = await outlook_of(connection, DIVISION, now, with_pdfs=False, **asked)
        limits = await limits_of(connection, DIVISION, now)
        chosen = variants(outlook, limits, await history_of(connection, DIVISION), without=without)
    found = {"as_it_is": forecast(outlook, limits), **{name: forecast(*each) for name, each in chosen.items()}}
    return {name: each.done_after_seconds or 0.0 for name, each in found.items()}


async def choose(stage: VirtualWriter, choice: str) -> None:
    """Make a choice, as a person would."""
    if choice == "no_pdfs":
        await stage.restart(WITHOUT)
    elif choice == "double_daily_calls":
        await stage.server.control("limits", day_limit=2 * DAY_LIMIT)
    elif choice == "history_in_ledger":
        async with stage.database.transaction() as connection:
            taken, _ = await withdraw_page(connection, Wish(history=True), 0, stage.clock, install=True)
        assert taken[DIVISION] == HISTORY
        await stage.restart(WITH_PDFS)
        await stage.plan(*(old(number, ledger_sale) for number in range(HISTORY)))


async def is_done(stage: VirtualWriter, *, with_pdfs: bool) -> bool:
    """Whether nothing waits: no command and, unless they rest, no PDF."""
    if with_pdfs:
        return not await stage.waiting()
    async with stage.database.reading() as connection:
        open_ones = sa.select(commands.c.command_id).where(commands.c.is_open)
        under_way = sa.select(attachments.c.command_id).where(attachments.c.is_open, attachments.c.state != "waiting")
        return not await connection.scalar(sa.select(sa.exists(open_ones) | sa.exists(under_way)))


@asynccontextmanager
async def second_day(directory: Path, settings: Configuration = WITH_PDFS) -> AsyncIterator[VirtualWriter]:
    """A writer after a day of its documents, and with history that came in the night."""
    exact: dict[str, Any] = {"poll_seconds": POLL_SECONDS, "day_limit": DAY_LIMIT}
    async with virtual_writer(directory, configuration=settings, **exact) as stage:
        await stage.plan(*(save_account(f"C{number}") for number in range(CUSTOMERS)))
        await stage.run(START.timestamp() + HOUR, while_waiting=True)
        await stage.run(START.timestamp() + DAY, working_day(0, TODAYS, todays))
        await stage.plan(*(old(number) for number in range(HISTORY)))
        yield stage


async def happens(stage: VirtualWriter, *, with_pdfs: bool) -> float:
    """After how many seconds nothing waited for the first time."""
    begun = stage.clock.seconds()

    def make(number: int, day: date) -> PostEntry:
        return todays(number, day, pdf=with_pdfs)

    coming: list[Arrival] = list(chain.from_iterable(working_day(day, TODAYS, make) for day in range(1, MOST_DAYS)))
    while not await is_done(stage, with_pdfs=with_pdfs):
        until = stage.clock.seconds() + STEP_SECONDS
        await stage.run(until, [each for each in coming if each.at < until])
        coming = [each for each in coming if each.at >= until]
        assert coming, f"not done after {timedelta(days=MOST_DAYS)}"
    return stage.clock.seconds() - begun


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("choice", ["as_it_is", "no_pdfs", "history_in_ledger", "double_daily_calls"])
async def test_each_choice_changes_what_the_forecast_says_it_does(tmp_path: Path, choice: str) -> None:
    async with second_day(tmp_path) as stage:
        forecasts = await said(stage)
        await choose(stage, choice)
        actual = await happens(stage, with_pdfs=choice != "no_pdfs")
        calls = await spent(stage)
    assert (calls["rate_limited"], calls["error_blocks"]) == (0, 0)
    assert forecasts[choice] == pytest.approx(actual, rel=0.05)
    assert choice == "as_it_is" or forecasts[choice] < 0.95 * forecasts["as_it_is"]
