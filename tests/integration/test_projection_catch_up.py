"""A console that lost its database hears everything once more; meanwhile new documents are booked as if nothing happened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from support.engines import BROKERS, broker_for, database_for
from support.facts import SITE, customer, invoice
from support.mapper_stage import CONFIGURATION, Stage

from backbone import event_log
from backbone.broker import Outgoing
from backbone.consumer import consume_envelopes
from console import tables
from console.projection import SOURCE, Projection
from console.republish import Range, send_again
from contracts.envelope import Envelope, Message, encode, seal
from contracts.topology import CONSOLE_QUEUE, FACTS_EXCHANGE, fact_routing_key, mapper_queue, partition, topology

Found = TypeVar("Found", bound=Collection[Any])
PAST = 200  # documents that the console hears once more
SLOWLY = 0.01  # seconds that it takes for each, so that it is long behind


def told(number: str, message: Message) -> Envelope:
    return seal(message, source="ingest", subject=number, key=f"{SITE}/CUST1", time=datetime(2026, 10, 5, 10, tzinfo=UTC))


async def until(look: Callable[[], Awaitable[Found]], count: int, seconds: float) -> Found:
    async with asyncio.timeout(seconds):
        while True:
            found = await look()
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("engine", BROKERS)
async def test_new_work_goes_on_while_a_projection_catches_up(tmp_path: Path, engine: str) -> None:
    declared = topology([100001])
    async with (
        broker_for(engine, tmp_path, declared) as broker,
        database_for("sqlite", tmp_path, "ingest") as ingest,
        database_for("sqlite", tmp_path, "mapper", one_at_a_time=False) as mapper,
        database_for("sqlite", tmp_path, "console", one_at_a_time=False) as console,
    ):
        past = [told(f"INV-{number}", invoice(f"INV-{number}")) for number in range(PAST)]
        async with ingest.transaction() as connection:
            await event_log.append_new(connection, [(each.subject, each) for each in past], in_order=True)
        projection, stage = Projection(console, CONFIGURATION), Stage(mapper)

        async def project(connection: AsyncConnection, envelope: Envelope, message: Message) -> None:
            await asyncio.sleep(SLOWLY)
            await projection.handle(connection, envelope, message)

        async def known() -> set[str]:
            async with console.reading() as connection:
                return set(await connection.scalars(sa.select(tables.documents.c.number)))

        queue = declared.queue(mapper_queue(partition(f"{SITE}/CUST1")))
        of_console = await consume_envelopes(console, broker, declared.queue(CONSOLE_QUEUE), SOURCE, project)
        of_mapper = await consume_envelopes(mapper, broker, queue, "mapper", stage.mapper.handle)
        wanted = Range(services=["ingest"], first=None, last=None, consumer=CONSOLE_QUEUE)
        assert await send_again(ingest, broker, wanted, [declared.queue(CONSOLE_QUEUE)]) == PAST
        for name, message in (("CUST1", customer()), ("NEW-1", invoice("NEW-1"))):
            new = told(name, message)
            await broker.publish(FACTS_EXCHANGE, [Outgoing(fact_routing_key(new.type, new.key), encode(new), new.id)])
        entries = await until(stage.entries, 1, 20)
        assert [entry.document.number for entry in entries] == ["NEW-1"], "the mapper heard nothing of the past again"
        assert len(await known()) < PAST, "the console is still behind"
        await until(known, PAST + 1, 60)
        await of_console.close()
        await of_mapper.close()
