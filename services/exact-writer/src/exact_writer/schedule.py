"""What the writer does next in a division: pure.

Outcomes that are unknown come first, since they hold up their customer. Otherwise the order is that of arrival, an account comes
before the entries that wait for it, and the commands of one customer keep their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

Kind = Literal["account", "sales", "document", "general", "ledger"]
State = Literal["planned", "prepared", "sent", "unknown", "posted", "refused"]

OPEN: Final = frozenset({"planned", "prepared", "sent", "unknown"})
BACKLOG_WRITES_PER_POLL: Final = 200
POLLS_SAVED_UP: Final = 300.0
POLLS_SHARE_OF_DAY: Final = 0.1
DAY_SECONDS: Final = 86_400.0
UNTOLD_DAY_LIMIT: Final = 5_000


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An open command, in the order of `sequence`; `has_account` says whether Exact's account of its customer is known."""

    sequence: int
    command_id: str
    kind: Kind
    customer_ref: str
    state: State
    not_before: float
    has_account: bool


def choose(candidates: Iterable[Candidate], now: float, blocked: frozenset[Kind] = frozenset()) -> Candidate | None:
    """The next command to work on, or None. `blocked` kinds have an endpoint that the error limit closes for now.

    An entry waits for the open commands of its customer that came before it; an account only for earlier versions of itself,
    since entries may be waiting for a newer version of a customer that Exact refused; and for outcomes of its customer that are
    unknown, which are looked up by the account that they were sent with.
    """
    best: tuple[tuple[int, int], Candidate] | None = None
    accounts_under_way: set[str] = set()
    customers_under_way: set[str] = set()
    in_order = sorted(candidates, key=lambda each: each.sequence)
    unknown = {each.customer_ref for each in in_order if each.state == "unknown" and each.kind != "account"}
    for candidate in in_order:
        earlier = accounts_under_way if candidate.kind == "account" else customers_under_way
        free = candidate.customer_ref not in earlier and not (candidate.kind == "account" and candidate.customer_ref in unknown)
        customers_under_way.add(candidate.customer_ref)
        if candidate.kind == "account":
            accounts_under_way.add(candidate.customer_ref)
        if not free or candidate.state == "sent" or candidate.not_before > now or candidate.kind in blocked:
            continue
        if candidate.kind != "account" and not candidate.has_account:
            continue
        rank = (0 if candidate.state == "unknown" else 1, candidate.sequence)
        if best is None or rank < best[0]:
            best = (rank, candidate)
    return best[1] if best else None


class Polling(msgspec.Struct, frozen=True, kw_only=True):
    """When the writer last asked for changes, how many polls are saved up, and how much it wrote since."""

    last_at: float = 0.0
    saved_up: float = POLLS_SAVED_UP
    writes_since: int = 0


def refill(polling: Polling, day_limit: int | None, now: float) -> Polling:
    """Save up polls as time goes by: at most a tenth of the day's calls, so that asking never uses up what booking needs."""
    earned = (now - polling.last_at) * (day_limit or UNTOLD_DAY_LIMIT) * POLLS_SHARE_OF_DAY / DAY_SECONDS
    saved_up = POLLS_SAVED_UP if polling.last_at == 0.0 else min(POLLS_SAVED_UP, polling.saved_up + max(0.0, earned))
    return msgspec.structs.replace(polling, saved_up=saved_up)


def poll_due_at(polling: Polling, poll_seconds: float, day_limit: int | None, *, backlog: bool) -> float | None:
    """The instant of the next poll; None while a backlog is written and too little was written since the last one."""
    if backlog and polling.writes_since < BACKLOG_WRITES_PER_POLL:
        return None
    due = polling.last_at + poll_seconds
    missing = 1.0 - refill(polling, day_limit, due).saved_up
    if missing <= 0:
        return due
    return due + missing * DAY_SECONDS / ((day_limit or UNTOLD_DAY_LIMIT) * POLLS_SHARE_OF_DAY)


def polled(polling: Polling, day_limit: int | None, now: float) -> Polling:
    """Account for a poll that was made."""
    full = refill(polling, day_limit, now)
    return Polling(last_at=now, saved_up=full.saved_up - 1.0, writes_since=0)


def wrote(polling: Polling) -> Polling:
    """Account for a write."""
    return msgspec.structs.replace(polling, writes_since=polling.writes_since + 1)


def kinds_of(endpoints: Sequence[str]) -> frozenset[Kind]:
    """Which kinds of command a closed endpoint stops."""
    return frozenset(kind for kind, endpoint in ENDPOINTS.items() if endpoint in endpoints)


ENDPOINTS: Final[dict[Kind, str]] = {
    "account": "crm/Accounts",
    "sales": "salesentry/SalesEntries",
    "document": "salesinvoice/SalesInvoices",
    "general": "generaljournalentry/GeneralJournalEntries",
    "ledger": "generaljournalentry/GeneralJournalEntries",
}
