"""What `kruispost backfill` prints: a plan in calls and days, what was fetched, and how one that was begun stands."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import math
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import Progress as Bar

from backbone.clock import SystemClock
from backbone.command_database import CHECK_AND_MIGRATE, UnreadableError, with_database
from backbone.configuration import Configuration, load_configuration
from backbone.database import Database
from backbone.errors import KruispostError, reason_of
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from ingest.backfill import DOCUMENTS, Backfill, BackfillError, ListsApi
from ingest.backfill_progress import (
    PAUSED,
    RUNNING,
    Begun,
    Count,
    PausedError,
    begun,
    lines_of,
    lock_of,
    running_now,
    set_state,
)
from ingest.events_api import ChargebeeEvents
from ingest.store import StoreUnavailableError

HISTORY: Final = "kruispost.history"  # entry points: pause, resume and standing of what a service books of some sites
EXACT_CALLS_A_DAY: Final = 5_000
LOOKS_AGAIN, LOOK_AGAIN_SECONDS = 10, 0.1  # `--status` has the lock for a moment, to see whether anybody has it
SALES: Final = ("invoice", "credit_note")
# Calls to Exact for a document, beside one for each new customer: docs/performance.md has how they were measured.
CALLS_A_SALE: Final = {"entry": 1.0, "document": 2.0, "ledger": 0.02}
CALLS_A_MOVEMENT: Final = {"entry": 1.0, "document": 1.0, "ledger": 0.02}
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """From which day to which (None: today), of one site or of all; `is_confirmed` when it is more than a plan.

    With `resumes` each site goes on with what it had begun, whatever its days.
    """

    first: date | None
    last: date | None
    site: str | None
    is_confirmed: bool
    resumes: bool = False


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run found, by site and kind; `stored` tells whether it was written down."""

    stored: bool
    counts: list[Count] = field(default_factory=list)
    is_paused: bool = False
    calls: dict[str, int] = field(default_factory=dict)

    @property
    def new_documents(self) -> int:
        """How many documents are new here."""
        return sum(each.new for each in self.counts if each.kind in DOCUMENTS)


def run_backfill(wish: Wish, *, as_json: bool) -> bool:
    """Print the plan, or do it and print what was done; return whether all of it could be stored. Raises KruispostError."""
    settings = Settings()
    configuration = load_configuration(settings.config)
    sites = _sites(wish, configuration)
    key = settings.chargebee_api_key
    if key is None:
        raise BackfillError("There is no key for Chargebee: set KRUISPOST_CHARGEBEE_API_KEY, then try again.")
    api = ChargebeeEvents(api_key=key.get_secret_value(), base_url=settings.chargebee_url, telemetry=Telemetry())
    resumed = wish.is_confirmed and bool(_writer_if_there("resume", sites))
    report = _with_database(settings, lambda database: _run(wish, database, configuration, sites, api, resumed=resumed))
    report.calls = calls_by_mode(report.counts)
    if as_json:
        typer.echo(json.dumps({**asdict(report), "new_documents": report.new_documents}, indent=2))
    else:
        for line in _lines(report, configuration):
            typer.echo(line)
    return not any(count.unusable for count in report.counts) and not report.is_paused


def show_status(site: str | None, *, as_json: bool) -> bool:
    """Print how the backfills stand that were begun last, and whether history is booked; return whether there is any."""
    settings = Settings()
    configuration = load_configuration(settings.config)
    sites = _sites_named(site, configuration)

    async def look(database: Database) -> tuple[list[Begun], set[str]]:
        known = await begun(database, sites)
        return known, await running_now(database, (each.site for each in known))

    found, running = _with_database(settings, look)
    booking = _writer_if_there("standing", sites)
    if as_json:
        told = [{**asdict(each), "share": each.share(DOCUMENTS), "is_running": each.site in running} for each in found]
        history = {"paused": sorted(booking.paused), "waiting": booking.waiting} if booking is not None else None
        typer.echo(json.dumps({"backfills": told, "history": history}, indent=2, default=str))
        return bool(found)
    for each in found:
        zone = ZoneInfo(configuration.sites[each.site].time_zone)
        now, is_running = SystemClock().now().timestamp(), each.site in running
        typer.echo("\n".join(lines_of(each, DOCUMENTS, now, zone, is_running=is_running)))
    for name in sites if booking is not None else ():
        waiting, is_paused = booking.waiting.get(name, 0), name in booking.paused
        if waiting or is_paused:
            until = ": paused, until `kruispost backfill --resume`" if is_paused else ", behind today's"
            typer.echo(f"{name}: {waiting:,} documents of history wait to be booked{until}.")
    if not found:
        typer.echo("No backfill was begun here.")
    return bool(found)


def pause(site: str | None) -> None:
    """Let backfills that run stop after the page at hand, and history that waits be booked later. Raises KruispostError."""
    settings = Settings()
    sites = _sites_named(site, load_configuration(settings.config))
    count = _with_database(settings, lambda database: set_state(database, sites, PAUSED))
    waiting = sum(_writer("pause", sites).waiting.values())
    typer.echo("Fetching stops after the page at hand." if count else "Nothing is being fetched.")
    typer.echo(f"History is not booked until `kruispost backfill --resume`: {waiting:,} documents wait. Today's go on.")


def calls_by_mode(counts: Collection[Count]) -> dict[str, int]:
    """Return how many calls to Exact the new documents take in each mode, new customers included; rounded up."""
    new = {kind: sum(count.new for count in counts if count.kind == kind) for kind in ("customer", *DOCUMENTS)}
    sales = sum(new[kind] for kind in SALES)
    return {
        mode: math.ceil(new["customer"] + sales * a_sale + new["transaction"] * CALLS_A_MOVEMENT[mode])
        for mode, a_sale in CALLS_A_SALE.items()
    }


def _with_database(settings: Settings, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Do something with ingest's database; raises UnreadableError where there is none, or it does not answer."""
    try:
        return with_database(settings, "ingest", work)
    except StoreUnavailableError as error:
        raise UnreadableError(f"The database of ingest cannot be used ({reason_of(error)}); {CHECK_AND_MIGRATE}.") from error


def _writer(question: str, sites: Sequence[str]) -> Any:
    """Ask the service that books about history, or tell it; raises KruispostError where it or its database is not there."""
    points: Any = importlib.metadata.entry_points(group=HISTORY, name=question)
    if not points:
        raise BackfillError("No service is installed here that books history; install the exact-writer beside ingest.")
    return next(iter(points)).load()(list(sites))


def _writer_if_there(question: str, sites: Sequence[str]) -> Any:
    """Do the same where fetching does not depend on it: ingest may be alone here, with no right to the writer's database."""
    try:
        return _writer(question, sites)
    except KruispostError as error:
        typer.echo(f"Whether history is paused cannot be told or changed from here: {error.sentence}", err=True)
        return None


async def _run(
    wish: Wish, database: Database, configuration: Configuration, sites: Collection[str], api: ListsApi, *, resumed: bool
) -> Report:
    clock = SystemClock()
    report = Report(stored=wish.is_confirmed)
    known = {each.site: each for each in await begun(database, list(sites))}
    if wish.resumes:
        sites = [site for site in sites if site in known and known[site].state in (RUNNING, PAUSED)]
        if not sites and not resumed:
            raise BackfillError("No backfill is left to go on with; begin one with --from.")
    with Bar(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        for site in sites:
            after, before, last = _range(wish, configuration, site, int(clock.now().timestamp()))
            if wish.resumes:
                after, before, last = known[site].range.after, known[site].range.before, known[site].range.last
            task = bar.add_task(site, total=len(DOCUMENTS) * max(1, before - after))

            def listed(count: Count, position: int, task: Any = task, after: int = after, before: int = before) -> None:
                if count.kind in DOCUMENTS:
                    done = DOCUMENTS.index(count.kind) * (before - after) + position - after
                    bar.update(task, completed=done, description=f"{count.site} {count.kind} {count.listed:,}")

            try:
                async with alone(database, site) if wish.is_confirmed else nullcontext():
                    fetching = Backfill(database, api, clock)
                    report.counts += await fetching.run(site, after, before, store=wish.is_confirmed, last=last, listed=listed)
            except PausedError:
                report.is_paused = True
                (here,) = await begun(database, [site])
                report.counts += [place.count for place in here.kinds]
                break
    return report


@asynccontextmanager
async def alone(database: Database, site: str) -> AsyncIterator[None]:
    """Fetch while nobody else fetches for the site: two would each write how far they are over what the other wrote.

    Raises BackfillError while another does.
    """
    lock = await database.try_lock(lock_of(site))
    for _ in range(LOOKS_AGAIN):
        if lock is None:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            lock = await database.try_lock(lock_of(site))
    if lock is None:
        hosts = await database.hosts_holding([lock_of(site)])
        where = f" on {', '.join(hosts)}" if hosts else ""
        raise BackfillError(
            f"A backfill of {site} is running{where}: `kruispost backfill --status` says how far it is, `--pause` stops it."
        )
    try:
        yield
    finally:
        await lock.release()


def _range(wish: Wish, configuration: Configuration, site: str, now: int) -> tuple[int, int, date | None]:
    zone = ZoneInfo(configuration.sites[site].time_zone)
    before = min(now, _midnight(wish.last + timedelta(days=1), zone)) if wish.last is not None else now
    return _midnight(wish.first, zone) if wish.first is not None else 0, before, wish.last


def _sites(wish: Wish, configuration: Configuration) -> list[str]:
    return _sites_named(wish.site, configuration)


def _sites_named(site: str | None, configuration: Configuration) -> list[str]:
    if site is None:
        return list(configuration.sites)
    if site not in configuration.sites:
        raise BackfillError(f"The configuration has no site {site}; it has {', '.join(configuration.sites)}.")
    return [site]


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, time(), tzinfo=zone).timestamp())


def _lines(report: Report, configuration: Configuration) -> list[str]:
    """Return the report as text."""
    lines = [
        f"{each.site}: {each.listed} of kind {each.kind} at Chargebee, {each.new} of them new here" for each in report.counts
    ]
    lines += [f"{each.site}: {each.unusable} of kind {each.kind} cannot be stored" for each in report.counts if each.unusable]
    if report.is_paused:
        return [*lines, "Paused; `kruispost backfill --resume` goes on with it, and with booking."]
    if report.stored and not report.counts:
        return ["History is booked again; nothing was left to fetch."]
    documents = report.new_documents
    if report.stored and not documents:
        return [*lines, "No document of these is new here."]
    if report.stored:
        return [*lines, f"{documents} documents are stored; a running mapper books them (`kruispost status`)."]
    return [*lines, "", *_plan(report, configuration), "", *_warnings(configuration)]


def _plan(report: Report, configuration: Configuration) -> list[str]:
    """Return what the new documents take of Exact's calls, in each mode."""
    modes: dict[str, list[str]] = {}
    for division, section in configuration.divisions.items():
        modes.setdefault(section.mode, []).append(str(division))
    lines = [f"{report.new_documents} new documents take of Exact's calls:"]
    for mode, calls in report.calls.items():
        days = math.ceil(calls / EXACT_CALLS_A_DAY)
        mine = f" (division {', '.join(modes[mode])})" if mode in modes else ""
        lines.append(f"  mode {mode:<9}{calls:>9,} calls, {days:,} {'day' if days == 1 else 'days'}{mine}")
    limits = (
        f"Exact allows {EXACT_CALLS_A_DAY:,} calls a day for an administration unless its contract says otherwise, and history"
        " takes only what the day's own documents leave; once it is fetched, `kruispost forecast` reckons by Exact's own."
    )
    return [*lines, limits]


def _warnings(configuration: Configuration) -> list[str]:
    at_risk = {
        name: each for name, each in configuration.divisions.items() if each.link_before is None and each.book_from is None
    }
    names = [str(name) for name, each in at_risk.items() if not each.shadow]
    lines = ["Nothing was written. Add --yes to fetch these."]
    shadows = ", ".join(str(name) for name, each in configuration.divisions.items() if each.shadow)
    if shadows:
        lines.append(f"Division {shadows} is in shadow: these are compared with what stands in Exact, and nothing is booked.")
    if names or not configuration.divisions:
        lines.append(
            f"In division {', '.join(names) or '-'} documents that Exact has already from somewhere else would be booked a second"
            " time: set link_before in kruispost.yaml to the day before which they are looked for there and linked, or book_from"
            " to the first day that Kruispost is to book."
        )
    return lines
