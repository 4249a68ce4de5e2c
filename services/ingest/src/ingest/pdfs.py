"""Fetches the PDFs that a writer wants and sends each as a parcel: past the log, since it can be fetched again.

A request stays in its table until its parcel is confirmed by the broker, so a crash repeats the fetching and loses nothing.
"""

from __future__ import annotations

import asyncio

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.broker import Broker, Outgoing
from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import DATABASE_ERRORS, Database, is_away
from backbone.errors import BrokerUnavailableError, UnroutableError, reason_of
from backbone.retries import is_set_within
from backbone.telemetry import Telemetry, log
from contracts import envelope as wire
from contracts.envelope import Envelope, Message, seal
from contracts.facts import PdfWanted
from contracts.parcels import PdfFetched
from contracts.topology import PARCELS_EXCHANGE, parcel_routing_key
from ingest.pdf_api import DeniedError, NoPdfError, NotNowError, PdfApi, PdfError
from ingest.tables import wanted_pdfs
from ingest.translate import SOURCE

MOST_ATTEMPTS = 7
FIRST_PAUSE_SECONDS = 5.0
PAUSE_FACTOR = 4.0
LONGEST_PAUSE_SECONDS = 3600.0
DENIED_PAUSE_SECONDS = 300.0
AWAY_PAUSE_SECONDS = 5.0
IDLE_SECONDS = 30.0


class PdfFetcher:
    """Works through the wanted PDFs, one at a time."""

    def __init__(self, database: Database, broker: Broker, clock: Clock, api: PdfApi | None, telemetry: Telemetry) -> None:
        """Fetch through `api`; without one (no API key is set) the PDFs wait and the readiness answer says so."""
        self._database = database
        self._broker = broker
        self._clock = clock
        self._api = api
        self._telemetry = telemetry
        self._woken = asyncio.Event()
        self._complaint: str | None = None

    def wake(self) -> None:
        """Say that a PDF is wanted."""
        self._woken.set()

    async def ready(self) -> str | None:
        """Return why no PDF can be fetched, or None."""
        return self._complaint

    async def handle(self, connection: AsyncConnection, envelope: Envelope, message: Message) -> None:
        """Note that a PDF is wanted; one that is being fetched already is fetched once."""
        if not isinstance(message, PdfWanted):
            return
        values = {
            "request_id": message.request_id,
            "wish_id": envelope.id,
            "division": message.division,
            "site": message.document.site,
            "kind": message.document.kind,
            "number": message.document.number,
            "attempts": 0,
            "not_before": 0.0,
        }
        await connection.execute(self._database.insert(wanted_pdfs).values(values).on_conflict_do_nothing())

    async def run(self, stop: asyncio.Event) -> None:
        """Fetch until `stop` is set; waits out a database or a broker that is away."""
        while not stop.is_set():
            self._woken.clear()
            try:
                pause = await self.fetch_next()
            except (BrokerUnavailableError, UnroutableError, *DATABASE_ERRORS) as error:
                if isinstance(error, DATABASE_ERRORS) and not is_away(error):
                    raise
                log.warning("pdfs wait", reason=reason_of(error), retry_after_seconds=AWAY_PAUSE_SECONDS)
                pause = AWAY_PAUSE_SECONDS
            if pause > 0:
                await self._pause(stop, pause)

    async def fetch_next(self) -> float:
        """Fetch and send the PDF that waits longest; returns for how many seconds there is nothing to do."""
        now = self._now()
        async with self._database.reading() as connection:
            statement = sa.select(wanted_pdfs).order_by(wanted_pdfs.c.not_before, wanted_pdfs.c.request_id).limit(1)
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            return IDLE_SECONDS
        if row.not_before > now:
            return min(float(row.not_before) - now, IDLE_SECONDS)
        if self._api is None:
            self._complaint = "PDFs wait to be fetched: set KRUISPOST_CHARGEBEE_API_KEY"
            return IDLE_SECONDS
        try:
            content = await self._api.fetch(row.site, row.kind, row.number)
        except DeniedError as error:
            self._complaint = f"{error.message}; check KRUISPOST_CHARGEBEE_API_KEY and the name of the site {row.site}"
            await self._later(row.request_id, row.attempts, DENIED_PAUSE_SECONDS)
            return 0.0
        except NotNowError as error:
            if row.attempts + 1 < MOST_ATTEMPTS:
                await self._later(row.request_id, row.attempts + 1, pause_seconds(row.attempts, error.retry_after_seconds))
                return 0.0
            fact = _answer(row, None, error)
        except NoPdfError as error:
            fact = _answer(row, None, error)
        else:
            fact = _answer(row, content)
        self._complaint = None
        await self._send(row, fact)
        return 0.0

    async def _send(self, row: sa.Row[tuple[object, ...]], fact: PdfFetched) -> None:
        subject = f"{row.site}/{row.kind}/{row.number}"
        key, now = str(row.division), self._clock.now()
        envelope = seal(fact, source=SOURCE, subject=subject, key=key, time=now, distinguisher=row.wish_id)
        routing_key = parcel_routing_key(fact.TYPE, fact.division)
        await self._broker.publish(PARCELS_EXCHANGE, [Outgoing(routing_key, wire.encode(envelope), envelope.id)])
        crash_point("ingest.pdf_published")
        async with self._database.transaction() as connection:
            await connection.execute(sa.delete(wanted_pdfs).where(wanted_pdfs.c.request_id == row.request_id))

    async def _later(self, request_id: str, attempts: int, seconds: float) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                sa.update(wanted_pdfs)
                .where(wanted_pdfs.c.request_id == request_id)
                .values(attempts=attempts, not_before=self._now() + seconds)
            )

    async def _pause(self, stop: asyncio.Event, seconds: float) -> None:
        waiting = [asyncio.ensure_future(is_set_within(stop, seconds)), asyncio.ensure_future(self._woken.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    def _now(self) -> float:
        return self._clock.now().timestamp()


def pause_seconds(attempts: int, wished_seconds: float | None) -> float:
    """How long to wait after so many attempts without an answer; Chargebee's own wish counts when it is longer."""
    own = min(FIRST_PAUSE_SECONDS * PAUSE_FACTOR**attempts, LONGEST_PAUSE_SECONDS)
    return max(own, min(wished_seconds or 0.0, LONGEST_PAUSE_SECONDS))


def _answer(row: sa.Row[tuple[object, ...]], content: bytes | None, error: PdfError | None = None) -> PdfFetched:
    if error is None:
        return PdfFetched(division=row.division, request_id=row.request_id, content=content)
    return PdfFetched(
        division=row.division,
        request_id=row.request_id,
        code=error.code,
        message=error.message,
        message_nl=error.message_nl,
    )
