"""Time and chance, which everything else gets handed, so that tests and rehearsals can hold them still."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where time and random ids come from."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only go forward, for measuring how long something took."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        ...

    def random_id(self) -> str:
        """Return an id that nobody can guess, for what has no cause to derive one from (an OAuth state)."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the one place that reads the machine's clock

    def monotonic(self) -> float:
        """Return the seconds since some moment in the past."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)

    def random_id(self) -> str:
        """Return a random UUID."""
        return str(uuid.uuid4())  # noqa: TID251 - this is the one place that makes random ids


class ManualClock:
    """A clock that stands still until it is moved; sleeping moves it. Ids count up, so that runs repeat exactly."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed_seconds = 0.0
        self._ids = 0

    def now(self) -> datetime:
        """Return the start plus all that was slept or advanced."""
        return self._start + timedelta(seconds=self._elapsed_seconds)

    def monotonic(self) -> float:
        """Return the seconds since the start."""
        return self._elapsed_seconds

    async def sleep(self, seconds: float) -> None:
        """Move the clock and let other tasks run."""
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._elapsed_seconds += max(0.0, seconds)

    def random_id(self) -> str:
        """Return the next id of the row."""
        self._ids += 1
        return str(uuid.UUID(int=self._ids))
