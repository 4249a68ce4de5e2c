"""The reconciliation of a division: three passes over what three services keep of some days, a page at a time.

Everything that Chargebee showed with a date of these days is looked up in the mapper and in the ledger; then the bookings of
these days that were not judged with it, also of documents of which Chargebee shows nothing, by their nature or because
ingest's log lacks them; then what else the ledger has in these days. Numbers that a series lacks are looked up before that: a
document of another day may have them. What is gathered goes to the scratch file, so that memory stays flat, and what is read
is what the days need.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo

import msgspec

from backbone.command_database import UnreadableError
from backbone.configuration import Configuration
from bookkeeping.bookings import booking_of
from bookkeeping.deferral import UnreadableInstantError, local_date
from bookkeeping.mapping import Mapping
from bookkeeping.number_series import Lacking
from contracts.ledger import LedgerLine, LedgerState
from mapper.drift_decisions import Accepted, Countered, decisions, gone
from mapper.linked import debtor_accounts
from mapper.reconcile_columns import Columns, Wish
from mapper.reconcile_judging import (
    Booking,
    Case,
    Schedule,
    as_it_stands,
    bookings_of,
    in_range,
    lines_of,
    of_booking,
    of_document,
    owed_minor,
    stays_gone,
)
from mapper.reconcile_scratch import Finding, Scratch, Series
from mapper.reconcile_sources import PAGE, Shown, Sources, customers_of
from mapper.reconcile_strangers import Strangers
from mapper.store import ISSUED, Key, Row, Store
from mapper.subjects import RESOURCE_OF

_KINDS: dict[str, tuple[str, ...]] = {
    "invoice": ("invoice",),
    "credit_note": ("credit_note", "vat_reclaim"),
    "payment": ("payment", "exchange_difference"),
    "refund": ("refund", "exchange_difference"),
}
_OF_THEIR_OWN = ("payout", "tax_withheld", "application")  # Chargebee shows none of these as a document
SERIES = ("invoice", "credit_note")
MOST_LOOKED_UP = 10_000  # numbers that a series lacks; where it lacks more, those that there are are gone through


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A document as the list of documents has it; amounts in minor units, what each side adds to the customer's debt."""

    kind: str
    number: str
    day: date | None
    customer: str
    currency: str
    chargebee_minor: int
    logs_minor: int
    exact_minor: int
    entries: tuple[int, ...]
    findings: tuple[Finding, ...]


class Reconciler:
    """Gathers into the scratch; `tell` gets every document of the range once."""

    def __init__(
        self,
        wish: Wish,
        configuration: Configuration,
        mapping: Mapping,
        sources: Sources,
        scratch: Scratch,
        tell: Callable[[Told], None],
    ) -> None:
        self._wish = wish
        self._configuration = configuration
        self._mapping = mapping
        self._sources = sources
        self._scratch = scratch
        self._tell = tell
        self._zones = {name: ZoneInfo(site.time_zone) for name, site in configuration.sites.items()}
        self._columns = Columns(wish, scratch, mapping.receivable_account)
        self._customers: dict[str, list[str]] = {}
        self._counters: defaultdict[str, list[str]] = defaultdict(list)
        self._gone: dict[str, Accepted] = {}
        self._schedules: dict[str, Schedule] = {}
        self._state = LedgerState(read_at=None, sees_deletions=False)

    async def run(self) -> LedgerState:
        """Make all passes; returns how far the ledger was read."""
        self._state = await self._sources.ledger.state(self._wish.division)
        if self._state.read_at is None:
            raise UnreadableError(
                f"Exact's ledger of division {self._wish.division} was never read, so that there is nothing to compare with; "
                "leave out --wait 0, or let a writer run."
            )
        division = self._configuration.divisions[self._wish.division]
        async with self._sources.mapper.reading() as connection:
            decided = await decisions(connection, self._wish.division)
            store, method = Store(self._sources.mapper, connection), self._mapping.deferral_method
            for journal in division.journals.codes():
                periods = await store.periods(self._wish.division, journal)
                self._schedules[journal] = Schedule(periods, method if division.deferral is not None else None)
        self._gone = gone(decided)
        self._scratch.accept(each for each in decided if isinstance(each, Accepted))
        for each in decided:
            if isinstance(each, Countered):
                self._counters[each.reference].append(each.command_id)
                self._scratch.mark("judged", [each.command_id])
        self._sources.check_ingest()
        async for page in self._sources.shown(self._wish.first, self._wish.last):
            await self._documents(page)
        async for rows in self._sources.rows_of_days(self._wish.division, self._wish.first, self._wish.last):
            await self._not_shown(rows)
        await self._of_other_days()
        journals = sorted(division.journals.codes())
        receivable_account = self._mapping.receivable_account
        strangers = Strangers(
            self._wish, journals, receivable_account, self._sources, self._scratch, self._columns, self._moved_in
        )
        await strangers.run()
        return self._state

    async def _not_shown(self, rows: Sequence[Row]) -> None:
        """Judge bookings whose document Chargebee did not show: payouts by nature, others because ingest's log lacks them."""
        # An application that made no difference is none, and most make none.
        own = [row for row in rows if row.key.kind in _OF_THEIR_OWN]
        await self._take([(None, [row]) for row in own if row.key.kind != "application" or row.state != "set_aside"])
        issued = [row for row in rows if row.state in ISSUED and row.key.kind not in _OF_THEIR_OWN]
        # A document may have another date than its booking, or have come since.
        await self._look_up([row.key for row in issued if not self._is_shown(row.key)])
        lost: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for row in issued:
            if not self._is_shown(row.key):
                lost[row.key.site, row.key.kind].add(row.key.number)
        for (site, kind), numbers in lost.items():
            documents: defaultdict[str, list[Row]] = defaultdict(list)
            for row in await self._sources.rows(site, (kind,), sorted(numbers)):
                documents[row.key.number].append(row)
            # Its bookings may go on in the next page.
            self._scratch.mark("shown", [_name(document[0].key) for document in documents.values()])
            await self._take([(None, _ordered(document)) for document in documents.values()])

    async def _look_up(self, keys: Iterable[Key]) -> None:
        """Judge documents by what Chargebee showed of them last, whatever their day."""
        streams = sorted({f"{key.site}/{RESOURCE_OF[key.kind][0]}/{key.number}" for key in keys})
        if found := await self._sources.shown_of(streams):
            await self._documents(found)

    async def _of_other_days(self) -> None:
        """Look up the numbers that a series of these days lacks."""
        for series in list(self._scratch.series()):
            lacking = Lacking(series.first, series.missing)
            if lacking.count <= MOST_LOOKED_UP:
                numbers = iter(lacking)
                while some := list(islice(numbers, PAGE)):
                    await self._look_up_numbers(series, some)
                continue
            async for ids in self._sources.numbered(series.site, series.kind, series.prefix):
                await self._look_up_numbers(series, [each for each in ids if each in lacking])

    async def _look_up_numbers(self, series: Series, numbers: Sequence[str]) -> None:
        keys = [Key(series.site, series.kind, number) for number in numbers]
        await self._look_up(keys)
        unknown = [key.number for key in keys if not self._is_shown(key)]
        documents: defaultdict[str, list[Row]] = defaultdict(list)
        for row in await self._sources.rows(series.site, (series.kind,), unknown) if unknown else ():
            documents[row.key.number].append(row)
        await self._take([(None, _ordered(rows)) for rows in documents.values() if any(row.state in ISSUED for row in rows)])

    def _is_shown(self, key: Key) -> bool:
        return self._scratch.is_marked("shown", _name(key))

    async def _moved_in(self, rows: Sequence[Row]) -> None:
        """Judge bookings of other days whose entries stand in Exact in these days, where somebody moved them."""
        first, last = self._wish.first, self._wish.last
        division = self._wish.division
        mine = [row for row in rows if row.division == division and not self._scratch.is_marked("judged", row.command_id or "")]
        bookings = bookings_of(mine, self._mapping.receivable_account)
        cases = [self._booked(row, (bookings[row.key],)) for row in mine if row.key in bookings]
        for case in await self._with_lines([each for each in cases if not in_range(each, first, last)]):
            # Revenue that an entry released in these days did not move.
            days = [line.day for each in case.bookings for line in each.lines if not line.is_deferral]
            if any(first <= day <= last for day in days):
                self._judge(case)

    async def of_these_days(self, page: Sequence[Shown]) -> list[str]:
        """Return the names (`invoice INV-1`) of those documents that this reconciliation is about, also by their bookings."""
        found = await self._with_rows(page)
        bookings = bookings_of([row for _, rows in found for row in rows], self._mapping.receivable_account)
        names = []
        for shown, rows in found:
            case = self._case(shown, rows, tuple(bookings[each.key] for each in rows if each.key in bookings), set())
            if case is not None and in_range(case, self._wish.first, self._wish.last) and self._is_ours(shown, rows):
                names.append(f"{case.kind} {case.number}")
        return names

    async def _documents(self, page: Sequence[Shown]) -> None:
        self._scratch.mark("shown", [_name(key) for each in page for key in _keys(each)])
        await self._take(await self._with_rows(page))

    async def _with_rows(self, page: Sequence[Shown]) -> list[tuple[Shown | None, list[Row]]]:
        numbers: defaultdict[tuple[str, str], list[Shown]] = defaultdict(list)
        for shown in page:
            numbers[shown.fact.site, shown.kind].append(shown)
        found: list[tuple[Shown | None, list[Row]]] = []
        for (site, kind), members in numbers.items():
            rows: defaultdict[str, list[Row]] = defaultdict(list)
            for row in await self._sources.rows(site, _KINDS[kind], [each.number for each in members]):
                rows[row.key.number].append(row)
            found += [(each, _ordered(rows[each.number])) for each in members]
        return found

    async def _take(self, found: Sequence[tuple[Shown | None, list[Row]]]) -> None:
        """Judge documents: what Chargebee shows of each, if it shows it, and its bookings."""
        bookings = bookings_of([row for _, rows in found for row in rows], self._mapping.receivable_account)
        unknown = [shown.message_id for shown, rows in found if shown is not None and not rows]
        handled = await self._sources.handled(unknown) if unknown else set()
        chosen = []
        for shown, rows in found:
            mine = tuple(bookings[each.key] for each in rows if each.key in bookings)
            case = self._case(shown, rows, mine, handled)
            if case is None:
                continue
            is_in_range = in_range(case, self._wish.first, self._wish.last)
            self._number(shown, case, in_range=is_in_range)
            if is_in_range and self._is_ours(shown, rows):
                chosen.append(case)
        for case in await self._with_lines(chosen):
            self._judge(case)

    def _case(self, shown: Shown | None, rows: Sequence[Row], bookings: tuple[Booking, ...], handled: set[str]) -> Case | None:
        if shown is None and rows[0].key.kind in _OF_THEIR_OWN:
            return self._booked(rows[0], bookings)
        if shown is None:
            return replace(self._booked(rows[0], bookings), rows=tuple(rows), owed_minor=0, is_shown=False)
        resource, kind = shown.resource, shown.kind
        is_gone = resource.deleted or shown.fact.deleted
        owed = 0 if is_gone else owed_minor(kind, resource)
        if is_gone and any(booking_of(row.key.suffix).life > 1 for row in rows):
            return None  # another document has the number now, and is judged with all bookings of it
        return Case(
            kind=kind,
            number=shown.number,
            day=_day(resource.date, self._zones.get(shown.fact.site, UTC)),
            customer_id=resource.customer_id or "",
            currency=resource.currency_code or "",
            owed_minor=owed,
            is_gone=is_gone,
            is_shown=True,
            is_handled=shown.message_id in handled or bool(rows),
            rows=tuple(rows),
            bookings=bookings,
        )

    def _booked(self, row: Row, bookings: tuple[Booking, ...]) -> Case:
        """Return a case of what was booked, where Chargebee's side is not looked at."""
        document = bookings[0].command.document if bookings else None
        return Case(
            kind=row.key.kind,
            number=row.key.number,
            day=document.document_date if document else None,
            customer_id=row.customer_id,
            currency=document.currency if document else "",
            owed_minor=sum(each.entry.receivable_minor for each in bookings),
            is_gone=False,
            is_shown=True,
            is_handled=True,
            rows=(row,),
            bookings=bookings,
        )

    def _number(self, shown: Shown | None, case: Case, *, in_range: bool) -> None:
        if case.kind not in SERIES:
            return
        site = shown.fact.site if shown is not None else case.rows[0].key.site
        booked = any(each.row.key.kind == case.kind for each in case.bookings)
        reason = "" if booked else (case.pending.code if case.pending else None) or ("gone" if case.is_gone else "waiting")
        self._scratch.number(site, case.kind, case.number, in_range=in_range, reason=reason)

    def _is_ours(self, shown: Shown | None, rows: Sequence[Row]) -> bool:
        """Tell whether a document is of the division; one whose division nobody knows yet is of its site's."""
        known = {row.division for row in rows if row.division is not None}
        if known or shown is None:
            return self._wish.division in known
        site = self._configuration.sites.get(shown.fact.site)
        return site is not None and self._wish.division in (site.division, *site.business_entities.values())

    async def _with_lines(self, cases: Sequence[Case]) -> list[Case]:
        """Add to each booking what was said of it and what Exact's ledger has of it."""
        bookings = [each for case in cases for each in case.bookings]
        mending = [command for each in bookings for command in self._counters.get(each.command.your_ref, ())]
        commands = [*(each.command.command_id for each in bookings), *mending]
        posted = {fact.command_id: (fact, at) for fact, at in await self._sources.ledger.posted(commands)}
        by_entry: defaultdict[str, list[LedgerLine]] = defaultdict(list)
        entries = sorted({fact.entry_id for fact, _ in posted.values()})
        for line in await self._sources.ledger.of_entries(self._wish.division, entries):
            by_entry[line.entry_id].append(line)
        self._customers = await customers_of(self._sources, self._wish.division, by_entry.values())

        def complete(booking: Booking) -> Booking:
            said = posted.get(booking.command.command_id)
            if said is None:
                return booking
            lines = lines_of(booking.command, said[0], by_entry[said[0].entry_id])
            for command in self._counters.get(booking.command.your_ref, ()) if lines else ():
                mended = by_entry[posted[command][0].entry_id] if command in posted else ()
                # What they moved belongs to the booking's own day and reference, on whichever day it was moved.
                own = {name: getattr(lines[0], name) for name in ("day", "year", "period", "your_ref")}
                lines += tuple(msgspec.structs.replace(each, **own) for each in mended)
            return as_it_stands(replace(booking, posted=said[0], at=said[1], lines=lines), debtor_accounts(self._mapping))

        return [replace(case, bookings=tuple(complete(each) for each in case.bookings)) for case in cases]

    def _judge(self, case: Case) -> None:
        self._scratch.mark("judged", [each.command.command_id for each in case.bookings])
        findings = list(of_document(case))
        for booking in case.bookings:
            currency, customers = self._mapping.currency, self._customers
            accepted = self._gone.get(booking.command.command_id)
            if booking.posted is None and accepted is not None:
                findings.append(stays_gone(booking, accepted))
                continue
            schedule = self._schedules.get(booking.command.journal)
            findings += of_booking(booking, self._state, currency=currency, customers=customers, schedule=schedule)
        findings = [self._scratch.note(finding) for finding in findings]
        customer = case.bookings[0].command.document.customer_id if case.bookings else case.customer_id
        exact = self._columns.document(case, customer, self._customers)
        self._tell(
            Told(
                kind=case.kind,
                number=case.number,
                day=case.day,
                customer=customer,
                currency=case.currency,
                chargebee_minor=case.owed_minor,
                logs_minor=case.booked_minor,
                exact_minor=exact,
                entries=tuple(each.posted.entry_number for each in case.bookings if each.posted is not None),
                findings=tuple(findings),
            )
        )


def _ordered(rows: Iterable[Row]) -> list[Row]:
    def place(row: Row) -> tuple[int, int]:
        booking = booking_of(row.key.suffix)
        return booking.life, booking.step

    return sorted(rows, key=place)


def _keys(shown: Shown) -> list[Key]:
    """Return what the mapper may have booked of a document, without the suffixes."""
    return [Key(shown.fact.site, kind, shown.number) for kind in _KINDS[shown.kind]]


def _name(key: Key) -> str:
    return f"{key.kind}/{key.site}/{key.number}"


def _day(instant: int | None, zone: tzinfo) -> date | None:
    if instant is None:
        return None
    try:
        return local_date(instant, zone)
    except UnreadableInstantError:
        return None
