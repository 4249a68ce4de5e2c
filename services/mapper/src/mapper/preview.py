"""What would be booked now: the entries under way and the next one of each document, with their totals. Nothing is written."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import msgspec
from msgspec import structs

from bookkeeping.bookings import booking_of
from bookkeeping.journal import Entry
from bookkeeping.rejections import Rejection, SetAside
from contracts.commands import PostEntry
from mapper.decision import decide, make
from mapper.history import Kept, last_told
from mapper.issue import booked_entry, save_account
from mapper.store import Row, Store
from mapper.subjects import Subject, Subjects, name_of

OPEN = frozenset(("held", "waiting", "refused", "planned"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One document and its next entry, or why there is none; `is_new_account` costs one call more."""

    subject: Subject
    division: int | None
    booking: Row | None
    state: str
    entry: Entry | None = None
    code: str | None = None
    sentence: str | None = None
    action: str | None = None
    sentence_nl: str | None = None
    action_nl: str | None = None
    is_new_account: bool = False

    @property
    def suffix(self) -> str:
        """Which booking of the document it is."""
        return self.booking.key.suffix if self.booking is not None else self.subject.key.suffix

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; amounts in minor units of `currency`."""
        ref, entry = self.subject.ref, self.entry
        found: dict[str, Any] = {
            "document": name_of(self.subject),
            "kind": ref.kind,
            "number": ref.number,
            "suffix": self.suffix,
            "site": ref.site,
            "customer": ref.customer_id,
            "division": self.division,
            "state": self.state,
        }
        if entry is None:
            told = {name: getattr(self, name) for name in ("code", "sentence", "action", "sentence_nl", "action_nl")}
            return {**found, **told}
        postings = [
            {"account": each.account, "debit_minor": each.debit_minor, "credit_minor": each.credit_minor}
            for each in entry.postings()
        ]
        return {
            **found,
            "journal": entry.journal,
            "date": entry.entry_date.isoformat(),
            "reported_in": [entry.reporting_year, entry.reporting_period] if entry.reporting_year else None,
            "currency": entry.currency,
            "exchange_rate": str(entry.exchange_rate) if entry.exchange_rate is not None else None,
            "postings": postings,
            "explanation": [each.english for each in entry.explanation],
            "explanation_nl": [each.dutch for each in entry.explanation],
        }


@dataclass(slots=True)
class Totals:
    """What all looked-at documents come to; sums by division, currency and account, in minor units.

    `lines` counts, by division, the lines of the entries that are not booked yet; Exact makes the debtor's of a sale itself.
    """

    entries: int = 0
    calls: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    held: int = 0
    lines: Counter[int] = field(default_factory=Counter)
    sums: dict[tuple[int, str, str], list[int]] = field(default_factory=dict)

    def add(self, one: Planned) -> None:
        """Count one document."""
        if one.entry is None:
            self.reasons[one.code or one.state] += 1
            self.held += one.state in ("held", "refused")
            return
        self.entries += 1
        if one.state != "booked":
            self.calls += 1 + one.is_new_account
            self.lines[one.division or 0] += len(one.entry.lines)
        for each in one.entry.postings():
            sums = self.sums.setdefault((one.division or 0, one.entry.currency, each.account), [0, 0])
            sums[0] += each.debit_minor
            sums[1] += each.credit_minor

    def as_dict(self) -> dict[str, Any]:
        """Return them for JSON."""
        return {
            "entries": self.entries,
            "calls": self.calls,
            "lines": dict(sorted(self.lines.items())),
            "not_booked": dict(sorted(self.reasons.items())),
            "accounts": [
                {"division": place[0], "currency": place[1], "account": place[2], "debit_minor": debit, "credit_minor": credit}
                for place, (debit, credit) in sorted(self.sums.items())
            ],
        }


class Preview:
    """Looks at one document after another."""

    def __init__(self, store: Store, subjects: Subjects, today: date) -> None:
        self._store = store
        self._subjects = subjects
        self._today = today
        self._new_accounts: set[tuple[int, str]] = set()

    async def of(self, kept: Kept) -> list[Planned]:
        """Return the entries under way and the next one of a document."""
        subject = await self._subjects.load(self._store, kept.key)
        if subject is None:
            return []
        last, pending = kept.last, kept.pending()
        if last is None:
            return [await self._next(subject, pending)]
        found = [self._under_way(subject, row) for row in kept.rows if row.state == "planned"]
        if found:
            return found
        if pending is not None and pending.state in OPEN:
            return [await self._held_later(subject, pending)]
        if booking_of(last.key.suffix).is_reversal:
            return []
        return [self._planned(subject, last, await make(self._store, subject, None, self._today, is_first=True), "booked")]

    async def _held_later(self, subject: Subject, pending: Row) -> Planned:
        """Return a reversal, a refusal or a changed state that is held, as the mapper told it when it tried."""
        told = await last_told(self._store, pending)
        planned = Planned(subject=subject, division=pending.division, booking=pending, state=pending.state, code=pending.code)
        if told is None:
            return planned
        sentence, action = told.sentence_nl or told.sentence, told.action_nl or told.action
        return replace(planned, sentence=told.sentence, action=told.action, sentence_nl=sentence, action_nl=action)

    async def _next(self, subject: Subject, pending: Row | None) -> Planned:
        decision = await decide(self._store, subject, pending, self._today, is_first=True)
        planned = self._planned(subject, pending, decision, "held" if pending is None else pending.state)
        if planned.entry is None or subject.customer is None or subject.mapping is None:
            return planned
        command = save_account(subject.customer, subject.key.site, subject.mapping, self._today)
        place = (subject.mapping.division, command.customer_ref)
        if place in self._new_accounts or await self._store.account_fingerprint(*place) == command.fingerprint:
            return planned
        self._new_accounts.add(place)
        return replace(planned, is_new_account=True)

    def _under_way(self, subject: Subject, row: Row) -> Planned:
        command = msgspec.json.decode(row.command or b"", type=PostEntry)
        mapping = self._subjects.mapping(command.division)
        receivable = mapping.receivable_account if mapping is not None else "?"
        entry = booked_entry(command, command.your_ref, receivable, row.exchange_rate)
        placed = structs.replace(entry, reporting_year=command.reporting_year, reporting_period=command.reporting_period)
        return Planned(subject=subject, division=row.division, booking=row, state="planned", entry=placed, code=row.code)

    def _planned(self, subject: Subject, booking: Row | None, decision: Entry | Rejection | SetAside, state: str) -> Planned:
        if isinstance(decision, Entry):
            return Planned(subject=subject, division=subject.division, booking=booking, state=state, entry=decision)
        return Planned(
            subject=subject,
            division=subject.division,
            booking=booking,
            state=("waiting" if decision.waiting else "held") if isinstance(decision, Rejection) else "set_aside",
            code=decision.code,
            sentence=decision.sentence,
            action=decision.action if isinstance(decision, Rejection) else None,
            sentence_nl=decision.sentence_nl,
            action_nl=decision.action_nl if isinstance(decision, Rejection) else None,
        )
