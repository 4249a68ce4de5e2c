"""The broker on RabbitMQ (3.10 and later): quorum queues, confirms, mandatory publishing, delayed retries, dead letters.

The order of a safe hand-over is always: publish, wait for the confirm, then acknowledge. A connection that is lost in between
makes the broker deliver again, which the inboxes of the consumers drop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage
from aio_pika.exceptions import DeliveryError, PublishError
from aiormq.exceptions import ChannelNotFoundEntity, InvalidFrameError, ProbableAuthenticationError

from backbone.broker import PREFETCH, DeadLetter, Handler, Outgoing
from backbone.clock import Clock, SystemClock
from backbone.crash_points import crash_point
from backbone.errors import BrokerUnavailableError, UnroutableError, reason_of
from backbone.rabbit_consumer import (
    BROKER_ERRORS,
    CODE,
    KILLS_SENTENCE,
    ORIGIN,
    RECONNECT_SECONDS,
    SENTENCE,
    RabbitConsumer,
    attempt_of,
    is_broker_error,
    losses_told,
)
from backbone.rabbit_declaring import Declaration
from backbone.rabbit_topology import remove_prefixed
from backbone.retries import DeadLetterLimit
from backbone.telemetry import Telemetry
from contracts.topology import Queue, Topology

__all__ = ["RabbitBroker", "remove_prefixed"]

GROUP = 100  # messages whose confirms are awaited together: five times as fast as one by one, and no more with 500
TIMEOUT_SECONDS = 30.0
# A consumer that hangs, or whose machine vanished, keeps its queue until RabbitMQ has missed it: after two to three of these. An
# address that says ?heartbeat= is left as it is.
HEARTBEAT_SECONDS = 4
# The second is how the library tells that the connection is closed where it should open: no rights in the virtual host.
REFUSALS = (ProbableAuthenticationError, InvalidFrameError)
REFUSED = (
    "RabbitMQ refuses the user of KRUISPOST_AMQP_URL (`rabbitmqctl list_users` and `list_permissions` say whether it is there, "
    "with rights in that virtual host); messages wait in the logs"
)


class RabbitBroker:
    """The Broker port on one RabbitMQ virtual host. `prefix` keeps several installations on one virtual host apart."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "",
        dead_letter_limit: int = 20,
        service: str = "kruispost",
        clock: Clock | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._url = _with_heartbeat(url)
        self._prefix = prefix
        self._service = service
        self._clock = clock or SystemClock()
        self._dead_letter_limit = dead_letter_limit
        self._connection: AbstractConnection | None = None
        self._connecting = asyncio.Lock()
        self._opening = asyncio.Lock()
        self._publishing: AbstractChannel | None = None
        self._exchanges: dict[str, AbstractExchange] = {}
        self._consumers: list[RabbitConsumer] = []
        self._trouble: str | None = None
        self._declaration = Declaration(self, prefix, service, telemetry or Telemetry())

    @property
    def prefix(self) -> str:
        """What every name of this installation begins with."""
        return self._prefix

    async def declare(self, topology: Topology, *, waits: bool = True) -> None:
        """Create what is not there yet, and again what is gone later; waits for a broker that is away, or raises.

        Raises ConfigurationError when a queue exists with other arguments, or the user may not create it.
        """
        await self._declaration.make(topology, waits=waits)

    def doubt(self) -> None:
        """See that all that was declared is still there, before anything more is published."""
        self._declaration.doubt()

    async def publish(self, exchange: str, messages: Sequence[Outgoing]) -> None:
        """Publish in groups and wait for every confirm."""
        await self.connection()
        await self._declaration.see()
        for start in range(0, len(messages), GROUP):
            group = [(message.routing_key, _outgoing(message)) for message in messages[start : start + GROUP]]
            await self.publish_group(self._prefix + exchange, group)
            crash_point("broker.published")

    async def send(self, queue_name: str, messages: Sequence[Outgoing]) -> None:
        """Publish to one queue by its name, in groups, and wait for every confirm."""
        for start in range(0, len(messages), GROUP):
            group = [(self._prefix + queue_name, _outgoing(message)) for message in messages[start : start + GROUP]]
            await self.publish_group("", group)

    @losses_told()
    async def publish_group(self, exchange: str, group: Sequence[tuple[str, aio_pika.Message]]) -> None:
        """Publish some messages together. Raises UnroutableError or BrokerUnavailableError; some may have been published."""
        try:
            target = await self._exchange(exchange)
            sending = (target.publish(message, key, mandatory=True, timeout=TIMEOUT_SECONDS) for key, message in group)
            answers = await asyncio.gather(*sending, return_exceptions=True)
        except BROKER_ERRORS as error:
            raise BrokerUnavailableError(f"RabbitMQ does not take messages: {reason_of(error)}.") from error
        for (key, message), answer in zip(group, answers, strict=True):
            if isinstance(answer, PublishError):
                self.doubt()
                raise UnroutableError(f"message {message.message_id} ({key}) would reach no queue of {exchange or 'the broker'}")
        for answer in answers:
            if isinstance(answer, DeliveryError):
                raise BrokerUnavailableError(f"RabbitMQ refused a message (a queue is full or has no leader): {answer}.")
            if isinstance(answer, BaseException) and is_broker_error(answer):
                if isinstance(answer, ChannelNotFoundEntity):  # the exchange is gone
                    self.doubt()
                await self._drop_channel()
                raise BrokerUnavailableError(f"RabbitMQ did not confirm a message: {answer}.") from answer
            if isinstance(answer, asyncio.CancelledError):  # the library's way to say that the connection was lost
                raise BrokerUnavailableError("The connection to RabbitMQ was lost before it confirmed a message.")
            if isinstance(answer, BaseException):
                raise answer

    async def _exchange(self, name: str) -> AbstractExchange:
        if self._publishing is None or self._publishing.is_closed:
            async with self._opening:
                if self._publishing is None or self._publishing.is_closed:
                    channel = await self.open_channel()
                    self._publishing, self._exchanges = channel, {"": channel.default_exchange}
        if name not in self._exchanges:
            self._exchanges[name] = await self._publishing.get_exchange(name, ensure=False)
        return self._exchanges[name]

    @losses_told()
    async def _drop_channel(self) -> None:
        channel, self._publishing = self._publishing, None
        if channel is not None and not channel.is_closed:
            with suppress(*BROKER_ERRORS, BrokerUnavailableError):
                await asyncio.wait_for(channel.close(), RECONNECT_SECONDS)

    @losses_told()
    async def _leave_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed:
            with suppress(*BROKER_ERRORS, RuntimeError):
                await asyncio.wait_for(connection.close(), RECONNECT_SECONDS)

    async def consume(
        self, queue: Queue, handler: Handler, *, prefetch: int = PREFETCH, buried: Callable[[], None] | None = None
    ) -> RabbitConsumer:
        """Start a consumer that comes back by itself when the connection is lost."""
        consumer = RabbitConsumer(self, queue, handler, prefetch, self._clock, DeadLetterLimit(self._dead_letter_limit, buried))
        self._consumers.append(consumer)
        return consumer

    @losses_told()
    async def dead_letters(self, queue: str, limit: int) -> list[DeadLetter]:
        """Show the oldest dead letters; they are taken without acknowledgement and go back in their order."""
        found: list[DeadLetter] = []
        channel = await self.open_channel()
        try:
            source = await channel.get_queue(f"{self._prefix}{queue}.dead", ensure=False)
            while len(found) < limit:
                message = await source.get(no_ack=False, fail=False)
                if message is None:
                    break
                found.append(_dead_letter(queue, message))
        finally:
            await channel.close()  # what was not acknowledged returns to the queue
        return found

    @losses_told()
    async def requeue(self, queue: str, message_ids: Collection[str] | None = None) -> list[str]:
        """Put dead letters back into their queue, each confirmed there before it is acknowledged; return their message ids."""
        moved: list[str] = []
        channel = await self.open_channel()
        try:
            source = await channel.get_queue(f"{self._prefix}{queue}.dead", ensure=False)
            for _ in range(await self.depth(f"{queue}.dead")):
                message = await source.get(no_ack=False, fail=False)
                if message is None:
                    break
                if message_ids is not None and message.message_id not in message_ids:
                    continue
                await self.publish_group("", [(self._prefix + queue, _revived(message))])
                await message.ack()
                moved.append(message.message_id or "")
        finally:
            await channel.close()  # what was not acknowledged returns to the dead letters
        return moved

    @losses_told()
    async def depth(self, queue_name: str) -> int:
        """Return how many messages wait in a queue."""
        channel = await self.open_channel()
        try:
            declared = await channel.declare_queue(self._prefix + queue_name, passive=True)
            return int(declared.declaration_result.message_count or 0)
        finally:
            await channel.close()

    @property
    def is_away(self) -> bool:
        """Whether it could not be reached when that was last tried."""
        return self._trouble is not None

    def complaints(self) -> list[str]:
        """Say what is wrong now: no connection, or lines that stand still."""
        trouble = self._trouble or self._declaration.complaint
        return ([trouble] if trouble else []) + [consumer.complaint for consumer in self._consumers if consumer.complaint]

    async def close(self) -> None:
        """End the consumers, then the connection."""
        await self._declaration.close()
        for consumer in list(self._consumers):
            await consumer.close()
        await self._leave_connection()

    def forget(self, consumer: RabbitConsumer) -> None:
        """Drop a consumer that has ended."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)

    @losses_told()
    async def open_channel(self) -> AbstractChannel:
        """Open a channel that confirms and returns; raises BrokerUnavailableError."""
        connection = await self.connection()
        try:
            return await connection.channel(publisher_confirms=True, on_return_raises=True)
        except Exception as error:
            if not is_broker_error(error):
                raise
            raise BrokerUnavailableError(f"The connection to RabbitMQ was lost: {reason_of(error)}.") from error

    @losses_told()
    async def connection(self) -> AbstractConnection:
        """Return the open connection, made anew when it was lost. Raises BrokerUnavailableError."""
        async with self._connecting:
            if self._connection is None or not _is_open(self._connection):
                await self._leave_connection()
                try:
                    properties: Any = {"connection_name": f"kruispost-{self._service}"}
                    self._connection = await aio_pika.connect(self._url, timeout=TIMEOUT_SECONDS, client_properties=properties)
                except REFUSALS as error:
                    self._trouble = REFUSED
                    raise BrokerUnavailableError(f"{REFUSED}: {reason_of(error)}.") from error
                except BROKER_ERRORS as error:
                    self._trouble = "RabbitMQ cannot be reached; messages wait in the logs"
                    raise BrokerUnavailableError(f"RabbitMQ cannot be reached: {reason_of(error)}.") from error
                self._trouble = None
                self._declaration.doubt(is_new_connection=True)
            return self._connection


def _with_heartbeat(url: str) -> str:
    if "heartbeat=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}heartbeat={HEARTBEAT_SECONDS}"


def _dead_letter(queue: str, message: AbstractIncomingMessage) -> DeadLetter:
    headers = message.headers
    return DeadLetter(
        queue=queue,
        message_id=message.message_id or "",
        routing_key=str(headers.get(ORIGIN) or message.routing_key or ""),
        body=message.body,
        code=str(headers.get(CODE) or "delivery_limit"),
        sentence=str(headers.get(SENTENCE) or KILLS_SENTENCE),
        attempt=attempt_of(message),
        died_at=message.timestamp.astimezone(UTC) if isinstance(message.timestamp, datetime) else None,
    )


def _revived(message: AbstractIncomingMessage) -> aio_pika.Message:
    """Return a dead letter as it was at its first delivery."""
    kept = {name: value for name, value in message.headers.items() if name in (ORIGIN, "traceparent")}
    return aio_pika.Message(
        message.body,
        message_id=message.message_id,
        content_type=message.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        headers=kept or None,
    )


def _is_open(connection: AbstractConnection) -> bool:
    # `is_closed` only tells whether we closed it; `connected` is cleared when it was lost.
    return not connection.is_closed and connection.connected.is_set()


def _outgoing(message: Outgoing) -> aio_pika.Message:
    return aio_pika.Message(
        message.body,
        message_id=message.message_id,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        headers={"traceparent": message.traceparent} if message.traceparent else None,
    )
