"""Catching up: what no webhook brought is asked of Chargebee, for any of its callers can suppress webhooks, and some get lost.

The events of a window go through the same store as the webhooks, which drops those that came already. Windows overlap, since
events of one second may show late, and leave the newest minute out. Of what happened before the first start nothing is read:
history is a person's decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import DATABASE_ERRORS, Database
from backbone.errors import reason_of
from backbone.retries import is_set_within
from backbone.telemetry import Telemetry, log
from ingest.events_api import EventsApi, EventsError, ListedEvent
from ingest.received import UnusableEventError, read_event
from ingest.store import EventStore, StoreUnavailableError
from ingest.tables import caught_up

LAG_SECONDS: Final = 60
OVERLAP_SECONDS: Final = 600
KEPT_SECONDS: Final = 90 * 86_400  # Chargebee shows no older events
PAUSE_SECONDS: Final = 60.0  # after a failure for which Chargebee names no wait
AWAY_SECONDS: Final = 5.0  # while the database does not answer
LOCK: Final = "catch-up"


class OutOfOrderError(Exception):
    """Chargebee gave events in another order or range than was asked for, so nothing can be concluded from the page."""


class CatchUp:
    """Asks Chargebee for the events of every site, again and again; of several replicas one asks."""

    def __init__(
        self,
        database: Database,
        store: EventStore,
        api: EventsApi,
        clock: Clock,
        telemetry: Telemetry,
        *,
        sites: Collection[str],
        every_seconds: float,
    ) -> None:
        self._database = database
        self._store = store
        self._api = api
        self._clock = clock
        self._telemetry = telemetry
        self._sites = sites
        self._every_seconds = every_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Look at every site, pause, and look again, until `stop` is set."""
        while not stop.is_set():
            lock = None
            pause = self._every_seconds
            try:
                lock = await self._database.try_lock(LOCK)
                if lock is not None:
                    for site in self._sites:
                        pause = min(pause, await self._look(site))
            except (*DATABASE_ERRORS, StoreUnavailableError) as error:
                log.warning("catching up waits for the database", reason=reason_of(error))
                pause = min(pause, AWAY_SECONDS)
            finally:
                if lock is not None:
                    await lock.release()
            await is_set_within(stop, pause)

    async def _look(self, site: str) -> float:
        """Catch up with one site; returns for how many seconds to pause before the next look."""
        try:
            found = await self.catch_up(site)
        except (EventsError, OutOfOrderError) as error:
            # The door stays open: a Chargebee whose API does not answer may still send webhooks. The gauge tells how far behind.
            log.warning("not caught up with Chargebee", site=site, reason=_reason(error))
            wish = error.retry_after_seconds if isinstance(error, EventsError) else None
            return min(self._every_seconds, PAUSE_SECONDS) if wish is None else wish
        if found:
            self._telemetry.count("events_caught_up", found, site=site)
            log.warning("events came without a webhook", site=site, events=found)
        return self._every_seconds

    async def catch_up(self, site: str) -> int:
        """Store what no webhook brought since the last look; returns how many events. Raises EventsError and OutOfOrderError."""
        before = int(self._now()) - LAG_SECONDS
        async with self._database.transaction() as connection:
            position = await self._position(connection, site, before)
        self._telemetry.gauge("catch_up_behind_seconds", max(0.0, self._now() - position), site=site)
        if before - position > KEPT_SECONDS:
            day = datetime.fromtimestamp(position, UTC).date() - timedelta(days=1)  # the site's own day may begin earlier
            log.error(
                "Chargebee keeps no events that old; documents of that time are fetched by the command",
                site=site,
                command=f"kruispost backfill --from {day} --site {site}",
            )
        after, offset, last, found = position - OVERLAP_SECONDS, None, position - OVERLAP_SECONDS, 0
        while after < before:
            page = await self._api.events(site, after, before, offset)
            for event in page.events:
                if not last <= event.occurred_at < before or event.occurred_at <= after:
                    raise OutOfOrderError(
                        f"event {event.event_id} of {event.occurred_at} does not belong between {last} and {before}"
                    )
                last = event.occurred_at
                found += await self._take(site, event)
            crash_point("ingest.page_caught_up")
            if page.following is None or page.following == offset:
                break
            offset = page.following
            await self._move(site, max(position, last))
        await self._move(site, max(position, before))
        self._telemetry.gauge("catch_up_behind_seconds", max(0.0, self._now() - max(position, before)), site=site)
        return found

    async def _take(self, site: str, event: ListedEvent) -> bool:
        try:
            return await self._store.store(site, read_event(event.body))
        except UnusableEventError as error:
            # A webhook with it would have been refused; it is told here and passed over, since it stands in Chargebee.
            log.error("an event of Chargebee cannot be stored", site=site, event_id=event.event_id, reason=error.sentence)
            return False

    async def _position(self, connection: AsyncConnection, site: str, start: int) -> int:
        """Return up to when the events of a site were looked at; a new site begins now."""
        known = await connection.scalar(sa.select(caught_up.c.position).where(caught_up.c.site == site))
        if known is not None:
            return int(known)
        await connection.execute(
            self._database.insert(caught_up).values(site=site, position=start + OVERLAP_SECONDS).on_conflict_do_nothing()
        )
        return start + OVERLAP_SECONDS

    async def _move(self, site: str, position: int) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(sa.update(caught_up).where(caught_up.c.site == site).values(position=position))

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _reason(error: EventsError | OutOfOrderError) -> str:
    if isinstance(error, EventsError) and error.is_denied:
        return f"{error}; check KRUISPOST_CHARGEBEE_API_KEY and the site's name"
    return str(error)
