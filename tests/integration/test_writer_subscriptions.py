"""Subscriptions to Exact's webhooks: made and mended by the writer, and what they bring is seen long before the next poll."""

import asyncio
import json
import socket
import time
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI
from support.engines import BROKERS, broker_for, settings_for
from support.exact_server import DIVISION, exact_server
from support.writer_stage import CONFIGURATION, log_in, running, sale, save_account, writer_environment, writer_stage

from backbone.clock import SystemClock
from backbone.database import Database
from backbone.errors import ConfigurationError
from backbone.migrations import migrate
from backbone.tables import inbox
from backbone.telemetry import Telemetry
from console.doctor import Look, examine
from contracts import facts
from contracts.topology import topology
from exact_writer import subscriptions
from exact_writer.polling import LISTENING_FACTOR
from exact_writer.subscriptions import ENDPOINT, NO_RIGHT, TAKEN, standing, topics_of
from exact_writer.webhooks_command import NOT_LOOKED, tell_webhooks
from ingest.exact_webhook import ExactDoor
from ingest.hints import Hints
from simulators.exact import webhooks
from simulators.exact.settings import ExactSettings

URL = "https://kruispost.example/webhooks/exact"
REDIRECT = "https://kruispost.example/oauth/callback"
POLL_SECONDS = 4.0  # of itself the writer asks ten times less often while it listens
TWO: dict[str, Any] = {"exact_webhook_url": URL, "exact_webhook_topics": "Accounts,BankEntries"}


class Answering:
    """What stands behind the address: answers every POST with a status."""

    def __init__(self, status=200):
        self.status = status

    async def __call__(self, _, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": self.status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def served(app):
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server._serve([listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listening.close()


async def until_standing(stage, states, seconds=20):
    """Wait until the topics stand so; their reasons."""
    async with asyncio.timeout(seconds):
        while True:
            async with stage.database.reading() as connection:
                found = await standing(connection, DIVISION)
            if {each["topic"]: each["state"] for each in found} == states:
                return {each["topic"]: each["reason"] for each in found}
            await asyncio.sleep(0.05)


def there(server):
    """What Exact has: topic and address."""
    rows = server.simulator.world.divisions[DIVISION].table(ENDPOINT)
    return {(row["Topic"], row["CallbackURL"]) for row in rows}


async def asked(server):
    """How often the endpoint of subscriptions was called."""
    counted = (await server.calls())["by_endpoint"]
    return {name.split()[0]: count for name, count in counted.items() if name.endswith(ENDPOINT)}


@pytest.mark.parametrize("engine", BROKERS)
async def test_a_receipt_is_seen_long_before_the_next_poll(tmp_path, engine):
    secret = ExactSettings().webhook_secret
    telemetry, clock, stop = Telemetry(), SystemClock(), asyncio.Event()
    values: dict[str, Any] = {"poll_seconds": POLL_SECONDS, **TWO}
    async with broker_for(engine, tmp_path, topology([DIVISION])) as broker:
        hints, site = Hints(broker, clock, telemetry), FastAPI()
        door = ExactDoor(hints, secret, [DIVISION], max_body_bytes=10_000, telemetry=telemetry)
        site.include_router(door.router())
        hinting = asyncio.create_task(hints.run(stop))
        async with (
            served(site) as ingress,
            exact_server(redirect_uri=REDIRECT, webhook_ingress=ingress, webhook_copies=2) as server,
            settings_for("sqlite", tmp_path, **writer_environment(server.url), **values) as settings,
        ):
            database = Database.open(settings, "exact-writer")
            await migrate(database, "exact-writer")
            await log_in(server, settings, database)
            async with running(settings, database, broker, CONFIGURATION) as stage:
                await until_standing(stage, {"Accounts": "subscribed", "BankEntries": "subscribed"})
                assert await asked(server) == {"GET": 1, "POST": 2}
                await stage.tell(save_account(), sale("INV-1"))
                await stage.until(facts.EntryPosted)
                await asyncio.sleep(POLL_SECONDS)  # so that a call is saved up
                began = time.monotonic()
                await server.control("bank-receipts", division=DIVISION, your_ref="INV-1", amount_minor=12_100)
                await stage.until(facts.ReceivableObserved, is_fully_paid=True)
                assert time.monotonic() - began < LISTENING_FACTOR * POLL_SECONDS / 2
                assert await asked(server) == {"GET": 1, "POST": 2}
                async with database.reading() as connection:
                    noted = set(await connection.scalars(sa.select(inbox.c.consumer)))
                assert noted == {f"exact-writer.{DIVISION}"}, "hints come for ever and leave no trace"
            await database.close()
        stop.set()
        await hinting


async def test_while_the_address_does_not_answer_one_call_tries_it_and_bookings_go_on_until_it_does(tmp_path, monkeypatch):
    monkeypatch.setattr(subscriptions, "FIRST_PAUSE_SECONDS", 0.3)
    behind = Answering(503)
    async with (
        served(behind) as ingress,
        exact_server(redirect_uri=REDIRECT, webhook_ingress=ingress) as server,
        writer_stage(server, tmp_path, **TWO) as stage,
    ):
        reasons = await until_standing(stage, {"Accounts": "refused", "BankEntries": "refused"})
        assert URL in reasons["Accounts"]
        tried = await asked(server)
        assert tried["POST"] <= tried["GET"], "what is wrong with the address is asked of one topic only"
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        behind.status = 201
        await until_standing(stage, {"Accounts": "subscribed", "BankEntries": "subscribed"})
        assert there(server) == {("Accounts", URL), ("BankEntries", URL)}


async def test_without_the_right_one_try_is_made_and_bookings_go_on(tmp_path):
    async with (
        exact_server(missing_scopes=("Organization administration",)) as server,
        writer_stage(server, tmp_path, **TWO) as stage,
    ):
        reasons = await until_standing(stage, {"Accounts": "refused", "BankEntries": "refused"})
        assert {*reasons.values()} == {NO_RIGHT}
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        assert await stage.complaints() == []
        assert await asked(server) == {"GET": 1}


async def test_an_old_address_and_a_topic_left_out_are_deleted_and_what_others_have_stays(tmp_path):
    other = ("5b1f0e2c-0002-4000-8000-000000000002", "andere-app")
    async with served(Answering()) as ingress, exact_server(webhook_ingress=ingress, more_clients=(other,)) as server:
        division, theirs = server.simulator.world.divisions[DIVISION], "https://anders.example/hook"
        old: dict[str, Any] = {
            "exact_webhook_url": "https://vroeger.example/webhooks/exact",
            "exact_webhook_topics": "BankEntries,GLAccounts",
        }
        async with writer_stage(server, tmp_path / "old", **old) as stage:
            await until_standing(stage, {"BankEntries": "subscribed", "GLAccounts": "subscribed"})
        await webhooks.subscribe(division, {"Topic": "Accounts", "CallbackURL": theirs}, other[0])
        async with writer_stage(server, tmp_path / "new", **TWO) as stage:
            reasons = await until_standing(stage, {"Accounts": "refused", "BankEntries": "subscribed"})
            assert reasons == {"Accounts": TAKEN, "BankEntries": ""}
        assert there(server) == {("Accounts", theirs), ("BankEntries", URL)}
        async with writer_stage(server, tmp_path / "off", exact_webhook_url=URL, exact_webhook_topics="none"):
            async with asyncio.timeout(20):
                while there(server) != {("Accounts", theirs)}:  # noqa: ASYNC110 - asked of the stand-in
                    await asyncio.sleep(0.05)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_what_exact_refuses_about_subscriptions_keeps_nothing_from_being_booked(tmp_path, method):
    refusal = {"error": {"code": "", "message": {"lang": "", "value": "Niet toegestaan"}}}
    fault = {"fault": "status", "method": method, "path_contains": ENDPOINT, "times": 99, "status": 500}
    async with served(Answering()) as ingress, exact_server(webhook_ingress=ingress) as server:
        division, client = server.simulator.world.divisions[DIVISION], server.simulator.settings.client_id
        await webhooks.subscribe(division, {"Topic": "Accounts", "CallbackURL": "https://vroeger.example/hook"}, client)
        await server.control("faults", **fault, body=json.dumps(refusal))
        async with writer_stage(server, tmp_path, **TWO) as stage:
            refused = {"Accounts": "refused", "BankEntries": "refused" if method == "GET" else "subscribed"}
            reasons = await until_standing(stage, refused)
            assert reasons["Accounts"] == TAKEN or "Niet toegestaan" in reasons["Accounts"]
            await stage.tell(save_account(), sale("INV-1"))
            await stage.until(facts.EntryPosted)
            assert await stage.complaints() == []


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("fault", ["lose_answer", "drop_before"])
async def test_a_lost_answer_about_a_subscription_leaves_each_topic_subscribed_once(tmp_path, monkeypatch, fault, method):
    """All that is subscribed is looked at again before anything is made or deleted."""
    monkeypatch.setattr(subscriptions, "FIRST_PAUSE_SECONDS", 0.3)
    async with served(Answering()) as ingress, exact_server(webhook_ingress=ingress) as server:
        division, client = server.simulator.world.divisions[DIVISION], server.simulator.settings.client_id
        await webhooks.subscribe(division, {"Topic": "Accounts", "CallbackURL": "https://vroeger.example/hook"}, client)
        await server.fault(fault, method=method, path_contains=ENDPOINT)
        async with writer_stage(server, tmp_path, **TWO) as stage:
            await until_standing(stage, {"Accounts": "subscribed", "BankEntries": "subscribed"})
        assert sorted((row["Topic"], row["CallbackURL"]) for row in division.table(ENDPOINT)) == [
            ("Accounts", URL),
            ("BankEntries", URL),
        ]


async def test_a_client_id_in_braces_as_exact_shows_it_is_the_same_app(tmp_path):
    braced = "{" + ExactSettings().client_id.upper() + "}"
    more: dict[str, Any] = {"exact_client_id": braced, "exact_webhook_url": URL, "exact_webhook_topics": "BankEntries"}
    async with (
        served(Answering()) as ingress,
        exact_server(webhook_ingress=ingress, client_id=braced) as server,
    ):
        await webhooks.subscribe(server.simulator.world.divisions[DIVISION], {"Topic": "BankEntries", "CallbackURL": URL}, braced)
        async with writer_stage(server, tmp_path, **more) as stage:
            await until_standing(stage, {"BankEntries": "subscribed"})
            assert await asked(server) == {"GET": 1}


def test_topics_that_nothing_hangs_on_are_named():
    assert topics_of(" BankEntries, Accounts,") == ("Accounts", "BankEntries")
    assert topics_of("none") == ()
    for setting in ("Receivables", "none,Accounts", ","):
        with pytest.raises(ConfigurationError, match="KRUISPOST_EXACT_WEBHOOK_TOPICS"):
            topics_of(setting)


async def test_the_command_says_how_each_topic_stands_without_a_call(tmp_path, monkeypatch, capsys):
    async with (
        served(Answering()) as ingress,
        exact_server(webhook_ingress=ingress) as server,
        writer_stage(server, tmp_path, exact_webhook_url=URL, exact_webhook_topics="BankEntries") as stage,
    ):
        await until_standing(stage, {"BankEntries": "subscribed"})
    configuration = tmp_path / "kruispost.yaml"
    configuration.write_text(CONFIGURATION.model_dump_json(exclude_defaults=True), encoding="utf-8")
    for name, value in {"CONFIG": configuration, "DATA_DIR": tmp_path, "EXACT_WEBHOOK_URL": URL}.items():
        monkeypatch.setenv(f"KRUISPOST_{name}", str(value))
    monkeypatch.setenv("KRUISPOST_EXACT_WEBHOOK_TOPICS", "BankEntries")
    assert await asyncio.to_thread(tell_webhooks, as_json=False)
    assert "100002 BankEntries            subscribed, last heard" in capsys.readouterr().out
    assert await examined() == {"webhooks of Exact": (True, "every topic is subscribed")}
    monkeypatch.setenv("KRUISPOST_EXACT_WEBHOOK_TOPICS", "BankEntries,GLAccounts")
    assert not await asyncio.to_thread(tell_webhooks, as_json=True)
    told = {each["topic"]: each["state"] for each in json.loads(capsys.readouterr().out)["topics"]}
    assert told == {"BankEntries": "subscribed", "GLAccounts": "not_subscribed"}
    assert await examined() == {"webhooks of division 100002": (False, f"GLAccounts: not subscribed. {NOT_LOOKED}")}
    monkeypatch.delenv("KRUISPOST_EXACT_WEBHOOK_URL")
    assert await examined() == {}


async def examined() -> dict[str, tuple[bool, str]]:
    """What `kruispost doctor` says of webhooks."""
    findings = await examine(Look(live=False))
    return {each.subject: (each.is_well, each.sentence) for each in findings if "webhooks" in each.subject}
