"""Mode ledger where a customer's documents alternate between months: the forecast counts the entries that the writer makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from support.engines import DATABASES, settings_for
from support.exact_server import DIVISION
from support.fast_sqlite import migrated
from support.virtual_writer import START, VirtualWriter, virtual_writer
from support.writer_stage import configuration, ledger_sale, outgoing, sale, save_account, writer_environment

from backbone.database import Database
from contracts.commands import PostEntry
from contracts.envelope import decode
from exact_writer import journal
from exact_writer.grouping import Run, entries_of
from exact_writer.outlook import history_of, outlook_of
from exact_writer.tables import commands as journal_rows
from exact_writer.waiting import usual_arrivals
from exact_writer.work_classes import WorkClass

CUSTOMERS, DOCUMENTS = 12, 360
GENERAL = "POST generaljournalentry/GeneralJournalEntries"
HOUR, DAY = 3_600.0, 86_400.0
Months = Callable[[int], int]


def in_turn(number: int) -> int:
    """January and February alternate for each customer."""
    return number // CUSTOMERS % 2 + 1


def one_behind(number: int) -> int:
    """Each customer has months of its own: some alternate and some do not."""
    customer, place = number % CUSTOMERS, number // CUSTOMERS
    return (place // (customer + 1)) % 6 + 1


def as_read(number: int) -> int:
    """A month of all customers after the other, as backfill reads it."""
    return number * 6 // DOCUMENTS + 1


def history(months: Months, singly_every: int = 0) -> Iterator[PostEntry]:
    """A history whose every so many documents are booked one by one."""
    for number in range(DOCUMENTS):
        on, customer = (
            date(2026, months(number), 5) if months(number) < 3 else date(2025, months(number), 5),
            f"C{number % CUSTOMERS}",
        )
        alone = singly_every and number % singly_every == singly_every - 1
        yield (sale if alone else ledger_sale)(f"L-{number}", customer, entry_date=on)


async def forecast_calls(stage: VirtualWriter, *, lists: bool = False) -> dict[str, float]:
    now = stage.clock.seconds()
    async with stage.database.reading() as connection:
        outlook = await outlook_of(connection, DIVISION, now, poll_seconds=7_200, lists=lists, with_pdfs=False)
    return {str(each): calls for each, calls in outlook.waiting.items()}


@pytest.mark.parametrize(
    ("months", "singly_every"), [(in_turn, 0), (one_behind, 0), (as_read, 0), (one_behind, 7)], ids=lambda each: str(each)[:20]
)
async def test_the_forecast_counts_the_entries_that_are_made(tmp_path: Path, months: Months, singly_every: int) -> None:
    settings = configuration(pdf={"policy": "never", "lists": False})
    async with virtual_writer(tmp_path, answer_seconds=0.05, poll_seconds=7_200, configuration=settings) as stage:
        await stage.plan(*(save_account(f"C{number}") for number in range(CUSTOMERS)))
        await stage.run(START.timestamp() + HOUR, while_waiting=True)
        before = Counter((await stage.server.calls())["by_endpoint"])
        await stage.plan(*history(months, singly_every))
        said = await forecast_calls(stage)
        listed = await forecast_calls(stage, lists=True)
        await stage.run(START.timestamp() + 20 * HOUR, while_waiting=True)
        made = Counter((await stage.server.calls())["by_endpoint"]) - before
    actual = made[GENERAL] + made["POST salesentry/SalesEntries"]
    assert said["backfill"] == pytest.approx(actual, rel=0.05)
    assert 0 < listed["pdf"] <= 2 * made[GENERAL]


async def test_what_mode_ledger_would_change_counts_alternating_months_too(tmp_path: Path) -> None:
    async with virtual_writer(tmp_path, answer_seconds=0.05, poll_seconds=7_200) as stage:
        await stage.plan(
            *(sale(each.your_ref, each.document.customer_id, entry_date=each.entry_date) for each in history(in_turn))
        )
        async with stage.database.reading() as connection:
            found = await history_of(connection, DIVISION)
    assert found == {"calls": DOCUMENTS, "ledger_calls": DOCUMENTS / CUSTOMERS}


async def test_what_comes_one_by_one_is_expected_to_share_no_entry_tomorrow_either(tmp_path: Path) -> None:
    """In mode ledger too: what comes now and then is booked at once, and does not wait for two hundred others."""
    settings = configuration(pdf={"policy": "never", "lists": False})
    async with virtual_writer(tmp_path, answer_seconds=0.05, poll_seconds=7_200, configuration=settings) as stage:
        await stage.plan(save_account("C0"))
        await stage.run(START.timestamp() + 60, while_waiting=True)
        for number in range(30):
            await stage.plan(ledger_sale(f"INV-{number}", "C0", entry_date=START.date()))
            await stage.run(START.timestamp() + (number + 1) * 0.5 * HOUR)
        made = int((await stage.server.calls())["by_endpoint"][GENERAL])
        stage.clock.advance(9 * HOUR)
        now = stage.clock.seconds()
        async with stage.database.reading() as connection:
            outlook = await outlook_of(connection, DIVISION, now, poll_seconds=7_200, lists=False, with_pdfs=False)
            kept = await usual_arrivals(connection, DIVISION, now, DAY)
    assert made == 30
    assert sum(outlook.hourly["today"]) == pytest.approx(made)
    assert kept == made, "so many calls are kept from history, too"


class TestEntries:
    def of(self, *told: tuple[str, str, int], **more: object) -> int:
        """Runs of customer, key and number, in this order."""
        runs = [
            Run(customer=customer, work_class="backfill", key=key, sequence=place, number=number)
            for place, (customer, key, number) in enumerate(told)
        ]
        return entries_of(msgspec.structs.replace(each, **more) for each in runs).calls.total()

    def test_equal_keys_share_and_large_ones_are_split(self) -> None:
        assert self.of(("A", "j EUR 1 m", 150), ("B", "j EUR 1 m", 51)) == 2

    def test_a_customers_order_keeps_what_alternates_apart(self) -> None:
        assert self.of(("A", "j EUR 1 m", 1), ("A", "j EUR 1 n", 1), ("A", "j EUR 1 m", 1), ("A", "j EUR 1 n", 1)) == 4

    def test_what_goes_by_itself_keeps_them_apart_too(self) -> None:
        assert self.of(("A", "j EUR 1 m", 1), ("A", "", 1), ("A", "j EUR 1 m", 1)) == 2

    def test_others_are_let_go_first(self) -> None:
        assert self.of(("A", "j EUR 1 m", 1), ("B", "", 59), ("B", "j EUR 1 m", 1)) == 1
        assert self.of(("A", "j EUR 1 m", 1), ("B", "", 60), ("B", "j EUR 1 m", 1)) == 2

    def test_an_entry_takes_so_many_lines(self) -> None:
        assert self.of(("A", "j EUR 1 m", 200), lines=12_000.0) == 2
        assert self.of(("A", "j EUR 1 m", 2), lines=20_000.0) == 2, "one document goes however many lines it has"

    def test_a_bundle_takes_a_thousand(self) -> None:
        assert self.of(("A", "j EUR 1 m 1290 2026-03-02", 1_000)) == 1

    def test_history_joins_todays_and_waits_for_it(self) -> None:
        def run(work_class: WorkClass, key: str, place: int) -> Run:
            return Run(customer="A", work_class=work_class, key=key, sequence=place, number=1)

        same, other = "j EUR 1 m", "j EUR 1 n"
        assert entries_of([run("today", same, 1), run("backfill", same, 2)]).calls == {"today": 1}
        assert entries_of([run("today", other, 1), run("backfill", same, 2)]).calls == {"today": 1, "backfill": 1}
        assert entries_of([run("backfill", same, 1), run("today", other, 2)]).calls == {"today": 1, "backfill": 1}


@pytest.mark.parametrize("dialect", DATABASES)
async def test_either_database_tells_the_same(tmp_path: Path, dialect: str) -> None:
    """What waits, what would share entries, and what came in: asked of PostgreSQL as of SQLite."""
    now, then = START.timestamp() + 3 * DAY, START.timestamp()
    async with settings_for(dialect, tmp_path, **writer_environment("http://exact.test")) as settings:
        database = Database.open(settings, "exact-writer")
        try:
            await migrated(database, "exact-writer")
            single = (sale(f"S-{number}", f"C{number % 3}", entry_date=date(2025, number % 2 + 1, 5)) for number in range(30))
            day: dict[str, Any] = {"entry_date": START.date(), "journal": "91"}
            todays = [ledger_sale(f"T-{number}", "C0", **day) for number in range(4)]
            bundled = ledger_sale("B-1", "C1", bundle="1290 x", not_before=START + timedelta(days=9), **day)
            async with database.transaction() as connection:
                for command in (*history(in_turn), *single, *todays, bundled):
                    await journal.plan(database, connection, decode(outgoing(command).body), command, then)
                ended = {"state": "posted", "is_open": False, "batch_id": "command-T-0"}
                is_today = journal_rows.c.your_ref.in_([each.your_ref for each in todays])
                await connection.execute(sa.update(journal_rows).where(is_today).values(**ended))
            async with database.reading() as connection:
                outlook = await outlook_of(connection, DIVISION, now, poll_seconds=300, lists=True, with_pdfs=True)
                found = await history_of(connection, DIVISION)
                kept = await usual_arrivals(connection, DIVISION, now, DAY)
        finally:
            await database.close()
    # The singles of the first three customers follow their thirty entries; an entry for each of those, one call for each single.
    assert outlook.waiting == {"backfill": DOCUMENTS / CUSTOMERS + 30, "pdf": 2.0 * DOCUMENTS / CUSTOMERS}
    ((after, calls),) = outlook.later["today"]
    assert (round(after), calls) == (6 * DAY, 1.0)
    assert found == {"calls": 30.0, "ledger_calls": 11.0}, "the months of the second customer are the other way round"
    assert sum(outlook.hourly["today"]) == pytest.approx((1 + 1) / 3), "an entry of four, and the one of a day that is to come"
    assert kept == pytest.approx(1 / 3)
