"""One writer a division on real PostgreSQL and RabbitMQ, whatever happens to the one that holds it."""

from __future__ import annotations

import secrets
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from support.child import Child, child
from support.engines import AMQP_URL, settings_for
from support.exact_server import ExactServer, exact_server
from support.lines import eventually
from support.proxy import proxy_to
from support.writer_stage import (
    CONFIGURATION,
    environment_of,
    log_in,
    outgoing,
    prepare,
    running,
    sale,
    save_account,
    until_posted,
    writer_environment,
)

from backbone.broker_embedded import EmbeddedBroker
from backbone.broker_rabbitmq import RabbitBroker, remove_prefixed
from backbone.database import Database
from backbone.migrations import migrate
from contracts import facts
from contracts.topology import COMMANDS_EXCHANGE, topology

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
FAIL_OVER_SECONDS = 15.0  # promised
POST = "POST salesentry/SalesEntries"


def posts(server: ExactServer) -> int:
    """How many sales entries were asked for."""
    return server.simulator.traffic.by_endpoint[POST]


async def test_a_holder_cut_off_from_the_database_during_a_call_books_nothing_twice(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(exact_server())
        more = {"poll_seconds": 0.2, "exact_timeout_seconds": 2.0}
        environment = {**writer_environment(server.url), **more}
        settings = await stack.enter_async_context(settings_for("postgresql", tmp_path, **environment))
        await prepare(server, settings, [save_account(), sale("INV-1"), sale("INV-2")])
        url = make_url(str(settings.database_url))
        proxy = await stack.enter_async_context(proxy_to(url.host or "127.0.0.1", url.port or 5432))
        detour = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        cut_off = settings.model_copy(update={"database_url": detour})
        databases = [Database.open(each, "exact-writer") for each in (cut_off, settings)]
        broker = EmbeddedBroker(settings.data_dir / "broker.sqlite")
        for database in databases:
            stack.push_async_callback(database.close)
        stack.push_async_callback(broker.close)
        await server.fault("delay_after", method="POST", path_contains="SalesEntries", seconds=1.5)
        async with running(cut_off, databases[0], broker):
            await eventually(lambda: posts(server) == 1)
            proxy.shut()
            async with running(settings, databases[1], broker) as second:
                posted = await second.until(facts.EntryPosted, 2)
            proxy.reopen()
        assert await server.booked() == ["INV-1", "INV-2"]
        assert {fact.your_ref: fact.found for fact in posted} == {"INV-1": True, "INV-2": False}
        assert (await server.calls())["concurrent_max"] == 1


@pytest.mark.broker
async def test_of_three_replicas_one_acts_also_when_it_is_stopped_and_another_within_15_s_of_its_death(tmp_path: Path) -> None:
    prefix = f"kp_test_{secrets.token_hex(6)}."
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(exact_server())
        settings = await stack.enter_async_context(
            settings_for("postgresql", tmp_path / "data", **writer_environment(server.url))
        )
        declared = topology(CONFIGURATION.divisions)
        database, broker = Database.open(settings, "exact-writer"), RabbitBroker(AMQP_URL, prefix=prefix)
        stack.push_async_callback(remove_prefixed, AMQP_URL, prefix, declared)
        stack.push_async_callback(database.close)
        stack.push_async_callback(broker.close)
        await migrate(database, "exact-writer")
        await log_in(server, settings, database)
        await broker.declare(declared)
        environment = environment_of(settings, tmp_path) | {"KRUISPOST_AMQP_URL": AMQP_URL, "KRUISPOST_AMQP_PREFIX": prefix}
        replicas = [
            await stack.enter_async_context(child("-m", "exact_writer", directory=tmp_path, settings=environment))
            for _ in range(3)
        ]
        await broker.publish(COMMANDS_EXCHANGE, [outgoing(each) for each in (save_account(), sale("INV-1"))])
        await until_posted(settings, 1)
        holder = await holder_of(replicas)

        await server.fault("delay_after", method="POST", path_contains="SalesEntries", seconds=0.3)
        await broker.publish(COMMANDS_EXCHANGE, [outgoing(sale("INV-2"))])
        await eventually(lambda: posts(server) == 2)
        holder.process.send_signal(signal.SIGSTOP)
        calls = server.simulator.traffic.total
        await broker.publish(COMMANDS_EXCHANGE, [outgoing(sale("INV-3"))])
        for replica in replicas:
            if replica is not holder:
                assert holding(await replica.get("/metrics")) == 0
        assert server.simulator.traffic.total == calls, "another replica called Exact beside the stopped one"
        holder.process.send_signal(signal.SIGCONT)
        await until_posted(settings, 3)

        holder = await holder_of(replicas)
        holder.process.kill()
        died = time.monotonic()
        await broker.publish(COMMANDS_EXCHANGE, [outgoing(sale("INV-4"))])
        await until_posted(settings, 4)
        assert time.monotonic() - died < FAIL_OVER_SECONDS
        assert await server.booked() == ["INV-1", "INV-2", "INV-3", "INV-4"]
        assert (await server.calls())["concurrent_max"] == 1


async def holder_of(replicas: list[Child]) -> Child:
    """The replica that acts."""
    found = [replica for replica in replicas if holding(await replica.get("/metrics"))]
    assert len(found) == 1
    return found[0]


def holding(metrics: object) -> int:
    """Whether a replica says that it holds the division."""
    lines = str(getattr(metrics, "text", "")).splitlines()
    return sum(line.startswith("kruispost_holding_writer_lock") and line.endswith(" 1.0") for line in lines)
