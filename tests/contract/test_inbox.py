"""What every engine's inbox and checkpoints promise: a message has its effect once, a reader goes on where it was."""

from __future__ import annotations

import asyncio

import pytest
from support.engines import DATABASES, database_for

from backbone.checkpoints import read_checkpoint, write_checkpoint
from backbone.event_log import START, Position
from backbone.inbox import first_time


@pytest.fixture(params=DATABASES)
async def database(request, tmp_path):
    async with database_for(request.param, tmp_path, "ingest") as database:
        yield database


async def test_a_message_is_new_once_for_each_consumer(database):
    async with database.transaction() as connection:
        assert await first_time(connection, "mapper", "m1")
        assert not await first_time(connection, "mapper", "m1")
        assert await first_time(connection, "console", "m1")
    async with database.transaction() as connection:
        assert not await first_time(connection, "mapper", "m1")


async def test_a_message_whose_effect_was_rolled_back_is_new_again(database):
    async def fail():
        async with database.transaction() as connection:
            assert await first_time(connection, "mapper", "m1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.transaction() as connection:
        assert await first_time(connection, "mapper", "m1")


async def test_one_message_handled_by_many_at_once_is_new_for_one(database):
    async def handle() -> bool:
        async with database.transaction() as connection:
            is_new = await first_time(connection, "mapper", "m1")
            await asyncio.sleep(0.02)
            return is_new

    assert sum(await asyncio.gather(*(handle() for _ in range(8)))) == 1


async def test_a_checkpoint_is_where_it_was_written_last(database):
    async with database.reading() as connection:
        assert await read_checkpoint(connection, "relay") == START
    for position in (Position(3, 7), Position(10, 8)):
        async with database.transaction() as connection:
            await write_checkpoint(connection, "relay", position)
    async with database.reading() as connection:
        assert await read_checkpoint(connection, "relay") == Position(10, 8)
        assert await read_checkpoint(connection, "translator") == START


async def test_a_lock_is_held_by_one_until_it_is_released(database):
    lock = await database.try_lock("relay")
    assert lock is not None
    assert await lock.still_held()
    assert await database.try_lock("relay") is None
    other = await database.try_lock("another")
    assert other is not None
    await other.release()
    await lock.release()
    again = await database.try_lock("relay")
    assert again is not None
    await again.release()
