"""A replay that writes is refused beside a mapper that runs, and a mapper that starts meanwhile waits for it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from support.command_line import kruispost_here
from support.engines import DATABASES, settings_for
from support.facts import customer, invoice
from support.lines import eventually
from support.mapper_stage import CONFIGURATION, Stage, configured

from backbone.broker_embedded import EmbeddedBroker
from backbone.clock import SystemClock
from backbone.configuration import Configuration
from backbone.database import Database
from backbone.locks import host_of, process_name
from backbone.migrations import migrate
from backbone.process import Context
from backbone.settings import Settings
from backbone.stand_in import ServiceRunsError, stand_in
from backbone.telemetry import Telemetry
from contracts.topology import MAPPER_PARTITIONS, topology
from mapper.__main__ import build

SERVICES = ("ingest", "mapper", "exact-writer", "payment-matcher")
WITHOUT_RULES = configured(revenue=[])


@asynccontextmanager
async def installed(dialect: str, directory: Path) -> AsyncIterator[Settings]:
    """Give an installation whose mapper holds an invoice, since a rule was missing that kruispost.yaml now has."""
    async with AsyncExitStack() as stack:
        settings = await stack.enter_async_context(settings_for(dialect, directory / "data"))
        (directory / "kruispost.yaml").write_text(CONFIGURATION.model_dump_json(exclude_defaults=True), encoding="utf-8")
        for service in SERVICES:
            database = Database.open(settings, service)
            await migrate(database, service)
            if service == "mapper":
                stage = Stage(database, WITHOUT_RULES)
                await stage.hear(customer(), invoice("INV-1"))
                assert await stage.reasons() == ["no_revenue_account"]
            await database.close()
        yield settings


@asynccontextmanager
async def mapper_running(settings: Settings, configuration: Configuration = CONFIGURATION) -> AsyncIterator[Stage]:
    """Run a mapper as its process does."""
    stop, database = asyncio.Event(), Database.open(settings, "mapper")
    broker = EmbeddedBroker(settings.data_dir / "broker.sqlite")
    try:
        await broker.declare(topology(configuration.divisions))
        application = await build(Context(settings, configuration, SystemClock(), database, broker, Telemetry("mapper")))
        async with asyncio.TaskGroup() as group:
            for worker in application.workers:
                group.create_task(worker(stop))  # type: ignore[arg-type]  # they are coroutine functions
            yield Stage(database, configuration)
            stop.set()
    finally:
        await broker.close()
        await database.close()


async def replay(settings: Settings, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {} if settings.database_url is None else {"KRUISPOST_DATABASE_URL": settings.database_url}
    return await asyncio.to_thread(kruispost_here, "replay", *arguments, directory=directory, settings=variables)


async def decided(stage: Stage) -> bool:
    return bool(await stage.entries())


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_replay_that_writes_is_refused_while_the_mapper_runs_and_one_that_looks_is_not(
    tmp_path: Path, dialect: str
) -> None:
    async with installed(dialect, tmp_path) as settings:
        async with mapper_running(settings) as stage:
            await eventually(lambda: decided(stage))
            for service in ("mapper", "exact-writer"):
                done = await replay(settings, tmp_path, service, "--yes")
                assert done.returncode == 2, done
                where = f" on {host_of(process_name('mapper'))}" if dialect == "postgresql" else ""
                assert done.stderr.startswith(f"The mapper runs{where}, and its state cannot be made anew beside it: stop it")
                assert "[service_runs]" in done.stderr
            assert (await replay(settings, tmp_path, "mapper")).returncode == 1, "no log of ingest has its documents"
        assert (await replay(settings, tmp_path, "mapper", "--yes")).returncode == 0


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_mapper_that_starts_during_a_replay_decides_nothing_before_it_is_over(tmp_path: Path, dialect: str) -> None:
    async with AsyncExitStack() as stack:
        settings = await stack.enter_async_context(installed(dialect, tmp_path))
        database = Database.open(settings, "mapper")
        stack.push_async_callback(database.close)
        async with stand_in(database, range(MAPPER_PARTITIONS)) as still_held:
            stage = await stack.enter_async_context(mapper_running(settings))
            await asyncio.sleep(3)  # as long as it leaves a free partition to others, and more
            await still_held()
            assert not await decided(stage)
        await eventually(lambda: decided(stage))


@pytest.mark.postgres
async def test_a_replay_whose_session_was_ended_writes_nothing(tmp_path: Path) -> None:
    async with installed("postgresql", tmp_path) as settings:
        database = Database.open(settings, "mapper")
        try:
            async with stand_in(database, range(MAPPER_PARTITIONS)) as still_held:
                await database.close()  # with its session go its locks
                with pytest.raises(ServiceRunsError):
                    await still_held()
        finally:
            await database.close()
