"""Every place at which a service does something durable, found by tracing a calm run, and a death at each of them.

A place is where product code commits, publishes, acknowledges or calls out, before or after it; what a consumer handles is
told apart by the type of its message. Nothing lists them by hand: what a run comes by is what there is.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest
from support.business import Customer
from support.fire import Fire, judged_run, quiet_days, tables_made
from support.mortal import KilledError, Life, task_of_a_life
from support.simulated import Company, simulated
from support.simulation import DAY, HOUR, World
from support.virtual_time import VirtualLoop

ROOT = Path(__file__).parents[2]
PRODUCT = tuple(str(ROOT / part) for part in ("services", "console", "shared"))
PASSED_BY = ("backbone/database.py", "backbone/broker_embedded.py", "backbone/crash_points.py", "exact_writer/client.py")
STEP_SECONDS = 600.0
SEED = 9  # one whose world has webhooks of Exact, and nothing of whose business is refused


class Place(NamedTuple):
    """Where a service comes by, as far as the same place can be found in another run."""

    service: str
    step: str
    code: str
    about: str  # the type of the message in hand, if there is one


class Watch:
    """Counts how often each place is passed, and lets the process die at one of them."""

    def __init__(self, world: World, deadly: tuple[Place, int] | None = None) -> None:
        self.passes: Counter[Place] = Counter()
        self.died = False
        self._world, self._deadly = world, deadly

    def __call__(self, life: Life, step: str) -> None:
        """Be told of a step."""
        process = self._world.processes[life.name]
        place = Place(process.service, step, *_code())
        self.passes[place] += 1
        if (place, self.passes[place]) == self._deadly:
            self.died = True
            process.kill(f"at {place}")
            raise KilledError(str(place))


def _code() -> tuple[str, str]:
    """The function of the product that does it, and the type of the message that it has in hand."""
    where, about = "", ""
    for frame in _frames():
        name = frame.f_code.co_filename
        if not name.startswith(PRODUCT) or name.endswith(PASSED_BY):
            continue
        where = where or f"{Path(name).parent.name}/{Path(name).name}:{frame.f_code.co_name}"
        envelope = frame.f_locals.get("envelope")
        if envelope is not None and hasattr(envelope, "type"):
            about = envelope.type
            break
    return where, about


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(3)
    while frame is not None:
        yield frame
        frame = frame.f_back


async def a_small_business(world: World) -> Customer:
    """A bit of everything for one customer, one thing after the other."""
    customer = Customer(world.seed, world)
    for act in (
        *(customer.bill, customer.bill, customer.pay_by_card, customer.dollars, customer.transfer, customer.refund),
        *(customer.bill, customer.bill, customer.void, customer.write_off, customer.rename, customer.transfer_unknown),
        *(customer.use_dollars, customer.bill_unmapped, customer.bill, customer.transfer_too_much, customer.pay_a_part),
    ):
        happening = act()
        if happening is not None and asyncio.iscoroutine(happening):
            await happening
        await asyncio.sleep(STEP_SECONDS)
    return customer


async def _live(world: World, watch: Watch, faults_per_mille: int) -> list[str]:
    asyncio.get_running_loop().set_task_factory(task_of_a_life)
    world.ground.watch = watch
    await world.start()
    world.way_to_exact.faults_per_mille = world.way_to_chargebee.faults_per_mille = faults_per_mille
    customer = await a_small_business(world)
    world.way_to_exact.faults_per_mille = world.way_to_chargebee.faults_per_mille = 0
    return await judged_run(world, Fire(world, 0), [customer], quiet_seconds=max(8 * HOUR, quiet_days(world) * DAY))


class Setting(NamedTuple):
    """An installation and the ways between it and the outside."""

    company: Company
    faults_per_mille: int = 0

    @classmethod
    def of(cls, mode: str, payments: str = "each", faults_per_mille: int = 0) -> Setting:
        """One process of each service; PDFs are attached, and Exact sends webhooks."""
        division = Company.drawn(0).division | {"mode": mode, "payments": payments, "period_policy": "move"}
        return cls(Company(division | {"pdf": {"policy": "always"}}, {}), faults_per_mille)


def run(directory: Path, setting: Setting, deadly: tuple[Place, int] | None = None) -> tuple[Watch, list[str]]:
    """Play the small business, and die at the nth passing of a place if one is given; what was passed, and what is wrong then."""
    tables_made(directory)
    loop = VirtualLoop()
    world = World(directory, SEED, setting.company.configuration(), loop, setting.company.replicas)
    watch = Watch(world, deadly)
    with (
        pytest.MonkeyPatch.context() as patch,
        simulated(world, patch.setattr),
        asyncio.Runner(loop_factory=lambda: loop) as runner,
    ):
        return watch, runner.run(_live(world, watch, setting.faults_per_mille))
