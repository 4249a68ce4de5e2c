"""Rules that fit but for their days: a hold for want of a rule names the nearest one, and how to write one for its own day.

A rule without days beside it would be a tie, or win for ever over the one that was written for its days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from bookkeeping.rejections import Rejection
from bookkeeping.telling import rule_in_dutch, tell

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """A rule with its days: `words` is all that it asks for, `item` the same without its days as the configuration has it."""

    words: str
    item: str
    first: date | None
    last: date | None

    def edge(self, day: date) -> date | None:
        """Return the day of its own that is nearest to one on which it is not in force; None when it is in force."""
        if self.first is not None and day < self.first:
            return self.first
        return self.last if self.last is not None and self.last < day else None


def named(conditions: str, code: str) -> str:
    """Write a rule that meets conditions, without its closing bracket, as an item of the configuration."""
    return f'{{when: {{{conditions}}}, {code}: "..."' if conditions else f'{{{code}: "..."'


def with_other_days(
    rejection: Rejection, rules: Iterable[Dated], day: date, place: str, decides: Callable[[date], str | None]
) -> Rejection:
    """Name in a hold the rule that would decide on the nearest other day, and what to write for this one.

    `decides` gives the words of the rule that decides on a day.
    """
    edges = [(edge, rule) for rule in rules if (edge := rule.edge(day)) is not None]
    nearest = sorted(edges, key=lambda each: abs(each[0] - day))
    found = next((each for each in nearest if decides(each[0]) == each[1].words), None)
    if found is None:
        return rejection
    edge, rule = found
    is_early = day < edge
    days = f"until: {edge - DAY}" if is_early else f"from: {edge + DAY}"
    told = tell("rule_of_other_days", day=day, rule=rule.words)
    in_dutch = tell("rule_of_other_days", day=day, rule=rule_in_dutch(rule.words)).dutch
    remedy = tell("rule_for_the_day_before" if is_early else "rule_for_the_day_after", place=place, item=f"{rule.item}, {days}}}")
    return replace(
        rejection,
        sentence=f"{rejection.sentence} {told.english}",
        sentence_nl=f"{rejection.sentence_nl} {in_dutch}",
        action=remedy.english,
        action_nl=remedy.dutch,
    )
