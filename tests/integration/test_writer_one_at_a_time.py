"""One writer a division on real PostgreSQL and RabbitMQ, whatever happens to the one that holds it."""

from __future__ import annotations

import secrets
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
from sqlalchemy.engine import make_url
from support.child import Child, child, shared
from support.engines import AMQP_URL, settings_for
from support.exact_server import DIVISION, ExactServer, exact_server
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
from backbone.configuration import Configuration
from backbone.database import Database
from backbone.migrations import migrate
from contracts import facts
from contracts.topology import COMMANDS_EXCHANGE, topology

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
FAIL_OVER_SECONDS = 30.0  # 15 are promised; 11 of them are waits, and a busy machine has its turns besides
POST = "POST salesentry/SalesEntries"
HELD = "kruispost_holding_writer_lock"
DIVISIONS = (100001, DIVISION, 100003, 100004, 100005)


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
@pytest.mark.timeout(240)
async def test_three_processes_share_the_divisions_and_take_over_from_one_that_dies_or_hangs(tmp_path: Path) -> None:
    prefix = f"kp_test_{secrets.token_hex(6)}."
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(exact_server(more_divisions=DIVISIONS[2:]))
        settings = await stack.enter_async_context(
            settings_for("postgresql", tmp_path / "data", **writer_environment(server.url))
        )
        declared = topology(DIVISIONS)
        database, broker = Database.open(settings, "exact-writer"), RabbitBroker(AMQP_URL, prefix=prefix)
        stack.push_async_callback(remove_prefixed, AMQP_URL, prefix, declared)
        stack.push_async_callback(database.close)
        stack.push_async_callback(broker.close)
        await migrate(database, "exact-writer")
        await log_in(server, settings, database)
        await broker.declare(declared)
        environment = environment_of(settings, tmp_path) | {
            "KRUISPOST_AMQP_URL": AMQP_URL,
            "KRUISPOST_AMQP_PREFIX": prefix,
            "KRUISPOST_EXACT_TIMEOUT_SECONDS": "1",
        }
        (tmp_path / "kruispost.yaml").write_text(of_all_divisions().model_dump_json(exclude_defaults=True), encoding="utf-8")
        replicas = [
            await stack.enter_async_context(child("-m", "exact_writer", directory=tmp_path, settings=environment))
            for _ in range(3)
        ]

        async def tell(number: str) -> None:
            """Let a customer in each division be known and have an invoice."""
            for division in DIVISIONS:
                customer = f"C{division}"
                account = msgspec.structs.replace(save_account(customer), division=division)
                invoice = msgspec.structs.replace(sale(number, customer, command_id=f"{number}-{division}"), division=division)
                await broker.publish(COMMANDS_EXCHANGE, [outgoing(account), outgoing(invoice)])

        async def strike(number: str, replica: Child, with_signal: signal.Signals) -> float:
            """Strike a process in the middle of a call; returns when."""
            division = min(await replica.holding(HELD))
            await server.fault("delay_after", method="POST", path_contains=f"{division}/salesentry", seconds=0.7)
            await tell(number)
            await eventually(lambda: server.simulator.traffic.in_flight[division] == 1 and not server.simulator.traffic.faults)
            replica.process.send_signal(with_signal)
            return time.monotonic()

        await tell("INV-1")
        await until_posted(settings, 5)
        first, second, third = await shared(replicas, HELD, [1, 2, 2])

        died = await strike("INV-2", third, signal.SIGKILL)
        await until_posted(settings, 10)
        assert time.monotonic() - died < FAIL_OVER_SECONDS
        first, second = await shared([first, second], HELD, [2, 3])

        stopped = await strike("INV-3", second, signal.SIGSTOP)
        await shared([first], HELD, [5])
        assert time.monotonic() - stopped < FAIL_OVER_SECONDS
        await until_posted(settings, 15)
        second.process.send_signal(signal.SIGCONT)
        await shared([first, second], HELD, [2, 3])
        await tell("INV-4")
        await until_posted(settings, 20)
        for division in DIVISIONS:
            assert await server.booked(division) == ["INV-1", "INV-2", "INV-3", "INV-4"]
        assert (await server.calls())["concurrent_max"] == 1


def of_all_divisions() -> Configuration:
    """The test's configuration, with five divisions of the same kind."""
    known = CONFIGURATION.model_dump(mode="json")
    section = known["divisions"][str(DIVISION)]
    return Configuration.model_validate(known | {"divisions": dict.fromkeys(map(str, DIVISIONS), section)})
