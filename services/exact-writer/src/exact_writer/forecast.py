"""How many calls the queue needs, and when it is empty under Exact's limits: pure, by the rules that the writer itself follows.

Goes forward a minute at a time. In each, what came in joins its class, and the calls that the minute and the day allow go to the
classes as their order and reserves say; history and PDFs get what the rest of the day leaves them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from exact_writer.budget import DAY_SECONDS, kept_for_the_day
from exact_writer.polling import BACKLOG_WRITES_PER_POLL, idle_polls_a_minute
from exact_writer.work_classes import CURRENT, ORDER, RESERVES, WorkClass

MINUTE_SECONDS: Final = 60.0
MINUTES_OF_DAY: Final = 1_440
LONGEST_DAYS: Final = 400
EMPTY: Final = 0.5  # calls: less than one


Coming = list[tuple[float, WorkClass, float]]  # seconds from now, class, calls


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What Exact allows: calls a minute and a day, and of the present day what is left and for how long."""

    minute: int
    day: int
    left_today: float
    day_seconds_left: float


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What lies ahead: calls that wait by class, calls that come in by class in each hour from now, and PDFs that follow.

    `later` has, by class, calls that wait for an instant, in seconds from now: the payments of a day go after it.
    `hourly` has 24 figures a class, which repeat every day. `pdf_calls_per_call` is what a call of a class brings of calls for
    PDFs: hundreds where documents share a call.
    `poll_seconds` is how often the writer asks for changes when it has nothing to book, None for never; rarer when it `listens`
    to Exact's webhooks;
    `reads_a_minute` how often it reads periods and other master data in any case.
    """

    waiting: Mapping[WorkClass, float]
    later: Mapping[WorkClass, tuple[tuple[float, float], ...]] = {}
    hourly: Mapping[WorkClass, tuple[float, ...]] = {}
    pdf_calls_per_call: Mapping[WorkClass, float] = {}
    poll_seconds: float | None = None
    listens: bool = False
    reads_a_minute: float = 0.0

    def ahead(self, work_class: WorkClass) -> float:
        """Return the calls of a class that are known now, whenever they may go."""
        return self.waiting.get(work_class, 0.0) + sum(calls for _, calls in self.later.get(work_class, ()))


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from now until each class that has work is empty for the first time; None where that takes more than a year.

    `calls` counts by class what is spent until all of them were.
    """

    seconds: dict[WorkClass, float | None]
    calls: dict[WorkClass, float]

    @property
    def done_after_seconds(self) -> float | None:
        """When the last class has become empty; None when one does not."""
        if any(each is None for each in self.seconds.values()):
            return None
        return max((each for each in self.seconds.values() if each is not None), default=0.0)


def forecast(outlook: Outlook, limits: Limits, *, most_minutes: int = LONGEST_DAYS * MINUTES_OF_DAY) -> Forecast:
    """Go forward until each class that has work now was empty once."""
    queue: dict[WorkClass, float] = {each: outlook.waiting.get(each, 0.0) for each in ORDER}
    pending = _pending(outlook)
    coming = [(after, each, number) for each, parts in outlook.later.items() for after, number in parts]
    seconds: dict[WorkClass, float | None] = dict.fromkeys((each for each in ORDER if each in pending), None)
    calls: dict[WorkClass, float] = dict.fromkeys(ORDER, 0.0)
    day_left, day_seconds = limits.left_today, limits.day_seconds_left
    for minute in range(most_minutes):
        if not pending:
            break
        if day_seconds <= 0:
            day_left, day_seconds = float(limits.day), DAY_SECONDS
        hour = minute // 60 % 24
        coming = _arrive(coming, (minute + 1) * MINUTE_SECONDS, queue)
        for work_class, rates in outlook.hourly.items():
            queue[work_class] += rates[hour] / 60
        expected = _expected(outlook, minute, day_seconds) + _upkeep(outlook, limits) * day_seconds / MINUTE_SECONDS
        capacity = min(float(limits.minute), max(0.0, day_left))
        got = _minute(queue, capacity, _room(queue, limits, day_left, day_seconds, expected))
        made = sum(got.values())
        for work_class, number in got.items():
            queue[work_class] -= number
            calls[work_class] += number
            queue["pdf"] += number * outlook.pdf_calls_per_call.get(work_class, 0.0)
        day_left -= made + _polls(made, capacity, outlook, limits) + outlook.reads_a_minute
        day_seconds -= MINUTE_SECONDS
        still_coming = {work_class for _, work_class, _ in coming}
        for work_class in [each for each in ORDER if each in pending - still_coming and queue[each] < EMPTY]:
            if work_class == "pdf" and pending != {"pdf"}:
                continue  # more PDFs follow from what is still to be booked
            pending.discard(work_class)
            seconds[work_class] = (minute + 1) * MINUTE_SECONDS
    return Forecast(seconds=seconds, calls=calls)


def _pending(outlook: Outlook) -> set[WorkClass]:
    found = {each for each in ORDER if outlook.ahead(each) >= EMPTY}
    if any(calls and outlook.ahead(each) for each, calls in outlook.pdf_calls_per_call.items()):
        found.add("pdf")
    return found


def _arrive(coming: Coming, until: float, queue: dict[WorkClass, float]) -> Coming:
    """Let what waited until then join its class; returns what still waits."""
    for after, work_class, number in coming:
        queue[work_class] += number if after < until else 0.0
    return [each for each in coming if each[0] >= until]


def _minute(queue: Mapping[WorkClass, float], capacity: float, room: Mapping[WorkClass, float]) -> dict[WorkClass, float]:
    """Share a minute's calls out: each waiting class its reserve, the rest in their order."""
    wanted = {each: min(queue[each], room.get(each, queue[each])) for each in ORDER}
    got = {each: min(wanted[each], capacity * RESERVES[each]) for each in ORDER if wanted[each] > 0}
    rest = capacity - sum(got.values())
    for each, reserved in got.items():
        more = max(0.0, min(rest, wanted[each] - reserved))
        got[each] = reserved + more
        rest -= more
    return got


def _room(
    queue: Mapping[WorkClass, float], limits: Limits, day_left: float, day_seconds: float, expected: float
) -> dict[WorkClass, float]:
    """What history and PDFs may take of the day."""
    current = sum(queue[each] for each in CURRENT)
    for_history = day_left - kept_for_the_day(limits.day, day_seconds, expected + current)
    for_pdfs = day_left - kept_for_the_day(limits.day, day_seconds, expected) - current
    return {"backfill": max(0.0, for_history), "pdf": max(0.0, for_pdfs)}


def _expected(outlook: Outlook, minute: int, day_seconds: float) -> float:
    hours = day_seconds / 3_600
    rates = [outlook.hourly[each] for each in CURRENT if each in outlook.hourly]
    start = minute // 60
    whole = [sum(rate[(start + hour) % 24] for rate in rates) for hour in range(int(hours))]
    return sum(whole) + sum(rate[(start + int(hours)) % 24] for rate in rates) * (hours - int(hours))


def _polls(made: float, capacity: float, outlook: Outlook, limits: Limits) -> float:
    """The calls that asking for changes takes: few while every call books, and never more than a tenth of the day."""
    if made < capacity - EMPTY:
        return _idle_polls(outlook, limits)
    of_backlog = made / BACKLOG_WRITES_PER_POLL
    return min(of_backlog, _idle_polls(outlook, limits)) if outlook.listens else of_backlog


def _idle_polls(outlook: Outlook, limits: Limits) -> float:
    return 0.0 if outlook.poll_seconds is None else idle_polls_a_minute(outlook.poll_seconds, limits.day, listens=outlook.listens)


def _upkeep(outlook: Outlook, limits: Limits) -> float:
    """The calls a minute that are kept for asking and reading."""
    return _idle_polls(outlook, limits) + outlook.reads_a_minute
