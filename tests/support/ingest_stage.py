"""An ingest on a database of its own, for tests: webhooks in through the real door, facts out of its log."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import SecretStr
from support.engines import database_for

from backbone import checkpoints
from backbone.clock import SystemClock
from backbone.database import Database
from backbone.event_log import Position
from backbone.tables import event_log
from backbone.telemetry import Telemetry
from contracts import facts
from contracts.envelope import Envelope, decode
from contracts.messages import FACT_TYPES, unseal
from ingest.credentials import Credentials
from ingest.store import EventStore
from ingest.tables import unreadable_events
from ingest.translate import EVENT_RECEIVED
from ingest.translator import CHECKPOINT, Translator
from ingest.webhook import Door, router

SITE, SECOND_SITE = "windmolen-test", "gemaal-test"
USERNAME, PASSWORD = "chargebee", "een lang geheim: mét teken"
MAX_BODY_BYTES = 100_000
GOLDEN = Path(__file__).parent.parent / "golden" / "chargebee"


def basic(username: str = USERNAME, password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def golden(name: str) -> dict[str, Any]:
    """Read a webhook body of tests/golden/chargebee."""
    body: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return body


def webhook(
    event_id: str, event_type: str = "invoice_updated", occurred_at: int = 1_767_225_600, **content: Any
) -> dict[str, Any]:
    """Make a webhook body with this content."""
    return {
        "id": event_id,
        "occurred_at": occurred_at,
        "source": "api",
        "object": "event",
        "api_version": "v2",
        "content": content,
        "event_type": event_type,
        "webhook_status": "scheduled",
    }


def invoice(number: str, resource_version: int | None, **more: Any) -> dict[str, Any]:
    """Make a small invoice at a version."""
    made = {"id": number, "customer_id": "klant-1", "status": "posted", "total": 12100, "currency_code": "EUR", **more}
    return made if resource_version is None else {**made, "resource_version": resource_version}


class Stage:
    """The door, the store and the translator on one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.telemetry = Telemetry()
        clock = SystemClock()
        self.translator = Translator(database, clock, self.telemetry, translated=lambda: None)
        self.store = EventStore(database, clock, stored=self.translator.wake)
        credentials = Credentials(SecretStr(USERNAME), SecretStr(PASSWORD))
        door = Door(
            self.store, credentials, {SITE, SECOND_SITE}, max_body_bytes=MAX_BODY_BYTES, clock=clock, telemetry=self.telemetry
        )
        app = FastAPI()
        app.include_router(router(door))
        # Exceptions go on to the caller, so that a fault of ours fails the test instead of looking like an answer.
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=True), base_url="http://door")

    async def post(
        self,
        body: bytes | AsyncIterable[bytes] | dict[str, Any],
        *,
        site: str = SITE,
        authorization: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Deliver a webhook as Chargebee does."""
        content = json.dumps(body, ensure_ascii=False).encode() if isinstance(body, dict) else body
        return await self.client.post(
            f"/webhooks/chargebee/{site}",
            content=content,
            headers={"authorization": basic() if authorization is None else authorization, **(headers or {})},
        )

    async def accept(self, *bodies: dict[str, Any]) -> None:
        """Deliver webhooks that must be taken."""
        for body in bodies:
            answer = await self.post(body)
            assert answer.status_code == 200, answer.text

    async def stored(self) -> list[Envelope]:
        """Return the raw events in the log."""
        return [one for one in await self._log() if one.type == EVENT_RECEIVED]

    async def facts(self) -> list[facts.Observed]:
        """Translate everything that was stored, and return all facts in the log."""
        return [fact for _, fact in await self.sealed_facts()]

    async def sealed_facts(self) -> list[tuple[Envelope, Any]]:
        """Translate everything that was stored, and return all facts with their envelopes."""
        await self.translate()
        return [(one, unseal(one)) for one in await self._log() if one.type in FACT_TYPES]

    async def translate(self) -> None:
        """Translate until the last raw event is behind the checkpoint; on a shared PostgreSQL it may take a moment to settle."""
        last = sa.select(event_log.c.transaction_id, event_log.c.sequence).where(event_log.c.type == EVENT_RECEIVED)
        last = last.order_by(event_log.c.transaction_id.desc(), event_log.c.sequence.desc()).limit(1)
        async with asyncio.timeout(60):
            while True:
                await self.translator.translate_batch()
                async with self.database.reading() as connection:
                    row = (await connection.execute(last)).one_or_none()
                    reached = await checkpoints.read_checkpoint(connection, CHECKPOINT)
                if row is None or reached >= Position(*row):
                    return
                await asyncio.sleep(0.02)

    async def unreadable(self) -> list[tuple[str, str, str]]:
        """Return event id, path and reason of what could not be read."""
        columns = unreadable_events.c
        async with self.database.reading() as connection:
            rows = await connection.execute(sa.select(columns.event_id, columns.path, columns.reason).order_by(columns.event_id))
        return [tuple(row) for row in rows]

    async def _log(self) -> list[Envelope]:
        async with self.database.reading() as connection:
            rows = await connection.execute(sa.select(event_log.c.body).order_by(event_log.c.sequence))
        return [decode(row.body) for row in rows]


@asynccontextmanager
async def ingest_stage(dialect: str, directory: Path) -> AsyncIterator[Stage]:
    """Give an ingest on a fresh database of this dialect."""
    async with database_for(dialect, directory, "ingest") as database:
        stage = Stage(database)
        async with stage.client:
            yield stage


def raw_resource(envelope: Envelope) -> dict[str, Any]:
    """Return the resource in a fact with all its fields, also those that we do not type."""
    resource: dict[str, Any] = msgspec.json.decode(envelope.data)["resource"]
    return resource
