"""Several mappers on real PostgreSQL and RabbitMQ share the partitions; each document is booked once, whoever dies."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from support.child import Child, child, shared
from support.engines import AMQP_URL, settings_for
from support.facts import SITE, customer, envelope, invoice
from support.logs import Heard
from support.mapper_stage import CONFIGURATION

from backbone.broker import Outgoing
from backbone.broker_rabbitmq import RabbitBroker, remove_prefixed
from backbone.database import Database
from contracts import commands
from contracts.envelope import Message, encode
from contracts.topology import FACTS_EXCHANGE, MAPPER_PARTITIONS, fact_routing_key, topology

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.broker]
HELD = "kruispost_holding_partition"
CUSTOMERS = 24
INVOICES = 144


def outgoing(message: Message, identity: str) -> Outgoing:
    sealed = envelope(message, key=f"{SITE}/{identity}")
    return Outgoing(fact_routing_key(message.TYPE, sealed.key), encode(sealed), sealed.id)


def invoices(numbers: range) -> list[Outgoing]:
    owners = {number: f"C{number % CUSTOMERS}" for number in numbers}
    return [outgoing(invoice(f"INV-{number}", customer_id=owner), owner) for number, owner in owners.items()]


async def test_two_and_four_processes_share_the_partitions_and_book_each_document_once(tmp_path: Path) -> None:
    prefix = f"kp_test_{secrets.token_hex(6)}."
    async with AsyncExitStack() as stack:
        settings = await stack.enter_async_context(settings_for("postgresql", tmp_path / "data"))
        declared = topology(CONFIGURATION.divisions)
        database, broker = Database.open(settings, "mapper"), RabbitBroker(AMQP_URL, prefix=prefix)
        stack.push_async_callback(remove_prefixed, AMQP_URL, prefix, declared)
        stack.push_async_callback(database.close)
        stack.push_async_callback(broker.close)
        await broker.declare(declared)
        (tmp_path / "kruispost.yaml").write_text(CONFIGURATION.model_dump_json(exclude_defaults=True), encoding="utf-8")
        environment = {
            "KRUISPOST_DATABASE_URL": str(settings.database_url),
            "KRUISPOST_AMQP_URL": AMQP_URL,
            "KRUISPOST_AMQP_PREFIX": prefix,
        }

        async def start(count: int) -> Sequence[Child]:
            starting = (child("-m", "mapper", directory=tmp_path, settings=environment) for _ in range(count))
            return [await stack.enter_async_context(each) for each in starting]

        heard = Heard(database)

        async def booked(count: int) -> list[commands.PostEntry]:
            """Wait for the entries of so many documents."""
            async with asyncio.timeout(60):
                while True:
                    entries: list[commands.PostEntry] = await heard.said(commands.PostEntry)
                    if len({each.your_ref for each in entries}) == count:
                        return entries
                    await asyncio.sleep(0.2)

        two = await start(2)
        await shared(two, HELD, [2, 2])
        await broker.publish(FACTS_EXCHANGE, [outgoing(customer(f"C{each}"), f"C{each}") for each in range(CUSTOMERS)])
        await broker.publish(FACTS_EXCHANGE, invoices(range(INVOICES // 2)))
        await booked(INVOICES // 2)
        four = [*two, *await start(2)]
        await shared(four, HELD, [1] * MAPPER_PARTITIONS)
        # One of four dies in the middle of the rest.
        await broker.publish(FACTS_EXCHANGE, invoices(range(INVOICES // 2, INVOICES)))
        four[0].process.send_signal(signal.SIGKILL)
        entries = await booked(INVOICES)
        await shared(four[1:], HELD, [1, 1, 2])
        assert Counter(each.your_ref for each in entries) == {f"INV-{number}": 1 for number in range(INVOICES)}
        known = await heard.said(commands.SaveAccount)
        assert Counter(each.customer_ref for each in known) == {f"{SITE}/C{each}": 1 for each in range(CUSTOMERS)}
