"""Rules that are in force for a time: which version decides on a day, and what is wrong with the versions of one rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Protocol

from bookkeeping.troubles import Trouble
from bookkeeping.vat import describe_conditions

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """`first` and `last` are the days from and until which a rule is in force, both inclusive; they make it no more specific."""

    first: date | None = None
    last: date | None = None

    def is_in_force(self, day: date) -> bool:
        """Tell whether the rule decides about documents of a day."""
        return (self.first or date.min) <= day <= (self.last or date.max)

    def is_ever_with(self, other: InForce) -> bool:
        """Tell whether there is a day on which both are in force."""
        return (self.first or date.min) <= (other.last or date.max) and (other.first or date.min) <= (self.last or date.max)

    def with_days(self, conditions: str, otherwise: str) -> str:
        """Write a rule's conditions with its days, and `otherwise` where it has neither."""
        days = describe_conditions({"from": self.first, "until": self.last})
        return ", ".join(each for each in (conditions, days) if each) or otherwise


class Version(Protocol):
    """A rule with its days; `words` are its conditions with them, `conditions` those without."""

    @property
    def first(self) -> date | None:
        """The first day on which it is in force."""

    @property
    def last(self) -> date | None:
        """The last one."""

    @property
    def words(self) -> str:
        """All that it asks for, its days too."""

    @property
    def conditions(self) -> str:
        """What it asks for without its days."""


def version_troubles(rules: Sequence[Version], keys: Sequence[Hashable], noun: str, twice: Sequence[str]) -> list[Trouble]:
    """Return each two versions of one rule that are in force on the same days, or leave days between them without one.

    Rules with equal `keys` are versions of one rule; `twice` says of each that it stands there twice.
    """
    versions: dict[Hashable, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        versions[key].append(index)
    found = []
    for indexes in versions.values():
        for one, other in pairwise(sorted(indexes, key=lambda index: rules[index].first or date.min)):
            told = _about(rules[one], rules[other], noun, twice[other])
            if told is not None:
                found.append(Trouble((min(one, other), max(one, other)), *told))
    return sorted(found, key=lambda trouble: trouble.rules)


def _about(one: Version, other: Version, noun: str, twice: str) -> tuple[str, str] | None:
    """Say what is wrong with two versions of a rule, of which `one` begins first, and what to write instead."""
    ends, starts = one.last, other.first
    if one.words == other.words:
        return twice, "remove one of them"
    if ends is None or starts is None or ends >= starts:
        sentence = f"two {noun} with the same conditions are in force on the same days ({one.words}) and ({other.words})"
        if starts is not None and starts != one.first:
            return sentence, f"write until: {starts - DAY} in the earlier one"
        return sentence, "let one end on the day before the other begins"
    if ends + DAY < starts:
        sentence = f"the rule for {one.conditions} has no version from {ends + DAY} until {starts - DAY}"
        return sentence, f"let the first end until: {starts - DAY}, or the second begin from: {ends + DAY}"
    return None
