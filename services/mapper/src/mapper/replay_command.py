"""`kruispost replay mapper`: the mapper's state made anew from the logs, compared with what it has, and put in its place."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from backbone.clock import SystemClock
from backbone.command_database import UnreadableError, run_command
from backbone.configuration import load_configuration
from backbone.database import Database
from backbone.migrations import migrate
from backbone.past import readable_end
from backbone.settings import Settings
from backbone.stand_in import stand_in
from contracts.topology import MAPPER_PARTITIONS
from mapper import tables
from mapper.rebuild import MAPPER, Rebuild, logs_of, messages_in, new_scratch
from mapper.replay_install import ReplayError, bookings_of, install, name_of, pages, send_what_is_missing
from mapper.wording import Language

NAMED = 5  # messages that cannot be handled and are named
LOOKED_AT = ("state", "code", "division", "command_id", "exchange_rate")
_COMPARED = (*tables.documents.primary_key.columns, *(tables.documents.c[name] for name in LOOKED_AT))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to replay: up to which moment, where to leave the result, and whether it takes the place of what there is."""

    until: datetime | None
    keep: Path | None
    install: bool
    limit: int


@dataclass(slots=True)
class Report:
    """What a replay made, beside what the mapper has; `documents` lists the first that differ, `skipped` what none can handle."""

    messages: int = 0
    bookings: int = 0
    same: int = 0
    differing: int = 0
    missing: int = 0
    superfluous: int = 0
    installed: bool = False
    sent_again: int = 0
    told_again: int = 0
    never_sent: int = 0
    never_told: int = 0
    skipped: list[str] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_same(self) -> bool:
        """Whether the mapper's tables hold what its logs say."""
        return not (self.differing or self.missing or self.superfluous)

    @property
    def is_well(self) -> bool:
        """Whether nothing is left to do."""
        return (self.is_same or self.installed) and not (self.never_sent or self.never_told)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]  # a dataclass becomes a dict


def replay(wish: Wish, lang: Language, *, as_json: bool) -> bool:
    """Replay and print; return whether the mapper has, or now has, what its logs say. Raises KruispostError."""
    settings = Settings()
    report = run_command(_replay(settings, wish), "A database cannot be used")
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(_text(report, lang)))
    return report.is_well


async def _replay(settings: Settings, wish: Wish) -> Report:
    report = Report()
    directory = wish.keep or Path(tempfile.mkdtemp(prefix="replay-", dir=_place(settings)))
    if (directory / "mapper.sqlite").exists():
        raise ReplayError(f"{directory} has a mapper's database already; name another directory by --keep.")
    async with AsyncExitStack() as stack:
        if wish.keep is None:
            stack.callback(shutil.rmtree, directory)
        logs = await stack.enter_async_context(logs_of(settings))
        if "ingest" not in logs:
            raise UnreadableError(f"There is no log of ingest in {settings.data_dir}; set KRUISPOST_DATA_DIR, then try again.")
        if MAPPER not in logs:  # its database was lost: an empty one takes its place
            logs[MAPPER] = Database.open(settings, MAPPER)
            stack.push_async_callback(logs[MAPPER].close)
        if wish.install:
            still_held = await stack.enter_async_context(stand_in(logs[MAPPER], range(MAPPER_PARTITIONS)))
            await migrate(logs[MAPPER], MAPPER)
        present = logs[MAPPER]
        ends = [await readable_end(database) for database in logs.values()]
        before = dict(zip(logs, ends, strict=True))[MAPPER]
        scratch = await new_scratch(directory)
        stack.push_async_callback(scratch.close)
        rebuild = Rebuild(scratch, load_configuration(settings.config))
        columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
            task = progress.add_task("", total=await messages_in(logs))
            now = wish.until or SystemClock().now()
            report.messages = await rebuild.fold(logs, now, lambda count: progress.advance(task, count), until=wish.until)
        report.skipped = rebuild.skipped
        await compare(scratch, present, report, wish.limit)
        if not wish.install:
            missing = await send_what_is_missing(scratch, present, None)
            report.never_sent, report.never_told = missing.commands, missing.reasons
        else:
            await still_held()
            if not report.is_same:
                await install(scratch, present, before)
                report.installed = True
            missing = await send_what_is_missing(scratch, present, before)
            report.sent_again, report.told_again = missing.commands, missing.reasons
    return report


def _place(settings: Settings) -> Path:
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return settings.data_dir


async def compare(scratch: Database, present: Database, report: Report, limit: int) -> None:
    """Compare every booking, page by page, so that memory does not grow with the history."""
    async with scratch.reading() as made, present.reading() as has:
        async for page in pages(made, tables.documents, *_COMPARED):
            found = await bookings_of(has, map(name_of, page), *_COMPARED)
            for row in page:
                report.bookings += 1
                other = found.get(name_of(row))
                if other is not None and all(getattr(row, name) == getattr(other, name) for name in LOOKED_AT):
                    report.same += 1
                    continue
                report.missing += other is None
                report.differing += other is not None
                _list(report, row, other, limit)
        async for page in pages(has, tables.documents, *_COMPARED):
            found = await bookings_of(made, map(name_of, page), *_COMPARED)
            for row in page:
                if name_of(row) not in found:
                    report.superfluous += 1
                    _list(report, None, row, limit)


def _list(report: Report, made: Any, has: Any, limit: int) -> None:
    if len(report.documents) < limit:
        site, kind, number, suffix = name_of(made if made is not None else has)
        states = {name: None if row is None else (row.code or row.state) for name, row in (("replayed", made), ("present", has))}
        report.documents.append({"site": site, "kind": kind, "number": number, "suffix": suffix, **states})


def _text(report: Report, lang: Language) -> list[str]:
    dutch = lang == "nl"
    head = (
        f"{report.messages} berichten herspeeld: {report.bookings} boekingen, {report.same} gelijk aan wat er staat."
        if dutch
        else f"{report.messages} messages replayed: {report.bookings} bookings, {report.same} as the mapper has them."
    )
    lines = [head]
    counts = (
        (report.differing, "differ", "wijken af"),
        (report.missing, "are missing in the mapper", "ontbreken in de mapper"),
        (report.superfluous, "are not in the logs", "staan niet in de logs"),
    )
    lines += [f"  {count} {nl if dutch else en}" for count, en, nl in counts if count]
    for each in report.documents:
        name = f"{each['site']}/{each['kind']}/{each['number']}{each['suffix']}"
        lines.append(f"  {name}: {each['present'] or '-'} -> {each['replayed'] or '-'}")
    if report.skipped:
        told = "kunnen niet worden verwerkt; hun id's" if dutch else "cannot be handled; their ids"
        lines.append(f"  {len(report.skipped)} {told}: {', '.join(report.skipped[:NAMED])}")
    if report.installed:
        lines.append("De mapper heeft nu deze stand." if dutch else "The mapper has this state now.")
    said = (
        (report.sent_again, "commands go to the writer that had not gone", "opdrachten gaan alsnog naar de schrijver"),
        (
            report.told_again,
            "reasons of documents that are not booked are told again",
            "redenen van wat niet geboekt is, gaan opnieuw uit",
        ),
        (report.never_sent, "commands never went to the writer", "opdrachten zijn nooit naar de schrijver gegaan"),
        (
            report.never_told,
            "reasons of documents that are not booked were never told",
            "redenen van wat niet geboekt is, zijn nooit verteld",
        ),
    )
    lines += [f"{count} {nl if dutch else en}." for count, en, nl in said if count]
    if not report.is_well:
        lines.append(
            "Niets is gewijzigd; stop de mapper en herhaal dit met --yes."
            if dutch
            else "Nothing was changed; stop the mapper and run this again with --yes."
        )
    return lines
