"""What every engine's event log promises: streams conflict rather than branch, and no reader ever skips a message."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from support.engines import DATABASES, database_for
from support.logs import note, read_until

from backbone import event_log
from backbone.errors import StreamConflictError
from backbone.event_log import START, Position


@pytest.fixture(params=DATABASES)
async def database(request, tmp_path):
    async with database_for(request.param, tmp_path, "ingest") as database:
        yield database


async def test_a_stream_comes_back_as_it_was_appended(database):
    body = b'{"amount":  12100, "unknown\\u00e9": [1,2.50]}'
    async with database.transaction() as connection:
        await event_log.append(connection, "doc/1", 0, [note("a", data=body), note("b")])
        await event_log.append(connection, "doc/1", 2, [note("c")])
        await event_log.append(connection, "doc/2", 0, [note("d")])
    async with database.reading() as connection:
        recorded = await event_log.read_stream(connection, "doc/1")
        assert [(row.version, row.envelope.id) for row in recorded] == [(1, "a"), (2, "b"), (3, "c")]
        assert bytes(recorded[0].envelope.data) == body
        assert await event_log.stream_version(connection, "doc/1") == 3
        assert await event_log.stream_version(connection, "doc/unknown") == 0
        assert await event_log.read_stream(connection, "doc/unknown") == []


async def test_what_a_batch_led_to_is_appended_whole_and_in_its_order_or_not_at_all(database):
    async with database.transaction() as connection:
        await event_log.append(connection, "doc/2", 0, [note("a")])
        await event_log.append_at(connection, [("doc/2", 2, note("b")), ("doc/1", 1, note("c")), ("doc/2", 3, note("d"))])
        assert await event_log.stream_versions(connection, ["doc/1", "doc/2", "doc/3"]) == {"doc/1": 1, "doc/2": 3, "doc/3": 0}
    assert [row.envelope.id for row in await read_until(database, 4)] == ["a", "b", "c", "d"]
    with pytest.raises(StreamConflictError):
        async with database.transaction() as connection:
            await event_log.append_at(connection, [("doc/1", 2, note("e")), ("doc/2", 3, note("f"))])
    async with database.reading() as connection:
        assert await event_log.stream_versions(connection, ["doc/1", "doc/2"]) == {"doc/1": 1, "doc/2": 3}


@pytest.mark.parametrize("expected", [0, 1, 3, 7], ids=lambda version: f"expecting {version}")
async def test_an_append_at_another_version_conflicts_and_leaves_nothing(database, expected):
    async with database.transaction() as connection:
        await event_log.append(connection, "doc/1", 0, [note("a"), note("b")])
    with pytest.raises(StreamConflictError):
        async with database.transaction() as connection:
            await event_log.append(connection, "doc/1", expected, [note("c"), note("d")])
    async with database.reading() as connection:
        assert [row.envelope.id for row in await event_log.read_stream(connection, "doc/1")] == ["a", "b"]


async def test_of_two_writers_at_one_version_one_wins(database):
    async def write(name: str) -> bool:
        try:
            async with database.transaction() as connection:
                await event_log.append(connection, "doc/1", 0, [note(f"{name}1"), note(f"{name}2")])
                await asyncio.sleep(0.05)
        except StreamConflictError:
            return False
        return True

    won = await asyncio.gather(*(write(name) for name in "abcd"))
    assert sum(won) == 1
    async with database.reading() as connection:
        ids = [row.envelope.id for row in await event_log.read_stream(connection, "doc/1")]
    winner = "abcd"[won.index(True)]
    assert ids == [f"{winner}1", f"{winner}2"]


async def test_a_conflict_that_is_caught_leaves_no_part_of_the_append(database):
    """A longer append that meets a shorter one must not leave its tail, even if its writer goes on and commits."""
    first_wrote, may_commit = asyncio.Event(), asyncio.Event()

    async def shorter() -> None:
        async with database.transaction() as connection:
            await event_log.append(connection, "doc/1", 0, [note("short")])
            first_wrote.set()
            await may_commit.wait()

    async def longer() -> None:
        await first_wrote.wait()
        asyncio.get_running_loop().call_later(0.2, may_commit.set)
        async with database.transaction() as connection:
            with contextlib.suppress(StreamConflictError):
                await event_log.append(connection, "doc/1", 0, [note("long1"), note("long2")])

    results = await asyncio.gather(shorter(), longer(), return_exceptions=True)
    assert results[0] is None
    async with database.reading() as connection:
        assert [row.envelope.id for row in await event_log.read_stream(connection, "doc/1")] == ["short"]


async def test_who_appends_alone_can_keep_the_order_of_new_streams(database):
    rows = [(f"{kind}/1", note(kind)) for kind in ("subscription", "invoice", "customer")]
    async with database.transaction() as connection:
        await event_log.append_new(connection, rows, in_order=True)
    assert [each.envelope.id for each in await read_until(database, 3)] == ["subscription", "invoice", "customer"]


async def test_appending_new_streams_says_for_each_row_whether_it_was_new(database):
    async with database.transaction() as connection:
        await event_log.append_new(connection, [("ev/1", note("first"))])
    async with database.transaction() as connection:
        rows = [("ev/2", note("x")), ("ev/1", note("again")), ("ev/3", note("y")), ("ev/2", note("z"))]
        assert await event_log.append_new(connection, rows) == [True, False, True, False]
        assert await event_log.append_new(connection, []) == []
    async with database.reading() as connection:
        kept = [await event_log.read_stream(connection, f"ev/{number}") for number in (1, 2, 3)]
    assert [[row.envelope.id for row in stream] for stream in kept] == [["first"], ["x"], ["y"]]


async def test_one_event_from_twenty_writers_at_once_is_kept_once(database):
    async def write(number: int) -> list[bool]:
        order = [("ev/1", note(f"a{number}")), ("ev/2", note(f"b{number}"))]
        async with database.transaction() as connection:
            return await event_log.append_new(connection, order if number % 2 else order[::-1])

    answers = await asyncio.gather(*(write(number) for number in range(20)))
    assert sum(sum(answer) for answer in answers) == 2
    assert len(await read_until(database, 2)) == 2


async def test_reading_pages_through_the_log_in_one_order(database):
    for number in range(7):
        async with database.transaction() as connection:
            await event_log.append(
                connection, f"doc/{number}", 0, [note(f"n{number}", kind="test.odd" if number % 2 else "test.even")]
            )
    everything = await read_until(database, 7, limit=3)
    assert [row.envelope.id for row in everything] == [f"n{number}" for number in range(7)]
    assert [row.position for row in everything] == sorted({row.position for row in everything})
    async with database.reading() as connection:
        odd = await event_log.read_after(connection, START, 100, frozenset({"test.odd"}))
        rest = await event_log.read_after(connection, everything[4].position, 100)
        assert await event_log.end_position(connection) == everything[-1].position
        assert await event_log.read_after(connection, everything[-1].position, 100) == []
    assert [row.envelope.id for row in odd] == ["n1", "n3", "n5"]
    assert [row.envelope.id for row in rest] == ["n5", "n6"]


async def test_a_reader_never_skips_what_commits_late(database):
    """The earlier position commits last: a reader that had moved past it would never see it again."""
    early_wrote, late_done = asyncio.Event(), asyncio.Event()

    async def slow_to_commit() -> None:
        async with database.transaction() as connection:
            await event_log.append(connection, "doc/early", 0, [note("early")])
            early_wrote.set()
            with contextlib.suppress(TimeoutError):  # on SQLite the other writer waits for this commit
                await asyncio.wait_for(late_done.wait(), 0.5)

    async def quick_to_commit() -> None:
        await early_wrote.wait()
        async with database.transaction() as connection:
            await event_log.append(connection, "doc/late", 0, [note("late")])
        async with database.reading() as connection:
            seen = await event_log.read_after(connection, START, 10)
        assert [row.envelope.id for row in seen] in ([], ["early"], ["early", "late"])
        late_done.set()

    await asyncio.gather(slow_to_commit(), quick_to_commit())
    assert [row.envelope.id for row in await read_until(database, 2)] == ["early", "late"]


async def test_a_reader_that_follows_racing_writers_sees_everything_once(database):
    writers, each = 6, 12

    async def write(name: int) -> None:
        for number in range(each):
            async with database.transaction() as connection:
                await event_log.append(connection, f"doc/{name}", number, [note(f"{name}-{number}")])
                await asyncio.sleep(0.001 * ((name * 7 + number * 3) % 5))

    async def follow() -> list[str]:
        return [row.envelope.id for row in await read_until(database, writers * each, limit=5)]

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(name) for name in range(writers)))
    seen = await following
    assert sorted(seen) == sorted(f"{name}-{number}" for name in range(writers) for number in range(each))
    for name in range(writers):
        assert [one for one in seen if one.startswith(f"{name}-")] == [f"{name}-{number}" for number in range(each)]


@pytest.mark.parametrize("statement", ["UPDATE event_log SET version = 9", "DELETE FROM event_log"])
async def test_the_log_cannot_be_changed(database, statement):
    async with database.transaction() as connection:
        await event_log.append(connection, "doc/1", 0, [note("a")])
    with pytest.raises(DBAPIError, match="event log only grows"):
        async with database.transaction() as connection:
            await connection.execute(sa.text(statement))
    assert [row.envelope.id for row in await read_until(database, 1)] == ["a"]


async def test_what_was_rolled_back_is_never_read(database):
    async def fail():
        async with database.transaction() as connection:
            await event_log.append(connection, "doc/1", 0, [note("gone")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.transaction() as connection:
        await event_log.append(connection, "doc/1", 0, [note("kept")])
    assert [row.envelope.id for row in await read_until(database, 1)] == ["kept"]


async def test_a_reading_connection_cannot_write(database):
    with pytest.raises(DBAPIError):
        async with database.reading() as connection:
            await connection.execute(sa.text("INSERT INTO checkpoints (name, position) VALUES ('x', '0-0')"))


def test_a_position_survives_its_text_form():
    assert Position.decode(START.encode()) == START
    assert Position.decode(Position(12, 345).encode()) == Position(12, 345)
    with pytest.raises(ValueError):
        Position.decode("yesterday")


async def test_reading_on_in_a_long_log_costs_what_it_costs_in_a_short_one(tmp_path):
    """Every relay does it four times a second; SQLite reads a range of one column of an index only."""
    steps = {}
    for length in (200, 4_000):
        async with database_for("sqlite", tmp_path / str(length), "mapper") as database:
            async with database.transaction() as connection:
                await event_log.append_new(connection, [(f"x/{number}", note(str(number))) for number in range(length)])
            taken: list[int] = []

            def count(taken: list[int] = taken) -> int:
                taken.append(1)
                return 0

            async with database.reading() as connection:
                end = await event_log.end_position(connection)
                driver: Any = (await connection.get_raw_connection()).driver_connection
                await driver.set_progress_handler(count, 10)
                assert len(await event_log.read_after(connection, Position(0, end.sequence - 5), 500)) == 5
                assert await event_log.read_after(connection, end, 500, frozenset({"chargebee.invoice.observed"})) == []
                await driver.set_progress_handler(None, 0)
            steps[length] = len(taken)
    assert steps[4_000] <= steps[200] + 5
