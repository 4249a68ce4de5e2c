"""Reading what the mapper keeps from a command line: its own database, nothing written, no service needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from backbone.command_database import CHECK_AND_MIGRATE, check_installed, run_command
from backbone.database import Database
from backbone.errors import ConfigurationError
from backbone.settings import Settings
from bookkeeping.mapping import Mapping
from mapper.history import PagedStore

SERVICE = "mapper"
Result = TypeVar("Result")


async def asked(settings: Settings, question: Callable[[PagedStore], Awaitable[Result]]) -> Result:
    """Put a question as `ask` does, where a loop runs already; raises UnreadableError, or what the database raises."""
    check_installed(settings, SERVICE)
    return await _ask(settings, question)


def ask(settings: Settings, question: Callable[[PagedStore], Awaitable[Result]]) -> Result:
    """Put a question to the mapper's database on a connection that can only read; raises UnreadableError."""
    check_installed(settings, SERVICE)
    return run_command(_ask(settings, question), "The mapper's database cannot be read", CHECK_AND_MIGRATE)


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
