"""RabbitMQ loses all that it kept, the users of the services included: the commands of docs/operating.md, and all goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.child import Child, child
from support.command_line import kruispost_here
from support.facts import SITE, customer, envelope, invoice
from support.lines import Notebook
from support.lines import eventually as soon
from support.mapper_stage import CONFIGURATION
from support.servers import Server, own_server

from backbone.broker import Outgoing
from backbone.broker_rabbitmq import REFUSED, RabbitBroker
from backbone.errors import BrokerUnavailableError
from backbone.roles import OPERATOR, PREFIX, installed_services, role_of
from contracts.envelope import Message, encode
from contracts.topology import FACTS_EXCHANGE, fact_routing_key, topology, writer_queue

pytestmark = [
    pytest.mark.slow,
    pytest.mark.broker,
    pytest.mark.timeout(400),
    # The library closes a connection that was refused when that is collected, which may be after the test.
    pytest.mark.filterwarnings("ignore:coroutine 'Connection.close' was never awaited"),
]
eventually = partial(soon, seconds=120)
TOPOLOGY = topology(CONFIGURATION.divisions)
COMMANDS = writer_queue(*CONFIGURATION.divisions)
PASSWORD = "s3cret"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with own_server("rabbitmq", tmp_path) as server:
        yield server


def address(server: Server, service: str) -> str:
    place = urlsplit(server.url)
    return place._replace(netloc=f"{role_of(service, PREFIX)}:{PASSWORD}@{place.netloc.rpartition('@')[2]}").geturl()


def rights(directory: Path) -> str:
    printed = kruispost_here("roles", "--broker", directory=directory)
    assert printed.returncode == 0, printed.stderr
    return printed.stdout


def outgoing(message: Message) -> list[Outgoing]:
    sealed = envelope(message, key=f"{SITE}/CUST1")
    return [Outgoing(fact_routing_key(message.TYPE, sealed.key), encode(sealed), sealed.id)]


async def told(ingest: RabbitBroker, message: Message) -> None:
    """Publish a fact as the relay does: again until it is confirmed."""
    async with asyncio.timeout(120):
        while True:
            with suppress(BrokerUnavailableError):
                await ingest.publish(FACTS_EXCHANGE, outgoing(message))
                return
            await asyncio.sleep(0.5)


async def is_refused(process: Child) -> bool:
    return REFUSED in (await process.get("/ready")).json()["reasons"]


async def is_ready(process: Child) -> bool:
    return (await process.get("/ready")).status_code == 200


async def test_a_service_goes_on_when_the_users_of_a_rabbitmq_that_lost_them_are_back(server: Server, tmp_path: Path) -> None:
    (tmp_path / "kruispost.yaml").write_text(CONFIGURATION.model_dump_json(exclude_defaults=True), encoding="utf-8")
    users = [*(role_of(service, PREFIX) for service in installed_services()), f"{PREFIX}_{OPERATOR}"]
    made = {"users": [{"name": name, "password": PASSWORD, "tags": []} for name in users]}
    await server.controlled("import_definitions", told=json.dumps(made))
    await server.controlled("import_definitions", told=rights(tmp_path))
    writer = Notebook()
    async with AsyncExitStack() as stack:
        others = {each: RabbitBroker(address(server, each), service=each) for each in installed_services() if each != "mapper"}
        for each in others.values():
            stack.push_async_callback(each.close)
        ready = [asyncio.create_task(each.declare(TOPOLOGY)) for each in others.values()]
        settings = {"KRUISPOST_AMQP_URL": address(server, "mapper")}
        mapper = await stack.enter_async_context(child("-m", "mapper", directory=tmp_path, settings=settings))
        await asyncio.wait_for(asyncio.gather(*ready), 120)
        for queue in TOPOLOGY.queues:
            if queue.owner in others:
                await others[queue.owner].consume(queue, writer if queue.name == COMMANDS else Notebook())

        def ordered(number: str) -> bool:
            return any(number.encode() in delivery.body for delivery in writer.seen)

        # Read all the while: a process whose log nobody takes stands still.
        heals = asyncio.create_task(mapper.says("queues were gone", seconds=300))
        await told(others["ingest"], customer())
        await told(others["ingest"], invoice("INV-1"))
        await eventually(lambda: ordered("INV-1"))

        await server.lose_data()
        await eventually(lambda: is_refused(mapper))
        with pytest.raises(BrokerUnavailableError, match="refuses the user"):
            await others["ingest"].publish(FACTS_EXCHANGE, outgoing(invoice("INV-2")))
        # As docs/operating.md has it: each user with the password that its service has, then the rights of all.
        await server.controlled("await_startup")
        for name in users:
            await server.controlled("add_user", name, told=f"{PASSWORD}\n")
        await server.controlled("import_definitions", told=rights(tmp_path))
        await told(others["ingest"], invoice("INV-2"))
        await eventually(lambda: ordered("INV-2"))
        await eventually(lambda: is_ready(mapper))
        assert mapper.process.returncode is None, "no restart was needed"
        await heals
