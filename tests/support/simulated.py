"""What is put around the services' code while they are simulated: other ways outside, other clocks, and more patience."""

from __future__ import annotations

import asyncio
import importlib
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from support.exact_server import DIVISION
from support.facts import SITE
from support.lines_between import patched_ways
from support.mortal import run_unless_still
from support.mortal_stores import round_in_turn
from support.payment_world import SECTION
from support.simulated_process import BUILDS
from support.simulation import World

import ingest.__main__
from backbone import crash_points
from backbone.broker_embedded import _EmbeddedConsumer
from backbone.clock import SystemClock

SLOWED: tuple[tuple[str, str, Any], ...] = (
    # Nobody else brings work, so what only looks for it by the clock may do so rarely: days pass in seconds.
    ("backbone.broker_embedded", "IDLE_SECONDS", 900.0),
    ("backbone.relay", "POLL_SECONDS", 900.0),
    ("backbone.relay", "LOCK_RETRY_SECONDS", 60.0),
    ("backbone.shares", "LOOK_SECONDS", 30.0),
    ("backbone.relay", "LOOK_AGAIN_SECONDS", (0.05,)),
    ("ingest.translator", "SETTLE_SECONDS", (0.05,)),
    ("ingest.translator", "POLL_SECONDS", 1_800.0),
    ("ingest.pdfs", "IDLE_SECONDS", 7_200.0),
    ("exact_writer.writer", "REREAD_SECONDS", 3_600.0),
    ("exact_writer.writer", "LONGEST_PAUSE_SECONDS", 1_800.0),
    ("payment_matcher.recording", "POLL_SECONDS", 600.0),
    ("payment_matcher.proposing", "LOOK_SECONDS", 1_800.0),
    ("mapper.due_days", "LOOK_SECONDS", 3_600.0),
)


@contextmanager
def simulated(world: World, patch: Callable[[Any, str, Any], None]) -> Iterator[None]:
    """Put the world around the code that runs: its ways outside, its crash points and its patience. The caller undoes it."""
    for module, name, seconds in SLOWED:
        patch(importlib.import_module(module), name, seconds)
    patch(crash_points, "watcher", world.passing)
    patch(logging.getLogger("sqlalchemy.pool"), "disabled", True)  # it tells of each connection of the dead
    patch(SystemClock, "now", lambda _clock: world.clock.now())  # the commands' own
    patch(SystemClock, "random_id", lambda _clock: world.clock.random_id())
    patch(ingest.__main__, "collect_garbage_rarely", lambda: None)  # this process goes on to other things
    patch(asyncio.Handle, "_run", run_unless_still(asyncio.Handle._run))
    patch(_EmbeddedConsumer, "_round", round_in_turn(_EmbeddedConsumer._round))
    patched_ways(world, patch)
    yield


class Company(NamedTuple):
    """How an installation is set up: its division, and how many processes of each service there are."""

    division: dict[str, Any]
    replicas: dict[str, int]

    @classmethod
    def drawn(cls, seed: int) -> Company:
        """One of the ways to set it up."""
        luck = random.Random(f"company {seed}")
        division = {
            **SECTION,
            "journals": {**SECTION["journals"], "ledger": "91"},
            "mode": luck.choice(("entry", "entry", "document", "ledger")),
            "payments": luck.choice(("each", "each", "daily")),
            "period_policy": luck.choice(("move", "move", "hold")),
            "pdf": {"policy": luck.choice(("never", "always"))},
        }
        return cls(division, {service: luck.choice((1, 1, 2)) for service in BUILDS})

    def configuration(self) -> dict[str, Any]:
        """What stands in kruispost.yaml."""
        sites = {SITE: {"time_zone": "Europe/Amsterdam", "division": DIVISION}}
        return {"version": 1, "sites": sites, "divisions": {DIVISION: self.division}}
