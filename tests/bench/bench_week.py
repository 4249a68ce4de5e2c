"""A week of one division at full size in virtual time, and what `kruispost forecast` said of it.

5,000 documents come in a day, as the mapper would tell them: invoices and credit notes of a call each, and online payments that
share the entry of their day. They are of 1,000 customers, and 1,000 others have a backlog of 100,000 documents, most of them in
mode ledger; all 2,000 are new. So payments of today settle no history, which would go before its turn then.
Nights are quiet, Exact is away for three hours of the third day, and each day has 5,000 calls. All else is the writer's own: its
turns, its database, its HTTP client. The stand-in counts in a process of its own, and the forecast is made in one, so that memory
is the writer's alone.

`KRUISPOST_BENCH_WEEK=0.1` takes a tenth of the documents, of the customers and of the day's calls.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import chain, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from bench.exact_apart import apart
from support.exact_server import DIVISION
from support.virtual_writer import START, VirtualWriter, spent, virtual_writer, working_day
from support.writer_stage import document, ledger_sale, payment, sale, save_account, writer_environment

from backbone.database import Database
from backbone.settings import Settings
from contracts.commands import EntryLine, PostEntry
from exact_writer.forecast import forecast
from exact_writer.outlook import limits_of, outlook_of
from exact_writer.tables import commands

SHARE: Final = float(os.environ.get("KRUISPOST_BENCH_WEEK", "1"))
DAYS: Final = 7
DAY, HOUR = 86_400.0, 3_600.0
# Four calls each hour for the periods, and eleven a day.
READS_A_DAY: Final = 4 * 24 + 11
PER_DAY, CUSTOMERS = round(5_000 * SHARE), round(2_000 * SHARE)
# How often periods and other master data are read does not follow from the number of documents.
DAY_LIMIT: Final = round(5_000 * SHARE + READS_A_DAY * (1 - SHARE))
IN_LEDGER, ONE_BY_ONE = round(92_000 * SHARE), round(8_000 * SHARE)
POLL_SECONDS: Final = 300.0 / min(1.0, SHARE)
# Of fifty documents that come in, twenty are invoices, four credit notes, and the rest payments through a gateway.
OF_FIFTY, INVOICES, CREDIT_NOTES = 50, 20, 4
TOGETHER: Final = 10  # documents come in a few at a time
MONTHS: Final = 12
LAST_YEAR: Final = date(2025, 1, 15)
MOST_GROWTH, MOST_ERROR = 1.05, 0.05
FORECASTS_AFTER_DAYS: Final = (1, 2)


def measure() -> dict[str, dict[str, Any]]:
    """Return the figures; calls and bytes are counted and not timed, so the ceilings are the goals."""
    return asyncio.run(_week())


async def _week() -> dict[str, dict[str, Any]]:
    begins = START.timestamp()
    maintenance = (begins + 2 * DAY + 9 * HOUR, begins + 2 * DAY + 12 * HOUR)
    said: dict[float, float | None] = {}
    memory: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as directory, apart(day_limit=DAY_LIMIT) as stand_in:
        async with virtual_writer(
            Path(directory), maintenance=maintenance, poll_seconds=POLL_SECONDS, stand_in=stand_in
        ) as stage:
            for part in _backlog():
                await stage.plan(*part)
            for day in range(DAYS):
                await stage.run(begins + (day + 1) * DAY, working_day(day, PER_DAY, _told, together=TOGETHER))
                memory[day + 1] = _resident_mib()
                print(f"  day {day + 1}: {await stage.waiting():,} wait, {memory[day + 1]:.0f} MiB", flush=True)
                if day + 1 in FORECASTS_AFTER_DAYS:
                    now = stage.clock.seconds()
                    said[now] = _forecast(Path(directory), now)
                    print(f"  forecast: {said[now]}", flush=True)
            # The payments of the last day share an entry after it.
            await stage.run(begins + DAYS * DAY + HOUR)
            print(f"  emptied at {await _emptied_at(stage) - begins:.0f} s", flush=True)
            calls, emptied_at, left = await spent(stage), await _emptied_at(stage), await stage.waiting()
    errors = [abs(seconds - (emptied_at - at)) / (emptied_at - at) if seconds else 1.0 for at, seconds in said.items()]
    documents = DAYS * PER_DAY + IN_LEDGER + ONE_BY_ONE
    return {
        "week_documents": _row(float(documents), "documents", round(135_000 * SHARE)),
        "week_calls_per_document": _row(calls["total"] / documents, "calls/document", 1.0),
        "week_left_over": _row(float(left), "documents", 0.0),
        "week_backlog_booked_after_hours": _row((emptied_at - begins) / HOUR, "h", DAYS * 24.0),
        "week_rate_limited": _row(float(calls["rate_limited"]), "refusals", 0.0),
        "week_error_blocks": _row(float(calls["error_blocks"]), "blocks", 0.0),
        "week_memory_day_1": _row(memory[1], "MiB", memory[1]),
        "week_memory_day_7": _row(memory[DAYS], "MiB", memory[1] * MOST_GROWTH),
        "forecast_error_share": _row(max(errors), "of the time", MOST_ERROR),
    }


def _backlog() -> Iterator[list[Any]]:
    """New customers, and their history of a year, a few hundred at a time."""
    waiting = chain(
        (save_account(f"C{number}") for number in range(CUSTOMERS)),
        (ledger_sale(f"L-{number}", _old_customer(number), entry_date=_month(number, IN_LEDGER)) for number in range(IN_LEDGER)),
        (sale(f"OLD-{number}", _old_customer(number), entry_date=_month(number, ONE_BY_ONE)) for number in range(ONE_BY_ONE)),
    )
    while part := list(islice(waiting, 500)):
        yield part


def _customer(number: int) -> str:
    return f"C{number % (CUSTOMERS // 2)}"


def _old_customer(number: int) -> str:
    return f"C{CUSTOMERS // 2 + number % (CUSTOMERS // 2)}"


def _month(number: int, of: int) -> date:
    """History comes as backfill reads it: a month of all customers after the other."""
    return LAST_YEAR.replace(month=number * MONTHS // of + 1)


def _told(number: int, day: date) -> PostEntry:
    """The document of this number, as the mapper tells it on its day."""
    kind, customer = number % OF_FIFTY, _customer(number)
    if kind < INVOICES:
        return sale(f"INV-{number}", customer, entry_date=day)
    if kind < INVOICES + CREDIT_NOTES:
        line = EntryLine(gl_account="8000", amount_minor=-1_000, vat_code="2", vat_amount_minor=-210)
        of_note = document(f"CN-{number}", customer, kind="credit_note", total_minor=1_210)
        note = sale(f"CN-{number}", customer, lines=(line,), entry_date=day, journal="71")
        return msgspec.structs.replace(note, document=of_note)
    ends = START + timedelta(days=(day - START.date()).days + 1)
    return msgspec.structs.replace(
        payment(f"TX-{number}", customer),
        command_id=f"payment-{number}",
        entry_date=day,
        mode="ledger",
        bundle=f"1290 {day}",
        not_before=ends,
    )


def _forecast(directory: Path, now: float) -> float | None:
    """In how many seconds the backlog is booked, as `kruispost forecast` says it now: a process of its own, as the command is."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_tell_forecast, args=(theirs, directory, now), daemon=True)
    process.start()
    found: float | None = ours.recv()
    process.join()
    return found


def _tell_forecast(pipe: Connection, directory: Path, now: float) -> None:
    pipe.send(asyncio.run(_look_ahead(directory, now)))


async def _look_ahead(directory: Path, now: float) -> float | None:
    database = Database.open(Settings(data_dir=directory, **writer_environment("http://exact.test")), "exact-writer")
    try:
        async with database.reading() as connection:
            outlook = await outlook_of(connection, DIVISION, now, poll_seconds=POLL_SECONDS, lists=True, with_pdfs=False)
            return forecast(outlook, await limits_of(connection, DIVISION, now)).seconds.get("backfill")
    finally:
        await database.close()


async def _emptied_at(stage: VirtualWriter) -> float:
    """When the last call of the backlog was made."""
    last = sa.select(sa.func.max(commands.c.sent_at)).where(commands.c.work_class == "backfill")
    async with stage.database.reading() as connection:
        return float((await connection.execute(last)).scalar_one())


def _resident_mib() -> float:
    """What of this process is in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _row(value: float, unit: str, ceiling: float) -> dict[str, Any]:
    return {"value": value, "unit": unit, "ceiling": ceiling, "ratio": value / ceiling if ceiling else value}
