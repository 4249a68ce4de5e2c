"""Which journal of Exact an entry goes to: by its purpose, its currency and its day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from bookkeeping.journal import Entry
from bookkeeping.telling import InTwo, tell
from bookkeeping.troubles import Trouble
from bookkeeping.vat import describe_conditions
from bookkeeping.versions import InForce, version_troubles

JournalPurpose = Literal["invoices", "credit_notes", "payments", "write_offs", "ledger", "settlements"]
_OF_GENERAL_ENTRIES: Final[tuple[JournalPurpose, ...]] = ("payments", "write_offs", "ledger", "settlements")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRule(InForce):
    """The journal of a purpose, perhaps only for one currency, and perhaps only for a time."""

    purpose: JournalPurpose
    code: str
    currency: str | None = None
    words: str = field(init=False, default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", self.with_days(self.conditions, ""))

    @property
    def conditions(self) -> str:
        """What it is for in words, without its days."""
        return describe_conditions({"journal": self.purpose, "currency": self.currency})

    @property
    def is_dated(self) -> bool:
        """Whether it is in force for a time only."""
        return self.first is not None or self.last is not None


class Journals:
    """The journals of a division. One of the entry's currency goes first, then one that is in force for a time."""

    def __init__(self, rules: Sequence[JournalRule]) -> None:
        self._rules: defaultdict[tuple[JournalPurpose, str | None], list[JournalRule]] = defaultdict(list)
        for rule in sorted(rules, key=lambda each: not each.is_dated):
            self._rules[rule.purpose, rule.currency].append(rule)
        self._dated = [rule for rule in rules if rule.is_dated]

    def code(self, purpose: JournalPurpose, currency: str, day: date) -> str:
        """Return the journal of an entry of a day; raises LookupError for a purpose that the division has no journal for."""
        code = self._find(purpose, currency, day)
        if code is None:
            raise LookupError(f"no journal for {purpose}")
        return code

    def of_mirror(self, entry: Entry, day: date) -> str:
        """Return the journal in which a general entry is taken back on a day: its own, unless another one has followed it."""
        now = {purpose: self._find(purpose, entry.currency, day) for purpose in _OF_GENERAL_ENTRIES}
        if entry.journal in now.values():
            return entry.journal
        before = (purpose for purpose in now if self._find(purpose, entry.currency, entry.entry_date) == entry.journal)
        return next((code for purpose in before if (code := now[purpose]) is not None), entry.journal)

    def explanation(self, entry: Entry) -> list[InTwo]:
        """Say why an entry is in its journal, where that is a matter of its day."""
        rules = (each for each in self._dated if each.code == entry.journal and each.is_in_force(entry.entry_date))
        rule = next((each for each in rules if each.currency in (None, entry.currency)), None)
        return [tell("journal_rule", journal=rule.code, rule=rule.words)] if rule is not None else []

    def _find(self, purpose: JournalPurpose, currency: str, day: date) -> str | None:
        for own in (currency, None):
            for rule in self._rules.get((purpose, own), ()):
                if rule.is_in_force(day):
                    return rule.code
        return None


def journal_troubles(rules: Sequence[JournalRule]) -> list[Trouble]:
    """Return each two dated journals of one purpose that are in force on the same days, or leave days between them."""
    twice = [f"two journals are for {each.words}" for each in rules]
    return version_troubles(rules, [(each.purpose, each.currency) for each in rules], "journals", twice)
