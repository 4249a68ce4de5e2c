"""Asks Chargebee what no event says, and stores its answers as events, so that they take the way of all others.

Which coupon set a code belongs to: the events of coupon sets do not name their codes. And the whole of a document that came with
some of its lines only. A question stays in its table until its answer is stored, so a crash asks again and loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import DATABASE_ERRORS, Database, is_away
from backbone.errors import reason_of
from backbone.retries import is_set_within
from backbone.telemetry import Telemetry, log
from contracts.envelope import derived_id
from ingest.events_api import EventsError
from ingest.questions_api import MOST_CODES, QuestionsApi
from ingest.received import UnusableEventError, read_event
from ingest.store import EventStore, StoreUnavailableError
from ingest.tables import questions, resource_versions
from ingest.translate import ANSWERED, CODE, ResourceKey

FIRST_PAUSE_SECONDS: Final = 5.0
PAUSE_FACTOR: Final = 4.0
LONGEST_PAUSE_SECONDS: Final = 3600.0
DENIED_PAUSE_SECONDS: Final = 300.0
AWAY_PAUSE_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 30.0
UNASKED: Final = "Chargebee is to be asked for coupon sets or for the rest of long documents: set KRUISPOST_CHARGEBEE_API_KEY"


async def ask(database: Database, connection: AsyncConnection, asked: Collection[ResourceKey]) -> bool:
    """Note questions, but for codes that were answered before; tell whether there are any. One that waits is asked once."""
    known = await _answered(connection, [key for key in asked if key.kind == CODE])
    rows = [{**key._asdict(), "attempts": 0, "not_before": 0.0} for key in sorted(asked) if key not in known]
    if rows:
        await connection.execute(database.insert(questions).on_conflict_do_nothing(), rows)
    return bool(rows)


async def _answered(connection: AsyncConnection, codes: Iterable[ResourceKey]) -> set[ResourceKey]:
    column = resource_versions.c
    place = (column.site, column.kind, column.resource_id)
    wanted = [tuple(key) for key in codes]
    if not wanted:
        return set()
    return {ResourceKey(*row) for row in await connection.execute(sa.select(*place).where(sa.tuple_(*place).in_(wanted)))}


class Asker:
    """Works through the questions, codes of a site together."""

    def __init__(
        self,
        database: Database,
        store: EventStore,
        clock: Clock,
        api: QuestionsApi | None,
        telemetry: Telemetry,
        woken: asyncio.Event,
    ) -> None:
        """Ask through `api`; without one (no API key is set) the questions wait and the readiness answer says so.

        `woken` is set by whoever noted a question.
        """
        self._database = database
        self._store = store
        self._clock = clock
        self._api = api
        self._telemetry = telemetry
        self._woken = woken
        self._complaint: str | None = None

    async def ready(self) -> str | None:
        """Return why Chargebee cannot be asked, or None."""
        return self._complaint

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until `stop` is set; waits out a database that is away."""
        while not stop.is_set():
            self._woken.clear()
            try:
                pause = await self.ask_next()
            except (StoreUnavailableError, *DATABASE_ERRORS) as error:
                if isinstance(error, DATABASE_ERRORS) and not is_away(error):
                    raise
                log.warning("questions wait", reason=reason_of(error), retry_after_seconds=AWAY_PAUSE_SECONDS)
                pause = AWAY_PAUSE_SECONDS
            if pause > 0:
                await self._pause(stop, pause)

    async def ask_next(self) -> float:
        """Ask what waits longest and store the answer; returns for how many seconds there is nothing to do."""
        now = self._now()
        column = questions.c
        async with self._database.reading() as connection:
            order = (column.not_before, column.site, column.kind, column.resource_id)
            first = (await connection.execute(sa.select(questions).order_by(*order).limit(1))).one_or_none()
            if first is None:
                return IDLE_SECONDS
            if first.not_before > now:
                return min(float(first.not_before) - now, IDLE_SECONDS)
            alike = sa.select(questions).where(column.site == first.site, column.kind == CODE, column.not_before <= now)
            rows = [first]
            if first.kind == CODE:
                rows = list(await connection.execute(alike.order_by(*order).limit(MOST_CODES)))
        if self._api is None:
            self._complaint = UNASKED
            return IDLE_SECONDS
        try:
            answers = await self._answers(self._api, rows)
        except EventsError as error:
            await self._later(rows, error)
            return 0.0
        self._complaint = None
        for resource in answers:
            await self._take(first.site, first.kind, resource)
        crash_point("ingest.answers_stored")
        async with self._database.transaction() as connection:
            await connection.execute(sa.delete(questions).where(_is_one_of(rows)))
        return 0.0

    async def _answers(self, api: QuestionsApi, rows: list[sa.Row[Any]]) -> list[dict[str, Any]]:
        site, kind = rows[0].site, rows[0].kind
        if kind != CODE:
            document = await api.document(site, kind, rows[0].resource_id)
            if document is None:
                log.warning("a document is gone whose lines are asked for", site=site, kind=kind, number=rows[0].resource_id)
            return [document] if document is not None else []
        codes = [row.resource_id for row in rows]
        found = await api.coupon_codes(site, codes)
        # One that Chargebee does not have any more is told as well, without a coupon set: what waits for it asks a person then.
        return [{**found.get(code, {}), "id": code} for code in codes]

    async def _take(self, site: str, kind: str, resource: dict[str, Any]) -> None:
        name, version = str(resource["id"]), resource.get("resource_version")
        if kind != CODE and version is not None and version == await self._known_version(ResourceKey(site, kind, name)):
            # An older release told a part of it as this version, so the whole is news under the next one. No change has that: the
            # document had none since, and a later one is of a later millisecond.
            version += 1
            resource = {**resource, "resource_version": version}
        what = str(resource.get("coupon_set_id", "")) if kind == CODE else str(version)
        event = {
            "id": str(derived_id("chargebee.answered", site, kind, name, what)),
            "event_type": ANSWERED,
            "occurred_at": int(self._now()),
            "content": {kind: resource},
        }
        try:
            await self._store.store(site, read_event(msgspec.json.encode(event)))
        except UnusableEventError as error:
            log.error("an answer of Chargebee cannot be stored", site=site, kind=kind, id=name, reason=error.sentence)

    async def _known_version(self, key: ResourceKey) -> int | None:
        column = resource_versions.c
        where = (column.site == key.site, column.kind == key.kind, column.resource_id == key.resource_id)
        async with self._database.reading() as connection:
            version: int | None = await connection.scalar(sa.select(column.resource_version).where(*where))
        return version

    async def _later(self, rows: list[sa.Row[Any]], error: EventsError) -> None:
        attempts = max(row.attempts for row in rows)
        pause = min(FIRST_PAUSE_SECONDS * PAUSE_FACTOR ** min(attempts, MOST_CODES), LONGEST_PAUSE_SECONDS)
        if error.is_denied:
            self._complaint = f"{error.message}; check KRUISPOST_CHARGEBEE_API_KEY and the name of the site {rows[0].site}"
            pause = DENIED_PAUSE_SECONDS
        pause = max(pause, min(error.retry_after_seconds or 0.0, LONGEST_PAUSE_SECONDS))
        log.warning("Chargebee did not answer a question", site=rows[0].site, kind=rows[0].kind, reason=error.message)
        values = {"attempts": attempts + 1, "not_before": self._now() + pause}
        async with self._database.transaction() as connection:
            await connection.execute(sa.update(questions).where(_is_one_of(rows)).values(values))

    async def _pause(self, stop: asyncio.Event, seconds: float) -> None:
        waiting = [asyncio.ensure_future(is_set_within(stop, seconds)), asyncio.ensure_future(self._woken.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _is_one_of(rows: list[sa.Row[Any]]) -> sa.ColumnElement[bool]:
    place = sa.tuple_(questions.c.site, questions.c.kind, questions.c.resource_id)
    return place.in_([(row.site, row.kind, row.resource_id) for row in rows])
