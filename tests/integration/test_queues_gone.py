"""Exchanges, queues or bindings are gone from a RabbitMQ that runs: services make them anew, and lose nothing in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from aiormq.exceptions import ChannelNotFoundEntity, ConnectionInternalError
from structlog.testing import capture_logs
from support.engines import AMQP_URL, broker_for
from support.lines import EXCHANGE, OTHER, TOPOLOGY, WORK, Notebook, eventually, outgoing
from support.rabbit import Rabbit
from support.servers import own_server

from backbone import rabbit_declaring
from backbone.broker_rabbitmq import RabbitBroker
from backbone.errors import BrokerUnavailableError, Permanent, Transient

pytestmark = pytest.mark.broker
PATIENCE_SECONDS = 60.0
BIND = b"\x00\x32\x00\x14\x00\x00"  # how AMQP 0-9-1 says queue.bind


@pytest.fixture
async def rabbit(tmp_path) -> AsyncIterator[Rabbit]:
    async with broker_for("rabbitmq", tmp_path, TOPOLOGY):  # skips where there is no server
        pass
    async with Rabbit(TOPOLOGY) as rabbit:
        await rabbit.broker.declare(TOPOLOGY)
        yield rabbit


@asynccontextmanager
async def by_hand(url: str = AMQP_URL) -> AsyncIterator[Any]:
    """Give a channel on which somebody does what no service would."""
    connection = await aio_pika.connect(url)
    async with connection:
        yield await connection.channel()


def short(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


async def published_again(rabbit: Rabbit, identity: str) -> None:
    """Publish as the relay does: again until it is confirmed."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(BrokerUnavailableError):
                await rabbit.broker.publish(EXCHANGE, outgoing(identity, key="both.a"))
                return
            await asyncio.sleep(0.1)


async def test_a_queue_whose_binding_failed_is_bound_before_anything_is_published_past_it(rabbit: Rabbit) -> None:
    work, other = Notebook(), Notebook()
    await rabbit.broker.consume(WORK, work)
    await rabbit.broker.consume(OTHER, other)
    rabbit.proxy.cut_at = BIND + short(rabbit.prefix + OTHER.name) + short(rabbit.prefix + EXCHANGE)
    rabbit.proxy.cuts = 3
    async with by_hand() as channel:
        await channel.queue_delete(rabbit.prefix + OTHER.name)
    await eventually(lambda: rabbit.proxy.cuts < 3, seconds=PATIENCE_SECONDS)
    for number in range(20):
        await published_again(rabbit, f"m{number}")
    expected = {f"m{number}" for number in range(20)}
    await eventually(lambda: set(work.ids) == set(other.ids) == expected, seconds=PATIENCE_SECONDS)
    await eventually(lambda: rabbit.broker.complaints() == [], seconds=PATIENCE_SECONDS)


async def test_healing_goes_on_until_all_of_it_stands_when_nobody_publishes(rabbit: Rabbit) -> None:
    """A queue that is there without its binding would wait in vain, and its consumer would notice nothing."""
    other = Notebook()
    await rabbit.broker.consume(OTHER, other)
    rabbit.proxy.cut_at = BIND + short(rabbit.prefix + OTHER.name) + short(rabbit.prefix + EXCHANGE)
    rabbit.proxy.cuts = 2
    async with by_hand() as channel:
        await channel.queue_delete(rabbit.prefix + OTHER.name)
        await eventually(lambda: rabbit.proxy.cuts == 0, seconds=PATIENCE_SECONDS)
        exchange = await channel.get_exchange(rabbit.prefix + EXCHANGE)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not other.seen:
                await exchange.publish(aio_pika.Message(b"{}", message_id="m"), "both.a")
                await asyncio.sleep(0.2)


async def test_an_exchange_deleted_by_hand_is_made_and_bound_anew_and_it_is_said(rabbit: Rabbit) -> None:
    work, other = Notebook(), Notebook()
    await rabbit.broker.consume(WORK, work)
    await rabbit.broker.consume(OTHER, other)
    await rabbit.broker.publish(EXCHANGE, outgoing("before", key="both.a"))
    assert "kruispost_queues_lost_total 0.0" in rabbit.telemetry.exposition().decode()
    async with by_hand() as channel:
        await channel.exchange_delete(rabbit.prefix + EXCHANGE)
    with capture_logs() as logs:
        await published_again(rabbit, "after")
        await eventually(lambda: "after" in work.ids and "after" in other.ids)
    (said,) = [each for each in logs if each["log_level"] == "error"]
    assert "republish all" in said["event"]
    assert said["gone"] == [EXCHANGE]
    assert "kruispost_queues_lost_total 1.0" in rabbit.telemetry.exposition().decode()


@pytest.mark.parametrize("gone", [WORK.retry_queue(1), WORK.returns])
async def test_a_message_comes_back_later_though_its_way_was_deleted(rabbit: Rabbit, gone: str) -> None:
    async with by_hand() as channel:
        await (channel.exchange_delete if gone == WORK.returns else channel.queue_delete)(rabbit.prefix + gone)
    await rabbit.broker.publish(EXCHANGE, outgoing("m"))
    notebook = Notebook(lambda delivery: Transient(1) if delivery.attempt == 1 else None)
    await rabbit.broker.consume(WORK, notebook)
    await eventually(lambda: notebook.seen and notebook.seen[-1].attempt == 2, seconds=PATIENCE_SECONDS)
    await eventually(lambda: _all_empty(rabbit), seconds=PATIENCE_SECONDS)


async def _all_empty(rabbit: Rabbit) -> bool:
    return [await rabbit.broker.depth(name) for name in WORK.names] == [0] * len(WORK.names)


async def test_a_message_that_nothing_helps_becomes_a_dead_letter_though_their_queue_was_deleted(rabbit: Rabbit) -> None:
    async with by_hand() as channel:
        await channel.queue_delete(rabbit.prefix + WORK.dead_letters)
    await rabbit.broker.publish(EXCHANGE, outgoing("m"))
    await rabbit.broker.consume(WORK, Notebook(lambda _: Permanent("broken", "It is.")))
    await eventually(lambda: _has_dead_letter(rabbit), seconds=PATIENCE_SECONDS)


async def _has_dead_letter(rabbit: Rabbit) -> bool:
    with suppress(ChannelNotFoundEntity, ConnectionInternalError):  # it is not there yet, or RabbitMQ cannot read it yet
        return [each.message_id for each in await rabbit.broker.dead_letters(WORK.name, 5)] == ["m"]
    return False


async def waits_to_come_back(broker: RabbitBroker, _url: str) -> None:
    notebook = Notebook(lambda _: Transient(2))
    consumer = await broker.consume(WORK, notebook)
    await notebook.wait_for(1)
    await eventually(lambda: broker.depth(WORK.retry_queue(2)))
    await consumer.close()


async def is_delivered_too_often(_broker: RabbitBroker, url: str) -> None:
    async with by_hand(url) as channel:
        queue = await channel.get_queue(WORK.name)
        refused = 0

        async def refuse(message: AbstractIncomingMessage) -> None:
            nonlocal refused
            if refused == WORK.delivery_limit:
                await channel.exchange_delete(WORK.returns)
            await message.reject(requeue=True)
            refused += 1

        await queue.consume(refuse)
        await eventually(lambda: refused > WORK.delivery_limit)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("happens", "ends_in"), [(waits_to_come_back, WORK.name), (is_delivered_too_often, WORK.dead_letters)])
async def test_what_rabbitmq_moves_itself_waits_for_an_exchange_that_is_gone(
    tmp_path: Path, happens: Callable[[RabbitBroker, str], Awaitable[None]], ends_in: str
) -> None:
    """A message whose time is over, or that was delivered too often, is tried again every three minutes; here sooner."""
    async with own_server("rabbitmq", tmp_path) as server:
        await server.does("application:set_env(rabbit, dead_letter_worker_publisher_confirm_timeout, 1000).")
        broker = RabbitBroker(server.url)
        await broker.declare(TOPOLOGY)
        await broker.publish(EXCHANGE, outgoing("m"))
        await happens(broker, server.url)
        await broker.close()  # nobody mends it meanwhile
        async with by_hand(server.url) as channel:
            await channel.exchange_delete(WORK.returns)
        await asyncio.sleep(4)
        again = RabbitBroker(server.url)
        await again.declare(TOPOLOGY)
        await eventually(lambda: again.depth(ends_in), seconds=PATIENCE_SECONDS)
        await again.close()


@pytest.mark.parametrize("what", ["binding", "exchange"])
async def test_what_is_deleted_while_nothing_is_published_is_noticed_all_the_same(
    rabbit: Rabbit, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbit_declaring, "LOOK_SECONDS", 0.5)
    rabbit.broker.doubt()  # it was going to wait for longer
    async with by_hand() as channel:
        if what == "binding":
            queue = await channel.get_queue(rabbit.prefix + OTHER.name)
            await queue.unbind(rabbit.prefix + EXCHANGE, "both.#")
        else:
            await channel.exchange_delete(rabbit.prefix + EXCHANGE)
    await eventually(lambda: _reaches_the_other(rabbit), seconds=PATIENCE_SECONDS)


async def _reaches_the_other(rabbit: Rabbit) -> bool:
    with suppress(ChannelNotFoundEntity):
        async with by_hand() as channel:
            exchange = await channel.get_exchange(rabbit.prefix + EXCHANGE)
            await exchange.publish(aio_pika.Message(b"{}"), "both.a", mandatory=False)
    return await rabbit.broker.depth(OTHER.name) > 0
