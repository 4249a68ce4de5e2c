"""Whether the writer can work in a division, told when it changes and shown to the readiness probe."""

from __future__ import annotations

from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.database import Database
from contracts.facts import ConnectionChanged
from exact_writer import announce
from exact_writer.tables import divisions
from exact_writer.words import connection_in_dutch, say

State = Literal["connected", "consent_needed", "blocked"]
_CONNECTED: Final = say("exact_answers").english
_IN_SHADOW: Final = say("exact_answers_shadow").english


def needs_login(division: int, reason: str) -> str:
    """The complaint of a division in which nothing can be booked before a person has logged in."""
    return f"division {division} needs a login at Exact: {reason}; run `kruispost login`"


async def standing_still(connection: AsyncConnection, division: int) -> str | None:
    """Why nothing can be booked in a division, as it was told last; None where Exact answers or was never asked."""
    statement = sa.select(divisions.c.connection_state, divisions.c.connection_reason).where(divisions.c.division == division)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None or row.connection_state in (None, "connected") else str(row.connection_reason)


class ConnectionState:
    """The last state of one division; the fact is in the log when `report` returns."""

    def __init__(self, division: int, database: Database, clock: Clock, *, is_shadow: bool = False) -> None:
        self._division = division
        self._is_shadow = is_shadow
        self._database = database
        self._clock = clock
        self._state: State | None = None
        self._reason = ""

    async def load(self) -> None:
        """Take up what was told last, so that a restart does not tell it again."""
        async with self._database.reading() as connection:
            row = (
                await connection.execute(
                    sa.select(divisions.c.connection_state, divisions.c.connection_reason).where(
                        divisions.c.division == self._division
                    )
                )
            ).one_or_none()
        if row is not None and row.connection_state is not None:
            self._state, self._reason = row.connection_state, row.connection_reason

    @property
    def is_known(self) -> bool:
        """Whether Exact has been asked yet, by this process or one before it."""
        return self._state is not None

    async def connected(self) -> bool:
        """Exact answers; says whether that is news."""
        return await self.report("connected", _IN_SHADOW if self._is_shadow else _CONNECTED)

    async def report(self, state: State, reason: str) -> bool:
        """Note the state and tell it when it differs from the last one; says whether it does."""
        if (state, reason) == (self._state, self._reason):
            return False
        async with self._database.transaction() as connection:
            await connection.execute(
                sa.update(divisions)
                .where(divisions.c.division == self._division)
                .values(connection_state=state, connection_reason=reason)
            )
            dutch = connection_in_dutch(reason)
            fact = ConnectionChanged(division=self._division, state=state, reason=reason, reason_nl=dutch)
            await announce.connection_changed(connection, fact, self._clock.now())
        self._state, self._reason = state, reason
        return True

    def complaint(self) -> str | None:
        """Why nothing can be booked in this division now and what to do, or None."""
        if self._state == "consent_needed":
            return needs_login(self._division, self._reason)
        if self._state == "blocked":
            return f"division {self._division} is blocked: {self._reason}"
        return None
