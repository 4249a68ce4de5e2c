"""What the writer does next in a division: pure.

Outcomes that are unknown come first, since they hold up their customer. Otherwise the class decides whose turn it is, within a
class the sites take turns, and within a site the order is that of arrival. An account comes before the entries that wait for
it, and the commands of one customer keep their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import msgspec

from exact_writer.work_classes import HISTORY, Turns, WorkClass, waits_for

Kind = Literal["account", "sales", "document", "general", "ledger"]
State = Literal["planned", "prepared", "sent", "unknown", "posted", "refused"]

OPEN: Final = frozenset({"planned", "prepared", "sent", "unknown"})


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An open command, in the order of `sequence`; `has_account` says whether Exact's account of its customer is known."""

    sequence: int
    command_id: str
    kind: Kind
    customer_ref: str
    state: State
    not_before: float
    has_account: bool
    work_class: WorkClass = "today"
    site: str = ""
    attempts: int = 1  # calls made for it; what is unknown and has none is in doubt since the journal was lost

    @property
    def is_in_doubt(self) -> bool:
        """Whether Exact is looked at before it is sent for the first time: somebody may have booked it."""
        return self.state == "unknown" and self.attempts == 0


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The command whose turn it is, and the classes that had one to give."""

    candidate: Candidate
    waiting: frozenset[WorkClass]


def choose(
    candidates: Iterable[Candidate],
    now: float,
    turns: Turns,
    *,
    blocked: frozenset[Kind] = frozenset(),
    resting: frozenset[WorkClass] = frozenset(),
    paused: frozenset[str] = frozenset(),
) -> Choice | None:
    """The next command to work on, or None.

    `blocked` kinds have an endpoint that the error limit closes for now, `resting` classes get no calls for now,
    nor does the history of `paused` sites.
    Outcomes that are unknown come first, whatever their class, since they hold up their customer; they never rest. What is
    unknown only since a journal was lost takes the turn of its class: all that waits may be, and today's comes before history.
    """
    free = [
        each
        for each in _free(candidates)
        if each.state != "sent"
        and each.not_before <= now
        and each.kind not in blocked
        and (_is_lost(each) or not _rests(each, resting, paused))
    ]
    waiting = frozenset(each.work_class for each in free)
    lost = [each for each in free if _is_lost(each)]
    whose_turn = turns.next_class(waiting)
    ranked = lost or [each for each in free if each.work_class == whose_turn]
    if not ranked:
        return None
    best = min(ranked, key=lambda each: (turns.last_turn(each.work_class, each.site), each.sequence))
    return Choice(candidate=best, waiting=waiting)


def _rests(candidate: Candidate, resting: frozenset[WorkClass], paused: frozenset[str]) -> bool:
    return candidate.work_class in resting or (candidate.work_class in HISTORY and candidate.site in paused)


def _is_lost(candidate: Candidate) -> bool:
    return candidate.state == "unknown" and candidate.attempts > 0


def _free(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """The candidates that nothing earlier of their customer holds up.

    An entry waits for the open commands of its customer that came before it, today's not for history; an account only for
    earlier versions of itself, since entries may be waiting for a newer version of a customer that Exact refused; and for
    outcomes of its customer that are unknown, which are looked up by the account that they were sent with. What is unknown since
    a journal was lost needs no account to be looked up, and does not wait for one.
    """
    accounts_under_way: set[str] = set()
    under_way: dict[str, set[WorkClass]] = {}
    entries_under_way: dict[str, set[WorkClass]] = {}
    in_order = sorted(candidates, key=lambda each: each.sequence)
    unknown = {each.customer_ref for each in in_order if each.state == "unknown" and each.kind != "account"}
    for candidate in in_order:
        customer = candidate.customer_ref
        earlier = under_way.setdefault(customer, set())
        if candidate.kind == "account":
            free = customer not in accounts_under_way and customer not in unknown
            accounts_under_way.add(customer)
        else:
            entries = entries_under_way.setdefault(customer, set())
            is_unknown = candidate.state == "unknown"
            behind = entries if is_unknown else earlier
            free = (candidate.has_account or is_unknown) and not any(waits_for(candidate.work_class, each) for each in behind)
            entries.add(candidate.work_class)
        earlier.add(candidate.work_class)
        if free:
            yield candidate


def kinds_of(endpoints: Sequence[str]) -> frozenset[Kind]:
    """Which kinds of command a closed endpoint stops."""
    return frozenset(kind for kind, needed in WRITES.items() if any(each in endpoints for each in needed))


ENDPOINTS: Final[dict[Kind, str]] = {
    "account": "crm/Accounts",
    "sales": "salesentry/SalesEntries",
    "document": "salesinvoice/SalesInvoices",
    "general": "generaljournalentry/GeneralJournalEntries",
    "ledger": "generaljournalentry/GeneralJournalEntries",
}
# What else a command of a kind writes to: where one of them is closed, its calls for the others would lead nowhere.
WRITES: Final[dict[Kind, tuple[str, ...]]] = {
    **{kind: (endpoint,) for kind, endpoint in ENDPOINTS.items()},
    "document": (ENDPOINTS["document"], "salesinvoice/PrintedSalesInvoices", "logistics/Items"),
}
