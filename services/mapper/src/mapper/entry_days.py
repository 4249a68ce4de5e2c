"""On which day a command books, without reading the rest of it: bookings are found by that day."""

from __future__ import annotations

from datetime import date

import msgspec


class _Day(msgspec.Struct):
    entry_date: date


_days = msgspec.json.Decoder(_Day)


def entry_day(command: bytes | None) -> date | None:
    """Return the entry date of a command; None where none was issued."""
    return _days.decode(command).entry_date if command is not None else None
