"""`kruispost roles --broker`: with what it prints each service works on its own queues, and is refused everything else."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import aio_pika
import pytest
from aiormq.exceptions import ChannelAccessRefused
from support.command_line import kruispost_here
from support.engines import unreachable
from support.lines import Notebook, eventually

import services_debian
from backbone.broker import Outgoing
from backbone.broker_rabbitmq import RabbitBroker
from backbone.broker_rights import rights_of
from backbone.errors import BrokerUnavailableError, ConfigurationError, Permanent, Transient
from contracts.topology import COMMANDS_EXCHANGE, FACTS_EXCHANGE, PARCELS_EXCHANGE, PUBLISHERS, topology

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
DIVISION = 100001
SERVICES = ("console", "exact-writer", "ingest", "mapper", "payment-matcher")
TOPOLOGY = topology([DIVISION])
# A routing key of each exchange, and who hears it.
KEYS = {
    FACTS_EXCHANGE: ("chargebee.invoice.observed.2", {"mapper.2", "payment-matcher", "console"}),
    COMMANDS_EXCHANGE: (f"exact.entry.post.{DIVISION}", {f"exact-writer.{DIVISION}", "console"}),
    PARCELS_EXCHANGE: (f"chargebee.pdf.fetched.{DIVISION}", {f"exact-writer-parcels.{DIVISION}"}),
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services_debian.Started]:
    """A broker of our own in which the users were made that the printed permissions are about."""
    directory = tmp_path_factory.mktemp("broker")
    (directory / "kruispost.yaml").write_text(
        f"version: 1\nsites: {{acme-test: {{time_zone: Europe/Amsterdam}}}}\ndivisions:\n  {DIVISION}:\n    name: Acme\n"
        "    journals: {invoices: 70, credit_notes: 71, payments: 90}\n    receivable_account: 1300\n"
    )
    printed = kruispost_here("roles", "--broker", directory=directory)
    assert printed.returncode == 0, printed.stderr
    users = [each["user"] for each in json.loads(printed.stdout)["permissions"]]
    assert users == [*(f"kruispost_{each.replace('-', '_')}" for each in SERVICES), "kruispost_operator"]
    try:
        started = services_debian.start("rabbitmq", directory, lambda _: None)
    except services_debian.CannotStartError as error:
        unreachable("A server of our own", error)
    try:
        made = [{"name": user, "password": user, "tags": []} for user in users]
        for definitions in (json.dumps({"users": made}), printed.stdout, printed.stdout):
            services_debian.control_rabbitmq(started, "import_definitions", told=definitions)
        yield started
    finally:
        services_debian.stop(started)


def address(node: services_debian.Started, service: str) -> str:
    place, user = urlsplit(node.url), f"kruispost_{service.replace('-', '_')}"
    return place._replace(netloc=f"{user}:{user}@{place.netloc.rpartition('@')[2]}").geturl()


@asynccontextmanager
async def started(node: services_debian.Started, *services: str) -> AsyncIterator[dict[str, RabbitBroker]]:
    """Start the brokers of these services as their processes do, each as its own user; whole when all of them are."""
    brokers = {each: RabbitBroker(address(node, each), service=each) for each in services}
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(each.declare(TOPOLOGY) for each in brokers.values()))
        yield brokers
    finally:
        for each in brokers.values():
            await each.close()


async def test_one_service_waits_for_the_queues_of_the_others_and_all_of_them_make_the_whole(node) -> None:
    await emptied(node)
    alone = RabbitBroker(address(node, "ingest"), service="ingest")
    waiting = asyncio.create_task(alone.declare(TOPOLOGY))
    fact = [Outgoing(KEYS[FACTS_EXCHANGE][0], b"{}", "m")]
    try:
        with pytest.raises(BrokerUnavailableError, match="is not in RabbitMQ yet"):
            await alone.publish(FACTS_EXCHANGE, fact)
        assert not waiting.done()
        async with started(node, *(each for each in SERVICES if each != "ingest")):
            await asyncio.wait_for(waiting, 30)
            await alone.publish(FACTS_EXCHANGE, fact)
            assert [await alone.depth(name) for name in sorted(KEYS[FACTS_EXCHANGE][1])] == [1, 1, 1]
    finally:
        waiting.cancel()
        await alone.close()


async def emptied(node: services_debian.Started) -> None:
    """Take away what other tests have made, as a broker is that lost its data."""
    connection = await aio_pika.connect(address(node, "operator"))
    async with connection:
        channel = await connection.channel()
        for queue in TOPOLOGY.queues:
            for name in queue.names:
                await channel.queue_delete(name)
        for name in (*TOPOLOGY.exchanges, *{queue.returns for queue in TOPOLOGY.queues}):
            await channel.exchange_delete(name)


async def test_each_hears_what_the_others_publish_and_puts_off_and_buries_what_it_cannot_handle(node) -> None:
    await emptied(node)
    async with started(node, *SERVICES) as brokers:
        for queue in TOPOLOGY.queues:
            notebook = Notebook(lambda delivery: Transient(1) if delivery.attempt == 1 else Permanent("broken", "It is."))
            await brokers[queue.owner].consume(queue, notebook)
        for exchange, publishers in PUBLISHERS.items():
            key, _ = KEYS[exchange]
            for service in publishers:
                await brokers[service].publish(exchange, [Outgoing(key, b"{}", f"{exchange} {service}")])
        operator = RabbitBroker(address(node, "operator"))
        for name in {name for _, names in KEYS.values() for name in names}:
            await eventually(partial(_has_buried, operator, name))
        await operator.close()


async def _has_buried(operator: RabbitBroker, name: str) -> bool:
    published = sum(len(PUBLISHERS[exchange]) for exchange, (_, names) in KEYS.items() if name in names)
    letters = await operator.dead_letters(name, 10)
    return len(letters) == published and len(await operator.requeue(name)) == published


@pytest.mark.parametrize("service", SERVICES)
async def test_what_is_another_services_is_refused(node, service: str) -> None:
    async with started(node, *SERVICES):
        pass
    connection = await aio_pika.connect(address(node, service))

    async def refused(act) -> None:
        channel = await connection.channel()
        with pytest.raises(ChannelAccessRefused):
            await act(channel)

    async with connection:
        for queue in (each for each in TOPOLOGY.queues if each.owner != service):
            for name in queue.names:
                await refused(lambda channel, name=name: channel.queue_delete(name))
                await refused(lambda channel, name=name: channel.declare_queue(name, durable=True))
                await refused(lambda channel, name=name: _get(channel, name))
            await refused(lambda channel, queue=queue: _publish(channel, queue.returns))
        for exchange in (each for each, who in PUBLISHERS.items() if service not in who):
            await refused(lambda channel, exchange=exchange: _publish(channel, exchange))
        await refused(lambda channel: _publish(channel, ""))  # through which any queue is reached
        await refused(lambda channel: channel.declare_queue("another", durable=True))
        for exchange in (each for each, who in PUBLISHERS.items() if who[0] != service):
            await refused(lambda channel, exchange=exchange: channel.exchange_delete(exchange))


async def _get(channel, name: str) -> None:
    await (await channel.get_queue(name, ensure=False)).get(fail=False)


async def _publish(channel, exchange: str) -> None:
    target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
    await target.publish(aio_pika.Message(b"{}"), KEYS.get(exchange, ("mapper.0",))[0], mandatory=False)


async def test_a_user_without_any_rights_is_told_what_it_lacks(node) -> None:
    broker = RabbitBroker(address(node, "console"), service="ingest")
    with pytest.raises(ConfigurationError, match="Give the user the right to configure them"):
        await broker.declare(TOPOLOGY)
    await broker.close()


def test_rights_name_each_thing_in_full_and_with_the_prefix() -> None:
    rights = rights_of("ingest", TOPOLOGY, "shop.")
    assert rights.write.startswith(r"^(shop\.ingest|shop\.ingest\.dead|")
    for name, fits in (("shop.ingest", True), ("shop.ingest.dead", True), ("shop.ingestion", False), ("ingest", False)):
        assert [bool(re.search(each, name)) for each in (rights.configure, rights.write, rights.read)] == [fits] * 3
    assert bool(re.search(rights.write, "amq.default")) is False
