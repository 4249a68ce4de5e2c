"""The writer's database, opened by a command that somebody gives beside the running writer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.configuration import Configuration, load_configuration
from backbone.database import Database, is_away, schema_of
from backbone.errors import KruispostError, reason_of
from backbone.settings import Settings

SERVICE: Final = "exact-writer"
Found = TypeVar("Found")


def in_the_writers_database(what: Callable[[Database, AsyncConnection, Configuration], Awaitable[Found]]) -> Found:
    """Do something in one transaction and return what came of it; raises KruispostError where there is no database."""
    return asyncio.run(do_in_the_writers_database(what))


async def do_in_the_writers_database(
    what: Callable[[Database, AsyncConnection, Configuration], Awaitable[Found]],
) -> Found:
    """The same, for who is in an event loop already."""
    settings = Settings()
    configuration = load_configuration(settings.config)
    file = settings.data_dir / f"{schema_of(SERVICE)}.sqlite"
    if settings.database_url is None and not file.exists():
        sentence = f"There is no installation here: {file} does not exist. Set KRUISPOST_DATA_DIR or KRUISPOST_DATABASE_URL."
        raise KruispostError("database_unavailable", sentence)
    database = Database.open(settings, SERVICE)
    try:
        async with database.transaction() as connection:
            return await what(database, connection, configuration)
    except Exception as error:
        if not is_away(error) and not isinstance(error, SQLAlchemyError):
            raise
        sentence = f"The writer's database cannot be used ({reason_of(error)}); check its address and run `kruispost migrate`."
        raise KruispostError("database_unavailable", sentence) from error
    finally:
        await database.close()
