"""Exact's error limit: ten answers 400, 401, 403 or 404 per endpoint and hour block the app for an hour. We stop at eight."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

COUNTED: Final = frozenset({400, 401, 403, 404})
HOUR_SECONDS: Final = 3600.0
STOP_AT: Final = 8


def counts(status: int) -> bool:
    """Whether Exact counts an answer of this HTTP status as an error; business refusals (500) and 429 are not counted."""
    return status in COUNTED


def blocked_until(errors_at: Iterable[float], now: float) -> float | None:
    """The instant (unix seconds) from which an endpoint may be called again, or None when it may be now."""
    recent = sorted(at for at in errors_at if at > now - HOUR_SECONDS)
    if len(recent) < STOP_AT:
        return None
    return recent[-STOP_AT] + HOUR_SECONDS
