"""One kept document under two mappings: which documents are compared, and what is found of each."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from bookkeeping.bookings import booking_of
from bookkeeping.journal import Entry
from bookkeeping.mapping import Mapping
from bookkeeping.rejections import Rejection
from contracts.commands import PostEntry
from mapper.comparison import Change, Difference, Outcome, changes_of, changes_since_booked, differences_of, particulars_of
from mapper.decision import decide, make
from mapper.given_days import are_days_given
from mapper.history import Kept, PagedStore, Selection
from mapper.issue import as_issued, booked_entry, bundle_of, is_of_a_sale, mode_of
from mapper.subjects import Subject, Subjects, booking_ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for. `changes` and `account` choose what is listed, the rest what is looked at; `to` is inclusive."""

    new: Path
    selection: Selection
    first: date | None
    to: date | None
    against_booked: bool
    change: Change | None
    account: str | None
    limit: int
    list_to: Path | None

    def is_listed(self, found: Found) -> bool:
        """Tell whether a document that differs is to be listed."""
        if self.change is not None and self.change not in found.changes:
            return False
        return self.account is None or any(each.name == self.account for each in found.differences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A document that differs; `is_booked` when Exact has it, or is about to."""

    kind: str
    number: str
    site: str
    document_date: date | None
    is_booked: bool
    is_closed: bool
    changes: tuple[Change, ...]
    before: Outcome
    after: Outcome
    differences: list[Difference] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; amounts in minor units, debit positive."""
        made = self.after.made
        return {
            "kind": self.kind,
            "number": self.number,
            "site": self.site,
            "date": self.document_date.isoformat() if self.document_date else None,
            "is_booked": self.is_booked,
            "is_in_closed_period": self.is_closed,
            "changes": list(self.changes),
            "before": self.before.code or "booked",
            "after": self.after.code or "booked",
            "sentence": None if isinstance(made, Entry) else made.sentence,
            "action": made.action if isinstance(made, Rejection) else None,
            "sentence_nl": None if isinstance(made, Entry) else made.sentence_nl,
            "action_nl": made.action_nl if isinstance(made, Rejection) else None,
            "differences": [
                {
                    "division": each.division,
                    "currency": each.currency,
                    "part": each.part,
                    "name": each.name,
                    "before_minor": each.before_minor,
                    "after_minor": each.after_minor,
                }
                for each in self.differences
            ],
            "particulars": [
                {"name": each.name.strip(), "before": each.before, "after": each.after}
                for each in particulars_of(self.before, self.after)
            ],
        }


class Comparer:
    """Makes both outcomes of one document after another."""

    def __init__(self, store: PagedStore, before: Subjects, after: Subjects, today: date, wish: Wish) -> None:
        self._store = store
        self._before = before
        self._after = after
        self._today = today
        self._wish = wish

    async def of(self, kept: Kept) -> Found | None:
        """Return the difference of a document, None when there is none or it is not looked at."""
        subject = await self._before.load(self._store, kept.key)
        if subject is None or not self._is_within(subject.ref.document_date):
            return None
        new = await self._after.load(self._store, kept.key)
        last = kept.last
        if new is None or (last is not None and booking_of(last.key.suffix).is_reversal):
            return None
        is_booked = last is not None
        booked = self._as_booked(last.command) if last is not None and self._wish.against_booked and last.command else None
        before = booked or await self._outcome(subject, kept, is_booked=is_booked)
        after = await self._outcome(new, kept, is_booked=is_booked)
        if last is not None and booked is not None and after.entry is not None:
            after = replace(after, made=as_issued(after.entry, booking_ref(new, last.key.suffix)))
        changes = changes_since_booked(booked, after) if booked is not None else changes_of(before, after)
        if changes == ("deferral",) and booked is not None and last is not None:
            changes = () if await are_days_given(self._store, last, after.entry) else changes
        if not changes:
            return None
        return Found(
            kind=kept.key.kind,
            number=kept.key.number,
            site=kept.key.site,
            document_date=subject.ref.document_date,
            is_booked=is_booked,
            is_closed=await self._is_closed(before) or await self._is_closed(after),
            changes=changes,
            before=before,
            after=after,
            differences=differences_of(before, after),
        )

    def _is_within(self, day: date | None) -> bool:
        first, to = self._wish.first, self._wish.to
        if first is None and to is None:
            return True
        return day is not None and (first is None or day >= first) and (to is None or day <= to)

    async def _outcome(self, subject: Subject, kept: Kept, *, is_booked: bool) -> Outcome:
        # What is booked stays in its period, so only what is still to come is placed in the periods that are open now.
        judge = make if is_booked else decide
        made = await judge(self._store, subject, None if is_booked else kept.pending(), self._today, is_first=True)
        return Outcome(subject.division, made, _way(made, subject), _boxes(subject.mapping))

    def _as_booked(self, command: bytes) -> Outcome | None:
        posted = msgspec.json.decode(command, type=PostEntry)
        mapping = self._before.mapping(posted.division)
        if mapping is None or not is_of_a_sale(posted):
            # What is booked of money names within the texts of its lines what it settles, which no mapping decides.
            return None
        entry = booked_entry(posted, posted.document.number, mapping.receivable_account)
        return Outcome(posted.division, entry, posted.mode, _boxes(mapping))

    async def _is_closed(self, outcome: Outcome) -> bool:
        if outcome.entry is None or outcome.division is None:
            return False
        own = (await self._store.periods(outcome.division, outcome.entry.journal)).of(outcome.entry.entry_date)
        return own is not None and not own.is_open


def _way(made: object, subject: Subject) -> str | None:
    """Say as what an entry goes to Exact: by its mode, or with the payments of its day."""
    if not isinstance(made, Entry) or subject.mapping is None:
        return None
    return "daily" if bundle_of(made, subject.ref, subject.mapping) is not None else mode_of(made, subject.mapping)


def _boxes(mapping: Mapping | None) -> MappingOf[str, str]:
    return mapping.vat_boxes if mapping is not None else {}
