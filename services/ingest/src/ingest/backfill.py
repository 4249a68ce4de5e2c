"""`kruispost backfill`: documents of the past, listed at Chargebee and stored as events, so that they take the way of webhooks.

For what lies before the first start or further back than Chargebee's events reach (90 days), and for an ingest that lost its
database. What is known already is dropped by its id and version, so a run that was broken off is simply started again.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
import typer
from sqlalchemy.exc import SQLAlchemyError

from backbone.clock import Clock, SystemClock
from backbone.configuration import Configuration, load_configuration
from backbone.database import Database, is_away, schema_of
from backbone.errors import KruispostError
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from contracts.envelope import derived_id
from ingest.events_api import ChargebeeEvents, EventsError
from ingest.received import UnusableEventError, read_event
from ingest.store import EventStore, StoreUnavailableError
from ingest.tables import resource_versions

EVENT_TYPE: Final = "backfilled"
# What documents refer to goes first, and all of it: an old document may name a customer who was made much earlier or later.
MASTER_DATA: Final = ("customer", "item", "item_price", "plan", "addon", "subscription")
DOCUMENTS: Final = ("invoice", "credit_note", "transaction")
DELETABLE: Final = frozenset({"customer", "subscription", *DOCUMENTS})
TRIES: Final = 8
PAUSE_SECONDS: Final = 5.0
EXACT_CALLS_A_DAY: Final = 5_000


class BackfillError(KruispostError):
    """The past cannot be fetched; the message says why and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__("backfill_impossible", sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """From which day to which (None: today), of one site or of all; `is_confirmed` when it is more than a plan."""

    first: date
    last: date | None
    site: str | None
    is_confirmed: bool


@dataclass(slots=True, kw_only=True)
class Count:
    """How many of a kind Chargebee listed, how many of them are new here, and how many could not be stored."""

    site: str
    kind: str
    listed: int = 0
    new: int = 0
    unusable: int = 0


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run found, by site and kind; `stored` tells whether it was written down."""

    stored: bool
    counts: list[Count] = field(default_factory=list)

    @property
    def new_documents(self) -> int:
        """How many documents are new here."""
        return sum(each.new for each in self.counts if each.kind in DOCUMENTS)


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

    async def run(self, site: str, after: int, before: int, *, store: bool) -> list[Count]:
        """Go through a site's master data, and its documents dated from `after` to just before `before` (unix seconds).

        Raises BackfillError, and StoreUnavailableError when the database does not take what was listed.
        """
        counts = []
        for kind in (*MASTER_DATA, *DOCUMENTS):
            count = Count(site=site, kind=kind)
            async for rows in self._pages(site, kind, after, before):
                count.listed += len(rows)
                fresh = await self._fresh(site, kind, rows)
                if not store:
                    count.new += len(fresh)
                    continue
                outcomes = await asyncio.gather(*(self._take(site, kind, row) for row in fresh))
                count.new += outcomes.count(True)
                count.unusable += outcomes.count(None)
            if count.listed:
                counts.append(count)
        return counts

    async def _pages(self, site: str, kind: str, after: int, before: int) -> AsyncIterator[Sequence[dict[str, Any]]]:
        params: dict[str, Any] = {"include_deleted": "true"} if kind in DELETABLE else {}
        if kind in DOCUMENTS:
            # By their date, which never changes: a document that changes meanwhile moves to no other page.
            params |= {"sort_by": {"asc": "date"}, "date": {"between": [after, before - 1]}}
        offset, last = None, after
        while True:
            rows, following = await self._page(site, kind, params, offset)
            if kind in DOCUMENTS:
                last = _checked(site, kind, rows, last, before)
            yield rows
            if following is None or following == offset:
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


def run_backfill(wish: Wish, *, as_json: bool) -> bool:
    """Print the plan, or do it and print what was done; return whether all of it could be stored. Raises KruispostError."""
    settings = Settings()
    configuration = load_configuration(settings.config)
    sites = _sites(wish, configuration)
    key = settings.chargebee_api_key
    if key is None:
        raise BackfillError("There is no key for Chargebee: set KRUISPOST_CHARGEBEE_API_KEY, then try again.")
    file = settings.data_dir / f"{schema_of('ingest')}.sqlite"
    if settings.database_url is None and not file.exists():
        raise BackfillError(f"There is no installation here: {file} does not exist. Set KRUISPOST_DATA_DIR, or start one first.")
    api = ChargebeeEvents(api_key=key.get_secret_value(), base_url=settings.chargebee_url, telemetry=Telemetry())
    try:
        report = asyncio.run(_run(wish, settings, configuration, sites, api))
    except Exception as error:
        if not is_away(error) and not isinstance(error, SQLAlchemyError | StoreUnavailableError):
            raise
        raise BackfillError(f"The database of ingest cannot be used ({error}); check its address, then try again.") from error
    if as_json:
        typer.echo(json.dumps({**asdict(report), "new_documents": report.new_documents}, indent=2))
    else:
        for line in _lines(report):
            typer.echo(line)
    return not any(count.unusable for count in report.counts)


async def _run(wish: Wish, settings: Settings, configuration: Configuration, sites: Collection[str], api: ListsApi) -> Report:
    clock = SystemClock()
    database = Database.open(settings, "ingest")
    report = Report(stored=wish.is_confirmed)
    try:
        for site in sites:
            zone = ZoneInfo(configuration.sites[site].time_zone)
            now = int(clock.now().timestamp())
            before = min(now, _midnight(wish.last + timedelta(days=1), zone)) if wish.last is not None else now
            report.counts += await Backfill(database, api, clock).run(
                site, _midnight(wish.first, zone), before, store=wish.is_confirmed
            )
    finally:
        await database.close()
    return report


def _sites(wish: Wish, configuration: Configuration) -> list[str]:
    if wish.site is None:
        return list(configuration.sites)
    if wish.site not in configuration.sites:
        raise BackfillError(f"The configuration has no site {wish.site}; it has {', '.join(configuration.sites)}.")
    return [wish.site]


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, time(), tzinfo=zone).timestamp())


def _lines(report: Report) -> list[str]:
    """Return the report as text."""
    lines = [
        f"{each.site}: {each.listed} of kind {each.kind} at Chargebee, {each.new} of them new here" for each in report.counts
    ]
    lines += [f"{each.site}: {each.unusable} of kind {each.kind} cannot be stored" for each in report.counts if each.unusable]
    documents = report.new_documents
    if report.stored:
        return [*lines, f"{documents} documents are stored; a running mapper books them (`kruispost status`)."]
    days = math.ceil(documents / EXACT_CALLS_A_DAY)
    share = (
        f"Exact allows {EXACT_CALLS_A_DAY:,} calls a day for an administration: at a call a document, {documents} documents take"
        f" {days} {'day' if days == 1 else 'days'} of it; mode ledger takes fewer."
    )
    warning = (
        "Nothing was written. Documents that Exact has already from somewhere else would be booked a second time: set link_before"
        " in kruispost.yaml to the day before which they are looked for there and linked, or book_from to the first day that"
        " Kruispost is to book. Add --yes to fetch these."
    )
    return [*lines, share, warning]
