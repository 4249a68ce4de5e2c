"""A consumer on RabbitMQ. A lost connection leaves a message to its next delivery, and the inbox drops it if it was handled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError
from aiormq.exceptions import ChannelInvalidStateError, ChannelNotFoundEntity, ConnectionInternalError

from backbone.broker import Delivery, Handler
from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.errors import BrokerUnavailableError, reason_of
from backbone.retries import Bury, DeadLetterLimit, Retry, after_failure, hand_over, is_set_within
from backbone.telemetry import log
from contracts.topology import Queue

RECONNECT_SECONDS = 1.0
# RabbitMQ refuses a queue without a leader by closing the whole connection, and every other queue of the process with it. Tried
# each second, it left those no second in which to hand a message over.
MOST_REFUSALS = 5  # that are counted: each doubles the pause
# What RabbitMQ says of what is not there. It answers NOT_FOUND also for a queue that it has, with its messages, and cannot
# reach: "home node ... is down or inaccessible", "process is stopped by supervisor", "has crashed and failed to restart".
ABSENT = ("NOT_FOUND - no queue", "NOT_FOUND - no exchange")
# RabbitMQ counts a delivery for every message that was in hand when a process died, so that all that stood behind one which kills
# its process would be dead letters together with it. So the one that was the first in hand after so many is put aside by us.
SUSPECT_DELIVERIES = 3
KILLS_SENTENCE = "The message was delivered too often without an answer; the process that handled it died each time."
ATTEMPT, CODE, SENTENCE, ORIGIN = "kruispost-attempt", "kruispost-code", "kruispost-sentence", "kruispost-routing-key"
BROKER_ERRORS = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError, asyncio.InvalidStateError)


def is_broker_error(error: BaseException) -> bool:
    """Whether the broker or the way to it failed. The library tells some losses by a bare Exception, others by a RuntimeError."""
    return isinstance(error, BROKER_ERRORS) or type(error) in (Exception, RuntimeError)


def is_absent(error: ChannelNotFoundEntity) -> bool:
    """Whether RabbitMQ does not have it, rather than that it cannot reach it."""
    return any(words in str(error) for words in ABSENT)


@asynccontextmanager
async def losses_told() -> AsyncIterator[None]:
    """Raise BrokerUnavailableError where the library cancels what waits on a connection that it lost; our own ending stays one.

    A worker that was cancelled so would end, and nobody would notice.
    """
    task = asyncio.current_task()
    asked = 0 if task is None else task.cancelling()
    try:
        yield
    except asyncio.CancelledError as error:
        if task is None or task.cancelling() > asked:
            raise
        raise BrokerUnavailableError("The connection to RabbitMQ was lost.") from error


class Publisher(Protocol):
    """What a consumer needs of its broker."""

    @property
    def prefix(self) -> str:
        """What every name of this installation begins with."""
        ...

    async def open_channel(self) -> AbstractChannel:
        """Open a channel on a connection made anew when it was lost."""
        ...

    async def publish_group(self, exchange: str, group: Sequence[tuple[str, aio_pika.Message]]) -> None:
        """Publish with confirms."""
        ...

    def doubt(self) -> None:
        """See that all that was declared is still there."""
        ...

    def forget(self, consumer: RabbitConsumer) -> None:
        """Drop a consumer that has ended."""
        ...


class RabbitConsumer:
    """Hands messages over one by one, in order, and comes back by itself when the connection was lost."""

    def __init__(
        self, broker: Publisher, queue: Queue, handler: Handler, prefetch: int, clock: Clock, limit: DeadLetterLimit
    ) -> None:
        self._broker = broker
        self._queue = queue
        self._handler = handler
        self._prefetch = prefetch
        self._clock = clock
        self._limit = limit
        self._stopping = asyncio.Event()
        self.complaint: str | None = None
        self._refusals = 0
        self._task = asyncio.create_task(self._run(), name=f"consumer of {queue.name}")

    async def close(self) -> None:
        """Let the message in hand finish and be acknowledged; the broker takes the others back."""
        self._stopping.set()
        await asyncio.gather(self._task, return_exceptions=True)
        self._broker.forget(self)

    async def _run(self) -> None:
        task = asyncio.current_task()
        while not self._stopping.is_set():
            try:
                await self._session()
            except asyncio.CancelledError:
                # The client library cancels what waits on a connection that it lost; only our own ending is an ending.
                if task is None or task.cancelling():
                    raise
                log.warning("consumer reconnects", queue=self._queue.name, reason="the connection was lost")
            except ChannelNotFoundEntity as error:
                log.warning("consumer reconnects", queue=self._queue.name, reason=reason_of(error))
                self._broker.doubt()
                if is_absent(error):
                    self.complaint = f"queue {self._queue.name} is gone from RabbitMQ"
                else:
                    self.complaint = (
                        f"queue {self._queue.name} is out of RabbitMQ's reach, with all that is in it: {reason_of(error)}"
                    )
            except ConnectionInternalError as error:  # RabbitMQ's way to refuse a queue without a leader
                log.warning("consumer reconnects", queue=self._queue.name, reason=reason_of(error))
                self.complaint = f"RabbitMQ cannot serve queue {self._queue.name}; its log says why"
                self._refusals = min(MOST_REFUSALS, self._refusals + 1)
            except (BrokerUnavailableError, *BROKER_ERRORS) as error:
                log.warning("consumer reconnects", queue=self._queue.name, reason=reason_of(error))
            except Exception:  # noqa: BLE001 - a consumer that ended here would let its queue fill up in silence
                log.exception("consumer reconnects", queue=self._queue.name)
            await is_set_within(self._stopping, RECONNECT_SECONDS * 2**self._refusals)

    async def _session(self) -> None:
        """Consume over one channel until it is closed or we stop."""
        channel = await self._broker.open_channel()
        arrived: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()
        channel.close_callbacks.add(lambda *_: arrived.put_nowait(None))
        # Losing a queue ends the subscription, not the channel.
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(lambda *_: arrived.put_nowait(None))
        try:
            await channel.set_qos(prefetch_count=self._prefetch)
            source = await channel.get_queue(self._broker.prefix + self._queue.name, ensure=False)
            await source.consume(arrived.put, no_ack=False)
            self.complaint, self._refusals = None, 0
            is_first = True
            while (message := await self._next(arrived)) is not None:
                if is_first and _deliveries_of(message) >= SUSPECT_DELIVERIES:
                    await self._put_aside(message)
                else:
                    await self._handle(message)
                is_first = False
                if self._limit.reached:
                    # The channel stays open, with its messages in hand: no other consumer may run into the same wall.
                    self.complaint = self._limit.complaint(self._queue.name)
                    await self._stopping.wait()
        finally:
            if not channel.is_closed:
                await channel.close()

    async def _next(self, arrived: asyncio.Queue[AbstractIncomingMessage | None]) -> AbstractIncomingMessage | None:
        """Return the next message, or None when we stop; raises BrokerUnavailableError when the subscription ended."""
        getting = asyncio.ensure_future(arrived.get())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((getting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                return None
            message = getting.result()
        finally:
            getting.cancel()
            stopping.cancel()
        if message is None:
            raise BrokerUnavailableError("The subscription ended.")
        return message

    async def _handle(self, message: AbstractIncomingMessage) -> None:
        origin = str(message.headers.get(ORIGIN) or message.routing_key or "")
        attempt = attempt_of(message)
        redelivered = bool(message.redelivered) or attempt > 1
        delivery = Delivery(message.body, message.message_id or "", origin, attempt, redelivered=redelivered)
        try:
            handled = await hand_over(self._handler, delivery, self._stopping, self._complain)
        except Exception as error:  # noqa: BLE001 - every failure ends in exactly one of retry and dead letter
            await self._after_failure(error, message, delivery)
        else:
            if not handled:
                return  # not acknowledged: it goes back when the channel closes
            self._limit.handled()
            crash_point("broker.handled")
        await message.ack()

    def _complain(self, sentence: str | None) -> None:
        self.complaint = None if sentence is None else f"queue {self._queue.name} waits: {sentence}"

    async def _put_aside(self, message: AbstractIncomingMessage) -> None:
        """Let a message go behind the others over which processes died again and again, and in the end to the dead letters."""
        delays, attempt = self._queue.retry_delays_seconds, attempt_of(message)
        if attempt > len(delays):
            await self._move(message, Bury("delivery_limit", KILLS_SENTENCE), KILLS_SENTENCE)
        else:
            await self._move(message, Retry(delays[attempt - 1]), "processes died, or lost RabbitMQ, while they had it in hand")
        await message.ack()

    async def _after_failure(self, error: Exception, message: AbstractIncomingMessage, delivery: Delivery) -> None:
        await self._move(message, after_failure(error, delivery.attempt, self._queue), reason_of(error))

    async def _move(self, message: AbstractIncomingMessage, outcome: Retry | Bury, reason: str) -> None:
        """Publish a message to where it belongs now."""
        attempt = attempt_of(message)
        headers: dict[str, Any] = {**message.headers, ORIGIN: str(message.headers.get(ORIGIN) or message.routing_key or "")}
        about = {"queue": self._queue.name, "message_id": message.message_id or ""}
        timestamp = message.timestamp
        if isinstance(outcome, Bury):
            self._limit.buried()
            log.error("message buried", code=outcome.code, reason=outcome.sentence, **about)
            target = self._queue.dead_letters
            headers |= {CODE: outcome.code, SENTENCE: outcome.sentence, ATTEMPT: attempt}
            timestamp = self._clock.now()
        else:
            log.warning("message comes back later", delay_seconds=outcome.delay_seconds, reason=reason, **about)
            target = self._queue.retry_queue(outcome.delay_seconds)
            headers |= {ATTEMPT: attempt + 1}
        copy = aio_pika.Message(
            message.body,
            message_id=message.message_id,
            content_type=message.content_type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            timestamp=timestamp,
            headers={name: value for name, value in headers.items() if not name.startswith("x-")},
        )
        await self._broker.publish_group(self._broker.prefix + self._queue.returns, [(self._broker.prefix + target, copy)])


def attempt_of(message: AbstractIncomingMessage) -> int:
    """Return which attempt a delivery is, 1 for a message that was never retried."""
    value = message.headers.get(ATTEMPT)
    return value if isinstance(value, int) else 1


def _deliveries_of(message: AbstractIncomingMessage) -> int:
    """How often it was delivered before without an answer, as the queue counts it."""
    value = message.headers.get("x-delivery-count")
    return value if isinstance(value, int) else 0
