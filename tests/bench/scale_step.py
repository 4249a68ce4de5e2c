"""One step of `bench_scale` in a process of its own, so that its memory is its own: prints what was done as JSON."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable

import sqlalchemy as sa
from bench.scale_history import CONFIGURATION, events

from backbone.clock import SystemClock
from backbone.configuration import load_configuration
from backbone.database import Database
from backbone.settings import Settings
from backbone.tables import event_log
from backbone.telemetry import Telemetry
from contracts.messages import unseal
from ingest.translate import EVENT_RECEIVED, Observation, observe
from ingest.translator import Translator
from mapper.configuration import mappings_of
from mapper.handle import Mapper
from mapper.plan import Planner
from mapper.rebuild import history, logs_of
from mapper.subjects import Subjects

LIVE = 500  # invoices that are mapped one by one, as they come


async def translate(settings: Settings) -> int:
    """Turn every stored event into facts, as ingest does."""
    database, count = Database.open(settings, "ingest"), 0
    translator = Translator(database, SystemClock(), Telemetry(), translated=lambda: None)
    async with database.reading() as connection:
        raw = sa.select(sa.func.count()).select_from(event_log).where(event_log.c.type == EVENT_RECEIVED)
        stored = int(await connection.scalar(raw) or 0)
    while count < stored:
        # What was stored just now is readable once older transactions elsewhere on the server have ended.
        count += await translator.translate_batch() or await asyncio.sleep(0.05, 0)
    await database.close()
    return count


async def decode(settings: Settings) -> int:
    """Read and decode what a replay reads, and do nothing with it: its ceiling."""
    count = 0
    async with logs_of(settings) as logs:
        async for envelope in history(logs):
            unseal(envelope)
            count += 1
    return count


async def live(settings: Settings) -> int:
    """Map new invoices one transaction each, as the mapper does with what comes from its queue."""
    database = Database.open(settings, "mapper")
    configuration = load_configuration(CONFIGURATION)
    mappings = mappings_of(configuration)
    mapper = Mapper(database, Planner(Subjects(configuration, mappings), SystemClock(), Telemetry()), mappings)
    count = 0
    for event in events(LIVE, first=10_000_000):
        for seen in observe(event):
            if not isinstance(seen, Observation):
                raise TypeError(f"an event of the bench cannot be read: {seen}")
            async with database.transaction() as connection:
                await mapper.handle(connection, seen.fact, unseal(seen.fact))
        count += 1
    await database.close()
    return count


STEPS: dict[str, Callable[[Settings], Awaitable[int]]] = {"translate": translate, "decode": decode, "live": live}


def main() -> None:
    """Run the named step by the settings of the environment."""
    gc.freeze()
    started, used = time.perf_counter(), time.process_time()
    done = asyncio.run(_run(STEPS[sys.argv[1]]))
    print(json.dumps({"done": done, "seconds": time.perf_counter() - started, "processor_seconds": time.process_time() - used}))


async def _run(step: Callable[[Settings], Awaitable[int]]) -> int:
    return await step(Settings())


if __name__ == "__main__":
    main()
