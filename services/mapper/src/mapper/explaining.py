"""Why a document was booked as it was, or would be: by which rules, under which mapping, and whether today's would differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

import msgspec
from msgspec import structs

from backbone.configuration import Configuration
from backbone.configuration_mistakes import written_place
from bookkeeping.bookings import booking_of
from bookkeeping.journal import Entry
from bookkeeping.reasons import LineReason
from bookkeeping.rejections import Rejection
from bookkeeping.telling import InTwo, tell
from contracts.commands import PostEntry
from contracts.facts import DocumentHeld, DocumentPlanned, ReasonOfLine
from mapper.comparison import Change, Difference, Outcome, changes_since_booked, differences_of
from mapper.decision import decide, make
from mapper.given_days import are_days_given, planned_of
from mapper.history import Kept, PagedStore, last_told
from mapper.issue import as_issued, booked_entry, is_of_a_sale, reasons_of
from mapper.linked import linked_in
from mapper.store import Row
from mapper.subjects import OWED_BY_NOBODY, Subject, Subjects, booking_ref


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePlace:
    """Where a rule stands in the configuration: divisions.100001.revenue[3], and on which line."""

    path: str
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """One line's reason; the places are None where the rules are of another mapping than the present one."""

    reason: ReasonOfLine
    revenue_place: RulePlace | None
    vat_place: RulePlace | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One booking of a document. Without an entry `code`, `sentence` and `action` say why there is none.

    `mapping_version` made the entry; `is_present` tells whether it is today's mapping. `changes` and `differences` are what
    today's mapping would do otherwise with a document that is booked; `is_compared` where that was tried: not for money, payouts
    and what another connector booked.
    """

    subject: Subject
    suffix: str
    state: str
    division: int | None
    mapping_version: str | None
    is_present: bool
    entry: Entry | None = None
    code: str | None = None
    sentence: str | None = None
    action: str | None = None
    sentence_nl: str | None = None
    action_nl: str | None = None
    whys: tuple[Why, ...] = ()
    notes: tuple[InTwo, ...] = ()
    is_compared: bool = False
    changes: tuple[Change, ...] = ()
    differences: list[Difference] = field(default_factory=list)

    @property
    def amount(self) -> tuple[str, int]:
        """What the booking is about: the document's total, which a reversal takes back; of what nobody owes, its entry's sum."""
        ref, entry = self.subject.ref, self.entry
        if ref.kind in OWED_BY_NOBODY and entry is not None:
            debit = sum(line.amount_minor for line in entry.lines if line.amount_minor > 0)
            credit = -sum(line.amount_minor for line in entry.lines if line.amount_minor < 0)
            return entry.currency, max(debit, credit)  # VAT on a line stands beside its amount
        is_taken_back = booking_of(self.suffix).is_reversal
        return ref.currency, -ref.total_minor if is_taken_back else ref.total_minor

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; amounts in minor units of the document's currency."""
        ref, entry = self.subject.ref, self.entry
        currency, total_minor = self.amount
        return {
            "kind": ref.kind,
            "number": ref.number,
            "suffix": self.suffix,
            "site": ref.site,
            "customer": ref.customer_id,
            "date": ref.document_date.isoformat() if ref.document_date else None,
            "currency": currency,
            "total_minor": total_minor,
            "state": self.state,
            "division": self.division,
            "mapping_version": self.mapping_version,
            "is_present_mapping": self.is_present,
            "code": self.code,
            "sentence": self.sentence,
            "action": self.action,
            "sentence_nl": self.sentence_nl,
            "action_nl": self.action_nl,
            "journal": entry.journal if entry is not None else None,
            "exchange_rate": str(entry.exchange_rate) if entry is not None and entry.exchange_rate is not None else None,
            "reported_in": [entry.reporting_year, entry.reporting_period] if entry is not None and entry.reporting_year else None,
            "lines": [
                {
                    **msgspec.to_builtins(why.reason),
                    "moved_minor": why.reason.moved_minor,
                    "revenue_place": asdict(why.revenue_place) if why.revenue_place else None,
                    "vat_place": asdict(why.vat_place) if why.vat_place else None,
                }
                for why in self.whys
            ],
            "notes": [note.english for note in self.notes],
            "notes_nl": [note.dutch for note in self.notes],
            "is_compared": self.is_compared,
            "would_change": list(self.changes),
            "differences": [asdict(each) for each in self.differences],
        }


class Explainer:
    """Explains one kept document after another."""

    def __init__(self, store: PagedStore, subjects: Subjects, configuration: Configuration, today: date) -> None:
        self._store = store
        self._subjects = subjects
        self._configuration = configuration
        self._today = today

    async def of(self, kept: Kept) -> list[Explanation]:
        """Explain every booking of a document, and what comes next when that is held."""
        subject = await self._subjects.load(self._store, kept.key)
        if subject is None:
            return []
        found = [await self._issued(subject, kept, row) for row in kept.rows if row.state in ("planned", "booked")]
        pending = kept.pending()
        if kept.last is None:
            found.append(await self._not_issued(subject, pending))
        elif pending is not None and pending.state in ("held", "waiting", "refused"):
            found.append(self._held_later(subject, pending, await last_told(self._store, pending)))
        return found

    async def _issued(self, subject: Subject, kept: Kept, row: Row) -> Explanation:
        planned = await planned_of(self._store, row)
        command = msgspec.json.decode(row.command or b"", type=PostEntry)
        mapping = self._subjects.mapping(command.division)
        receivable = mapping.receivable_account if mapping is not None else "?"
        entry = booked_entry(command, command.your_ref, receivable, row.exchange_rate)
        is_present = mapping is not None and mapping.version == row.mapping_version
        reasons = planned.reasons if planned is not None else ()
        told = {_sentence(reason, entry.currency).english for reason in reasons}
        sentences = _sentences(planned) if planned is not None else []
        changes: tuple[Change, ...] = ()
        differences: list[Difference] = []
        is_compared = False
        linked = linked_in(row) if row.state == "booked" else None
        if linked is not None:
            # What our rules would have made of it is not what stands in Exact.
            told, sentences = set(), [tell("linked", entry=linked.entry_number, journal=linked.journal)]
            reasons, entry = (), structs.replace(entry, journal=linked.journal)
        elif is_of_a_sale(command) and row is kept.last and not booking_of(row.key.suffix).is_reversal:
            before = Outcome(
                command.division, structs.replace(entry, exchange_rate=command.exchange_rate)
            )  # Exact's own is no rule's
            made = await make(self._store, subject, None, self._today, is_first=True)
            made = as_issued(made, booking_ref(subject, row.key.suffix)) if isinstance(made, Entry) else made
            after = Outcome(subject.division, made)
            changes = changes_since_booked(before, after)
            if changes == ("deferral",) and await are_days_given(self._store, row, after.entry):
                changes = ()
            differences, is_compared = differences_of(before, after) if changes else [], True
        return Explanation(
            subject=subject,
            suffix=row.key.suffix,
            state=row.state,
            division=row.division,
            mapping_version=row.mapping_version,
            is_present=is_present,
            entry=entry,
            whys=self._whys(command.division, reasons, is_present=is_present),
            notes=tuple(sentence for sentence in sentences if sentence.english not in told),
            is_compared=is_compared,
            changes=changes,
            differences=differences,
        )

    async def _not_issued(self, subject: Subject, pending: Row | None) -> Explanation:
        made = await decide(self._store, subject, pending, self._today, is_first=True)
        mapping = subject.mapping
        shared: dict[str, Any] = {
            "subject": subject,
            "suffix": subject.key.suffix,
            "division": subject.division,
            "mapping_version": mapping.version if mapping is not None else None,
            "is_present": True,
        }
        if isinstance(made, Entry):
            told = {reason.sentence(made.currency) for reason in made.reasons}
            refusal = await last_told(self._store, pending) if pending is not None and pending.state == "refused" else None
            return Explanation(
                **shared,
                state=pending.state if pending is not None else "held",
                entry=made,
                whys=self._whys(subject.division, reasons_of(made), is_present=True),
                notes=(*_why_refused(refusal), *(sentence for sentence in made.explanation if sentence not in told)),
            )
        if isinstance(made, Rejection):
            state = "waiting" if made.waiting else "held"
            shared |= {name: getattr(made, name) for name in ("code", "sentence", "action", "sentence_nl", "action_nl")}
            return Explanation(**shared, state=state)
        shared |= {"code": made.code, "sentence": made.sentence, "sentence_nl": made.sentence_nl}
        return Explanation(**shared, state="set_aside")

    def _held_later(self, subject: Subject, pending: Row, told: DocumentHeld | None) -> Explanation:
        return Explanation(
            subject=subject,
            suffix=pending.key.suffix,
            state=pending.state,
            division=pending.division,
            mapping_version=pending.mapping_version,
            is_present=False,
            code=pending.code,
            sentence=told.sentence if told is not None else pending.code,
            action=told.action if told is not None else None,
            sentence_nl=(told.sentence_nl or told.sentence) if told is not None else pending.code,
            action_nl=(told.action_nl or told.action) if told is not None else None,
        )

    def _whys(self, division: int | None, reasons: tuple[ReasonOfLine, ...], *, is_present: bool) -> tuple[Why, ...]:
        def place(name: str, index: int | None) -> RulePlace | None:
            if index is None or not is_present:
                return None
            path = ("divisions", division or 0, name, index)
            return RulePlace(path=written_place(path), line=self._configuration.line(path))

        return tuple(
            Why(
                reason=reason,
                revenue_place=place("revenue", reason.revenue_index),
                vat_place=place("vat", reason.vat_index),
            )
            for reason in reasons
        )


def _why_refused(told: DocumentHeld | None) -> list[InTwo]:
    if told is None:
        return []
    return [InTwo(told.sentence, told.sentence_nl or told.sentence), InTwo(told.action, told.action_nl or told.action)]


def _sentences(planned: DocumentPlanned) -> list[InTwo]:
    """Return what was told; what was told before there was Dutch is told in English."""
    dutch = planned.explanation_nl or planned.explanation
    return [InTwo(one, other) for one, other in zip(planned.explanation, dutch, strict=True)]


def _sentence(reason: ReasonOfLine, currency: str) -> InTwo:
    values = {name: getattr(reason, name) for name in LineReason.__struct_fields__ if name != "shares"}
    return LineReason(**values).sentence(currency)
