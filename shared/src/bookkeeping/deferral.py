"""Service periods: how Chargebee's instants become days, and what is left to release of a deferred amount."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, tzinfo
from fractions import Fraction
from itertools import groupby
from typing import Literal

import msgspec

from bookkeeping.money import allocate, half_up
from bookkeeping.periods import Periods, month_end, spans

Method = Literal["per_period", "per_day"]
Days = tuple[date, date]

LAST_SECOND = (23, 59, 59)
DAY = timedelta(days=1)
LATEST_INSTANT = 253_402_214_400  # the last day of the year 9999, where calendars end


class UnreadableInstantError(ValueError):
    """A number that is no instant between the years 1970 and 9999."""


def local_datetime(instant: int, zone: tzinfo) -> datetime:
    """Return the wall clock of the site at a unix time in seconds; raises UnreadableInstantError outside the calendar."""
    if not 0 <= instant < LATEST_INSTANT:
        raise UnreadableInstantError(f"{instant} is not a time in seconds since 1970")
    return datetime.fromtimestamp(instant, zone)


def local_date(instant: int, zone: tzinfo) -> date:
    """Return the site's calendar day at a unix time in seconds; documents near midnight would else fall in another month."""
    return local_datetime(instant, zone).date()


def service_days(starts: int, ends: int, zone: tzinfo) -> tuple[date, date] | None:
    """Return the first and last day served, or None when nothing is served over time.

    Chargebee's end is the instant at which the next term starts, so its day is not served, unless it is the last second of
    that day. Exact counts both days in.
    """
    if ends <= starts:
        return None
    first = local_date(starts, zone)
    end = local_datetime(ends, zone)
    last = end.date()
    if (end.hour, end.minute, end.second) != LAST_SECOND:
        last -= DAY
    return (first, last) if last > first else None


class Portion(msgspec.Struct, frozen=True):
    """A part of an amount: released over its days, or at once where it has none."""

    amount_minor: int
    first: date | None = None
    last: date | None = None


class EarlierCredit(msgspec.Struct, frozen=True):
    """A credit of the same invoice line that was given before; `own` is its own service period.

    `reason` is that of an adjustment, which may be a write-off by the division's rules and then takes no revenue back.
    """

    amount_minor: int
    day: date
    own: Days | None = None
    reason: str | None = None


class Release(msgspec.Struct, frozen=True):
    """What is released of an amount over some days that lie in one period."""

    amount_minor: int
    first: date
    last: date


def schedule(
    amount_minor: int, first: date, last: date, method: Method = "per_period", periods: Periods | None = None
) -> list[Release]:
    """Spread an amount over the periods (months, where none are known) that a service period touches, as Exact does.

    By its setting in equal parts, or by the days in each period; rounded half up, and the last one takes what is left, so that
    nothing stays behind on the balance account.
    """
    pieces = spans(first, last, periods)
    if method == "per_day":
        days = (last - first).days + 1
        parts = [half_up(Fraction(amount_minor * ((end - start).days + 1), days)) for start, end in pieces[:-1]]
    else:
        parts = [half_up(Fraction(amount_minor, len(pieces)))] * (len(pieces) - 1)
    parts.append(amount_minor - sum(parts))
    return [Release(amount, *days) for amount, days in zip(parts, pieces, strict=True)]


def credit_portions(
    credit_minor: int,
    credit_date: date,
    invoiced_minor: int,
    invoiced: Days,
    own: Days | None,
    *,
    method: Method = "per_period",
    earlier: Iterable[EarlierCredit] = (),
    taken: Iterable[Portion] = (),
    served: Days | None = None,
) -> list[Portion]:
    """Split a credit of a deferred line into what is still to be released and what has been earned, and is reversed at once.

    `own` is the credit line's own period, used when it is a real part of the invoiced one; Chargebee may also set it to the
    credit's date, which says nothing. A month is consumed when the credit's date is its last day or later. `earlier` credits
    of the line, in their order, leave less to take back, and so do the portions that are booked as `taken` (positive amounts).
    `served` is the line's service period where its release begins later than that (`invoiced`), because periods were closed.
    """
    served = served or invoiced
    left = left_to_release(invoiced_minor, invoiced, taken, method)
    for before in earlier:
        earlier_own = _own_part(before.own, served, invoiced)
        left = _less(left, _split(abs(before.amount_minor), before.day, earlier_own, left, invoiced, method), method)
    portions = _split(abs(credit_minor), credit_date, _own_part(own, served, invoiced), left, invoiced, method)
    if credit_minor >= 0:
        return portions
    return [Portion(-portion.amount_minor, portion.first, portion.last) for portion in portions]


def left_to_release(invoiced_minor: int, invoiced: Days, taken: Iterable[Portion], method: Method) -> list[Release]:
    """Return what is released of a line in each month after portions of it were taken back."""
    return _less(schedule(abs(invoiced_minor), *invoiced, method), taken, method)


def _less(left: list[Release], portions: Iterable[Portion], method: Method) -> list[Release]:
    for portion in portions:
        if portion.first is not None and portion.last is not None:
            left = _without(left, schedule(portion.amount_minor, portion.first, portion.last, method))
    return left


def _own_part(own: Days | None, served: Days, invoiced: Days) -> Days | None:
    """Return the days of a credit's own period over which its line is released, None when they say nothing."""
    if own is None or own == served or not served[0] <= own[0] < own[1] <= served[1]:
        return None
    return max(own[0], invoiced[0]), min(own[1], invoiced[1])


def _split(
    amount_minor: int, day: date, own: Days | None, left: Sequence[Release], invoiced: Days, method: Method
) -> list[Portion]:
    """Split an amount; `own` is a part of the days of `invoiced`, and an empty one where all of them were released before."""
    if own is not None:
        first, last = own
        touched = [release for release in left if release.last >= first and release.first <= last]
    else:
        last = invoiced[1]
        touched = [release for release in left if month_end(release.last) > day]
        first = touched[0].first if touched else last
    touched = [_within(release, first, last, method) for release in touched]
    deferred = min(sum(release.amount_minor for release in touched), amount_minor)
    portions = [Portion(amount_minor - deferred)] if amount_minor != deferred or not deferred else []
    if not deferred:
        return portions
    even = schedule(deferred, first, last, method)
    if _fits(even, touched):
        return [*portions, Portion(deferred, first, last)]
    # Other credits left gaps, so that one range would take back more in a month than is released in it: month by month then.
    shares = allocate(deferred, [release.amount_minor for release in touched])
    apart = [Release(share, each.first, each.last) for share, each in zip(shares, touched, strict=True)]
    return [*portions, *_joined(apart, method)]


def _within(release: Release, first: date, last: date, method: Method) -> Release:
    """Return what is released within some days; a period that is touched counts in full where the schedule is per period."""
    start, end = max(release.first, first), min(release.last, last)
    amount = max(release.amount_minor, 0)
    if method == "per_day":
        amount = amount * ((end - start).days + 1) // ((release.last - release.first).days + 1)
    return Release(amount, start, end)


def _fits(taken: Sequence[Release], left: Sequence[Release]) -> bool:
    """Tell whether no period loses more than it has, but for the single cents that rounding moves to the last one."""
    if len(taken) != len(left):
        return False
    pairs = list(zip(taken, left, strict=True))
    even = all(one.amount_minor <= other.amount_minor + 1 for one, other in pairs[:-1])
    return even and pairs[-1][0].amount_minor <= pairs[-1][1].amount_minor + len(pairs)


def _joined(releases: Sequence[Release], method: Method) -> list[Portion]:
    """Put periods with equal amounts beside each other into one range, which Exact spreads to the same amounts."""
    if method == "per_day":
        return [Portion(each.amount_minor, each.first, each.last) for each in releases if each.amount_minor]
    runs = [list(run) for amount, run in groupby(releases, key=lambda each: each.amount_minor) if amount]
    return [Portion(sum(each.amount_minor for each in run), run[0].first, run[-1].last) for run in runs]


def _without(left: Sequence[Release], taken: Iterable[Release]) -> list[Release]:
    found = list(left)
    for release in taken:
        for index, each in enumerate(found):
            if each.first <= release.first <= each.last:
                found[index] = Release(each.amount_minor - release.amount_minor, each.first, each.last)
    return found
