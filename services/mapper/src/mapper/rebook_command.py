"""`kruispost rebook`: what was booked under wrong rules is booked back and booked anew, shown first, and only what differs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import msgspec
import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import SystemClock
from backbone.command_database import check_installed, run_command
from backbone.configuration import load_configuration
from backbone.database import Database
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from bookkeeping.bookings import booking_of
from bookkeeping.journal import Entry
from bookkeeping.money import format_minor
from bookkeeping.reconciliation import places
from contracts.commands import PostEntry
from mapper.configuration import mappings_of
from mapper.decision import make
from mapper.given_days import are_days_given
from mapper.history import Kept, Selection, documents
from mapper.issue import booked_entry
from mapper.linked import linked_in
from mapper.plan import Cause, Planner
from mapper.reading import SERVICE
from mapper.rebooked import RebookedStore
from mapper.store import Key, Row, Store
from mapper.subjects import Subjects
from mapper.wording import Language, document_words

ENTRIES_A_DOCUMENT = 2  # the mirror, and what is booked anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which documents, by their date and booking; at most `most` of them are booked anew, and none without `install`."""

    selection: Selection
    first: date | None
    to: date | None
    mapping_version: str | None
    most: int
    install: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A document whose newest booking is not what today's rules make of it; differences in minor units, debit positive.

    `last` is that booking as it was looked at; `code` says why it can not be booked anew; it is then left as it is.
    """

    key: Key
    currency: str
    differences: dict[str, int]
    last: Row
    code: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        named = {"site": self.key.site, "kind": self.key.kind, "number": self.key.number, "currency": self.currency}
        return {**named, "differences_minor": self.differences, "code": self.code}


def rebook(wish: Wish, lang: Language, *, as_json: bool) -> bool:
    """Show what differs, and book it anew where that is wished; return whether nothing is left. Raises KruispostError."""
    settings = Settings()
    check_installed(settings, SERVICE)
    found, done = run_command(_rebook(settings, wish), "The mapper's database cannot be used")
    possible = sum(each.code is None for each in found)
    entries = {"rebooked": done, "left": len(found) - done, "entries_to_post": ENTRIES_A_DOCUMENT * (done or possible)}
    if as_json:
        typer.echo(json.dumps({**entries, "documents": [each.as_dict() for each in found]}, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(_text(found, done, possible, lang)))
    return done == len(found)


async def _rebook(settings: Settings, wish: Wish) -> tuple[list[Wrong], int]:
    configuration, clock = load_configuration(settings.config), SystemClock()
    subjects = Subjects(configuration, mappings_of(configuration))
    database = Database.open(settings, SERVICE)
    try:
        async with database.reading() as connection:
            found = await wrong_of(database, connection, subjects, wish, clock.now().date())
        planner = Planner(subjects, clock, Telemetry())
        cause = Cause(None, f"rebook {clock.now().isoformat()} ")
        chosen = [each.last for each in in_order(found)][: wish.most] if wish.install else []
        done = 0
        for last in chosen:
            async with database.transaction() as connection:
                writing = Store(database, connection)
                await writing.share(alone=True)
                done += await planner.take_back_wrong(writing, last, cause)
        return found, done
    finally:
        await database.close()


async def wrong_of(database: Database, connection: AsyncConnection, subjects: Subjects, wish: Wish, today: date) -> list[Wrong]:
    """Return what is booked otherwise than today's rules book it; of credit notes, beside their invoices as those book them."""
    store, found = RebookedStore(database, connection), list[Wrong]()
    async for kept in documents(store, wish.selection):
        wrong = await _wrong(store, subjects, kept, wish, today)
        if wrong is not None:
            found.append(wrong)
            if wrong.code is None:
                await store.book_anew(subjects, wrong.last, today)
    known = {each.key for each in found}
    for site, number in store.credited:
        if wish.selection.number in (None, number):
            async for kept in documents(store, replace(wish.selection, site=site, number=number)):
                wrong = await _wrong(store, subjects, kept, wish, today) if kept.key not in known else None
                found += [wrong] if wrong is not None else []
    return found


def in_order(found: list[Wrong]) -> list[Wrong]:
    """Return what can be booked anew, invoices first: their credit notes are booked beside how they are booked then."""
    return sorted((each for each in found if each.code is None), key=lambda each: each.key.kind != "invoice")


async def _wrong(store: Store, subjects: Subjects, kept: Kept, wish: Wish, today: date) -> Wrong | None:
    last = kept.last
    if last is None or last.state != "booked" or last.command is None or booking_of(last.key.suffix).is_reversal:
        return None
    if linked_in(last) is not None:
        return None  # somebody else booked it
    if wish.mapping_version is not None and last.mapping_version != wish.mapping_version:
        return None
    subject = await subjects.load(store, kept.key)
    if subject is None or subject.is_gone or subject.fingerprint != last.fingerprint:
        return None  # what changed in Chargebee since has its own way
    command = msgspec.json.decode(last.command, type=PostEntry)
    day = command.document.document_date or command.entry_date
    mapping = subjects.mapping(command.division)
    if mapping is None or (wish.first is not None and day < wish.first) or (wish.to is not None and day > wish.to):
        return None
    booked = booked_entry(command, command.your_ref, mapping.receivable_account)
    made = await make(store, subject, None, today, is_first=False)
    if not isinstance(made, Entry):
        return Wrong(key=kept.key, currency=command.currency, differences={}, last=last, code=made.code)
    if subject.division == command.division:
        if _placed(booked) == _placed(made):
            return None
        if _placed(booked, by_days=False) == _placed(made, by_days=False) and await are_days_given(store, last, made):
            return None
    sums = Counter(places(made))
    sums.subtract(places(booked))
    differences = {place: sums[place] for place in sorted(sums) if sums[place]}
    return Wrong(key=kept.key, currency=command.currency, differences=differences, last=last)


def _placed(entry: Entry, *, by_days: bool = True) -> tuple[str, Counter[tuple[Any, ...]]]:
    """Where an entry puts how much: its journal, and what each account gets with its VAT, dimensions and months."""
    sums: Counter[tuple[Any, ...]] = Counter()
    for line in entry.lines:
        place = (line.account, line.vat_code, line.cost_center, line.cost_unit, *((line.first, line.last) if by_days else ()))
        sums[*place, "net"] += line.amount_minor
        sums[*place, "vat"] += line.vat_minor
    return entry.journal, Counter({place: amount for place, amount in sums.items() if amount})


def _text(found: list[Wrong], done: int, possible: int, lang: Language) -> Iterator[str]:
    dutch = lang == "nl"
    for each in found:
        name = document_words(each.key.kind, each.key.number, lang)
        amounts = ", ".join(f"{place} {format_minor(amount, each.currency)}" for place, amount in each.differences.items())
        where = amounts or ("dezelfde bedragen, anders verdeeld" if dutch else "the same amounts, placed otherwise")
        yield f"{name}: {each.code or where}"
    if not found:
        yield "Alles is geboekt zoals de regels van nu het boeken." if dutch else "All is booked as today's rules would book it."
    elif done:
        entries, left = ENTRIES_A_DOCUMENT * done, len(found) - done
        yield (
            f"{done} documenten worden teruggeboekt en opnieuw geboekt: {entries} boekingen; {left} over."
            if dutch
            else f"{done} documents are booked back and anew: {entries} entries; {left} are left."
        )
    else:
        entries = ENTRIES_A_DOCUMENT * possible
        yield (
            f"{possible} documenten zouden worden teruggeboekt en opnieuw geboekt: {entries} boekingen, elk een aanroep van "
            "Exact. Niets is gewijzigd; herhaal dit met --yes."
            if dutch
            else f"{possible} documents would be booked back and anew: {entries} entries, a call to Exact each. Nothing was "
            "changed; run this again with --yes."
        )
