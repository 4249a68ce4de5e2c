"""The topology on RabbitMQ: which arguments each kind of queue gets, declaring them, and removing them again."""

from __future__ import annotations

from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel

from contracts.topology import Queue, Topology

Arguments = dict[str, Any]

# Looking at dead letters counts as a delivery. RabbitMQ 4 drops a message after 20 of those unless told otherwise, and 3.10 does
# not know the value -1 for "never".
LOOKS_AT_DEAD_LETTERS = 1_000_000_000


def queue_arguments(queue: Queue, prefix: str) -> Arguments:
    """Return the arguments of a queue: replicated, bounded in redeliveries, one active consumer where order matters.

    Who declares it must have the right to write to what it dead-letters into, so that this is the service's own exchange and not
    the nameless one, through which every queue is reached. Dead-lettering is at-least-once, which RabbitMQ does only for quorum
    queues that refuse rather than drop when full.
    """
    arguments: Arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": queue.delivery_limit,
        "x-dead-letter-exchange": prefix + queue.returns,
        "x-dead-letter-routing-key": prefix + queue.dead_letters,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    return {**arguments, "x-single-active-consumer": True} if queue.single_active else arguments


def retry_arguments(queue: Queue, delay_seconds: int, prefix: str) -> Arguments:
    """Return the arguments of a retry queue: messages wait there and then go back to their queue by themselves."""
    return {
        "x-queue-type": "quorum",
        "x-message-ttl": delay_seconds * 1000,
        "x-dead-letter-exchange": prefix + queue.returns,
        "x-dead-letter-routing-key": prefix + queue.name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def dead_letter_arguments() -> Arguments:
    """Return the arguments of a dead-letter queue: replicated, and no number of looks makes it drop a message."""
    return {"x-queue-type": "quorum", "x-delivery-limit": LOOKS_AT_DEAD_LETTERS}


async def declare(channel: AbstractChannel, topology: Topology, prefix: str) -> None:
    """Create every exchange, queue and binding that is not there yet."""
    for name in (*topology.exchanges, *sorted({queue.returns for queue in topology.queues})):
        await channel.declare_exchange(prefix + name, aio_pika.ExchangeType.TOPIC, durable=True)
    for queue in topology.queues:
        await channel.declare_queue(prefix + queue.name, durable=True, arguments=queue_arguments(queue, prefix))
        await _bind(channel, queue, queue.name, prefix)
        for delay in queue.retry_delays_seconds:
            name = queue.retry_queue(delay)
            await channel.declare_queue(prefix + name, durable=True, arguments=retry_arguments(queue, delay, prefix))
            await _bind(channel, queue, name, prefix)
        # These come last: by them another service knows that the queue has its bindings.
        await channel.declare_queue(prefix + queue.dead_letters, durable=True, arguments=dead_letter_arguments())
        await _bind(channel, queue, queue.dead_letters, prefix)


async def bind(channel: AbstractChannel, queue: Queue, prefix: str) -> None:
    """Bind a queue and those beside it anew, which are there; what is bound already stays as it is."""
    for name in queue.names:
        await _bind(channel, queue, name, prefix)


async def _bind(channel: AbstractChannel, queue: Queue, name: str, prefix: str) -> None:
    bound = await channel.get_queue(prefix + name, ensure=False)
    await bound.bind(prefix + queue.returns, prefix + name)
    if name == queue.name:
        for binding in queue.bindings:
            await bound.bind(prefix + binding.exchange, binding.pattern)


async def remove_prefixed(url: str, prefix: str, topology: Topology) -> None:
    """Delete an installation's queues and exchanges with all they hold; for rehearsals and tests. `prefix` must not be empty."""
    if not prefix:
        raise ValueError("without a prefix this would delete the queues of a real installation")
    connection = await aio_pika.connect(url, timeout=30)
    async with connection:
        channel = await connection.channel()
        for queue in topology.queues:
            for name in queue.names:
                await channel.queue_delete(prefix + name)
        for name in (*topology.exchanges, *{queue.returns for queue in topology.queues}):
            await channel.exchange_delete(prefix + name)
