"""Which work goes first, and what each kind of work is sure to get: pure.

Seven classes share the calls. The first in the order that has work goes next; but each class has a reserve, and one that was
passed over so often that its reserve amounts to a call goes before all that are not owed one. So the order rules while there is
room, and nothing starves: a class that waits gets its reserve of all calls, whatever else is waiting.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from typing import Final, Literal

import msgspec

from contracts.commands import PostEntry, SaveAccount

WorkClass = Literal["person", "today", "money", "credit", "master", "backfill", "pdf"]

# In the order in which they go: what a person waits for, today's documents, payments and what follows from them, credit notes,
# customers that no entry waits for, history, and PDFs.
ORDER: Final[tuple[WorkClass, ...]] = ("person", "today", "money", "credit", "master", "backfill", "pdf")
RESERVES: Final[dict[WorkClass, float]] = {
    "person": 0.30,
    "today": 0.25,
    "money": 0.15,
    "credit": 0.10,
    "master": 0.10,
    "backfill": 0.05,
    "pdf": 0.05,
}
CURRENT: Final[frozenset[WorkClass]] = frozenset(("person", "today", "money", "credit"))
# It uses only what the rest of the day's documents are not expected to need.
HISTORY: Final[frozenset[WorkClass]] = frozenset(("backfill",))
OF_COMMANDS: Final = tuple(each for each in ORDER if each != "pdf")
RECENT_DAYS: Final = 7  # a document of the last week is today's work; an older one is history


def class_of(command: PostEntry | SaveAccount, today: date) -> WorkClass:
    """The class that a new command belongs to on the day it arrives; it keeps it, however long it waits."""
    if isinstance(command, SaveAccount):
        return "master"
    if command.is_asked:
        return "person"
    if command.entry_date < today - timedelta(days=RECENT_DAYS):
        return "backfill"
    if command.document.kind == "invoice":
        return "today"
    return "credit" if command.document.kind == "credit_note" else "money"


def is_before(one: WorkClass, other: WorkClass) -> bool:
    """Whether one class goes before another."""
    return ORDER.index(one) < ORDER.index(other)


def waits_for(later: WorkClass, earlier: WorkClass) -> bool:
    """Whether a command waits for an earlier one of its customer's: today's do not wait for history, all else keeps its order.

    What a payment or credit note of today settles is raised to its class when it arrives, out of history too: it waits for that
    and not for the rest.
    """
    return later == "backfill" or earlier != "backfill"


class Turns(msgspec.Struct, frozen=True, kw_only=True):
    """What each class is owed, in calls, and when each site had its last turn in a class."""

    owed: dict[WorkClass, float] = {}
    last_turns: dict[tuple[WorkClass, str], int] = {}
    made: int = 0

    def next_class(self, waiting: Collection[WorkClass]) -> WorkClass | None:
        """The class whose turn it is among those that have work."""
        in_order = [each for each in ORDER if each in waiting]
        owed = (each for each in in_order if self.owed.get(each, 0.0) >= 1.0)
        return next(owed, in_order[0] if in_order else None)

    def last_turn(self, work_class: WorkClass, site: str) -> int:
        """When a site was served last in a class; sites of one division take turns, so that none waits for another's backlog."""
        return self.last_turns.get((work_class, site), 0)

    def taken(self, chosen: WorkClass, site: str, waiting: Collection[WorkClass]) -> Turns:
        """Account for a turn: those that wait are owed their reserve of it, and the one that had it is owed a call less."""
        owed = {each: min(1.0, self.owed.get(each, 0.0)) + RESERVES[each] for each in waiting if each != chosen}
        # What the order gave beyond the reserve is not held against a class.
        owed[chosen] = max(0.0, self.owed.get(chosen, 0.0) + RESERVES[chosen] - 1.0)
        made = self.made + 1
        return Turns(owed=owed, last_turns={**self.last_turns, (chosen, site): made}, made=made)

    def skipped(self, work_class: WorkClass) -> Turns:
        """Nothing is owed to a class any more that had nothing to do with its turn, or had one out of turn."""
        return msgspec.structs.replace(self, owed={**self.owed, work_class: 0.0})
