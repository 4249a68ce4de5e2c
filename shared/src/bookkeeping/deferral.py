"""Service periods: how Chargebee's instants become days, and what is left to release of a deferred amount."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

LAST_SECOND = (23, 59, 59)
LATEST_INSTANT = 253_402_214_400  # the last day of the year 9999, where calendars end


class UnreadableInstantError(ValueError):
    """A number that is no instant between the years 1970 and 9999."""


def local_datetime(instant: int, zone: tzinfo) -> datetime:
    """Return the wall clock of the site at a unix time in seconds; raises UnreadableInstantError outside the calendar."""
    if not 0 <= instant < LATEST_INSTANT:
        raise UnreadableInstantError(f"{instant} is not a time in seconds since 1970")
    return datetime.fromtimestamp(instant, UTC).astimezone(zone)


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
        last -= timedelta(days=1)
    return (first, last) if last > first else None


@dataclass(frozen=True, slots=True)
class Portion:
    """A part of an amount: released over its days, or at once where it has none."""

    amount_minor: int
    first: date | None = None
    last: date | None = None


def month_end(day: date) -> date:
    """Return the last day of the month of `day`."""
    following = date(day.year + (day.month == 12), day.month % 12 + 1, 1)  # noqa: PLR2004 - the twelve months of a year
    return following - timedelta(days=1)


def schedule(amount_minor: int, first: date, last: date) -> list[Portion]:
    """Spread an amount over the months that a service period touches, as Exact does by its setting per period.

    Equal parts, rounded half up; the last month takes what is left, so that nothing stays behind on the balance account.
    """
    months: list[tuple[date, date]] = []
    start = first
    while start <= last:
        end = min(month_end(start), last)
        months.append((start, end))
        start = end + timedelta(days=1)
    part = (2 * abs(amount_minor) + len(months)) // (2 * len(months))
    part = part if amount_minor >= 0 else -part
    parts = [part] * (len(months) - 1)
    parts.append(amount_minor - sum(parts))
    return [Portion(amount, *days) for amount, days in zip(parts, months, strict=True)]


def credit_portions(
    credit_minor: int, credit_date: date, invoiced_minor: int, invoiced: tuple[date, date], own: tuple[date, date] | None
) -> list[Portion]:
    """Split a credit of a deferred line into what is still to be released and what has been earned, and is reversed at once.

    `own` is the credit line's own period, used when it is a real part of the invoiced one; Chargebee may also set it to the
    credit's date, which says nothing. A month is consumed when the credit's date is its last day or later.
    """
    first, last = invoiced
    if own is not None and own != invoiced and first <= own[0] < own[1] <= last:
        first, last = own
        left = [portion for portion in schedule(invoiced_minor, *invoiced) if portion.last is not None and portion.last >= first]
    else:
        left = [
            portion
            for portion in schedule(invoiced_minor, *invoiced)
            if portion.last is not None and month_end(portion.last) > credit_date
        ]
        if left and left[0].first is not None:
            first = left[0].first
    releasable = min(abs(sum(portion.amount_minor for portion in left)), abs(credit_minor))
    deferred = releasable if credit_minor >= 0 else -releasable
    portions = [Portion(credit_minor - deferred)] if credit_minor != deferred or not deferred else []
    if deferred:
        portions.append(Portion(deferred, first, last))
    return portions
