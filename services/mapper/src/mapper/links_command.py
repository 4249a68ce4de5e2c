"""What `kruispost links` does and prints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import typer

from backbone.clock import SystemClock
from backbone.command_database import run_command
from backbone.configuration import load_configuration
from backbone.errors import KruispostError
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from bookkeeping.mapping import Mapping
from contracts.commands import LinkedEntry
from mapper.configuration import mappings_of
from mapper.history import PagedStore, Selection, documents, last_told
from mapper.linked import linked_in
from mapper.links import KINDS, Links, first_booking
from mapper.links_dutch import in_dutch
from mapper.links_file import LinksFileError, read_links
from mapper.plan import Planner
from mapper.reading import chosen
from mapper.reconcile_sources import Sources, open_sources
from mapper.store import OPEN_STATES, Key, Store
from mapper.subjects import Subjects
from mapper.wording import Language, document_words, say

CODE = "exists_otherwise"
CANNOT = "The databases cannot be used"
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which documents; `patience_seconds` is how long a fresh reading of Exact's ledger is waited for."""

    division: int | None
    site: str | None
    kind: str | None
    patience_seconds: float


def show(wish: Wish, lang: Language, *, everything: bool, as_json: bool) -> bool:
    """List what is held, and with `everything` what is linked; return whether anything is held. Raises KruispostError."""

    async def question(at: _Open) -> list[dict[str, Any]]:
        found = []
        async with at.sources.mapper.reading() as connection:
            store = PagedStore(at.sources.mapper, connection)
            # Both are told by the rows themselves, so that no document has to be decided about.
            states = frozenset((*OPEN_STATES, "booked")) if everything else frozenset(OPEN_STATES)
            async for kept in documents(store, Selection(division=at.mapping.division, site=wish.site, states=states)):
                pending, last = kept.pending(), kept.last
                head = {"site": kept.key.site, "kind": kept.key.kind, "number": kept.key.number}
                if pending is not None and pending.code == CODE:
                    told = await last_told(store, pending)
                    words = {name: getattr(told, name, "") for name in ("sentence", "action", "sentence_nl", "action_nl")}
                    found.append({**head, "state": "held", **words})
                elif everything and last is not None and (linked := linked_in(last)) is not None and last.state == "booked":
                    found.append({**head, "state": "linked", "entry": linked.entry_number, "journal": linked.journal})
        return found

    found = _do(replace(wish, patience_seconds=0.0), question)
    held = [each for each in found if each["state"] == "held"]
    if as_json:
        typer.echo(json.dumps({"documents": found}, indent=2, ensure_ascii=False))
        return bool(held)
    for each in found:
        name = document_words(each["kind"], each["number"], lang)
        if each["state"] == "linked":
            typer.echo(say("is_linked", lang, document=name, entry=each["entry"], journal=each["journal"]))
            continue
        sentence, action = (each["sentence_nl"], each["action_nl"]) if lang == "nl" else (each["sentence"], each["action"])
        typer.echo(f"{sentence or name}\n  {say('what_to_do', lang, action=action)}")
    if not held:
        typer.echo(say("no_links_held", lang))
    return bool(held)


def accept(wish: Wish, number: str, entry: int, journal: str, said: tuple[str, str], lang: Language) -> bool:
    """Link a document to an entry as a person says; return whether it is. Raises KruispostError."""

    async def question(at: _Open) -> tuple[Key, LinkedEntry, str | None]:
        key = await _key(at, wish, number)
        lines = await at.sources.ledger.numbered(at.mapping.division, [entry])
        found = {line.entry_id: line for line in lines if not journal or line.journal == journal}
        if len(found) != 1:
            raise KruispostError("entry_unknown", say("links_which_entry", "en", entry=entry, count=len(found)))
        line = next(iter(found.values()))
        linked = LinkedEntry(entry_id=line.entry_id, entry_number=entry, journal=line.journal)
        return key, linked, await _decided(at, key, linked, said)

    key, linked, state = _do(wish, question)
    name = document_words(key.kind, key.number, lang)
    values = {"document": name, "entry": linked.entry_number, "journal": linked.journal, "state": state}
    typer.echo(say("link_goes" if state == "planned" else "link_cannot", lang, **values))
    return state == "planned"


def book(wish: Wish, number: str, said: tuple[str, str], lang: Language) -> bool:
    """Let a document be booked although Exact has something like it; return whether it will be. Raises KruispostError."""

    async def question(at: _Open) -> tuple[Key, str | None]:
        key = await _key(at, wish, number)
        return key, await _decided(at, key, None, said)

    key, state = _do(replace(wish, patience_seconds=0.0), question)
    words = {"document": document_words(key.kind, key.number, lang), "state": state}
    typer.echo(say("book_goes" if state == "planned" else "link_cannot", lang, **words))
    return state == "planned"


def import_links(wish: Wish, file: Path, who: str, lang: Language, *, dry_run: bool, as_json: bool) -> None:
    """Link what a file says and print how many; raises KruispostError, with every line that is wrong, and links nothing then."""
    try:
        counts = _import(wish, file, who, dry_run=dry_run)
    except LinksFileError as error:
        if lang == "nl":
            raise in_dutch(error) from error
        raise
    if as_json:
        typer.echo(json.dumps({**counts, "dry_run": dry_run}, indent=2))
    else:
        typer.echo(say("links_dry" if dry_run else "links_imported", lang, **counts))


def _import(wish: Wish, file: Path, who: str, *, dry_run: bool) -> dict[str, int]:
    wishes = read_links(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    async def question(at: _Open) -> dict[str, int]:
        links = at.links()
        found = await links.find(file, wishes)
        if not dry_run:
            await links.carry_out(found, who, f"{file.name}, sha256 {digest}")
        new = sum(each.outcome == "linked" for each in found)
        return {"lines": len(found), "linked": new, "known": len(found) - new}

    return _do(wish, question)


@dataclass(frozen=True, slots=True)
class _Open:
    """What a command works with."""

    sources: Sources
    subjects: Subjects
    mapping: Mapping

    def links(self) -> Links:
        """Return what carries out links."""
        clock = SystemClock()
        return Links(self.sources, self.subjects, Planner(self.subjects, clock, Telemetry()), self.mapping, clock)


def _do(wish: Wish, question: Callable[[_Open], Awaitable[Result]]) -> Result:
    settings = Settings()
    configuration = load_configuration(settings.config)
    mappings = mappings_of(configuration)
    mapping = chosen(mappings, wish.division)

    async def run() -> Result:
        async with open_sources(settings) as sources:
            if wish.patience_seconds:
                await sources.ledger.refresh(mapping.division, wish.patience_seconds)
            return await question(_Open(sources, Subjects(configuration, mappings), mapping))

    return run_command(run(), CANNOT)


async def _key(at: _Open, wish: Wish, number: str) -> Key:
    """Return which document is meant; raises KruispostError where none or several are."""
    async with at.sources.mapper.reading() as connection:
        store = Store(at.sources.mapper, connection)
        sites = [wish.site] if wish.site else sorted(at.subjects.sites)
        kinds = [wish.kind] if wish.kind else list(KINDS)
        keys = [Key(site, kind, number) for site in sites for kind in kinds]
        found = [key for key in keys if await first_booking(store, key) is not None]
    if len(found) != 1:
        names = ", ".join(f"{key.kind} of {key.site}" for key in found) or "-"
        raise KruispostError("document_unknown", say("links_which_document", "en", number=number, found=names))
    return found[0]


async def _decided(at: _Open, key: Key, entry: LinkedEntry | None, said: tuple[str, str]) -> str | None:
    """Carry a decision out; return the state of the document, `issued` for one that was booked or sent before."""
    async with at.sources.mapper.reading() as connection:
        before = await first_booking(Store(at.sources.mapper, connection), key)
    if before is not None and before.state in ("planned", "booked"):
        return "issued"
    row = await at.links().decide(key, entry, *said)
    return row.state if row is not None else None
