"""How many documents a second `kruispost reconcile` compares, and its memory, as the number of documents grows."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from support.command_line import environment
from support.engines import database_for
from support.equal_books import BATCH, fill

from backbone import event_log
from contracts import facts

SIZES = tuple(int(size) for size in os.environ.get("KRUISPOST_BENCH_DOCUMENTS", "1000,10000").split(","))
DAY = date(2026, 10, 5)


def measure() -> dict[str, dict[str, Any]]:
    """Reconcile invoices that are equal on all three sides; the ceiling is reading and decoding ingest's log alone."""
    figures: dict[str, dict[str, Any]] = {}
    first_mib = 0.0
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            asyncio.run(fill(directory, size, DAY))
            reading = asyncio.run(_reading(directory))
            seconds, mib = _reconcile(directory)
        first_mib = first_mib or mib
        figures[f"reconcile of {size} documents"] = {
            "value": size / seconds, "unit": "documents/s", "ceiling": size / reading, "ratio": reading / seconds,
        }  # fmt: skip
        figures[f"memory of reconciling {size} documents"] = {
            "value": mib, "unit": "MiB", "ceiling": first_mib, "ratio": mib / first_mib,
        }  # fmt: skip
    return figures


async def _reading(directory: Path) -> float:
    """Read and decode ingest's log, and do nothing with it; returns the seconds that takes."""
    async with database_for("sqlite", directory / "data", "ingest") as ingest:
        started, position = time.perf_counter(), event_log.START
        while True:
            async with ingest.reading() as connection:
                page = await event_log.read_after(connection, position, BATCH)
            if not page:
                return time.perf_counter() - started
            for recorded in page:
                msgspec.json.decode(recorded.envelope.data, type=facts.InvoiceObserved)
            position = page[-1].position


def _reconcile(directory: Path) -> tuple[float, float]:
    """Run the command as a person does; seconds, and the most memory it ever had in MiB."""
    command = [sys.executable, "-m", "console", "reconcile", "--from", "2026-10-01", "--to", "2026-10-31", "--wait", "0"]
    started = time.perf_counter()
    running = subprocess.Popen(command, env=environment(directory), stdout=subprocess.PIPE)
    printed = running.stdout.read() if running.stdout is not None else b""
    _, status, used = os.wait4(running.pid, 0)
    seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(printed.decode())
    return seconds, used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
