"""Ingest as a process: refuses to start open, dies anywhere without losing or doubling anything, and stops politely."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from support.engines import settings_for
from support.ingest_stage import PASSWORD, SITE, USERNAME, Stage, basic, golden
from support.kill_engines import each_on_an_engine

from backbone.database import Database
from backbone.settings import Settings

pytestmark = pytest.mark.slow

CONFIGURATION = f"""
version: 1
sites:
  {SITE}: {{time_zone: Europe/Amsterdam, division: 100001}}
divisions:
  100001:
    name: Windmolen
    journals: {{invoices: "70", credit_notes: "70", payments: "90"}}
    receivable_account: "1300"
    revenue: []
    vat: []
    control_accounts: []
"""


class Process:
    """One life of `python -m ingest`."""

    def __init__(self, settings: Settings, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        file = settings.data_dir / "kruispost.yaml"
        file.write_text(CONFIGURATION)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KRUISPOST_")},
            "KRUISPOST_CONFIG": str(file),
            "KRUISPOST_DATA_DIR": str(settings.data_dir),
            "KRUISPOST_DATABASE_URL": settings.database_url or "",
            "KRUISPOST_PORT": str(self.port),
            "KRUISPOST_WEBHOOK_USERNAME": USERNAME,
            "KRUISPOST_WEBHOOK_PASSWORD": PASSWORD,
            "KRUISPOST_DRAIN_SECONDS": "5",
            **environment,
        }
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ingest",
            env=self.environment,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )

    async def ended(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what was written to standard error."""
        assert self.process is not None
        async with asyncio.timeout(30):
            _, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()

    async def ready(self) -> None:
        async with asyncio.timeout(30), httpx.AsyncClient() as client:
            while True:
                try:
                    if (await client.get(f"http://127.0.0.1:{self.port}/ready")).status_code == 200:
                        return
                except httpx.TransportError:
                    assert self.process is not None
                    assert self.process.returncode is None, await self.ended()
                await asyncio.sleep(0.05)

    async def deliver(self, name: str) -> str:
        """Deliver a golden body; return the status it was answered with, or "lost" when the connection died."""
        async with httpx.AsyncClient(timeout=20) as client:
            try:
                answer = await client.post(
                    f"http://127.0.0.1:{self.port}/webhooks/chargebee/{SITE}",
                    content=json.dumps(golden(name)).encode(),
                    headers={"authorization": basic()},
                )
            except httpx.TransportError:
                return "lost"
        assert answer.status_code == 200, answer.text
        status: str = answer.json()["status"]
        return status


@asynccontextmanager
async def running(settings: Settings, **environment: str) -> AsyncIterator[Process]:
    one = Process(settings, **environment)
    await one.start()
    assert one.process is not None
    try:
        await one.ready()
        yield one
    finally:
        if one.process.returncode is None:
            one.process.kill()
        await one.process.communicate()


async def facts_of(settings: Settings) -> list[str]:
    database = Database.open(settings, "ingest")
    stage = Stage(database)
    try:
        async with stage.client:
            assert len(await stage.stored()) == 1
            return sorted(envelope.subject for envelope, _ in await stage.sealed_facts())
    finally:
        await database.close()


async def until_facts_are_there(settings: Settings, count: int) -> None:
    database = Database.open(settings, "ingest")
    try:
        async with asyncio.timeout(30):
            while True:
                async with database.reading() as connection:
                    found = await connection.exec_driver_sql(
                        "SELECT count(*) FROM event_log WHERE type LIKE 'chargebee.%.observed'"
                    )
                    if found.scalar_one() >= count:
                        return
                await asyncio.sleep(0.05)
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("dialect", "place", "first_answers"),
    each_on_an_engine(
        [
            ("ingest.event_committed", {"lost"}),
            ("ingest.translation_uncommitted", {"stored", "lost"}),
            ("ingest.translation_committed", {"stored", "lost"}),
            ("relay.published", {"stored", "lost"}),
        ]
    ),
)
async def test_dying_loses_nothing_and_doubles_nothing(tmp_path: Path, dialect, place, first_answers):
    async with settings_for(dialect, tmp_path) as settings:
        async with running(settings, KRUISPOST_CRASH_AT=place) as doomed:
            assert await doomed.deliver("payment_refunded") in first_answers
            code, _ = await doomed.ended()
            assert code == -signal.SIGKILL
        async with running(settings) as revived:
            assert await revived.deliver("payment_refunded") == "duplicate"
            await until_facts_are_there(settings, 5)
        assert await facts_of(settings) == [
            f"{SITE}/credit_note/KP-CN-0008",
            f"{SITE}/customer/klant-0117",
            f"{SITE}/invoice/KP-2026-0041",
            f"{SITE}/subscription/KpSub0117",
            f"{SITE}/transaction/txn_KpTerug01",
        ]


async def test_a_stopping_process_answers_and_ends_with_zero(tmp_path: Path):
    async with settings_for("sqlite", tmp_path) as settings:
        async with running(settings) as one:
            assert await one.deliver("invoice_generated") == "stored"
            assert one.process is not None
            one.process.send_signal(signal.SIGTERM)
            code, errors = await one.ended()
            assert code == 0, errors
        assert await facts_of(settings) == [f"{SITE}/invoice/KP-2026-0041"]


@pytest.mark.parametrize("missing", ["KRUISPOST_WEBHOOK_USERNAME", "KRUISPOST_WEBHOOK_PASSWORD"])
async def test_a_door_without_a_lock_does_not_open(tmp_path: Path, missing):
    async with settings_for("sqlite", tmp_path) as settings:
        one = Process(settings, **{missing: ""})
        await one.start()
        code, errors = await one.ended()
        assert code == 2
        assert "KRUISPOST_WEBHOOK_PASSWORD" in errors
        assert "Traceback" not in errors
