"""Which documents there are, without reading what was said of them: those of some days, and those of a series of numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import sqlalchemy as sa

from backbone.database import Database
from ingest.tables import resource_versions
from ingest.translate import ResourceKey

PAGE = 500
ENDED = "deleted_"  # before the kind of a document whose number another one has


async def dated(database: Database, first: int, before: int) -> AsyncIterator[list[str]]:
    """Give the streams of the documents dated from a second to just before another one, a page after another."""
    column = resource_versions.c
    key = (column.dated_at, column.site, column.kind, column.resource_id)
    after: tuple[int, str, str, str] | None = None
    while True:
        statement = sa.select(*key).where(column.dated_at >= first, column.dated_at < before).order_by(*key).limit(PAGE)
        if after is not None:
            bound = (sa.literal(value, one.type) for value, one in zip(after, key, strict=True))
            statement = statement.where(sa.tuple_(*key) > sa.tuple_(*bound))
        async with database.reading() as connection:
            page = list(await connection.execute(statement))
        yield [ResourceKey(row.site, row.kind, row.resource_id).stream for row in page]
        if len(page) < PAGE:
            return
        after = tuple(page[-1])
        first = after[0]


async def beginning_with(database: Database, site: str, kind: str, prefix: str) -> AsyncIterator[list[str]]:
    """Give the ids of a site's documents of one kind that begin with a text, a page after another."""
    column = resource_versions.c
    statement = sa.select(column.resource_id).where(column.site == site, column.kind == kind)
    statement = statement.where(column.resource_id.startswith(prefix, autoescape=True)).order_by(column.resource_id).limit(PAGE)
    after = ""
    while True:
        async with database.reading() as connection:
            page = [row.resource_id for row in await connection.execute(statement.where(column.resource_id > after))]
        yield page
        if len(page) < PAGE:
            return
        after = page[-1]
