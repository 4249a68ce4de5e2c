"""Locks on PostgreSQL: they do not outlive the wits of their holder, and nothing else is taken from anybody."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa
from support.engines import settings_for

from backbone import locks
from backbone.database import Database, is_away

pytestmark = pytest.mark.postgres
SILENT_SECONDS = 0.6
PATIENT_SECONDS = 1.5  # longer than a busy machine leaves a process that says something without its turn


async def two_processes(stack: AsyncExitStack, tmp_path: Path) -> tuple[Database, Database]:
    settings = await stack.enter_async_context(settings_for("postgresql", tmp_path))
    first, second = (Database.open(settings, "ingest") for _ in range(2))
    stack.push_async_callback(first.close)
    stack.push_async_callback(second.close)
    return first, second


async def test_a_process_that_hangs_loses_its_locks_and_its_open_transactions_and_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(locks, "BEAT_SECONDS", 3_600.0)
    monkeypatch.setattr(locks, "SILENT_SECONDS", SILENT_SECONDS)
    async with AsyncExitStack() as stack:
        hanging, other = await two_processes(stack, tmp_path)
        lock, presence = await hanging.try_lock("relay"), await hanging.join("present")
        assert lock is not None
        assert presence is not None
        is_free = False
        with pytest.raises(Exception) as failure:  # noqa: PT012 - the transaction has to be open while all of this happens
            async with hanging.transaction() as connection:
                await connection.execute(sa.text("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE"))
                await asyncio.sleep(2 * SILENT_SECONDS)
                assert await other.try_lock("relay") is None  # it is freed by this, a moment later
                async with asyncio.timeout(60), other.transaction() as free:
                    await free.execute(sa.text("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE"))
                is_free = True
                await connection.execute(sa.text("SELECT 1"))
        assert is_free
        assert is_away(failure.value)
        assert await other.try_lock("relay") is not None
        assert not await lock.still_held()
        await lock.release()
        assert await hanging.try_lock("relay") is None
        again = await hanging.try_lock("something else")  # it goes on, by a new session
        assert again is not None
        assert await again.still_held()


async def test_who_says_something_keeps_its_locks_and_all_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(locks, "SILENT_SECONDS", PATIENT_SECONDS)
    async with AsyncExitStack() as stack:
        first, second = await two_processes(stack, tmp_path)
        held = [lock for name in ("1", "2") if (lock := await first.try_lock(name)) is not None]
        for database in (first, second):
            assert await database.join("present") is not None
        await asyncio.sleep(2 * PATIENT_SECONDS)
        assert await second.try_lock("1") is None
        seen = [await database.holders(["present", "1", "2", "3"]) for database in (first, second)]
        assert seen[0] is not None
        assert seen[1] is not None
        assert seen[0].of == seen[1].of
        assert seen[0].of == {"present": {seen[0].own, seen[1].own}, "1": {seen[0].own}, "2": {seen[0].own}, "3": frozenset()}
        assert [await lock.still_held() for lock in held] == [True, True]
