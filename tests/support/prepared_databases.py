"""PostgreSQL databases that have every service's tables already, used by one test after another and emptied between them.

Making a database and running all revisions takes seconds where the test itself takes tenths, and dropping one waits for a
checkpoint of the whole server. A database whose tables, rights or triggers a test changed is dropped instead of used again.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from backbone.database import Database, schema_of
from backbone.migrations import migrate
from backbone.settings import Settings

SERVICES = ("ingest", "mapper", "exact-writer", "payment-matcher", "console")
_free: list[str] = []
_made: list[tuple[str, str]] = []  # server and name, of this process
_as_made: str | None = None

# What a test must leave as it was: columns, triggers and whether they fire, indexes, rights, and nothing that was not there.
_SHAPE = """
SELECT md5(string_agg(line, E'\n' ORDER BY line)) FROM (
    SELECT concat_ws(
        ' ', n.nspname, n.nspacl, c.relname, c.relkind, c.relacl, a.attname, a.atttypid, a.attnotnull, a.attacl
    ) AS line
    FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE n.nspname !~ '^(pg_|information_schema)'
    UNION ALL SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
) AS shape
"""

# A table that grew beyond a quarter of a megabyte is truncated: deleting would leave its pages to be read by every later test.
_EMPTY = """
DO $$
DECLARE one record;
BEGIN
    SET LOCAL session_replication_role = replica;  -- the log refuses to lose rows, except to this
    FOR one IN SELECT c.oid, c.oid::regclass AS name, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname !~ '^(pg_|information_schema)' AND c.relkind IN ('r', 'S') AND c.relname <> 'schema_version'
    LOOP
        IF one.name::text LIKE '%event_log_offset' THEN
            EXECUTE format('UPDATE %s SET transaction_offset = 0 WHERE transaction_offset <> 0', one.name);
        ELSIF one.relkind = 'S' THEN
            PERFORM setval(one.oid, (SELECT seqstart FROM pg_sequence WHERE seqrelid = one.oid), false);
        ELSIF pg_relation_size(one.oid) > 262144 THEN
            EXECUTE format('TRUNCATE %s CASCADE', one.name);
        ELSIF pg_relation_size(one.oid) > 0 THEN
            EXECUTE format('DELETE FROM %s', one.name);
        END IF;
    END LOOP;
END $$
"""


@asynccontextmanager
async def prepared_database(server_url: str) -> AsyncIterator[str]:
    """Give the URL of a database with the newest tables of all services and no rows."""
    name = _free.pop() if _free else await _make(server_url)
    url = _url_of(server_url, name)
    try:
        yield url
    finally:
        if await _emptied(url):
            _free.append(name)
        else:
            await _drop(server_url, name)


async def _make(server_url: str) -> str:
    global _as_made  # noqa: PLW0603 - what a database looks like is found once in a process
    name = f"kp_test_{os.getpid()}_{secrets.token_hex(6)}"
    server = await asyncpg.connect(server_url, timeout=10)
    try:
        await server.execute(f'CREATE DATABASE "{name}"')
    finally:
        await server.close()
    if not _made:
        atexit.register(_drop_all)
    _made.append((server_url, name))
    url = _url_of(server_url, name)
    with TemporaryDirectory() as directory:
        for service in SERVICES:
            database = Database.open(Settings(data_dir=Path(directory), database_url=url), service)
            try:
                await migrate(database, service)
            finally:
                await database.close()
    connection = await asyncpg.connect(url, timeout=10)
    try:
        _as_made = await _state(connection)
    finally:
        await connection.close()
    return name


async def _emptied(url: str) -> bool:
    """End what is still connected and remove every row; False when the database is not as it was made."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        if await _state(connection) != _as_made:
            return False
        await connection.execute(_EMPTY)
    except asyncpg.PostgresError:
        return False
    finally:
        await connection.close()
    return True


async def _state(connection: asyncpg.Connection) -> str:
    tables = [f"{schema_of(one)}.schema_version" for one in SERVICES]
    versions = [await connection.fetchval(f"SELECT version_num FROM {one}") for one in tables]  # noqa: S608 - our own names
    return f"{await connection.fetchval(_SHAPE)} {versions}"


async def _drop(server_url: str, name: str) -> None:
    server = await asyncpg.connect(server_url, timeout=10)
    try:
        await server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await server.close()


def _drop_all() -> None:
    async def drop() -> None:
        for server_url, name in _made:
            await _drop(server_url, name)

    asyncio.run(drop())


def _url_of(server_url: str, name: str) -> str:
    return f"{server_url.rpartition('/')[0]}/{name}"
