"""`kruispost republish --check`: what missed a queue without its binding is named, with the command that sends just that."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aio_pika
import pytest
import sqlalchemy as sa
from support.command_line import kruispost_here
from support.engines import AMQP_URL, settings_for
from support.facts import SITE, invoice
from support.lines import eventually
from support.mapper_stage import CONFIGURATION

from backbone import checkpoints, event_log
from backbone.broker import Broker, Outgoing
from backbone.broker_rabbitmq import remove_prefixed
from backbone.consumer import consume_envelopes
from backbone.database import Database
from backbone.errors import Permanent
from backbone.migrations import migrate
from backbone.process import open_broker
from backbone.relay import CHECKPOINT
from backbone.settings import Settings
from backbone.tables import inbox
from contracts.envelope import Envelope, encode, seal
from contracts.topology import FACTS_EXCHANGE, fact_routing_key, mapper_queue, partition, topology

SERVICES = ("ingest", "mapper", "exact-writer", "payment-matcher", "console")
TOPOLOGY = topology(CONFIGURATION.divisions)
KEY = f"{SITE}/CUST1"
QUEUE = TOPOLOGY.queue(mapper_queue(partition(KEY)))
START = datetime(2026, 10, 5, 10, 0, 0, 500_000, tzinfo=UTC)
# Each engine with its broker: what somebody deletes in RabbitMQ by hand is lost from the embedded one's file here.
ENGINES = [
    pytest.param("sqlite", id="embedded"),
    pytest.param("postgresql", id="rabbitmq", marks=[pytest.mark.postgres, pytest.mark.broker]),
]


def sealed(number: int) -> Envelope:
    """A fact that ingest says, a minute after the one before."""
    moment = START + timedelta(minutes=number)
    return seal(invoice(f"INV-{number}"), source="ingest", subject=f"s/{number}", key=KEY, time=moment, distinguisher="")


class Line:
    """Ingest's log, the broker, and a mapper that hears."""

    def __init__(self, directory: Path, settings: Settings, databases: dict[str, Database], broker: Broker) -> None:
        self.directory = directory
        self.settings = settings
        self.databases = databases
        self.broker = broker
        self.heard: list[str] = []

    async def say(self, *numbers: int, to_all: bool = True) -> None:
        """Let ingest say facts that go out; `to_all` False: past the mapper's queue, whose binding is gone."""
        envelopes = [sealed(number) for number in numbers]
        async with self.databases["ingest"].transaction() as connection:
            for envelope in envelopes:
                await event_log.append(connection, envelope.subject, 0, [envelope])
        await eventually(
            lambda: self._can_be_read(envelopes[-1].id), seconds=60
        )  # others' transactions on the server hold it back
        async with self.databases["ingest"].transaction() as connection:
            await checkpoints.write_checkpoint(connection, CHECKPOINT, await event_log.end_position(connection))
        for envelope in envelopes if to_all or self.settings.amqp_url else ():
            message = Outgoing(fact_routing_key(envelope.type, envelope.key), encode(envelope), envelope.id)
            await self.broker.publish(FACTS_EXCHANGE, [message])

    async def _can_be_read(self, message_id: str) -> bool:
        async with self.databases["ingest"].reading() as connection:
            newest = await event_log.read_before(connection, None, 1)
        return [each.envelope.id for each in newest] == [message_id]

    async def hear(self, count: int, *, stops_at: int | None = None) -> None:
        """Let the mapper handle so many messages; one of them is none that it can handle."""

        async def handle(_connection: Any, envelope: Envelope, _message: Any) -> None:
            if envelope.id == (sealed(stops_at).id if stops_at is not None else None):
                raise Permanent("broken", "It is.")
            self.heard.append(envelope.id)

        consumer = await consume_envelopes(self.databases["mapper"], self.broker, QUEUE, "mapper", handle)
        await eventually(lambda: len(self.heard) >= count)
        await eventually(self._is_empty)
        await consumer.close()
        async with self.databases["mapper"].transaction() as connection:  # as if it was handled when it was said
            await connection.execute(sa.update(inbox).values(handled_at=START))

    async def _is_empty(self) -> bool:
        return await self.broker.depth(QUEUE.name) == 0

    @asynccontextmanager
    async def without_binding(self) -> AsyncIterator[None]:
        """Delete the binding by hand, and put it back as the services do within half a minute."""
        if self.settings.amqp_url is None:
            yield
            return
        async with await aio_pika.connect(self.settings.amqp_url) as connection:
            channel, prefix = await connection.channel(), self.settings.amqp_prefix
            queue = await channel.get_queue(prefix + QUEUE.name)
            pattern = next(each.pattern for each in QUEUE.bindings if each.pattern.startswith("chargebee"))
            await queue.unbind(prefix + FACTS_EXCHANGE, pattern)
            yield
            await queue.bind(prefix + FACTS_EXCHANGE, pattern)

    async def run(self, *words: str) -> Any:
        """Give a command."""
        names = ("database_url", "amqp_url", "amqp_prefix")
        values = {
            f"KRUISPOST_{name.upper()}": str(getattr(self.settings, name)) for name in names if getattr(self.settings, name)
        }
        return await asyncio.to_thread(kruispost_here, *words, directory=self.directory, settings=values)

    async def check(self, *words: str) -> tuple[int, Sequence[Any]]:
        """Ask what the mapper never heard."""
        done = await self.run("republish", "all", "--check", "--to", "mapper", "--json", *words)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)["unheard"]


@asynccontextmanager
async def line(dialect: str, directory: Path) -> AsyncIterator[Line]:
    """Give a line on which nothing was said."""
    (directory / "kruispost.yaml").write_text(CONFIGURATION.model_dump_json(exclude_defaults=True), encoding="utf-8")
    async with AsyncExitStack() as stack:
        amqp: dict[str, Any] = {}
        if dialect == "postgresql":
            amqp = {"amqp_url": AMQP_URL, "amqp_prefix": f"kp_test_{secrets.token_hex(6)}."}
            stack.push_async_callback(remove_prefixed, AMQP_URL, amqp["amqp_prefix"], TOPOLOGY)
        settings = await stack.enter_async_context(settings_for(dialect, directory / "data", **amqp))
        databases = {}
        for service in SERVICES:
            databases[service] = Database.open(settings, service)
            stack.push_async_callback(databases[service].close)
            await migrate(databases[service], service)
        broker = open_broker(settings, "console")
        stack.push_async_callback(broker.close)
        await broker.declare(TOPOLOGY)
        yield Line(directory, settings, databases, broker)


@pytest.mark.parametrize("dialect", ENGINES)
async def test_what_missed_a_queue_without_its_binding_is_named_and_comes_by_the_command_that_is_told(
    tmp_path: Path, dialect: str
) -> None:
    async with line(dialect, tmp_path) as stage:
        await stage.say(1, 2)
        async with stage.without_binding():
            await stage.say(3, 4, to_all=False)
        await stage.say(5)
        await stage.hear(3)
        code, found = await stage.check()
        assert code == 1
        (missed,) = found
        assert (missed["service"], missed["queue"], missed["messages"]) == ("ingest", QUEUE.name, 2)
        assert (missed["from"], missed["until"]) == ("2026-10-05T10:03:00", "2026-10-05T10:04:01")
        assert (await stage.check("--until", "2026-10-05T10:02:30"))[0] == 0
        done = await stage.run("republish", "all", "--check", "--to", "mapper")
        assert f"Send it again: {missed['command']}" in done.stdout
        done = await stage.run(*missed["command"].split()[1:])
        assert done.stdout == "ingest: 2 messages sent again\n", done.stderr
        assert (await stage.check())[0] == 0, "they are in the queue now"
        await stage.hear(5)
        assert sorted(stage.heard) == sorted(sealed(number).id for number in range(1, 6))
        assert (await stage.check())[0] == 0


@pytest.mark.parametrize("dialect", ENGINES)
async def test_what_waits_is_a_dead_letter_or_was_said_before_the_inbox_was_made_is_not_called_missed(
    tmp_path: Path, dialect: str
) -> None:
    async with line(dialect, tmp_path) as stage:
        await stage.say(1, 2)
        assert (await stage.check())[0] == 0, "both wait in the queue"
        await stage.hear(1, stops_at=2)
        await eventually(lambda: stage.broker.depth(QUEUE.dead_letters))
        assert (await stage.check())[0] == 0, "the second is a dead letter, about which there is another command"
        async with stage.databases["ingest"].transaction() as connection:
            await event_log.append(connection, "s/3", 0, [sealed(3)])
        assert (await stage.check())[0] == 0, "the third has not been published yet"
