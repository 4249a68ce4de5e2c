"""What is asked of Chargebee: events a second that catching up stores, and resources of a backfill, beside reading alone."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from support.chargebee_shop import STARTED_AT, stock
from support.chargebee_sim import running_chargebee
from support.ingest_stage import SITE, Stage, ingest_stage
from support.newest_facts import live

from backbone.clock import ManualClock, SystemClock
from backbone.telemetry import Telemetry
from ingest.backfill import Backfill
from ingest.catch_up import LAG_SECONDS, CatchUp
from ingest.events_api import ChargebeeEvents
from simulators.chargebee.settings import ChargebeeSettings

INVOICES = int(os.environ.get("KRUISPOST_BENCH_FETCHED", "1500"))
WHOLE = (STARTED_AT - 1, STARTED_AT + 10_000_000)

Took = tuple[int, float, float]  # how many, and in how many seconds by the clock and of the processor


def measure() -> dict[str, dict[str, Any]]:
    """Fetch the same site as events and as documents, each first without storing anything."""
    with _chargebee_apart() as (url, until):
        return asyncio.run(_measured(url, until))


async def _measured(url: str, until: int) -> dict[str, dict[str, Any]]:
    api = ChargebeeEvents(api_key="test_key", base_url=url, telemetry=Telemetry())
    await api.events(SITE, STARTED_AT - 1, until, None)  # what the first call loads is no reading
    with tempfile.TemporaryDirectory() as name:
        async with ingest_stage("postgresql", Path(name) / "caught") as caught:
            clock = ManualClock(datetime.fromtimestamp(STARTED_AT + LAG_SECONDS, UTC))
            catch_up = CatchUp(caught.database, caught.store, api, clock, Telemetry(), sites=(SITE,), every_seconds=300)
            await catch_up.catch_up(SITE)  # a new site begins now
            clock.advance(timedelta(seconds=until - STARTED_AT).total_seconds())
            read = await _took(lambda: _events(api, until))
            stored = await _took(lambda: catch_up.catch_up(SITE))
        async with ingest_stage("postgresql", Path(name) / "fetched") as fetched:
            planned = await _took(lambda: _documents(fetched, api, store=False))
            backfilled = await _took(lambda: _documents(fetched, api, store=True))
    return {
        "events_caught_up": _row(stored, read, "events/s"),
        "documents_backfilled": _row(backfilled, planned, "resources/s"),
    }


async def _took(what: Callable[[], Awaitable[int]]) -> Took:
    started, processor = time.perf_counter(), time.process_time()
    return await what(), time.perf_counter() - started, time.process_time() - processor


async def _events(api: ChargebeeEvents, until: int) -> int:
    count, offset = 0, None
    while True:
        page = await api.events(SITE, STARTED_AT - 1, until, offset)
        count += len(page.events)
        if page.following is None:
            return count
        offset = page.following


async def _documents(ingest: Stage, api: ChargebeeEvents, *, store: bool) -> int:
    counts = await Backfill(ingest.database, api, SystemClock()).run(SITE, *WHOLE, store=store)
    return sum(each.listed for each in counts)


def _row(took: Took, ceiling: Took, unit: str) -> dict[str, Any]:
    """The rate by the clock; the ratio is of the processor's time, since what answers is a process beside this one."""
    count, seconds, processor = took
    print(f"  {count} in {seconds:.1f} s, {1000 * processor / count:.2f} ms of the processor each", flush=True)
    return {
        "value": count / seconds,
        "unit": unit,
        "ceiling": ceiling[0] / ceiling[1],
        "ratio": (ceiling[2] / ceiling[0]) / (processor / count),
    }


@contextmanager
def _chargebee_apart() -> Iterator[tuple[str, int]]:
    """Run a site that lived for a while in a process of its own; its address, and the end of its time (unix seconds)."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


def _serve(pipe: Connection) -> None:
    asyncio.run(_serve_until_told(pipe))


async def _serve_until_told(pipe: Connection) -> None:
    async with running_chargebee(ChargebeeSettings(started_at=STARTED_AT, requests_per_minute=1_000_000)) as running:
        stock(running.app)
        live(running.app, INVOICES)
        running.app.site.clock.advance_to(running.app.site.clock.now() + 3_600)
        pipe.send((running.url, running.app.site.clock.now() - LAG_SECONDS))
        await asyncio.to_thread(pipe.recv)
