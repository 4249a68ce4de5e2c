"""The whole connector between both stand-ins in one event loop and in virtual time, with faults drawn from one seed.

Ingest, mapper, exact-writer, payment-matcher and console are wired by their own `build`, each as a process that can die (see
`support.mortal`); what lies between them and the stand-ins loses, doubles, delays and breaks what it carries.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
import traceback
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import sqlalchemy as sa
import yaml
from sqlalchemy.ext.asyncio import AsyncConnection
from support.chargebee_shop import stock
from support.command_line import kruispost_here
from support.exact_server import ExactServer
from support.facts import SITE
from support.fast_sqlite import in_place
from support.lines_between import Door, WayToChargebee, WayToExact
from support.mortal import Ground, KilledError, living
from support.simulated_process import BUILDS, Process
from support.virtual_time import VirtualLoop, WorldClock
from support.writer_stage import KEY, writer_environment

from backbone.configuration import Configuration, load_configuration
from backbone.database import Database, schema_of
from backbone.settings import Settings
from backbone.tables import event_log
from contracts.envelope import decode, encode
from exact_writer.vault import Tokens, Vault
from simulators.chargebee.app import create_app as create_chargebee
from simulators.chargebee.invoices import run_scheduled_jobs
from simulators.chargebee.settings import ChargebeeSettings, WebhookEndpoint
from simulators.exact.app import create_app as create_exact
from simulators.exact.settings import ExactSettings

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
HOUR, DAY = 3_600.0, 86_400.0
USER, PASSWORD = "chargebee", "geheim"
EXACT_WEBHOOKS = "https://kruispost.example/webhooks/exact"


class World:
    """Everything of one run; the same seed gives the same run."""

    def __init__(
        self, directory: Path, seed: int, configuration: dict[str, Any], loop: VirtualLoop, replicas: dict[str, int] | None = None
    ) -> None:
        self.seed, self.directory, self.loop = seed, directory, loop
        self.luck = random.Random(f"world {seed}")
        self.clock = WorldClock(START, f"{seed} world", loop)
        self.began = START
        self.ground = Ground()
        self.bindings: list[Any] = []
        self.arrivals: dict[str, asyncio.Event] = {}
        self.mishaps: list[str] = []
        self.counts: Counter[str] = Counter()
        self.history: list[str] = []
        self._digest = hashlib.sha256()
        self._outside: dict[asyncio.Task[Any], None] = {}
        self.crashes_per_mille = 0
        self.final_digest = ""
        self.lost_letters = 0  # poisoned messages that went with the broker's data
        self.acknowledged: set[str] = set()  # ids of events that a webhook was answered 200 for
        (directory / "kruispost.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        self.configuration: Configuration = load_configuration(directory / "kruispost.yaml")
        self.settings = Settings(
            **writer_environment("http://exact.test"),
            config=directory / "kruispost.yaml",
            data_dir=directory / "data",
            chargebee_url="http://chargebee.test",
            chargebee_api_key="test_key",
            webhook_username=USER,
            webhook_password=PASSWORD,
            exact_webhook_secret=ExactSettings().webhook_secret,
            exact_webhook_url=EXACT_WEBHOOKS if self.luck.random() < 0.5 else None,
            poll_seconds=1_800.0,
            catch_up_seconds=1_800.0,
        )
        number = replicas or {}
        made = [Process(self, service, each + 1) for service in BUILDS for each in range(number.get(service, 1))]
        self.processes = {each.name: each for each in made}
        self._open_chargebee()
        self._open_exact()

    def _open_chargebee(self) -> None:
        endpoint = WebhookEndpoint(f"http://ingest.test/webhooks/chargebee/{SITE}", USER, PASSWORD)
        settings = ChargebeeSettings(
            started_at=int(START.timestamp()),
            seed=self.seed,
            webhooks=(endpoint,),
            webhook_workers=3,
            webhook_disorder_seconds=900.0,
            webhook_disordered_per_mille=250,
            webhook_duplicated_per_mille=100,
            webhook_dropped_per_mille=100,
        )
        self.chargebee = create_chargebee(settings)
        self.shop = self.chargebee.site
        clock = self.shop.clock
        clock.now_ms = lambda: int(self.clock.now().timestamp() * 1000)  # type: ignore[method-assign]  # it follows the world's
        clock.elapsed = self.clock.monotonic  # type: ignore[method-assign]  # the same
        stock(self.chargebee)
        self.door = door = Door(self, self.replicas("ingest"))
        self.chargebee.sender._clients[endpoint.url] = httpx.AsyncClient(transport=door, auth=(USER, PASSWORD))
        self.way_to_chargebee = WayToChargebee(self)

    def _open_exact(self) -> None:
        settings = ExactSettings(
            clock=lambda: self.clock.now().timestamp(),
            seed=f"exact {self.seed}",
            webhook_lost_per_mille=100,
            webhook_copies=2,
            webhook_disorder_seconds=900.0,
        )
        app = create_exact(settings)
        self.way_to_exact = WayToExact(self, app)
        inside = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://exact.test")
        self.exact = ExactServer("http://exact.test", app.state.simulator, inside)

    def replicas(self, service: str) -> list[Process]:
        """The processes of a service."""
        return [each for each in self.processes.values() if each.service == service]

    def running(self, service: str) -> Process | None:
        """The first process of a service that runs."""
        return next((each for each in self.replicas(service) if each.runs), None)

    def lose(self, file: str) -> None:
        """Delete the database of a service, or the broker's data."""
        for each in self.settings.data_dir.glob(f"{schema_of(file)}.sqlite*"):
            each.unlink()

    # what is noted

    def note(self, what: str) -> None:
        """Write into the run's history."""
        line = f"{self.clock.monotonic():.6f} {what}"
        self._digest.update(line.encode())
        self.history.append(line)

    async def digest(self) -> str:
        """One hash of all that happened and all that every service said."""
        for name in BUILDS:
            if name == "console":
                continue
            for row in await self.logged(name):
                self._digest.update(row)
        return self._digest.hexdigest()

    async def logged(self, name: str) -> list[bytes]:
        """All messages of a service's log, without what only names a span."""
        async with self.reading(name) as connection:
            rows = await connection.execute(sa.select(event_log.c.body).order_by(event_log.c.sequence))
            bodies = [row.body for row in rows]
        return [encode(msgspec.structs.replace(decode(body), traceparent=None)) for body in bodies]

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[AsyncConnection]:
        """Read the database of a service, whether or not that runs."""
        database = Database.open(self.settings, name)
        in_place(database)
        async with database.reading() as connection:
            yield connection
        await database.close()

    # what runs

    def outside(self, work: Any) -> asyncio.Task[Any]:
        """Do something that belongs to no process."""
        assert living() is None or living().is_over  # type: ignore[union-attr]  # looked at just before
        return self._own(asyncio.get_running_loop().create_task(work, context=_empty()))

    def _own(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        self._outside[task] = None
        task.add_done_callback(self._outside_ended)
        return task

    def serve(self, work: Any) -> asyncio.Task[Any]:
        """Let one of the outside systems do something that goes on when who asked for it dies."""
        return self._own(asyncio.get_running_loop().create_task(work, context=_empty()))

    def _outside_ended(self, task: asyncio.Task[Any]) -> None:
        self._outside.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, httpx.HTTPError):
            self.mishaps.append("".join(traceback.format_exception(error)))

    def passing(self, place: str) -> None:
        """A process comes by a crash point: it may die there."""
        life = living()
        if life is None:
            return
        if place == "broker.handled":
            life.passes("before ack")
        life.touch()
        if self.luck.randrange(1000) < self.crashes_per_mille:
            self.counts[f"crash {place}"] += 1
            self.processes[life.name].kill(f"at {place}")
            raise KilledError(place)

    async def start(self) -> None:
        """Start everything; a person logs in at Exact."""
        await self.chargebee.sender.start()
        self.outside(self._site_jobs())
        for process in self.processes.values():
            await process.start()
        await self.log_in()
        self.outside(self._watch_the_login())

    async def log_in(self) -> None:
        """A person consents at Exact."""
        writer = self.running("exact-writer")
        if writer is None:
            return
        assert writer.life is not None
        assert writer.database is not None
        pair = await self.exact.control("tokens", client_id=self.settings.exact_client_id)
        tokens = Tokens(
            access_token=pair["access_token"],
            refresh_token=pair["refresh_token"],
            obtained_at=writer.clock.now().timestamp(),
            expires_in_seconds=float(pair["expires_in"]),
        )
        vault = Vault(writer.database, self.settings.exact_client_id or "", KEY)
        try:
            await writer.life.spawn(vault.store(tokens))
        except (KilledError, OSError, sa.exc.SQLAlchemyError, asyncio.CancelledError):
            return  # it is looked at again within the hour
        self.note("log in")

    async def _watch_the_login(self) -> None:
        while True:
            await asyncio.sleep(HOUR)
            writer = self.running("exact-writer")
            if writer is None:
                continue
            assert writer.application is not None
            complaints = [await check() for check in writer.application.ready]
            if any(each is not None and "kruispost login" in each for each in complaints):
                self.counts["login"] += 1
                await self.log_in()

    async def _site_jobs(self) -> None:
        while True:
            await asyncio.sleep(HOUR)
            run_scheduled_jobs(self.shop)

    def command(self, *arguments: str) -> str:
        """Give a command, as a person would in a shell; time stands still meanwhile. What it printed."""
        values = {
            **writer_environment("http://exact.test"),
            "chargebee_url": "http://chargebee.test",
            "chargebee_api_key": "test_key",
        }
        variables = {f"KRUISPOST_{name.upper()}": str(value) for name, value in values.items()}
        done: list[Any] = []

        def give() -> None:
            done.append(kruispost_here(*arguments, directory=self.directory, settings=variables))

        thread = threading.Thread(target=give)  # a loop of its own cannot run within this one
        thread.start()
        thread.join()
        self.note(f"command {arguments}")
        assert done, f"`kruispost {' '.join(arguments)}` failed"
        assert done[0].returncode == 0, f"`kruispost {' '.join(arguments)}`: {done[0].stdout} {done[0].stderr}"
        return str(done[0].stdout)

    async def stop(self) -> None:
        """End all that still runs."""
        for process in self.processes.values():
            if process.life is not None:
                process.life.end()
                await process.life.buried()
        for task in list(self._outside):
            task.cancel()
        await asyncio.gather(*self._outside, return_exceptions=True)
        await self.chargebee.sender.stop()
        await self.exact.simulator.webhooks.stop()
        await self.exact._http.aclose()


def _empty() -> Any:
    from contextvars import Context as Variables  # noqa: PLC0415 - the name is taken by the services' own

    return Variables()
