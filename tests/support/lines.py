"""A small topology, and a consumer that notes what it is handed, for the tests of the brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from backbone.broker import Delivery, Outgoing
from contracts.envelope import Envelope, seal
from contracts.facts import ConnectionChanged
from contracts.topology import FACTS_EXCHANGE, Binding, Queue, Topology

EXCHANGE = "test.facts"
PATIENCE_SECONDS = 60.0

_BOTH = Binding(exchange=EXCHANGE, pattern="both.#")
WORK = Queue(
    name="work",
    owner="test",
    bindings=(Binding(exchange=EXCHANGE, pattern="work.*.done"), _BOTH),
    single_active=True,
    retry_delays_seconds=(1, 2),
    delivery_limit=4,
)
OTHER = Queue(name="other", owner="test", bindings=(_BOTH,), single_active=True, retry_delays_seconds=(1,))
TOPOLOGY = Topology(exchanges=(EXCHANGE,), queues=(WORK, OTHER))


def outgoing(*identities: str, key: str = "work.piece.done") -> list[Outgoing]:
    """Return messages with these ids."""
    return [Outgoing(key, f'{{"id": "{identity}"}}'.encode(), identity) for identity in identities]


class Notebook:
    """A handler that notes every delivery and does what `act` says about it."""

    def __init__(self, act: Callable[[Delivery], BaseException | None] = lambda _: None) -> None:
        self.seen: list[Delivery] = []
        self._act = act
        self._more = asyncio.Event()

    async def __call__(self, delivery: Delivery) -> None:
        """Note it, then raise what `act` returns, if anything."""
        self.seen.append(delivery)
        self._more.set()
        failure = self._act(delivery)
        if failure is not None:
            raise failure

    @property
    def ids(self) -> list[str]:
        """The ids in the order they came."""
        return [delivery.message_id for delivery in self.seen]

    async def wait_for(self, count: int) -> None:
        """Wait until that many deliveries came."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.seen) < count:
                self._more.clear()
                await self._more.wait()


async def eventually(check: Callable[[], object], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until a condition, plain or awaitable, holds."""
    async with asyncio.timeout(seconds):
        while True:
            result = check()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return
            await asyncio.sleep(0.05)


# A queue for facts as the relay publishes them, and facts to send through it.
FACTS = Queue(
    name="facts",
    owner="test",
    bindings=(Binding(exchange=FACTS_EXCHANGE, pattern="#"),),
    single_active=True,
    retry_delays_seconds=(1,),
    delivery_limit=3,
)
FACTS_TOPOLOGY = Topology(exchanges=(FACTS_EXCHANGE,), queues=(FACTS,))


def fact(name: str) -> Envelope:
    """Return a fact whose id follows from the name and whose reason is the name."""
    message = ConnectionChanged(division=1, state="connected", reason=name)
    now = datetime(2026, 10, 5, 10, tzinfo=UTC)
    return seal(message, source="test", subject=name, key="acme-test/C1", time=now, distinguisher=name)
