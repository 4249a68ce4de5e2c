"""Reads Exact's ledger by row version, then what was deleted of it: up to 1,000 lines a call, when there is nothing to book.

It reads when somebody asked (a reconciliation, a search for what a bank line paid) and, so that changes made by hand in Exact are
noticed, at an interval. Each page is stored with its position in one transaction: memory stays flat, and a restart goes on there.
"""

from __future__ import annotations

from typing import Final

import msgspec

from backbone.clock import Clock
from backbone.database import Database
from backbone.telemetry import Telemetry, log
from contracts.ledger import LedgerLine
from exact_writer import attachments, ledger_lines, odata
from exact_writer.bank_lines import SuspenseLines
from exact_writer.calls import DivisionCalls, NotAllowedNowError
from exact_writer.client import ForbiddenError, NotFoundError, RefusedError, Request
from exact_writer.ledger_lines import DELETED, ENDPOINT, Reading
from exact_writer.mirror import Mirror

PAUSE_SECONDS: Final = 3600.0  # after a refusal of the whole resource, such as a missing scope: it counts against the error limit
DELETIONS_KEPT_SECONDS: Final = 55 * 86_400.0  # Exact keeps its log of deletions for two months
# After a move, until it is noticed, new lines look as if they were missing: whoever asks gets an answer that knows of a move.
MOVES_SECONDS: Final = 180.0
NEVER: Final = float("inf")


class LedgerReader:
    """Reads the ledger of one division; `every_seconds` of 0 means only when asked."""

    def __init__(
        self,
        division: int,
        *,
        database: Database,
        clock: Clock,
        calls: DivisionCalls,
        telemetry: Telemetry,
        every_seconds: float,
        suspense: SuspenseLines,
        mirror: Mirror,
    ) -> None:
        self._division = division
        self._database = database
        self._clock = clock
        self._calls = calls
        self._telemetry = telemetry
        self._every_seconds = every_seconds
        self._suspense = suspense
        self._mirror = mirror
        self._since = clock.now().timestamp()
        self._paused_until = self._no_deletions_until = self._no_looks_until = 0.0

    async def turn(self, epoch: int | None) -> float | None:
        """Read one page, or look for a move: None when that was done, else the instant from which there may be one to read.

        Raises CallError only for what stands in the way of every call, LeaseLostError, and UnreadableAnswerError.
        """
        now = self._clock.now().timestamp()
        if self._paused_until > now:
            return self._paused_until
        async with self._database.reading() as connection:
            found = await ledger_lines.reading(connection, self._division)
        if not found.is_wanted:
            # Before the first reading the interval counts from our start: a fresh installation has written nothing to compare.
            due = (found.read_at or self._since) + self._every_seconds if self._every_seconds else NEVER
            if due > now:
                return due
        room_at = self._calls.room_for_extras_at()
        closed_until = self._calls.blocked_endpoints().get(found.endpoint, 0.0)
        if room_at is not None or closed_until > now:
            return max(room_at or 0.0, closed_until)
        if found.read_at is not None and found.read_at + DELETIONS_KEPT_SECONDS < now and not found.in_deletions:
            await self._start_anew(epoch)
            return None
        if found.begins_for_somebody and await self._looked_for_a_move(now):
            return None  # where the division was moved, all of it is to be read
        await self._read(epoch, found, now)
        return None if self._paused_until <= now else self._paused_until

    async def is_wanted(self) -> bool:
        """Whether somebody waits for fresh lines, or a reading that began has pages left."""
        async with self._database.reading() as connection:
            return (await ledger_lines.reading(connection, self._division)).is_wanted

    async def read_until(self, wish: int, until: float) -> None:
        """Read until a wish is answered, without a writer beside; raises NotAllowedNowError for one that takes too long."""
        while True:
            async with self._database.reading() as connection:
                if (await ledger_lines.reading(connection, self._division)).answered >= wish:
                    return
            at = await self.turn(None)
            if at is None:
                continue
            if at > until:
                raise NotAllowedNowError(at, "Exact's limits, or the right to read the ledger, stand in the way")
            await self._clock.sleep(max(0.0, at - self._clock.now().timestamp()))

    async def _looked_for_a_move(self, now: float) -> bool:
        """Look before a reading that somebody asked for, unless that was done just now or Exact refuses it."""
        if self._no_looks_until > now:
            return False
        try:
            return await self._mirror.look_for_a_move(MOVES_SECONDS)
        except (NotFoundError, RefusedError) as error:
            log.warning("moves are not seen", division=self._division, status=error.status, reason=error.message)
            self._no_looks_until = now + PAUSE_SECONDS
            return True

    async def _read(self, epoch: int | None, found: Reading, now: float) -> None:
        if found.in_deletions and self._no_deletions_until > now:
            await self._keep(epoch, [], {}, found.ended(sees_deletions=False))
            return
        try:
            answer = await self._calls.read(Request(method="GET", endpoint=found.endpoint, path=found.page))
        except (ForbiddenError, NotFoundError, RefusedError) as error:
            await self._refused(epoch, found, now, error)
            return
        rows = odata.rows(answer.body)
        lines = [] if found.in_deletions else [ledger_lines.line_of(row) for row in rows]
        await self._suspense.prepare(lines)
        gone = {str(row["EntityKey"]): int(row["Timestamp"]) for row in rows} if found.in_deletions else {}
        await self._keep(epoch, lines, gone, found.after(rows, odata.next_page(answer.body), now))
        self._telemetry.count("ledger_lines_read", len(lines), division=str(self._division))

    async def _refused(
        self, epoch: int | None, found: Reading, now: float, error: ForbiddenError | NotFoundError | RefusedError
    ) -> None:
        """Leave it for now: bookings need neither of the two, and each try counts against a limit that they share."""
        self._calls.forbidden -= {ENDPOINT, DELETED}
        log.error("Exact does not show its ledger", division=self._division, status=error.status, reason=error.message)
        if found.next_page is not None:
            # Where Exact does not know its own link any more, the next reading begins behind what came in order.
            await self._keep(epoch, [], {}, msgspec.structs.replace(found, next_page=None))
        if found.in_deletions:
            self._no_deletions_until = now + PAUSE_SECONDS
        else:
            self._paused_until = now + PAUSE_SECONDS

    async def _keep(self, epoch: int | None, lines: list[LedgerLine], gone: dict[str, int], found: Reading) -> None:
        async with self._database.transaction() as connection:
            if epoch is not None:
                await attachments.check_lease(connection, self._division, epoch)
            await ledger_lines.forget(connection, self._division, gone)
            await ledger_lines.keep(self._database, connection, self._division, lines, found)
            await self._suspense.tell(connection, lines, self._clock.now())
            await self._suspense.tell_deleted(connection, gone, self._clock.now())

    async def _start_anew(self, epoch: int | None) -> None:
        async with self._database.transaction() as connection:
            if epoch is not None:
                await attachments.check_lease(connection, self._division, epoch)
            await ledger_lines.start_anew(self._database, connection, self._division)
