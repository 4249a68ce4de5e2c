"""What a service said and a consumer never handled: its logs beside the inboxes, and the command that sends just that again.

RabbitMQ tells nobody that a binding was gone, nor which messages missed a queue for it. The logs and the inboxes do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from aio_pika.exceptions import ChannelNotFoundEntity

from backbone import checkpoints, event_log
from backbone.broker import PREFETCH, Broker
from backbone.clock import SystemClock
from backbone.configuration import load_configuration
from backbone.database import Database, schema_of
from backbone.event_log import Position, Recorded
from backbone.process import open_broker
from backbone.relay import CHECKPOINT, default_route
from backbone.settings import Settings
from backbone.tables import inbox
from console.republish import NO_LOG, PAGE, Range, RepublishError, is_bound, queues_of, run
from contracts.topology import Queue, topology

ON_ITS_WAY_SECONDS: Final = 60.0  # what was said since may not have arrived yet
LOOK_AGAIN_SECONDS: Final = 2.0
MOST_LETTERS: Final = 10_000
WRITER: Final = "exact-writer"


@dataclass(slots=True)
class Unheard:
    """What one queue's service has not handled of what another said."""

    service: str
    queue: str
    times: dict[str, datetime] = field(default_factory=dict)  # by message id
    in_queue: int = 0

    @property
    def count(self) -> int:
        """How many of them are not in the queue either; what a consumer has in hand is in none that can be counted."""
        return len(self.times) - (self.in_queue + PREFETCH if self.in_queue else 0)

    @property
    def first(self) -> datetime:
        """When the first of them was said, down to the second."""
        return min(self.times.values()).replace(microsecond=0)

    @property
    def last(self) -> datetime:
        """When the last of them was said, up to the second."""
        return (max(self.times.values()) + timedelta(seconds=1)).replace(microsecond=0)

    @property
    def command(self) -> str:
        """What sends them again, and little else."""
        return f"kruispost republish {self.service} --to {self.queue} --from {_moment(self.first)} --until {_moment(self.last)}"

    @property
    def sentence(self) -> str:
        """Say it, without the command."""
        return (
            f"{self.count} messages of {self.service} never came to {self.queue}, said between {_moment(self.first)} and "
            f"{_moment(self.last)} (UTC)"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        told = {"service": self.service, "queue": self.queue, "messages": self.count}
        return {**told, "from": _moment(self.first), "until": _moment(self.last), "command": self.command}


def check(wanted: Range) -> tuple[dict[str, Any], list[str]]:
    """Say what never came to whom, for JSON and in words. Raises KruispostError."""
    found = run(unheard(Settings(), wanted))
    lines = [f"{each.sentence}. Send it again: {each.command}" for each in found]
    return {"unheard": [each.as_dict() for each in found]}, lines or ["All that was said came to whom it was for."]


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


async def unheard(settings: Settings, wanted: Range) -> list[Unheard]:
    """Compare the logs of these services with the inboxes of those who should have heard them; nothing is written."""
    declared = topology(load_configuration(settings.config).divisions)
    queues = queues_of(declared, wanted.consumer) or declared.queues
    async with AsyncExitStack() as stack:
        databases = {}
        for service in {*wanted.services, *(queue.owner for queue in queues)}:
            if settings.database_url is not None or (settings.data_dir / f"{schema_of(service)}.sqlite").exists():
                databases[service] = Database.open(settings, service)
                stack.push_async_callback(databases[service].close)
        if not databases.keys() & set(wanted.services):
            raise RepublishError(NO_LOG.format(settings.data_dir))
        broker = open_broker(settings, "console")
        stack.push_async_callback(broker.close)
        readers = [queue for queue in queues if queue.owner in databases]
        # Before the inboxes: what is handled meanwhile then counts as in its queue, and not as missed.
        depths = {queue.name: await _in_queue(broker, queue) for queue in readers}
        begun = {queue.name: await _first_noted(databases[queue.owner], queue) for queue in readers}
        found: list[Unheard] = []
        for service in wanted.services:
            if service in databases:
                found += await _of(databases, service, wanted, readers, begun)
        if found:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        for each in found:
            queue = declared.queue(each.queue)
            heard = await _heard(databases[queue.owner], queue, list(each.times))
            dead = await _dead(broker, queue)
            each.times = {name: time for name, time in each.times.items() if name not in heard | dead}
            each.in_queue = depths[queue.name]
        return [each for each in found if each.count > 0]


async def _in_queue(broker: Broker, queue: Queue) -> int:
    waiting = 0
    for name in queue.names:
        if name != queue.dead_letters:
            with suppress(ChannelNotFoundEntity):  # a queue that is gone has nothing
                waiting += await broker.depth(name)
    return waiting


async def _dead(broker: Broker, queue: Queue) -> set[str]:
    with suppress(ChannelNotFoundEntity):
        return {letter.message_id for letter in await broker.dead_letters(queue.name, MOST_LETTERS)}
    return set()


async def _of(
    databases: dict[str, Database], service: str, wanted: Range, queues: Sequence[Queue], begun: dict[str, datetime | None]
) -> list[Unheard]:
    """Read a log from its end back, and ask each queue's inbox for what should be in it."""
    by_queue = {queue.name: Unheard(service, queue.name) for queue in queues}
    newest = SystemClock().now() - timedelta(seconds=ON_ITS_WAY_SECONDS)
    async with databases[service].reading() as connection:
        published = await checkpoints.read_checkpoint(connection, CHECKPOINT)
    before: Position | None = None
    while True:
        async with databases[service].reading() as connection:
            page = await event_log.read_before(connection, before, PAGE)
        old = [each for each in page if each.envelope.time <= newest and each.position <= published]
        for queue in queues:
            since = max(filter(None, (wanted.first, begun[queue.name])), default=None)
            due = dict(_due(old, queue, since, wanted.last))
            heard = await _heard(databases[queue.owner], queue, list(due))
            by_queue[queue.name].times |= {name: time for name, time in due.items() if name not in heard}
        is_before = wanted.first is not None and all(each.envelope.time < wanted.first for each in page)
        if len(page) < PAGE or is_before:
            return [each for each in by_queue.values() if each.times]
        before = page[-1].position


def _due(
    page: Iterable[Recorded], queue: Queue, since: datetime | None, until: datetime | None
) -> Iterator[tuple[str, datetime]]:
    for recorded in page:
        envelope, route = recorded.envelope, default_route(recorded.envelope)
        is_early = since is not None and envelope.time < since
        is_late = until is not None and envelope.time > until
        if route is not None and not is_early and not is_late and is_bound(queue, *route):
            yield envelope.id, envelope.time


def _noted_as(queue: Queue) -> str:
    """Return the name under which a queue's messages are noted: all of a service, of the writer each division's apart."""
    return queue.name if queue.owner == WRITER else queue.owner


async def _heard(database: Database, queue: Queue, message_ids: list[str]) -> set[str]:
    heard: set[str] = set()
    async with database.reading() as connection:
        for start in range(0, len(message_ids), PAGE):
            where = (inbox.c.consumer == _noted_as(queue), inbox.c.message_id.in_(message_ids[start : start + PAGE]))
            heard |= set((await connection.execute(sa.select(inbox.c.message_id).where(*where))).scalars())
    return heard


async def _first_noted(database: Database, queue: Queue) -> datetime | None:
    """Return when an inbox begins: a database that was lost and made anew has none of what was handled before."""
    async with database.reading() as connection:
        statement = sa.select(sa.func.min(inbox.c.handled_at)).where(inbox.c.consumer == _noted_as(queue))
        moment: datetime | None = await connection.scalar(statement)
    return moment.replace(tzinfo=UTC) if moment is not None else None
