"""Commands on an installation whose tables are not there yet say in one sentence what to run, and show no SQL."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from support.command_line import kruispost_here
from support.engines import DATABASES, postgresql_database

from backbone.database import schema_of

DEMO = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"
COMMANDS = [("status",), ("trace", "INV-1"), ("replay", "exact-writer"), ("explain", "INV-1")]


def check(directory: Path, settings: dict[str, str]) -> None:
    (directory / "kruispost.yaml").write_text(DEMO.read_text(encoding="utf-8"), encoding="utf-8")
    for command in COMMANDS:
        done = kruispost_here(*command, directory=directory, settings=settings)
        assert done.returncode == 2, done
        assert "run `kruispost migrate`" in done.stderr, done.stderr
        assert "SELECT" not in done.stderr
        assert "sqlalche" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.mark.parametrize("dialect", DATABASES)
async def test_commands_before_the_first_migration_say_what_to_run(tmp_path: Path, dialect: str) -> None:
    if dialect == "postgresql":
        async with postgresql_database() as url:
            await asyncio.to_thread(check, tmp_path, {"KRUISPOST_DATABASE_URL": url})
        return
    (tmp_path / "data").mkdir()
    for service in ("console", "ingest", "mapper", "exact-writer", "payment-matcher"):
        (tmp_path / "data" / f"{schema_of(service)}.sqlite").touch()
    await asyncio.to_thread(check, tmp_path, {})


@pytest.mark.postgres
async def test_a_server_without_room_is_told_as_that_and_not_as_a_wrong_address(tmp_path: Path) -> None:
    (tmp_path / "kruispost.yaml").write_text(DEMO.read_text(encoding="utf-8"), encoding="utf-8")
    role = f"kp_full_{secrets.token_hex(4)}"
    async with postgresql_database() as url:
        server = await asyncpg.connect(url)
        await server.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0")
        try:
            place = urlsplit(url)
            theirs = place._replace(netloc=f"{role}@{place.netloc.rpartition('@')[2]}").geturl()
            settings = {"KRUISPOST_DATABASE_URL": theirs}
            done = await asyncio.to_thread(kruispost_here, "replay", "mapper", directory=tmp_path, settings=settings)
        finally:
            await server.execute(f"DROP ROLE {role}")
            await server.close()
    assert done.returncode == 2
    assert "too many connections" in done.stderr
    assert "has no room for it now: try again in a minute" in done.stderr
    assert "migrate" not in done.stderr
