"""The worker that decides anew about what waits for a day: the VAT of written-off debts, what has waited too long."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection

from backbone.clock import Clock
from backbone.database import Database
from bookkeeping.hold_reasons import REASONS
from mapper.plan import Cause, Planner
from mapper.store import Store

LOOK_SECONDS = 300.0
WAITING_FOR_A_DAY = ("vat_not_due", *(code for code, reason in REASONS.items() if reason.overdue))


class DueDays:
    """Looks on every new day, in UTC; several replicas may look, since deciding twice books once."""

    def __init__(self, database: Database, planner: Planner, divisions: Collection[int], clock: Clock) -> None:
        self._database = database
        self._planner = planner
        self._divisions = divisions
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop` is set."""
        looked_on = None
        while not stop.is_set():
            today = self._clock.now().date()
            if today != looked_on:
                await self.decide(stop)
                looked_on = today
            waiting = [asyncio.ensure_future(each) for each in (self._clock.sleep(LOOK_SECONDS), stop.wait())]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in waiting:
                each.cancel()

    async def decide(self, stop: asyncio.Event) -> None:
        """Decide anew about everything whose day may have come, a document a transaction."""
        cause = Cause(None, f"day {self._clock.now().date()} ")
        for division, code in itertools.product((*self._divisions, None), WAITING_FOR_A_DAY):
            async with self._database.reading() as connection:
                keys = await Store(self._database, connection).held_by(division, code)
            for key in keys:
                if stop.is_set():
                    return
                async with self._database.transaction() as connection:
                    store = Store(self._database, connection)
                    await store.share(alone=True)  # an upgrade of a shared lock could meet another and stop both
                    await self._planner.plan(store, key, cause, again=True)
