"""A payment-matcher, and `kruispost matches` beside it on the same database."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import yaml
from support.command_line import environment
from support.matcher_stage import Stage
from typer.testing import CliRunner

from backbone.clock import SystemClock
from console.cli import app

LINK = "https://exact.example/entry?d={division}&id={entry_id}"
SETTINGS: dict[str, Any] = {"tolerances": {"EUR": 2}, "entry_link": LINK}


class Desk:
    """A matcher, and the command line beside it."""

    def __init__(self, stage: Stage, directory: Path) -> None:
        self.stage = stage
        url = {} if stage.url is None else {"KRUISPOST_DATABASE_URL": stage.url}
        self.environment = environment(directory, {"KRUISPOST_DATA_DIR": str(directory), **url})
        configuration = stage.configuration.model_dump(mode="json", exclude_none=True, exclude_unset=True)
        (directory / "kruispost.yaml").write_text(yaml.safe_dump(configuration))

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code and what was printed."""
        done = await asyncio.to_thread(CliRunner().invoke, app, ["matches", *arguments], env=self.environment)
        assert done.stderr == "", done.stderr
        return done.exit_code, done.stdout

    async def work(self) -> None:
        """Let the matcher carry out what was decided; the command line goes by the clock on the wall."""
        ahead = (SystemClock().now() - self.stage.clock.now()).total_seconds()
        self.stage.clock.advance(max(0.0, ahead) + 1)
        await self.stage.work()

    async def json(self, *arguments: str) -> tuple[int, Any]:
        """Return the exit code and what was printed for machines."""
        code, printed = await self.run(*arguments, "--json")
        return code, json.loads(printed)
