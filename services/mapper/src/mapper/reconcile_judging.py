"""One document's three sides: what Chargebee shows, what was booked of it, and what Exact's ledger has; and why they differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
from msgspec.structs import replace

from bookkeeping.deferral import Method
from bookkeeping.hold_reasons import REASONS
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.money import decimals_of
from bookkeeping.periods import Periods
from bookkeeping.reconciliation import Difference, Found, Kind, compare
from bookkeeping.released import compare_releases
from contracts import chargebee
from contracts.commands import PostEntry
from contracts.facts import DocumentRef, EntryPosted
from contracts.ledger import LedgerLine, LedgerState
from mapper.drift_decisions import GONE, Accepted
from mapper.issue import booked_entry
from mapper.linked import debt_lines, own_lines
from mapper.reconcile_scratch import Finding
from mapper.store import ISSUED, Key, Row
from mapper.subjects import LOWERS_DEBT, Money, Resource, is_void
from mapper.translate_money import MONEY_UNDER_WAY

HUNDREDTHS = 100
OTHERS = "?"
OF_AMOUNTS = frozenset(("amount", "account", "vat", "rate"))
_STATES: dict[str, Kind] = {"held": "held", "refused": "held", "waiting": "waiting", "set_aside": "set_aside"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A booking that was issued, and what Exact's ledger has of it. `at` is when it was booked, in unix seconds."""

    row: Row
    command: PostEntry
    entry: Entry
    posted: EntryPosted | None = None
    at: float = 0.0
    lines: tuple[LedgerLine, ...] = ()

    @property
    def debtor_accounts(self) -> set[str]:
        """The accounts of its debts."""
        return {line.account for line in self.entry.lines if line.is_receivable}


def bookings_of(rows: Iterable[Row], receivable_account: str) -> dict[Key, Booking]:
    """Return what was issued of these rows."""
    found = {}
    for row in rows:
        if row.state in ISSUED and row.command is not None:
            command = msgspec.json.decode(row.command, type=PostEntry)
            entry = booked_entry(command, command.your_ref, receivable_account)
            found[row.key] = Booking(row=row, command=command, entry=entry)
    return found


@dataclass(frozen=True, slots=True)
class Schedule:
    """By what Exact releases deferred revenue: the periods of the journal, and its setting where the configuration tells it."""

    periods: Periods
    method: Method | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A document of Chargebee with all its bookings. `owed_minor` is what it adds to the customer's debt now.

    `is_shown` is false where ingest has nothing of it, `is_handled` while the mapper has not heard of it.
    """

    kind: str
    number: str
    day: date | None
    customer_id: str
    currency: str
    owed_minor: int
    is_gone: bool
    is_shown: bool
    is_handled: bool
    rows: tuple[Row, ...]
    bookings: tuple[Booking, ...]

    @property
    def booked_minor(self) -> int:
        """What the bookings add to the customer's debt."""
        return sum(each.entry.receivable_minor for each in self.bookings if each.row.key.kind == self.kind)

    @property
    def changed(self) -> Row | None:
        """The newest booking whose document changed since, which a person is to look at; totals need not tell it."""
        newest = {row.key.kind: row for row in self.rows if row.state in ISSUED}
        return next((row for row in newest.values() if row.told is not None), None)

    @property
    def pending(self) -> Row | None:
        """The booking that would come next and was not issued."""
        return next((row for row in reversed(self.rows) if row.key.kind == self.kind and row.state not in ISSUED), None)


def owed_minor(kind: str, resource: Resource) -> int:
    """Return what a document adds to the customer's debt as it stands: nothing when it is void, gone or moved no money."""
    if resource.deleted or is_void(resource):
        return 0
    if isinstance(resource, chargebee.Transaction) and (resource.status in MONEY_UNDER_WAY or resource.type == "authorization"):
        return 0
    amount = resource.amount if isinstance(resource, Money) else resource.total
    return -amount if kind in LOWERS_DEBT else amount


def of_document(case: Case) -> Iterator[Finding]:
    """Give why a document is not booked as Chargebee has it, and what else of it waits for somebody."""
    pending, missing = case.pending, case.booked_minor - case.owed_minor
    shared: dict[str, Any] = {"document": case.kind, "number": case.number, "currency": case.currency, "amount_minor": missing}
    changed = case.changed
    if not case.is_shown:
        yield Finding(kind="missing", name="document_not_shown", **shared)
    elif missing and pending is not None:
        reason = REASONS.get(pending.code or "")
        kind = "waiting" if reason is not None and reason.waiting and pending.state == "refused" else _STATES[pending.state]
        yield Finding(kind=kind, name=f"document_{kind}", code=pending.code or "", **shared)
    elif changed is not None:
        yield Finding(kind="held", name="document_held", code=changed.code or "", **shared)
    elif not missing:
        pass
    elif not case.rows and not case.is_handled:
        yield Finding(kind="waiting", name="document_unhandled", **shared)
    elif not case.rows:
        yield Finding(kind="missing", name="document_missing", **shared)
    else:
        details: dict[str, Any] = {"owed_minor": case.owed_minor, "booked_minor": case.booked_minor}
        said = next((each.command.linked for each in case.bookings if each.command.linked is not None), None)
        if said is not None and said.who:
            # A person linked it in spite of what differs.
            details |= {"who": said.who, "why": said.why, "when": said.said_on.isoformat() if said.said_on else ""}
            yield Finding(kind="accepted", name="document_differs", details=details, **shared)
        else:
            yield Finding(kind="differs", name="document_differs", details=details, **shared)
    for row in case.rows:
        if row.key.kind != case.kind and row.state in ("held", "refused"):
            yield Finding(kind="held", name="document_held", document=row.key.kind, number=case.number, code=row.code or "")


def of_booking(
    booking: Booking, state: LedgerState, *, currency: str, customers: dict[str, list[str]], schedule: Schedule | None = None
) -> Iterator[Finding]:
    """Give what Exact's ledger shows otherwise than it was booked. `currency` is the division's, `schedule` of its releases."""
    command, posted = booking.command, booking.posted
    shared = _about(command.document, command.your_ref, command.currency)
    if posted is None:
        # The mapper calls it booked once the writer has said so.
        is_told, amount = booking.row.state == "booked", -booking.entry.receivable_minor
        name = "entry_untold" if is_told else "entry_waiting"
        yield Finding(kind="missing" if is_told else "waiting", name=name, amount_minor=amount, **shared)
        return
    details: dict[str, Any] = {"entry": posted.entry_number, "journal": posted.journal, "reference": command.your_ref}
    if not booking.lines:
        is_read = state.read_at is not None and state.read_at > booking.at
        kind, name = ("missing", GONE) if is_read else ("waiting", "entry_unread")
        amount = -booking.entry.receivable_minor
        yield Finding(
            kind="missing" if kind == "missing" else "waiting", name=name, amount_minor=amount, details=details, **shared
        )
        return
    details |= _hand(booking)
    if command.linked is not None:
        yield Finding(kind="linked", name="entry_linked", details=details, **shared)
    differences = [*_differences(booking, currency), *_texts(booking, customers)]
    if not any(each.what in OF_AMOUNTS for each in differences):
        differences += _releases(booking, currency, schedule)  # else they follow what was changed
    for each in differences:
        more = {"what": each.what, "place": each.place, "booked": each.booked, "found": each.found, "base": currency}
        yield Finding(
            kind=each.kind,
            name=f"entry_{each.kind}" if each.kind != "edited" else f"entry_edited_{each.what}",
            amount_minor=each.amount_minor,
            details={**details, **more},
            **shared,
        )


def stays_gone(booking: Booking, accepted: Accepted) -> Finding:
    """Return what was accepted of an entry that was deleted in Exact, where the writer's journal no longer has it."""
    command = booking.command
    return Finding(
        kind="missing",
        name=GONE,
        amount_minor=-booking.entry.receivable_minor,
        details={"entry": accepted.entry, "journal": command.journal, "reference": command.your_ref},
        **_about(command.document, command.your_ref, command.currency),
    )


def _releases(booking: Booking, currency: str, schedule: Schedule | None) -> list[Difference]:
    """Give what Exact releases of deferred revenue otherwise than was asked for; of what was deleted there is nothing to say."""
    command, posted = booking.command, booking.posted
    is_deferred = any(line.from_date is not None for line in command.lines)
    if not is_deferred or schedule is None or posted is None or command.linked is not None:
        return []
    entry = booking.entry
    if entry.exchange_rate is None and entry.currency != currency:
        entry = replace(entry, exchange_rate=posted.exchange_rate)
    # What is deferred goes with its entry, in whichever period that stands now.
    shown = {(line.year, line.period) for line in booking.lines if not line.is_deferral}
    year, period = shown.pop() if len(shown) == 1 else (posted.reporting_year, posted.reporting_period)
    entry = replace(entry, reporting_year=year, reporting_period=period)
    lines = [found_of(line) for line in booking.lines if line.is_deferral]
    return compare_releases(entry.in_currency(currency), lines, schedule.periods, schedule.method)


def _texts(booking: Booking, customers: dict[str, list[str]]) -> Iterator[Difference]:
    """Give what differs of an entry's reference and of whose debt it is."""
    command = booking.command
    if command.kind == "sales" and command.linked is None:
        shown = {line.your_ref or "" for line in booking.lines if not line.is_deferral}
        if shown != {command.your_ref}:
            other = min(shown - {command.your_ref}, default="")
            yield Difference(kind="edited", what="reference", booked=command.your_ref, found=other)
    expected = {line.customer_ref or command.customer_ref for line in command.lines if line.is_receivable} or {
        command.customer_ref
    }
    for line in booking.lines:
        if line.relation_id is None or line.account not in booking.debtor_accounts:
            continue
        known = customers.get(line.relation_id, [])
        if not expected.intersection(known):
            # Exact's account may be no customer's.
            yield Difference(kind="edited", what="customer", booked=min(expected), found=known[0] if known else "")
            return


def _differences(booking: Booking, currency: str) -> list[Difference]:
    posted, entry = booking.posted, booking.entry
    if posted is None or booking.command.linked is not None:
        return []  # of what somebody else booked only the debt is ours to compare, which the document's own judging does
    if entry.exchange_rate is None and entry.currency != currency:
        entry = replace(entry, exchange_rate=posted.exchange_rate)  # Exact took its own
    year, period = posted.reporting_year, posted.reporting_period
    found = [found_of(line) for line in booking.lines if not line.is_deferral]
    reported = (year, period) if year is not None and period is not None else None
    computes_vat = posted.booked_as == "document"
    return compare(entry, found, currency=currency, period=reported, computes_vat=computes_vat)


def as_it_stands(booking: Booking, debtors: Collection[str]) -> Booking:
    """Return a booking that is linked with the entry that somebody else made of it, as far as it is the document's."""
    lines = own_lines(booking.lines, booking.command.document.number, debtors)
    debts = debt_lines(lines, debtors)
    if booking.command.linked is None or not debts:
        return booking
    ids = {line.line_id for line in debts}
    made = [
        Line(
            role=Role.RECEIVABLE if line.line_id in ids else Role.REVENUE,
            account=line.account,
            amount_minor=0 if line.is_vat else minor(line.fc_hundredths, line.currency),
            vat_code=line.vat_code if line.is_vat else None,
            vat_minor=minor(line.fc_hundredths, line.currency) if line.is_vat else 0,
        )
        for line in lines
        if not line.is_deferral
    ]
    rest = sum(line.amount_minor + line.vat_minor for line in made)
    if rest:  # Exact makes each entry balance, but several documents may share one
        made.append(Line(role=Role.REVENUE, account=OTHERS, amount_minor=-rest))
    entry = replace(booking.entry, lines=tuple(made), entry_date=debts[0].day, currency=debts[0].currency, exchange_rate=None)
    return dataclasses.replace(booking, entry=entry, lines=tuple(lines))


def found_of(line: LedgerLine) -> Found:
    """Return a line of the ledger as bookkeeping compares it."""
    return Found(
        account=line.account,
        amount_minor=minor(line.fc_hundredths, line.currency),
        base_minor=line.dc_hundredths,
        day=line.day,
        year=line.year,
        period=line.period,
        vat_code=line.vat_code,
        is_vat=line.is_vat,
        cost_center=line.cost_center,
        cost_unit=line.cost_unit,
    )


def minor(hundredths: int, currency: str) -> int:
    """Return an amount of Exact's, which has hundredths of every currency, in minor units."""
    return hundredths if decimals_of(currency) else hundredths // HUNDREDTHS


def lines_of(command: PostEntry, posted: EntryPosted, lines: Iterable[LedgerLine]) -> tuple[LedgerLine, ...]:
    """Return the lines of an entry that are of one command: those that name it, where the entry holds several documents."""
    if posted.booked_as != "ledger":
        return tuple(lines)
    # Each line begins with the reference of its booking; behind it another document may be named.
    return tuple(line for line in lines if f"{line.description or ''} ".startswith(f"{command.your_ref} "))


def in_range(case: Case, first: date, last: date) -> bool:
    """Tell whether a document or one of its bookings is of these days."""
    days = [case.day, *(each.entry.entry_date for each in case.bookings)]
    return any(day is not None and first <= day <= last for day in days)


def _about(document: DocumentRef, reference: str, currency: str) -> dict[str, Any]:
    return {"document": document.kind, "number": reference or document.number, "currency": currency}


def _hand(booking: Booking) -> dict[str, Any]:
    """Tell who changed an entry last, and when by Exact's clock."""
    newest = max(booking.lines, key=lambda line: line.modified_at or 0.0)
    return {"modified_at": newest.modified_at, "modifier": newest.modifier} if newest.modified_at is not None else {}
