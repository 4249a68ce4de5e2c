"""The worker that books the VAT of written-off debts when its day has come."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from backbone.clock import Clock
from backbone.database import Database
from mapper.plan import Cause, Planner
from mapper.store import Store

LOOK_SECONDS = 300.0


class BadDebts:
    """Looks on every new day, in UTC, which VAT may be reclaimed; several replicas may look, since deciding twice books once."""

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
                await self.reclaim(stop)
                looked_on = today
            waiting = [asyncio.ensure_future(each) for each in (self._clock.sleep(LOOK_SECONDS), stop.wait())]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in waiting:
                each.cancel()

    async def reclaim(self, stop: asyncio.Event) -> None:
        """Decide anew about all VAT whose day had not come, a document a transaction."""
        cause = Cause(None, f"day {self._clock.now().date()} ")
        for division in self._divisions:
            async with self._database.reading() as connection:
                keys = await Store(self._database, connection).held_by("vat_not_due", division)
            for key in keys:
                if stop.is_set():
                    return
                async with self._database.transaction() as connection:
                    store = Store(self._database, connection)
                    await store.share(alone=False)
                    await self._planner.plan(store, key, cause, again=True)
