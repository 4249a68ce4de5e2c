"""The console on both databases: messages in, what people see out."""

import asyncio
import socket
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from support.engines import DATABASES, database_for
from support.facts import SITE, customer, invoice
from typer.testing import CliRunner

from backbone.configuration import Configuration
from backbone.settings import Settings
from console import answers, queries
from console.answers import Filters, UnusableError
from console.api import router
from console.cli import app
from console.projection import Projection
from console.sentences import describe, untranslated
from contracts import facts
from contracts.envelope import seal

CONFIGURATION = Configuration.model_validate({"version": 1, "sites": {SITE: {"time_zone": "Europe/Amsterdam"}}, "divisions": {}})
DOCUMENT = facts.DocumentRef(
    site=SITE,
    kind="invoice",
    number="INV-1",
    customer_id="CUST1",
    currency="EUR",
    total_minor=12_100,
    document_date=date(2026, 10, 5),
)
PLANNED = facts.DocumentPlanned(document=DOCUMENT, division=100001, command_id="c", mapping_version="m", explanation=("by rule",))
HELD = facts.DocumentHeld(document=DOCUMENT, code="no_revenue_account", sentence="No rule.", action="Add one.")
POSTED = facts.EntryPosted(
    division=100001, command_id="c", document=DOCUMENT, entry_id="e", entry_number=26700001, journal="70", your_ref="INV-1"
)


class Stage:
    """A projection and the minutes that go by."""

    def __init__(self, database):
        self.database = database
        self.projection = Projection(database, CONFIGURATION)
        self.minute = 0

    async def hear(self, *messages, minute=None):
        for message in messages:
            self.minute = self.minute + 1 if minute is None else minute
            time = datetime(2026, 10, 5, 10, self.minute, tzinfo=UTC)
            sealed = seal(message, source="test", subject="s", key="k", time=time, distinguisher=f"{self.minute}{message.TYPE}")
            async with self.database.transaction() as connection:
                await self.projection.handle(connection, sealed, message)

    async def state(self, number="INV-1"):
        async with self.database.reading() as connection:
            return [(row["state"], row["code"], row["entry_number"]) for row in await queries.life_of(connection, number)]


@pytest.fixture(params=DATABASES)
async def stage(request, tmp_path: Path):
    async with database_for(request.param, tmp_path, "console") as database:
        yield Stage(database)


async def test_a_document_goes_from_received_to_booked(stage):
    await stage.hear(customer(), invoice())
    assert await stage.state() == [("received", "", None)]
    await stage.hear(PLANNED)
    assert await stage.state() == [("planned", "", None)]
    await stage.hear(POSTED)
    assert await stage.state() == [("booked", "", 26700001)]


async def test_an_entry_in_exact_outranks_an_older_plan_that_comes_late(stage):
    await stage.hear(POSTED, minute=5)
    await stage.hear(PLANNED, minute=2)
    await stage.hear(HELD, minute=1)
    assert await stage.state() == [("booked", "", 26700001)]


async def test_a_hold_shows_its_reason_and_is_counted_and_found_by_it(stage):
    await stage.hear(invoice(), HELD, invoice("INV-2"))
    async with stage.database.reading() as connection:
        counts = await queries.summary(connection)
        [held] = await queries.documents(connection, code="no_revenue_account")
        assert await queries.documents(connection, kind="refund") == []
    assert counts["states"] == {"held": 1, "received": 1}
    assert counts["reasons"] == [{"state": "held", "code": "no_revenue_account", "count": 1}]
    assert (held["number"], held["action"]) == ("INV-1", "Add one.")


async def test_the_life_of_a_document_is_told_in_both_languages_without_addresses(stage):
    await stage.hear(customer(), invoice(), PLANNED, POSTED)
    async with stage.database.reading() as connection:
        [row] = await queries.life_of(connection, "INV-1")
    english = [describe(step["type"], step["details"], "en") for step in row["timeline"]]
    dutch = [describe(step["type"], step["details"], "nl") for step in row["timeline"]]
    assert english[-1] == "Booked in Exact: entry 26700001 in journal 70."
    assert dutch[-1] == "Geboekt in Exact: boekstuk 26700001 in dagboek 70."
    assert "Kerkstraat" not in str(row)


def test_everything_can_be_said_in_both_languages():
    assert untranslated() == []


async def test_nobody_gets_in_without_the_token(stage):
    await stage.hear(invoice())
    for token, status in ((None, 401), (SecretStr("right"), 200)):
        site = FastAPI()
        site.include_router(router(stage.database, token))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://console") as client:
            assert (await client.get("/summary")).status_code == 401
            assert (await client.get("/summary", headers={"Authorization": "Bearer wrong"})).status_code == 401
            assert (await client.get("/documents", headers={"Authorization": "Bearer right"})).status_code == status
            if status == 200:
                assert (await client.get("/documents/NONE", headers={"Authorization": "Bearer right"})).status_code == 404


async def test_a_receipt_that_was_not_recorded_is_counted_and_found_by_its_reason(stage):
    await stage.hear(
        invoice("INV-2"), POSTED, facts.PaymentNotRecorded(document=DOCUMENT, code="voided", sentence="Voided there.")
    )
    async with stage.database.reading() as connection:
        assert (await queries.summary(connection))["receipts"] == {"voided": 1}
        [row] = await queries.documents(connection, receipt="voided")
    assert (row["state"], row["receipt_sentence"]) == ("booked", "Voided there.")


DEMO = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"


def run(*arguments: str, **environment: str):
    return CliRunner().invoke(app, arguments, env=environment)


def test_status_and_trace_on_a_new_installation(tmp_path: Path):
    place = {"KRUISPOST_DATA_DIR": str(tmp_path), "KRUISPOST_DATABASE_URL": "", "KRUISPOST_AMQP_URL": ""}
    assert run("migrate", **place).exit_code == 0
    status = run("status", "--json", **place)
    assert (status.exit_code, '"states": {}' in status.output) == (0, True)
    assert run("trace", "INV-1", **place).exit_code == 1


def test_a_question_to_nothing_makes_nothing(tmp_path: Path):
    place = {"KRUISPOST_DATA_DIR": str(tmp_path / "data"), "KRUISPOST_DATABASE_URL": "", "KRUISPOST_AMQP_URL": ""}
    with pytest.raises(UnusableError, match="There is no installation here"):
        answers.life_of(Settings(data_dir=tmp_path / "data", database_url=None), None, "INV-1")
    assert run("status", **place).exit_code != 0
    run("doctor", KRUISPOST_EXACT_URL="http://127.0.0.1:9", KRUISPOST_CONFIG=str(tmp_path / "absent.yaml"), **place)
    assert list(tmp_path.iterdir()) == []


@asynccontextmanager
async def listening(stage, token: str):
    """Serve the console's routes on a real socket."""
    site = FastAPI()
    site.include_router(router(stage.database, SecretStr(token)))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(site, log_level="warning", lifespan="off", ws="none"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def test_status_and_trace_of_a_console_elsewhere(stage):
    await stage.hear(invoice("2026/00 1"), invoice(), HELD)
    filters = Filters(state="held", kind=None, code=None, receipt=None, limit=5)
    right, wrong = Settings(admin_token=SecretStr("right")), Settings(admin_token=SecretStr("wrong"))
    async with listening(stage, "right") as url:
        counts, held = await asyncio.to_thread(answers.status, right, url, filters)
        assert counts["states"] == {"held": 1, "received": 1}
        assert [row["number"] for row in held] == ["INV-1"]
        [row] = await asyncio.to_thread(answers.life_of, right, url, "2026/00 1")
        assert row["timeline"][0]["type"] == "chargebee.invoice.observed"
        assert await asyncio.to_thread(answers.life_of, right, url, "NONE") == []
        with pytest.raises(UnusableError, match="KRUISPOST_ADMIN_TOKEN"):
            await asyncio.to_thread(answers.status, wrong, url, filters)
        with pytest.raises(UnusableError, match="KRUISPOST_CONSOLE_URL"):
            await asyncio.to_thread(answers.life_of, right, f"{url}/elsewhere", "INV-1")
        told = await asyncio.to_thread(
            run, "trace", "INV-1", "--lang", "nl", KRUISPOST_CONSOLE_URL=url, KRUISPOST_ADMIN_TOKEN="right"
        )
        assert told.exit_code == 0
        assert "Vastgehouden: No rule. Wat te doen: Add one." in told.output
        asked = await asyncio.to_thread(run, "status", "--json", KRUISPOST_CONSOLE_URL=url, KRUISPOST_ADMIN_TOKEN="right")
        assert (asked.exit_code, '"code": "no_revenue_account"' in asked.output) == (1, True)
    with pytest.raises(UnusableError, match="does not answer"):
        await asyncio.to_thread(answers.status, right, url, filters)


def test_the_topology_and_the_schema_are_printed():
    assert "exact-writer.100001" in run("topology", "--json", KRUISPOST_CONFIG=str(DEMO)).output
    assert '"revenue"' in run("config-schema").output


def test_the_doctor_names_what_is_missing_and_writes_nothing(tmp_path: Path):
    place = {
        "KRUISPOST_CONFIG": str(tmp_path / "absent.yaml"),
        "KRUISPOST_DATA_DIR": str(tmp_path / "data"),
        "KRUISPOST_EXACT_URL": "http://127.0.0.1:9",
        "KRUISPOST_DATABASE_URL": "",
        "KRUISPOST_AMQP_URL": "",
    }
    found = run("doctor", "--json", **place)
    assert found.exit_code == 1
    for subject in ("configuration", "KRUISPOST_WEBHOOK_PASSWORD", "Exact"):
        assert f'"subject": "{subject}"' in found.output
