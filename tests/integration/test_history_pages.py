"""Every document in pages, as `kruispost plan` and `diff` read them: each is read about once, however long the history is."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from support.engines import database_for

from mapper import tables
from mapper.history import PAGE_DOCUMENTS, PagedStore, Selection, documents

COUNT, KINDS = 12_000, ("credit_note", "invoice")

BLOCKS_A_PAGE = 30  # of the index: some twenty whatever the history, and nearly forty here where each page reads on to the end


def rows():
    for number in range(COUNT):
        kind = KINDS[number % 2]
        yield {
            "site": "acme-test", "kind": kind, "number": f"D-{number}", "suffix": "", "customer_id": "C",
            "state": "held" if number % 5 else "booked", "attempt": 0, "resource_version": 0,
        }  # fmt: skip


@pytest.mark.postgres
async def test_postgresql_reads_no_more_of_the_index_than_the_pages_hold(tmp_path):
    async with database_for("postgresql", tmp_path, "mapper") as database:
        async with database.transaction() as connection:
            await connection.execute(sa.insert(tables.documents), list(rows()))
        await database.run_alone("ANALYZE")
        await database.run_alone("SELECT pg_stat_force_next_flush()")
        await database.run_alone("SELECT pg_stat_reset()")
        async with database.reading() as connection:
            found = [
                (one.key.kind, one.key.number)
                async for one in documents(PagedStore(database, connection), Selection(states=frozenset(("held",))))
            ]
            await connection.execute(sa.text("SELECT pg_stat_force_next_flush()"))
        async with database.reading() as connection:
            read = await connection.scalar(
                sa.text("SELECT idx_blks_hit + idx_blks_read FROM pg_statio_user_indexes WHERE indexrelname = 'documents_pkey'")
            )
    assert found == sorted((row["kind"], row["number"]) for row in rows() if row["state"] == "held")
    pages = len(found) / PAGE_DOCUMENTS
    assert read / pages < BLOCKS_A_PAGE
