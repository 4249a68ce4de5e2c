"""Takes the place of a service that was stopped, so that a command may rewrite its state and nobody else does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from backbone.database import Database
from backbone.errors import KruispostError
from backbone.shares import Lock

PATIENCE_SECONDS: Final = 3.0  # a service that was just stopped, or killed, gives its locks back within this
LOOK_SECONDS: Final = 0.5

Hold = Callable[[], Awaitable[None]]


class ServiceRunsError(KruispostError):
    """A service runs whose state is to be rewritten."""

    def __init__(self, service: str, hosts: Iterable[str]) -> None:
        where = ", ".join(hosts)
        on = f" on {where}" if where else ""
        sentence = f"The {service} runs{on}, and its state cannot be made anew beside it: stop it, run this again, then start it."
        super().__init__("service_runs", sentence)


@asynccontextmanager
async def stand_in(database: Database, parts: Iterable[int]) -> AsyncIterator[Hold]:
    """Hold all parts of a service (partitions, divisions), for which a process of it that starts meanwhile waits.

    Gives what raises ServiceRunsError once they are no longer held; raises it itself where a process of the service runs.
    """
    names = [str(part) for part in parts]
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while not (locks := await _take(database, names)):
        if asyncio.get_running_loop().time() >= deadline:
            raise ServiceRunsError(database.service, await database.hosts_holding(names))
        await asyncio.sleep(LOOK_SECONDS)

    async def still_held() -> None:
        if not all([await lock.still_held() for lock in locks]):
            raise ServiceRunsError(database.service, await database.hosts_holding(names))

    try:
        yield still_held
    finally:
        await _release(locks)


async def _take(database: Database, names: Sequence[str]) -> list[Lock]:
    """Take all of them, or none."""
    locks: list[Lock] = []
    for name in names:
        lock = await database.try_lock(name)
        if lock is None:
            await _release(locks)
            return []
        locks.append(lock)
    return locks


async def _release(locks: Sequence[Lock]) -> None:
    for lock in locks:
        await lock.release()
