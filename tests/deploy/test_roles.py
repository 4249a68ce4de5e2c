"""`kruispost roles`: what it prints, run in PostgreSQL, lets each service do its work on its own tables and nothing else."""

import secrets
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest
from support.command_line import kruispost_here
from support.engines import settings_for

from backbone.migrate import migrate_all
from backbone.roles import OPERATOR, installed_services, role_of

SERVICES = ("console", "exact-writer", "ingest", "mapper", "payment-matcher")
SOME = ("ingest", "exact-writer")


@asynccontextmanager
async def installed(tmp_path):
    """A migrated database in which the printed statements were run, twice; gives how to connect as one of the roles."""
    prefix = f"kp_test_{secrets.token_hex(4)}"
    printed = kruispost_here("roles", "--prefix", prefix, directory=tmp_path).stdout
    async with settings_for("postgresql", tmp_path, empty=True) as settings:
        await migrate_all(settings)
        owner = await asyncpg.connect(settings.database_url)
        roles = [f"{prefix}_{OPERATOR}", *(role_of(service, prefix) for service in SERVICES)]
        try:
            for _ in range(2):
                await owner.execute(printed)
            for role in roles:
                await owner.execute(f"ALTER ROLE \"{role}\" PASSWORD '{prefix}'")

            @asynccontextmanager
            async def connected(name):
                place = urlsplit(str(settings.database_url))
                netloc = f"{prefix}_{name.replace('-', '_')}:{prefix}@{place.netloc.rpartition('@')[2]}"
                connection = await asyncpg.connect(place._replace(netloc=netloc).geturl())
                try:
                    yield connection
                finally:
                    await connection.close()

            yield owner, connected
        finally:
            for role in roles:
                await owner.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')
            await owner.close()


@pytest.mark.postgres
async def test_each_role_has_its_own_tables_and_no_others(tmp_path):
    assert installed_services() == SERVICES
    async with installed(tmp_path) as (_, connected):
        for service in SERVICES:
            async with connected(service) as connection:
                for schema in (each.replace("-", "_") for each in SERVICES):
                    reads = connection.fetch(f"SELECT * FROM {schema}.inbox")  # noqa: S608 - our own schemas
                    if schema == service.replace("-", "_"):
                        await reads
                    else:
                        with pytest.raises(asyncpg.InsufficientPrivilegeError):
                            await reads


@pytest.mark.postgres
async def test_a_service_adds_to_its_log_and_cannot_change_it_or_its_tables(tmp_path):
    async with installed(tmp_path) as (_, connected):
        for service in SOME:
            async with connected(service) as connection:
                await connection.execute(f"SET search_path TO {service.replace('-', '_')}")
                await connection.execute(
                    "INSERT INTO event_log (stream, version, message_id, type, body) VALUES ('a', 1, 'b', 'c', 'd')"
                )
                await connection.execute("INSERT INTO checkpoints VALUES ('a', 'b'); DELETE FROM checkpoints")
                for forbidden in (
                    "UPDATE event_log SET stream = 'b'",
                    "DELETE FROM event_log",
                    "ALTER TABLE event_log DISABLE TRIGGER ALL",
                    "DROP TABLE checkpoints",
                    "CREATE TABLE mine (a int)",
                    "UPDATE schema_version SET version_num = 'x'",
                ):
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await connection.execute(forbidden)


@pytest.mark.postgres
async def test_a_later_table_is_included_and_the_operator_sees_all(tmp_path):
    async with installed(tmp_path) as (owner, connected):
        await owner.execute("CREATE TABLE mapper.later (number bigserial)")
        for name in ("mapper", OPERATOR):
            async with connected(name) as connection:
                await connection.execute("INSERT INTO mapper.later DEFAULT VALUES")
        async with connected(OPERATOR) as connection:
            for service in SERVICES:
                await connection.fetch(f"SELECT * FROM {service.replace('-', '_')}.event_log")  # noqa: S608 - our own schemas


@pytest.mark.parametrize("prefix", ['a"; DROP ROLE postgres', "Kruispost", "é", ""])
def test_a_prefix_that_is_no_plain_name_is_refused(prefix, tmp_path):
    done = kruispost_here("roles", "--prefix", prefix, directory=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "small letters" in done.stderr
