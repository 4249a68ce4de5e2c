"""Following a sync endpoint: 1,000 rows a call, each page stored together with the row version to go on from.

Exact's row versions grow with every change and have nothing to do with time. No public source says that the pages of an answer
are ordered by them, so a page moves the position only while they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Self

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import Database
from exact_writer import odata
from exact_writer.calls import DivisionCalls
from exact_writer.tables import mirror_state

FIRST_TIMESTAMP: Final = 1
NEVER: Final = 0.0  # `read_at` of a list that was begun and not yet read to its end

Rows = Sequence[Mapping[str, Any]]
Store = Callable[[AsyncConnection, Rows], Awaitable[None]]
Prepare = Callable[[Rows], Awaitable[None]]


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """How far a list was read: after a crash reading goes on behind `at`, after its end the next one begins behind `until`."""

    at: int = FIRST_TIMESTAMP
    until: int = FIRST_TIMESTAMP
    in_order: bool = True

    @classmethod
    def behind(cls, timestamp: int) -> Self:
        """Begin behind a row version."""
        return cls(at=timestamp, until=timestamp)

    def after(self, rows: Rows) -> Position:
        """The position after a page.

        Once a page is out of order, the position stays where it is until the end; and then it is the highest version of that
        page, since whatever changes after that page was read gets a higher one.
        """
        versions = [int(row["Timestamp"]) for row in rows]
        if not versions or not self.in_order:
            return self
        if versions[0] > self.at and versions == sorted(versions):
            return Position.behind(versions[-1])
        return Position(at=self.at, until=max(self.at, *versions), in_order=False)


class Follower:
    """Follows the sync endpoints of one division."""

    def __init__(self, division: int, *, database: Database, clock: Clock, calls: DivisionCalls) -> None:
        self._division = division
        self._database = database
        self._clock = clock
        self._calls = calls

    async def known(self, kind: str) -> tuple[int, bool]:
        """The row version to go on from, 0 when nothing was read yet, and whether the list was ever read to its end."""
        statement = sa.select(mirror_state.c.timestamp, mirror_state.c.read_at).where(
            mirror_state.c.division == self._division, mirror_state.c.kind == kind
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return (int(row.timestamp), row.read_at > NEVER) if row is not None else (0, False)

    async def follow(
        self,
        kind: str,
        endpoint: str,
        select: Sequence[str],
        store: Store,
        *,
        prepare: Prepare | None = None,
        at_end: Store | None = None,
    ) -> None:
        """Store what changed since the last time, page by page; raises what DivisionCalls.page raises.

        What was stored by then stays, and the next time goes on behind it. `prepare` comes before the transaction of a page, and
        may make calls and raise what they raise; `at_end` runs in the transaction of the last page.
        """
        timestamp = max((await self.known(kind))[0], FIRST_TIMESTAMP)
        position = Position.behind(timestamp)
        filter_by = f"Timestamp gt {odata.big(timestamp)}"
        following: str | None = odata.query(endpoint, select=("Timestamp", *select), filter_by=filter_by)
        while following is not None:
            rows, following = await self._calls.page(endpoint, following)
            position = position.after(rows)
            if prepare is not None:
                await prepare(rows)
            async with self._database.transaction() as connection:
                await store(connection, rows)
                if following is not None:
                    await self._note(connection, kind, position.at)
                    continue
                if at_end is not None:
                    await at_end(connection, rows)
                await self._note(connection, kind, position.until, self._clock.now().timestamp())
            crash_point("exact_writer.page_stored")

    async def _note(self, connection: AsyncConnection, kind: str, timestamp: int, read_at: float | None = None) -> None:
        values: dict[str, Any] = {"timestamp": timestamp}
        if read_at is not None:
            values["read_at"] = read_at
        row = {"division": self._division, "kind": kind, "read_at": NEVER, **values}
        insert = self._database.insert(mirror_state).values(row)
        await connection.execute(insert.on_conflict_do_update(index_elements=["division", "kind"], set_=values))
