"""A user of its own for each service of a rehearsal, where RabbitMQ runs on this machine and rabbitmqctl may make users."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import shutil
import subprocess
from urllib.parse import urlsplit

import aio_pika
from aio_pika.exceptions import AMQPError

from backbone.broker_rights import permissions
from backbone.roles import installed_services, role_of
from console.roles import vhost_of
from contracts.topology import topology

DIVISION = 100001
HERE = ("127.0.0.1", "localhost", "::1")
STANDARD_PORTS = (None, 5672)
PATIENCE_SECONDS = 60.0


def broker_users(url: str, label: str) -> dict[str, str]:
    """Make them with the rights that `kruispost roles --broker` prints; each service's address, none where that fails."""
    program = _program(url)
    if program is None:
        return {}
    passwords = {role_of(service, label): secrets.token_hex(16) for service in installed_services()}
    given = permissions(topology([DIVISION]), vhost=vhost_of(url), users=label, prefix=f"{label}.")
    users = [{"name": name, "tags": "", **_hashed(password)} for name, password in passwords.items()]
    definitions = json.dumps({"users": users, "permissions": [each for each in given if each["user"] in passwords]})
    try:
        command = [program, "--quiet", "import_definitions"]
        subprocess.run(  # noqa: S603 - RabbitMQ's own program, by its full path
            command, input=definitions, text=True, capture_output=True, check=True, timeout=PATIENCE_SECONDS
        )
    except (subprocess.SubprocessError, OSError):
        return {}
    place = urlsplit(url)
    host = place.netloc.rpartition("@")[2]
    addresses = {
        service: place._replace(netloc=f"{role_of(service, label)}:{passwords[role_of(service, label)]}@{host}").geturl()
        for service in installed_services()
    }
    # rabbitmqctl speaks to the machine's own node, which may be another one than the address leads to.
    return addresses if asyncio.run(_lets_in(next(iter(addresses.values())))) else {}


def remove_broker_users(url: str, label: str) -> None:
    """Delete them, and say nothing of those that were not made."""
    program = _program(url)
    if program is None:
        return
    commands = [[program, "--quiet", "delete_user", role_of(service, label)] for service in installed_services()]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = [subprocess.Popen(command, **quiet) for command in commands]  # type: ignore[call-overload]  # noqa: S603 - as above
    for each in running:
        each.wait(PATIENCE_SECONDS)


def _program(url: str) -> str | None:
    place = urlsplit(url)
    return shutil.which("rabbitmqctl") if place.hostname in HERE and place.port in STANDARD_PORTS else None


def _hashed(password: str) -> dict[str, str]:
    """Return a password as RabbitMQ keeps it: a salt of four bytes, and SHA-256 of both."""
    salt = secrets.token_bytes(4)
    hashed = salt + hashlib.sha256(salt + password.encode()).digest()
    return {"password_hash": base64.b64encode(hashed).decode(), "hashing_algorithm": "rabbit_password_hashing_sha256"}


async def _lets_in(url: str) -> bool:
    try:
        await (await aio_pika.connect(url, timeout=PATIENCE_SECONDS)).close()
    except (AMQPError, OSError):
        return False
    return True
