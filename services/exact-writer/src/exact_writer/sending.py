"""The one call of a command, or of a batch of them, through the states of the journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import Database
from backbone.telemetry import log
from exact_writer import journal
from exact_writer.calls import DivisionCalls, NotAllowedNowError
from exact_writer.client import Answer, CallError, NotFoundError, RefusedError, Request, UnknownError
from exact_writer.client_keys import ClientKeys
from exact_writer.journal import Work
from exact_writer.schedule import State
from exact_writer.timing import Timing

MOST_ATTEMPTS: Final = 5
REFUSED_LOOK_SECONDS: Final = 3_600.0
DUPLICATE: Final = "duplicate"  # refusals.classify of Exact's words for a key that is taken

Refused = Callable[[AsyncConnection, RefusedError], Awaitable[None]]


class Sending:
    """Sends what a command or a batch asks for, and moves the commands as the answer says."""

    def __init__(
        self, division: int, *, database: Database, clock: Clock, calls: DivisionCalls, keys: ClientKeys, timing: Timing
    ) -> None:
        self._keys = keys
        self._division = division
        self._database = database
        self._clock = clock
        self._calls = calls
        self._timing = timing

    async def send(
        self, works: Sequence[Work], request: Request, epoch: int, refused: Refused, *, batch_id: str | None = None
    ) -> Answer | None:
        """Make the call; None when it ended as unknown, or as refused, which `refused` notes in the transaction of the answer.

        Raises the other CallErrors after the commands went back to prepared, NotFoundError of a PUT before.
        """
        wait = self._calls.wait_until()
        if wait is not None:
            raise NotAllowedNowError(wait.at, wait.why)
        token = await self._calls.token()
        async with self._database.transaction() as connection:
            await journal.mark_sent(connection, self._division, works, epoch, self._now(), batch_id)
            await self._calls.count(connection, request.endpoint)
        crash_point("exact_writer.sent")
        try:
            answer = await self._calls.send(request, token)
        except RefusedError as error:
            if request.key is not None and error.code == DUPLICATE:
                # It may stand there under its key already, by a call whose answer was lost.
                await self.move(works, epoch, "unknown", not_before=self._now())
                return None
            async with self._database.transaction() as connection:
                await refused(connection, error)
                await self._calls.save(connection)
            return None
        except UnknownError as error:
            log.warning("the outcome of a call is unknown", command=works[0].command_id, reason=error.message)
            if request.method == "POST":
                await self.set_unknown(works, epoch)
                return None
            # A PUT writes the same again, once the lost one can no longer undo a newer one.
            await self._give_back(works, epoch, not_before=self._now() + self._timing.longest_request_seconds)
            raise
        except CallError as error:
            if isinstance(error, NotFoundError) and request.method == "PUT":
                raise
            await self._give_back(works, epoch)
            raise
        await self._keys.compare(request, answer)
        return answer

    async def set_unknown(self, works: Sequence[Work], epoch: int) -> None:
        """Have the outcome looked up soon."""
        await self.move(works, epoch, "unknown", not_before=self._now() + self._timing.first_look_seconds)

    async def move(self, works: Sequence[Work], epoch: int, state: State, **values: Any) -> None:
        """Move open commands to another open state."""
        async with self._database.transaction() as connection:
            await journal.mark_all(connection, self._division, [work.command_id for work in works], epoch, state, **values)
            await self._calls.save(connection)

    async def _give_back(self, works: Sequence[Work], epoch: int, **values: Any) -> None:
        """The call was not processed: the commands may be sent again, and the try does not count."""
        async with self._database.transaction() as connection:
            for attempts, tried in journal.by_attempts(works).items():
                await journal.mark_all(connection, self._division, tried, epoch, "prepared", attempts=attempts, **values)
            await self._calls.save(connection)

    def _now(self) -> float:
        return self._clock.now().timestamp()
