"""One message, one transaction, then the acknowledgement: how every service takes messages from a queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.broker import PREFETCH, Broker, Consumer, Delivery
from backbone.clock import SystemClock
from backbone.crash_points import crash_point
from backbone.database import Database, is_away
from backbone.errors import Backpressure, OnceMore, Permanent
from backbone.inbox import first_time
from backbone.relay import Relay
from backbone.telemetry import Telemetry
from contracts import envelope as wire
from contracts.envelope import Envelope, Message
from contracts.messages import UnknownMessageError, unseal
from contracts.topology import Queue

Handle = Callable[[AsyncConnection, Envelope, Message], Awaitable[None]]


def open_envelope(body: bytes) -> tuple[Envelope, Message]:
    """Read the bytes of a delivery; raises Permanent when they are no message that this release knows."""
    try:
        envelope = wire.decode(body)
    except msgspec.DecodeError as error:
        raise Permanent(
            "unreadable_message", f"A message is no envelope: {error}; find out who publishes to our exchanges."
        ) from error
    try:
        return envelope, unseal(envelope)
    except (UnknownMessageError, msgspec.DecodeError) as error:
        raise Permanent(
            "unreadable_message",
            f"Message {envelope.id} about {envelope.subject} cannot be read: {error}; deploy the release that wrote it.",
        ) from error


async def consume_envelopes(
    database: Database,
    broker: Broker,
    queue: Queue,
    consumer_name: str,
    handle: Handle,
    relay: Relay | None = None,
    *,
    after_commit: Callable[[], None] | None = None,
    telemetry: Telemetry | None = None,
    prefetch: int = PREFETCH,
) -> Consumer:
    """Start handling a queue's messages, each once.

    `handle` runs in the transaction that also notes the message in the inbox, or raises OnceMore for another one. The relay is
    woken and `after_commit` called after the commit, and the message acknowledged after that. While the database is away the
    line waits and keeps its order.
    """
    metrics = telemetry or Telemetry()
    clock = SystemClock()

    async def handle_first(by: Handle, envelope: Envelope, message: Message) -> bool:
        async with database.transaction() as connection:
            is_new = await first_time(connection, consumer_name, envelope.id)
            if is_new:
                await by(connection, envelope, message)
            crash_point(f"{consumer_name}.before_commit")
        return is_new

    async def deliver(delivery: Delivery) -> None:
        started = clock.monotonic()
        envelope, message = open_envelope(delivery.body)
        with metrics.span(f"{consumer_name} {envelope.type}", envelope):
            try:
                try:
                    is_new = await handle_first(handle, envelope, message)
                except OnceMore as more:
                    is_new = await handle_first(more.handle, envelope, message)
            except Exception as error:
                if is_away(error):
                    sentence = f"The database does not answer ({type(error).__name__}); the message is handled when it does."
                    raise Backpressure(code="database_unavailable", sentence=sentence) from error
                raise
        crash_point(f"{consumer_name}.committed")
        metrics.count("messages_handled", consumer=consumer_name, outcome="handled" if is_new else "duplicate")
        metrics.observe("handling_seconds", clock.monotonic() - started, consumer=consumer_name)
        if relay is not None:
            relay.wake()
        if after_commit is not None:
            after_commit()

    def buried(count: int = 1) -> None:
        metrics.count("messages_handled", count, consumer=consumer_name, outcome="dead")

    buried(0)  # or Prometheus sees no increase when the first one makes the series
    return await broker.consume(queue, deliver, prefetch=prefetch, buried=buried)
