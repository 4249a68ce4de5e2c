"""A whole writer and the Exact stand-in in virtual time: weeks pass in minutes, and every call and every wait is real.

The writer's own turns are taken one after the other; a pause moves the clock instead of waiting. A call moves it by the answer
time. With `counts_own_time` the clock runs on besides, so that what the writer does between two calls counts too.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import sqlalchemy as sa
from support.engines import settings_for
from support.exact_server import DIVISION, ExactServer
from support.fast_sqlite import in_place, migrated
from support.writer_stage import CONFIGURATION, log_in, outgoing, writer_environment

from backbone.broker_embedded import EmbeddedBroker
from backbone.configuration import Configuration
from backbone.database import Database
from backbone.process import Context
from backbone.relay import Relay
from backbone.telemetry import Telemetry
from contracts import commands
from contracts.envelope import decode
from contracts.parcels import PdfFetched
from exact_writer import journal
from exact_writer.__main__ import login_of, writer_of
from exact_writer.client import ExactClient
from exact_writer.tables import attachments, divisions
from exact_writer.tables import commands as journal_rows
from exact_writer.timing import Timing
from exact_writer.writer import DivisionWriter
from simulators.exact.app import create_app
from simulators.exact.settings import ExactSettings

START = datetime(2026, 3, 2, tzinfo=UTC)
PDF = b"%PDF-1.7 factuur"
_WANTED = sa.select(attachments.c.command_id).where(
    attachments.c.division == DIVISION, attachments.c.is_open, attachments.c.state == "wanted"
)
StandIn = Callable[[Callable[[], float]], httpx.AsyncBaseTransport]
Command = commands.SaveAccount | commands.PostEntry


class VirtualClock:
    """A clock that is moved; with `counts_own_time` it runs on by itself besides."""

    def __init__(self, *, counts_own_time: bool) -> None:
        self._counts_own_time = counts_own_time
        self._began = time.perf_counter()
        self._skipped_seconds = 0.0
        self._ids = 0

    def seconds(self) -> float:
        """Unix seconds."""
        own = time.perf_counter() - self._began if self._counts_own_time else 0.0
        return START.timestamp() + self._skipped_seconds + own

    def now(self) -> datetime:
        """The present moment."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        return self.seconds()

    async def sleep(self, seconds: float) -> None:
        """Move on."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move on."""
        self._skipped_seconds += max(0.0, seconds)

    def random_id(self) -> str:
        """The next id of the row."""
        self._ids += 1
        return str(uuid.UUID(int=self._ids))


class _Line(httpx.AsyncBaseTransport):
    """The way to the stand-in: takes an answer time, and is closed during maintenance."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, clock: VirtualClock, answer_seconds: float, maintenance: tuple[float, float]
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._half_seconds = answer_seconds / 2
        self._maintenance = maintenance

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._clock.advance(self._half_seconds)
        begins, ends = self._maintenance
        if begins <= self._clock.seconds() < ends:
            return httpx.Response(503, text="onderhoud", headers={"Date": formatdate(self._clock.seconds(), usegmt=True)})
        answer = await self._inner.handle_async_request(request)
        await answer.aread()
        answer.headers["Date"] = formatdate(self._clock.seconds(), usegmt=True)
        self._clock.advance(self._half_seconds)
        return answer


class Arrival(NamedTuple):
    """What comes in at an instant (unix seconds)."""

    at: float
    commands: tuple[Command, ...]


class VirtualWriter:
    """The writer, its clock and its database."""

    def __init__(
        self, begin: Callable[[Configuration], DivisionWriter], clock: VirtualClock, database: Database, server: ExactServer
    ) -> None:
        self._begin = begin
        self.writer: DivisionWriter
        self.clock = clock
        self.database = database
        self.server = server

    async def restart(self, configuration: Configuration = CONFIGURATION) -> None:
        """Let another process take the division over: all that is not in the database is forgotten."""
        self.writer = self._begin(configuration)
        self.writer.journal_check_seconds = 3_600.0  # nobody else brings commands here
        await self.writer.take_over()

    async def plan(self, *messages: Command) -> None:
        """Take commands into the journal, as the consumer does."""
        async with self.database.transaction() as connection:
            for each in messages:
                envelope = decode(outgoing(each).body)
                await journal.plan(self.database, connection, envelope, each, self.clock.seconds())

    async def run(self, until: float, arrivals: Iterable[Arrival] = (), *, while_waiting: bool = False) -> None:
        """Take turns until an instant, or with `while_waiting` until nothing waits; what arrives meanwhile is taken in."""
        coming: Iterator[Arrival] = iter(arrivals)
        following = next(coming, None)
        while self.clock.seconds() < until:
            while following is not None and following.at <= self.clock.seconds():
                await self.plan(*following.commands)
                following = next(coming, None)
            pause_until = await self.writer.turn()
            await self._send_pdfs()
            if pause_until is None:
                continue
            if while_waiting and following is None and not await self.waiting():
                return
            wake = min(pause_until, until, following.at if following is not None else until)
            # A pause may have ended while the turn was taken; a moment must pass in any case.
            self.clock.advance(max(0.001, wake - self.clock.seconds()))
        while following is not None and following.at <= self.clock.seconds():
            await self.plan(*following.commands)
            following = next(coming, None)

    async def waiting(self) -> int:
        """How many commands and PDFs have not ended."""
        async with self.database.reading() as connection:
            count = sa.select(sa.func.count())
            open_commands = count.select_from(journal_rows).where(journal_rows.c.is_open)
            open_pdfs = count.select_from(attachments).where(attachments.c.is_open)
            return int(sum([(await connection.execute(each)).scalar_one() for each in (open_commands, open_pdfs)]))

    async def _send_pdfs(self) -> None:
        async with self.database.reading() as connection:
            found = list((await connection.execute(_WANTED)).scalars())
        for command_id in found:
            async with self.database.transaction() as connection:
                parcel = PdfFetched(division=DIVISION, request_id=command_id, content=PDF)
                await self.writer.pdfs.take(connection, None, parcel)  # type: ignore[arg-type]  # it does not read the envelope


@asynccontextmanager
async def virtual_writer(
    directory: Path,
    *,
    answer_seconds: float = 0.2,
    counts_own_time: bool = False,
    maintenance: tuple[float, float] = (0.0, 0.0),
    poll_seconds: float = 300.0,
    configuration: Configuration = CONFIGURATION,
    stand_in: StandIn | None = None,
    **exact: Any,
) -> AsyncIterator[VirtualWriter]:
    """A writer that holds its division, on a fresh SQLite database, with Exact's documented limits unless told otherwise.

    `stand_in` leads to an Exact stand-in outside this process, in place of one with these settings inside it.
    """
    clock = VirtualClock(counts_own_time=counts_own_time)
    app = create_app(ExactSettings(**{"clock": clock.seconds, **exact}))
    inner = httpx.ASGITransport(app=app) if stand_in is None else stand_in(clock.seconds)
    line = _Line(inner, clock, answer_seconds, maintenance)
    values = {**writer_environment("http://exact.test"), "poll_seconds": poll_seconds}
    async with settings_for("sqlite", directory, **values) as settings:
        database = Database.open(settings, "exact-writer")
        in_place(database)
        broker = EmbeddedBroker(directory / "broker.sqlite")
        timing, telemetry = Timing.of(settings), Telemetry("exact-writer")
        client = ExactClient(settings.exact_url, timing, transport=line)
        inside = httpx.AsyncClient(transport=inner, base_url="http://exact.test")
        server = ExactServer("http://exact.test", app.state.simulator, inside)
        try:
            await migrated(database, "exact-writer")
            await log_in(server, settings, database, obtained_at=clock.seconds())

            def begin(configuration: Configuration) -> DivisionWriter:
                context = Context(settings, configuration, clock, database, broker, telemetry)
                login = login_of(settings, database, clock, telemetry, client)
                relay = Relay(database, broker, clock, telemetry=telemetry)
                return writer_of(DIVISION, context, client, login, relay, timing)

            stage = VirtualWriter(begin, clock, database, server)
            await stage.restart(configuration)
            yield stage
        finally:
            await client.close()
            await inside.aclose()
            await app.state.simulator.webhooks.stop()
            await broker.close()
            await database.close()


def working_day(day: int, documents: int, make: Any, *, together: int = 1) -> Iterator[Arrival]:
    """Documents of one day, evenly from seven in the morning to seven in the evening, so many `together`.

    `make` makes the one of a number, for a day.
    """
    begins, today = START.timestamp() + day * 86_400 + 7 * 3_600, (START + timedelta(days=day)).date()
    for first in range(0, documents, together):
        at = begins + first * 12 * 3_600 / documents
        numbers = range(first, min(documents, first + together))
        yield Arrival(at, tuple(make(day * documents + number, today) for number in numbers))


async def spent(stage: VirtualWriter) -> dict[str, Any]:
    """The calls that the stand-in counted."""
    calls: dict[str, Any] = await stage.server.calls()
    async with stage.database.reading() as connection:
        assert await connection.scalar(sa.select(divisions.c.budget).where(divisions.c.division == DIVISION))
    return calls
