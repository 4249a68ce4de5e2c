"""`kruispost rebook`: what today's rules would book as it is booked is left, and two at once take a booking back once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engines import database_for
from support.facts import OCTOBER_5, customer, invoice, line
from support.installation import installation
from support.mapper_stage import CONFIGURATION, Stage, period

from backbone.configuration import load_configuration
from backbone.telemetry import Telemetry
from mapper.configuration import mappings_of
from mapper.plan import Cause, Planner
from mapper.store import Key, Store
from mapper.subjects import Subjects


async def test_what_was_rebooked_meanwhile_or_changed_in_chargebee_is_left(tmp_path: Path) -> None:
    async with database_for("sqlite", tmp_path, "mapper") as database:
        stage = Stage(database)
        await stage.hear(customer(), invoice())
        await stage.post_all()
        key = Key(invoice().site, "invoice", "INV-1")
        planner = Planner(Subjects(CONFIGURATION, mappings_of(CONFIGURATION)), stage.clock, Telemetry())

        async def take_back(cause: str) -> bool:
            async with database.transaction() as connection:
                assert seen is not None
                return await planner.take_back_wrong(Store(database, connection), seen, Cause(None, cause))

        async with database.reading() as connection:
            seen = await Store(database, connection).document(key)
        assert await take_back("first")
        await stage.post_all()
        entries = [each.your_ref for each in await stage.entries()]
        assert entries == ["INV-1", "INV-1/R", "INV-1/2"]
        assert not await take_back("second")
        assert len(await stage.entries()) == 3


@pytest.mark.parametrize("days", [10, 40])  # in the closed period as a whole, and beyond it
async def test_what_closed_periods_moved_is_booked_as_the_rules_say_until_the_rule_changes(tmp_path: Path, days: int) -> None:
    async with installation("sqlite", tmp_path) as installed:
        rule = {"when": {"item_price": "Team-EUR"}, "account": "8000"}
        path = installed.write(tmp_path / "kruispost.yaml", revenue=[{**rule, "defer": True}])
        stage = Stage(installed.stage.database, load_configuration(path))
        served = line(10_000, 2_100, date_to=OCTOBER_5 + days * 86_400)
        await stage.hear(period(10, is_open=False), period(11, is_open=True), customer(), invoice(lines=[served]))
        await stage.post_all()
        [entry] = await stage.entries()
        assert (entry.reporting_period, entry.lines[0].from_date is None) == (11, days == 10), "it was moved"

        code, found = await installed.json("rebook")
        assert (code, found["documents"]) == (0, [])
        code, found = await installed.json("diff", str(path), "--against", "booked")
        assert (code, found["differing"]) == (0, 0)
        _, explained = await installed.json("explain", "INV-1")
        assert [each["would_change"] for each in explained["documents"]] == [[]]

        installed.write(tmp_path / "kruispost.yaml", revenue=[{**rule, "account": "8020", "defer": True}])
        code, found = await installed.json("rebook")
        assert (code, [each["number"] for each in found["documents"]]) == (1, ["INV-1"])
