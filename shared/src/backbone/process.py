"""Running a service as a process, or all services in one: start, serve, drain, end."""

from __future__ import annotations

import asyncio
import importlib.metadata
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from backbone.application import ENTRY_POINTS, Application, Build, Context, Readiness, Worker
from backbone.broker import Broker
from backbone.broker_embedded import EmbeddedBroker
from backbone.broker_rabbitmq import RabbitBroker
from backbone.clock import SystemClock
from backbone.configuration import load_configuration
from backbone.database import DATABASE_ERRORS, Database, is_away, is_not_migrated, is_refused
from backbone.errors import ConfigurationError, KruispostError, reason_of
from backbone.migrations import NOT_MIGRATED, look_for_tables, migrate
from backbone.retries import is_set_within
from backbone.settings import Settings
from backbone.telemetry import Telemetry, configure_logging, log
from contracts.topology import topology

__all__ = ["Application", "Build", "Context", "Readiness", "Worker", "main", "run_all"]

EXIT_FAILED, EXIT_UNUSABLE = 1, 2
DECLARE_SECONDS = 3.0
MIGRATION_TRIES, MIGRATION_PAUSE_SECONDS = 30, 1.0


def main(name: str, build: Build) -> None:
    """Run one service until it is told to stop. Exit code 0 after a drain, 1 when a worker failed, 2 for a bad configuration."""
    sys.exit(_run({name: build}))


def run_all(names: Sequence[str]) -> int:
    """Run several services in one process and return its exit code; they are found by their entry points."""
    found = {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    missing = [name for name in names if name not in found]
    if missing:
        sys.stderr.write(f"not installed: {', '.join(missing)}; install the distributions of these services\n")
        return EXIT_UNUSABLE
    return _run({name: found[name].load() for name in names})


def _run(builds: dict[str, Build]) -> int:
    try:
        settings = Settings()
        configure_logging(settings.log_format)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(builds, settings))
    except (ConfigurationError, ValidationError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_UNUSABLE


def open_broker(settings: Settings, name: str, telemetry: Telemetry | None = None) -> Broker:
    """Return the broker that the settings name, for a process of this name; nothing is connected yet."""
    if settings.amqp_url is None:
        return EmbeddedBroker(settings.data_dir / "broker.sqlite", dead_letter_limit=settings.dead_letter_limit)
    limit = settings.dead_letter_limit
    return RabbitBroker(
        settings.amqp_url, prefix=settings.amqp_prefix, dead_letter_limit=limit, service=name, telemetry=telemetry
    )


async def _serve(builds: dict[str, Build], settings: Settings) -> int:
    name = "kruispost" if len(builds) > 1 else next(iter(builds))
    configuration = load_configuration(settings.config)
    clock = SystemClock()
    telemetry = Telemetry(name, settings.otlp_endpoint)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        stack.callback(telemetry.close)
        broker = open_broker(settings, name, telemetry)
        stack.push_async_callback(broker.close)
        # Not awaited: webhooks are taken, and work in the log goes on, while the broker is away.
        declaring = asyncio.create_task(broker.declare(topology(configuration.divisions)), name="declare the topology")
        stack.push_async_callback(_end, declaring)
        await asyncio.wait((declaring,), timeout=DECLARE_SECONDS)
        applications = []
        for service, build in builds.items():
            database = Database.open(settings, service)
            stack.push_async_callback(database.close)
            prepares = _migrate if settings.migrate_on_start else _wait_for_tables
            if not await prepares(database, service, stop):
                return 0
            applications.append(await build(Context(settings, configuration, clock, database, broker, telemetry)))
        port = settings.port_of("ingest" if len(builds) > 1 else name)
        listening = _listen(settings.host, port)
        stack.callback(listening.close)
        server = _server(_site(applications, broker, telemetry, stop))
        log.info("started", services=list(builds), host=settings.host, port=port)
        return await _work(applications, server, listening, declaring, stop, settings.drain_seconds)


async def _migrate(database: Database, service: str, stop: asyncio.Event) -> bool:
    """Bring the database up to date, waiting for one that is still starting; False when told to stop meanwhile.

    Raises ConfigurationError when the database does not answer for too long.
    """
    for _ in range(MIGRATION_TRIES):
        try:
            await migrate(database, service)
        except Exception as error:
            if not is_away(error):
                raise
            reason = reason_of(error)
            log.warning("waiting for the database", service=service, reason=reason)
            if await is_set_within(stop, MIGRATION_PAUSE_SECONDS):
                return False
        else:
            return True
    raise ConfigurationError(f"The database does not answer ({reason}); start it, or correct KRUISPOST_DATABASE_URL.")


async def _wait_for_tables(database: Database, service: str, stop: asyncio.Event) -> bool:
    """Wait until somebody else has brought the database up to date; False when told to stop meanwhile.

    Raises ConfigurationError when nobody does. For a database that is away the service starts all the same, and says so.
    """
    for _ in range(MIGRATION_TRIES):
        try:
            await look_for_tables(database)
        except Exception as error:
            if not is_not_migrated(error) and not is_refused(error):
                if not is_away(error):
                    raise
                return True
            log.warning("waiting for the database", service=service, reason=NOT_MIGRATED)
            if await is_set_within(stop, MIGRATION_PAUSE_SECONDS):
                return False
        else:
            return True
    raise ConfigurationError(f"The database of {service} cannot be used: {NOT_MIGRATED}")


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _listen(host: str, port: int) -> socket.socket:
    """Take the address before anything works, so that a taken port is one sentence and no half-started service."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise ConfigurationError(f"Cannot listen on {host}:{port} ({error}); stop what does, or set KRUISPOST_PORT.") from error
    listening.setblocking(False)
    return listening


def _site(applications: Sequence[Application], broker: Broker, telemetry: Telemetry, stop: asyncio.Event) -> FastAPI:
    """Build the HTTP side: the services' own routes, and what a platform asks of every process."""
    site = FastAPI(title="Kruispost", docs_url=None, redoc_url=None, openapi_url=None)
    for kind in DATABASE_ERRORS:
        site.add_exception_handler(kind, _without_database)
    for application in applications:
        if application.router is not None:
            site.include_router(application.router)

    @site.get("/live")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @site.get("/ready")
    async def ready() -> JSONResponse:
        reasons = ["the process is stopping"] if stop.is_set() else []
        for application in applications:
            answers = await asyncio.gather(*(check() for check in application.ready))
            reasons += [f"{application.name}: {answer}" for answer in answers if answer]
        reasons += broker.complaints()
        return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)

    @site.get("/metrics")
    async def metrics() -> Response:
        return Response(telemetry.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return site


async def _without_database(request: Request, error: Exception) -> JSONResponse:
    """Answer 503 to whoever asks while the database is away; raises what is another error."""
    if not is_away(error):
        raise error
    reason = f"The database does not answer ({reason_of(error)}); ask again when it does."
    log.warning("not answered", path=request.url.path, reason=reason)
    return JSONResponse({"detail": reason}, status_code=503)


def _server(site: FastAPI) -> uvicorn.Server:
    config = uvicorn.Config(
        site,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


async def _until(worker: Worker, stop: asyncio.Event) -> None:
    await worker(stop)


async def _work(
    applications: Sequence[Application],
    server: uvicorn.Server,
    listening: socket.socket,
    declaring: asyncio.Task[None],
    stop: asyncio.Event,
    drain_seconds: float,
) -> int:
    """Run workers and server until told to stop or one of them fails; then give the others time to finish.

    The server ends last: the probes answer while the workers drain, and a webhook that still comes in is stored.
    """
    workers: list[asyncio.Task[None]] = [
        asyncio.create_task(_until(worker, stop), name=f"{application.name}: {getattr(worker, '__qualname__', 'worker')}")
        for application in applications
        for worker in application.workers
    ]
    serving = asyncio.create_task(server._serve([listening]), name="http")  # noqa: SLF001 - serve() would take signals, ours
    stopping = asyncio.create_task(stop.wait(), name="stop")
    running = {*workers, serving, stopping, declaring}
    failed: list[asyncio.Task[Any]] = []
    while not (failed or stop.is_set() or serving.done()):  # a worker may end by itself when its work is done
        ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        # Nobody cancels a worker before it was asked to stop: what is cancelled then was lost.
        failed = [task for task in ended if task.cancelled() or task.exception() is not None]
    asked = stop.is_set()
    stop.set()
    _, late = await asyncio.wait(workers, timeout=drain_seconds) if workers else (set(), set())
    for task in late:
        log.warning("did not finish in time", worker=task.get_name(), drain_seconds=drain_seconds)
        task.cancel()
    server.should_exit = True
    stopping.cancel()
    await asyncio.gather(*workers, serving, stopping, return_exceptions=True)
    lost = [task for task in failed if task.cancelled()]
    return _exit_code((*workers, serving, declaring), lost, asked=asked)


def _exit_code(tasks: Sequence[asyncio.Task[Any]], lost: Sequence[asyncio.Task[Any]], *, asked: bool) -> int:
    """Log what failed; raises ConfigurationError when that was the reason."""
    code = 0 if asked else EXIT_FAILED
    for task in tasks:
        error = task.exception() if task.done() and not task.cancelled() else None
        if isinstance(error, ConfigurationError):
            raise error
        if task in lost:
            log.error("worker failed", worker=task.get_name(), code="cancelled")
        if error is not None:
            code = EXIT_FAILED
            reason = error.code if isinstance(error, KruispostError) else type(error).__name__
            log.error("worker failed", worker=task.get_name(), code=reason, exc_info=error)
    log.info("stopped", asked=asked)
    return code
