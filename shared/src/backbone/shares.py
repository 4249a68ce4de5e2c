"""Holds the parts of a service (divisions, partitions) that this process has a share in: takes and gives back their locks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import msgspec

from backbone.broker import Broker
from backbone.clock import Clock
from backbone.database import Database, is_away
from backbone.errors import reason_of
from backbone.locks import FileLock, SessionLock
from backbone.retries import is_set_within
from backbone.sharing import Picture, Sharing
from backbone.telemetry import log

LOOK_SECONDS: Final = 1.0
PRESENT: Final = "present"  # what every process that could have a share is counted under
UNKNOWN_HOLDER: Final = -1

Lock = SessionLock | FileLock
Hold = Callable[[int, Lock, asyncio.Event], Awaitable[None]]


class Shares:
    """All parts of a service as one process sees them: some it holds, for the others it stands by.

    `hold` gets a part with its lock, and works until the event is set or the lock is lost; the lock is given back after it.
    """

    def __init__(
        self, parts: Collection[int], hold: Hold, *, database: Database, broker: Broker, clock: Clock, what: str
    ) -> None:
        self.parts = sorted(parts)
        self.held_elsewhere: set[int] = set()
        self._hold = hold
        self._database = database
        self._broker = broker
        self._clock = clock
        self._what = what
        self._sharing = Sharing(parts)
        self._ends: dict[int, asyncio.Event] = {}
        self._presence: SessionLock | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Hold this process's share until told to stop; waits out a database that is away."""
        try:
            async with asyncio.TaskGroup() as group:
                while not stop.is_set():
                    try:
                        await self._share(group)
                    except Exception as error:
                        if not is_away(error):
                            raise
                        log.warning("sharing waits for the database", reason=reason_of(error), what=self._what)
                    await is_set_within(stop, LOOK_SECONDS)
                await self._leave()  # from now on nothing is left to this process
                for ends in self._ends.values():
                    ends.set()
        finally:
            await self._leave()

    async def _share(self, group: asyncio.TaskGroup) -> None:
        """Look at who is there, take what this process should have, and begin to give back what it has too much of."""
        picture = await self._look()
        for part, ends in self._ends.items():
            if picture.holders.get(part) != picture.own:
                ends.set()  # the lock was lost with its session
        while (free := self._sharing.to_take(picture, self._clock.monotonic())) is not None:
            lock = await self._database.try_lock(str(free)) if free not in self._ends else None
            holder = UNKNOWN_HOLDER
            if lock is not None:
                holder = picture.own
                self._sharing.took(free, self._clock.monotonic())
                ends = self._ends[free] = asyncio.Event()
                group.create_task(self._work(free, lock, ends), name=f"{self._what} {free}")
            picture = msgspec.structs.replace(picture, holders={**picture.holders, free: holder})
        self.held_elsewhere = {each for each in picture.holders if each not in self._ends}
        surplus = self._sharing.to_give(picture, self._clock.monotonic())
        if surplus is not None and surplus in self._ends:
            log.info(f"gives the {self._what} to a process that has fewer", **{self._what: surplus})
            self._ends[surplus].set()

    async def _leave(self) -> None:
        if self._presence is not None:
            await self._presence.release()
            self._presence = None

    async def _look(self) -> Picture:
        names = {str(part): part for part in self.parts}
        if self._broker.is_away:
            await self._leave()
        seen = await self._database.holders([PRESENT, *names])
        if seen is None:
            return Picture(own=0, present=frozenset({0}), holders=dict.fromkeys(self._ends, 0))
        if not self._broker.is_away and seen.own not in seen.of[PRESENT]:
            self._presence = await self._database.join(PRESENT) or self._presence
            seen = await self._database.holders([PRESENT, *names]) or seen
        holders = {names[name]: next(iter(pids)) for name, pids in seen.of.items() if name in names and pids}
        return Picture(own=seen.own or 0, present=seen.of[PRESENT], holders=holders)

    async def _work(self, part: int, lock: Lock, ends: asyncio.Event) -> None:
        try:
            await self._hold(part, lock, ends)
        except Exception as error:
            if not is_away(error):
                raise
            log.warning("waits for the database", reason=reason_of(error), **{self._what: part})
        finally:
            del self._ends[part]
            await lock.release()
