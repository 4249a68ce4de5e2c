"""What a rehearsal runs on: nothing at all (embedded), or a database and a set of queues of its own on running servers."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import asyncpg

from backbone.broker_rabbitmq import remove_prefixed
from backbone.roles import OPERATOR, installed_services, role_of, statements
from console.demo_broker import broker_users, remove_broker_users
from contracts.topology import topology

DEFAULT_DATABASE_URL = "postgresql://postgres@127.0.0.1:5432/postgres"
DEFAULT_AMQP_URL = "amqp://guest:guest@127.0.0.1:5672/"


@dataclass(frozen=True)
class Engine:
    """The environment variables that make the services use it, and those that one of them has by itself."""

    environment: dict[str, str] = field(default_factory=dict)
    of_service: dict[str, dict[str, str]] = field(default_factory=dict)


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
        of_service = _least_rights(environment["KRUISPOST_DATABASE_URL"], label)
        for service, url in broker_users(amqp_url, label).items():
            of_service.setdefault(service, {})["KRUISPOST_AMQP_URL"] = url
        yield Engine(environment, of_service)
    finally:
        remove_broker_users(amqp_url, label)
        roles = (*(role_of(service, label) for service in installed_services()), f"{label}_{OPERATOR}")
        asyncio.run(
            _execute(
                server, f'DROP DATABASE IF EXISTS "{label}" WITH (FORCE)', *(f'DROP ROLE IF EXISTS "{role}"' for role in roles)
            )
        )
        asyncio.run(remove_prefixed(amqp_url, f"{label}.", topology([100001])))


def _least_rights(url: str, label: str) -> dict[str, dict[str, str]]:
    """Make the tables and a role for each service, as in production; where the server's user may not, all share that user."""
    if not asyncio.run(_may_make_roles(url)):
        return {}
    migration = {**os.environ, "KRUISPOST_DATABASE_URL": url}
    command = (sys.executable, "-m", "backbone.migrate")
    subprocess.run(command, env=migration, capture_output=True, check=True, timeout=60)  # noqa: S603 - our own command
    passwords = {service: secrets.token_hex(16) for service in installed_services()}
    given = (f"ALTER ROLE \"{role_of(service, label)}\" PASSWORD '{password}'" for service, password in passwords.items())
    asyncio.run(_execute(url, *statements(label), *given))
    place = urlsplit(url)
    host = place.netloc.rpartition("@")[2]
    return {
        service: {"KRUISPOST_DATABASE_URL": place._replace(netloc=f"{role_of(service, label)}:{password}@{host}").geturl()}
        for service, password in passwords.items()
    }


async def _may_make_roles(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return bool(await connection.fetchval("SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"))
    finally:
        await connection.close()


async def _execute(server: str, *statements: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
