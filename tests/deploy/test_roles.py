"""`kruispost roles`: what it prints, run in PostgreSQL, lets each service do its work on its own tables and nothing else."""

import asyncio
import json
import secrets
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import asyncpg
import pytest
from support.child import CONFIGURATION, child
from support.command_line import kruispost_here
from support.engines import settings_for

from backbone.migrate import migrate_all
from backbone.roles import OPERATOR, installed_services, role_of

SERVICES = ("console", "exact-writer", "ingest", "mapper", "payment-matcher")
SOME = ("ingest", "exact-writer")


class Place(NamedTuple):
    """Where the owner of the tables logs in, what `kruispost roles` prints, and how the roles' names and passwords begin."""

    owner: str
    printed: str
    prefix: str

    def address(self, name):
        """Where one of the roles logs in."""
        place = urlsplit(self.owner)
        netloc = f"{self.prefix}_{name.replace('-', '_')}:{self.prefix}@{place.netloc.rpartition('@')[2]}"
        return place._replace(netloc=netloc).geturl()


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
                connection = await asyncpg.connect(Place(str(settings.database_url), printed, prefix).address(name))
                try:
                    yield connection
                finally:
                    await connection.close()

            yield owner, connected, Place(str(settings.database_url), printed, prefix)
        finally:
            for role in roles:
                await owner.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')
            await owner.close()


@pytest.mark.postgres
async def test_each_role_has_its_own_tables_and_no_others(tmp_path):
    assert installed_services() == SERVICES
    async with installed(tmp_path) as (_, connected, _):
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
    async with installed(tmp_path) as (_, connected, _):
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
    async with installed(tmp_path) as (owner, connected, _):
        await owner.execute("CREATE TABLE mapper.later (number bigserial)")
        for name in ("mapper", OPERATOR):
            async with connected(name) as connection:
                await connection.execute("INSERT INTO mapper.later DEFAULT VALUES")
        async with connected(OPERATOR) as connection:
            for service in SERVICES:
                await connection.fetch(f"SELECT * FROM {service.replace('-', '_')}.event_log")  # noqa: S608 - our own schemas


@pytest.mark.postgres
async def test_a_schema_that_was_lost_and_made_anew_is_given_back_to_its_role(tmp_path):
    """The drill of a lost database as docs/operating.md has it; each step that is left out is told in a sentence."""

    async def command(*arguments, url):
        given = {"KRUISPOST_DATABASE_URL": url}
        return await asyncio.to_thread(kruispost_here, *arguments, directory=tmp_path, settings=given)

    async def wrong_about_the_database():
        told = json.loads((await command("doctor", "--json", "--no-live", url=operator)).stdout)["findings"]
        return [each["sentence"] for each in told if each["subject"] == "database" and not each["is_well"]]

    (tmp_path / "kruispost.yaml").write_text(CONFIGURATION, encoding="utf-8")
    async with installed(tmp_path) as (owner, _, place):
        operator = place.address(OPERATOR)
        assert await wrong_about_the_database() == []
        await owner.execute("DROP SCHEMA mapper CASCADE")
        assert await wrong_about_the_database() == ["the tables of mapper are not there, and others are"]
        done = await command("migrate", url=operator)
        assert done.returncode == 2
        assert "may not make the tables of mapper (permission denied" in done.stderr
        assert "with the address of their owner" in done.stderr
        done = await command("replay", "mapper", "--yes", url=operator)
        assert (done.returncode, "with the address of their owner" in done.stderr) == (2, True)
        done = await command("republish", "ingest", "--check", url=operator)
        assert (done.returncode, "its tables are not there" in done.stderr) == (2, True)

        variables = {"KRUISPOST_DATABASE_URL": place.address("mapper"), "KRUISPOST_MIGRATE_ON_START": "false"}
        async with child("-m", "mapper", directory=tmp_path, settings=variables) as mapper:
            await mapper.says("its tables are not there")
            assert (await command("migrate", url=place.owner)).returncode == 0
            assert await wrong_about_the_database() == ["this role may not use the tables of mapper"]
            await mapper.says("its tables are not there", times=2)
            await owner.execute(place.printed)
            await mapper.says('"event": "started"')
            assert (await mapper.get("/ready")).status_code == 200
        assert await wrong_about_the_database() == []
        assert (await command("replay", "mapper", url=operator)).returncode == 0


@pytest.mark.parametrize("prefix", ['a"; DROP ROLE postgres', "Kruispost", "é", ""])
def test_a_prefix_that_is_no_plain_name_is_refused(prefix, tmp_path):
    done = kruispost_here("roles", "--prefix", prefix, directory=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "small letters" in done.stderr
