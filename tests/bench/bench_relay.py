"""Facts a second that the relay takes from PostgreSQL to a quorum queue, beside publishing the same bytes with confirms alone."""

from __future__ import annotations

import asyncio
import secrets
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aio_pika
import msgspec
from support.engines import AMQP_URL, broker_for, database_for

from backbone import event_log
from backbone.clock import SystemClock
from backbone.relay import BATCH, Relay
from contracts import envelope as wire
from contracts.envelope import Envelope, derived_id
from contracts.topology import FACTS_EXCHANGE, Binding, Queue, Topology

ROUNDS = 5
MESSAGES = 3_000
BODY_BYTES = 2_000
GROUP = 100
# The relay's work is measured into one queue, as the ceiling's is: a second bound queue is the broker's work, not the relay's.
ONE_QUEUE = Topology(
    exchanges=(FACTS_EXCHANGE,),
    queues=(Queue(name="bench", owner="bench", bindings=(Binding(exchange=FACTS_EXCHANGE, pattern="#"),), single_active=False),),
)


def facts(run: int) -> list[Envelope]:
    """Return facts of about two kilobytes."""
    filling = "x" * BODY_BYTES
    return [
        Envelope(
            id=derived_id("bench", str(run), str(number)),
            type="chargebee.invoice.observed",
            version=1,
            source="bench",
            subject=f"bench/invoice/{run}-{number}",
            time=datetime(2026, 10, 5, tzinfo=UTC),
            key=f"bench/{number % 500}",
            correlation="bench",
            data=msgspec.Raw(msgspec.json.encode({"filling": filling})),
        )
        for number in range(MESSAGES)
    ]


async def publish_alone(bodies: list[bytes]) -> float:
    """Publish with confirms, a hundred at a time, to a quorum queue of its own; return messages a second."""
    name = f"kp_bench_{secrets.token_hex(4)}"
    async with await aio_pika.connect(AMQP_URL) as connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
        try:
            started = time.perf_counter()
            for start in range(0, len(bodies), GROUP):
                group = bodies[start : start + GROUP]
                made = (aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT) for body in group)
                await asyncio.gather(*(channel.default_exchange.publish(message, name) for message in made))
            return len(bodies) / (time.perf_counter() - started)
        finally:
            await channel.queue_delete(name)


async def relay_all(relay: Relay) -> float:
    """Let the relay publish everything that is in its log; return messages a second."""
    done, started = 0, time.perf_counter()
    while done < MESSAGES:
        done += await relay.publish_batch()
    return done / (time.perf_counter() - started)


async def rounds() -> tuple[list[float], list[float]]:
    """Measure both in turns."""
    relayed, alone = [], []
    with tempfile.TemporaryDirectory() as directory:
        async with database_for("postgresql", Path(directory), "ingest") as database:
            for run in range(ROUNDS + 1):
                envelopes = facts(run)
                async with broker_for("rabbitmq", Path(directory), ONE_QUEUE) as broker:
                    for start in range(0, MESSAGES, BATCH):
                        async with database.transaction() as connection:
                            rows = [(one.subject, one) for one in envelopes[start : start + BATCH]]
                            await event_log.append_new(connection, rows)
                    rate = await relay_all(Relay(database, broker, SystemClock()))
                ceiling = await publish_alone([wire.encode(one) for one in envelopes])
                if run:  # the first round warms up
                    relayed.append(rate)
                    alone.append(ceiling)
    return relayed, alone


def measure() -> dict[str, dict[str, Any]]:
    """Return the relay's rate beside bare confirmed publishing; medians of the rounds, the ratio of the same round."""
    relayed, alone = asyncio.run(rounds())
    ratio = statistics.median(one / other for one, other in zip(relayed, alone, strict=True))
    row = {"value": statistics.median(relayed), "unit": "messages/s", "ceiling": statistics.median(alone), "ratio": ratio}
    return {"relay": row}
