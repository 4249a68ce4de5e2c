"""Find or bring up the PostgreSQL and the RabbitMQ that tests and the demo need, and print their addresses.

`start` prints one NAME=value line a server on standard output, to be put into the environment; what it does and why goes to
standard error. It takes the first of these that works: servers that run already (KRUISPOST_TEST_DATABASE_URL and
KRUISPOST_TEST_AMQP_URL, or the usual loopback addresses), Docker Compose, Debian's packages (installed when root) as a private
cluster and node under var/services on free ports. A server that belongs to the system is used, never changed or stopped.
`stop` ends what an earlier `start` started, and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import pathlib
import shutil
import subprocess
import sys
from dataclasses import dataclass

import aio_pika
import asyncpg

import services_debian
from services_debian import CannotStartError, Started

ROOT = pathlib.Path(__file__).resolve().parent.parent
STATE = ROOT / "var" / "services" / "state.json"
COMPOSE_FILE = ROOT / "deploy" / "test-services.yml"
CONNECT_SECONDS = 5.0
COMPOSE_UP_SECONDS = 300.0


@dataclass(frozen=True)
class Kind:
    """One of the two servers: its name here and in Compose, the variable that carries its address, and where it usually is."""

    name: str
    variable: str
    usual: str
    compose_port: int
    compose_url: str


KINDS = (
    Kind(
        name="postgres",
        variable="KRUISPOST_TEST_DATABASE_URL",
        usual="postgresql://postgres@127.0.0.1:5432/postgres",
        compose_port=5432,
        compose_url="postgresql://postgres@{address}/postgres",
    ),
    Kind(
        name="rabbitmq",
        variable="KRUISPOST_TEST_AMQP_URL",
        usual="amqp://guest:guest@127.0.0.1:5672/",
        compose_port=5672,
        compose_url="amqp://guest:guest@{address}/",
    ),
)


def say(sentence: str) -> None:
    """Tell the person; standard output is for the addresses alone."""
    print(sentence, file=sys.stderr)


async def refusal(kind: Kind, url: str) -> str | None:
    """Log in as the tests will; return None when that works, else the server's or the network's reason."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            if kind.name == "postgres":
                database = await asyncpg.connect(url)
                may_create = await database.fetchval("select rolcreatedb or rolsuper from pg_roles where rolname = current_user")
                await database.close()
                return None if may_create else "its user may not create databases"
            broker = await aio_pika.connect(url)
            await broker.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, aio_pika.exceptions.AMQPError) as error:
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return None


def read_state() -> dict[str, Started]:
    """Read what an earlier start brought up."""
    if not STATE.exists():
        return {}
    return {name: Started(**row) for name, row in json.loads(STATE.read_text()).items()}


def write_state(state: dict[str, Started]) -> None:
    """Keep what we started, so that `stop` ends exactly that."""
    STATE.parent.mkdir(parents=True, exist_ok=True)
    STATE.write_text(json.dumps({name: vars(started) for name, started in state.items()}, indent=2) + "\n")


def docker_answers() -> bool:
    """Whether a Docker engine with Compose can be used."""
    if shutil.which("docker") is None:
        return False
    for command in (["docker", "compose", "version"], ["docker", "info"]):
        try:
            if subprocess.run(command, capture_output=True, timeout=20, check=False).returncode != 0:
                return False
        except subprocess.TimeoutExpired:
            return False
    return True


def compose(*arguments: str) -> str:
    """Run Docker Compose on the two test servers and return what it printed; raises CannotStartError."""
    command = ["docker", "compose", "--project-name", "kruispost-test", "--file", str(COMPOSE_FILE), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMPOSE_UP_SECONDS, check=False)
    if done.returncode != 0:
        raise CannotStartError(f"`{' '.join(command)}` failed: {done.stderr.strip()[-600:]}")
    return done.stdout


def start_with_compose(kind: Kind) -> Started:
    """Start one server as a container and ask on which loopback port it is."""
    compose("up", "--detach", "--wait", kind.name)
    address = compose("port", kind.name, str(kind.compose_port)).strip()
    return Started(how="compose", url=kind.compose_url.format(address=address))


def bring_up(kind: Kind) -> Started:
    """Start one server by the first way that this machine offers; raises CannotStartError with what a person can do."""
    reasons = []
    if docker_answers():
        say(f"starting {kind.name} with Docker Compose")
        try:
            return start_with_compose(kind)
        except (CannotStartError, subprocess.TimeoutExpired) as error:
            reasons.append(f"Docker Compose: {error}")
    else:
        reasons.append("Docker Compose: no Docker engine answers")
    try:
        return services_debian.start(kind.name, STATE.parent, say)
    except CannotStartError as error:
        reasons.append(f"Debian packages: {error}")
    raise CannotStartError("\n  ".join(reasons))


def obtain(kind: Kind, state: dict[str, Started]) -> str:
    """Return the address of a server that takes our login; raises CannotStartError."""
    given = os.environ.get(kind.variable)
    earlier = state.get(kind.name)
    candidates = [given] if given else [*([earlier.url] if earlier else []), kind.usual]
    refusals = []
    for url in candidates:
        reason = asyncio.run(refusal(kind, url))
        if reason is None:
            say(f"{kind.name}: using the server at {url.rpartition('@')[2]}")
            return url
        refusals.append(f"the server at {url.rpartition('@')[2]}: {reason}")
    if given:
        raise CannotStartError(f"{refusals[0]} ({kind.variable} names it; correct it, or unset it to have a server started)")
    if earlier:
        services_debian.stop(earlier)
    try:
        started = bring_up(kind)
    except CannotStartError as error:
        raise CannotStartError("\n  ".join([*refusals, str(error)])) from error
    state[kind.name] = started
    write_state(state)
    say(f"{kind.name}: started at {started.url.rpartition('@')[2]}; `make stop` ends it")
    return started.url


def start() -> int:
    """Obtain both servers and print their addresses."""
    state = read_state()
    for kind in KINDS:
        try:
            print(f"{kind.variable}={obtain(kind, state)}", flush=True)
        except CannotStartError as error:
            say(f"No {kind.name} server for the tests. Tried:\n  {error}")
            say(f"Start one yourself and name it in {kind.variable}, start Docker, or run this once as root on Debian or Ubuntu.")
            return 1
    return 0


def stop() -> int:
    """End what we started."""
    state = read_state()
    if any(started.how == "compose" for started in state.values()):
        compose("down", "--volumes")
    for name, started in state.items():
        services_debian.stop(started)
        say(f"{name}: stopped")
    write_state({})
    return 0


def main() -> int:
    """Read the one argument."""
    logging.getLogger("aio_pika").setLevel(logging.CRITICAL)  # a refused connection is an answer here, not an error
    parser = argparse.ArgumentParser(description="Bring up PostgreSQL and RabbitMQ for tests and the demo.")
    parser.add_argument("action", choices=("start", "stop"))
    action: str = parser.parse_args().action
    return start() if action == "start" else stop()


if __name__ == "__main__":
    sys.exit(main())
