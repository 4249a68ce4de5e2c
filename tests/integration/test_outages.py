"""The network to RabbitMQ or PostgreSQL breaks: nothing is lost, nothing acknowledged that was not committed, order is kept."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from support.engines import AMQP_URL, broker_for, database_for, postgresql_database
from support.lines import EXCHANGE, FACTS, FACTS_TOPOLOGY, TOPOLOGY, WORK, Notebook, eventually, fact, outgoing
from support.proxy import Proxy, proxy_to
from support.rabbit import Rabbit

from backbone import broker_rabbitmq, event_log
from backbone.broker import Broker, Delivery, Outgoing
from backbone.broker_rabbitmq import RabbitBroker, remove_prefixed
from backbone.clock import SystemClock
from backbone.consumer import consume_envelopes
from backbone.database import Database
from backbone.errors import BrokerUnavailableError
from backbone.migrations import migrate
from backbone.rabbit_consumer import KILLS_SENTENCE, SUSPECT_DELIVERIES, losses_told
from backbone.relay import Relay
from backbone.settings import Settings
from contracts import envelope as wire
from contracts.envelope import Envelope
from contracts.topology import FACTS_EXCHANGE


@pytest.fixture
async def rabbit(tmp_path):
    async with broker_for("rabbitmq", tmp_path, TOPOLOGY):  # skips where there is no server
        pass
    async with Rabbit(TOPOLOGY) as rabbit:
        await rabbit.broker.declare(TOPOLOGY)
        yield rabbit


@pytest.mark.broker
async def test_a_connection_that_breaks_while_messages_are_handled_loses_none(rabbit):
    ids = [f"m{number:03}" for number in range(120)]
    await rabbit.broker.publish(EXCHANGE, outgoing(*ids))
    handled: list[str] = []

    async def handle(delivery):
        handled.append(delivery.message_id)
        if len(handled) in (30, 80):
            rabbit.proxy.cut()
        await asyncio.sleep(0.001)

    await rabbit.broker.consume(WORK, handle)
    await eventually(lambda: set(handled) == set(ids), seconds=40)
    assert rabbit.proxy.accepted >= 3
    first_seen = list(dict.fromkeys(handled))
    assert first_seen == ids, "a redelivery may repeat messages, but not reorder them"
    await eventually(lambda: _is_empty(rabbit.broker, "work"))


async def _is_empty(broker: Broker, queue: str) -> bool:
    return await broker.depth(queue) == 0


@pytest.mark.broker
async def test_publishing_without_a_network_fails_and_works_again_after_it(rabbit):
    rabbit.proxy.shut()
    with pytest.raises(BrokerUnavailableError):
        await rabbit.broker.publish(EXCHANGE, outgoing("a"))
    with pytest.raises(BrokerUnavailableError):
        await rabbit.broker.publish(EXCHANGE, outgoing("a"))
    assert "RabbitMQ" in rabbit.broker.complaints()[0]
    rabbit.proxy.reopen()
    await rabbit.broker.publish(EXCHANGE, outgoing("b"))
    assert rabbit.broker.complaints() == []
    notebook = Notebook()
    await rabbit.broker.consume(WORK, notebook)
    await eventually(lambda: "b" in notebook.ids)


@pytest.mark.broker
async def test_what_was_confirmed_before_the_connection_broke_is_there(rabbit):
    confirmed: list[str] = []
    cutting = asyncio.create_task(_cut_often(rabbit.proxy))
    for number in range(60):
        group = [f"m{number}-{one}" for one in range(20)]
        try:
            await rabbit.broker.publish(EXCHANGE, outgoing(*group))
        except BrokerUnavailableError:
            continue
        confirmed += group
        await asyncio.sleep(0.005)
    cutting.cancel()
    assert confirmed
    notebook = Notebook()
    await rabbit.broker.consume(WORK, notebook)
    await eventually(lambda: set(confirmed) <= set(notebook.ids))


@pytest.mark.broker
async def test_a_broker_that_lost_its_data_gets_its_queues_anew_from_a_process_that_runs(rabbit):
    notebook = Notebook()
    await rabbit.broker.consume(WORK, notebook)
    await rabbit.broker.publish(EXCHANGE, outgoing("a"))
    await eventually(lambda: "a" in notebook.ids)
    await remove_prefixed(AMQP_URL, rabbit.prefix, TOPOLOGY)
    await eventually(lambda: _complaint_of(rabbit.broker, "is gone"))
    await eventually(lambda: rabbit.broker.complaints() == [])
    await rabbit.broker.publish(EXCHANGE, outgoing("b"))
    await eventually(lambda: "b" in notebook.ids)
    for queue in TOPOLOGY.queues:
        assert await rabbit.broker.depth(queue.dead_letters) == 0, "the queues beside it are there as well"


def _complaint_of(broker: RabbitBroker, words: str) -> bool:
    return words in " ".join(broker.complaints())


class LostConnection:
    """A connection that is lost while a channel is opened on it: the library cancels whoever waits for that."""

    is_closed = False
    connected = asyncio.Event()

    async def channel(self, **_: object) -> None:
        """Wait for the broker's answer in vain."""
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    async def close(self) -> None:
        """It is lost."""


async def test_a_connection_that_is_lost_while_a_channel_opens_ends_nobody(tmp_path):
    """The relay, whose only complaint that would be, goes on; who is ended by us does end."""
    broker = RabbitBroker("amqp://guest:guest@127.0.0.1:1/")
    lost: Any = LostConnection()
    lost.connected.set()
    broker._connection = lost
    for work in (
        broker.publish(EXCHANGE, outgoing("m1")),
        broker.depth("work"),
        broker.dead_letters("work", 1),
        broker.requeue("work"),
    ):
        with pytest.raises(BrokerUnavailableError):
            await work
    async with database_for("sqlite", tmp_path, "ingest") as database:
        async with database.transaction() as connection:
            await event_log.append(connection, "x/1", 0, [fact("f1")])
        relay, stop = Relay(database, broker, SystemClock()), asyncio.Event()
        running = asyncio.create_task(relay.run(stop))
        await eventually(lambda: _complains(relay))
        assert not running.done()
        stop.set()
        await running
    hanging = asyncio.create_task(_hangs())
    await asyncio.sleep(0)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging


@losses_told()
async def _hangs() -> None:
    await asyncio.Event().wait()


@pytest.mark.broker
async def test_what_stands_behind_a_message_that_kills_its_process_does_not_share_its_fate(rabbit):
    """Process after process dies over the second message until it is a dead letter; the others are handled, in their order."""
    await rabbit.broker.publish(EXCHANGE, outgoing("m1", "poison", "m2", "m3"))
    handled: list[str] = []
    deaths = 0
    while not (letters := await rabbit.broker.dead_letters("work", 10)):
        over_poison = asyncio.Event()

        async def handle(delivery: Delivery, over_poison: asyncio.Event = over_poison) -> None:
            if delivery.message_id == "poison":
                over_poison.set()
                await asyncio.Event().wait()
            handled.append(delivery.message_id)

        process = RabbitBroker(AMQP_URL, prefix=rabbit.prefix)
        consumer = await process.consume(WORK, handle)
        with suppress(TimeoutError):
            await asyncio.wait_for(over_poison.wait(), 6)
        if not over_poison.is_set():
            await process.close()
            continue
        consumer._task.cancel()  # it dies: nothing is handled or acknowledged any more, and the connection is lost
        await process._leave_connection()
        deaths += 1
    assert handled == ["m1", "m2", "m3"]
    assert [(each.message_id, each.code, each.sentence) for each in letters] == [("poison", "delivery_limit", KILLS_SENTENCE)]
    assert deaths == SUSPECT_DELIVERIES * (1 + len(WORK.retry_delays_seconds))


async def _cut_often(proxy: Proxy) -> None:
    while True:
        await asyncio.sleep(0.05)
        proxy.cut()


@pytest.mark.broker
async def test_the_relay_waits_out_a_broker_that_is_away(tmp_path):
    async with database_for("sqlite", tmp_path, "ingest") as database, Rabbit(FACTS_TOPOLOGY) as rabbit:
        await rabbit.broker.declare(FACTS_TOPOLOGY)
        notebook = Notebook()
        await rabbit.broker.consume(FACTS, notebook)
        relay = Relay(database, rabbit.broker, SystemClock())
        stop = asyncio.Event()
        running = asyncio.create_task(relay.run(stop))
        rabbit.proxy.shut()
        facts = [fact(f"f{number}") for number in range(5)]
        async with database.transaction() as connection:
            await event_log.append(connection, "x/1", 0, facts)
        relay.wake()
        await eventually(lambda: _complains(relay))
        assert notebook.seen == []
        rabbit.proxy.reopen()
        await eventually(lambda: len(set(notebook.ids)) == 5)
        assert list(dict.fromkeys(notebook.ids)) == [one.id for one in facts]
        await eventually(lambda: _is_content(relay))
        stop.set()
        await asyncio.wait_for(running, 60)


@pytest.mark.broker
async def test_a_relay_that_is_cut_off_from_the_broker_lets_another_process_publish(tmp_path):
    async with database_for("sqlite", tmp_path, "ingest") as database, Rabbit(FACTS_TOPOLOGY) as rabbit:
        reached = RabbitBroker(AMQP_URL, prefix=rabbit.prefix)
        await reached.declare(FACTS_TOPOLOGY)
        notebook = Notebook()
        await reached.consume(FACTS, notebook)
        rabbit.proxy.shut()
        relays = [Relay(database, broker, SystemClock()) for broker in (rabbit.broker, reached)]
        stop = asyncio.Event()
        only = fact("f")
        async with database.transaction() as connection:
            await event_log.append(connection, "x/1", 0, [only])
        running = [asyncio.create_task(relays[0].run(stop))]
        await eventually(lambda: _complains(relays[0]))
        running.append(asyncio.create_task(relays[1].run(stop)))
        await eventually(lambda: set(notebook.ids) == {only.id})
        stop.set()
        await asyncio.gather(*running)
        await reached.close()


async def _complains(relay: Relay) -> bool:
    return "wait to be published" in (await relay.ready() or "")


async def _is_content(relay: Relay) -> bool:
    return await relay.ready() is None


@pytest.mark.postgres
async def test_a_consumer_waits_out_a_database_that_is_away_and_keeps_the_order(tmp_path):
    async with postgresql_database() as url:
        address = make_url(url)
        async with (
            proxy_to(address.host or "127.0.0.1", address.port or 5432) as proxy,
            broker_for("embedded", tmp_path, FACTS_TOPOLOGY) as broker,
        ):
            through = address.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
            database = Database.open(Settings(data_dir=tmp_path, database_url=through), "ingest")
            await migrate(database, "ingest")
            async with database.transaction() as connection:
                await connection.execute(sa.text("CREATE TABLE effects (number serial, name text)"))
            facts = [fact(f"f{number}") for number in range(30)]

            async def handle(connection, _envelope, message):
                await connection.execute(sa.text("INSERT INTO effects (name) VALUES (:name)"), {"name": message.reason})
                if message.reason in to_break:
                    to_break.remove(message.reason)
                    proxy.shut()
                    asyncio.get_running_loop().call_later(0.5, proxy.reopen)

            to_break = {"f7", "f21"}

            async def names() -> list[str]:
                async with database.reading() as connection:
                    return list(await connection.scalars(sa.text("SELECT name FROM effects ORDER BY number")))

            await broker.publish(FACTS_EXCHANGE, [_published(one) for one in facts])
            consumer = await consume_envelopes(database, broker, FACTS, "tester", handle)
            await eventually(lambda: "does not answer" in " ".join(broker.complaints()))
            await eventually(lambda: _is_empty(broker, "facts"), seconds=40)
            assert await names() == [f"f{number}" for number in range(30)]
            assert await broker.depth("facts.dead") == 0
            await consumer.close()
            await database.close()


@pytest.mark.postgres
async def test_a_slow_database_makes_a_line_slow_and_changes_nothing_else(tmp_path):
    async with postgresql_database() as url:
        address = make_url(url)
        async with (
            proxy_to(address.host or "127.0.0.1", address.port or 5432) as proxy,
            broker_for("embedded", tmp_path, FACTS_TOPOLOGY) as broker,
        ):
            through = address.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
            database = Database.open(Settings(data_dir=tmp_path, database_url=through), "ingest")
            await migrate(database, "ingest")
            async with database.transaction() as connection:
                await connection.execute(sa.text("CREATE TABLE effects (number serial, name text)"))
            proxy.delay_seconds = 0.03

            async def handle(connection, _envelope, message):
                await connection.execute(sa.text("INSERT INTO effects (name) VALUES (:name)"), {"name": message.reason})

            facts = [fact(f"f{number}") for number in range(8)]
            await broker.publish(FACTS_EXCHANGE, [_published(one) for one in (*facts, *facts)])
            consumer = await consume_envelopes(database, broker, FACTS, "tester", handle)
            await eventually(lambda: _is_empty(broker, "facts"), seconds=40)
            async with database.reading() as connection:
                names = list(await connection.scalars(sa.text("SELECT name FROM effects ORDER BY number")))
            assert names == [f"f{number}" for number in range(8)]
            assert (await broker.depth("facts.dead"), broker.complaints()) == (0, [])
            await consumer.close()
            await database.close()


def _published(envelope: Envelope) -> Outgoing:
    return Outgoing("exact.connection.changed.0", wire.encode(envelope), envelope.id)


async def test_a_server_that_takes_the_connection_and_says_nothing_did_not_answer_in_time(monkeypatch):
    monkeypatch.setattr(broker_rabbitmq, "TIMEOUT_SECONDS", 0.2)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    host, port = silent.sockets[0].getsockname()
    broker = RabbitBroker(f"amqp://guest:guest@{host}:{port}/")
    with pytest.raises(BrokerUnavailableError, match=r"RabbitMQ cannot be reached: no answer in time\."):
        await broker.connection()
    await broker.close()
    silent.close()
