"""Migrations: what they make is what the code declares, they can run at once and again, and positions survive a restore."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections import Counter
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from support.engines import DATABASES, database_for, settings_for
from support.equal_books import fill_some
from support.facts import envelope, observed
from support.logs import note, read_until
from support.migrations import differences

from backbone import event_log
from backbone.database import Database, schema_of
from backbone.errors import ConfigurationError
from backbone.migrations import migrate
from contracts import facts

SERVICES = ["ingest", "mapper", "exact-writer", "payment-matcher", "console"]


@pytest.mark.parametrize("dialect", DATABASES)
@pytest.mark.parametrize("service", SERVICES)
async def test_the_migrations_make_the_declared_tables(tmp_path, dialect, service):
    declared = importlib.import_module(f"{schema_of(service)}.tables").metadata
    async with database_for(dialect, tmp_path, service) as database:
        assert await differences(database, declared) == []


@pytest.mark.parametrize("dialect", DATABASES)
async def test_migrating_again_and_at_once_changes_nothing(tmp_path, dialect):
    async with settings_for(dialect, tmp_path, empty=True) as settings:
        databases = [Database.open(settings, "ingest") for _ in range(3)]
        await asyncio.gather(*(migrate(database, "ingest") for database in databases))
        async with databases[0].transaction() as connection:
            await event_log.append(connection, "doc/1", 0, [note("kept")])
        await migrate(databases[1], "ingest")
        assert [row.envelope.id for row in await read_until(databases[2], 1)] == ["kept"]
        for database in databases:
            await database.close()


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_database_of_a_newer_release_is_refused(tmp_path, dialect):
    async with database_for(dialect, tmp_path, "ingest") as database:
        async with database.transaction() as connection:
            await connection.execute(sa.text("UPDATE schema_version SET version_num = '9999'"))
        with pytest.raises(ConfigurationError, match="does not know"):
            await migrate(database, "ingest")


async def test_a_service_that_is_not_installed_is_named(tmp_path):
    async with settings_for("sqlite", tmp_path) as settings:
        database = Database.open(settings, "teller")
        with pytest.raises(ConfigurationError, match="teller is not installed"):
            await migrate(database, "teller")
        await database.close()


@pytest.mark.postgres
async def test_services_share_a_database_without_seeing_each_others_tables(tmp_path):
    async with settings_for("postgresql", tmp_path, empty=True) as settings:
        ingest, mapper = Database.open(settings, "ingest"), Database.open(settings, "mapper")
        await migrate(ingest, "ingest")
        await migrate(mapper, "mapper")
        async with ingest.transaction() as connection:
            await event_log.append(connection, "doc/1", 0, [note("a")])
        async with mapper.reading() as connection:
            assert await event_log.stream_version(connection, "doc/1") == 0
        await ingest.close()
        await mapper.close()


@pytest.mark.postgres
async def test_after_a_restore_into_a_younger_server_old_and_new_messages_are_read_in_order(tmp_path):
    """A restored log carries transaction numbers that the new server reaches in years; readers must not wait for that."""
    async with database_for("postgresql", tmp_path, "ingest") as database:
        async with database.transaction() as connection:
            await event_log.append(connection, "doc/old", 0, [note("old")])
            await connection.execute(sa.text("ALTER TABLE event_log DISABLE TRIGGER USER"))
            await connection.execute(sa.text("UPDATE event_log SET transaction_id = transaction_id + 5000000000"))
            await connection.execute(sa.text("ALTER TABLE event_log ENABLE TRIGGER USER"))
        await migrate(database, "ingest")
        (old,) = await read_until(database, 1)
        async with database.transaction() as connection:
            await event_log.append(connection, "doc/new", 0, [note("new")])
        (new,) = await read_until(database, 1, old.position)
        assert (old.envelope.id, new.envelope.id) == ("old", "new")
        await migrate(database, "ingest")
        async with database.transaction() as connection:
            await event_log.append(connection, "doc/newer", 0, [note("newer")])
        assert [row.envelope.id for row in await read_until(database, 2, old.position)] == ["new", "newer"]


@pytest.mark.parametrize("dialect", DATABASES)
async def test_what_was_booked_by_an_older_release_is_found_by_its_day(tmp_path, dialect):
    async with settings_for(dialect, tmp_path, empty=True) as settings:
        ingest, mapper, writer = opened = [Database.open(settings, name) for name in ("ingest", "mapper", "exact-writer")]
        for database in opened:
            await migrate(database, database.service)
        days = [date(2026, 3, 1) + timedelta(days=number) for number in range(3)]
        await fill_some(ingest, mapper, writer, list(enumerate(days)))
        for database, column, index, table, before, later in (
            (ingest, "dated_at", "resource_versions_dated", "resource_versions", "0004", "DROP TABLE questions"),
            (mapper, "entry_date", "documents_of_days", "documents", "0008", "DROP INDEX accounts_of_customer"),
        ):
            known = sa.text(f"SELECT {column} FROM {table} ORDER BY {column}")  # noqa: S608 - constants of this test
            async with database.transaction() as connection:
                had = list(await connection.scalars(known))
                for statement in (
                    later,
                    f"DROP INDEX {index}",
                    f"ALTER TABLE {table} DROP COLUMN {column}",
                    f"UPDATE schema_version SET version_num = '{before}'",  # noqa: S608 - constants of this test
                ):
                    await connection.execute(sa.text(statement))
            await migrate(database, database.service)
            async with database.reading() as connection:
                assert list(await connection.scalars(known)) == had
                assert len(set(had)) == len(days)
        for database in opened:
            await database.close()


@pytest.mark.parametrize("dialect", DATABASES)
async def test_documents_that_an_older_release_heard_of_in_part_are_asked_for_once(tmp_path, dialect):
    cut: dict[str, Any] = {"line_items_next_offset": "100"}
    said: list[tuple[str, str, dict[str, Any], type[facts.Observed], bool]] = [
        ("invoice", "INV-1", cut, facts.InvoiceObserved, False),
        ("invoice", "INV-2", cut, facts.InvoiceObserved, False),
        ("invoice", "INV-2", {}, facts.InvoiceObserved, False),  # came as a whole since
        ("invoice", "INV-3", cut, facts.InvoiceObserved, True),
        ("credit_note", "CN/1", cut, facts.CreditNoteObserved, False),
        ("credit_note", "CN-2", cut, facts.CreditNoteObserved, False),  # asked for already
    ]
    async with settings_for(dialect, tmp_path, empty=True) as settings:
        database = Database.open(settings, "ingest")
        await migrate(database, database.service)
        async with database.transaction() as connection:
            versions = Counter[str]()
            for kind, number, more, fact, deleted in said:
                stream = f"acme-test/{kind}/{number}"
                made = msgspec.structs.replace(observed(fact, {"id": number, **more}, versions[stream] + 1), deleted=deleted)
                await event_log.append(connection, stream, versions[stream], [envelope(made)])
                versions[stream] += 1
            await connection.execute(
                sa.text("INSERT INTO questions VALUES ('acme-test', 'credit_note', 'CN-2', 3, 9.0)"),
            )
            await connection.execute(sa.text("UPDATE schema_version SET version_num = '0006'"))
        await migrate(database, database.service)
        async with database.reading() as connection:
            asked = await connection.execute(sa.text("SELECT kind, resource_id, attempts FROM questions ORDER BY resource_id"))
            assert [tuple(row) for row in asked] == [
                ("credit_note", "CN-2", 3),
                ("credit_note", "CN/1", 0),
                ("invoice", "INV-1", 0),
            ]
        await database.close()


@pytest.mark.parametrize("dialect", DATABASES)
async def test_codes_of_coupon_sets_that_an_older_release_heard_of_are_asked_for(tmp_path, dialect):
    rows = [{"entity_id": "TEN", "coupon_set_code": code} for code in ("FAIR-1", None, "FAIR-2")]
    known = observed(facts.InvoiceObserved, {"id": "INV-1", "discounts": rows})
    plain = observed(facts.InvoiceObserved, {"id": "INV-2"})
    async with settings_for(dialect, tmp_path, empty=True) as settings:
        database = Database.open(settings, "ingest")
        await migrate(database, database.service)
        async with database.transaction() as connection:
            for number, fact in enumerate((known, plain)):
                await event_log.append(connection, f"acme-test/invoice/{number}", 0, [envelope(fact)])
            await connection.execute(sa.text("DROP TABLE questions"))
            await connection.execute(sa.text("UPDATE schema_version SET version_num = '0005'"))
        await migrate(database, database.service)
        async with database.reading() as connection:
            asked = await connection.execute(sa.text("SELECT site, kind, resource_id FROM questions ORDER BY resource_id"))
            assert [tuple(row) for row in asked] == [("acme-test", "coupon_code", code) for code in ("FAIR-1", "FAIR-2")]
        await database.close()
