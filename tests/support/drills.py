"""A whole embedded installation between both stand-ins, that can lose what it has: for the drills of docs/operating.md."""

from __future__ import annotations

import asyncio
import atexit
import copy
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
import yaml
from support.chargebee_sim import RunningChargebee, running_chargebee
from support.command_line import environment
from support.exact_server import ExactServer, exact_server
from support.whole_month import DEMO, DIVISION, SITE
from support.writer_stage import log_in, writer_environment
from typer.testing import CliRunner

import exact_writer.__main__
import ingest.__main__
import mapper.__main__
import payment_matcher.__main__
from backbone import checkpoints, event_log
from backbone.broker_embedded import EmbeddedBroker
from backbone.clock import SystemClock
from backbone.configuration import Configuration, load_configuration
from backbone.database import Database, schema_of
from backbone.migrations import migrate
from backbone.process import Context
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from console.cli import app
from contracts.topology import topology
from exact_writer.tables import commands
from ingest.received import read_event
from ingest.store import EventStore
from ingest.translate import EVENT_RECEIVED
from simulators.chargebee.app import create_app
from simulators.chargebee.invoices import run_scheduled_jobs
from simulators.chargebee.settings import ChargebeeSettings
from simulators.world.actions import Ledger, perform
from simulators.world.month import make_month, set_up_catalogue

BUILDS: dict[str, Any] = {
    "ingest": ingest.__main__.build,
    "mapper": mapper.__main__.build,
    "exact-writer": exact_writer.__main__.build,
    "payment-matcher": payment_matcher.__main__.build,
}
DOCUMENTS, STEPS, EARLIER = 20, 40, 85
PATIENCE_SECONDS = 150.0
QUIET_LOOKS = 3


class Books(NamedTuple):
    """Exact's books: how often each reference stands there, and the balance of each account in cents."""

    references: Counter[str]
    balances: dict[str, int]


class Drill:
    """The installation. Its services run only within `running()`; commands are given between, as a person would."""

    def __init__(self, directory: Path, settings: Settings, exact: ExactServer, chargebee: RunningChargebee) -> None:
        self.directory = directory
        self.settings = settings
        self.exact = exact
        self.chargebee = chargebee
        self._databases: dict[str, Database] = {}
        self._broker: EmbeddedBroker | None = None

    @property
    def events(self) -> list[dict[str, Any]]:
        """Chargebee's events so far."""
        return list(self.chargebee.app.site.events)

    @property
    def earlier(self) -> list[dict[str, Any]]:
        """Those that were booked before the drill begins."""
        return self.events[:EARLIER]

    @property
    def later(self) -> list[dict[str, Any]]:
        """Those that come during the drill."""
        return self.events[EARLIER:]

    def configuration(self) -> Configuration:
        """What kruispost.yaml says."""
        return load_configuration(self.directory / "kruispost.yaml")

    def change_division(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Edit the division's section of kruispost.yaml."""
        path = self.directory / "kruispost.yaml"
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(data["divisions"][DIVISION])
        path.write_text(yaml.safe_dump(data), encoding="utf-8")

    @asynccontextmanager
    async def running(self, *services: str, logged_in: bool = True) -> AsyncIterator[None]:
        """Run these services, or all of them, until the block ends."""
        stop = asyncio.Event()
        async with AsyncExitStack() as stack:
            self._broker = EmbeddedBroker(self.settings.data_dir / "broker.sqlite")
            stack.push_async_callback(self._broker.close)
            configuration, clock = self.configuration(), SystemClock()
            await self._broker.declare(topology(configuration.divisions))
            applications = []
            for name in services or BUILDS:
                database = Database.open(self.settings, name)
                stack.push_async_callback(database.close)
                await migrate(database, name)
                self._databases[name] = database
                if name == "exact-writer" and logged_in:
                    await log_in(self.exact, self.settings, database)
                telemetry = Telemetry(name)
                context = Context(self.settings, configuration, clock, database, self._broker, telemetry)
                applications.append(await BUILDS[name](context))
            async with asyncio.TaskGroup() as group:
                for application in applications:
                    for worker in application.workers:
                        group.create_task(worker(stop))
                try:
                    yield
                finally:
                    stop.set()
        self._databases.clear()

    async def receive(self, events: Iterable[dict[str, Any]]) -> None:
        """Take webhooks, as the door does."""
        store = EventStore(self._databases["ingest"], SystemClock(), stored=lambda: None)
        await asyncio.gather(*(store.store(SITE, read_event(json.dumps(event).encode())) for event in events))

    async def settle(self) -> None:
        """Wait until nothing is on its way any more."""
        quiet, deadline = 0, asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while quiet < QUIET_LOOKS:
            waiting = await self._waiting()
            assert not waiting or asyncio.get_running_loop().time() < deadline, waiting
            quiet = 0 if waiting else quiet + 1
            await asyncio.sleep(0.2)

    async def until_paid(self, numbers: Iterable[str]) -> None:
        """Wait until these invoices are paid in Chargebee, and let ingest hear what the site says of it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while any(self.chargebee.app.site.get("invoice", number)["amount_due"] for number in numbers):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.1)
        await self.receive(self.events)

    def recorded(self) -> int:
        """How many transactions Chargebee has."""
        return len(self.chargebee.app.site.all("transaction"))

    async def run(self, *arguments: str, code: int = 0) -> str:
        """Give a command; what it printed."""
        done = await self.try_(*arguments)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == code, done.output
        return str(done.stdout)

    async def try_(self, *arguments: str) -> Any:
        """Give a command and return how it ended."""
        values = {**writer_environment(self.exact.url), "chargebee_url": self.chargebee.url, "chargebee_api_key": "test_key"}
        variables = {f"KRUISPOST_{name.upper()}": str(value) for name, value in values.items()}
        return await asyncio.to_thread(
            CliRunner().invoke,
            app,
            list(arguments),
            env=environment(self.directory, variables | {"KRUISPOST_LEDGER_SECONDS": "0"}),
        )

    async def reconcile(self, code: int = 0) -> Any:
        """Compare both books; every difference must be explained unless told otherwise."""
        told, done = await self._reconcile()
        if not code and any(each["kind"] == "unread" for each in told["findings"]):
            # Caught up while the services stopped: they read it when they run.
            async with self.running():
                await self.settle()
            told, done = await self._reconcile()
        assert done.exit_code == code, told["findings"]
        return told

    async def _reconcile(self) -> tuple[Any, Any]:
        done = await self.try_("reconcile", "--from", "2026-09-01", "--to", "2026-12-31", "--json")
        assert done.exit_code in (0, 1), done.output
        return json.loads(done.stdout), done

    async def books(self) -> Books:
        """What Exact has."""
        ledger = await self.exact.ledger(DIVISION)
        references = Counter(entry["your_ref"] or entry["lines"][0]["description"] for entry in ledger["entries"])
        return Books(references, {account: amount for account, amount in ledger["balances_minor"].items() if amount})

    def lose(self, *names: str) -> None:
        """Delete the database of a service, or `broker`."""
        for name in names:
            for file in self.settings.data_dir.glob(f"{schema_of(name)}.sqlite*"):
                file.unlink()

    def back_up(self) -> Path:
        """Copy the data directory."""
        backup = self.directory / "backup"
        shutil.copytree(self.settings.data_dir, backup)
        return backup

    def restore(self, backup: Path, *, keep: str = "") -> None:
        """Put a copy in the place of the data directory; the files of `keep` (`broker`) stay as they are."""
        stay = [] if not keep else list(self.settings.data_dir.glob(f"{keep}.sqlite*"))
        kept = {file.name: file.read_bytes() for file in stay}
        shutil.rmtree(self.settings.data_dir)
        shutil.copytree(backup, self.settings.data_dir, ignore=lambda *_: [f"{keep}.sqlite{end}" for end in ("", "-wal", "-shm")])
        for name, content in kept.items():
            (self.settings.data_dir / name).write_bytes(content)

    async def _waiting(self) -> list[str]:
        """What is on its way still."""
        assert self._broker is not None
        queues = [
            queue for queue in topology(self.configuration().divisions).queues if queue.name.split(".")[0] in self._databases
        ]
        found = [f"{queue.name}: {depth}" for queue in queues if (depth := await self._broker.depth(queue.name))]
        for service, database in self._databases.items():
            async with database.reading() as connection:
                if await checkpoints.read_checkpoint(connection, "relay") < await event_log.end_position(connection):
                    found.append(f"relay of {service}")
        async with self._databases["ingest"].reading() as connection:
            position = await checkpoints.read_checkpoint(connection, "translator")
            if await event_log.read_after(connection, position, 1, frozenset((EVENT_RECEIVED,))):
                found.append("translator")
        if "exact-writer" in self._databases:
            async with self._databases["exact-writer"].reading() as connection:
                waits = sa.select(commands.c.kind, commands.c.state, commands.c.your_ref).where(commands.c.is_open)
                found += [str(tuple(row)) for row in await connection.execute(waits)]
        return found


def play_month(seed: int = 42) -> Any:
    """The first steps of Chargebee's October 2026; the same seed gives the same month."""
    plan = make_month(seed, DOCUMENTS)
    chargebee = create_app(ChargebeeSettings(started_at=int(datetime(2026, 9, 1, tzinfo=UTC).timestamp()), seed=seed))
    set_up_catalogue(chargebee.site)
    ledger = Ledger()
    for step in list(plan.in_order())[:STEPS]:
        chargebee.site.clock.advance_to(step.at)
        run_scheduled_jobs(chargebee.site)
        perform(chargebee.site, step.action, ledger)
    return chargebee


class Snapshot(NamedTuple):
    """An installation as it was left, and what Exact had then."""

    directory: Path
    world: Any


_snapshots: list[Snapshot] = []  # played once a process: it costs more than any drill


@asynccontextmanager
async def drill(directory: Path) -> AsyncIterator[Drill]:
    """Give an installation with the demo's configuration that has booked all but the `later` events of a month."""
    if not _snapshots:
        kept = Path(tempfile.mkdtemp(prefix="drill-"))
        atexit.register(shutil.rmtree, kept, ignore_errors=True)
        async with _stage(kept) as stage:
            async with stage.running():
                await stage.receive(stage.earlier)
                await stage.settle()
            _snapshots.append(Snapshot(stage.settings.data_dir, _copy(stage.exact.simulator.world)))
    async with _stage(directory) as stage:
        shutil.copytree(_snapshots[0].directory, stage.settings.data_dir)
        world, copied = stage.exact.simulator.world, _copy(_snapshots[0].world)
        vars(world).update(vars(copied) | {"notify": world.notify, "settings": world.settings})
        for division in world.divisions.values():
            division.world = world
        database = Database.open(stage.settings, "exact-writer")
        await log_in(stage.exact, stage.settings, database)  # this stand-in gave other tokens
        await database.close()
        yield stage


def _copy(world: Any) -> Any:
    return copy.deepcopy(world, {id(world.settings): world.settings, id(world.notify): world.notify})


@asynccontextmanager
async def _stage(directory: Path) -> AsyncIterator[Drill]:
    shutil.copy(DEMO, directory / "kruispost.yaml")
    async with exact_server() as exact, running_chargebee(app=play_month()) as chargebee:
        settings = Settings(
            **writer_environment(exact.url),
            data_dir=directory / "data",
            poll_seconds=1.0,
            exact_timeout_seconds=3.0,
            ledger_seconds=0,
            chargebee_url=chargebee.url,
            chargebee_api_key="test_key",
            webhook_username="chargebee",
            webhook_password="geheim",
            catch_up_seconds=0,
        )
        yield Drill(directory, settings, exact, chargebee)
