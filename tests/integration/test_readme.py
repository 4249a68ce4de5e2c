"""What the README shows of `plan`, `explain` and `diff` is what they print on the month of `make demo`."""

import asyncio
import re
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from support.command_line import environment
from support.engines import database_for, settings_for
from support.exact_server import exact_server
from support.mapper_stage import Stage
from support.played_month import heard_in_month
from support.writer_stage import log_in, writer_environment
from typer.testing import CliRunner

from backbone.configuration import load_configuration
from backbone.database import Database
from backbone.migrations import migrate
from console.cli import app
from console.demo import DemoOptions
from contracts.envelope import Envelope

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DEMO = ROOT / "console/src/console/demo_configuration.yaml"
DOCUMENTS = DemoOptions().documents
# A block of the README: the command after the prompt, and what it prints until the fence ends.
SHOWN = re.compile(
    r"^    \$ kruispost (?P<command>(?:plan|explain|diff)[^\n]*)\n(?P<output>(?:    [^\n]*\n|\n(?=    [^$]))*)", re.MULTILINE
)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory of a mapper that has heard the month, all of it posted."""
    directory = tmp_path_factory.mktemp("readme")
    (directory / "kruispost.yaml").write_text(DEMO.read_text())
    (edit,) = re.findall(r"^    \$ sed '([^']+)' var/demo/kruispost.yaml > new.yaml$", README, re.MULTILINE)
    changed = subprocess.run(["sed", edit, DEMO], capture_output=True, text=True, check=True).stdout
    assert changed != DEMO.read_text()
    (directory / "new.yaml").write_text(changed)

    async def play() -> None:
        async with database_for("sqlite", directory / "data", "mapper") as database:
            stage = Stage(database, load_configuration(DEMO))
            async with database.transaction() as connection:
                for number, fact in enumerate(heard_in_month(42, DOCUMENTS)):
                    now, identity = datetime(2026, 10, 1, tzinfo=UTC), f"fact-{number}"
                    cause = Envelope(
                        id=identity,
                        type=fact.TYPE,
                        version=1,
                        source="ingest",
                        subject=identity,
                        time=now,
                        key="acme-test",
                        correlation=identity,
                        data=msgspec.Raw(b"{}"),
                    )
                    await stage.mapper.handle(connection, cause, fact)
            await stage.post_all()

    asyncio.run(play())
    return directory


def shown(installation: Path, command: str) -> list[str]:
    done = CliRunner().invoke(
        app, shlex.split(command.replace("new.yaml", str(installation / "new.yaml"))), env=environment(installation)
    )
    assert done.exit_code in (0, 1), done.output
    return _as_compared(done.stdout.strip())


def _as_compared(text: str) -> list[str]:
    """Return the lines without the version of the mapping, which changes with every key that a division may have.

    Nor with how many documents were compared: among those are the payments that the demo records in Chargebee by itself.
    """
    text = re.sub(r"^\d+ documents compared", "... documents compared", text, flags=re.MULTILINE)
    return [re.sub(r"version [0-9a-f]{12}", "version ...", line).rstrip() for line in text.splitlines()]


def test_the_readme_shows_what_the_commands_print(installation: Path):
    blocks = list(SHOWN.finditer(README))
    assert {block["command"].split()[0] for block in blocks} == {"plan", "explain", "diff"}
    for block in blocks:
        told = re.sub("^    ", "", block["output"].strip("\n"), flags=re.MULTILINE)
        assert shown(installation, block["command"]) == _as_compared(told), block["command"]


async def test_the_readme_shows_what_the_doctor_finds(tmp_path: Path):
    """Its lines are folded there, so only the words are compared."""
    text = DEMO.read_text().replace('item: handbook }, account: "8010"', 'item: handbook }, account: "8011"')
    (tmp_path / "kruispost.yaml").write_text(text.replace('rate: 21 }, code: "2"', 'rate: 21 }, code: "4"'))
    async with exact_server() as server:
        async with settings_for("sqlite", tmp_path / "data", **writer_environment(server.url)) as settings:
            database = Database.open(settings, "exact-writer")
            await migrate(database, "exact-writer")
            await log_in(server, settings, database)
            await database.close()
        values = {f"KRUISPOST_{name.upper()}": str(value) for name, value in writer_environment(server.url).items()}
        surroundings = environment(tmp_path, {**values, "KRUISPOST_PORT": "9"})
        done = await asyncio.to_thread(CliRunner().invoke, app, ["doctor", "--live"], env=surroundings)
    found = " ".join(line for line in done.stdout.replace(f"{tmp_path}/", "").splitlines() if "FIX kruispost.yaml:" in line)
    shown_there = README.split("$ kruispost doctor --live\n")[1].split("\n\n")[0]
    assert found.split() == shown_there.split()
