"""A run of the simulated world: days of business under faults drawn from a seed, then quiet, then the judgement."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from support import history_checker
from support.business import Business, Customer, Knowledge
from support.exact_server import DIVISION
from support.history_checker import Seen
from support.mortal import WRITERS_TURN_SECONDS, KilledError, Life, task_of_a_life
from support.simulated import Company, simulated
from support.simulated_process import BUILDS, Process, make_tables
from support.simulation import DAY, HOUR, World
from support.virtual_time import VirtualLoop

from backbone.broker import Outgoing
from backbone.broker_embedded import EmbeddedBroker
from backbone.settings import Settings
from console.tables import documents as console_documents
from contracts.topology import mapper_queue, topology, writer_queue
from simulators.exact.documents import DOCUMENTS


class Loss(NamedTuple):
    """What docs/operating.md says about a loss."""

    stopped: tuple[str, ...]  # these services stand still
    first: tuple[tuple[str, ...], ...] = ()  # is commanded while they do
    started: str = ""  # this one is started alone: it makes its tables, and somebody logs in
    commands: tuple[tuple[str, ...], ...] = ()  # is commanded then


LOSSES = {
    "mapper": Loss(("mapper",), commands=(("replay", "mapper", "--yes"),)),
    "payment-matcher": Loss(
        ("payment-matcher",),
        (("migrate",),),
        commands=(
            ("republish", "ingest", "--to", "payment-matcher"),
            ("republish", "exact-writer", "--to", "payment-matcher"),
        ),
    ),
    "ingest": Loss(("ingest",), (("migrate",),), "ingest", (("backfill", "--from", "2025-12-01", "--yes"),)),
    "exact-writer": Loss(
        ("mapper", "exact-writer"),
        (("migrate",), ("restored", "--wait", "0")),
        "exact-writer",
        (("replay", "exact-writer", "--yes"),),
    ),
    "console": Loss(("console",), (("migrate",),), commands=(("republish", "all", "--to", "console"),)),
    "broker": Loss(tuple(BUILDS), commands=(("republish", "all"),)),
}
# What a service is in the middle of when its data is lost, as the steps that it comes by.
UNDER_WAY = {
    "mapper": ("mapper", ("before publish", "before ack")),  # planned and not said; taken from the queue for good
    "payment-matcher": ("payment-matcher", ("before publish", "before ack", "before POST invoices")),
    "ingest": ("ingest", ("before publish",)),  # stored, acknowledged and not told to anybody
    "exact-writer": ("exact-writer", ("before POST", "after POST")),  # a call that writes is under way, or just answered
    "console": ("console", ("before ack",)),
    "broker": ("", ("after publish",)),  # confirmed and not delivered
}
QUIET_DAYS = 0.35  # after the last fault: an hour's errors are forgotten, webhooks come again, a person has logged in


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    seed: int
    days: float
    happenings: int
    wrong: list[str]
    digest: str
    counts: Counter[str]
    history: list[str]

    def told(self) -> str:
        """What to print when it failed, with the command that repeats it."""
        lines = [f"seed {self.seed}:", *self.wrong, f"faults: {dict(sorted(self.counts.items()))}"]
        run = f"KRUISPOST_SEED={self.seed} KRUISPOST_DAYS={self.days} KRUISPOST_HAPPENINGS={self.happenings}"
        return "\n".join([*lines, f"again: {run} make chaos CHAOS=tests/simulation"])


class Fire:
    """Draws what goes wrong, when, and for how long."""

    def __init__(self, world: World, days: float) -> None:
        self.world, self.ends = world, days * DAY
        self.luck = random.Random(f"fire {world.seed}")
        self.poisons = 0

    async def burn(self) -> None:
        """Let things go wrong until the days are over, and then mend everything."""
        world, luck = self.world, self.luck
        world.crashes_per_mille = luck.choice((2, 5, 10))
        world.way_to_exact.faults_per_mille = luck.choice((20, 60, 120))
        world.way_to_chargebee.faults_per_mille = luck.choice((20, 60, 120))
        for process in world.processes.values():
            process.troubles.commit_fails_per_mille = luck.choice((0, 10, 30))
            process.troubles.broker_fails_per_mille = luck.choice((0, 10, 30))
        kinds: list[Callable[[], Coroutine[Any, Any, None]]] = [
            *(
                self.kill,
                self.kill,
                self.stand_still,
                self.stand_still,
                self.fill_disk,
                self.slow_database,
                self.broker_away,
                self.maintenance,
                self.cut_exact,
            ),
            *(
                self.cut_chargebee,
                self.wrong_clock,
                self.refuse_token,
                self.poison,
                self.close_period,
                self.storm,
            ),
        ]
        world.outside(self.lose_database(luck.random() * self.ends / 2))
        while (wait := luck.expovariate(1 / (1.5 * HOUR))) + world.clock.monotonic() < self.ends:
            await asyncio.sleep(wait)
            chosen = luck.choice(kinds)
            world.note(f"fire {chosen.__name__}")
            world.counts[chosen.__name__] += 1
            world.outside(chosen())
        await asyncio.sleep(max(0.0, self.ends - world.clock.monotonic()))
        self.mend()

    def mend(self) -> None:
        """End all that is wrong."""
        world = self.world
        world.crashes_per_mille = 0
        for way in (world.way_to_exact, world.way_to_chargebee):
            way.faults_per_mille, way.cut_until = 0, 0.0
        world.way_to_exact.closed_until = 0.0
        for process in world.processes.values():
            troubles = process.troubles
            troubles.commit_fails_per_mille = troubles.broker_fails_per_mille = 0
            troubles.slow_seconds, troubles.full_disk_until = 0.02, 0.0
            process.clock.off_by = timedelta()
        self.poisons = -1

    def _someone(self) -> Process:
        return self.luck.choice(list(self.world.processes.values()))

    def _until(self, longest_seconds: float) -> float:
        return min(self.ends, self.world.clock.monotonic() + longest_seconds * self.luck.random())

    async def kill(self) -> None:
        """Kill -9, at no particular point."""
        self._someone().kill("by chance")

    async def stand_still(self) -> None:
        """Stop a process where it is, and let it go on later: after others took over, or before they noticed."""
        someone = self._someone()
        await someone.stand_still(self.luck.choice((5.0, 30.0, 1_200.0)) * self.luck.random())

    async def storm(self) -> None:
        """Kill everything at once, as when the machine goes down."""
        for process in self.world.processes.values():
            process.kill("the machine went down")

    async def fill_disk(self) -> None:
        """Let no transaction of one service be committed for a while."""
        self._someone().troubles.full_disk_until = self._until(1_200.0)

    async def slow_database(self) -> None:
        """Let everything of one service take seconds."""
        troubles = self._someone().troubles
        troubles.slow_seconds = 8.0 * self.luck.random()
        await asyncio.sleep(self._until(1_200.0) - self.world.clock.monotonic())
        troubles.slow_seconds = 0.02

    async def broker_away(self) -> None:
        """Let nobody publish for a while."""
        until = self._until(1_800.0)
        before = {name: each.troubles.broker_fails_per_mille for name, each in self.world.processes.items()}
        for process in self.world.processes.values():
            process.troubles.broker_fails_per_mille = 1_000
        await asyncio.sleep(until - self.world.clock.monotonic())
        for name, process in self.world.processes.items():
            process.troubles.broker_fails_per_mille = 0 if self.poisons < 0 else min(30, before[name])

    async def maintenance(self) -> None:
        """Let Exact answer 503."""
        self.world.way_to_exact.closed_until = self._until(3 * HOUR)

    async def cut_exact(self) -> None:
        """Let no call reach Exact."""
        self.world.way_to_exact.cut_until = self._until(3 * HOUR)

    async def cut_chargebee(self) -> None:
        """Let no call reach Chargebee."""
        self.world.way_to_chargebee.cut_until = self._until(2 * HOUR)

    async def wrong_clock(self) -> None:
        """Set the clock of one service wrong, and right again later."""
        clock = self._someone().clock
        clock.off_by = timedelta(seconds=self.luck.choice((-1, 1)) * self.luck.choice((2, 45, 400, 4_000)) * self.luck.random())
        await asyncio.sleep(self._until(2 * HOUR) - self.world.clock.monotonic())
        clock.off_by = timedelta()

    async def refuse_token(self) -> None:
        """Let somebody else consent for the app: our refresh token is of no use any more, and a person must log in."""
        await self.world.exact.control("tokens", client_id=self.world.settings.exact_client_id)

    async def poison(self) -> None:
        """Put what is no message into a queue that others wait in."""
        if self.poisons < 0:
            return
        queue = self.luck.choice([mapper_queue(self.luck.randrange(4)), writer_queue(DIVISION), "payment-matcher", "console"])
        self.poisons += 1
        broker = await self._own_broker()
        body = self.luck.choice((b"{", b"\x00", b'{"id": "x"}'))
        await _sent(broker, queue, Outgoing("poison.0", body, f"poison-{self.poisons}"))

    async def lose_database(self, after_seconds: float) -> None:
        """Lose the database of one service or the broker's data, and do what docs/operating.md says; once a run."""
        world = self.world
        name = list(LOSSES)[world.seed % len(LOSSES)]
        loss = LOSSES[name]
        await asyncio.sleep(after_seconds)
        is_under_way = await self._in_the_middle_of_something(name)
        world.counts[f"lost {name}"] += 1
        world.counts["lost in the middle"] += is_under_way
        held = [each for service in loss.stopped for each in world.replicas(service)]
        for each in held:
            await each.hold()
        world.lose(name)
        if name == "broker":
            world.lost_letters += world.counts["poison"]
        await self._command(loss.first)
        if loss.started:
            alone = world.replicas(loss.started)[0]
            await alone.release()
            if loss.started == "exact-writer":
                await world.log_in()
            await asyncio.sleep(60.0 * self.luck.random())
            await alone.hold()
        await self._command(loss.commands)
        for each in held:
            await each.release()

    async def _in_the_middle_of_something(self, name: str) -> bool:
        """Wait until something is under way that the loss takes along, and kill whose it is there; False when nothing came."""
        service, steps = UNDER_WAY[name]
        world, struck = self.world, asyncio.Event()
        wanted: tuple[str, ...] = (self.luck.choice(steps),)

        def watch(life: Life, step: str) -> None:
            process = world.processes[life.name]
            if struck.is_set() or not step.startswith(wanted) or service not in ("", process.service) or "token" in step:
                return
            world.note(f"lost at {step} of {life.name}")
            struck.set()
            process.kill("its data is lost")
            raise KilledError(step)

        world.ground.watch = watch
        for share in (0.5, 1.0):
            seconds = max(0.0, self.ends - 2 * HOUR - world.clock.monotonic())
            with suppress(TimeoutError):
                await asyncio.wait_for(struck.wait(), share * seconds)
            wanted = steps  # whatever comes, where the one that was drawn does not
        world.ground.watch = None
        return struck.is_set()

    async def _command(self, commands: Iterable[tuple[str, ...]]) -> None:
        """Give commands, which a person would repeat until Chargebee answers.

        Time stands still while one runs, so that nobody may be in the middle of a transaction then: it would wait for its end.
        """
        way = self.world.way_to_chargebee
        for arguments in commands:
            while any(not each.is_over for each in self.world.ground.writing.values()):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(WRITERS_TURN_SECONDS)
            before, way.faults_per_mille, way.cut_until = way.faults_per_mille, 0, 0.0
            self.world.command(*arguments)
            way.faults_per_mille = before

    async def close_period(self) -> None:
        """Close or open an accounting period of all journals."""
        body = {"division": DIVISION, "journal": None, "year": 2026, "period": self.luck.choice((1, 2, 3))}
        await self.world.exact.control("periods", **body, open=self.luck.random() < 0.5)

    async def _own_broker(self) -> EmbeddedBroker:
        broker = EmbeddedBroker(self.world.settings.data_dir / "broker.sqlite", clock=self.world.clock)
        broker._arrivals = self.world.arrivals
        await broker.declare(topology(self.world.configuration.divisions))
        return broker


async def _sent(broker: EmbeddedBroker, queue: str, message: Outgoing) -> None:
    try:
        await broker.send(queue, [message])
    finally:
        await broker.close()


async def judged(world: World, fire: Fire, customers: Sequence[Customer], poisons: int) -> list[str]:
    """What is wrong after a run."""
    columns = [getattr(console_documents.c, name) for name in Seen._fields]
    async with world.reading("console") as connection:
        seen = [Seen(*row) for row in await connection.execute(sa.select(*columns))]
    received = {each.customer_id: sum(amount for amount in each.received.values() if amount > 0) for each in customers}
    dead_ones = [f"{name} does not run" for name, each in world.processes.items() if each.life is None or each.life.is_over]
    policy = world.configuration.divisions[DIVISION].period_policy
    reasons = Knowledge(world, holds_closed_periods=policy == "hold").reasons
    found = history_checker.check(world.shop, await world.exact.ledger(), seen, received, reasons)
    wrong = [*world.mishaps, *dead_ones, *found, *_pdfs(world)]
    calls = await world.exact.calls()
    wrong += [f"{name}: {calls[name]}" for name in ("rate_limited", "error_blocks") if calls[name]]
    broker = await fire._own_broker()
    dead = []
    for queue in topology(world.configuration.divisions).queues:
        dead += await broker.dead_letters(queue.name, 100)
        if depth := await broker.depth(queue.name):
            wrong.append(f"{depth} messages wait in {queue.name}")
    await broker.close()
    wrong += [f"dead letter in {each.queue}: {each.sentence}" for each in dead if not each.message_id.startswith("poison")]
    if len(dead) < poisons:
        wrong.append(f"{poisons} poisoned messages, and {len(dead)} dead letters")
    missing = world.acknowledged - {event["id"] for event in world.shop.events}
    return wrong + [f"acknowledged and unknown: {each}" for each in sorted(missing)]


def _pdfs(world: World) -> list[str]:
    """The PDFs that are attached more than once to an entry, which several documents may share."""
    division = world.exact.simulator.world.divisions[DIVISION]
    found = Counter((str(row.get("FinancialTransactionEntryID")), row["Subject"]) for row in division.table(DOCUMENTS))
    return [f"{subject} is attached {count} times to entry {entry}" for (entry, subject), count in found.items() if count > 1]


def quiet_days(world: World) -> float:
    """For how long nothing happens any more; payments that are booked by the day wait for its end."""
    if world.configuration.divisions[DIVISION].payments != "daily":
        return QUIET_DAYS
    now = world.clock.now()
    return max(QUIET_DAYS, 1.1 - (now.hour * 60 + now.minute) / 1_440)


async def live(world: World, days: float, happenings: int, *, customers: int = 4, burns: bool = True) -> list[str]:
    """Run it all."""
    asyncio.get_running_loop().set_task_factory(task_of_a_life)
    await world.start()
    business, fire = Business(world, customers), Fire(world, days)
    burning = world.outside(fire.burn()) if burns else None
    await business.run(days, happenings)
    await asyncio.sleep(max(0.0, days * DAY - world.clock.monotonic()))
    if burning is not None:
        await burning
    return await judged_run(world, fire, business.customers, quiet_seconds=quiet_days(world) * DAY)


async def judged_run(world: World, fire: Fire, customers: Sequence[Customer], *, quiet_seconds: float) -> list[str]:
    """Wait until all is quiet, say what is wrong, and end it."""
    poisons = world.counts["poison"] - world.lost_letters
    await asyncio.sleep(quiet_seconds)
    try:
        return await judged(world, fire, customers, poisons)
    finally:
        world.final_digest = await world.digest()
        await world.stop()


def tables_made(directory: Path) -> None:
    """Make all tables once, so that each run takes the same steps, the first one of a process as well."""
    directory.mkdir(parents=True, exist_ok=True)
    for service in BUILDS:
        asyncio.run(make_tables(Settings(data_dir=directory / "tables"), service))


def simulate(directory: Path, seed: int, *, days: float = 1.0, happenings: int = 40, burns: bool = True) -> Outcome:
    """Run one seed from beginning to end."""
    tables_made(directory)
    loop = VirtualLoop()
    company = Company.drawn(seed)
    world = World(directory, seed, company.configuration(), loop, company.replicas)
    with (
        pytest.MonkeyPatch.context() as patch,
        simulated(world, patch.setattr),
        asyncio.Runner(loop_factory=lambda: loop) as runner,
    ):
        wrong = runner.run(live(world, days, happenings, burns=burns))
    return Outcome(seed, days, happenings, wrong, world.final_digest, world.counts, world.history)
