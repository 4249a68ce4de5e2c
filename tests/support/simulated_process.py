"""One service of the simulated world as a process that is started, dies, stands still and is started again."""

from __future__ import annotations

import asyncio
import random
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from support.fast_sqlite import in_place, migrated
from support.mortal import KilledError, Life, Troubles
from support.mortal_stores import MortalBroker, MortalDatabase
from support.virtual_time import WorldClock

import console.__main__
import exact_writer.__main__
import ingest.__main__
import mapper.__main__
import payment_matcher.__main__
from backbone.application import Application, Context
from backbone.database import Database, is_away, schema_of
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from contracts.topology import topology

if TYPE_CHECKING:
    from support.simulation import World

BUILDS: dict[str, Any] = {
    "ingest": ingest.__main__.build,
    "mapper": mapper.__main__.build,
    "exact-writer": exact_writer.__main__.build,
    "payment-matcher": payment_matcher.__main__.build,
    "console": console.__main__.build,
}
RESTART_SECONDS = (1.0, 60.0)


class Process:
    """One service: the process that runs it now, and what stays of it when that dies."""

    def __init__(self, world: World, service: str, replica: int = 1) -> None:
        self.service, self.world = service, world
        self.name = name = service if replica == 1 else f"{service} {replica}"
        self.troubles = Troubles(random.Random(f"{world.seed} {name}"))
        self.clock = WorldClock(world.began, f"{world.seed} {name}", world.loop)
        self.life: Life | None = None
        self.application: Application | None = None
        self.database: MortalDatabase | None = None
        self.site: FastAPI | None = None
        self.is_held = False  # nobody starts it while a person works on its database

    @property
    def runs(self) -> bool:
        """Whether it is there and does something."""
        life = self.life
        return life is not None and not life.is_over and self.application is not None and not life.silent_seconds()

    async def start(self) -> None:
        """Start it as `kruispost run` and Kubernetes do, and restart it whenever it ends by itself."""
        world = self.world
        life = self.life = Life(self.name, self.clock, self.troubles, world.ground)
        world.note(f"start {self.name}")
        building = life.spawn(self._build(life))
        await asyncio.wait((building,))
        if life.is_over:
            return  # it was killed meanwhile, and will be started once more
        if (error := building.exception()) is not None:
            if not is_away(error):
                raise error
            self.kill(f"it cannot start: {error}")  # as `kruispost run` would after waiting for its database in vain
            return
        assert self.application is not None
        stop = asyncio.Event()
        for worker in self.application.workers:
            task = life.spawn(_run(worker, stop), name=f"{self.name}: {getattr(worker, '__qualname__', 'worker')}")
            task.add_done_callback(partial(self._ended, life))

    async def _build(self, life: Life) -> None:
        world = self.world
        if not (world.settings.data_dir / f"{schema_of(self.service)}.sqlite").exists():
            await make_tables(world.settings, self.service)
        self.database = MortalDatabase.of(life, world.settings, self.service)
        broker = MortalBroker(life, world.settings.data_dir / "broker.sqlite", world.bindings, world.arrivals)
        await broker.declare(topology(world.configuration.divisions))
        context = Context(world.settings, world.configuration, self.clock, self.database, broker, Telemetry(self.service))
        self.application = await BUILDS[self.service](context)
        self.site = None
        if self.application.router is not None:
            self.site = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
            self.site.include_router(self.application.router)

    def _ended(self, life: Life, task: asyncio.Task[None]) -> None:
        if life is not self.life or life.is_over:
            return
        error = task.exception() if not task.cancelled() else None
        if error is None:
            return  # a worker may end by itself when its work is done
        if not isinstance(error, KilledError):
            told = "".join(traceback.format_exception(error))
            self.world.mishaps.append(f"a worker of {self.name} failed: {told}")
        self.kill("a worker failed")

    def kill(self, why: str) -> None:
        """Kill -9; it is started again after a while."""
        life = self.life
        if life is None or life.is_over:
            return
        self.world.note(f"kill {self.name}: {why}")
        self.world.counts["kill"] += 1
        life.end()
        self.world.outside(self._restart(life))

    async def _restart(self, dead: Life) -> None:
        await dead.buried()
        low, high = RESTART_SECONDS
        await asyncio.sleep(low + (high - low) * self.troubles.luck.random())
        if not self.is_held and self.life is dead:
            await self.start()

    async def hold(self) -> None:
        """Stop it, and leave it stopped until `release`."""
        self.is_held = True
        self.kill("a person stops it")
        if self.life is not None:
            await self.life.buried()

    async def release(self) -> None:
        """Start it again."""
        self.is_held = False
        await self.start()

    async def stand_still(self, seconds: float) -> None:
        """Stop it for a while where it is, as by SIGSTOP."""
        life = self.life
        if life is None or life.is_over:
            return
        self.world.note(f"stop {self.name} for {seconds:.0f} s")
        life.stand_still()
        await asyncio.sleep(seconds)
        if not life.is_over:
            life.go_on()


async def make_tables(settings: Settings, service: str) -> None:
    """Make the tables of a service without any luck: only the first of a test's process has to migrate."""
    database = Database.open(settings, service)
    in_place(database)
    await migrated(database, service)
    await database.close()


async def _run(worker: Any, stop: asyncio.Event) -> None:
    await worker(stop)
