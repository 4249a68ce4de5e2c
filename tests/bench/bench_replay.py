"""How many messages a second a replay folds into a new mapper's state, beside reading and decoding the same log alone."""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import msgspec
from support.engines import database_for
from support.played_month import heard_in_month

from backbone import event_log
from backbone.configuration import load_configuration
from contracts import facts
from contracts.envelope import Message, seal
from contracts.messages import unseal
from mapper.rebuild import Rebuild, history, new_scratch

DEMO = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"
START = datetime(2026, 9, 1, tzinfo=UTC)
SIZES = (2, 8)  # months of about 100 documents; memory must not grow with them


def measure() -> dict[str, dict[str, Any]]:
    """Replay a small and a larger history; figures are messages a second, and how much memory the larger one took more."""
    month = heard_in_month(42, 100)
    rows = [asyncio.run(_replay(month, months)) for months in SIZES]
    figures = {}
    for months, (count, reading, folding, _) in zip(SIZES, rows, strict=True):
        figures[f"replay of {count} messages ({months} months)"] = {
            "value": count / folding,
            "unit": "messages/s",
            "ceiling": count / reading,
            "ratio": reading / folding,
        }
    small, large = rows[0][3], rows[-1][3]
    figures["memory at the end of the larger replay"] = {
        "value": large, "unit": "MiB", "ceiling": small, "ratio": large / small,
    }  # fmt: skip
    return figures


def replay_until(stop: Event, begun: Event) -> None:
    """Replay a history from PostgreSQL again and again until told to stop; `begun` is set once the first is under way."""
    month = heard_in_month(42, 100)
    while not stop.is_set():
        asyncio.run(_replay(month, SIZES[0], "postgresql", begun.set))


async def _replay(
    month: list[Message], months: int, dialect: str = "sqlite", begun: Callable[[], None] = lambda: None
) -> tuple[int, float, float, float]:
    with tempfile.TemporaryDirectory() as directory:
        async with AsyncExitStack() as stack:
            log = await stack.enter_async_context(database_for(dialect, Path(directory), "ingest"))
            count = 0
            for number in range(months):
                async with log.transaction() as connection:
                    for message in month:
                        count += 1
                        renamed = _renamed(message, number)
                        sealed = seal(
                            renamed, source="ingest", subject=f"{count}", key="acme-test",
                            time=START + timedelta(seconds=count), distinguisher=f"{count}",
                        )  # fmt: skip
                        await event_log.append(connection, f"fact/{count}", 0, [sealed])
            logs, until = {"ingest": log}, START + timedelta(days=400)
            begun()
            started = time.perf_counter()
            async for envelope in history(logs, until):
                unseal(envelope)
            reading = time.perf_counter() - started
            scratch = await new_scratch(Path(directory) / "replayed")
            stack.push_async_callback(scratch.close)
            started = time.perf_counter()
            await Rebuild(scratch, load_configuration(DEMO)).fold(logs, until)
            folding = time.perf_counter() - started
            peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
            return count, reading, folding, peak_kib / 1024


def _renamed(message: Message, month: int) -> Message:
    """Give a month's documents numbers of their own, so that every month has new ones."""
    if isinstance(message, (facts.InvoiceObserved, facts.TransactionObserved)):
        return msgspec.structs.replace(
            message, resource=msgspec.structs.replace(message.resource, id=f"{message.resource.id}-{month}")
        )
    return message
