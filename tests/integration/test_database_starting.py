"""PostgreSQL crashed and is starting up: who works in the background waits, though connecting raises the driver's own error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from support.engines import broker_for
from support.ingest_stage import SITE
from support.lines import FACTS_TOPOLOGY

from backbone.broker import Broker
from backbone.clock import SystemClock
from backbone.database import Database
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from ingest.catch_up import CatchUp
from ingest.pdfs import PdfFetcher
from ingest.store import EventStore
from ingest.translator import Translator


class StartingDatabase(Database):
    """One whose server accepts no connection yet; `asked` counts the tries."""

    asked = 0

    def reading(self) -> Any:
        """Say so."""
        self.asked += 1
        raise asyncpg.CannotConnectNowError("the database system is starting up")

    async def try_lock(self, name: str) -> Any:
        """Say so."""
        self.asked += 1
        raise asyncpg.CannotConnectNowError(name)


def translator(database: Database, _broker: Broker) -> Any:
    return Translator(database, SystemClock(), Telemetry(), translated=lambda: None)


def pdfs(database: Database, broker: Broker) -> Any:
    return PdfFetcher(database, broker, SystemClock(), None, Telemetry())


def catch_up(database: Database, _broker: Broker) -> Any:
    store = EventStore(database, SystemClock(), stored=lambda: None)
    api: Any = None  # never reached
    return CatchUp(database, store, api, SystemClock(), Telemetry(), sites=(SITE,), every_seconds=300)


@pytest.mark.parametrize("make", [translator, pdfs, catch_up])
async def test_a_worker_waits_for_a_database_that_is_starting_up(make: Callable[..., Any], tmp_path: Path) -> None:
    database = StartingDatabase.open(Settings(data_dir=tmp_path), "ingest")
    assert isinstance(database, StartingDatabase)
    stop = asyncio.Event()
    async with broker_for("embedded", tmp_path, FACTS_TOPOLOGY) as broker:
        running = asyncio.create_task(make(database, broker).run(stop))
        async with asyncio.timeout(10):
            while not database.asked:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert not running.done()
        running.cancel()
    await database.close()
