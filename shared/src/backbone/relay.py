"""Publishes a service's log to the broker. The log is the outbox: what was committed goes out, sooner or later, at least once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

from backbone import checkpoints, event_log
from backbone.broker import Broker, Outgoing
from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import Database, is_away
from backbone.errors import BrokerUnavailableError, KruispostError, UnroutableError, reason_of
from backbone.event_log import Recorded
from backbone.held_back import HeldBack
from backbone.locks import FileLock, SessionLock
from backbone.retries import is_set_within
from backbone.telemetry import Telemetry, log
from contracts import envelope as wire
from contracts.envelope import Envelope
from contracts.messages import COMMAND_TYPES, FACT_TYPES
from contracts.topology import COMMANDS_EXCHANGE, FACTS_EXCHANGE, command_routing_key, fact_routing_key

CHECKPOINT = "relay"
BATCH = 500
POLL_SECONDS = 0.25
LOCK_RETRY_SECONDS = 1.0
# What was just committed becomes readable when the transactions before it have ended, which takes them some milliseconds: after
# a wake-up that finds nothing, the relay looks again soon rather than at the next poll.
LOOK_AGAIN_SECONDS = (0.005, 0.01, 0.02, 0.04)
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
        self._held_back = HeldBack(database, CHECKPOINT, clock, self._telemetry)
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
        failures = 0
        lock: SessionLock | FileLock | None = None
        try:
            while not stop.is_set():
                try:
                    lock = await self._held(lock)
                    if lock is None:
                        await is_set_within(stop, LOCK_RETRY_SECONDS)
                        continue
                    await self._publish_all(stop)
                    await self._held_back.look()
                except Exception as error:
                    if not isinstance(error, (BrokerUnavailableError, UnroutableError)) and not is_away(error):
                        raise
                    if lock is not None:
                        # It may be only this process that is cut off.
                        await lock.release()
                        lock = None
                    await self._wait_out(error, failures, stop)
                    failures += 1
                else:
                    failures, self._complaint = 0, None
                    await self._pause(stop, POLL_SECONDS)
        finally:
            if lock is not None:
                await lock.release()

    async def _held(self, lock: SessionLock | FileLock | None) -> SessionLock | FileLock | None:
        """Return the lock while this process has it, else try to take it anew."""
        if lock is not None:
            if await lock.still_held():
                return lock
            await lock.release()
        return await self._database.try_lock(CHECKPOINT)

    async def _publish_all(self, stop: asyncio.Event) -> None:
        woken = self._woken.is_set()
        published = 0
        while not stop.is_set():
            count = await self.publish_batch()
            published += count
            if count < BATCH:
                break
        if not woken or published:
            return
        for seconds in LOOK_AGAIN_SECONDS:
            await is_set_within(self._woken, seconds)
            if stop.is_set() or await self.publish_batch():
                return

    async def _wait_out(self, error: Exception, failures: int, stop: asyncio.Event) -> None:
        """Wait before the next try, longer each time; new messages do not shorten it."""
        seconds = min(POLL_SECONDS * 2 ** min(failures, 10), LONGEST_PAUSE_SECONDS)
        service = self._database.service
        self._telemetry.count("relay_failures", service=service)
        reason = error.sentence if isinstance(error, KruispostError) else f"the database does not answer ({reason_of(error)})"
        self._complaint = f"messages of {service} wait to be published: {reason}"
        log.warning("relay waits", service=service, reason=reason, pause_seconds=seconds)
        await is_set_within(stop, seconds)

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
