"""What somebody else booked in Exact against what our rules make of the same documents: the same, or which part differs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

import msgspec
from msgspec import structs

from backbone.clock import SystemClock
from bookkeeping.journal import Entry
from bookkeeping.mapping import Mapping
from bookkeeping.money import format_minor
from bookkeeping.reconciliation import VAT, Difference, compare
from bookkeeping.rejections import Rejection, SetAside
from bookkeeping.telling import InTwo
from contracts.commands import PostEntry
from contracts.facts import EntryPosted
from contracts.ledger import LedgerLine
from mapper.decision import make
from mapper.history import PagedStore, last_told
from mapper.issue import LINKABLE, booked_entry, post_entry
from mapper.linked import NO_ACCOUNT, debtor_accounts, linked_in, own_lines
from mapper.reconcile_judging import found_of, minor
from mapper.reconcile_sources import Sources, customers_of
from mapper.reconcile_strangers import entries_of
from mapper.store import Row, Store
from mapper.subjects import Subjects

Verdict = Literal["same", "differs", "missing_there", "held", "only_there"]
ASKED: Final = "exists_otherwise"
# What a difference is about: English, Dutch.
_PARTS: Final[dict[str, tuple[str, str]]] = {
    "amount": ("account {place}: {found} there, {booked} here", "rekening {place}: {found} daar, {booked} hier"),
    "account": ("account {place}: {found} there, {booked} here", "rekening {place}: {found} daar, {booked} hier"),
    "vat": ("VAT code {place}: {found} there, {booked} here", "btw-code {place}: {found} daar, {booked} hier"),
    "period": ("period {found} there, {booked} here", "periode {found} daar, {booked} hier"),
    "date": ("dated {found} there, {booked} here", "gedateerd {found} daar, {booked} hier"),
    "dimension": (
        "account {place}: cost centre {found} there, {booked} here",
        "rekening {place}: kostenplaats {found} daar, {booked} hier",
    ),
    "journal": ("journal {found} there, {booked} here", "dagboek {found} daar, {booked} hier"),
    "customer": ("customer {found} there, {booked} here", "klant {found} daar, {booked} hier"),
    "rate": (
        "{place} at another rate: {found} there, {booked} here",
        "{place} tegen een andere koers: {found} daar, {booked} hier",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One document, or one entry of somebody else's without a document; `total_minor` is what it adds to debts.

    `parts` names what differs (account, amount, vat, period, customer, ...), each with a sentence in `told`; `entry` is the
    number of the entry in Exact, 0 where there is none.
    """

    verdict: Verdict
    kind: str
    number: str
    day: date | None
    customer: str
    currency: str
    total_minor: int
    entry: int = 0
    parts: tuple[str, ...] = ()
    told: tuple[InTwo, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        told = {"told": [each.english for each in self.told], "told_nl": [each.dutch for each in self.told]}
        names = ("verdict", "kind", "number", "day", "customer", "currency", "total_minor", "entry", "parts")
        return {**{name: getattr(self, name) for name in names}, **told}


class Shadow:
    """Compares the documents of a division that are dated in a range, a page after another."""

    def __init__(self, sources: Sources, subjects: Subjects, mapping: Mapping, journals: Sequence[str]) -> None:
        self._sources = sources
        self._subjects = subjects
        self._mapping = mapping
        self._journals = journals
        self._debtors = debtor_accounts(mapping)
        self._asked: set[str] = set()  # the numbers of which a person is asked: something like them stands there

    async def compared(self, first: date, last: date) -> AsyncIterator[Compared]:
        """Give each document of these days, then what only Exact has in the journals that we book in."""
        async for rows in self._sources.rows_of_kinds(self._mapping.division, sorted(LINKABLE)):
            for each in await self._page([row for row in rows if not row.key.suffix]):
                if each.day is not None and first <= each.day <= last:
                    yield each
        lines = self._sources.ledger.strangers(self._mapping.division, self._journals, first, last)
        async for entry in entries_of(lines):
            only = await self._only_there(entry)
            if only is not None:
                yield only

    async def _page(self, rows: Sequence[Row]) -> list[Compared]:
        linked = [row for row in rows if row.state == "booked" and linked_in(row) is not None]
        said = {fact.command_id: fact for fact, _ in await self._sources.ledger.posted([row.command_id or "" for row in linked])}
        ids = sorted({fact.entry_id for fact in said.values()})
        by_entry: dict[str, list[LedgerLine]] = {}
        for line in await self._sources.ledger.of_entries(self._mapping.division, ids):
            by_entry.setdefault(line.entry_id, []).append(line)
        customers = await customers_of(self._sources, self._mapping.division, by_entry.values())
        found = []
        for row in rows:
            posted = said.get(row.command_id or "")
            if posted is not None:
                found.append(await self._linked(row, posted, by_entry.get(posted.entry_id, []), customers))
            elif row.state in ("planned", "held", "waiting", "refused"):
                found += await self._not_linked(row)
        return found

    async def _linked(
        self, row: Row, posted: EntryPosted, lines: Sequence[LedgerLine], customers: dict[str, list[str]]
    ) -> Compared:
        command = await self._by_present_rules(row, msgspec.json.decode(row.command or b"", type=PostEntry))
        if isinstance(command, Rejection | SetAside):
            sentence = InTwo(command.sentence, command.sentence_nl)
            before = msgspec.json.decode(row.command or b"", type=PostEntry)
            return Compared(verdict="held", entry=posted.entry_number, told=(sentence,), **_head(before))
        entry = booked_entry(command, command.your_ref, self._mapping.receivable_account, row.exchange_rate)
        mine = own_lines(lines, command.document.number, self._debtors)
        if any(line.account == NO_ACCOUNT for line in entry.lines):
            # A person linked what our rules do not book.
            return Compared(verdict="held", entry=posted.entry_number, **_head(command))
        differences = await self._differences(command, entry, posted, mine)
        whose = self._whose(command, mine, customers)
        if whose is not None:
            differences.append(whose)
        told = tuple(_sentence(each, command.currency) for each in differences)
        parts = tuple(dict.fromkeys(_part(each) for each in differences))
        verdict: Verdict = "differs" if differences else "same"
        return Compared(verdict=verdict, entry=posted.entry_number, parts=parts, told=told, **_head(command))

    async def _by_present_rules(self, row: Row, command: PostEntry) -> PostEntry | Rejection | SetAside:
        """Return what the rules of now make of a document that was linked under others, so that a change of them shows here.

        In a period as it was; one that changed in Chargebee since stands as it was linked.
        """
        if row.mapping_version == self._mapping.version:
            return command
        async with self._sources.mapper.reading() as connection:
            store = PagedStore(self._sources.mapper, connection)
            subject = await self._subjects.load(store, row.key)
            if subject is None or subject.fingerprint != row.fingerprint or subject.division != command.division:
                return command
            made = await make(store, subject, None, SystemClock().now().date(), is_first=False)
        if not isinstance(made, Entry):
            return made
        anew = post_entry(made, command.document, self._mapping, row.attempt, pdf=command.pdf, zone=subject.zone)
        period = {"reporting_year": command.reporting_year, "reporting_period": command.reporting_period}
        kept = period if anew.entry_date == command.entry_date else {}
        return structs.replace(anew, exchange_rate=command.exchange_rate, **kept)

    async def _differences(self, command: PostEntry, entry: Entry, posted: EntryPosted, lines: Sequence[LedgerLine]) -> list[Any]:
        """Return what of the lines in Exact is not as our entry has it."""
        period = (command.reporting_year, command.reporting_period)
        if command.reporting_year is None or command.reporting_period is None:
            async with self._sources.mapper.reading() as connection:
                periods = await Store(self._sources.mapper, connection).periods(self._mapping.division, command.journal)
            own = periods.of(command.entry_date)
            period = (own.year, own.number) if own is not None else (None, None)
        ours = (period[0], period[1]) if period[0] is not None and period[1] is not None else None
        found = [found_of(line) for line in lines if not line.is_deferral]
        differences: list[Any] = list(
            compare(entry, found, currency=self._mapping.currency, period=ours, computes_vat=command.mode == "document")
        )
        if posted.journal != command.journal:
            differences.append(Journal(booked=command.journal, found=posted.journal))
        return [each for each in differences if each.kind != "rounding"]

    def _whose(self, command: PostEntry, lines: Sequence[LedgerLine], customers: dict[str, list[str]]) -> Difference | None:
        relations = {line.relation_id for line in lines if line.account in self._debtors and line.relation_id is not None}
        known = sorted({ref for relation in relations for ref in customers.get(relation, [])})
        if not relations or command.customer_ref in known:
            return None
        return Difference(kind="edited", what="customer", booked=command.customer_ref, found=", ".join(known) or "?")

    async def _not_linked(self, row: Row) -> list[Compared]:
        """Return a document that Exact does not have, that our rules hold, or of which a person is asked."""
        async with self._sources.mapper.reading() as connection:
            store = Store(self._sources.mapper, connection)
            told = await last_told(store, row) if row.state != "planned" else None
            subject = await self._subjects.load(store, row.key) if row.command is None else None
        if row.command is not None:
            head = _head(msgspec.json.decode(row.command, type=PostEntry))
        elif subject is not None:
            ref = subject.ref
            head = _names(ref.kind, ref.number, ref.document_date, ref.customer_id, ref.currency, ref.total_minor)
        else:
            return []
        if row.state == "planned":
            return [Compared(verdict="missing_there", **head)]
        code = row.code or ""
        sentence = InTwo(told.sentence, told.sentence_nl or told.sentence) if told is not None else InTwo(code, code)
        if row.code != ASKED:
            return [Compared(verdict="held", told=(sentence,), **head)]
        self._asked.add(row.key.number)
        return [Compared(verdict="differs", parts=("amount_or_customer",), told=(sentence,), **head)]

    async def _only_there(self, lines: Sequence[LedgerLine]) -> Compared | None:
        head = lines[0]
        debts = [line for line in lines if line.account in self._debtors and not line.is_deferral]
        if not debts or head.your_ref in self._asked:
            return None
        total = sum(minor(line.fc_hundredths, line.currency) for line in debts)
        customers = await customers_of(self._sources, self._mapping.division, [lines])
        known = sorted({ref for refs in customers.values() for ref in refs})
        name = head.your_ref or head.description or str(head.entry_number)
        names = _names("entry", name, head.day, ", ".join(known), head.currency, total)
        return Compared(verdict="only_there", entry=head.entry_number, **names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The journal of both entries."""

    booked: str
    found: str
    kind: str = "edited"
    what: str = "journal"
    place: str = ""


def _part(each: Difference | Journal) -> str:
    return "vat" if each.place.startswith(VAT) else each.what


def _sentence(each: Difference | Journal, currency: str) -> InTwo:
    def shown(value: str | int) -> str:
        return format_minor(value, currency) if isinstance(value, int) else value or "-"

    english, dutch = _PARTS[_part(each)]
    values = {"place": each.place.removeprefix(VAT), "booked": shown(each.booked), "found": shown(each.found)}
    return InTwo(english.format_map(values), dutch.format_map(values))


def _head(command: PostEntry) -> dict[str, Any]:
    ref = command.document
    return _names(ref.kind, ref.number, ref.document_date or command.entry_date, ref.customer_id, ref.currency, ref.total_minor)


def _names(kind: str, number: str, day: date | None, customer: str, currency: str, total_minor: int) -> dict[str, Any]:
    names = {"kind": kind, "number": number, "day": day, "customer": customer}
    return {**names, "currency": currency, "total_minor": total_minor}
