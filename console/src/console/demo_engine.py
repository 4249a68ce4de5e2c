"""What a rehearsal runs on: nothing at all (embedded), or a database and a set of queues of its own on running servers."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg

from backbone.broker_rabbitmq import remove_prefixed
from contracts.topology import topology

DEFAULT_DATABASE_URL = "postgresql://postgres@127.0.0.1:5432/postgres"
DEFAULT_AMQP_URL = "amqp://guest:guest@127.0.0.1:5672/"


@dataclass(frozen=True)
class Engine:
    """The environment variables that make the services use it."""

    environment: dict[str, str] = field(default_factory=dict)


@contextmanager
def prepare_engine(name: str) -> Iterator[Engine]:
    """Give an engine for one rehearsal, and take its database and queues away afterwards."""
    if name == "embedded":
        yield Engine()
        return
    server = os.environ.get("KRUISPOST_TEST_DATABASE_URL", DEFAULT_DATABASE_URL)
    amqp_url = os.environ.get("KRUISPOST_TEST_AMQP_URL", DEFAULT_AMQP_URL)
    label = f"kruispost_demo_{secrets.token_hex(4)}"
    asyncio.run(_execute(server, f'CREATE DATABASE "{label}"'))
    environment = {
        "KRUISPOST_DATABASE_URL": f"{server.rpartition('/')[0]}/{label}",
        "KRUISPOST_AMQP_URL": amqp_url,
        "KRUISPOST_AMQP_PREFIX": f"{label}.",
    }
    try:
        yield Engine(environment)
    finally:
        asyncio.run(_execute(server, f'DROP DATABASE IF EXISTS "{label}" WITH (FORCE)'))
        asyncio.run(remove_prefixed(amqp_url, f"{label}.", topology([100001])))


async def _execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
