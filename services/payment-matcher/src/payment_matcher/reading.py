"""The matcher's own database from a command line; no service needs to run for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from backbone.database import Database, is_away, schema_of
from backbone.errors import KruispostError
from backbone.settings import Settings
from payment_matcher.decisions import SOURCE

Result = TypeVar("Result")


class MatchesError(KruispostError):
    """What was asked of `kruispost matches` cannot be done; the sentence says why."""


def with_database(settings: Settings, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Do something with the matcher's database; raises MatchesError where it is not there or does not answer."""
    file = settings.data_dir / f"{schema_of(SOURCE)}.sqlite"
    if settings.database_url is None and not file.exists():
        # Opening a SQLite file would make an empty one.
        raise MatchesError(
            "database_unreadable",
            f"There is no installation here: {file} does not exist. Set KRUISPOST_DATA_DIR or KRUISPOST_DATABASE_URL, or start "
            "one with `kruispost run`.",
        )

    async def run() -> Result:
        database = Database.open(settings, SOURCE)
        try:
            return await work(database)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except Exception as error:
        if not is_away(error) and not isinstance(error, SQLAlchemyError):
            raise
        raise MatchesError(
            "database_unreadable",
            f"The payment-matcher's database cannot be used ({error}); check its address, and run `kruispost migrate`.",
        ) from error
