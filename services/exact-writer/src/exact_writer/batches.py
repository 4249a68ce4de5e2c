"""Which commands of mode ledger go to Exact together: pure.

One general-journal entry has one journal, currency, rate and period, so only commands that agree in those fit together. A batch
is named after its first command, and keeps its name and members until it has ended, so that a lost answer can be looked up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeVar

from contracts.commands import PostEntry

GATHER_SECONDS: Final = 2.0  # how long the first command waits for company
QUIET_SECONDS: Final = 1.0  # company that came more recently than this may be followed by more
LONGEST_GATHER_SECONDS: Final = 15.0  # however much more may come
EVERY_SECONDS: Final = 60.0  # how long batches let other work go first, so that new customers' documents come together
MOST_DOCUMENTS: Final = 200
MOST_BUNDLED: Final = 1_000
MOST_LINES: Final = 6_000  # two megabytes: Exact names no number, and what it cannot take in time is sent in halves
KEY_WORDS: Final = 4
MOST_BYTES: Final = 4_000_000  # Exact takes 9.5 MB; a smaller call is answered sooner

# What Exact says about the entry as a whole: it would say the same of every part of it.
OF_THE_WHOLE: Final = frozenset({"period_closed", "no_financial_year", "wrong_journal_type", "unknown_journal"})

Member = TypeVar("Member")


def key_of(command: PostEntry) -> str:
    """What commands must have in common; the period of a date is told apart later, by Exact's own periods."""
    period = f"{command.reporting_year}/{command.reporting_period}" if command.reporting_year else f"{command.entry_date:%Y-%m}"
    key = f"{command.journal} {command.currency} {command.exchange_rate or 1} {period}"
    return key if command.bundle is None else f"{key} {command.bundle}"


def is_bundle(key: str | None) -> bool:
    """Tell whether commands of a key go together by a bundle, which `key_of` writes behind journal, currency, rate and period."""
    return key is not None and len(key.split(" ")) > KEY_WORDS


def most_of(key: str | None) -> int:
    """How many commands of a key go into one entry; those of a bundle are small, and one entry is what it is for."""
    return MOST_BUNDLED if is_bundle(key) else MOST_DOCUMENTS


def calls_of(number: int, key: str | None) -> float:
    """How many calls so many commands of one key take that all may go at once."""
    return float(math.ceil(number / most_of(key)))


def most_documents(command: PostEntry) -> int:
    """How many commands may go into one entry with this one."""
    return most_of(key_of(command))


def earliest(command: PostEntry, now: float) -> float:
    """The instant (unix seconds) before which a command that was planned now is not sent: more may come to go with it."""
    gathered = now + GATHER_SECONDS
    return gathered if command.not_before is None else max(gathered, command.not_before.timestamp())


def wait_until(planned_at: Sequence[float], now: float) -> float | None:
    """The instant until which commands, planned at these instants, wait for more company; None when they go now."""
    until = min(max(planned_at) + QUIET_SECONDS, min(planned_at) + LONGEST_GATHER_SECONDS)
    return until if len(planned_at) < MOST_DOCUMENTS and now < until else None


def halves(members: Sequence[Member]) -> tuple[Sequence[Member], Sequence[Member]]:
    """Two parts, to find out which of them Exact refuses: one bad command of n costs about 2 log2 n calls."""
    middle = (len(members) + 1) // 2
    return members[:middle], members[middle:]
