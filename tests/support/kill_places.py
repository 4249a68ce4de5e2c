"""Every place at which a service does something durable, found by tracing a calm run, and a death at each of them.

A place is where product code commits, publishes, acknowledges or calls out, before or after it; what a consumer handles is
told apart by the type of its message. Nothing lists them by hand: what a run comes by is what there is.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest
from support.business import DIVISION, Customer
from support.fire import Fire, judged_run, quiet_days, tables_made
from support.mortal import KilledError, Life, task_of_a_life
from support.simulated import Company, simulated
from support.simulation import DAY, HOUR, World
from support.virtual_time import VirtualLoop

import exact_writer.mirror
from simulators.chargebee.site import Resource

ROOT = Path(__file__).parents[2]
PRODUCT = tuple(str(ROOT / part) for part in ("services", "console", "shared"))
PASSED_BY = ("backbone/database.py", "backbone/broker_embedded.py", "backbone/crash_points.py", "exact_writer/client.py")
STEP_SECONDS = 600.0
CHANGES_KEPT_SECONDS = 4 * HOUR
SEED = 9  # one whose world has webhooks of Exact, and nothing of whose business is refused


Story = Callable[[World], Awaitable[Customer]]


class Place(NamedTuple):
    """Where a service comes by, as far as the same place can be found in another run."""

    service: str
    step: str
    code: str
    about: str  # the type of the message in hand, if there is one


class Death(NamedTuple):
    """Where to die, and at which passing."""

    place: Place
    passing: int


class Watch:
    """Notes when each place is passed, and lets processes die at some of them, each once."""

    def __init__(self, world: World, deaths: Iterable[Death] = ()) -> None:
        self.passes: dict[Place, list[float]] = defaultdict(list)
        self.died: set[Place] = set()
        self._world, self._deadly = world, dict(deaths)

    def __call__(self, life: Life, step: str) -> None:
        """Be told of a step."""
        process = self._world.processes[life.name]
        place = Place(process.service, step, *_code())
        self.passes[place].append(self._world.clock.monotonic())
        # Who died elsewhere comes by more often, or later.
        if place not in self.died and len(self.passes[place]) >= self._deadly.get(place, sys.maxsize):
            self.died.add(place)
            process.kill(f"at {place}")
            raise KilledError(str(place))

    def deaths(self, known: Container[Place] = ()) -> list[Death]:
        """One for each place that is not known yet, at the middle one of its passings, in the order of time."""
        times = {place: seconds for place, seconds in self.passes.items() if place not in known}
        middle = {place: (len(seconds) + 1) // 2 for place, seconds in times.items()}
        return [Death(place, middle[place]) for place in sorted(times, key=lambda each: (times[each][middle[each] - 1], each))]


def dealt(deaths: Sequence[Death], together: int) -> list[list[Death]]:
    """Deal deaths to runs, about so many to each, those of one run far from each other in time."""
    runs = -(-len(deaths) // together)
    return [list(deaths[number::runs]) for number in range(runs)]


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


async def beside_other_people(world: World) -> Customer:
    """What a quiet business does not come by: lost answers, others who book, a login that ends, changes missed for too long."""
    customer = Customer(world.seed, world)
    world.way_to_exact.lost_answers = 2  # of the customer's account, and of its first entry
    customer.bill()
    await asyncio.sleep(STEP_SECONDS)
    customer.pay_by_card()
    await asyncio.sleep(STEP_SECONDS)
    await _booked_by_others(world, customer.bill())
    await asyncio.sleep(STEP_SECONDS)
    await world.exact.control("tokens", client_id=world.settings.exact_client_id)  # somebody else consents; ours is refused
    customer.bill()
    await asyncio.sleep(2 * HOUR)  # a person notices, and logs in
    (writer,) = world.replicas("exact-writer")
    await writer.hold()
    customer.bill()
    await asyncio.sleep(1.5 * CHANGES_KEPT_SECONDS)
    await writer.release()
    customer.pay_by_card()
    await asyncio.sleep(STEP_SECONDS)
    return customer


async def _booked_by_others(world: World, invoice: Resource) -> None:
    """Another connector books an invoice of this customer as we would."""
    division = world.exact.simulator.world.divisions[DIVISION]
    account = next(row for row in division.table("crm/Accounts") if row["Name"] == f"Klant {world.seed}")
    ledger = division.by_code("financial/GLAccounts", "8000")
    assert ledger is not None
    total, tax = invoice["total"], invoice["tax"]
    amounts = {"AmountFC": (total - tax) / 100, "VATAmountFC": tax / 100}
    body = {
        "Customer": str(account["ID"]),
        "Journal": "70",
        "YourRef": invoice["id"],
        "EntryDate": world.clock.now().date().isoformat(),
        "SalesEntryLines": [{"GLAccount": str(ledger["ID"]), "VATCode": "2", **amounts}],
    }
    token = (await world.exact.control("tokens", client_id="other-app"))["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    answer = await world.exact._http.post(f"/api/v1/{DIVISION}/salesentry/SalesEntries", json=body, headers=headers)
    assert answer.is_success, answer.text


async def _live(world: World, watch: Watch, faults_per_mille: int, story: Story) -> list[str]:
    asyncio.get_running_loop().set_task_factory(task_of_a_life)
    world.ground.watch = watch
    await world.start()
    world.way_to_exact.faults_per_mille = world.way_to_chargebee.faults_per_mille = faults_per_mille
    customer = await story(world)
    world.way_to_exact.faults_per_mille = world.way_to_chargebee.faults_per_mille = 0
    return await judged_run(world, Fire(world, 0), [customer], quiet_seconds=max(8 * HOUR, quiet_days(world) * DAY))


class Setting(NamedTuple):
    """An installation, the ways between it and the outside, and what happens to it."""

    company: Company
    faults_per_mille: int = 0
    story: Story = a_small_business

    @classmethod
    def of(
        cls,
        mode: str,
        payments: str = "each",
        *,
        faults_per_mille: int = 0,
        story: Story = a_small_business,
        link_before: str | None = None,
    ) -> Setting:
        """One process of each service; PDFs are attached, and Exact sends webhooks."""
        division = Company.drawn(0).division | {"mode": mode, "payments": payments, "period_policy": "move"}
        division |= {"pdf": {"policy": "always"}} | ({"link_before": link_before} if link_before is not None else {})
        return cls(Company(division, {}), faults_per_mille, story)


def run(directory: Path, setting: Setting, deaths: Iterable[Death] = ()) -> tuple[Watch, list[str]]:
    """Play the small business, and die these deaths on the way; what was passed, and what is wrong then."""
    tables_made(directory)
    loop = VirtualLoop()
    world = World(directory, SEED, setting.company.configuration(), loop, setting.company.replicas)
    watch = Watch(world, deaths)
    with (
        pytest.MonkeyPatch.context() as patch,
        simulated(world, patch.setattr),
        asyncio.Runner(loop_factory=lambda: loop) as runner,
    ):
        patch.setattr(exact_writer.mirror, "DELETIONS_KEPT_SECONDS", CHANGES_KEPT_SECONDS)  # two months at Exact
        return watch, runner.run(_live(world, watch, setting.faults_per_mille, setting.story))
