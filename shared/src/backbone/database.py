"""One service's own database: a schema of PostgreSQL, or a SQLite file. The only place that begins and commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import asyncpg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from backbone.errors import ConfigurationError
from backbone.locks import FileLock, Holders, LockSession, SessionLock, process_name
from backbone.settings import Settings
from backbone.upsert import Upsert

Dialect = Literal["postgresql", "sqlite"]
SCRATCH_CACHE_KIB = 8_192
BUSY_TIMEOUT_MS = 30_000


# SQLSTATE classes and codes with which PostgreSQL says "not now": connection, login, database, resources, deadlock, lock or
# query timed out, shutting down or starting up, a transaction that idled too long.
_NOT_NOW = ("08", "28", "3D", "53", "40", "55P03", "57014", "57P", "25P03")
_NOT_THERE = ("42P01", "3F000", "42703")  # table, schema, column
_NO_RIGHT = "42501"
_SQLITE_NOT_THERE = ("no such table", "no such column", "has no column named")
_SQLITE_NOT_NOW = ("locked", "busy", "disk", "full", "unable to open", "readonly")

# All that using a database may raise. Connecting raises the driver's own, bare.
# A server that is killed in the middle of an answer leaves the driver in a state from which it says that it cannot go on.
DATABASE_ERRORS: Final = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


def is_away(error: BaseException) -> bool:
    """Say whether an error means that the database does not answer now, rather than that it refuses what was asked."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated or isinstance(getattr(error.orig, "__cause__", None), asyncpg.InternalClientError):
            return True
        if isinstance(error, OperationalError) and any(word in str(error.orig) for word in _SQLITE_NOT_NOW):
            return True
        return str(getattr(error.orig, "sqlstate", None) or "").startswith(_NOT_NOW)
    if isinstance(error, asyncpg.PostgresError):  # connecting raises these bare
        return str(error.sqlstate or "").startswith(_NOT_NOW)
    return isinstance(error, (OSError, TimeoutError, PoolTimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError))


def is_at_its_limit(error: BaseException) -> bool:
    """Say whether PostgreSQL answers, and has no connection, memory or disk left for what was asked."""
    state = getattr(error, "sqlstate", None) or getattr(getattr(error, "orig", None), "sqlstate", None)
    return str(state or "").startswith("53")


def is_not_migrated(error: BaseException) -> bool:
    """Say whether an error means that a schema, table or column is not there, as before `kruispost migrate`."""
    if not isinstance(error, DBAPIError):
        return False
    words = str(error.orig)
    return getattr(error.orig, "sqlstate", None) in _NOT_THERE or any(each in words for each in _SQLITE_NOT_THERE)


def is_refused(error: BaseException) -> bool:
    """Say whether an error means that PostgreSQL gives the role no right to what was asked."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == _NO_RIGHT


def schema_of(service: str) -> str:
    """Return the schema, the file name and the package of a service: `exact-writer` is exact_writer."""
    return service.replace("-", "_")


class Database:
    """The database of one service.

    On PostgreSQL each service has its own schema (the connections' search_path); on SQLite its own file, with one writer at a
    time, since SQLite has one anyway and waiting in line beats failing on a lock.
    """

    def __init__(self, service: str, dialect: Dialect, writer: AsyncEngine, reader: AsyncEngine, data_dir: Path) -> None:
        self.service = service
        self.schema = schema_of(service)
        self.dialect: Dialect = dialect
        self._writer = writer
        self._reader = reader
        self._data_dir = data_dir
        self._locks = LockSession(reader, f"kruispost/{self.schema}")
        self._turn = asyncio.Lock()
        self._writing_task: asyncio.Task[Any] | None = None

    @classmethod
    def open(cls, settings: Settings, service: str, *, is_scratch: bool = False) -> Database:
        """Prepare the engines; the first use connects. Raises ConfigurationError for an unusable database_url.

        `is_scratch` is for a SQLite file that is filled once and need not outlive a loss of power, such as a replay's.
        """
        if settings.database_url is None:
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = settings.data_dir / f"{schema_of(service)}.sqlite"
            writer = _sqlite_engine(path, begin="BEGIN IMMEDIATE", query_only=False, pool_size=1, is_scratch=is_scratch)
            reader = _sqlite_engine(path, begin="BEGIN", query_only=True, pool_size=settings.database_pool_size)
            return cls(service, "sqlite", writer, reader, settings.data_dir)
        url = make_url(settings.database_url)
        if url.get_backend_name() not in {"postgresql", "postgres"}:
            raise ConfigurationError("KRUISPOST_DATABASE_URL must start with postgresql://; unset it to use SQLite.")
        url = url.set(drivername="postgresql+asyncpg")
        size = settings.database_pool_size
        process = process_name(service)
        writer = _postgresql_engine(url, service, process, size, reading=False)
        reader = _postgresql_engine(url, service, process, size, reading=True)
        return cls(service, "postgresql", writer, reader, settings.data_dir)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Everything done on the connection is committed together at the end, or not at all when the block raises."""
        if self.dialect == "postgresql":
            async with self._writer.begin() as connection:
                yield connection
            return
        if self._writing_task is asyncio.current_task():
            raise RuntimeError("this task is already inside a transaction of this database; use that connection")
        async with self._turn:
            self._writing_task = asyncio.current_task()
            try:
                async with self._writer.begin() as connection:
                    yield connection
            finally:
                self._writing_task = None

    async def run_alone(self, statement: str, *arguments: object) -> list[Any]:
        """Run one statement of PostgreSQL as a transaction of its own and return its rows; SQLite has no such shortcut.

        The driver does it in one round trip where a transaction takes three, which halves the time of a small commit.
        """
        async with self._writer.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            try:
                rows: list[Any] = await driver.fetch(statement, *arguments)
            except BaseException:
                await connection.invalidate()  # the pool cannot see whether the connection survived
                raise
            return rows

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection that can only read. On PostgreSQL each statement sees what is committed when it starts."""
        async with self._reader.connect() as connection:
            yield connection

    def insert(self, table: sa.Table) -> Upsert:
        """Return an INSERT that knows on_conflict_do_nothing and on_conflict_do_update."""
        return Upsert(table)

    async def try_lock(self, name: str) -> SessionLock | FileLock | None:
        """Take the lock `name` of this service, held across transactions until released or the process dies.

        Returns None when another process holds it. On PostgreSQL it is a session lock: it is lost with its connection, and with
        a process that hangs for more than some seconds, so ask `still_held()` before relying on it.
        """
        if self.dialect == "sqlite":
            return FileLock.take(self._data_dir / f"{self.schema}.{name}.lock")
        return await self._locks.take(name)

    async def join(self, name: str) -> SessionLock | None:
        """Be counted under a name with every other process of this service that is there; None on SQLite, where there is one."""
        return None if self.dialect == "sqlite" else await self._locks.take(name, is_shared=True)

    async def holders(self, names: Sequence[str]) -> Holders | None:
        """Say which processes hold these locks; None on SQLite, where there is one process and nothing to share."""
        return None if self.dialect == "sqlite" else await self._locks.holders(names)

    async def hosts_holding(self, names: Sequence[str]) -> list[str]:
        """Name the machines of other processes that hold one of these locks; SQLite's are all on this one, and it names none."""
        return [] if self.dialect == "sqlite" else await self._locks.hosts(names)

    async def close(self) -> None:
        """Close all connections, and give back every lock."""
        await self._locks.close()
        await self._writer.dispose()
        await self._reader.dispose()


def _postgresql_engine(url: sa.URL, service: str, process: str, size: int, *, reading: bool) -> AsyncEngine:
    server_settings = {
        "search_path": schema_of(service),
        "application_name": process,
        "timezone": "UTC",
        # The server guesses a page of a large table to be all of it, and would compile the statement for longer than it runs.
        "jit": "off",
        # A process that hangs inside a transaction would hold back every reader of the event logs.
        "idle_in_transaction_session_timeout": "60000",
        # A machine that vanished does not say goodbye: the server finds out within 11 seconds and gives its locks back.
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
    }
    if reading:
        server_settings["default_transaction_read_only"] = "on"
    return create_async_engine(
        url,
        pool_size=size,
        max_overflow=size,
        pool_pre_ping=reading,
        pool_recycle=1800,
        hide_parameters=True,  # a failing statement must not carry customers into the logs
        isolation_level="AUTOCOMMIT" if reading else "READ COMMITTED",
        connect_args={"server_settings": server_settings, "timeout": 10, "command_timeout": 60},
    )


def _sqlite_engine(path: Path, *, begin: str, query_only: bool, pool_size: int, is_scratch: bool = False) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=pool_size, max_overflow=0, hide_parameters=True)

    def connected(connection: Any, _record: Any) -> None:
        # The driver must not begin by itself: it would begin late and without the write lock.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            f"synchronous = {'OFF' if is_scratch else 'FULL'}",
            # Ids are hashes, so each write is somewhere else in an index, of which a long history has more than fits the default;
            # eight times this saves nothing more, and is memory.
            *((f"cache_size = -{SCRATCH_CACHE_KIB}",) if is_scratch else ()),
            "foreign_keys = ON",
            f"query_only = {'ON' if query_only else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", begun)
    return engine
