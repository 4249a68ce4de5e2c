"""What becomes of a message whose handling failed, and when a consumer must stop rather than bury everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from backbone.broker import Delivery, Handler
from backbone.errors import Backpressure, Permanent, Transient
from backbone.telemetry import log
from contracts.topology import Queue

PRESSURE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Retry:
    """The message comes back after this delay."""

    delay_seconds: int


@dataclass(frozen=True, slots=True)
class Bury:
    """The message goes to the dead letters with this reason."""

    code: str
    sentence: str


def after_failure(error: Exception, attempt: int, queue: Queue) -> Retry | Bury:
    """Decide by the kind of error: Permanent is buried, Transient always comes back, others as often as there are delays.

    `attempt` is 1 for the first handling. A wanted delay is rounded up to one that the queue has.
    """
    delays = queue.retry_delays_seconds
    if isinstance(error, Permanent):
        return Bury(error.code, error.sentence)
    if isinstance(error, Transient):
        wanted = error.retry_after_seconds
        if wanted is None:
            return Retry(delays[min(attempt, len(delays)) - 1])
        return Retry(next((delay for delay in delays if delay >= wanted), delays[-1]))
    if attempt <= len(delays):
        return Retry(delays[attempt - 1])
    kind = type(error).__name__
    return Bury(
        "handling_failed",
        f"Handling failed {attempt} times, last with {kind}: {error}; mend the cause, then retry the message.",
    )


async def hand_over(
    handler: Handler, delivery: Delivery, stopping: asyncio.Event, complain: Callable[[str | None], None]
) -> bool:
    """Let the handler handle a message, again and again while it meets backpressure, so that the line keeps its order.

    Returns False when it was told to stop meanwhile: the message then stays in its queue. Raises what else the handler raised.
    """
    while True:
        try:
            await handler(delivery)
        except Backpressure as pressure:
            complain(pressure.sentence)
            log.warning("line waits", message_id=delivery.message_id, reason=pressure.sentence)
            seconds = PRESSURE_SECONDS if pressure.retry_after_seconds is None else pressure.retry_after_seconds
            if await is_set_within(stopping, seconds):
                return False
            complain(None)
        else:
            return True


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, at most so long, and say whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True


@dataclass
class DeadLetterLimit:
    """Counts dead letters in a row; past the limit the line stops, since then the fault is ours and not the messages'."""

    limit: int
    tell: Callable[[], None] | None = None
    in_a_row: int = field(default=0)

    def handled(self) -> None:
        """A message was handled: the row is broken."""
        self.in_a_row = 0

    def buried(self) -> None:
        """A message was buried."""
        self.in_a_row += 1
        if self.tell is not None:
            self.tell()

    @property
    def reached(self) -> bool:
        """Whether the consumer must stop."""
        return self.in_a_row >= self.limit

    def complaint(self, queue: str) -> str:
        """Say why the line stands still and what to do."""
        return (
            f"queue {queue} stands still: {self.in_a_row} messages in a row could not be handled; "
            f"look at {queue}.dead, mend the cause and restart the service"
        )
