"""Credit notes that are dated before others which are booked already: each takes back what the others left to be released."""

import asyncio
import json
from datetime import date
from pathlib import Path

import pytest
import yaml
from support import golden_chargebee
from support.command_line import kruispost_here
from support.credited_year import INVOICE, SITE, configuration, deferred_lines, listing, sale
from support.engines import DATABASES, database_for, settings_for
from support.mapper_stage import Stage

from backbone.database import Database
from backbone.migrations import migrate


@pytest.fixture(params=DATABASES)
async def stage(request, tmp_path: Path):
    async with database_for(request.param, tmp_path, "mapper") as database:
        yield Stage(database, configuration())


async def test_a_credit_that_is_dated_back_leaves_what_a_booked_one_takes(stage):
    """Its date comes before that of the other one, which could not wait for what was not made yet."""
    autumn = sale("credit_note", "CN-2", date(2026, 10, 1), "600.00", "126.00", "726.00")
    dated_back = sale("credit_note", "CN-3", date(2026, 7, 1), "400.00", "84.00", "484.00")
    booked, late = (golden_chargebee.document(SITE, each) for each in (autumn, dated_back))
    await stage.hear(*golden_chargebee.surroundings(SITE, INVOICE), listing(autumn, version=2), booked)
    await stage.hear(listing(autumn, dated_back, version=3), late)
    lines = await deferred_lines(stage)
    december, september = date(2026, 12, 31), date(2026, 9, 30)
    # A year of 1,000.00 releases 83.33 a month and 83.37 in December.
    assert lines["CN-2"] == [(-34_997, None, None), (-25_003, date(2026, 10, 1), december)]
    left = [(-24_999, date(2026, 7, 1), september), (-2, date(2026, 12, 1), december)]
    assert lines["CN-3"] == [(-14_999, None, None), *left]


async def test_a_credit_that_is_dated_back_takes_what_a_voided_one_gave_up(stage):
    autumn = sale("credit_note", "CN-2", date(2026, 10, 1), "600.00", "126.00", "726.00")
    dated_back = sale("credit_note", "CN-3", date(2026, 7, 1), "400.00", "84.00", "484.00")
    booked, late = (golden_chargebee.document(SITE, each) for each in (autumn, dated_back))
    await stage.hear(*golden_chargebee.surroundings(SITE, INVOICE), listing(autumn, version=2), booked)
    await stage.post_all()
    await stage.hear(golden_chargebee.document(SITE, autumn, voided_on=date(2026, 11, 3)))
    await stage.hear(listing(autumn, dated_back, version=3), late)
    assert (await deferred_lines(stage))["CN-3"] == [(-40_000, date(2026, 7, 1), date(2026, 12, 31))]


async def test_the_days_that_a_credit_left_to_others_are_not_taken_for_a_changed_rule(tmp_path: Path):
    """Made again, each note would take other days, since the order of making is not that of the dates; its cents are alike."""
    autumn = sale("credit_note", "CN-2", date(2026, 10, 1), "600.00", "126.00", "726.00")
    dated_back = sale("credit_note", "CN-3", date(2026, 7, 1), "400.00", "84.00", "484.00")
    booked, late = (golden_chargebee.document(SITE, each) for each in (autumn, dated_back))
    data = configuration().model_dump(mode="json", exclude_none=True, exclude_unset=True)
    (tmp_path / "kruispost.yaml").write_text(yaml.safe_dump(data))
    async with settings_for("sqlite", tmp_path / "data") as settings:
        database = Database.open(settings, "mapper")
        try:
            await migrate(database, "mapper")
            told = Stage(database, configuration())
            await told.hear(*golden_chargebee.surroundings(SITE, INVOICE), listing(autumn, version=2), booked)
            await told.post_all()
            await told.hear(listing(autumn, dated_back, version=3), late)
            await told.post_all()
        finally:
            await database.close()

    async def run(*arguments: str) -> tuple[int, str]:
        done = await asyncio.to_thread(kruispost_here, *arguments, directory=tmp_path)
        return done.returncode, done.stdout

    for number in ("CN-2", "CN-3"):
        [why] = json.loads((await run("explain", number, "--json"))[1])["documents"]
        assert (why["is_compared"], why["would_change"]) == (True, [])
    code, listed = await run("rebook", "--json")
    assert (code, json.loads(listed)["documents"]) == (0, [])
    code, compared = await run("diff", str(tmp_path / "kruispost.yaml"), "--against", "booked", "--json")
    assert json.loads(compared)["documents"] == []
