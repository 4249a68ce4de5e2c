"""The append-only log of one service: its memory, and the outbox that the relay publishes from.

Writers append to a stream at the version they expect. Readers read in the order (transaction, sequence), and only what no
transaction that is still running could precede, so that a late commit is never skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from backbone.errors import StreamConflictError
from backbone.tables import event_log
from contracts import envelope as wire
from contracts.envelope import Envelope


@dataclass(frozen=True, order=True, slots=True)
class Position:
    """A place in a log; everything at or before it was read."""

    transaction_id: int
    sequence: int

    def encode(self) -> str:
        """Return the text form that checkpoints keep."""
        return f"{self.transaction_id}-{self.sequence}"

    @classmethod
    def decode(cls, text: str) -> Position:
        """Read the text form; raises ValueError for anything else."""
        transaction_id, _, sequence = text.partition("-")
        return cls(int(transaction_id), int(sequence))


STREAMS_A_STATEMENT = 500
START = Position(0, 0)  # before everything: sequences begin at 1


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message as it stands in the log."""

    position: Position
    stream: str
    version: int
    envelope: Envelope


_columns = (
    event_log.c.transaction_id,
    event_log.c.sequence,
    event_log.c.stream,
    event_log.c.version,
    event_log.c.body,
)

_APPEND_POSTGRESQL = """
INSERT INTO event_log (stream, version, message_id, type, body)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::bytea[])
WHERE coalesce((SELECT max(version) FROM event_log WHERE stream = $6::text), 0) = $7::integer
ON CONFLICT DO NOTHING RETURNING version
"""
_APPEND_NEW_POSTGRESQL = """
INSERT INTO event_log (stream, version, message_id, type, body)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::bytea[])
ON CONFLICT DO NOTHING RETURNING stream
"""
_INSERT_SQLITE = (
    "INSERT INTO event_log (transaction_id, stream, version, message_id, type, body) VALUES (0, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)


async def append(connection: AsyncConnection, stream: str, expected_version: int, envelopes: Sequence[Envelope]) -> None:
    """Append the envelopes as the versions after `expected_version` (0: the stream is new), all or none.

    Raises StreamConflictError when the stream is at another version, also when another writer commits it meanwhile.
    """
    if not envelopes:
        return
    rows = [_row(stream, expected_version + number, envelope) for number, envelope in enumerate(envelopes, start=1)]
    if connection.dialect.name == "sqlite":
        if await stream_version(connection, stream) != expected_version:
            raise StreamConflictError(stream, expected_version)
        await connection.exec_driver_sql(_INSERT_SQLITE, rows)
        return
    columns = _columns_of(rows)
    result = await connection.exec_driver_sql(_APPEND_POSTGRESQL, (*columns, stream, expected_version))
    appended = len(result.all())
    if appended == len(rows):
        return
    if appended:
        await _spoil(connection)
    raise StreamConflictError(stream, expected_version)


async def append_new(connection: AsyncConnection, rows: Sequence[tuple[str, Envelope]], *, in_order: bool = False) -> list[bool]:
    """Append each envelope as version 1 of its stream where the stream is new; say for each whether it was.

    `in_order` is for who appends alone and whose readers want the order of the rows. Of several rows for one stream the first
    wins. One statement on PostgreSQL, whatever the number of rows.
    """
    if not rows:
        return []
    values = _first_versions(rows, in_order=in_order)
    if connection.dialect.name == "sqlite":
        appended = set()
        for value in values:
            result = await connection.exec_driver_sql(_INSERT_SQLITE, value)
            if result.rowcount == 1:
                appended.add(value[0])
    else:
        returned = await connection.exec_driver_sql(_APPEND_NEW_POSTGRESQL, _columns_of(values))
        appended = {row[0] for row in returned}
    return _answers(rows, appended)


async def append_at(connection: AsyncConnection, rows: Sequence[tuple[str, int, Envelope]]) -> None:
    """Append each envelope as that version of that stream, in this order: what a batch of messages led to, in one statement.

    The caller has read the version before each first one in this transaction. Raises StreamConflictError when another writer has
    been there since; the transaction cannot be committed then.
    """
    if not rows:
        return
    values = [_row(*row) for row in rows]
    if connection.dialect.name == "sqlite":
        appended = (await connection.exec_driver_sql(_INSERT_SQLITE, values)).rowcount
    else:
        appended = len((await connection.exec_driver_sql(_APPEND_NEW_POSTGRESQL, _columns_of(values))).all())
        if 0 < appended < len(rows):
            await _spoil(connection)
    if appended != len(rows):
        raise StreamConflictError(rows[0][0], rows[0][1] - 1)


async def append_new_alone(database: Database, rows: Sequence[tuple[str, Envelope]]) -> list[bool]:
    """Do the same as append_new in a transaction of its own, which has committed when this returns."""
    if database.dialect == "sqlite":
        async with database.transaction() as connection:
            return await append_new(connection, rows)
    if not rows:
        return []
    returned = await database.run_alone(_APPEND_NEW_POSTGRESQL, *_columns_of(_first_versions(rows, in_order=False)))
    return _answers(rows, {row[0] for row in returned})


async def stream_version(connection: AsyncConnection, stream: str) -> int:
    """Return the version of the last message of a stream; 0 when there is none."""
    found = await connection.scalar(sa.select(sa.func.max(event_log.c.version)).where(event_log.c.stream == stream))
    return int(found or 0)


async def stream_versions(connection: AsyncConnection, streams: Iterable[str]) -> dict[str, int]:
    """Return the versions of the last messages of streams; 0 for those that have none."""
    wanted = sorted(streams)
    found = dict.fromkeys(wanted, 0)
    for start in range(0, len(wanted), STREAMS_A_STATEMENT):
        some = wanted[start : start + STREAMS_A_STATEMENT]
        last = sa.select(event_log.c.stream, sa.func.max(event_log.c.version)).where(event_log.c.stream.in_(some))
        found |= {row[0]: row[1] for row in await connection.execute(last.group_by(event_log.c.stream))}
    return found


async def known_streams(connection: AsyncConnection, streams: Iterable[str]) -> set[str]:
    """Say which of these streams have a message."""
    wanted, found = sorted(streams), set[str]()
    for start in range(0, len(wanted), STREAMS_A_STATEMENT):
        some = wanted[start : start + STREAMS_A_STATEMENT]
        first = sa.select(event_log.c.stream).where(event_log.c.stream.in_(some), event_log.c.version == 1)
        found |= {row.stream for row in await connection.execute(first)}
    return found


async def read_stream(connection: AsyncConnection, stream: str) -> list[Recorded]:
    """Return a whole stream, oldest first."""
    rows = await connection.execute(sa.select(*_columns).where(event_log.c.stream == stream).order_by(event_log.c.version))
    return [_recorded(row) for row in rows]


async def read_streams(connection: AsyncConnection, streams: Iterable[str]) -> dict[str, list[Recorded]]:
    """Return several streams, each oldest first; those without a message have an empty list."""
    wanted = sorted(set(streams))
    found: dict[str, list[Recorded]] = {stream: [] for stream in wanted}
    for start in range(0, len(wanted), STREAMS_A_STATEMENT):
        some = event_log.c.stream.in_(wanted[start : start + STREAMS_A_STATEMENT])
        for row in await connection.execute(sa.select(*_columns).where(some).order_by(event_log.c.stream, event_log.c.version)):
            found[row.stream].append(_recorded(row))
    return found


async def read_after(
    connection: AsyncConnection, position: Position, limit: int, types: frozenset[str] | None = None, *, settled: bool = True
) -> list[Recorded]:
    """Return at most `limit` messages after a position, in the order of the log, of these types only if given.

    On PostgreSQL messages become readable when every transaction of the cluster that began before theirs has ended, which is
    a moment after their commit. `settled=False` is for who only looks, and wants the others as well.
    """
    statement = sa.select(*_columns).where(_after(connection, position), *(_settled(connection) if settled else ()))
    if types is not None:
        statement = statement.where(event_log.c.type.in_(sorted(types)))
    rows = await connection.execute(statement.order_by(*_order(connection)).limit(limit))
    return [_recorded(row) for row in rows]


async def read_before(connection: AsyncConnection, position: Position | None, limit: int) -> list[Recorded]:
    """Return at most `limit` messages before a position, or of the end where it is None, the newest first."""
    newest_first = [each.desc() for each in _order(connection)]
    statement = sa.select(*_columns).where(*_settled(connection)).order_by(*newest_first).limit(limit)
    if position is not None:
        statement = statement.where(_before(connection, position))
    return [_recorded(row) for row in await connection.execute(statement)]


async def read_last_of(connection: AsyncConnection, streams: Sequence[str]) -> list[Recorded]:
    """Return the last message of each of these streams that has one."""
    statement = sa.select(*_columns).where(event_log.c.stream.in_(list(streams)), ~_is_followed())
    return [_recorded(row) for row in await connection.execute(statement)]


async def end_position(connection: AsyncConnection) -> Position:
    """Return the position of the last message that can be read now; START when there is none."""
    statement = sa.select(event_log.c.transaction_id, event_log.c.sequence).where(*_settled(connection))
    newest_first = (event_log.c.transaction_id.desc(), event_log.c.sequence.desc())
    row = (await connection.execute(statement.order_by(*newest_first).limit(1))).one_or_none()
    return START if row is None else Position(*row)


def _order(connection: AsyncConnection) -> tuple[sa.ColumnElement[Any], ...]:
    """Return what the log is ordered by: on SQLite all transactions are 0, and it reads a range of one column only."""
    is_sqlite = connection.dialect.name == "sqlite"
    return (event_log.c.sequence,) if is_sqlite else (event_log.c.transaction_id, event_log.c.sequence)


def _after(connection: AsyncConnection, position: Position) -> sa.ColumnElement[bool]:
    if connection.dialect.name == "sqlite":
        return event_log.c.sequence > position.sequence
    here = sa.tuple_(event_log.c.transaction_id, event_log.c.sequence)
    return here > sa.tuple_(sa.literal(position.transaction_id, sa.BigInteger()), sa.literal(position.sequence, sa.BigInteger()))


def _before(connection: AsyncConnection, position: Position) -> sa.ColumnElement[bool]:
    if connection.dialect.name == "sqlite":
        return event_log.c.sequence < position.sequence
    here = sa.tuple_(event_log.c.transaction_id, event_log.c.sequence)
    return here < sa.tuple_(sa.literal(position.transaction_id, sa.BigInteger()), sa.literal(position.sequence, sa.BigInteger()))


def _is_followed() -> sa.Exists:
    newer = event_log.alias("newer")
    return sa.exists().where(newer.c.stream == event_log.c.stream, newer.c.version == event_log.c.version + 1)


def _settled(connection: AsyncConnection) -> list[sa.ColumnElement[bool]]:
    if connection.dialect.name == "sqlite":
        return []  # one writer at a time: what is visible is complete
    oldest_running = sa.text(
        "event_log.transaction_id < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        " + (SELECT transaction_offset FROM event_log_offset)"
    )
    return [oldest_running]  # type: ignore[list-item]  # a text condition, which where() takes as well


async def _spoil(connection: AsyncConnection) -> None:
    """Make the transaction uncommittable: a part of the append went in, which must never be committed alone."""
    try:
        await connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'stream conflict'; END $$")
    except DBAPIError:
        return


Row = tuple[str, int, str, str, bytes]


def _first_versions(rows: Sequence[tuple[str, Envelope]], *, in_order: bool) -> list[Row]:
    first: dict[str, Envelope] = {}
    for stream, envelope in rows:
        first.setdefault(stream, envelope)
    # Locks are taken in the order of the streams, so that two writers with the same streams cannot wait for each other.
    return [_row(stream, 1, first[stream]) for stream in (first if in_order else sorted(first))]


def _answers(rows: Sequence[tuple[str, Envelope]], appended: set[str]) -> list[bool]:
    answers = []
    for stream, _ in rows:
        answers.append(stream in appended)
        appended.discard(stream)
    return answers


def _row(stream: str, version: int, envelope: Envelope) -> Row:
    return stream, version, envelope.id, envelope.type, wire.encode(envelope)


def _columns_of(rows: Sequence[Row]) -> tuple[list[Any], ...]:
    return tuple(list(column) for column in zip(*rows, strict=True))


def _recorded(row: Any) -> Recorded:
    transaction_id, sequence, stream, version, body = row
    return Recorded(Position(transaction_id, sequence), stream, version, wire.decode(body))
