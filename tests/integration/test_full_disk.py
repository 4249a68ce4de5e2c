"""The disk is full, as SQLite itself says it: nobody is told that something is stored, nothing is lost, and all goes on later."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from support.engines import broker_for, database_for
from support.ingest_stage import ingest_stage, invoice, webhook
from support.lines import FACTS, FACTS_TOPOLOGY, Notebook, eventually, fact

from backbone import event_log
from backbone.broker import Outgoing
from backbone.broker_embedded import EmbeddedBroker
from backbone.clock import SystemClock
from backbone.consumer import consume_envelopes
from backbone.database import Database
from backbone.errors import BrokerUnavailableError
from backbone.relay import Relay
from contracts import envelope as wire
from contracts.topology import FACTS_EXCHANGE

MUCH = "x" * 20_000
PLENTY_PAGES = 1_000_000


async def give_room(database: Database, pages: int) -> None:
    """Let the file have so many pages more than now; none means that the disk is full."""
    async with database.transaction() as connection:
        now = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {now + pages}")


async def give_broker_room(broker: EmbeddedBroker, pages: int) -> None:
    """The same for the file of the embedded broker."""

    def give(connection):
        (now,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {now + pages}")

    await broker.run(give)


async def test_the_door_answers_503_and_takes_the_webhook_when_there_is_room(tmp_path):
    async with ingest_stage("sqlite", tmp_path) as stage:
        await stage.accept(webhook("ev_0", invoice=invoice("INV-0", 1)))
        await give_room(stage.database, 0)
        bodies = [webhook(f"ev_{number}", invoice=invoice(f"INV-{number}", 1, note=MUCH)) for number in range(1, 4)]
        refused = [await stage.post(body) for body in bodies]
        assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(503, "store_unavailable")}
        await give_room(stage.database, PLENTY_PAGES)
        await stage.accept(*bodies)
        assert len(await stage.stored()) == 4


async def test_a_consumer_waits_and_goes_on_in_order(tmp_path):
    async with (
        broker_for("embedded", tmp_path, FACTS_TOPOLOGY) as broker,
        database_for("sqlite", tmp_path, "ingest") as database,
    ):
        async with database.transaction() as connection:
            await connection.execute(sa.text("CREATE TABLE effects (name text, body text)"))
        await give_room(database, 0)

        async def handle(connection, _envelope, message):
            await connection.execute(sa.text("INSERT INTO effects VALUES (:name, :body)"), {"name": message.reason, "body": MUCH})

        facts = [fact(f"f{number}") for number in range(4)]
        await broker.publish(FACTS_EXCHANGE, [Outgoing("a", wire.encode(each), each.id) for each in facts])
        consumer = await consume_envelopes(database, broker, FACTS, "test", handle)
        await eventually(broker.complaints)
        assert "does not answer" in broker.complaints()[0]
        assert await broker.depth("facts") == 4
        await give_room(database, PLENTY_PAGES)

        async def effects():
            async with database.reading() as connection:
                return [row.name for row in await connection.execute(sa.text("SELECT name FROM effects ORDER BY rowid"))]

        async def are_there():
            return len(await effects()) == 4

        await eventually(are_there)
        assert await effects() == ["f0", "f1", "f2", "f3"]
        await consumer.close()
        assert (await broker.dead_letters("facts", 10), broker.complaints()) == ([], [])


async def test_the_relay_waits_for_the_brokers_file_and_then_publishes_all(tmp_path):
    async with (
        broker_for("embedded", tmp_path, FACTS_TOPOLOGY) as broker,
        database_for("sqlite", tmp_path, "ingest") as database,
    ):
        assert isinstance(broker, EmbeddedBroker)
        await give_broker_room(broker, 0)
        with pytest.raises(BrokerUnavailableError, match="full"):
            await broker.publish(FACTS_EXCHANGE, [Outgoing("a", MUCH.encode(), "large")])
        async with database.transaction() as connection:
            for number in range(3):
                await event_log.append(connection, f"s{number}", 0, [fact(f"f{number}-{MUCH}")])
        relay, stop = Relay(database, broker, SystemClock()), asyncio.Event()
        running = asyncio.create_task(relay.run(stop))
        await eventually(relay.ready)
        assert "full" in (await relay.ready() or "")
        assert await broker.depth("facts") == 0
        await give_broker_room(broker, PLENTY_PAGES)
        notebook = Notebook()
        consumer = await broker.consume(FACTS, notebook)
        await notebook.wait_for(3)
        assert notebook.ids == [fact(f"f{number}-{MUCH}").id for number in range(3)]
        await consumer.close()
        stop.set()
        await running
