"""Processes that live in one event loop and can each die as by kill -9: what is not in a file is gone, and nothing else happens.

Everything durable that a process touches (its database, the broker, its locks, its calls) goes through its `Life`. Once that has
ended, every touch raises `KilledError`, so that what still unwinds in memory leaves no trace.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from support.virtual_time import WorldClock

if TYPE_CHECKING:
    from support.mortal_stores import Session

Result = TypeVar("Result")
SILENT_SECONDS = 8.0  # as backbone.locks has it
IDLE_TRANSACTION_SECONDS = 60.0  # as backbone.database asks of the server
WRITERS_TURN_SECONDS = 0.5
_living: ContextVar[Life | None] = ContextVar("the process that runs", default=None)


class KilledError(BaseException):
    """The process is dead. No `except Exception` may catch it, as none could catch a kill."""


class Troubles:
    """What is wrong with the ground that a process stands on, and how long things take there, in virtual seconds."""

    def __init__(self, luck: random.Random) -> None:
        self.luck = luck
        self.slow_seconds = 0.02  # the longest that a transaction or a call of the broker takes
        self.full_disk_until = 0.0
        self.commit_fails_per_mille = 0
        self.broker_fails_per_mille = 0


class Ground:
    """What all processes of a world share: their locks, and whose turn it is to write into which file."""

    def __init__(self) -> None:
        self.locks: dict[str, Life] = {}
        self.members: dict[str, dict[int, Life]] = {}  # of locks that do not exclude
        self.writing: dict[str, Life] = {}
        self.watch: Callable[[Life, str], None] | None = None  # hears of every commit, publishing, ack and call, before and after
        self._lives = 0

    def number(self) -> int:
        """The next number of a session."""
        self._lives += 1
        return self._lives

    def holder(self, name: str) -> Life | None:
        """Who has a lock, after the sessions of a process that hangs were ended."""
        holder = self.locks.get(name)
        return None if holder is None or self._is_gone(holder) else holder

    def of(self, name: str) -> dict[int, Life]:
        """Who is counted under a name."""
        members = list(self.members.get(name, {}).items())  # who is gone leaves them
        return {number: life for number, life in members if not self._is_gone(life)}

    def _is_gone(self, life: Life) -> bool:
        if not life.is_over and life.silent_seconds() <= SILENT_SECONDS:
            return False
        life.end_sessions()
        self.locks = {name: holder for name, holder in self.locks.items() if holder is not life}
        for lives in self.members.values():
            lives.pop(life.number, None)
        return True


class Life:
    """One process from its start to its end."""

    def __init__(self, name: str, clock: WorldClock, troubles: Troubles, ground: Ground) -> None:
        self.name, self.clock, self.troubles, self.ground = name, clock, troubles, ground
        self.number = ground.number()
        self.is_over = False
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._connections: list[sqlite3.Connection] = []
        self._sessions: list[Session] = []
        self._still_since: float | None = None
        self._put_off: list[asyncio.Handle] = []
        self._writing: Counter[str] = Counter()

    def spawn(self, work: Coroutine[Any, Any, Result], name: str = "") -> asyncio.Task[Result]:
        """Begin some work of this process; what it begins belongs to the process, too."""
        context = copy_context()
        context.run(_living.set, self)
        return asyncio.get_running_loop().create_task(work, name=name or None, context=context)

    def owns(self, task: asyncio.Task[Any]) -> None:
        """Note a task, so that it ends with the process."""
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (self.is_over or isinstance(task.exception(), KilledError)):
            task.exception()  # nobody asks for it any more

    def touch(self) -> None:
        """Fail when the process is dead."""
        if self.is_over:
            raise KilledError(self.name)

    def passes(self, step: str) -> None:
        """Come by a step at which something durable happens, or has just happened; the process may die there."""
        self.touch()
        if self.ground.watch is not None:
            self.ground.watch(self, step)

    def opened(self, connection: sqlite3.Connection, session: Session | None = None) -> None:
        """Note a connection, whose transaction is undone when the process dies."""
        self.touch()
        self._connections.append(connection)
        if session is not None:
            self._sessions.append(session)

    def end_sessions(self) -> None:
        """Undo what it has not committed, as the server does with the sessions of a process that hangs."""
        for session in self._sessions:
            session.end()

    def stand_still(self) -> None:
        """Stop where it is, as by SIGSTOP: whatever it would do waits until `go_on`."""
        if not self.is_over and self._still_since is None:
            self._still_since = self.clock.monotonic()

    def go_on(self) -> None:
        """Do what waited, in its order."""
        self._still_since = None
        waited, self._put_off = self._put_off, []
        ready: Any = asyncio.get_running_loop()
        ready._ready.extend(waited)

    def silent_seconds(self) -> float:
        """For how long it has been standing still."""
        return 0.0 if self._still_since is None else self.clock.monotonic() - self._still_since

    def puts_off(self, handle: asyncio.Handle) -> bool:
        """Whether it stands still, and does this later."""
        if self._still_since is not None:
            self._put_off.append(handle)
        return self._still_since is not None

    async def takes_a_moment(self) -> None:
        """Let some time pass, as whatever is done outside of the process does."""
        await asyncio.sleep(self.troubles.luck.random() * self.troubles.slow_seconds)
        self.touch()

    def lock(self, name: str) -> MortalLock | None:
        """Take a lock that ends with the process; None when another one, or another part of this one, has it."""
        self.touch()
        if self.ground.holder(name) is not None:
            return None
        self.ground.locks[name] = self
        return MortalLock(self, name)

    def join(self, name: str) -> MortalLock | None:
        """Be counted under a name, beside others."""
        self.touch()
        members = self.ground.members.setdefault(name, {})
        if self.number in members:
            return None
        members[self.number] = self
        return MortalLock(self, name, is_shared=True)

    async def takes_turn(self, file: str) -> None:
        """Wait until no other process writes into a file; one that hangs within its transaction is ended."""
        while (writer := self.ground.writing.get(file)) not in (None, self):
            if writer.is_over or writer.silent_seconds() > IDLE_TRANSACTION_SECONDS:
                writer.end_sessions()
                break
            await asyncio.sleep(WRITERS_TURN_SECONDS)
            self.touch()
        self.ground.writing[file] = self
        self._writing[file] += 1

    def gives_turn(self, file: str) -> None:
        """Let another process write."""
        self._writing[file] -= 1
        if not self._writing[file] and self.ground.writing.get(file) is self:
            del self.ground.writing[file]

    def end(self) -> None:
        """Die at once. Whatever of the process runs now gets a KilledError at its next touch, and a cancellation."""
        self.is_over = True
        self.go_on()  # to its end
        for connection in self._connections:
            connection.close()
        current = asyncio.current_task()
        for task in list(self._tasks):
            if task is not current:
                task.cancel()

    async def buried(self) -> None:
        """Wait until nothing of it runs any more."""
        for _ in range(100):
            left = [task for task in self._tasks if task is not asyncio.current_task()]
            if not left:
                return
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=1.0)
        raise AssertionError(f"{self.name} does not die: {list(self._tasks)}")


class MortalLock:
    """A lock that its process holds until released, dead, or taken from it since it hung."""

    def __init__(self, life: Life, name: str, *, is_shared: bool = False) -> None:
        self._life, self._name, self._is_shared = life, name, is_shared

    async def still_held(self) -> bool:
        """Whether it was not taken by another process since."""
        self._life.touch()
        return self._is_held

    @property
    def _is_held(self) -> bool:
        ground = self._life.ground
        if self._is_shared:
            return self._life.number in ground.members.get(self._name, {})
        return ground.locks.get(self._name) is self._life

    async def release(self) -> None:
        """Give it back."""
        ground = self._life.ground
        if self._is_shared:
            ground.members.get(self._name, {}).pop(self._life.number, None)
        elif self._is_held:
            del ground.locks[self._name]


def living() -> Life | None:
    """The process whose code runs now; None outside of all."""
    return _living.get()


def run_unless_still(run: Callable[[asyncio.Handle], None]) -> Callable[[asyncio.Handle], None]:
    """Have what belongs to a process that stands still done later."""

    def run_or_put_off(handle: asyncio.Handle) -> None:
        life: Life | None = handle._context.get(_living)  # type: ignore[attr-defined]  # what it runs in
        if life is None or not life.puts_off(handle):
            run(handle)

    return run_or_put_off


def task_of_a_life(loop: asyncio.AbstractEventLoop, coroutine: Any, **arguments: Any) -> asyncio.Task[Any]:
    """Make a task, and have it end with the process that begins it."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **arguments)
    context = arguments.get("context")
    life = context.get(_living) if context is not None else _living.get()
    if life is not None:
        life.owns(task)
    return task
