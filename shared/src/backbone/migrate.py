"""`python -m backbone.migrate`: brings the database of every installed service up to date, then ends.

For platforms that migrate once before they start the services, which then run with KRUISPOST_MIGRATE_ON_START=false.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import sys

from pydantic import ValidationError

from backbone.application import ENTRY_POINTS
from backbone.database import DATABASE_ERRORS, Database
from backbone.errors import ConfigurationError, reason_of
from backbone.migrations import migrate
from backbone.process import EXIT_FAILED, EXIT_UNUSABLE
from backbone.settings import Settings
from backbone.telemetry import configure_logging, log


async def migrate_all(settings: Settings) -> None:
    """Migrate each service found by its entry point; raises ConfigurationError when a database is newer than this release."""
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        database = Database.open(settings, point.name)
        try:
            await migrate(database, point.name)
        finally:
            await database.close()
        log.info("database is up to date", service=point.name)


def main() -> int:
    """Return 0 when all are up to date, 1 when the database did not answer, 2 when it cannot be used."""
    try:
        settings = Settings()
        configure_logging(settings.log_format)
        asyncio.run(migrate_all(settings))
    except (ConfigurationError, ValidationError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_UNUSABLE
    except DATABASE_ERRORS as error:
        sys.stderr.write(
            f"The database did not answer ({reason_of(error)}); start it, or correct KRUISPOST_DATABASE_URL, and try again.\n"
        )
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
