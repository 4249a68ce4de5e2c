"""A mirror of Exact's master data without the rest of the writer, against the Exact stand-in."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import sqlalchemy as sa
from support.engines import settings_for
from support.exact_server import DIVISION, ExactServer
from support.fast_sqlite import in_place, migrated
from support.writer_stage import CONFIGURATION, log_in, writer_environment

from backbone.clock import SystemClock
from backbone.database import Database
from backbone.telemetry import Telemetry
from exact_writer import receivables
from exact_writer.__main__ import login_of
from exact_writer.calls import DivisionCalls
from exact_writer.client import ExactClient
from exact_writer.mirror import Mirror
from exact_writer.tables import exact_accounts
from exact_writer.timing import Timing
from simulators.exact import master_data
from simulators.exact.world import Division


class MirrorStage:
    """A mirror without the rest of the writer, and the division that it follows."""

    def __init__(self, server: ExactServer, database: Database, calls: DivisionCalls) -> None:
        self.server = server
        self.database = database
        self.calls = calls
        self.clock = SystemClock()
        self.mirror = Mirror(DIVISION, CONFIGURATION.divisions[DIVISION], database=database, clock=self.clock, calls=calls)

    @property
    def division(self) -> Division:
        """The division in Exact."""
        return self.server.simulator.world.divisions[DIVISION]

    def add_accounts(self, count: int) -> list[uuid.UUID]:
        """Accounts that a controller made by hand."""
        bodies = [{"Name": f"Relatie {number}", "Status": "C", "SearchCode": f"R{number}"} for number in range(count)]
        return [master_data.create_account(self.division, body)["ID"] for body in bodies]

    async def count(self) -> int:
        """How many accounts the mirror has."""
        async with self.database.reading() as connection:
            return int(await connection.scalar(sa.select(sa.func.count()).select_from(exact_accounts)) or 0)

    async def asked(self, endpoint: str) -> int:
        """How many calls went to an endpoint."""
        return int((await self.server.calls())["by_endpoint"].get(endpoint, 0))

    async def poll(self) -> int:
        """Read what changed of payment terms; how many receivables were told."""
        return await receivables.poll(DIVISION, self.database, self.clock, self.calls, self.mirror)

    async def knows(self, search_code: str) -> bool:
        """Whether the mirror finds an account by its search code."""
        return bool(await self.mirror.accounts.find("search_code", search_code))


@asynccontextmanager
async def mirror_stage(server: ExactServer, directory: Path, dialect: str = "sqlite") -> AsyncIterator[MirrorStage]:
    """A mirror that has read nothing yet."""
    async with settings_for(dialect, directory, **writer_environment(server.url)) as settings:
        database, clock, telemetry = Database.open(settings, "exact-writer"), SystemClock(), Telemetry("exact-writer")
        client = ExactClient(settings.exact_url, Timing.of(settings))
        if dialect == "sqlite":
            in_place(database)
        try:
            await migrated(database, "exact-writer")
            await log_in(server, settings, database)
            login = login_of(settings, database, clock, telemetry, client)
            calls = DivisionCalls(
                DIVISION,
                database=database,
                clock=clock,
                client=client,
                login=login,
                telemetry=telemetry,
                timing=Timing.of(settings),
            )
            await calls.load()
            stage = MirrorStage(server, database, calls)
            await stage.mirror.load()
            yield stage
        finally:
            await client.close()
            await database.close()
