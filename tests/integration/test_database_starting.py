"""PostgreSQL crashed and starts up: who works waits and who asks is told, though connecting raises the driver's own error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs
from support.engines import broker_for
from support.ingest_stage import SITE
from support.lines import FACTS_TOPOLOGY

from backbone.application import Application
from backbone.broker import Broker
from backbone.broker_embedded import EmbeddedBroker
from backbone.clock import SystemClock
from backbone.database import DATABASE_ERRORS, Database, is_away
from backbone.errors import reason_of
from backbone.process import _site
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from console.api import router
from ingest.catch_up import CatchUp
from ingest.pdfs import PdfFetcher
from ingest.received import ReceivedEvent
from ingest.store import EventStore, StoreUnavailableError
from ingest.translator import Translator


class StartingDatabase(Database):
    """One whose server accepts no connection yet; `asked` counts the tries."""

    asked = 0

    def reading(self) -> Any:
        """Say so."""
        self.asked += 1
        raise asyncpg.CannotConnectNowError("the database system is starting up")

    def transaction(self) -> Any:
        """Say so."""
        return self.reading()

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
        async with asyncio.timeout(60):
            while not database.asked:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert not running.done()
        running.cancel()
    await database.close()


async def test_a_webhook_that_cannot_be_stored_is_one_line_of_the_log(tmp_path: Path) -> None:
    database = StartingDatabase.open(Settings(data_dir=tmp_path), "ingest")
    store = EventStore(database, SystemClock(), stored=lambda: None)
    with capture_logs() as logs, pytest.raises(StoreUnavailableError):
        await store.store(SITE, ReceivedEvent("ev_1", "invoice_generated", b"{}"))
    await database.close()
    (line,) = logs
    assert (line["log_level"], line["reason"]) == ("warning", "the database system is starting up")
    assert "exc_info" not in line


async def test_who_asks_over_http_is_told_that_the_database_does_not_answer(tmp_path: Path) -> None:
    database = StartingDatabase.open(Settings(data_dir=tmp_path), "console")
    token = SecretStr("geheim")
    application = Application("console", workers=[], ready=[], router=router(database, token))
    broker = EmbeddedBroker(tmp_path / "broker.sqlite")
    site = _site([application], broker, Telemetry(), asyncio.Event())
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
    inside = httpx.ASGITransport(app=site)  # an error that the site does not answer is raised here
    async with httpx.AsyncClient(transport=inside, base_url="http://console.test", headers=headers) as client:
        answer = await client.get("/summary")
    await broker.close()
    await database.close()
    told = "The database does not answer (the database system is starting up); ask again when it does."
    assert (answer.status_code, answer.json()) == (503, {"detail": told})


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TimeoutError(), "no answer in time"),
        (ConnectionResetError(), "ConnectionResetError"),
        (asyncpg.CannotConnectNowError("not yet\nDETAIL: recovery"), "not yet"),
        (DBAPIError("SELECT 1", {}, Exception("<class 'asyncpg.exceptions.InterfaceError'>: closed\nmore")), "closed"),
    ],
)
def test_a_reason_is_one_line_without_the_statement(error: Exception, told: str) -> None:
    assert reason_of(error) == told


def test_a_driver_that_cannot_go_on_after_its_server_was_killed_means_that_the_database_is_away() -> None:
    bare = asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")
    assert is_away(bare)
    assert isinstance(bare, DATABASE_ERRORS)
    driver = Exception("the driver's own, as SQLAlchemy raises it")
    driver.__cause__ = bare
    assert is_away(DBAPIError("SELECT 1", {}, driver))
    driver.__cause__ = None
    assert not is_away(DBAPIError("SELECT 1", {}, driver))
