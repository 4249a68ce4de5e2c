"""Bringing a service's database up to date: alembic revisions in the service's own package, run under a lock.

alembic is loaded only when something is migrated: it costs a quarter of a second at start.
"""

from __future__ import annotations

import asyncio
import importlib.util
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from backbone.database import Database, is_not_migrated, is_refused, schema_of
from backbone.errors import ConfigurationError, reason_of
from backbone.locks import advisory_key

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext, StampStep
    from alembic.script import ScriptDirectory
    from alembic.script.revision import Revision

VERSION_TABLE = "schema_version"
LOOK_SECONDS = 10.0  # a server that is silent for longer is away
# PostgreSQL shows a role without rights to a schema nothing of it, so that both look the same.
NOT_MIGRATED = (
    "its tables are not there, or are of another version; run `kruispost migrate` (where services have roles of their own: as the"
    " owner of the tables, and then what `kruispost roles` prints)."
)

# alembic keeps the running migration in a module-wide place, so two cannot run at once in one process.
_one_at_a_time: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = weakref.WeakKeyDictionary()


async def migrate(database: Database, service: str) -> None:
    """Create the schema if absent and run every revision that is not there yet, in one transaction.

    Raises ConfigurationError when the database is newer than this release, or the role may not make tables.
    """
    script = script_directory(service)
    lock = _one_at_a_time.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    try:
        async with lock, database.transaction() as connection:
            await connection.run_sync(_upgrade, script, schema_of(service))
    except DBAPIError as error:
        if not is_refused(error) and not is_not_migrated(error):
            raise
        raise ConfigurationError(
            f"The role of KRUISPOST_DATABASE_URL may not make the tables of {service} ({reason_of(error)}); run"
            " `kruispost migrate` with the address of their owner, and then what `kruispost roles` prints."
        ) from error


async def look_for_tables(database: Database) -> None:
    """Raise what reading raises where the tables are not there yet, or this role may not read them."""
    async with asyncio.timeout(LOOK_SECONDS), database.reading() as connection:
        await connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - a name of ours


def script_directory(service: str) -> ScriptDirectory:
    """Return the revisions of a service, found in its package without importing it."""
    from alembic.config import Config  # noqa: PLC0415 - late, see the module
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - late, see the module

    package = schema_of(service)
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"The service {service} is not installed; install the distribution that has the package {package}."
        )
    folder = Path(spec.submodule_search_locations[0]) / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def _upgrade(connection: sa.Connection, script: ScriptDirectory, schema: str) -> None:
    from alembic.config import Config  # noqa: PLC0415 - late, see the module
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415 - late, see the module
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - late, see the module

    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": advisory_key("kruispost/migrate")})
        known = connection.scalar(sa.text("SELECT 1 FROM pg_namespace WHERE nspname = :schema"), {"schema": schema})
        if not known:  # asked first, since a role of least privilege may not create schemas, and need not
            connection.execute(sa.schema.CreateSchema(schema))
    present = set(MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_heads())
    revisions = {revision.revision for revision in script.walk_revisions()}
    if present - revisions:
        raise ConfigurationError(
            f"The database of {schema} is at revision {', '.join(sorted(present))}, which this release does not know; "
            "run the release that made it, or a newer one."
        )
    if present == set(script.get_heads()):
        _keep_positions_growing(connection)
        return

    def upgrade(revision: str | tuple[str, ...], _context: MigrationContext) -> list[StampStep | Revision]:
        return script._upgrade_revs("heads", revision)  # type: ignore[return-value,arg-type]  # noqa: SLF001 - alembic's own commands do the same; there is no public name

    with EnvironmentContext(Config(), script, fn=upgrade) as environment:
        environment.configure(connection=connection, version_table=VERSION_TABLE)
        environment.run_migrations()
    _keep_positions_growing(connection)


def _keep_positions_growing(connection: sa.Connection) -> None:
    """After a restore into another cluster, lift the new cluster's transaction numbers over those in the log."""
    if connection.dialect.name != "postgresql":
        return
    connection.execute(
        sa.text(
            "UPDATE event_log_offset SET transaction_offset = transaction_offset + lag + 1 FROM ("
            " SELECT (SELECT coalesce(max(transaction_id), 0) FROM event_log)"
            "  - pg_snapshot_xmax(pg_current_snapshot())::text::bigint - transaction_offset AS lag FROM event_log_offset"
            ") AS compared WHERE lag >= 0"
        )
    )
