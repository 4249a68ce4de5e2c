"""Locks that outlive a transaction, so that one process at a time does what only one may do.

On PostgreSQL all locks of a process are held by one session, which says something every two seconds. Whoever wants a lock of a
session that has been silent for longer ends all sessions of that process: it hangs, is stopped, or has lost its way to the
database, and its locks must not wait for it.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backbone.errors import reason_of
from backbone.telemetry import log

ANSWER_SECONDS: Final = 5.0  # a server that does not answer so long is as good as gone
BEAT_SECONDS: Final = 2.0
SILENT_SECONDS: Final = 8.0
# Only a process whose name has this sign has promised to say something; one of an earlier release has not.
MARK: Final = "@"

_TAKE = sa.text("SELECT pg_try_advisory_lock(:key)")
_JOIN = sa.text("SELECT pg_try_advisory_lock_shared(:key)")
_GIVE = {
    False: sa.text("SELECT pg_advisory_unlock(:key)"),
    True: sa.text("SELECT pg_advisory_unlock_shared(:key)"),
}
_GIVE_ALL = sa.text("SELECT pg_advisory_unlock_all()")
_ALIVE = sa.text("SELECT 1")
_HOLDERS = sa.text(
    """
    SELECT (l.classid::bigint << 32) | l.objid::bigint AS key, l.pid, l.pid = pg_backend_pid() AS is_own,
           a.application_name AS process, EXTRACT(EPOCH FROM clock_timestamp() - a.state_change)::float8 AS silent_seconds
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()
      AND (l.classid::bigint << 32) | l.objid::bigint = ANY(:keys)
    """
)
# One role is enough: everybody may end the sessions of his own.
_END = sa.text(
    """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = ANY(:processes) AND usename = current_user AND datname = current_database()
      AND pid <> pg_backend_pid()
    """
)


def advisory_key(name: str) -> int:
    """Return the 63-bit number under which PostgreSQL knows a lock."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


def process_name(service: str) -> str:
    """Return what this process calls its sessions: nobody else's name, and one by which a person finds the machine."""
    return f"kruispost-{service}{MARK}{os.urandom(4).hex()}.{socket.gethostname()}"[:63]


def host_of(process: str) -> str:
    """Return the machine that a process named by `process_name` is on; empty for a name of others."""
    return process.partition(MARK)[2].partition(".")[2]


@dataclass(frozen=True)
class Holders:
    """Which sessions hold which locks. `own` is ours, None while we hold none; sessions that are being ended are left out."""

    own: int | None
    of: Mapping[str, frozenset[int]]


class LockSession:
    """The session that holds all locks of one service in one process, outside any transaction, so that it delays no reader."""

    def __init__(self, engine: AsyncEngine, prefix: str) -> None:
        self._engine = engine
        self._prefix = prefix
        self._turn = asyncio.Lock()  # one question at a time: that is all a session can answer
        self._connection: AsyncConnection | None = None
        self._held: dict[int, SessionLock] = {}
        self._beating: asyncio.Task[None] | None = None

    async def take(self, name: str, *, is_shared: bool = False) -> SessionLock | None:
        """Try to take a lock; None when it is held elsewhere, by another part of this process too. Shared ones do not exclude.

        A holder that hangs is ended; the next try may then take the lock.
        """
        key = self._key(name)
        async with self._turn:
            if key in self._held:
                return None
            try:
                taken = bool((await self._ask(_JOIN if is_shared else _TAKE, key=key)).scalar())
                if not taken:
                    await self._end_silent((await self._ask(_HOLDERS, keys=[key])).all())
                    await self._leave_unless_needed()
                    return None
            except BaseException:
                await self._lose()
                raise
            lock = self._held[key] = SessionLock(self, key, is_shared=is_shared)
            if self._beating is None:
                self._beating = asyncio.create_task(self._beat(), name="say that this process is there")
            return lock

    async def holders(self, names: Sequence[str]) -> Holders:
        """Say who holds these locks, after ending who hangs."""
        keys = {self._key(name): name for name in names}
        async with self._turn:
            try:
                rows = (await self._ask(_HOLDERS, keys=list(keys))).all()
                silent = await self._end_silent(rows)
                await self._leave_unless_needed()
            except BaseException:
                await self._lose()
                raise
        of: dict[str, set[int]] = {name: set() for name in names}
        for row in rows:
            if row.process not in silent:
                of[keys[row.key]].add(row.pid)
        own = next((row.pid for row in rows if row.is_own), None)
        return Holders(own, {name: frozenset(pids) for name, pids in of.items()})

    async def hosts(self, names: Sequence[str]) -> list[str]:
        """Name the machines of other processes that hold one of these locks."""
        async with self._turn:
            try:
                rows = (await self._ask(_HOLDERS, keys=[self._key(name) for name in names])).all()
                await self._leave_unless_needed()
            except BaseException:
                await self._lose()
                raise
        return sorted({host_of(row.process or "") for row in rows if not row.is_own} - {""})

    async def answers_for(self, lock: SessionLock) -> bool:
        """Say whether the session, and with it the lock, still lives."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._turn:
                if self._held.get(lock.key) is not lock:
                    return False
                try:
                    await self._ask(_ALIVE)
                except BaseException:
                    await self._lose()
                    raise
        except (SQLAlchemyError, OSError):  # TimeoutError is an OSError
            return False
        return True

    async def give_back(self, lock: SessionLock) -> None:
        """Release a lock; a session that died has given it back already."""
        async with self._turn:
            if self._held.get(lock.key) is not lock:
                return
            del self._held[lock.key]
            try:
                await self._ask(_GIVE[lock.is_shared], key=lock.key)
                await self._leave_unless_needed()
            except (SQLAlchemyError, OSError):
                await self._lose()

    async def close(self) -> None:
        """End the session, and with it every lock."""
        async with self._turn:
            self._held.clear()
            try:
                if self._connection is not None:
                    await self._ask(_GIVE_ALL)
                await self._leave_unless_needed()
            except (SQLAlchemyError, OSError):
                await self._lose()

    async def _ask(self, statement: sa.TextClause, **values: Any) -> sa.CursorResult[Any]:
        async with asyncio.timeout(ANSWER_SECONDS):
            if self._connection is None:
                self._connection = await self._engine.connect()
            return await self._connection.execute(statement, values)

    async def _end_silent(self, rows: Sequence[Any]) -> set[str]:
        """End the processes that have been silent for too long, and return their names."""
        found = {
            row.process: row.silent_seconds
            for row in rows
            if not row.is_own and MARK in (row.process or "") and (row.silent_seconds or 0.0) > SILENT_SECONDS
        }
        for process, seconds in found.items():
            log.warning("ends the sessions of a process that hangs", process=process, silent_seconds=round(seconds, 1))
        if found:
            await self._ask(_END, processes=list(found))
        return set(found)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            async with self._turn:
                try:
                    await self._ask(_ALIVE)
                except (SQLAlchemyError, OSError) as error:
                    log.warning("the session that holds our locks is lost", reason=reason_of(error))
                    await self._lose()
                    return

    async def _leave_unless_needed(self) -> None:
        if self._held or self._connection is None:
            return
        connection, self._connection = self._connection, None
        self._stop_beating()
        await connection.close()

    async def _lose(self) -> None:
        """Let go of the session and of all that it held."""
        self._held.clear()
        self._stop_beating()
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, OSError):  # it may be closed for good already, which is all that is wanted
                await connection.invalidate()
            with suppress(SQLAlchemyError, OSError):
                await connection.close()

    def _stop_beating(self) -> None:
        beating, self._beating = self._beating, None
        if beating is not None and beating is not asyncio.current_task():
            beating.cancel()

    def _key(self, name: str) -> int:
        return advisory_key(f"{self._prefix}/{name}")


class SessionLock:
    """An advisory lock of PostgreSQL, held by the session of its process."""

    def __init__(self, session: LockSession, key: int, *, is_shared: bool) -> None:
        self._session = session
        self.key = key
        self.is_shared = is_shared

    async def still_held(self) -> bool:
        """Say whether the session, and with it the lock, still lives."""
        return await self._session.answers_for(self)

    async def release(self) -> None:
        """Give it back."""
        await self._session.give_back(self)


class FileLock:
    """A lock on a file, which the kernel gives back when the process dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, path: Path) -> FileLock | None:
        """Try to take it; None when another process, or another part of this one, has it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    async def still_held(self) -> bool:
        """Say whether it was not released."""
        return self._descriptor is not None

    async def release(self) -> None:
        """Give it back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
