"""A small service for the tests of the process runner and of crashes; run as `python -m support.trial_service WHAT`.

It stands on the tables of ingest, notes each fact it handles in a table `effects`, and publishes its log.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from support.lines import FACTS, FACTS_TOPOLOGY, fact

from backbone import event_log, process
from backbone.application import Application, Context
from backbone.consumer import consume_envelopes
from backbone.relay import Relay
from contracts.envelope import Envelope, Message

MESSAGES = 5


async def fail(_stop: asyncio.Event) -> None:
    """End as a worker with a defect does."""
    await asyncio.sleep(0.2)
    raise ValueError("a defect in a worker")


async def cancelled(_stop: asyncio.Event) -> None:
    """End as a worker does that a library cancelled."""
    await asyncio.sleep(0.2)
    raise asyncio.CancelledError


async def finish(_stop: asyncio.Event) -> None:
    """End as a worker does whose work is done."""


async def hang(stop: asyncio.Event) -> None:
    """Take longer to stop than the process allows."""
    await stop.wait()
    await asyncio.sleep(60)


async def build_lines(context: Context) -> Application:
    """Write facts to the log once, publish them, consume them, note their effect."""
    database = context.database
    relay = Relay(database, context.broker, context.clock)

    async def handle(connection: AsyncConnection, envelope: Envelope, _message: Message) -> None:
        if sys.argv[1] == "poison" and envelope.subject == "f1":
            os.kill(os.getpid(), signal.SIGKILL)
        await connection.execute(sa.text("INSERT INTO effects (name) VALUES (:name)"), {"name": envelope.subject})

    async def work(stop: asyncio.Event) -> None:
        await context.broker.declare(FACTS_TOPOLOGY)
        async with database.transaction() as connection:
            await connection.execute(sa.text("CREATE TABLE IF NOT EXISTS effects (name TEXT)"))
            if await event_log.stream_version(connection, "trial/1") == 0:
                await event_log.append(connection, "trial/1", 0, [fact(f"f{number}") for number in range(MESSAGES)])
        consumer = await consume_envelopes(database, context.broker, FACTS, "trial", handle, relay)
        await stop.wait()
        await consumer.close()

    return Application("ingest", [work, relay.run], ready=[relay.ready])


async def build_worker(context: Context) -> Application:
    """Run one of the workers above."""
    del context
    worker = {"fail": fail, "cancelled": cancelled, "finish": finish, "hang": hang}[sys.argv[1]]
    return Application("ingest", [worker])


if __name__ == "__main__":
    process.main("ingest", build_lines if sys.argv[1] in {"lines", "poison"} else build_worker)
