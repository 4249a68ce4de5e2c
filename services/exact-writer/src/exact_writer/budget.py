"""How many calls Exact still allows: pure functions over the headers it sent and the calls made since.

Exact counts calls per app and division in fixed windows of wall-clock time, a minute and a day, and says in its headers how many
remain and when each window ends. Three observations make a call safe, and one of them is enough for each window:

- the last answer left room, and fewer calls went out since than it left;
- the window that answer was counted in has ended, by a margin that covers a clock that runs ahead of Exact's;
- nothing is known yet and nothing is under way: one call alone, to learn.

A call whose answer was lost may be counted late, so it stays counted until the answer to a call that left after it could last
arrive: what Exact says before that may not hold it yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime

import msgspec

UNTOLD_SPACING_SECONDS = 1.0  # no header ever came: Exact documents sixty calls a minute
UNTOLD_REFUSAL_SECONDS = 60.0  # a 429 without any header: wait out the longest minute
DAY_SECONDS = 86_400.0
KEPT_FOR_BOOKINGS = 0.1
ROOM_CHECK_SECONDS = 600.0  # as the day goes by, less of it is kept; what is expected is estimated as often
MARGIN_SHARE = 1 / 30  # two seconds of a minute: the other 58 still take a full minute's calls
# The Date header is cut to whole seconds, and many servers make it once a second, so it may be a second older still. The two
# seconds are what the margin of a minute covers.
DATE_STEP_SECONDS = 2.0
_PROMPT_ANSWER_SECONDS = 1.0
SLOWNESS_KEPT = 0.9


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One of Exact's two windows as the last answer showed it; instants are unix seconds.

    `ends_at` is by our clock, `told_end` as Exact named it. `length_seconds` is the smallest distance seen between two named
    ends: a multiple of the window's true length, so never too short.
    """

    limit: int
    remaining: int
    ends_at: float
    told_end: float
    length_seconds: float
    sent_since: int = 0

    @property
    def margin_seconds(self) -> float:
        """How long after its end a window counts as over, for clocks that differ and for the way of the answer."""
        return min(self.length_seconds, 60.0) * MARGIN_SHARE

    def is_over(self, now: float) -> bool:
        """Whether Exact has surely started the next window."""
        return now >= self.ends_at + self.margin_seconds


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known; `lost_until` holds, for each call without an answer, the instant after which it cannot arrive.

    Once that is past, the next call that leaves takes it over into what its windows have sent.

    `under_way` is the endpoint of the call that left last, until its answer was taken in.
    """

    minute: Window | None = None
    day: Window | None = None
    in_flight: int = 0
    under_way: str = ""
    lost_until: tuple[float, ...] = ()
    last_sent_at: float | None = None
    last_answer_at: float | None = None
    refused_until: float = 0.0
    slowest_answer_seconds: float = 0.0  # of the last answers: each later one that is faster takes a tenth off


class Send(msgspec.Struct, frozen=True):
    """A call may go out now."""


class WaitUntil(msgspec.Struct, frozen=True, kw_only=True):
    """No call before `at` (unix seconds), because of the window named by `why`."""

    at: float
    why: str


def decide(budget: Budget, now: float) -> Send | WaitUntil:
    """Say whether a call may go out; Exact refuses calls over the limit and shows only the headers of the limit hit."""
    if now < budget.refused_until:
        return WaitUntil(at=budget.refused_until, why="refused")
    for why, window in (("day", budget.day), ("minute", budget.minute)):
        if window is None:
            continue
        if window.is_over(now):
            late = [until for until in budget.lost_until if until > max(window.ends_at, now - window.length_seconds)]
            if budget.in_flight + len(late) < window.limit:
                continue
            return WaitUntil(at=max(min(late, default=now), now + 0.05), why=why)
        if window.remaining - window.sent_since - len(budget.lost_until) <= 0:
            return WaitUntil(at=window.ends_at + window.margin_seconds, why=why)
    if budget.minute is None:
        return _without_headers(budget, now)
    return Send()


def sent(budget: Budget, now: float, endpoint: str = "") -> Budget:
    """Count a call before it goes out, so that a crash cannot forget it."""
    arrived = tuple(until for until in budget.lost_until if until <= now)
    return msgspec.structs.replace(
        budget,
        minute=_count(budget.minute, now, arrived),
        day=_count(budget.day, now, arrived),
        in_flight=budget.in_flight + 1,
        under_way=endpoint,
        last_sent_at=now,
        lost_until=tuple(until for until in budget.lost_until if until > now),
    )


def answered(budget: Budget, headers: Mapping[str, str], now: float) -> Budget:
    """Take over what an answer says; a window that it does not show keeps its count."""
    under_way = max(0, budget.in_flight - 1)
    ahead = _clock_ahead_seconds(headers, budget.last_sent_at, now)
    minute = _read(headers, "X-RateLimit-Minutely-", budget.minute, (60.0, ahead, now), under_way)
    day = _read(headers, "X-RateLimit-", budget.day, (DAY_SECONDS, ahead, now), under_way)
    took = now - (now if budget.last_sent_at is None else budget.last_sent_at)
    slowest = max(took, budget.slowest_answer_seconds * SLOWNESS_KEPT)
    return msgspec.structs.replace(
        budget, minute=minute, day=day, in_flight=under_way, under_way="", last_answer_at=now, slowest_answer_seconds=slowest
    )


def refused(budget: Budget, headers: Mapping[str, str], now: float) -> Budget:
    """Take over a 429: nothing remains in the window whose headers came, and without headers in the minute as known."""
    told = answered(budget, headers, now)
    for name, window in (("X-RateLimit-Minutely-Reset", told.minute), ("X-RateLimit-Reset", told.day)):
        if window is not None and _whole(headers, name) is not None:
            spent = msgspec.structs.replace(window, remaining=0)
            # Should the named end seem past already, the clocks differ: wait a margin, so that refusals do not follow each other.
            wait_until = max(now, spent.ends_at) + spent.margin_seconds
            if name == "X-RateLimit-Reset":
                return msgspec.structs.replace(told, day=spent, refused_until=wait_until)
            return msgspec.structs.replace(told, minute=spent, refused_until=wait_until)
    wait = float(_whole(headers, "Retry-After") or UNTOLD_REFUSAL_SECONDS)
    return msgspec.structs.replace(told, refused_until=now + wait)


def lost(budget: Budget, until: float) -> Budget:
    """Keep counting a call whose answer did not come; Exact may process it as late as `until`."""
    late = (*budget.lost_until, until)
    return msgspec.structs.replace(budget, in_flight=max(0, budget.in_flight - 1), under_way="", lost_until=late)


def restored(budget: Budget, until: float) -> Budget:
    """The budget after a restart: what was under way when the process died counts as lost until `until`."""
    for _ in range(budget.in_flight):
        budget = lost(budget, until)
    return budget


def clock_set(budget: Budget, by_seconds: float) -> Budget:
    """The budget after our clock was set by so much: the instants that it named move along.

    A machine that slept looks like a clock that was set forward, where only time passed. The day is left as it was then, since
    waiting too long for it would cost hours; a minute costs no more than a minute.
    """

    def moved(window: Window | None) -> Window | None:
        return None if window is None else msgspec.structs.replace(window, ends_at=window.ends_at + by_seconds)

    def later(at: float | None) -> float | None:
        return None if at is None else at + by_seconds

    return msgspec.structs.replace(
        budget,
        minute=moved(budget.minute),
        day=budget.day if by_seconds > 0 else moved(budget.day),
        lost_until=tuple(until + by_seconds for until in budget.lost_until),
        last_sent_at=later(budget.last_sent_at),
        last_answer_at=later(budget.last_answer_at),
        refused_until=budget.refused_until + by_seconds,
    )


def room_today_at(budget: Budget, now: float, expected_calls: float = 0.0, certain_calls: int = 0) -> float | None:
    """The instant from which the day has calls for what can wait; None when it has them now.

    Kept for documents that come in meanwhile is a tenth of what is left of the day, or what they are expected to need where
    that is more; but never so much that what can wait gets less than a tenth of the day. `certain_calls` are kept in any case.
    """
    day = budget.day
    if day is None or day.is_over(now):
        return None
    kept = kept_for_the_day(day.limit, day.ends_at - now, expected_calls)
    if day.remaining - day.sent_since - len(budget.lost_until) > kept + certain_calls:
        return None
    return min(day.ends_at + day.margin_seconds, now + ROOM_CHECK_SECONDS)


def kept_for_the_day(day_limit: int, seconds_left: float, expected_calls: float) -> float:
    """How many calls of the day are kept for documents that come in meanwhile; see `room_today_at`."""
    share = min(1.0, max(0.0, seconds_left / DAY_SECONDS))
    return max(day_limit * KEPT_FOR_BOOKINGS * share, min(expected_calls, day_limit * (1.0 - KEPT_FOR_BOOKINGS) * share))


def room_in_minute_at(budget: Budget, now: float) -> float | None:
    """The instant from which the minute has calls for what can wait; None when it has: a tenth is kept for what comes in."""
    minute = budget.minute
    if minute is None or minute.is_over(now):
        return None
    if minute.remaining - minute.sent_since - len(budget.lost_until) > minute.limit * KEPT_FOR_BOOKINGS:
        return None
    return minute.ends_at + minute.margin_seconds


def remaining_today(budget: Budget, now: float) -> int | None:
    """How many calls the day still allows; None before Exact said."""
    if budget.day is None:
        return None
    if budget.day.is_over(now):
        return budget.day.limit
    return max(0, budget.day.remaining - budget.day.sent_since)


def _without_headers(budget: Budget, now: float) -> Send | WaitUntil:
    late = [until for until in budget.lost_until if until > now]
    if budget.in_flight or late:
        return WaitUntil(at=max(late, default=now + 0.05), why="first")
    if budget.last_answer_at is None or now >= budget.last_answer_at + UNTOLD_SPACING_SECONDS:
        return Send()
    return WaitUntil(at=budget.last_answer_at + UNTOLD_SPACING_SECONDS, why="untold")


def _count(window: Window | None, now: float, arrived: Sequence[float]) -> Window | None:
    if window is None:
        return None
    if not window.is_over(now):
        return msgspec.structs.replace(window, sent_since=window.sent_since + 1 + len(arrived))
    # The next window began. Where it ends is Exact's to say; until its answer comes the longest it can last is assumed.
    in_it = sum(1 for until in arrived if until > max(window.ends_at, now - window.length_seconds))
    return msgspec.structs.replace(window, remaining=window.limit, sent_since=1 + in_it, ends_at=now + window.length_seconds)


def _read(
    headers: Mapping[str, str], prefix: str, known: Window | None, times: tuple[float, float, float], under_way: int
) -> Window | None:
    longest_seconds, ahead, now = times
    limit, remaining, reset = (_whole(headers, prefix + name) for name in ("Limit", "Remaining", "Reset"))
    if limit is None or remaining is None:
        return known
    told_end = reset / 1000 if reset is not None else now - ahead + longest_seconds
    length = longest_seconds if known is None else known.length_seconds
    if reset is not None and known is not None and told_end > known.told_end:
        length = min(length, told_end - known.told_end)
    return Window(
        limit=limit,
        remaining=remaining,
        ends_at=told_end + ahead,
        told_end=told_end,
        length_seconds=length,
        sent_since=under_way,
    )


def _clock_ahead_seconds(headers: Mapping[str, str], sent_at: float | None, now: float) -> float:
    """How far our clock is ahead of Exact's, at most: Exact wrote its Date header between the call and the answer.

    0 when both clocks may agree and the answer was prompt, since the margin covers what is open then. Without a Date header
    nothing is known, and the clocks are taken to agree.
    """
    try:
        served = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except ValueError:
        return 0.0
    at_most = now - served
    if sent_at is None or not 0.0 <= now - sent_at <= _PROMPT_ANSWER_SECONDS:
        return at_most
    may_agree = sent_at - served - DATE_STEP_SECONDS <= 0.0 <= at_most
    return 0.0 if may_agree else at_most


def _whole(headers: Mapping[str, str], name: str) -> int | None:
    try:
        return int(headers.get(name, ""))
    except ValueError:
        return None
