"""What a year of documents costs on PostgreSQL, each step in a process of its own: time and memory a document as they grow.

Processor time is that of the process alone and without its start: it says more than the clock where others use the machine.
`KRUISPOST_BENCH_DOCUMENTS=1000,10000,100000,300000` says how many invoices, of seven lines on average.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.scale_history import CONFIGURATION, book_everything, store_events
from support.command_line import environment
from support.engines import settings_for

from backbone.database import Database
from backbone.settings import Settings

SIZES = tuple(int(size) for size in os.environ.get("KRUISPOST_BENCH_DOCUMENTS", "1000,10000").split(","))
TESTS = Path(__file__).parents[1]
ANALYSED_SECONDS = 15.0
DAYS = ("--from", "2025-01-01", "--to", "2025-12-31", "--wait", "0")
# The last one before the writer has booked anything, and what comes after.
BEFORE: dict[str, tuple[str, ...]] = {
    "ingest": ("bench.scale_step", "translate"),
    "map": ("console", "replay", "mapper", "--yes", "--json"),
    "plan": ("console", "plan", "--json", "--limit", "1"),
}
AFTER: dict[str, tuple[str, ...]] = {
    "decode": ("bench.scale_step", "decode"),
    "replay": ("console", "replay", "mapper", "--json"),
    "reconcile": ("console", "reconcile", *DAYS, "--json"),
    "reconcile_week": ("console", "reconcile", "--from", "2025-06-01", "--to", "2025-06-07", "--wait", "0", "--json"),
    "live": ("bench.scale_step", "live"),
}


@dataclass(frozen=True, slots=True)
class Used:
    """What a process used."""

    seconds: float
    processor_seconds: float
    mib: float


@dataclass(frozen=True, slots=True)
class Took:
    """What a step did and took."""

    done: int
    seconds: float
    processor_seconds: float
    mib: float

    @property
    def a_second(self) -> float:
        """How many a second of the clock."""
        return self.done / self.seconds

    @property
    def milliseconds_each(self) -> float:
        """What each took of the processor."""
        return 1000 * self.processor_seconds / self.done


def measure() -> dict[str, dict[str, Any]]:
    """Run every step at every size; the ceiling of a step is what it took at the smallest size, of a replay that of reading."""
    figures: dict[str, dict[str, Any]] = {}
    smallest: dict[str, Took] = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            steps = asyncio.run(_size(Path(name), size))
        for step, took in steps.items():
            first = smallest.setdefault(step, took)
            for what, here, there, unit in (
                ("processor time", took.milliseconds_each, first.milliseconds_each, "ms each"),
                ("memory", took.mib, first.mib, "MiB"),
            ):
                name = f"{what} of {step}, {size} documents"
                figures[name] = {"value": here, "unit": unit, "ceiling": there, "ratio": here / there}
        replayed, decoded = steps["replay"], steps["decode"]
        figures[f"replay of {size} documents against reading and decoding"] = {
            "value": replayed.a_second, "unit": "messages/s", "ceiling": decoded.a_second,
            "ratio": decoded.milliseconds_each / replayed.milliseconds_each,
        }  # fmt: skip
    return figures


async def _size(directory: Path, size: int) -> dict[str, Took]:
    (directory / "kruispost.yaml").write_text(CONFIGURATION.read_text(encoding="utf-8"), encoding="utf-8")
    async with settings_for("postgresql", directory / "data") as settings:
        ingest, mapper, writer = (Database.open(settings, name) for name in ("ingest", "mapper", "exact-writer"))
        steps = {}
        _, starting = await asyncio.to_thread(_run, BEFORE["plan"], directory, settings)  # with nothing in the databases yet
        await store_events(ingest, size)
        for name, words in BEFORE.items():
            steps[name] = _told(name, size, starting, *await _run_analysed(ingest, words, directory, settings))
        entries, lines = await book_everything(mapper, writer)
        print(f"  {size} documents: {entries} entries with {lines} lines in Exact", flush=True)
        for name, words in AFTER.items():
            steps[name] = _told(name, size, starting, *await _run_analysed(ingest, words, directory, settings))
        for database in (ingest, mapper, writer):
            await database.close()
        return steps


def _told(name: str, size: int, start: Used, answer: dict[str, Any], used: Used) -> Took:
    if name.startswith("reconcile") and answer["unexplained"]:
        raise RuntimeError(f"{answer['unexplained']} documents are not explained, so this measured something else")
    done = answer.get("messages") or answer.get("done") or answer.get("found") or size
    seconds = answer.get("seconds") or max(used.seconds - start.seconds, 0.01)
    processor_seconds = answer.get("processor_seconds") or max(used.processor_seconds - start.processor_seconds, 0.01)
    took = Took(done, seconds, processor_seconds, used.mib)
    print(
        f"  {size} documents, {name}: {done} in {took.seconds:.1f} s, {took.a_second:.0f}/s, "
        f"{took.milliseconds_each:.2f} ms of the processor each, {took.mib:.0f} MiB",
        flush=True,
    )
    return took


async def _run_analysed(
    database: Database, words: tuple[str, ...], directory: Path, settings: Settings
) -> tuple[dict[str, Any], Used]:
    """Run a module while the tables are analysed as they grow, as autovacuum does: a test's server may have it off."""
    running = asyncio.create_task(asyncio.to_thread(_run, words, directory, settings))
    while not running.done():
        await database.run_alone("ANALYZE")
        await asyncio.wait((running,), timeout=ANALYSED_SECONDS)
    return await running


def _run(words: tuple[str, ...], directory: Path, settings: Settings) -> tuple[dict[str, Any], Used]:
    """Run a module to its end; what it printed, and what it used."""
    variables = environment(directory, {"KRUISPOST_DATABASE_URL": settings.database_url or "", "PYTHONPATH": str(TESTS)})
    started = time.perf_counter()
    running = subprocess.Popen([sys.executable, "-m", *words], env=variables, stdout=subprocess.PIPE)
    printed = running.stdout.read() if running.stdout is not None else b""
    _, status, used = os.wait4(running.pid, 0)
    seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise RuntimeError(printed.decode())
    mib = used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    return json.loads(printed), Used(seconds, used.ru_utime + used.ru_stime, mib)
