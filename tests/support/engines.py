"""Fresh databases and brokers for tests: SQLite files, and databases and queues of their own on running servers."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from support.fast_sqlite import in_place, migrated
from support.prepared_databases import prepared_database

from backbone.broker import Broker
from backbone.broker_embedded import EmbeddedBroker
from backbone.broker_rabbitmq import RabbitBroker, remove_prefixed
from backbone.database import Database
from backbone.settings import Settings
from contracts.topology import Topology

DATABASE_URL = os.environ.get("KRUISPOST_TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
AMQP_URL = os.environ.get("KRUISPOST_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")
ON_CI = os.environ.get("CI") == "true"

# For tests that run on both engines.
DATABASES = [pytest.param("sqlite", id="sqlite"), pytest.param("postgresql", id="postgresql", marks=pytest.mark.postgres)]
BROKER_BESIDE = {"sqlite": "embedded", "postgresql": "rabbitmq"}  # for tests that run on both pairs
BROKERS = [pytest.param("embedded", id="embedded"), pytest.param("rabbitmq", id="rabbitmq", marks=pytest.mark.broker)]


def unreachable(what: str, error: Exception) -> None:
    """Skip a test whose server is not there; on CI that is an error."""
    message = f"{what} is not reachable: {error}"
    if ON_CI:
        pytest.fail(message)
    pytest.skip(message)


@asynccontextmanager
async def postgresql_database() -> AsyncIterator[str]:
    """Give the URL of an empty database that is dropped afterwards."""
    name = f"kp_test_{secrets.token_hex(6)}"
    try:
        server = await asyncpg.connect(DATABASE_URL, timeout=10)
    except (OSError, asyncpg.PostgresError) as error:
        unreachable("PostgreSQL", error)
    try:
        await server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{DATABASE_URL.rpartition('/')[0]}/{name}"
        finally:
            await server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await server.close()


@asynccontextmanager
async def settings_for(dialect: str, directory: Path, *, empty: bool = False, **more: Any) -> AsyncIterator[Settings]:
    """Give settings whose database is a fresh one of this dialect; on PostgreSQL it has the services' tables, unless `empty`."""
    if dialect == "sqlite":
        yield Settings(data_dir=directory, **more)
        return
    if empty:
        async with postgresql_database() as url:
            yield Settings(data_dir=directory, database_url=url, **more)
        return
    await _reachable()
    async with prepared_database(DATABASE_URL) as url:
        yield Settings(data_dir=directory, database_url=url, **more)


async def _reachable() -> None:
    try:
        server = await asyncpg.connect(DATABASE_URL, timeout=10)
    except (OSError, asyncpg.PostgresError) as error:
        unreachable("PostgreSQL", error)
    else:
        await server.close()


@asynccontextmanager
async def database_for(dialect: str, directory: Path, service: str, *, one_at_a_time: bool = True) -> AsyncIterator[Database]:
    """Give a migrated database of a service, without threads where one thing happens at a time."""
    async with settings_for(dialect, directory) as settings:
        database = Database.open(settings, service)
        if one_at_a_time and dialect == "sqlite":
            in_place(database)
        try:
            await migrated(database, service)
            yield database
        finally:
            await database.close()


@asynccontextmanager
async def broker_for(engine: str, directory: Path, topology: Topology, *, dead_letter_limit: int = 20) -> AsyncIterator[Broker]:
    """Give a broker that has declared the topology, under names of its own."""
    if engine == "embedded":
        embedded = EmbeddedBroker(directory / "broker.sqlite", dead_letter_limit=dead_letter_limit)
        await embedded.declare(topology)
        try:
            yield embedded
        finally:
            await embedded.close()
        return
    prefix = f"kp_test_{secrets.token_hex(6)}."
    rabbit = RabbitBroker(AMQP_URL, prefix=prefix, dead_letter_limit=dead_letter_limit)
    try:
        await rabbit.connection()
    except Exception as error:  # noqa: BLE001 - whatever it is, the server is not usable
        unreachable("RabbitMQ", error)
    try:
        await rabbit.declare(topology)
        yield rabbit
    finally:
        await rabbit.close()
        await remove_prefixed(AMQP_URL, prefix, topology)
