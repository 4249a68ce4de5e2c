"""Closed periods as questions, financial years that do not exist yet, and deferred revenue until the balance is zero."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import golden_chargebee, golden_stage
from support.command_line import environment
from support.credited_year import INVOICE, SITE, configuration, deferred_lines, listing, sale
from support.engines import DATABASES, database_for, settings_for
from support.facts import customer, invoice
from support.mapper_stage import CONFIGURATION, Stage, period, refused
from typer.testing import CliRunner

from backbone.configuration import Configuration
from backbone.database import Database
from backbone.migrations import migrate
from bookkeeping.periods import month_end
from bookkeeping.roll_forward import RollForward, movements
from console.cli import app
from contracts import facts
from mapper.configuration import mappings_of
from mapper.deferred_command import deferred_entries
from mapper.history import PagedStore
from simulators.exact.seed import DEMO_DIVISION

SPRING = sale("credit_note", "CN-1", date(2026, 3, 31), "250.00", "52.50", "302.50")
SUMMER = sale("credit_note", "CN-2", date(2026, 6, 30), "600.00", "126.00", "726.00")


@pytest.fixture(params=DATABASES)
async def stage(request, tmp_path: Path):
    async with database_for(request.param, tmp_path, "mapper") as database:
        yield Stage(database, configuration())


CREDITED = [golden_chargebee.document(SITE, SPRING), golden_chargebee.document(SITE, SUMMER)]
LISTED = [listing(version=1), listing(SPRING, version=2), listing(SPRING, SUMMER, version=3)]
ORDERS = [
    (LISTED[0], LISTED[1], CREDITED[0], LISTED[2], CREDITED[1]),
    (LISTED[0], CREDITED[1], CREDITED[0], LISTED[2]),
    (CREDITED[1], LISTED[2], CREDITED[0]),
    (CREDITED[0], CREDITED[1], LISTED[1], LISTED[2]),
]


@pytest.mark.parametrize("order", range(len(ORDERS)))
async def test_credits_of_one_line_are_split_alike_in_any_order_of_arrival(stage, order: int):
    await stage.hear(*golden_chargebee.surroundings(SITE, INVOICE), *ORDERS[order])
    lines = await deferred_lines(stage)
    december = date(2026, 12, 31)
    assert lines["CN-1"] == [(-25_000, date(2026, 4, 1), december)]
    # 500.02 was left to release from July on, of which the credit of March took 166.66.
    assert lines["CN-2"] == [(-26_664, None, None), (-33_336, date(2026, 7, 1), december)]
    assert not {"exact_refused", "unreadable_document"} & set(await stage.reasons())


async def test_a_credit_says_which_one_it_waits_for(stage):
    await stage.hear(*golden_chargebee.surroundings(SITE, INVOICE), LISTED[2], CREDITED[1])
    [held] = await stage.said(facts.DocumentHeld)
    assert (held.code, held.waiting) == ("waiting_for_credits", True)
    assert "credit note CN-1" in held.sentence
    await stage.hear(CREDITED[0])
    assert {entry.your_ref for entry in await stage.entries()} == {"INV-1", "CN-1", "CN-2"}


async def test_a_credit_that_waits_too_long_for_another_is_put_before_a_person_once_and_booked_when_that_comes(stage):
    await stage.hear(*golden_chargebee.surroundings(SITE, INVOICE), LISTED[2], CREDITED[1])
    start = stage.clock.now().date()
    await stage.days_pass(start + timedelta(days=4))  # Chargebee repeats a webhook for three days and seven hours
    assert [held.waiting for held in await stage.said(facts.DocumentHeld)] == [True]
    for days in (5, 6, 30):
        await stage.days_pass(start + timedelta(days=days))
        await stage.hear(golden_chargebee.surroundings(SITE, INVOICE)[0])
    _, held = await stage.said(facts.DocumentHeld)
    assert (held.code, held.waiting) == ("waiting_for_credits", False)
    assert held.sentence.endswith(f"It has waited since {start}.")
    assert held.action.startswith("Fetch credit note CN-1 with `kruispost backfill --from DAY`")
    assert held.action_nl.startswith("Haal creditnota CN-1 op met `kruispost backfill --from DAG`")
    await stage.hear(CREDITED[0])
    assert {entry.your_ref for entry in await stage.entries()} == {"INV-1", "CN-1", "CN-2"}


@pytest.mark.parametrize("reason", ["write_off", "Oninbaar"])
async def test_a_write_off_leaves_what_a_later_credit_may_still_take_back(stage, reason: str):
    mapper = Stage(stage.database, configuration(write_offs={"account": "4700", "reasons": ["oninbaar"]}))
    written_off = golden_chargebee.document(SITE, {**SPRING, "because": reason})
    await mapper.hear(*golden_chargebee.surroundings(SITE, INVOICE), LISTED[2], written_off, CREDITED[1])
    lines = await deferred_lines(mapper)
    assert lines["CN-1"] == [(30_250, None, None), (-30_250, None, None)]
    # All of 500.02 from July on is still to be released, since the write-off took no revenue back.
    assert lines["CN-2"] == [(-9_998, None, None), (-50_002, date(2026, 7, 1), date(2026, 12, 31))]


async def test_a_period_that_closed_under_a_deferral_is_waited_for_instead_of_guessed(stage):
    """Exact refuses the entry without a word on which period it means, and the entry itself must not move for it."""

    def month(number: int, *, is_open: bool) -> facts.PeriodObserved:
        starts = date(2026, number, 1)
        known: dict[str, Any] = {"year": 2026, "period": number, "starts": starts, "ends": month_end(starts), "is_open": is_open}
        return facts.PeriodObserved(division=DEMO_DIVISION, journal="70", **known)

    late = {**INVOICE, "date": date(2026, 2, 10)}
    await stage.hear(*(month(number, is_open=True) for number in range(1, 13)))
    await stage.hear(*golden_chargebee.surroundings(SITE, late), golden_chargebee.document(SITE, late))
    [entry] = await stage.entries()
    await stage.hear(refused(entry, "period_closed"))
    assert await stage.reasons() == ["waiting_for_periods"]
    await stage.hear(month(1, is_open=False))
    [_, again] = await stage.entries()
    assert (again.entry_date, again.reporting_period) == (date(2026, 2, 10), None)
    assert [line.from_date for line in again.lines] == [date(2026, 2, 1)]


@pytest.mark.parametrize(
    ("reach", "reason"), [(date(2026, 11, 30), "waiting_for_periods"), (date(2026, 9, 30), "no_financial_year")]
)
async def test_periods_that_are_still_to_be_told_are_no_missing_year(stage, reach: date, reason: str):
    mapper = Stage(stage.database, CONFIGURATION)
    await mapper.hear(period(9, is_open=True, known_until=reach), customer(), invoice())
    assert await mapper.reasons() == [reason]
    if reason == "waiting_for_periods":
        await mapper.hear(period(10, is_open=False, known_until=reach), period(11, is_open=True, known_until=reach))
        [entry] = await mapper.entries()
        assert (entry.reporting_year, entry.reporting_period) == (2026, 11)


async def test_a_question_is_answered_once_in_the_file(stage):
    database = stage.database

    def asking(**periods: Any) -> Stage:
        data = CONFIGURATION.model_dump(mode="json", exclude_unset=True)
        data["divisions"]["100001"] |= {"period_policy": "ask", "periods": periods}
        return Stage(database, Configuration.model_validate(data))

    before = asking()
    await before.hear(period(10, is_open=False), period(11, is_open=True), customer(), invoice(), invoice("INV-2"))
    assert await before.reasons() == ["period_question"] * 2
    [held, _] = await before.said(facts.DocumentHeld)
    assert "[{period: 2026-10, into: 2026-11}]" in held.action
    for answers, booked in (
        ([{"document": "INV-2", "into": "2026-11"}], ["INV-2"]),
        ([{"period": "2026-10", "into": "2026-11"}], ["INV-2", "INV-1"]),
    ):
        after = asking(answers=answers)
        stop = asyncio.Event()
        worker = asyncio.create_task(after.mapper.replan_changed_mapping(stop))
        for _ in range(200):
            await asyncio.sleep(0.02)
            if len(await after.entries()) == len(booked):
                break
        stop.set()
        await worker
        assert [entry.your_ref for entry in await after.entries()] == booked
    [move] = (await after.said(facts.DocumentPlanned))[-1].moves
    assert (move.from_period, move.to_period, move.filed_return, move.vat[0].amount_minor) == (
        "2026-10",
        "2026-11",
        "2026-10",
        2_100,
    )


async def test_a_year_that_exact_does_not_have_is_waited_for(stage):
    plain = Stage(stage.database, CONFIGURATION)
    await plain.hear(customer(), invoice())
    [entry] = await plain.entries()
    await plain.hear(refused(entry, "no_financial_year", "Verplicht: Boekjaar"))
    await plain.hear(period(9, is_open=True), invoice("INV-2"))
    held = {(each.document.number, each.code) for each in await plain.said(facts.DocumentHeld)}
    assert held == {("INV-1", "no_financial_year"), ("INV-2", "no_financial_year")}
    assert len(await plain.entries()) == 1
    await plain.hear(period(10, is_open=True))
    assert [each.your_ref for each in await plain.entries()] == ["INV-1", "INV-1", "INV-2"]


@pytest.mark.parametrize("schedule", ["per_period", "per_day"])
async def test_the_roll_forward_is_what_exacts_ledger_has_in_every_period(schedule: str, tmp_path: Path):
    settings = configuration(deferral={"account": "1650", "schedule": schedule})
    async with golden_stage.chain(settings, ["2026-01", "2026-02"], tmp_path) as chain:
        division = chain.exact.simulator.world.divisions[DEMO_DIVISION]
        division.settings = replace(division.settings, deferral_method="day" if schedule == "per_day" else "period")
        await chain.hear(*golden_chargebee.surroundings(SITE, INVOICE), LISTED[2], *CREDITED)
        assert await chain.refusals() == []
        ledger = (await chain.exact.ledger(DEMO_DIVISION))["balances_by_period_minor"]
        mapping = mappings_of(settings)[DEMO_DIVISION]
        total = RollForward()
        async with chain.mapper.database.reading() as connection:
            store = PagedStore(chain.mapper.database, connection)
            async for _, entry in deferred_entries(store, mapping):
                total.add(movements(entry, await store.periods(DEMO_DIVISION, entry.journal), mapping.deferral_method))
    changes: Counter[str] = Counter()
    for row in total.rows():
        changes[row.period] += row.closing_minor - row.opening_minor
    booked = {f"{year}-{int(number):02d}": -sums.get("1650", 0) for (year, _, number), sums in split(ledger) if sums.get("1650")}
    assert {period_: change for period_, change in changes.items() if change} == booked
    assert sum(booked.values()) == total.closing_minor() == 0
    # The release was moved to March, and so were the credits: the second one leaves nothing from July on.
    assert abs(total.closing_minor("2026-06")) < 10


def split(ledger: dict[str, dict[str, int]]) -> list[tuple[tuple[str, str, str], dict[str, int]]]:
    return [(name.partition("/"), sums) for name, sums in ledger.items()]


async def test_kruispost_deferred_shows_the_figures_and_the_documents_behind_them(tmp_path: Path):
    async with settings_for("sqlite", tmp_path / "data") as settings:
        database = Database.open(settings, "mapper")
        try:
            await migrate(database, "mapper")
            told = Stage(database, configuration())
            await told.hear(*golden_chargebee.surroundings(SITE, INVOICE), LISTED[2], *CREDITED)
        finally:
            await database.close()
    data = configuration().model_dump(mode="json", exclude_none=True, exclude_unset=True)
    (tmp_path / "kruispost.yaml").write_text(yaml.safe_dump(data))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["deferred", *arguments], env=environment(tmp_path, {}))
        assert done.exit_code == 0, done.output
        return done.stdout

    answer = json.loads(await asyncio.to_thread(run, "--month", "2026-06", "--documents", "--json"))
    [june] = answer["rows"]
    assert {name: june[name] for name in ("opening_minor", "released_minor", "credited_minor", "closing_minor")} == {
        "opening_minor": 100_000 - 5 * 8_333 - 25_000 + 2 * 2_778,
        "released_minor": 8_333 - 2_778,
        "credited_minor": 33_336,
        "closing_minor": 0,
    }
    behind = [(each["document"], each["kind"], each["amount_minor"]) for each in answer["documents"]]
    assert sorted(behind) == [("CN-1", "released", -2_778), ("CN-2", "credited", 33_336), ("INV-1", "released", 8_333)]
    shown = (await asyncio.to_thread(run, "--csv")).splitlines()
    assert shown[0] == "account,period,opening,invoiced,released,credited,closing"
    assert shown[1] == "8000,2026-01,0.00,1000.00,83.33,0.00,916.67"
    assert "resteert op de balans aan het eind: 0.00" in await asyncio.to_thread(run, "--lang", "nl")
