"""`kruispost republish`: what a service said, sent once more from its log; whoever heard it drops it by its inbox."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from backbone import event_log
from backbone.broker import Broker, Outgoing
from backbone.broker_embedded import topic_pattern
from backbone.configuration import load_configuration
from backbone.database import Database, is_away, is_not_migrated, is_refused, schema_of
from backbone.errors import KruispostError, reason_of
from backbone.event_log import START, Recorded
from backbone.migrations import NOT_MIGRATED
from backbone.process import open_broker
from backbone.relay import default_route
from backbone.settings import Settings
from contracts import envelope as wire
from contracts.topology import Queue, Topology, topology

PAGE = 500
NO_LOG = "There is no log in {}; set KRUISPOST_DATA_DIR or KRUISPOST_DATABASE_URL."
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What to send again: of which services, from when to when (by the messages' own time), and to whom; None: everybody."""

    services: Sequence[str]
    first: datetime | None
    last: datetime | None
    consumer: str | None


class RepublishError(KruispostError):
    """Nothing, or not everything, could be sent again."""

    def __init__(self, sentence: str) -> None:
        super().__init__("republish_refused", sentence)


def republish(wanted: Range) -> tuple[dict[str, Any], list[str]]:
    """Send it and return how many messages of each service went out, for JSON and in words. Raises KruispostError."""
    sent = run(_republish(Settings(), wanted))
    return {"republished": sent}, [f"{name}: {count} messages sent again" for name, count in sent.items()]


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Do what reads logs; raises RepublishError for a database that cannot be read."""
    try:
        return asyncio.run(work)
    except Exception as error:
        if not is_away(error) and not isinstance(error, SQLAlchemyError):
            raise
        if is_not_migrated(error) or is_refused(error):
            raise RepublishError(f"A service's database cannot be read: {NOT_MIGRATED} `kruispost doctor` says whose.") from error
        raise RepublishError(f"A database cannot be read ({reason_of(error)}); check its address, then try again.") from error


async def _republish(settings: Settings, wanted: Range) -> dict[str, int]:
    declared = topology(load_configuration(settings.config).divisions)
    queues = queues_of(declared, wanted.consumer)
    broker = open_broker(settings, "console")
    sent: dict[str, int] = {}
    try:
        await broker.declare(declared, waits=False)
        for service in wanted.services:
            if settings.database_url is None and not (settings.data_dir / f"{schema_of(service)}.sqlite").exists():
                continue
            database = Database.open(settings, service)
            try:
                sent[service] = await send_again(database, broker, wanted, queues)
            finally:
                await database.close()
    finally:
        await broker.close()
    if not sent:
        raise RepublishError(NO_LOG.format(settings.data_dir))
    return sent


def queues_of(declared: Topology, consumer: str | None) -> list[Queue] | None:
    """Return the queues of a consumer, None where nobody is named; raises RepublishError for one that does not exist."""
    if consumer is None:
        return None
    queues = [queue for queue in declared.queues if queue.name == consumer or queue.name.startswith(f"{consumer}.")]
    if not queues:
        raise RepublishError(f"There is no consumer {consumer}; `kruispost topology` lists the queues.")
    return queues


async def send_again(database: Database, broker: Broker, wanted: Range, queues: list[Queue] | None) -> int:
    """Send what a service said once more, to these queues or to everybody; returns how many messages went out."""
    position, sent = START, 0
    while True:
        async with database.reading() as connection:
            page = await event_log.read_after(connection, position, PAGE)
        by_exchange: dict[str, list[Outgoing]] = defaultdict(list)
        for exchange, message in _outgoing(page, wanted):
            by_exchange[exchange].append(message)
        for exchange, messages in by_exchange.items():
            if queues is None:
                await broker.publish(exchange, messages)
                sent += len(messages)
            for queue in queues or ():
                fitting = [message for message in messages if is_bound(queue, exchange, message.routing_key)]
                await broker.send(queue.name, fitting)
                sent += len(fitting)
        if len(page) < PAGE:
            return sent
        position = page[-1].position


def _outgoing(page: Sequence[Recorded], wanted: Range) -> Iterator[tuple[str, Outgoing]]:
    for recorded in page:
        envelope = recorded.envelope
        route = default_route(envelope)
        is_early = wanted.first is not None and envelope.time < wanted.first
        if route is None or is_early or (wanted.last is not None and envelope.time > wanted.last):
            continue
        exchange, key = route
        yield exchange, Outgoing(key, wire.encode(envelope), envelope.id, envelope.traceparent)


def is_bound(queue: Queue, exchange: str, key: str) -> bool:
    """Say whether what goes to an exchange under a routing key comes to a queue."""
    return any(each.exchange == exchange and topic_pattern(each.pattern).fullmatch(f".{key}") for each in queue.bindings)
