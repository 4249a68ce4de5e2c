"""A row that is there already is left or changed as asked, with the values of that very statement, though it is compiled once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from support.engines import DATABASES, database_for

from backbone.database import Database
from backbone.upsert import Upsert

rooms = sa.Table(
    "rooms",
    sa.MetaData(),
    sa.Column("house", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("guest", sa.String),
    sa.Column("nights", sa.Integer, nullable=False, server_default="0"),
)


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database_for(request.param, tmp_path, "ingest") as database:
        async with database.transaction() as connection:
            await connection.run_sync(rooms.metadata.create_all)
        yield database


async def book(
    database: Database, number: int, guest: str | None, nights: int, where: sa.ColumnElement[bool] | None = None
) -> int:
    """Put a guest in a room, or add nights to the guest who is there; returns how many rows changed."""
    insert = Upsert(rooms).values(house="A", number=number, guest=guest, nights=nights)
    changed = {"guest": guest, "nights": rooms.c.nights + insert.excluded.nights}
    async with database.transaction() as connection:
        statement = insert.on_conflict_do_update(index_elements=rooms.primary_key, set_=changed, where=where)
        return (await connection.execute(statement)).rowcount


async def booked(database: Database) -> list[tuple[int, str | None, int]]:
    async with database.reading() as connection:
        found = await connection.execute(sa.select(rooms.c.number, rooms.c.guest, rooms.c.nights).order_by(rooms.c.number))
        return [(row.number, row.guest, row.nights) for row in found]


async def test_each_statement_has_its_own_values(database: Database) -> None:
    for number, guest, nights in ((1, "Ann", 1), (2, "Bob", 2), (1, "Cas", 3), (2, None, 4), (1, "Dee", 5)):
        assert await book(database, number, guest, nights) == 1
    assert await booked(database) == [(1, "Dee", 9), (2, None, 6)]


async def test_a_condition_has_its_own_values_too(database: Database) -> None:
    assert await book(database, 1, "Ann", 1) == 1
    assert await book(database, 1, "Bob", 1, where=rooms.c.nights > 5) == 0
    assert await book(database, 1, "Cas", 1, where=rooms.c.nights > 0) == 1
    assert await booked(database) == [(1, "Cas", 2)]


async def test_what_is_there_is_left(database: Database) -> None:
    await book(database, 1, "Ann", 1)
    rows = [{"house": "A", "number": number, "guest": "Bob"} for number in (1, 2)]
    async with database.transaction() as connection:
        await connection.execute(database.insert(rooms).on_conflict_do_nothing(), rows)
        one = database.insert(rooms).values(house="A", number=2, guest="Cas").on_conflict_do_nothing(["house", "number"])
        assert (await connection.execute(one)).rowcount == 0
    assert await booked(database) == [(1, "Ann", 1), (2, "Bob", 0)]


async def test_a_statement_of_one_form_is_compiled_once(database: Database) -> None:
    compiled: list[str] = []
    engine = database._writer.sync_engine
    engine._compiled_cache = {}

    @sa.event.listens_for(engine, "before_cursor_execute")
    def note(_: object, __: object, statement: str, ___: object, context: sa.ExecutionContext, ____: object) -> None:
        if statement.startswith("INSERT"):
            compiled.append(context.cache_hit.name)  # type: ignore[attr-defined]  # the default context has it

    for number, guest in ((1, "Ann"), (2, None), (1, "Bob")):
        await book(database, number, guest, 1)
    assert compiled == ["CACHE_MISS", "CACHE_HIT", "CACHE_HIT"]
