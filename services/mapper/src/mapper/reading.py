"""Reading what the mapper keeps from a command line: its own database, nothing written, no service needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from backbone.database import Database, is_away, schema_of
from backbone.errors import ConfigurationError, KruispostError
from backbone.settings import Settings
from bookkeeping.mapping import Mapping
from mapper.history import PagedStore

SERVICE = "mapper"
CHECK_AND_MIGRATE = "check KRUISPOST_DATABASE_URL or KRUISPOST_DATA_DIR, and run `kruispost migrate`"
Result = TypeVar("Result")


class UnreadableError(KruispostError):
    """The mapper's database is not there or does not answer."""

    def __init__(self, sentence: str) -> None:
        super().__init__("database_unreadable", sentence)


def ask(settings: Settings, question: Callable[[PagedStore], Awaitable[Result]]) -> Result:
    """Put a question to the mapper's database on a connection that can only read; raises UnreadableError."""
    check_installed(settings)
    return run_command(_ask(settings, question), "The mapper's database cannot be read", CHECK_AND_MIGRATE)


def run_command(work: Coroutine[Any, Any, Result], cannot: str, remedy: str = "check its address, then try again") -> Result:
    """Do a command's work; raises UnreadableError, in the words of `cannot` and `remedy`, where a database fails it."""
    try:
        return asyncio.run(work)
    except Exception as error:
        if isinstance(error, KruispostError) or not (is_away(error) or isinstance(error, SQLAlchemyError)):
            raise
        raise UnreadableError(f"{cannot} ({error}); {remedy}.") from error


def check_installed(settings: Settings) -> None:
    """Raise UnreadableError where there is no database; opening a SQLite file would make an empty one."""
    file = settings.data_dir / f"{schema_of(SERVICE)}.sqlite"
    if settings.database_url is None and not file.exists():
        raise UnreadableError(
            f"There is no installation here: {file} does not exist. Set KRUISPOST_DATA_DIR or KRUISPOST_DATABASE_URL, or start "
            "one with `kruispost run`."
        )


async def _ask(settings: Settings, question: Callable[[PagedStore], Awaitable[Result]]) -> Result:
    database = Database.open(settings, SERVICE)
    try:
        async with database.reading() as connection:
            return await question(PagedStore(database, connection))
    finally:
        await database.close()


def chosen(mappings: dict[int, Mapping], division: int | None) -> Mapping:
    """Return the mapping of the division that is asked for, or of the only one; raises ConfigurationError."""
    if division is None and len(mappings) == 1:
        return next(iter(mappings.values()))
    if division is None or division not in mappings:
        known = ", ".join(map(str, sorted(mappings)))
        raise ConfigurationError(f"Name one of the divisions of kruispost.yaml with --division: {known}.")
    return mappings[division]
