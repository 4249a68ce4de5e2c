"""A command that dies, as by kill -9, before and after its commits in turn, and is given again until it goes through."""

from __future__ import annotations

import gc
import os
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database

MOST_COMMITS = 100
# Each commit in `make chaos`; in `make test` the first, the second, the fourth and so on.
EVERYWHERE = os.environ.get("KRUISPOST_CHAOS") == "everywhere"


class CommandKilledError(BaseException):
    """The command is dead. No `except Exception` may catch it, as none could catch a kill."""


@contextmanager
def dying_at(number: int, *, after: bool) -> Iterator[None]:
    """Let the command that runs in a thread of its own die at its nth commit; the services of this thread live on."""
    transaction, commits = Database.transaction, 0

    @asynccontextmanager
    async def deadly(database: Database) -> AsyncIterator[AsyncConnection]:
        nonlocal commits
        is_command = threading.current_thread() is not threading.main_thread()
        async with transaction(database) as connection:
            yield connection
            commits += is_command
            if is_command and commits == number and not after:
                raise CommandKilledError
        if is_command and commits == number and after:
            raise CommandKilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "transaction", deadly)
        yield


async def killed_at_each_commit(give: Callable[[], Awaitable[Any]]) -> int:
    """Give a command until it goes through, dying once before and once after its first commit, then a later one, and so on.

    Returns how often it died.
    """
    deaths = 0
    number = 1
    while number < MOST_COMMITS:
        for after in (False, True):
            if not await _dies(give, number, after=after):
                return deaths
            deaths += 1
        number = number + 1 if EVERYWHERE else 2 * number
    raise AssertionError(f"it does not end after {deaths} deaths")


async def _dies(give: Callable[[], Awaitable[Any]], number: int, *, after: bool) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the dead close nothing
        try:
            with dying_at(number, after=after):
                await give()
        except CommandKilledError:
            is_dead = True
        else:
            is_dead = False
        gc.collect()
    return is_dead
