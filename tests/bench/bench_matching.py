"""How many bank lines a second one core matches with 1,000, 10,000 and 100,000 open invoices, beside the goal of 2,000.

How that grows is told twice: in processor time, which on a shared machine knows its caches too, and in function calls, which
are the same everywhere.
"""

from __future__ import annotations

import gc
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from support.bank_lines import Told, World

from bookkeeping.matching import OpenInvoices

GOAL_PER_SECOND = 2_000
LINES = 1_000
ROUNDS = 5
COUNTED = 300
SIZES = (1_000, 10_000, 100_000)
Result = TypeVar("Result")


def measure() -> dict[str, dict[str, Any]]:
    """Measure matching and its index at three sizes in turns, in processor time; the ceiling of a rate is the goal."""
    worlds = [World(seed=11, invoices=size) for size in SIZES]
    lines = [world.lines(LINES) for world in worlds]
    built: list[float] = []
    indexes: list[OpenInvoices] = []
    for world in worlds:
        started = time.process_time()
        indexes.append(OpenInvoices(world.invoices, world.ibans()))
        built.append(time.process_time() - started)
    gc.collect()
    rates: list[list[float]] = [[] for _ in SIZES]
    for _ in range(ROUNDS):
        for at, index in enumerate(indexes):
            started = time.process_time()
            for told in lines[at]:
                index.match(told.line)
            rates[at].append(LINES / (time.process_time() - started))
    figures: dict[str, dict[str, Any]] = {}
    for at, size in enumerate(SIZES):
        value = statistics.median(rates[at])
        figures[f"matching_{size}_open_invoices"] = row(value, "lines/s", GOAL_PER_SECOND)
    # What indexing and matching one line for each open invoice takes, beside n log n from the size before: at most 1.
    spent = [seconds + size / statistics.median(rates[at]) for at, (size, seconds) in enumerate(zip(SIZES, built, strict=True))]
    for at in (1, 2):
        grown = SIZES[at] * math.log(SIZES[at]) / (SIZES[at - 1] * math.log(SIZES[at - 1]))
        figures[f"matching_growth_{SIZES[at - 1]}_to_{SIZES[at]}"] = row(spent[at] / spent[at - 1], "times", grown)
    work = [_work(world, told[:COUNTED]) for world, told in zip(worlds, lines, strict=True)]
    for at in (1, 2):
        grown = SIZES[at] * math.log(SIZES[at]) / (SIZES[at - 1] * math.log(SIZES[at - 1]))
        figures[f"matching_work_growth_{SIZES[at - 1]}_to_{SIZES[at]}"] = row(work[at] / work[at - 1], "times", grown)
    return figures


def _work(world: World, told: Sequence[Told]) -> float:
    """Count the calls that indexing makes, and as many lines as there are invoices."""
    index, built = _counted(lambda: OpenInvoices(world.invoices, world.ibans()))
    _, matched = _counted(lambda: [index.match(each.line) for each in told])
    return built + matched * len(world.invoices) / len(told)


def _counted(made: Callable[[], Result]) -> tuple[Result, int]:
    """Make something, and count the functions that were called meanwhile, those in C as well."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        return made(), calls
    finally:
        sys.setprofile(None)


def row(value: float, unit: str, ceiling: float) -> dict[str, Any]:
    """Return a figure with its ceiling and their ratio."""
    return {"value": round(value, 3), "unit": unit, "ceiling": round(ceiling, 3), "ratio": round(value / ceiling, 3)}
