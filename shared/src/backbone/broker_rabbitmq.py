"""The broker on RabbitMQ (3.10 and later): quorum queues, confirms, mandatory publishing, delayed retries, dead letters.

The order of a safe hand-over is always: publish, wait for the confirm, then acknowledge. A connection that is lost in between
makes the broker deliver again, which the inboxes of the consumers drop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, DeliveryError, PublishError
from aiormq.exceptions import ChannelInvalidStateError

from backbone.broker import PREFETCH, DeadLetter, Delivery, Handler, Outgoing
from backbone.crash_points import crash_point
from backbone.errors import BrokerUnavailableError, UnroutableError
from backbone.retries import Bury, DeadLetterLimit, after_failure
from backbone.telemetry import log
from contracts.topology import Queue, Topology

GROUP = 100  # messages whose confirms are awaited together: five times as fast as one by one, and no more with 500
TIMEOUT_SECONDS = 30.0
RECONNECT_SECONDS = 1.0
ATTEMPT, CODE, SENTENCE, ORIGIN = "kruispost-attempt", "kruispost-code", "kruispost-sentence", "kruispost-routing-key"
BROKER_ERRORS = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError, asyncio.InvalidStateError)
Arguments = dict[str, Any]


def queue_arguments(queue: Queue, prefix: str) -> Arguments:
    """Return the arguments of a queue: replicated, bounded in redeliveries, one active consumer where order matters.

    Dead-lettering is at-least-once, which RabbitMQ does only for quorum queues that refuse rather than drop when full.
    """
    arguments: Arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": queue.delivery_limit,
        "x-dead-letter-exchange": "",
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
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": prefix + queue.name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


class RabbitBroker:
    """The Broker port on one RabbitMQ virtual host. `prefix` keeps several installations on one virtual host apart."""

    def __init__(self, url: str, *, prefix: str = "", dead_letter_limit: int = 20, name: str = "kruispost") -> None:
        self._url = url
        self._prefix = prefix
        self._name = name
        self._dead_letter_limit = dead_letter_limit
        self._connection: AbstractConnection | None = None
        self._connecting = asyncio.Lock()
        self._publishing: AbstractChannel | None = None
        self._exchanges: dict[str, AbstractExchange] = {}
        self._consumers: list[_RabbitConsumer] = []
        self._trouble: str | None = None
        self._closing = False

    @property
    def prefix(self) -> str:
        """What every name of this installation begins with."""
        return self._prefix

    async def declare(self, topology: Topology) -> None:
        """Create what is not there yet; waits for a broker that is away."""
        while True:
            try:
                await self._declare(topology)
            except BrokerUnavailableError as error:
                log.warning("waiting for the broker", reason=error.sentence)
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                return

    async def _declare(self, topology: Topology) -> None:
        try:
            channel = await (await self.connection()).channel()
            for name in topology.exchanges:
                await channel.declare_exchange(self._prefix + name, aio_pika.ExchangeType.TOPIC, durable=True)
            for queue in topology.queues:
                await channel.declare_queue(self._prefix + queue.dead_letters, durable=True, arguments={"x-queue-type": "quorum"})
                declared = await channel.declare_queue(
                    self._prefix + queue.name, durable=True, arguments=queue_arguments(queue, self._prefix)
                )
                for delay in queue.retry_delays_seconds:
                    name = self._prefix + queue.retry_queue(delay)
                    await channel.declare_queue(name, durable=True, arguments=retry_arguments(queue, delay, self._prefix))
                for binding in queue.bindings:
                    await declared.bind(self._prefix + binding.exchange, binding.pattern)
            await channel.close()
        except BROKER_ERRORS as error:
            raise BrokerUnavailableError(f"Exchanges and queues cannot be declared: {error}.") from error

    async def publish(self, exchange: str, messages: Sequence[Outgoing]) -> None:
        """Publish in groups and wait for every confirm."""
        for start in range(0, len(messages), GROUP):
            group = [
                (
                    message.routing_key,
                    aio_pika.Message(
                        message.body,
                        message_id=message.message_id,
                        content_type="application/json",
                        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                        headers={"traceparent": message.traceparent} if message.traceparent else None,
                    ),
                )
                for message in messages[start : start + GROUP]
            ]
            await self.publish_group(self._prefix + exchange, group)
            crash_point("broker.published")

    async def publish_group(self, exchange: str, group: Sequence[tuple[str, aio_pika.Message]]) -> None:
        """Publish some messages together. Raises UnroutableError or BrokerUnavailableError; some may have been published."""
        try:
            target = await self._exchange(exchange)
            sending = (target.publish(message, key, mandatory=True, timeout=TIMEOUT_SECONDS) for key, message in group)
            answers = await asyncio.gather(*sending, return_exceptions=True)
        except BROKER_ERRORS as error:
            raise BrokerUnavailableError(f"RabbitMQ does not take messages: {error}.") from error
        for (key, message), answer in zip(group, answers, strict=True):
            if isinstance(answer, PublishError):
                raise UnroutableError(f"message {message.message_id} ({key}) would reach no queue of {exchange or 'the broker'}")
        for answer in answers:
            if isinstance(answer, DeliveryError):
                raise BrokerUnavailableError(f"RabbitMQ refused a message (a queue is full or has no leader): {answer}.")
            if isinstance(answer, BROKER_ERRORS):
                await self._drop_channel()
                raise BrokerUnavailableError(f"RabbitMQ did not confirm a message: {answer}.") from answer
            if isinstance(answer, BaseException):
                raise answer

    async def _exchange(self, name: str) -> AbstractExchange:
        if self._publishing is None or self._publishing.is_closed:
            connection = await self.connection()
            async with self._connecting:
                if self._publishing is None or self._publishing.is_closed:
                    self._publishing = await connection.channel(publisher_confirms=True, on_return_raises=True)
                    self._exchanges = {"": self._publishing.default_exchange}
        if name not in self._exchanges:
            self._exchanges[name] = await self._publishing.get_exchange(name, ensure=False)
        return self._exchanges[name]

    async def _drop_channel(self) -> None:
        channel, self._publishing = self._publishing, None
        if channel is not None and not channel.is_closed:
            await channel.close()

    async def consume(self, queue: Queue, handler: Handler, *, prefetch: int = PREFETCH) -> _RabbitConsumer:
        """Start a consumer that comes back by itself when the connection is lost."""
        consumer = _RabbitConsumer(self, queue, handler, prefetch, DeadLetterLimit(self._dead_letter_limit))
        self._consumers.append(consumer)
        return consumer

    async def dead_letters(self, queue: str, limit: int) -> list[DeadLetter]:
        """Show the oldest dead letters; they are taken without acknowledgement and go back in their order."""
        found: list[DeadLetter] = []
        channel = await (await self.connection()).channel()
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

    async def depth(self, queue_name: str) -> int:
        """Return how many messages wait in a queue."""
        channel = await (await self.connection()).channel()
        try:
            declared = await channel.declare_queue(self._prefix + queue_name, passive=True)
            return int(declared.declaration_result.message_count or 0)
        finally:
            await channel.close()

    def complaints(self) -> list[str]:
        """Say what is wrong now: no connection, or lines that stand still."""
        trouble = [self._trouble] if self._trouble else []
        return trouble + [consumer.complaint for consumer in self._consumers if consumer.complaint]

    async def close(self) -> None:
        """End the consumers, then the connection."""
        self._closing = True
        for consumer in list(self._consumers):
            await consumer.close()
        if self._connection is not None and not self._connection.is_closed:
            await self._connection.close()

    def forget(self, consumer: _RabbitConsumer) -> None:
        """Drop a consumer that has ended."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)

    async def connection(self) -> AbstractConnection:
        """Return the open connection, made anew when it was lost. Raises BrokerUnavailableError."""
        async with self._connecting:
            if self._connection is None or self._connection.is_closed:
                try:
                    properties: Any = {"connection_name": self._name}
                    self._connection = await aio_pika.connect(self._url, timeout=TIMEOUT_SECONDS, client_properties=properties)
                except BROKER_ERRORS as error:
                    self._trouble = "RabbitMQ cannot be reached; messages wait in the logs"
                    raise BrokerUnavailableError(f"RabbitMQ cannot be reached: {error}.") from error
                self._trouble = None
            return self._connection


def _dead_letter(queue: str, message: AbstractIncomingMessage) -> DeadLetter:
    headers = message.headers
    limit_sentence = "The message was delivered too often without an answer; the process that handled it died each time."
    return DeadLetter(
        queue=queue,
        message_id=message.message_id or "",
        routing_key=str(headers.get(ORIGIN) or message.routing_key or ""),
        body=message.body,
        code=str(headers.get(CODE) or "delivery_limit"),
        sentence=str(headers.get(SENTENCE) or limit_sentence),
        attempt=_attempt(message),
        died_at=message.timestamp.astimezone(UTC) if isinstance(message.timestamp, datetime) else None,
    )


def _attempt(message: AbstractIncomingMessage) -> int:
    value = message.headers.get(ATTEMPT)
    return value if isinstance(value, int) else 1


class _RabbitConsumer:
    """Hands messages over one by one, in order; a lost connection leaves them to the next delivery."""

    def __init__(self, broker: RabbitBroker, queue: Queue, handler: Handler, prefetch: int, limit: DeadLetterLimit) -> None:
        self._broker = broker
        self._queue = queue
        self._handler = handler
        self._prefetch = prefetch
        self._limit = limit
        self._stopping = asyncio.Event()
        self.complaint: str | None = None
        self._task = asyncio.create_task(self._run(), name=f"consumer of {queue.name}")

    async def close(self) -> None:
        """Let the message in hand finish and be acknowledged; the broker takes the others back."""
        self._stopping.set()
        await asyncio.gather(self._task, return_exceptions=True)
        self._broker.forget(self)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._session()
            except (BrokerUnavailableError, *BROKER_ERRORS) as error:
                log.warning("consumer reconnects", queue=self._queue.name, reason=str(error))
                await _first(self._stopping.wait(), asyncio.sleep(RECONNECT_SECONDS))

    async def _session(self) -> None:
        """Consume over one channel until it is closed or we stop."""
        channel = await (await self._broker.connection()).channel()
        arrived: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()
        channel.close_callbacks.add(lambda *_: arrived.put_nowait(None))
        try:
            await channel.set_qos(prefetch_count=self._prefetch)
            source = await channel.get_queue(self._broker.prefix + self._queue.name, ensure=False)
            await source.consume(arrived.put, no_ack=False)
            stopping = asyncio.ensure_future(self._stopping.wait())
            try:
                while not self._stopping.is_set():
                    if self._limit.reached:
                        self.complaint = self._limit.complaint(self._queue.name)
                        await stopping
                        break
                    getting = asyncio.ensure_future(arrived.get())
                    await asyncio.wait((getting, stopping), return_when=asyncio.FIRST_COMPLETED)
                    if not getting.done():
                        getting.cancel()
                        break
                    message = getting.result()
                    if message is None:
                        raise BrokerUnavailableError("The channel was closed.")
                    await self._handle(message)
            finally:
                stopping.cancel()
        finally:
            if not channel.is_closed:
                await channel.close()

    async def _handle(self, message: AbstractIncomingMessage) -> None:
        origin = str(message.headers.get(ORIGIN) or message.routing_key or "")
        attempt = _attempt(message)
        delivery = Delivery(
            message.body, message.message_id or "", origin, attempt, redelivered=bool(message.redelivered) or attempt > 1
        )
        try:
            await self._handler(delivery)
        except Exception as error:  # noqa: BLE001 - every failure ends in exactly one of retry and dead letter
            await self._after_failure(error, message, delivery)
        else:
            self._limit.handled()
            crash_point("broker.handled")
        await message.ack()

    async def _after_failure(self, error: Exception, message: AbstractIncomingMessage, delivery: Delivery) -> None:
        outcome = after_failure(error, delivery.attempt, self._queue)
        headers = {**message.headers, ORIGIN: delivery.routing_key}
        about = {"queue": self._queue.name, "message_id": delivery.message_id}
        if isinstance(outcome, Bury):
            self._limit.buried()
            log.error("message buried", code=outcome.code, reason=outcome.sentence, **about)
            target = self._queue.dead_letters
            headers |= {CODE: outcome.code, SENTENCE: outcome.sentence, ATTEMPT: delivery.attempt}
        else:
            log.warning("message comes back later", delay_seconds=outcome.delay_seconds, reason=str(error), **about)
            target = self._queue.retry_queue(outcome.delay_seconds)
            headers |= {ATTEMPT: delivery.attempt + 1}
        copy = aio_pika.Message(
            message.body,
            message_id=message.message_id,
            content_type=message.content_type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            timestamp=message.timestamp,
            headers={name: value for name, value in headers.items() if not name.startswith("x-")},
        )
        await self._broker.publish_group("", [(self._broker.prefix + target, copy)])


async def _first(*waiting: Any) -> None:
    tasks = [asyncio.ensure_future(each) for each in waiting]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def remove_prefixed(url: str, prefix: str, topology: Topology) -> None:
    """Delete an installation's queues and exchanges with all they hold; for rehearsals and tests. `prefix` must not be empty."""
    if not prefix:
        raise ValueError("without a prefix this would delete the queues of a real installation")
    connection = await aio_pika.connect(url, timeout=TIMEOUT_SECONDS)
    async with connection:
        channel = await connection.channel()
        for queue in topology.queues:
            retries = (queue.retry_queue(delay) for delay in queue.retry_delays_seconds)
            for name in (queue.name, queue.dead_letters, *retries):
                await channel.queue_delete(prefix + name)
        for name in topology.exchanges:
            await channel.exchange_delete(prefix + name)
