"""The console on both databases: messages in, what people see out."""

import asyncio
import socket
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from support.console_stage import DOCUMENT, HELD, PLANNED, POSTED, Stage
from support.engines import DATABASES, database_for
from support.facts import SITE, customer, invoice
from typer.testing import CliRunner

from backbone.settings import Settings
from console import answers, queries
from console.answers import Filters, UnusableError
from console.api import router
from console.cli import app
from console.moves import Span
from console.sentences import describe, untranslated
from contracts import bank_lines, facts, parcels
from contracts.messages import MESSAGES


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


async def test_a_token_that_is_empty_opens_nothing(stage):
    site = FastAPI()
    site.include_router(router(stage.database, SecretStr("")))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://console") as client:
        assert (await client.get("/summary", headers={"Authorization": "Bearer "})).status_code == 401


async def test_filters_over_http_list_what_fits_and_refuse_what_does_not_exist(stage):
    await stage.hear(invoice(), invoice("INV-2"), invoice("INV-3", customer_id="CUST2"), HELD)
    site = FastAPI()
    site.include_router(router(stage.database, SecretStr("right")))
    headers = {"Authorization": "Bearer right"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://console", headers=headers) as client:
        for filters, numbers in (
            ({}, ["INV-1", "INV-3", "INV-2"]),  # the last changed first
            ({"limit": 1}, ["INV-1"]),
            ({"state": "held"}, ["INV-1"]),
            ({"code": "no_revenue_account", "kind": "invoice"}, ["INV-1"]),
            ({"customer": "CUST2"}, ["INV-3"]),
            ({"customer": "CUST2", "state": "held"}, []),
        ):
            answer = await client.get("/documents", params=filters)
            assert [row["number"] for row in answer.json()["documents"]] == numbers
        for wrong in ({"state": "hold"}, {"kind": "bill"}, {"limit": 0}):
            assert (await client.get("/documents", params=wrong)).status_code == 422
        [row] = (await client.get("/documents/INV-1")).json()["documents"]
        assert row["updated_at"] == "2026-10-05T10:04:00+00:00"
        assert row["document_date"] == "2026-10-05"
        assert [step["time"] for step in row["timeline"]] == ["2026-10-05T10:01:00+00:00", "2026-10-05T10:04:00+00:00"]


async def test_a_reversal_is_counted_apart_and_found_by_what_exact_shows(stage):
    reversal = msgspec.structs.replace(DOCUMENT, suffix="R")
    await stage.hear(invoice(), PLANNED, POSTED)
    await stage.hear(facts.DocumentHeld(document=reversal, code="period_closed", sentence="Closed.", action="Open it."))
    async with stage.database.reading() as connection:
        counts = await queries.summary(connection)
        assert [row["suffix"] for row in await queries.life_of(connection, "INV-1")] == ["", "R"]
        assert [row["suffix"] for row in await queries.life_of(connection, "INV-1/R")] == ["R"]
        assert await queries.life_of(connection, "INV-1/") == []
    assert (counts["states"], counts["reversals"]) == ({"booked": 1}, {"held": 1})


async def test_a_number_used_again_is_another_document_and_a_corrected_state_is_none(stage):
    for suffix in ("R", "2", "#2", "#2/R"):
        booked = msgspec.structs.replace(POSTED, document=msgspec.structs.replace(DOCUMENT, suffix=suffix))
        await stage.hear(booked)
    await stage.hear(invoice(), PLANNED, POSTED)
    async with stage.database.reading() as connection:
        counts = await queries.summary(connection)
        assert [row["suffix"] for row in await queries.life_of(connection, "INV-1#2")] == ["#2"]
    assert (counts["states"], counts["reversals"]) == ({"booked": 2}, {"booked": 3})


async def test_a_life_includes_what_became_of_the_customer_and_nobody_elses(stage):
    for customer_id in ("CUST1", "CUST2"):
        refused = facts.AccountRefused(
            division=100001, customer_ref=f"{SITE}/{customer_id}", code="refused", message=f"no {customer_id}"
        )
        await stage.hear(refused)
    await stage.hear(invoice())
    async with stage.database.reading() as connection:
        [row] = await queries.life_of(connection, "INV-1")
    told = [describe(step["type"], step["details"]) for step in row["timeline"]]
    assert told == ["Exact refused the customer: no CUST1", "Chargebee showed it (test, status payment_due)."]


async def test_the_newest_word_about_a_connection_counts(stage):
    await stage.hear(
        facts.ConnectionChanged(division=100001, state="connected", reason="Exact answers", reason_nl="Exact antwoordt"), minute=7
    )
    await stage.hear(facts.ConnectionChanged(division=100001, state="blocked", reason="403"), minute=3)
    async with stage.database.reading() as connection:
        [told] = (await queries.summary(connection))["connections"]
    assert told == {
        "division": 100001,
        "state": "connected",
        "reason": "Exact answers",
        "reason_nl": "Exact antwoordt",
        "since": "2026-10-05T10:07:00+00:00",
    }


async def test_a_hold_that_passes_by_itself_is_told_as_waiting(stage):
    await stage.hear(
        facts.DocumentHeld(document=DOCUMENT, code="waiting_for_customer", sentence="Later.", action="Wait.", waiting=True)
    )
    async with stage.database.reading() as connection:
        [row] = await queries.life_of(connection, "INV-1")
    [step] = row["timeline"]
    assert (row["state"], describe(step["type"], step["details"])) == ("waiting", "Waiting: Later.")


@pytest.mark.parametrize("language", ["en", "nl"])
def test_every_message_in_a_timeline_has_a_sentence(language):
    # These stand in no document's timeline; what became of a bank line is shown by `kruispost matches`.
    of_bank_lines = {bank_lines.BankLineObserved, bank_lines.BankLineDecided}
    excess = {bank_lines.ExcessRecorded, bank_lines.ExcessNotRecorded}
    silent = {facts.PeriodObserved, facts.ConnectionChanged, parcels.ChangeHinted, *of_bank_lines, *excess}
    for kind in MESSAGES.values():
        if kind not in silent:
            assert describe(kind.TYPE, {}, language) != kind.TYPE


async def test_a_receipt_that_was_not_recorded_is_counted_and_found_by_its_reason(stage):
    await stage.hear(
        invoice("INV-2"), POSTED, facts.PaymentNotRecorded(document=DOCUMENT, code="voided", sentence="Voided there.")
    )
    async with stage.database.reading() as connection:
        assert (await queries.summary(connection))["receipts"] == {"voided": 1}
        [row] = await queries.documents(connection, receipt="voided")
    assert (row["state"], row["receipt_sentence"]) == ("booked", "Voided there.")


def run(*arguments: str, **environment: str):
    return CliRunner().invoke(app, arguments, env=environment)


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
        assert await asyncio.to_thread(answers.moved, right, url, Span(division=100001, first="2026-01", last=None)) == []
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
