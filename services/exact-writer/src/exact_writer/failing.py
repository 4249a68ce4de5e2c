"""Endpoints at which Exact fails at whatever is written, though it may still be read: maintenance, or a gateway that breaks.

A single lost answer is looked up and sent again. Where several in a row are lost, nothing is learnt by more of them: the endpoint
gets one try now and then, until one works. Nor do they say anything of the command that was tried.
"""

from __future__ import annotations

from typing import Final

import msgspec

PATIENCE: Final = 3
LONGEST_PAUSE_SECONDS: Final = 300.0
TELL_AFTER_SECONDS: Final = 300.0
# After this it is for a person to see what fails; no maintenance of Exact's is known to have lasted so long.
EXCUSED_SECONDS: Final = 12 * 3_600.0


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """Writes to one endpoint that failed in a row; instants are unix seconds."""

    since: float
    last: float
    count: int


class Failing:
    """The writes that failed in a row, by endpoint. Kept over restarts: else each one would try anew, and give documents up."""

    def __init__(self, kept: bytes | None = None) -> None:
        self._of = msgspec.json.decode(kept, type=dict[str, Failures]) if kept else {}

    def encoded(self) -> bytes | None:
        """What is to be kept; None for nothing."""
        return msgspec.json.encode(self._of) if self._of else None

    def failed(self, endpoint: str, now: float) -> None:
        """A write brought no answer of Exact's."""
        before = self._of.get(endpoint)
        since, count = (before.since, before.count) if before is not None else (now, 0)
        self._of[endpoint] = Failures(since=since, last=now, count=count + 1)

    def worked(self, endpoint: str) -> None:
        """A write was done, or refused with a reason."""
        self._of.pop(endpoint, None)

    def closed(self, now: float) -> dict[str, float]:
        """The endpoints that get no write now, each until an instant."""
        untils = {each: _next_try_at(failures) for each, failures in self._of.items()}
        return {each: until for each, until in untils.items() if until > now}

    def told(self, now: float) -> list[str]:
        """The endpoints that have failed so long that a person should know."""
        return sorted(
            each for each, failures in self._of.items() if _is_in_a_row(failures) and now - failures.since >= TELL_AFTER_SECONDS
        )

    def counted(self, attempts: int, endpoint: str, now: float) -> int:
        """How many of the tries of one command count against it: none while Exact fails at all that is written there."""
        failures = self._of.get(endpoint)
        is_excused = failures is not None and _is_in_a_row(failures) and now - failures.since < EXCUSED_SECONDS
        return 0 if is_excused else attempts


def _is_in_a_row(failures: Failures) -> bool:
    return failures.count >= PATIENCE


def _next_try_at(failures: Failures) -> float:
    if not _is_in_a_row(failures):
        return failures.last
    return failures.last + min(LONGEST_PAUSE_SECONDS, 2.0 ** min(failures.count, 10))
