"""`kruispost rebook` given twice at once takes a booking back once: the second one looked at what is no longer so."""

from __future__ import annotations

from pathlib import Path

from support.engines import database_for
from support.facts import customer, invoice
from support.mapper_stage import CONFIGURATION, Stage

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
