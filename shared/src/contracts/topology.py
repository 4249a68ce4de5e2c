"""Every exchange, queue and binding, as data. Services declare from it; nothing is declared anywhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

FACTS_EXCHANGE = "kruispost.facts"
COMMANDS_EXCHANGE = "kruispost.commands"
PARCELS_EXCHANGE = "kruispost.parcels"

# Who publishes to an exchange; the first of them makes it where each service may make only what is its own.
PUBLISHERS: dict[str, tuple[str, ...]] = {
    FACTS_EXCHANGE: ("ingest", "mapper", "exact-writer", "payment-matcher"),
    COMMANDS_EXCHANGE: ("mapper",),
    PARCELS_EXCHANGE: ("ingest",),
}

MAPPER_PARTITIONS = 4
RETRY_DELAYS_SECONDS = (1, 5, 30, 300)
DELIVERY_LIMIT = 20


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """A topic pattern on an exchange (`*` one word, `#` any number of words)."""

    exchange: str
    pattern: str


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A durable quorum queue with its delayed retry queues and its dead-letter queue.

    `owner` is the service that reads it. `single_active` means that one consumer at a time gets the messages, in order; the
    others stand by.
    """

    name: str
    owner: str
    bindings: tuple[Binding, ...]
    single_active: bool
    retry_delays_seconds: tuple[int, ...] = RETRY_DELAYS_SECONDS
    delivery_limit: int = DELIVERY_LIMIT

    @property
    def dead_letters(self) -> str:
        """The queue for messages that no retry can help, where people see them."""
        return f"{self.name}.dead"

    @property
    def returns(self) -> str:
        """The exchange by which its service puts a message of it off or aside: a name of one of its queues is the routing key."""
        return f"kruispost.returns.{self.owner}"

    @property
    def names(self) -> tuple[str, ...]:
        """The queue itself, and those beside it."""
        return self.name, self.dead_letters, *map(self.retry_queue, self.retry_delays_seconds)

    def retry_queue(self, delay_seconds: int) -> str:
        """The queue in which a message waits `delay_seconds` before it comes back."""
        return f"{self.name}.retry.{delay_seconds}s"


class Topology(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, for one installation."""

    exchanges: tuple[str, ...]
    queues: tuple[Queue, ...]

    def queue(self, name: str) -> Queue:
        """Find a queue; raises KeyError for a name that is not declared here."""
        for queue in self.queues:
            if queue.name == name:
                return queue
        raise KeyError(name)

    def own(self, service: str) -> Topology:
        """The part that a service makes: the queues that it reads, and the exchanges that it is the first to publish to."""
        exchanges = tuple(name for name in self.exchanges if PUBLISHERS.get(name, ("",))[0] == service)
        return Topology(exchanges=exchanges, queues=tuple(queue for queue in self.queues if queue.owner == service))


def partition(key: str, partitions: int = MAPPER_PARTITIONS) -> int:
    """Return the partition of an ordering key; stable across processes and releases."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big") % partitions


def fact_routing_key(message_type: str, key: str) -> str:
    """A fact goes out as `type.partition`, so that queues can be bound by type and by partition."""
    return f"{message_type}.{partition(key)}"


def command_routing_key(message_type: str, division: int) -> str:
    """A command goes out as `type.division`: one queue a division, since one writer may act in it."""
    return f"{message_type}.{division}"


def parcel_routing_key(message_type: str, division: int) -> str:
    """A parcel goes to the writer of its division and to nobody else: it is large, or worth nothing to others."""
    return f"{message_type}.{division}"


def mapper_queue(number: int) -> str:
    """The mapper's queue of one partition."""
    return f"mapper.{number}"


def writer_queue(division: int) -> str:
    """The writer's queue of one division."""
    return f"exact-writer.{division}"


def parcels_queue(division: int) -> str:
    """The writer's queue of what comes past the logs in one division: PDFs that it asked for, hints that something changed."""
    return f"exact-writer-parcels.{division}"


INGEST_QUEUE = "ingest"
MATCHER_QUEUE = "payment-matcher"
CONSOLE_QUEUE = "console"


def topology(divisions: Iterable[int]) -> Topology:
    """Build the topology of an installation that books into these divisions."""

    def facts(*patterns: str) -> tuple[Binding, ...]:
        return tuple(Binding(exchange=FACTS_EXCHANGE, pattern=pattern) for pattern in patterns)

    mapper = [
        Queue(
            name=mapper_queue(number),
            owner="mapper",
            single_active=True,
            bindings=facts(
                f"chargebee.*.observed.{number}",
                f"exact.account.*.{number}",
                f"exact.entry.*.{number}",
                f"exact.period.observed.{number}",
                f"matcher.payment.recorded.{number}",
            ),
        )
        for number in range(MAPPER_PARTITIONS)
    ]
    writers = [
        Queue(
            name=writer_queue(division),
            owner="exact-writer",
            single_active=True,
            bindings=(Binding(exchange=COMMANDS_EXCHANGE, pattern=f"exact.*.*.{division}"),),
        )
        for division in sorted(set(divisions))
    ]
    parcels = [
        Queue(
            name=parcels_queue(division),
            owner="exact-writer",
            single_active=True,
            bindings=tuple(
                Binding(exchange=PARCELS_EXCHANGE, pattern=f"{parcel}.{division}")
                for parcel in ("chargebee.pdf.fetched", "exact.change.hinted")
            ),
        )
        for division in sorted(set(divisions))
    ]
    ingest = Queue(name=INGEST_QUEUE, owner=INGEST_QUEUE, single_active=True, bindings=facts("exact.pdf.wanted.*"))
    matcher = Queue(
        name=MATCHER_QUEUE,
        owner=MATCHER_QUEUE,
        single_active=True,
        bindings=facts(
            "chargebee.credit_note.observed.*",
            "chargebee.customer.observed.*",
            "chargebee.invoice.observed.*",
            "chargebee.transaction.observed.*",
            "exact.entry.posted.*",
            "exact.receivable.observed.*",
            "exact.account.saved.*",
            "exact.bank_line.observed.*",
        ),
    )
    everything = tuple(Binding(exchange=exchange, pattern="#") for exchange in (FACTS_EXCHANGE, COMMANDS_EXCHANGE))
    console = Queue(name=CONSOLE_QUEUE, owner=CONSOLE_QUEUE, single_active=True, bindings=everything)
    exchanges = (FACTS_EXCHANGE, COMMANDS_EXCHANGE, PARCELS_EXCHANGE)
    return Topology(exchanges=exchanges, queues=(*mapper, *writers, *parcels, ingest, matcher, console))
