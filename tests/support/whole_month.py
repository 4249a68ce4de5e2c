"""The demo's business month through ingest, mapper and writer into the Exact stand-in, in one process; and the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
import yaml
from support.command_line import kruispost_here
from support.engines import BROKER_BESIDE
from support.exact_server import ExactServer, exact_server
from support.fast_sqlite import in_place, migrated
from support.mapper_stage import Stage as Mapper
from support.writer_stage import WriterStage, writer_environment, writer_stage

from backbone import event_log
from backbone.broker import Outgoing
from backbone.clock import SystemClock
from backbone.configuration import Configuration, load_configuration
from backbone.database import Database
from backbone.event_log import START, Recorded
from backbone.inbox import first_time
from backbone.tables import event_log as log_table
from backbone.telemetry import Telemetry
from contracts import commands, facts
from contracts.envelope import Envelope, encode
from contracts.messages import unseal
from contracts.topology import COMMANDS_EXCHANGE, command_routing_key
from ingest.received import read_event
from ingest.store import EventStore
from ingest.translator import Translator
from simulators.chargebee.app import create_app
from simulators.chargebee.invoices import run_scheduled_jobs
from simulators.chargebee.settings import ChargebeeSettings
from simulators.world.actions import Ledger, perform
from simulators.world.month import make_month, set_up_catalogue

SITE, DIVISION = "acme-test", 100001
DEMO = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"
PATIENCE_SECONDS = 60.0
_HEARD = frozenset(
    each.TYPE for each in (facts.EntryPosted, facts.EntryRefused, facts.AccountSaved, facts.AccountRefused, facts.PeriodObserved)
)


def events_of_month(seed: int = 42, documents: int = 60) -> list[dict[str, Any]]:
    """Chargebee's events of October 2026; the same seed gives the same month."""
    plan = make_month(seed, documents)
    site = create_app(ChargebeeSettings(started_at=int(datetime(2026, 9, 1, tzinfo=UTC).timestamp()), seed=seed)).site
    set_up_catalogue(site)
    ledger = Ledger()
    for step in plan.in_order():
        site.clock.advance_to(step.at)
        run_scheduled_jobs(site)
        perform(site, step.action, ledger)
    return list(site.events)


class Month:
    """An installation into which events go, with the Exact stand-in behind it and the command line beside it."""

    def __init__(
        self, server: ExactServer, writer: WriterStage, ingest: Database, mapper: Database, directory: Path, config: Configuration
    ) -> None:
        self.server = server
        self.writer = writer
        self.mapper = Mapper(mapper, config)
        self.directory = directory
        self._ingest = ingest
        self._translator = Translator(ingest, SystemClock(), Telemetry(), translated=lambda: None)
        self._store = EventStore(ingest, SystemClock(), stored=lambda: None)
        self._ingest_log, self._mapper_log, self._writer_log = map(_Follower, (ingest, mapper, writer.database))

    async def receive(self, events: Iterable[dict[str, Any]]) -> None:
        """Take events as the door does, and make facts of them; the mapper hears nothing of them yet."""
        await self.translate(await self.store(events))

    async def store(self, events: Iterable[dict[str, Any]]) -> int:
        """Take events as the door does, and leave them; how many are new."""
        received = [read_event(json.dumps(event).encode()) for event in events]
        return sum(await asyncio.gather(*(self._store.store(SITE, each) for each in received)))

    async def translate(self, count: int) -> None:
        """Make facts of so many events that were stored."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while count > 0:  # the log shows what is committed only when no older transaction of the server is open any more
                count -= await self._translator.translate_batch()

    async def book(self, seconds: float = 2 * PATIENCE_SECONDS) -> None:
        """Let the mapper hear everything, and wait until Exact has all that it makes of it."""
        async with asyncio.timeout(seconds):
            while True:
                await self._hear_ingest()
                await self._hear_writer()
                await self._send_commands()
                if await self._is_settled():
                    return
                await asyncio.sleep(0.1)

    async def reconcile(self, *arguments: str) -> tuple[int, Any]:
        """Run `kruispost reconcile` over the month; its exit code and what it said as JSON."""
        done = await self.run("reconcile", "--from", "2026-09-01", "--to", "2026-10-31", "--json", *arguments)
        assert done.returncode in (0, 1), done.stderr
        return done.returncode, json.loads(done.stdout)

    async def run(self, *arguments: str) -> Any:
        """Run the command line in this process, which saves the seconds that starting one takes."""
        settings = self.writer.settings
        values = {name: str(value) for name, value in writer_environment(settings.exact_url).items()}
        if settings.database_url is not None:
            values["database_url"] = settings.database_url
        values |= {"data_dir": str(settings.data_dir)}
        environment = {f"KRUISPOST_{name.upper()}": value for name, value in values.items()}
        return await asyncio.to_thread(kruispost_here, *arguments, directory=self.directory, settings=environment)

    async def posted(self) -> dict[str, facts.EntryPosted]:
        """What is booked, by its reference."""
        return {fact.your_ref: fact for fact in await self.writer.said(facts.EntryPosted)}

    async def in_exact(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Somebody else's app reads or changes something in Exact."""
        token = (await self.server.control("tokens", client_id="other-app"))["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        async with httpx.AsyncClient(base_url=self.server.url, headers=headers) as http:
            answer = await http.request(method, f"/api/v1/{DIVISION}/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def hear_facts(self) -> None:
        """Let the mapper hear every fact; their log shows what is older than each transaction that is open in the server."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await self._ingest_log.is_read():
                await self._hear_ingest()
                await asyncio.sleep(0.05)

    async def _hear_ingest(self) -> None:
        for recorded in await self._ingest_log.page():
            if recorded.envelope.type.endswith(".observed"):
                await self._tell_mapper(recorded.envelope)

    async def _hear_writer(self) -> None:
        for recorded in await self._writer_log.page():
            if recorded.envelope.type in _HEARD:
                await self._tell_mapper(recorded.envelope)

    async def _tell_mapper(self, envelope: Envelope) -> None:
        async with self.mapper.database.transaction() as connection:
            if await first_time(connection, "mapper", envelope.id):
                await self.mapper.mapper.handle_alone(connection, envelope, unseal(envelope))

    async def _send_commands(self) -> None:
        page = [recorded.envelope for recorded in await self._mapper_log.page()]
        outgoing = [
            Outgoing(command_routing_key(each.type, DIVISION), encode(each), each.id) for each in page if _is_command(each)
        ]
        if outgoing:
            await self.writer.publish(COMMANDS_EXCHANGE, outgoing)

    async def _is_settled(self) -> bool:
        logs = (self._ingest_log, self._writer_log, self._mapper_log)
        if not all([await each.is_read() for each in logs]):
            return False
        asked = {command.command_id for command in await self.mapper.entries()}
        ended = {fact.command_id for fact in await self.writer.said(facts.EntryPosted, facts.EntryRefused)}
        return asked <= ended


class _Follower:
    """Reads a log once, as a relay does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._position = START
        self._count = 0

    async def page(self) -> list[Recorded]:
        async with self._database.reading() as connection:
            page = await event_log.read_after(connection, self._position, 500)
        if page:
            self._position = page[-1].position
        self._count += len(page)
        return page

    async def is_read(self) -> bool:
        async with self._database.reading() as connection:
            return await connection.scalar(sa.select(sa.func.count()).select_from(log_table)) == self._count


def _is_command(envelope: Envelope) -> bool:
    return envelope.type in {each.TYPE for each in (commands.PostEntry, commands.SaveAccount)}


@asynccontextmanager
async def whole_month(
    directory: Path,
    dialect: str = "sqlite",
    *,
    changes: dict[str, Any] | None = None,
    behind: ExactServer | None = None,
    **exact: Any,
) -> AsyncIterator[Month]:
    """Give an installation with the demo's configuration, `changes` of its division, and an empty Exact or `behind` behind it."""
    data = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    data["divisions"][DIVISION] |= changes or {}
    (directory / "kruispost.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    configuration = load_configuration(directory / "kruispost.yaml")
    async with (
        nullcontext(behind) if behind is not None else exact_server(**exact) as server,
        writer_stage(
            server, directory / "data", dialect, configuration=configuration, ledger_seconds=0, engine=BROKER_BESIDE[dialect]
        ) as writer,
    ):
        ingest, mapper = (Database.open(writer.settings, name) for name in ("ingest", "mapper"))
        try:
            for name, database in (("ingest", ingest), ("mapper", mapper)):
                if dialect == "sqlite":
                    in_place(database)
                await migrated(database, name)
            yield Month(server, writer, ingest, mapper, directory, configuration)
        finally:
            await ingest.close()
            await mapper.close()
