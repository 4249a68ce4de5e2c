"""When the writer asks Exact what changed: pure.

Asking costs calls that booking needs, so it gets at most a tenth of the day's, and while a backlog is written one call in two
hundred. Where Exact's webhooks are heard, it asks rarely of itself and soon after a webhook. A webhook never costs a call that
asking at the interval would not have cost: each is paid from a purse into which only that interval pays. What takes more
than ten pages is the exception: when somebody changed ten thousand accounts at once.
"""

from __future__ import annotations

from typing import Final

import msgspec

BACKLOG_WRITES_PER_POLL: Final = 200
POLLS_SAVED_UP: Final = 300.0
POLLS_SHARE_OF_DAY: Final = 0.1
DAY_SECONDS: Final = 86_400.0
MINUTES_OF_DAY: Final = 1_440
UNTOLD_DAY_LIMIT: Final = 5_000
LISTENING_FACTOR: Final = 10.0  # how much rarer the writer asks of itself while webhooks are heard
# A bookkeeper matches one line after the other once a statement is in, and no topic is known to tell it.
ATTENTIVE_SECONDS: Final = 600.0
STATEMENTS_A_DAY: Final = 4  # how often webhooks are expected to have it ask
LARGEST_PURSE: Final = LISTENING_FACTOR
LARGEST_READING: Final = 10  # what more pages than that cost is not charged: payments would wait for hours


class Polling(msgspec.Struct, frozen=True, kw_only=True):
    """When the writer last asked for anything that changed, how many polls are saved up, and how much it wrote since.

    `polled_at` is when it last asked for payments of itself or for a webhook; `purse` is how many calls asking at the interval
    would have made by `last_at` and we have not. Instants are unix seconds, 0 for never.
    """

    last_at: float = 0.0
    polled_at: float = 0.0
    saved_up: float = POLLS_SAVED_UP
    writes_since: int = 0
    purse: float = 0.0


def idle_polls_a_minute(poll_seconds: float, day_limit: int | None, *, listens: bool = False) -> float:
    """How often the writer asks while it books nothing: at the interval, for a tenth of the day at most.

    `listens`: webhooks are heard. Then it asks rarely of itself, and besides for as long as somebody works on bank statements.
    """
    at_interval = min(60.0 / poll_seconds, (day_limit or UNTOLD_DAY_LIMIT) * POLLS_SHARE_OF_DAY / MINUTES_OF_DAY)
    if not listens:
        return at_interval
    of_statements = STATEMENTS_A_DAY * (1.0 + ATTENTIVE_SECONDS / poll_seconds) / MINUTES_OF_DAY
    return min(at_interval, at_interval / LISTENING_FACTOR + of_statements)


def refill(polling: Polling, day_limit: int | None, now: float) -> Polling:
    """Save up polls as time goes by: at most a tenth of the day's calls, so that asking never uses up what booking needs."""
    earned = (now - polling.last_at) * (day_limit or UNTOLD_DAY_LIMIT) * POLLS_SHARE_OF_DAY / DAY_SECONDS
    saved_up = POLLS_SAVED_UP if polling.last_at == 0.0 else min(POLLS_SAVED_UP, polling.saved_up + max(0.0, earned))
    return msgspec.structs.replace(polling, saved_up=saved_up)


def poll_due_at(
    polling: Polling, poll_seconds: float, day_limit: int | None, *, backlog: bool, listens: bool = False
) -> float | None:
    """The instant of the next poll; None while a backlog is written and too little was written since the last one.

    `listens`: webhooks are heard, so that a poll of itself only finds what no webhook told.
    """
    if backlog and polling.writes_since < BACKLOG_WRITES_PER_POLL:
        return None
    paid_at = hinted_due_at(polling, poll_seconds, day_limit, backlog=backlog)
    if paid_at is None:
        return None
    return max(paid_at, _paid_at(polling, day_limit, polling.polled_at + poll_seconds * (LISTENING_FACTOR if listens else 1.0)))


def hinted_due_at(polling: Polling, poll_seconds: float, day_limit: int | None, *, backlog: bool) -> float | None:
    """The instant from which what a webhook told may be asked for; None while a backlog is written and the purse is empty."""
    missing = 1.0 - polling.purse
    if backlog and polling.writes_since < missing * BACKLOG_WRITES_PER_POLL:
        return None
    return _paid_at(polling, day_limit, polling.last_at + (0.0 if backlog else max(0.0, missing) * poll_seconds))


def polled(polling: Polling, poll_seconds: float, day_limit: int | None, now: float, *, backlog: bool) -> Polling:
    """Account for a poll; however many pages it took, the next one has as many fewer."""
    return msgspec.structs.replace(asked(polling, poll_seconds, day_limit, now, backlog=backlog, calls=1), polled_at=now)


def asked(polling: Polling, poll_seconds: float, day_limit: int | None, now: float, *, backlog: bool, calls: int) -> Polling:
    """Account for so many calls that asked for something else, because of a webhook."""
    full = refill(polling, day_limit, now)
    charged = min(calls, LARGEST_READING)
    passed = polling.writes_since / BACKLOG_WRITES_PER_POLL if backlog else (now - polling.last_at) / poll_seconds
    purse = min(LARGEST_PURSE, polling.purse + passed) - charged if polling.last_at else 0.0
    return Polling(last_at=now, polled_at=polling.polled_at, saved_up=full.saved_up - charged, writes_since=0, purse=purse)


def wrote(polling: Polling) -> Polling:
    """Account for a write."""
    return msgspec.structs.replace(polling, writes_since=polling.writes_since + 1)


def _paid_at(polling: Polling, day_limit: int | None, due: float) -> float:
    missing = 1.0 - refill(polling, day_limit, due).saved_up
    if missing <= 0:
        return due
    return due + missing * DAY_SECONDS / ((day_limit or UNTOLD_DAY_LIMIT) * POLLS_SHARE_OF_DAY)
