"""The relay: what is committed goes out in its order, once per commit as a rule and never less, by one process at a time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import asyncpg
import msgspec
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs
from support.engines import BROKERS, DATABASE_URL, DATABASES, broker_for, database_for
from support.lines import FACTS, FACTS_TOPOLOGY, Notebook, eventually, fact
from support.logs import note

from backbone import event_log
from backbone.broker import Outgoing
from backbone.clock import ManualClock, SystemClock
from backbone.consumer import consume_envelopes
from backbone.database import Database
from backbone.errors import OnceMore, Permanent
from backbone.relay import Relay, default_route
from backbone.telemetry import Telemetry
from contracts import envelope as wire
from contracts.commands import PostEntry
from contracts.topology import COMMANDS_EXCHANGE, FACTS_EXCHANGE, partition


@pytest.fixture(params=DATABASES)
async def database(request, tmp_path):
    async with database_for(request.param, tmp_path, "ingest") as database:
        yield database


@pytest.fixture
async def broker(tmp_path):
    async with broker_for("embedded", tmp_path, FACTS_TOPOLOGY) as broker:
        yield broker


@asynccontextmanager
async def running(*relays):
    stop = asyncio.Event()
    tasks = [asyncio.create_task(relay.run(stop)) for relay in relays]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def commit(database: Database, stream: str, names: list[str]) -> None:
    async with database.transaction() as connection:
        await event_log.append(connection, stream, 0, [fact(name) for name in names])


async def test_committed_facts_go_out_in_order_and_internal_messages_stay(database, broker):
    notebook = Notebook()
    await broker.consume(FACTS, notebook)
    relay = Relay(database, broker, SystemClock())
    await commit(database, "x/1", ["f0", "f1"])
    async with database.transaction() as connection:
        await event_log.append(connection, "raw/1", 0, [note("internal")])
    async with running(relay):
        await notebook.wait_for(2)
        await commit(database, "x/2", ["f2"])
        relay.wake()
        await notebook.wait_for(3)
    assert notebook.ids == [fact(f"f{number}").id for number in range(3)]
    assert notebook.seen[0].body == wire.encode(fact("f0"))


async def test_a_relay_that_starts_again_goes_on_after_its_checkpoint(database, broker):
    notebook = Notebook()
    await broker.consume(FACTS, notebook)
    await commit(database, "x/1", ["f0"])
    async with running(Relay(database, broker, SystemClock())):
        await notebook.wait_for(1)
    await commit(database, "x/2", ["f1"])
    async with running(Relay(database, broker, SystemClock())):
        await notebook.wait_for(2)
        await asyncio.sleep(0.4)
    assert notebook.ids == [fact("f0").id, fact("f1").id]


async def test_of_two_relays_one_publishes_and_the_other_takes_over(database, broker):
    notebook = Notebook()
    await broker.consume(FACTS, notebook)
    first, second = Relay(database, broker, SystemClock()), Relay(database, broker, SystemClock())
    async with running(second):
        async with running(first):
            await commit(database, "x/1", [f"f{number}" for number in range(20)])
            await notebook.wait_for(20)
            await asyncio.sleep(0.5)
            assert len(notebook.ids) == 20
        await commit(database, "x/2", ["last"])
        await notebook.wait_for(21)
    assert notebook.ids[-1] == fact("last").id


async def test_a_message_nobody_is_bound_to_stops_the_relay_visibly(database, broker):
    relay = Relay(database, broker, SystemClock(), routes=lambda _: ("kruispost.unknown", "no.queue"))
    await commit(database, "x/1", ["f0"])
    async with running(relay):
        await eventually(lambda: _complaint(relay))
    assert "would reach no queue" in (await relay.ready() or "")


async def _complaint(relay: Relay) -> bool:
    return await relay.ready() is not None


# Alone on the server: another test's open transaction delays every reader of a log there, as it must.
@pytest.mark.alone
async def test_a_wake_up_publishes_well_before_the_next_poll(database, broker, monkeypatch):
    monkeypatch.setattr("backbone.relay.POLL_SECONDS", 30.0)
    notebook = Notebook()
    await broker.consume(FACTS, notebook)
    relay = Relay(database, broker, SystemClock())
    async with running(relay):
        await asyncio.sleep(0.3)
        for number in range(5):
            await commit(database, f"x/{number}", [f"f{number}"])
            relay.wake()

        def all_came():
            # Another test's open transaction may delay what one wake-up finds.
            relay.wake()
            return len(notebook.seen) == 5

        await eventually(all_came, seconds=10)


# Alone on the server: another test's open transaction delays every reader of a log there, as it must.
@pytest.mark.alone
@pytest.mark.postgres
async def test_a_transaction_elsewhere_delays_a_message_by_milliseconds_and_not_until_the_next_poll(tmp_path, monkeypatch):
    monkeypatch.setattr("backbone.relay.POLL_SECONDS", 30.0)
    async with (
        database_for("postgresql", tmp_path, "ingest") as database,
        broker_for("embedded", tmp_path, FACTS_TOPOLOGY) as broker,
    ):
        notebook = Notebook()
        await broker.consume(FACTS, notebook)
        relay = Relay(database, broker, SystemClock())
        async with running(relay):
            await asyncio.sleep(0.3)
            async with database.transaction() as elsewhere:
                await elsewhere.execute(sa.text("SELECT pg_current_xact_id()"))
                await commit(database, "x/1", ["f0"])
                relay.wake()
                await asyncio.sleep(0.01)
            async with asyncio.timeout(10):
                await notebook.wait_for(1)


def test_facts_and_commands_go_to_their_exchanges_and_everything_else_nowhere():
    assert default_route(fact("a")) == (FACTS_EXCHANGE, f"exact.connection.changed.{partition('acme-test/C1')}")
    command = msgspec.structs.replace(fact("a"), type=PostEntry.TYPE, key="123456")
    assert default_route(command) == (COMMANDS_EXCHANGE, "exact.entry.post.123456")
    assert default_route(note("x")) is None


@pytest.mark.parametrize("engine", BROKERS)
async def test_a_message_delivered_twice_has_one_effect_and_keeps_its_trace(tmp_path, engine):
    telemetry = Telemetry()
    with telemetry.span("cause"):
        trace = (telemetry.current_traceparent() or "")[3:35]
        published = msgspec.structs.replace(fact("f0"), traceparent=telemetry.current_traceparent())
    seen = []
    async with (
        database_for("sqlite", tmp_path, "ingest") as database,
        broker_for(engine, tmp_path, FACTS_TOPOLOGY) as broker,
    ):

        async def handle(_connection, envelope, message):
            seen.append((envelope.id, message.reason, (telemetry.current_traceparent() or "")[3:35]))

        consumer = await consume_envelopes(database, broker, FACTS, "tester", handle, telemetry=telemetry)
        async with database.transaction() as connection:
            await event_log.append(connection, "x/1", 0, [published])
        relay = Relay(database, broker, SystemClock())
        assert await relay.publish_batch() == 1
        again = Outgoing("exact.connection.changed.0", wire.encode(published), published.id)
        await broker.publish(FACTS_EXCHANGE, [again, again])
        await eventually(lambda: b'outcome="duplicate"} 2.0' in telemetry.exposition())
        await consumer.close()
    assert seen == [(published.id, "f0", trace)]


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe", b"{}", b'{"id": 1}', wire.encode(note("x")), wire.encode(msgspec.structs.replace(fact("a"), version=99))],
    ids=["not JSON", "no envelope", "wrong types", "unknown type", "newer version"],
)
async def test_what_cannot_be_read_becomes_a_dead_letter_and_the_line_goes_on(tmp_path, body):
    handled = []
    async with (
        database_for("sqlite", tmp_path, "ingest") as database,
        broker_for("embedded", tmp_path, FACTS_TOPOLOGY) as broker,
    ):

        async def handle(_connection, envelope, _message):
            handled.append(envelope.id)

        await broker.publish(FACTS_EXCHANGE, [Outgoing("x.0", body, "bad"), Outgoing("x.0", wire.encode(fact("good")), "good")])
        consumer = await consume_envelopes(database, broker, FACTS, "tester", handle)
        await eventually(lambda: handled)
        await consumer.close()
        (letter,) = await broker.dead_letters("facts", 10)
    assert handled == [fact("good").id]
    assert (letter.message_id, letter.code) == ("bad", "unreadable_message")


@pytest.mark.parametrize("engine", BROKERS)
async def test_each_dead_letter_is_counted_from_zero_on_so_that_an_alert_sees_the_first(tmp_path, engine):
    telemetry = Telemetry("test")
    counter = 'kruispost_messages_handled_total{consumer="tester",outcome="dead"}'
    async with (
        database_for("sqlite", tmp_path, "ingest") as database,
        broker_for(engine, tmp_path, FACTS_TOPOLOGY) as broker,
    ):

        async def handle(_connection, _envelope, _message):
            raise Permanent("no", "No.")

        consumer = await consume_envelopes(database, broker, FACTS, "tester", handle, telemetry=telemetry)
        assert f"{counter} 0.0" in telemetry.exposition().decode()
        await broker.publish(FACTS_EXCHANGE, [Outgoing("x.0", wire.encode(fact("f0")), "f0"), Outgoing("x.0", b"{}", "bad")])
        await eventually(lambda: broker.depth("facts.dead"))
        await eventually(lambda: f"{counter} 2.0" in telemetry.exposition().decode())
        await consumer.close()


async def test_an_effect_of_a_handler_that_fails_is_undone(tmp_path):
    async with (
        database_for("sqlite", tmp_path, "ingest") as database,
        broker_for("embedded", tmp_path, FACTS_TOPOLOGY) as broker,
    ):

        async def handle(connection, envelope, _message):
            await event_log.append(connection, "effect/1", 0, [note(f"effect of {envelope.id}")])
            raise Permanent("no", "No.")

        await broker.publish(FACTS_EXCHANGE, [Outgoing("x.0", wire.encode(fact("f0")), "f0")])
        consumer = await consume_envelopes(database, broker, FACTS, "tester", handle)
        await eventually(lambda: broker.depth("facts.dead"))
        await consumer.close()
        async with database.reading() as connection:
            assert await event_log.stream_version(connection, "effect/1") == 0


async def test_a_handler_that_asks_for_it_is_undone_and_handles_the_message_at_once_in_another_way(tmp_path):
    async with (
        database_for("sqlite", tmp_path, "ingest") as database,
        broker_for("embedded", tmp_path, FACTS_TOPOLOGY) as broker,
    ):
        again: list[str] = []

        async def handle_alone(connection, envelope, _message):
            await event_log.append(connection, "effect/2", 0, [note(f"alone {envelope.id}")])
            again.append(envelope.id)

        async def handle(connection, envelope, _message):
            await event_log.append(connection, "effect/1", 0, [note(f"effect of {envelope.id}")])
            raise OnceMore(handle_alone)

        await broker.publish(FACTS_EXCHANGE, [Outgoing("x.0", wire.encode(fact("f0")), "f0")])
        consumer = await consume_envelopes(database, broker, FACTS, "tester", handle)
        await eventually(lambda: again)
        await consumer.close()
        assert await broker.depth("facts.dead") == 0
        async with database.reading() as connection:
            versions = [await event_log.stream_version(connection, f"effect/{number}") for number in (1, 2)]
    assert versions == [0, 1]


@pytest.mark.alone
@pytest.mark.postgres
async def test_a_transaction_elsewhere_that_holds_messages_back_is_named(tmp_path, broker):
    """In any database of the server, such as somebody's import: nothing is lost, and a person sees whom to ask."""
    clock, notebook, telemetry = ManualClock(), Notebook(), Telemetry()
    await broker.consume(FACTS, notebook)
    async with database_for("postgresql", tmp_path, "ingest") as database:
        relay = Relay(database, broker, clock, telemetry=telemetry)
        other = await asyncpg.connect(DATABASE_URL, server_settings={"application_name": "somebodys-import"})
        try:
            async with other.transaction():
                await other.fetchval("SELECT pg_current_xact_id()")
                await commit(database, "x/1", ["f0"])
                with capture_logs() as logs:
                    async with running(relay):

                        def told():
                            clock.advance(1.0)
                            return [each for each in logs if "stays open" in each["event"]]

                        await eventually(told)
                first = told()[0]
                assert (first["application"], first["pid"]) == ("somebodys-import", other.get_server_pid())
                assert first["service"] == "ingest"
                assert first["seconds"] >= 10
                assert b'relay_held_back_seconds{service="ingest"}' in telemetry.exposition()
                assert notebook.seen == []
            async with running(relay):
                await notebook.wait_for(1)
        finally:
            await other.close()
