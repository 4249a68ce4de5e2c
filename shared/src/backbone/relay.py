"""Publishes a service's log to the broker. The log is the outbox: what was committed goes out, sooner or later, at least once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from backbone import checkpoints, event_log
from backbone.broker import Broker, Outgoing
from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import Database
from backbone.errors import BrokerUnavailableError, UnroutableError
from backbone.event_log import Recorded
from backbone.locks import FileLock, SessionLock
from backbone.telemetry import Telemetry, log
from contracts import envelope as wire
from contracts.envelope import Envelope
from contracts.messages import COMMAND_TYPES, FACT_TYPES
from contracts.topology import COMMANDS_EXCHANGE, FACTS_EXCHANGE, command_routing_key, fact_routing_key

CHECKPOINT = "relay"
BATCH = 500
POLL_SECONDS = 0.25
LOCK_RETRY_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
Route = tuple[str, str]


def default_route(envelope: Envelope) -> Route | None:
    """Say where a message goes: facts and commands to their exchange, everything else stays inside the service."""
    if envelope.type in FACT_TYPES:
        return FACTS_EXCHANGE, fact_routing_key(envelope.type, envelope.key)
    if envelope.type in COMMAND_TYPES:
        return COMMANDS_EXCHANGE, command_routing_key(envelope.type, int(envelope.key))
    return None


class Relay:
    """Reads after its checkpoint, publishes with confirms, then moves the checkpoint.

    One relay a service acts at a time, by a lock; the others stand by. A crash between the confirm and the checkpoint repeats
    messages, which the consumers' inboxes drop.
    """

    def __init__(
        self,
        database: Database,
        broker: Broker,
        clock: Clock,
        *,
        routes: Callable[[Envelope], Route | None] = default_route,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._database = database
        self._broker = broker
        self._clock = clock
        self._routes = routes
        self._telemetry = telemetry or Telemetry()
        self._woken = asyncio.Event()
        self._complaint: str | None = None

    def wake(self) -> None:
        """Say that something was committed, so that it goes out now rather than at the next poll."""
        self._woken.set()

    async def ready(self) -> str | None:
        """Return what keeps messages from going out, or None."""
        return self._complaint

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop` is set; waits out a broker or database that is away."""
        pause_seconds = POLL_SECONDS
        lock: SessionLock | FileLock | None = None
        try:
            while not stop.is_set():
                try:
                    if lock is None or not await lock.still_held():
                        lock = await self._database.try_lock(CHECKPOINT)
                    if lock is None:
                        await self._pause(stop, LOCK_RETRY_SECONDS)
                        continue
                    while await self.publish_batch() == BATCH and not stop.is_set():
                        pass
                    pause_seconds, self._complaint = POLL_SECONDS, None
                except (BrokerUnavailableError, UnroutableError, SQLAlchemyError, OSError) as error:
                    self._telemetry.count("relay_failures", service=self._database.service)
                    self._complaint = f"messages of {self._database.service} cannot be published: {error}"
                    log.warning("relay waits", service=self._database.service, reason=str(error), pause_seconds=pause_seconds)
                    pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)
                await self._pause(stop, pause_seconds)
        finally:
            if lock is not None:
                await lock.release()

    async def publish_batch(self) -> int:
        """Publish one batch and return how many messages of the log it went past.

        Raises BrokerUnavailableError or UnroutableError; the checkpoint then stays where it is.
        """
        started = self._clock.monotonic()
        self._woken.clear()
        async with self._database.reading() as connection:
            position = await checkpoints.read_checkpoint(connection, CHECKPOINT)
            recorded = await event_log.read_after(connection, position, BATCH)
        if not recorded:
            return 0
        published = await self._publish(recorded)
        crash_point("relay.published")
        async with self._database.transaction() as connection:
            await checkpoints.write_checkpoint(connection, CHECKPOINT, recorded[-1].position)
        service = self._database.service
        self._telemetry.count("messages_published", published, service=service)
        self._telemetry.gauge("relay_backlog", float(len(recorded) == BATCH), service=service)
        self._telemetry.observe("relay_seconds", self._clock.monotonic() - started, service=service)
        return len(recorded)

    async def _publish(self, recorded: Sequence[Recorded]) -> int:
        # Exchanges carry different kinds of messages to different queues, so the order between them does not matter.
        outgoing: dict[str, list[Outgoing]] = defaultdict(list)
        for row in recorded:
            route = self._routes(row.envelope)
            if route is None:
                continue
            exchange, routing_key = route
            body = wire.encode(row.envelope)
            outgoing[exchange].append(Outgoing(routing_key, body, row.envelope.id, row.envelope.traceparent))
        for exchange, messages in outgoing.items():
            await self._broker.publish(exchange, messages)
        return sum(len(messages) for messages in outgoing.values())

    async def _pause(self, stop: asyncio.Event, seconds: float) -> None:
        """Wait for wake(), for `stop`, or for the time to pass."""
        waiting = [asyncio.ensure_future(self._woken.wait()), asyncio.ensure_future(stop.wait())]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
