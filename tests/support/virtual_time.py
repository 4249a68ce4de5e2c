"""An event loop whose time jumps to the next timer when nothing is left to do, and clocks that follow it.

Whatever waits (sleeps, time-outs, pauses between retries) waits in virtual time. Work that would go to a thread is done where it
was asked for, so that one run is one sequence of steps and the same seed gives the same sequence.
"""

from __future__ import annotations

import asyncio
import selectors
import uuid
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime, timedelta
from typing import Any

STEP_SECONDS = 1e-5  # what each step of the loop takes: whoever waits for the next instant would else wait for ever


class StalledError(RuntimeError):
    """Nothing is left to do and no timer is set: whoever waits would wait for ever."""


class _Jumping(selectors.SelectSelector):
    """In the place of waiting for sockets, of which there are none, time goes on to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StalledError("nothing will ever happen any more")
        self.seconds += max(STEP_SECONDS, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, which begins at zero."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-6  # so that a timer has come when time was moved to it, whatever floats make of that

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.seconds

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # the same to who awaits it
        """Do it here and now."""
        del executor
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is raised where the future is awaited
            future.set_exception(error)
        return future


class WorldClock:
    """The true time of a simulated world, or with `off_by` what one process takes for it."""

    def __init__(self, start: datetime, ids: str, loop: VirtualLoop) -> None:
        self._start = start
        self._loop = loop
        self._space = uuid.uuid5(uuid.NAMESPACE_OID, ids)
        self._ids = 0
        self.off_by = timedelta()

    def now(self) -> datetime:
        """The present moment, as this clock shows it."""
        return self._start + timedelta(seconds=self.monotonic()) + self.off_by

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    def random_id(self) -> str:
        """The next id of the row."""
        self._ids += 1
        return str(uuid.uuid5(self._space, str(self._ids)))
