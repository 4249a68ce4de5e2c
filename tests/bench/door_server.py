"""The webhook door alone in a process, behind the same HTTP server as the product: with its store, or with one that forgets."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path

import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import SecretStr

from backbone.clock import SystemClock
from backbone.database import Database
from backbone.migrations import migrate
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from ingest.__main__ import collect_garbage_rarely
from ingest.credentials import Credentials
from ingest.received import ReceivedEvent
from ingest.store import EventStore
from ingest.translator import Translator
from ingest.webhook import Door, router

SITE, USERNAME, PASSWORD = "bench", "chargebee", "secret"


class ForgetfulStore(EventStore):
    """Answers as the store does, and stores nothing: the ceiling."""

    async def store(self, site: str, event: ReceivedEvent, traceparent: str | None = None) -> bool:
        """Say at once that the event is new."""
        del site, event, traceparent
        return True


async def serve(kind: str, database_url: str | None, data_dir: Path) -> None:
    """Serve until SIGTERM; the port goes to standard output. `kind` is forgetting, storing or translating."""
    clock, telemetry = SystemClock(), Telemetry()
    database = Database.open(Settings(database_url=database_url, data_dir=data_dir), "ingest")
    await migrate(database, "ingest")
    translator = Translator(database, clock, telemetry, translated=lambda: None)
    store = (ForgetfulStore if kind == "forgetting" else EventStore)(database, clock, stored=translator.wake)
    credentials = Credentials(SecretStr(USERNAME), SecretStr(PASSWORD))
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(router(Door(store, credentials, {SITE}, max_body_bytes=1_000_000, clock=clock, telemetry=telemetry)))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", server_header=False))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    collect_garbage_rarely()
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server._serve([listener]))  # serve() would take the signals for itself
        if kind == "translating":
            tasks.create_task(translator.run(stop))
        await stop.wait()
        server.should_exit = True
    await database.close()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], sys.argv[2] or None, Path(sys.argv[3])))
