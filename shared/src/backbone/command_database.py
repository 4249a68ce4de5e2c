"""A service's own database from a command line; no service needs to run for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from backbone.database import Database, is_at_its_limit, is_away, is_not_migrated, is_refused, schema_of
from backbone.errors import KruispostError, reason_of
from backbone.migrations import NOT_MIGRATED
from backbone.settings import Settings

CHECK_AND_MIGRATE = "check KRUISPOST_DATABASE_URL or KRUISPOST_DATA_DIR, and run `kruispost migrate`"
_BUSY = "the server has no room for it now: try again in a minute, or give it more (max_connections, disk)"
_NO_RIGHT = "take a role with the rights of all, or give this one its own: `kruispost roles` prints them"
Result = TypeVar("Result")


class UnreadableError(KruispostError):
    """A service's database is not there or does not answer."""

    def __init__(self, sentence: str) -> None:
        super().__init__("database_unreadable", sentence)


def with_database(settings: Settings, service: str, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Do something with a service's database; raises UnreadableError where it is not there or does not answer."""
    check_installed(settings, service)

    async def run() -> Result:
        database = Database.open(settings, service)
        try:
            return await work(database)
        finally:
            await database.close()

    return run_command(run(), f"The database of {service} cannot be used", CHECK_AND_MIGRATE)


def run_command(work: Coroutine[Any, Any, Result], cannot: str, remedy: str = "check its address, then try again") -> Result:
    """Do a command's work; raises UnreadableError, in the words of `cannot` and `remedy`, where a database fails it."""
    try:
        return asyncio.run(work)
    except Exception as error:
        if isinstance(error, KruispostError) or not (is_away(error) or isinstance(error, SQLAlchemyError)):
            raise
        if is_not_migrated(error):
            raise UnreadableError(f"{cannot}: {NOT_MIGRATED}") from error
        if is_refused(error):
            raise UnreadableError(f"{cannot} ({reason_of(error)}); {_NO_RIGHT}.") from error
        raise UnreadableError(f"{cannot} ({reason_of(error)}); {_BUSY if is_at_its_limit(error) else remedy}.") from error


def check_installed(settings: Settings, service: str) -> None:
    """Raise UnreadableError where there is no database; opening a SQLite file would make an empty one."""
    file = settings.data_dir / f"{schema_of(service)}.sqlite"
    if settings.database_url is None and not file.exists():
        raise UnreadableError(
            f"There is no installation here: {file} does not exist. Set KRUISPOST_DATA_DIR or KRUISPOST_DATABASE_URL, or start "
            "one with `kruispost run`."
        )
