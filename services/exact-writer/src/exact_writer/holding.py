"""The divisions that this process acts in: a writer for each, which takes commands only while the division is its own.

Each holding begins with a writer made anew, so that nothing is remembered of an earlier one while another process acted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from backbone.broker import Broker, Consumer
from backbone.clock import Clock
from backbone.database import Database, is_away
from backbone.shares import Lock, Shares
from backbone.telemetry import GaugeName, Telemetry, log
from exact_writer.auth import ExactLogin
from exact_writer.connection_state import needs_login
from exact_writer.journal import LeaseLostError
from exact_writer.writer import DivisionWriter

OF_HOLDER: Final[tuple[GaugeName, ...]] = (
    "exact_budget_minute_left",
    "exact_budget_day_left",
    "commands_waiting",
    "exact_webhooks_subscribed",
    "exact_connected",
)

Consume = Callable[[DivisionWriter], Awaitable[Sequence[Consumer]]]


class Holder:
    """All divisions of an installation as one process sees them: some it holds, in the others it stands by."""

    def __init__(
        self,
        divisions: Collection[int],
        *,
        database: Database,
        broker: Broker,
        clock: Clock,
        login: ExactLogin,
        make: Callable[[int], DivisionWriter],
        consume: Consume,
        telemetry: Telemetry,
    ) -> None:
        self._shares = Shares(divisions, self._hold, database=database, broker=broker, clock=clock, what="division")
        self._login = login
        self._make = make
        self._consume = consume
        self._telemetry = telemetry
        self._writers: dict[int, DivisionWriter] = {}

    @property
    def divisions(self) -> list[int]:
        """All divisions, in order."""
        return self._shares.parts

    def writer(self, division: int) -> DivisionWriter | None:
        """The writer that acts in a division, if it is one of this process."""
        return self._writers.get(division)

    async def ready(self, division: int) -> str | None:
        """Why nothing can be booked in a division now, as far as this process knows, or None."""
        writer = self.writer(division)
        if writer is not None:
            return await writer.ready()
        if division in self._shares.held_elsewhere:
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
        """Hold this process's share of the divisions until told to stop."""
        for division in self.divisions:
            self._telemetry.gauge("holding_writer_lock", 0, division=str(division))
        await self._shares.run(stop)

    async def _hold(self, division: int, lock: Lock, ends: asyncio.Event) -> None:
        """Act in a division until told to end, or until the lock or the database is lost."""
        writer = self._writers[division] = self._make(division)
        consumers: Sequence[Consumer] = ()
        try:
            consumers = await self._consume(writer)
            await writer.act(lock, ends)
        except LeaseLostError as error:
            log.warning("another process acts now", division=division, reason=str(error))
        finally:
            del self._writers[division]
            self._telemetry.gauge("holding_writer_lock", 0, division=str(division))
            self._telemetry.forget(OF_HOLDER, division=str(division))
            # The lock first: closing a consumer takes as long as a broker that does not answer.
            await lock.release()
            for consumer in consumers:
                await consumer.close()
