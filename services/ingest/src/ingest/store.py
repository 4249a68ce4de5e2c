"""Stores raw events: concurrent webhooks share one transaction, and each is answered after that transaction committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from backbone import event_log
from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import Database, is_away
from backbone.errors import reason_of
from backbone.telemetry import log
from contracts.envelope import Envelope, derived_id
from ingest.received import ReceivedEvent
from ingest.translate import EVENT_RECEIVED, SOURCE

LARGEST_GROUP = 256
FLUSH_SECONDS = 15.0  # Chargebee stops waiting for an answer after 20 seconds


class StoreUnavailableError(Exception):
    """The database did not take the event; nothing was acknowledged, so Chargebee delivers it again."""


@dataclass
class _Waiting:
    """One event on its way to the log, and everybody who delivered it in the meantime."""

    envelope: Envelope
    answers: list[asyncio.Future[bool]] = field(default_factory=list)


class EventStore:
    """Appends raw events to the log of ingest, each once: its stream is unique on site and event id."""

    def __init__(self, database: Database, clock: Clock, *, stored: Callable[[], None]) -> None:
        """Store into `database`; `stored` is called after each commit, to wake who reads the log."""
        self._database = database
        self._clock = clock
        self._stored = stored
        self._waiting: dict[str, _Waiting] = {}
        self._flush: asyncio.Task[None] | None = None

    async def store(self, site: str, event: ReceivedEvent, traceparent: str | None = None) -> bool:
        """Return after the commit: True for a new event, False for one that was stored before.

        Raises StoreUnavailableError when the database did not take it.
        """
        stream = f"chargebee-event/{site}/{event.event_id}"
        waiting = self._waiting.get(stream)
        if waiting is None:
            waiting = self._waiting[stream] = _Waiting(self._envelope(site, event, traceparent))
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiting.answers.append(answer)
        if self._flush is None:
            self._flush = asyncio.create_task(self._flush_all())
        return await answer

    def _envelope(self, site: str, event: ReceivedEvent, traceparent: str | None) -> Envelope:
        identity = derived_id("chargebee.event", site, event.event_id)
        return Envelope(
            id=identity,
            type=EVENT_RECEIVED,
            version=1,
            source=SOURCE,
            subject=f"{site}/event/{event.event_id}",
            time=self._clock.now(),
            key=f"{site}/{event.event_id}",
            correlation=identity,
            traceparent=traceparent,
            data=msgspec.Raw(event.body),
        )

    async def _flush_all(self) -> None:
        """Commit group after group until nobody waits; requests that arrive during a commit form the next group."""
        try:
            while self._waiting:
                streams = list(self._waiting)[:LARGEST_GROUP]
                await self._flush_group({stream: self._waiting.pop(stream) for stream in streams})
        finally:
            self._flush = None
            _refuse(self._waiting.values())  # none are left unless this task was cancelled
            self._waiting.clear()

    async def _flush_group(self, group: dict[str, _Waiting]) -> None:
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                fresh = await event_log.append_new_alone(
                    self._database, [(stream, one.envelope) for stream, one in group.items()]
                )
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody may be told 200; every waiter is told to deliver again
            if is_away(error):
                log.warning("webhooks_not_stored", events=len(group), reason=reason_of(error))
            else:
                log.exception("webhooks_not_stored", events=len(group))
            _refuse(group.values())
            return
        except asyncio.CancelledError:
            _refuse(group.values())
            raise
        crash_point("ingest.event_committed")
        for one, is_new in zip(group.values(), fresh, strict=True):
            for position, answer in enumerate(one.answers):
                if not answer.done():
                    answer.set_result(is_new and position == 0)
        self._stored()


def _refuse(group: Iterable[_Waiting]) -> None:
    for one in group:
        for answer in one.answers:
            if not answer.done():
                answer.set_exception(StoreUnavailableError("the event could not be stored"))
