"""`kruispost backfill`: documents of the past, listed at Chargebee and stored as events, so that they take the way of webhooks.

For what lies before the first start or further back than Chargebee's events reach (90 days), and for an ingest that lost its
database. What is known already is dropped by its id and version. How far it is, is kept after each page: a run that was paused,
broken off or killed goes on there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date
from typing import Any, Final, Protocol

import msgspec
import sqlalchemy as sa

from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import Database
from backbone.errors import KruispostError
from contracts.envelope import derived_id
from ingest.backfill_progress import Count, Place, Progress, Range
from ingest.events_api import EventsError
from ingest.received import UnusableEventError, read_event
from ingest.store import EventStore
from ingest.tables import resource_versions

EVENT_TYPE: Final = "backfilled"
# What documents refer to goes first, and all of it: an old document may name a customer who was made much earlier or later.
MASTER_DATA: Final = ("customer", "item", "item_price", "plan", "addon", "subscription")
DOCUMENTS: Final = ("invoice", "credit_note", "transaction")
DELETABLE: Final = frozenset({"customer", "subscription", *DOCUMENTS})
TRIES: Final = 8
PAUSE_SECONDS: Final = 5.0
UNKNOWN_PAGE: Final = ("param_wrong_value", "invalid_request")


class BackfillError(KruispostError):
    """The past cannot be fetched; the message says why and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__("backfill_impossible", sentence)


class UnknownPageError(Exception):
    """Chargebee does not take an offset that it gave earlier."""


class ListsApi(Protocol):
    """What a backfill needs of Chargebee."""

    async def resources(
        self, site: str, kind: str, params: dict[str, Any], offset: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of resources and what asks for the next one; raises EventsError."""


class Backfill:
    """Lists the past of sites and stores it, or only counts it."""

    def __init__(self, database: Database, api: ListsApi, clock: Clock) -> None:
        self._database = database
        self._api = api
        self._clock = clock
        self._store = EventStore(database, clock, stored=lambda: None)

    async def run(
        self,
        site: str,
        after: int,
        before: int,
        *,
        store: bool,
        last: date | None = None,
        listed: Callable[[Count, int], None] = lambda _count, _position: None,
    ) -> list[Count]:
        """Go through a site's master data, and its documents dated from `after` to just before `before` (unix seconds).

        What is stored goes on where the same range was left. `listed` is told each page, with the date up to which it came.
        Raises BackfillError, PausedError, and StoreUnavailableError when the database does not take what was listed.
        """
        progress = Progress(self._database, self._clock, site)
        wanted = Range(after=after, before=before, last=last)
        chosen = await progress.take_up(wanted) if store else wanted
        counts = []
        for kind in (*MASTER_DATA, *DOCUMENTS):
            start = Place(count=Count(site=site, kind=kind), next_page=None, position=chosen.after, is_done=False)
            place = await progress.place(kind, chosen.after) if store else start
            count = place.count
            if place.is_done:
                counts.append(count)
                continue
            async for rows, following, position in self._pages(site, kind, chosen, place):
                count.listed += len(rows)
                fresh = await self._fresh(site, kind, rows)
                listed(count, position)
                if not store:
                    count.new += len(fresh)
                    continue
                outcomes = await asyncio.gather(*(self._take(site, kind, row) for row in fresh))
                count.new += outcomes.count(True)
                count.unusable += outcomes.count(None)
                crash_point("ingest.page_backfilled")
                await progress.keep(count, following, position, is_done=following is None)
            if count.listed:
                counts.append(count)
        if store:
            await progress.end()
        return counts

    async def _pages(
        self, site: str, kind: str, chosen: Range, place: Place
    ) -> AsyncIterator[tuple[Sequence[dict[str, Any]], str | None, int]]:
        after, before = chosen.after, chosen.before
        params: dict[str, Any] = {"include_deleted": "true"} if kind in DELETABLE else {}
        if kind in DOCUMENTS:
            # By their date, which never changes: a document that changes meanwhile moves to no other page.
            params |= {"sort_by": {"asc": "date"}, "date": {"between": [after, before - 1]}}
        offset, last = place.next_page, place.position
        while True:
            try:
                rows, following = await self._page(site, kind, params, offset)
            except UnknownPageError:
                # Chargebee does not know the place any more where this was left.
                offset, last = None, after
                continue
            if kind in DOCUMENTS:
                last = _checked(site, kind, rows, last, before)
            following = None if following == offset else following
            yield rows, following, last
            if following is None:
                return
            offset = following

    async def _page(
        self, site: str, kind: str, params: dict[str, Any], offset: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page; a limit of Chargebee, or a failure that may pass, is waited out."""
        for remaining in reversed(range(TRIES)):
            try:
                return await self._api.resources(site, kind, params, offset)
            except EventsError as error:
                if error.is_denied:
                    raise BackfillError(
                        f"Chargebee refuses to list what {site} has ({error}); check KRUISPOST_CHARGEBEE_API_KEY and the"
                        " site's name."
                    ) from error
                if offset is not None and error.code in UNKNOWN_PAGE:
                    raise UnknownPageError from error
                if not remaining:
                    raise BackfillError(
                        f"Chargebee did not list each {kind} of {site} ({error}); start the same backfill again later, it goes on"
                        " with what is missing."
                    ) from error
                await self._clock.sleep(error.retry_after_seconds or PAUSE_SECONDS)
        raise AssertionError

    async def _fresh(self, site: str, kind: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave out what is known here in this version or a newer one."""
        columns = resource_versions.c
        kinds = (kind, f"deleted_{kind}")  # where the translator remembers the end of a document whose number was used again
        wanted = (
            columns.site == site,
            columns.kind.in_(kinds),
            columns.resource_id.in_([str(row.get("id")) for row in rows]),
        )
        async with self._database.reading() as connection:
            found = await connection.execute(
                sa.select(columns.kind, columns.resource_id, columns.resource_version).where(*wanted)
            )
            known: dict[tuple[str, str], int] = {(row.kind, row.resource_id): row.resource_version for row in found}

        def is_fresh(row: dict[str, Any]) -> bool:
            name, version = str(row.get("id")), _version(row)
            if row.get("deleted") and version != known.get((kind, name)):
                return version > known.get((kinds[1], name), -1)
            return version > known.get((kind, name), -1)

        return [row for row in rows if is_fresh(row)]

    async def _take(self, site: str, kind: str, row: dict[str, Any]) -> bool | None:
        """Store a resource as an event; returns whether it was new, None for one that cannot be stored."""
        version = _version(row)
        event = {
            "id": str(derived_id("chargebee.backfilled", site, kind, str(row.get("id")), str(version))),
            "event_type": EVENT_TYPE,
            "occurred_at": version // 1000,
            "content": {kind: row},
        }
        try:
            return await self._store.store(site, read_event(msgspec.json.encode(event)))
        except UnusableEventError:
            return None


def _version(row: dict[str, Any]) -> int:
    """Return a resource's version in milliseconds; what did not change since 2016 has only the day on which it was made."""
    if row.get("resource_version") is not None:
        return int(row["resource_version"])
    return int(row.get("updated_at") or row.get("date") or row.get("created_at") or 0) * 1000


def _checked(site: str, kind: str, rows: Sequence[dict[str, Any]], last: int, before: int) -> int:
    """Return the last date of a page; raises BackfillError for another order or range than was asked for."""
    for row in rows:
        at = row.get("date")
        if not isinstance(at, int) or not last <= at < before:
            raise BackfillError(
                f"Chargebee listed {kind} {row.get('id')} of {site} with the date {at}, which does not belong between {last} and"
                f" {before}: it did not follow the order or the range that was asked for, so the list cannot be trusted to be"
                " whole. What came before it is stored; report this to Kruispost."
            )
        last = at
    return last
