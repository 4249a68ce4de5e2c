"""Holds the divisions that this process acts in: takes and gives back their locks, and takes commands only of what it holds.

Each holding begins with a writer made anew, so that nothing is remembered of an earlier one while another process acted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from backbone.broker import Consumer
from backbone.clock import Clock
from backbone.database import Database, is_away
from backbone.locks import FileLock, SessionLock
from backbone.retries import is_set_within
from backbone.telemetry import GaugeName, Telemetry, log
from exact_writer.auth import ExactLogin
from exact_writer.connection_state import needs_login
from exact_writer.journal import LeaseLostError
from exact_writer.sharing import Picture, Sharing
from exact_writer.writer import DivisionWriter

LOOK_SECONDS: Final = 1.0
PRESENT: Final = "writers"  # what every process that could act is counted under
UNKNOWN_HOLDER: Final = -1

OF_HOLDER: Final[tuple[GaugeName, ...]] = (
    "exact_budget_minute_left",
    "exact_budget_day_left",
    "commands_waiting",
    "exact_webhooks_subscribed",
    "exact_connected",
)

Lock = SessionLock | FileLock
Consume = Callable[[DivisionWriter], Awaitable[Sequence[Consumer]]]


@dataclass
class _Holding:
    """One division in this process: its writer, and what ends it."""

    writer: DivisionWriter
    ends: asyncio.Event = field(default_factory=asyncio.Event)


class Holder:
    """All divisions of an installation as one process sees them: some it holds, in the others it stands by."""

    def __init__(
        self,
        divisions: Collection[int],
        *,
        database: Database,
        clock: Clock,
        login: ExactLogin,
        make: Callable[[int], DivisionWriter],
        consume: Consume,
        telemetry: Telemetry,
    ) -> None:
        self.divisions = sorted(divisions)
        self._database = database
        self._clock = clock
        self._login = login
        self._make = make
        self._consume = consume
        self._telemetry = telemetry
        self._sharing = Sharing(divisions)
        self._holdings: dict[int, _Holding] = {}
        self._held_elsewhere: set[int] = set()
        self._presence: SessionLock | None = None

    def writer(self, division: int) -> DivisionWriter | None:
        """The writer that acts in a division, if it is one of this process."""
        holding = self._holdings.get(division)
        return holding.writer if holding is not None else None

    async def ready(self, division: int) -> str | None:
        """Why nothing can be booked in a division now, as far as this process knows, or None."""
        writer = self.writer(division)
        if writer is not None:
            return await writer.ready()
        if division in self._held_elsewhere:
            # Its holder knows better how it stands, but whoever is asked must know whether a person has to log in.
            try:
                reason = await self._login.why_consent_is_needed()
            except Exception as error:
                if not is_away(error):
                    raise
                return f"division {division} is another process's, and this one cannot take over: its database does not answer"
            return needs_login(division, reason) if reason is not None else None
        # Without this the first moments would look as if a login had been made.
        return f"division {division} has not asked Exact yet; if it stays so, run `kruispost login`"

    async def run(self, stop: asyncio.Event) -> None:
        """Hold this process's share of the divisions until told to stop; waits out a database that is away."""
        try:
            async with asyncio.TaskGroup() as group:
                while not stop.is_set():
                    try:
                        await self._share(group)
                    except Exception as error:
                        if not is_away(error):
                            raise
                        log.warning("the writer waits for the database", reason=str(error))
                    await is_set_within(stop, LOOK_SECONDS)
                for holding in self._holdings.values():
                    holding.ends.set()
        finally:
            if self._presence is not None:
                await self._presence.release()

    async def _share(self, group: asyncio.TaskGroup) -> None:
        """Look at who is there, take what this process should have, and begin to give back what it has too much of."""
        picture = await self._look()
        while (division := self._sharing.to_take(picture, self._clock.monotonic())) is not None:
            lock = await self._database.try_lock(str(division)) if division not in self._holdings else None
            holder = UNKNOWN_HOLDER
            if lock is not None:
                holder = picture.own
                self._sharing.took(division, self._clock.monotonic())
                holding = self._holdings[division] = _Holding(self._make(division))
                group.create_task(self._hold(division, holding, lock), name=f"exact-writer {division}")
            picture = msgspec.structs.replace(picture, holders={**picture.holders, division: holder})
        self._held_elsewhere = {each for each, holder in picture.holders.items() if each not in self._holdings}
        for division in self.divisions:
            if division not in self._holdings:
                self._telemetry.gauge("holding_writer_lock", 0, division=str(division))
        surplus = self._sharing.to_give(picture, self._clock.monotonic())
        if surplus is not None and surplus in self._holdings:
            log.info("gives the division to a process that has fewer", division=surplus)
            self._holdings[surplus].ends.set()

    async def _look(self) -> Picture:
        names = {str(division): division for division in self.divisions}
        seen = await self._database.holders([PRESENT, *names])
        if seen is not None and (seen.own is None or seen.own not in seen.of[PRESENT]):
            self._presence = await self._database.join(PRESENT) or self._presence
            seen = await self._database.holders([PRESENT, *names])
        if seen is None or seen.own is None:
            return Picture(own=0, present=frozenset({0}), holders=dict.fromkeys(self._holdings, 0))
        holders = {names[name]: next(iter(pids)) for name, pids in seen.of.items() if name in names and pids}
        return Picture(own=seen.own, present=seen.of[PRESENT], holders=holders)

    async def _hold(self, division: int, holding: _Holding, lock: Lock) -> None:
        """Act in a division until told to end, or until the lock or the database is lost."""
        consumers: Sequence[Consumer] = ()
        try:
            consumers = await self._consume(holding.writer)
            await holding.writer.act(lock, holding.ends)
        except LeaseLostError as error:
            log.warning("another process acts now", division=division, reason=str(error))
        except Exception as error:
            if not is_away(error):
                raise
            log.warning("the writer waits for the database", division=division, reason=str(error))
        finally:
            del self._holdings[division]
            self._telemetry.forget(OF_HOLDER, division=str(division))
            # The lock first: closing a consumer takes as long as a broker that does not answer.
            await lock.release()
            for consumer in consumers:
                await consumer.close()
