"""The port to the message broker. Two engines stand behind it: RabbitMQ, and the embedded one in SQLite."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contracts.topology import Queue, Topology

PREFETCH = 50


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way out."""

    routing_key: str
    body: bytes
    message_id: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as a consumer gets it. `attempt` is 1 at first and grows with each delayed retry."""

    body: bytes
    message_id: str
    routing_key: str
    attempt: int
    redelivered: bool


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that no retry could help, with the reason: a stable `code` and a `sentence` for people."""

    queue: str
    message_id: str
    routing_key: str
    body: bytes
    code: str
    sentence: str
    attempt: int
    died_at: datetime | None


Handler = Callable[[Delivery], Awaitable[None]]


class Consumer(Protocol):
    """A running subscription."""

    async def close(self) -> None:
        """Take no new message, let the one in hand finish, and give the others back."""
        ...


class Broker(Protocol):
    """What a service asks of a message broker. Delivery is at least once: consumers keep an inbox."""

    async def declare(self, topology: Topology, *, waits: bool = True) -> None:
        """Create what is not there yet. Waits for the broker when it cannot be reached, or raises BrokerUnavailableError."""
        ...

    async def publish(self, exchange: str, messages: Sequence[Outgoing]) -> None:
        """Publish; returns when the broker has every message on disk.

        Raises UnroutableError when a message would reach no queue, BrokerUnavailableError when the broker cannot be reached or
        does not confirm; some of the messages may then have been published.
        """
        ...

    async def send(self, queue_name: str, messages: Sequence[Outgoing]) -> None:
        """Put messages into one queue and no other, whatever it is bound to; raises what publish() raises."""
        ...

    async def consume(
        self, queue: Queue, handler: Handler, *, prefetch: int = PREFETCH, buried: Callable[[], None] | None = None
    ) -> Consumer:
        """Hand the messages of a queue to `handler`, one after the other, in order.

        A handler that returns has its message acknowledged. Transient: the message comes back after a delay. Permanent: it goes
        to the dead letters. Any other error is logged and retried as often as the queue has delays, then it goes to the dead
        letters as well. `buried` is called for each that goes there, whoever decided so.
        """
        ...

    async def dead_letters(self, queue: str, limit: int) -> list[DeadLetter]:
        """Show the oldest dead letters of a queue; they stay where they are."""
        ...

    async def requeue(self, queue: str, message_ids: Collection[str] | None = None) -> list[str]:
        """Put dead letters back into their queue, behind what waits there; all of them or those named. Return their message ids.

        Each is in the queue before it leaves the dead letters, so a crash in between leaves it in both, which an inbox drops.
        """
        ...

    async def depth(self, queue_name: str) -> int:
        """Return how many messages wait in a queue (also a retry or dead-letter queue)."""
        ...

    @property
    def is_away(self) -> bool:
        """Whether it could not be reached when that was last tried."""
        ...

    def complaints(self) -> list[str]:
        """Say what is wrong now, for the readiness answer: no connection, a stopped line."""
        ...

    async def close(self) -> None:
        """End the consumers, then the connection."""
        ...
