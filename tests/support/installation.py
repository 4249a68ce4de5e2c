"""A mapper on either database that has heard something, and the command line beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from support.command_line import environment, kruispost_here
from support.engines import settings_for
from support.fast_sqlite import in_place, migrated
from support.mapper_stage import CONFIGURATION, Stage
from typer.testing import CliRunner

from backbone.database import Database
from console.cli import app


class Installation:
    """A mapper that has heard something, and the command line beside it."""

    def __init__(self, stage: Stage, directory: Path, settings: dict[str, str]) -> None:
        self.stage = stage
        self.directory = directory
        self.settings = settings
        self.write(directory / "kruispost.yaml")

    def write(self, path: Path, **changes: Any) -> Path:
        """Write the test's configuration with these changes to its division."""
        data = CONFIGURATION.model_dump(mode="json", exclude_none=True, exclude_unset=True)
        data["divisions"] = {100001: {**data["divisions"]["100001"], **changes}}
        path.write_text(yaml.safe_dump(data))
        return path

    async def run(self, *arguments: str) -> Any:
        """Run the command line."""
        return await asyncio.to_thread(kruispost_here, *arguments, directory=self.directory, settings=self.settings)

    async def json(self, *arguments: str) -> tuple[int, Any]:
        """Run it in this process, which is quicker."""
        environment_ = environment(self.directory, self.settings)
        done = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"], env=environment_)
        assert done.stderr == ""
        return done.exit_code, json.loads(done.stdout)


@asynccontextmanager
async def installation(dialect: str, directory: Path) -> AsyncIterator[Installation]:
    """Give a mapper with an empty database of this dialect."""
    async with settings_for(dialect, directory / "data") as settings:
        database = Database.open(settings, "mapper")
        if dialect == "sqlite":
            in_place(database)
        try:
            await migrated(database, "mapper")
            url = {} if settings.database_url is None else {"KRUISPOST_DATABASE_URL": settings.database_url}
            yield Installation(Stage(database, CONFIGURATION), directory, url)
        finally:
            await database.close()
