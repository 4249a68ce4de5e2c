"""Webhooks a second, authenticated, stored, committed and answered, beside the same route with a store that forgets."""

from __future__ import annotations

import asyncio
import base64
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.bench_replay import replay_until
from bench.door_server import PASSWORD, SITE, USERNAME
from support.engines import postgresql_database

ROUNDS = 5
SECONDS = 2.0
WARM_UP_SECONDS = 0.5
CONNECTIONS = (1, 16, 64)
KINDS = ("forgetting", "storing", "translating")
AUTHORIZATION = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()

Run = dict[str, float]


@contextmanager
def door(kind: str, database_url: str, directory: Path) -> Iterator[int]:
    """Run a door in a process of its own and give its port."""
    command = [sys.executable, "-m", "bench.door_server", kind, database_url, str(directory)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KRUISPOST_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def load(port: int, connections: int, seconds: float, run: int) -> Run:
    """Load a door from another process."""
    arguments = [str(port), SITE, AUTHORIZATION, str(connections), str(seconds), str(run)]
    command = [sys.executable, "-m", "bench.door_load", *arguments]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=seconds + 60)
    result: Run = json.loads(answer.stdout)
    return result


def measure() -> dict[str, dict[str, Any]]:
    """Measure the door and its ceiling in turns; figures are medians of the rounds, ratios of the same round.

    `door` is the door with its store; `door_translating` has the translator at work in the same process, as in the product
    under a load that never pauses. It comes last, because it works on for a while after each run and would disturb the others.
    `door_beside_replay` is the door with its store while another process replays a history from the same PostgreSQL.
    """
    runs: dict[tuple[str, int], list[Run]] = {(kind, connections): [] for kind in KINDS for connections in CONNECTIONS}
    for kinds in (("forgetting", "storing"), ("translating",)):
        with ExitStack() as stack:
            ports = {kind: stack.enter_context(_door_of_its_own(kind)) for kind in kinds}
            for kind in kinds:
                load(ports[kind], CONNECTIONS[0], WARM_UP_SECONDS, 0)
            for number in range(1, ROUNDS + 1):
                for connections in CONNECTIONS:
                    for kind in kinds:
                        runs[kind, connections].append(load(ports[kind], connections, SECONDS, _number(number, connections)))
    with _door_of_its_own("storing") as port, _replaying():
        load(port, CONNECTIONS[0], WARM_UP_SECONDS, 0)
        beside = {
            connections: [load(port, connections, SECONDS, _number(number, connections)) for number in range(1, ROUNDS + 1)]
            for connections in CONNECTIONS
        }
    figures: dict[str, dict[str, Any]] = {}
    for connections in CONNECTIONS:
        ceilings, storing = runs["forgetting", connections], runs["storing", connections]
        for name, measured in (("door", storing), ("door_translating", runs["translating", connections])):
            figures[f"{name}_{connections}_connections"] = _row(measured, ceilings, "per_second", "per_second", "webhooks/s")
        figures[f"door_p99_against_p50_{connections}_connections"] = _row(storing, storing, "p99_ms", "p50_ms", "ms")
        name = f"beside_replay_{connections}_connections"
        figures[f"door_{name}"] = _row(beside[connections], storing, "per_second", "per_second", "webhooks/s")
        figures[f"door_p99_{name}"] = _row(beside[connections], storing, "p99_ms", "p99_ms", "ms")
    return figures


def _number(round_: int, connections: int) -> int:
    """Number a run, so that no two send an event of the same id."""
    return len(CONNECTIONS) * round_ + CONNECTIONS.index(connections)


@contextmanager
def _replaying() -> Iterator[None]:
    """Replay a history from PostgreSQL again and again, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    stop, begun = context.Event(), context.Event()
    process = context.Process(target=replay_until, args=(stop, begun), daemon=True)
    process.start()
    try:
        if not begun.wait(120):
            raise RuntimeError("the replay beside the door did not begin")
        yield
    finally:
        stop.set()
        process.join()  # it drops its database itself


@contextmanager
def _door_of_its_own(kind: str) -> Iterator[int]:
    with tempfile.TemporaryDirectory() as directory, _database() as url, door(kind, url, Path(directory)) as port:
        yield port


def _row(measured: list[Run], ceilings: list[Run], value: str, ceiling: str, unit: str) -> dict[str, Any]:
    ratios = [one[value] / other[ceiling] for one, other in zip(measured, ceilings, strict=True)]
    return {
        "value": statistics.median(one[value] for one in measured),
        "unit": unit,
        "ceiling": statistics.median(one[ceiling] for one in ceilings),
        "ratio": statistics.median(ratios),
    }


@contextmanager
def _database() -> Iterator[str]:
    """Give an empty PostgreSQL database, which is what the product runs on where speed matters."""
    with asyncio.Runner() as runner:
        manager = postgresql_database()
        url = runner.run(manager.__aenter__())
        try:
            yield url
        finally:
            runner.run(manager.__aexit__(None, None, None))
