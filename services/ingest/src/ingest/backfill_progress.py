"""How far a backfill is: kept after each page, so that one that was paused, broken off or killed goes on where it was."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from backbone.clock import Clock
from backbone.database import Database
from ingest.tables import backfilled, backfills

RUNNING, PAUSED, DONE = "running", "paused", "done"
SILENT_SECONDS: Final = 120.0  # a running one keeps a page more often, unless Chargebee lets it wait


class PausedError(Exception):
    """A person paused the backfill; what came before is kept."""


@dataclass(slots=True, kw_only=True)
class Count:
    """How many of a kind Chargebee listed, how many of them are new here, and how many could not be stored."""

    site: str
    kind: str
    listed: int = 0
    new: int = 0
    unusable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What a site's backfill takes: documents dated from `after` to just before `before` (unix seconds); `last` as asked for."""

    after: int
    before: int
    last: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A backfill as it stands; `kinds` in the order of their names."""

    site: str
    range: Range
    state: str
    updated_at: float
    kinds: tuple[Place, ...]

    def share(self, kinds: Collection[str]) -> float:
        """Return how much of these kinds of documents is fetched, from 0 to 1, by their dates."""
        whole = max(1, self.range.before - self.range.after)
        places = {place.count.kind: place for place in self.kinds}
        done = [
            1.0 if place.is_done else (place.position - self.range.after) / whole
            for place in (places.get(kind) for kind in kinds)
            if place is not None
        ]
        return min(1.0, sum(done) / max(1, len(kinds)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far it is with one kind."""

    count: Count
    next_page: str | None
    position: int
    is_done: bool


class Progress:
    """Keeps how far the backfill of one site is."""

    def __init__(self, database: Database, clock: Clock, site: str) -> None:
        self._database = database
        self._clock = clock
        self._site = site

    async def take_up(self, wanted: Range) -> Range:
        """Begin, or go on with what was not done: the same range then keeps the end that it had."""
        known = next(iter(await begun(self._database, [self._site])), None)
        chosen, goes_on = wanted, False
        if known is not None and known.state != DONE:
            goes_on = (known.range.after, known.range.last) == (wanted.after, wanted.last)
            chosen = known.range if goes_on else wanted
        async with self._database.transaction() as connection:
            if not goes_on:
                await connection.execute(sa.delete(backfilled).where(backfilled.c.site == self._site))
            values: dict[str, Any] = {"after": chosen.after, "before": chosen.before, "last": chosen.last, "state": RUNNING}
            values["updated_at"] = self._clock.now().timestamp()
            insert = self._database.insert(backfills).values(site=self._site, **values)
            await connection.execute(insert.on_conflict_do_update(index_elements=["site"], set_=values))
        return chosen

    async def place(self, kind: str, after: int) -> Place:
        """Return how far it is with a kind; the start where it was not begun."""
        known = next(iter(await begun(self._database, [self._site])), None)
        places = {place.count.kind: place for place in known.kinds} if known is not None else {}
        start = Place(count=Count(site=self._site, kind=kind), next_page=None, position=after, is_done=False)
        return places.get(kind, start)

    async def keep(self, count: Count, next_page: str | None, position: int, *, is_done: bool) -> None:
        """Keep how far it is after a page; raises PausedError once a person has said so."""
        values: dict[str, Any] = {"next_page": next_page, "position": position, "is_done": is_done}
        values |= {name: getattr(count, name) for name in ("listed", "new", "unusable")}
        async with self._database.transaction() as connection:
            insert = self._database.insert(backfilled).values(site=self._site, kind=count.kind, **values)
            await connection.execute(insert.on_conflict_do_update(index_elements=["site", "kind"], set_=values))
            heard = sa.update(backfills).where(backfills.c.site == self._site).values(updated_at=self._clock.now().timestamp())
            state = await connection.scalar(heard.returning(backfills.c.state))
        if state == PAUSED:
            raise PausedError

    async def end(self) -> None:
        """Note that all of it is fetched."""
        await set_state(self._database, [self._site], DONE)


async def begun(database: Database, sites: Sequence[str]) -> list[Begun]:
    """Return the backfills of sites that were begun, by site."""
    async with database.reading() as connection:
        kinds: dict[str, list[Place]] = {}
        of_sites = sa.select(backfilled).where(backfilled.c.site.in_(sites))
        for row in await connection.execute(of_sites.order_by(backfilled.c.kind)):
            count = Count(site=row.site, kind=row.kind, listed=row.listed, new=row.new, unusable=row.unusable)
            place = Place(count=count, next_page=row.next_page, position=row.position, is_done=bool(row.is_done))
            kinds.setdefault(row.site, []).append(place)
        rows = await connection.execute(sa.select(backfills).where(backfills.c.site.in_(sites)).order_by(backfills.c.site))
        return [
            Begun(
                site=row.site,
                range=Range(after=row.after, before=row.before, last=row.last),
                state=row.state,
                updated_at=row.updated_at,
                kinds=tuple(kinds.get(row.site, ())),
            )
            for row in rows
        ]


async def set_state(database: Database, sites: Sequence[str], state: str) -> int:
    """Set the state of what is not done yet; return of how many sites that is."""
    where = (backfills.c.site.in_(sites), backfills.c.state != DONE)
    async with database.transaction() as connection:
        changed = await connection.execute(sa.update(backfills).where(*where).values(state=state))
    return int(changed.rowcount)


def lock_of(site: str) -> str:
    """Name the lock that a backfill of a site holds while it runs."""
    return f"backfill.{site}"


async def running_now(database: Database, sites: Iterable[str]) -> set[str]:
    """Say of which sites a process runs a backfill; one that was killed holds nothing."""
    found = set()
    for site in sites:
        lock = await database.try_lock(lock_of(site))
        if lock is None:
            found.add(site)
        else:
            await lock.release()
    return found


def lines_of(each: Begun, documents: Collection[str], now: float, zone: ZoneInfo, *, is_running: bool = False) -> list[str]:
    """Return how a backfill stands, as text; its days are those of the site's time zone.

    `is_running` says whether a process does it now, whatever it noted last.
    """
    state = each.state
    if state == RUNNING and not is_running:
        state = "broken off"
    elif state == RUNNING and now - each.updated_at > SILENT_SECONDS:
        state = "running, and waiting for Chargebee"
    percent = 100 if each.state == DONE else int(100 * each.share(documents))
    days = f"{_day(each.range.after, zone)} to {_day(each.range.before - 1, zone)}"
    lines = [f"{each.site}, documents from {days}: {state}, {percent} % fetched"]
    for place in each.kinds:
        count, upto = place.count, " (all)" if place.is_done else ""
        if not place.is_done and count.kind in documents:
            upto = f", up to {_day(place.position, zone)}"
        lines.append(f"  {count.kind}: {count.listed:,} listed, {count.new:,} of them new here{upto}")
    if each.state != DONE and not is_running:
        lines.append("  `kruispost backfill --resume` goes on with it.")
    return lines


def _day(instant: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(instant, zone).date().isoformat()
