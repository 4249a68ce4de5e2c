"""A small topology, and a consumer that notes what it is handed, for the tests of the brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from backbone.broker import Delivery, Outgoing
from contracts.topology import Binding, Queue, Topology

EXCHANGE = "test.facts"
PATIENCE_SECONDS = 20.0

_BOTH = Binding(exchange=EXCHANGE, pattern="both.#")
WORK = Queue(
    name="work",
    bindings=(Binding(exchange=EXCHANGE, pattern="work.*.done"), _BOTH),
    single_active=True,
    retry_delays_seconds=(1, 2),
    delivery_limit=4,
)
OTHER = Queue(name="other", bindings=(_BOTH,), single_active=True, retry_delays_seconds=(1,))
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
