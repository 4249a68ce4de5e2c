"""Notices what holds a log back: on PostgreSQL a transaction that stays open anywhere on the server, in any database."""

from __future__ import annotations

from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import checkpoints
from backbone.clock import Clock
from backbone.database import Database
from backbone.event_log import Position
from backbone.past import newest
from backbone.telemetry import Telemetry, log

LOOK_SECONDS: Final = 5.0
TOLD_AFTER_SECONDS: Final = 10.0
OPEN_FOR_SECONDS: Final = 600.0  # from then on it is forgotten rather than at work
# Locks are shown to everybody, and of other people's sessions no more than this. A prepared transaction has no session.
_OLDEST = sa.text(
    """
    SELECT l.pid, a.datname AS database, a.usename AS "user", a.application_name AS application
    FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
    ORDER BY age(l.transactionid) DESC LIMIT 1
    """
)

# When somebody else's session began its transaction is shown to members of pg_read_all_stats only.
_OPEN_FOR = sa.text(
    """
    SELECT extract(epoch FROM now() - coalesce(a.xact_start, p.prepared)) / 60 AS minutes,
        coalesce('pid ' || l.pid, 'prepared transaction ' || p.gid) AS who,
        coalesce(a.datname, p.database) AS database, coalesce(a.usename, p.owner) AS "user"
    FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) LEFT JOIN pg_prepared_xacts p ON p.transaction = l.transactionid
    WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
        AND coalesce(a.xact_start, p.prepared) < now() - :seconds * interval '1 second'
    ORDER BY coalesce(a.xact_start, p.prepared) LIMIT 1
    """
)


class LongOpen(NamedTuple):
    """A transaction that writes and stays open: for how long, whose it is (a session or a prepared one), and where."""

    minutes: int
    who: str
    database: str
    user: str


async def long_open(connection: AsyncConnection, seconds: float) -> LongOpen | None:
    """Return the transaction on this PostgreSQL server that has been open longest, if it is longer than so many seconds."""
    row = (await connection.execute(_OPEN_FOR, {"seconds": seconds})).one_or_none()
    return None if row is None else LongOpen(int(row.minutes), row.who, row.database, row.user)


class HeldBack:
    """Tells once in a while who holds a service's log back, and for how long."""

    def __init__(self, database: Database, checkpoint: str, clock: Clock, telemetry: Telemetry) -> None:
        self._database = database
        self._checkpoint = checkpoint
        self._clock = clock
        self._telemetry = telemetry
        self._look_at = 0.0
        self._since: tuple[Position, float] | None = None

    async def look(self) -> None:
        """Look, unless that was a moment ago; to be called when all that can be read was read."""
        now = self._clock.monotonic()
        if self._database.dialect == "sqlite" or now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        async with self._database.reading() as connection:
            position = await checkpoints.read_checkpoint(connection, self._checkpoint)
            is_held = await newest(connection) != position
            if self._since is None or self._since[0] != position:
                self._since = (position, now)
            seconds = now - self._since[1] if is_held else 0.0
            if seconds >= TOLD_AFTER_SECONDS:
                await self._tell(connection, seconds)
        if not is_held:
            self._since = None
        self._telemetry.gauge("relay_held_back_seconds", seconds, service=self._database.service)

    async def _tell(self, connection: AsyncConnection, seconds: float) -> None:
        row = (await connection.execute(_OLDEST)).one_or_none()
        who = {} if row is None else {name: value for name, value in row._asdict().items() if value is not None}
        log.warning(
            "messages wait for a transaction that stays open on this PostgreSQL server",
            service=self._database.service,
            seconds=round(seconds),
            **who,
        )
