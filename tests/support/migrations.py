"""Comparing what a service's migrations make with the tables it declares."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from backbone import tables
from backbone.database import Database
from backbone.migrations import VERSION_TABLE


async def differences(database: Database, *declared: sa.MetaData) -> list[Any]:
    """Return what differs between the migrated database and these tables together with the backbone's own."""
    expected = sa.MetaData()
    for metadata in (tables.metadata, *declared):
        for table in metadata.sorted_tables:
            table.to_metadata(expected)

    def compare(connection: sa.Connection) -> list[Any]:
        options = {"compare_type": True, "version_table": VERSION_TABLE}
        found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), expected)
        return found

    async with database.reading() as connection:
        return await connection.run_sync(compare)
