"""What a writer stands on, where it does not hold: a database that goes away, and a clock that is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import ManualClock
from backbone.database import Database


class FragileDatabase(Database):
    """A database that is away at the end of the next transaction when told so: what was done in it is undone."""

    fails_next = False
    paused_after_next: Callable[[], None] | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, or one that cannot be committed, or after which the process stands still."""
        async with super().transaction() as connection:
            yield connection
            if self.fails_next:
                self.fails_next = False
                raise ConnectionResetError("the database is away")
        if self.paused_after_next is not None:
            pause, self.paused_after_next = self.paused_after_next, None
            pause()


class OurClock(ManualClock):
    """A clock that may be wrong: Exact's own follows `true_seconds`."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self._off_by = timedelta()

    def now(self) -> datetime:
        """What we take the time for."""
        return super().now() + self._off_by

    def true_seconds(self) -> float:
        """Seconds since 1970 as Exact counts them."""
        return super().now().timestamp()

    def shift(self, seconds: float) -> None:
        """Set this clock, and only this one."""
        self._off_by += timedelta(seconds=seconds)
