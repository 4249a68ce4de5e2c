"""Locks that outlive a transaction, so that one process at a time does what only one may do."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

ANSWER_SECONDS = 5.0  # a server that does not answer so long is as good as gone


def advisory_key(name: str) -> int:
    """Return the 63-bit number under which PostgreSQL knows a lock."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


class SessionLock:
    """An advisory lock of PostgreSQL on a connection of its own, outside any transaction, so it delays no reader."""

    def __init__(self, connection: AsyncConnection, key: int) -> None:
        self._connection = connection
        self._key = key

    @classmethod
    async def take(cls, engine: AsyncEngine, name: str) -> SessionLock | None:
        """Try to take it; None when another session has it."""
        connection = await engine.connect()
        key = advisory_key(name)
        taken = False
        try:
            taken = bool(await connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": key}))
        finally:
            if not taken:
                await connection.close()
        return cls(connection, key) if taken else None

    async def still_held(self) -> bool:
        """Say whether the session, and with it the lock, still lives."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._connection.execute(sa.text("SELECT 1"))
        except (SQLAlchemyError, OSError):  # TimeoutError is an OSError
            return False
        return True

    async def release(self) -> None:
        """Give it back; a session that died has given it back already."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": self._key})
        except (SQLAlchemyError, OSError):
            with suppress(SQLAlchemyError):  # it may be closed for good already, which is all that is wanted
                await self._connection.invalidate()
        with suppress(SQLAlchemyError, OSError):
            await self._connection.close()


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
