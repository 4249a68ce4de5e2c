"""Serving the stand-ins on real ports, alone or together with the player of a month."""

import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import uvicorn
from fastapi import FastAPI

from simulators.chargebee.app import create_app as create_chargebee
from simulators.chargebee.settings import ChargebeeSettings, WebhookEndpoint
from simulators.exact.app import create_app as create_exact
from simulators.exact.settings import ExactSettings

from .month import make_month
from .player import Player
from .routes import routes


@dataclass(frozen=True)
class WorldOptions:
    """What the command line says about a play."""

    seed: int
    documents: int
    chargebee_port: int
    exact_port: int
    webhook_url: str | None
    webhook_username: str
    webhook_password: str
    minute_seconds: float
    exact_client_id: str
    exact_client_secret: str
    retry_scale: float
    play_seconds: float
    wait_for_start: bool
    host: str = "127.0.0.1"


class _Server(uvicorn.Server):
    """A server that leaves signals to the program, which may run more than one."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(apps: Mapping[str, tuple[FastAPI, int]], *, host: str = "127.0.0.1") -> None:
    """Serve each named application on its port (0: any free one) until SIGTERM or SIGINT.

    The chosen ports are written to standard output as one line of JSON, like {"chargebee_port": 8099}.
    """
    listeners = {name: _listen(host, port) for name, (_, port) in apps.items()}
    await _serve_on(apps, listeners)


async def _serve_on(apps: Mapping[str, tuple[FastAPI, int]], listeners: Mapping[str, socket.socket]) -> None:
    servers = {
        name: _Server(uvicorn.Config(app, log_level="warning", lifespan="on", ws="none", timeout_graceful_shutdown=2))
        for name, (app, _) in apps.items()
    }

    def end() -> None:
        for server in servers.values():
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    ports = {f"{name}_port": listener.getsockname()[1] for name, listener in listeners.items()}
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await asyncio.gather(*(server.serve(sockets=[listeners[name]]) for name, server in servers.items()))


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2_048)  # callers that come before the servers are up wait instead of being refused
    return listener


async def serve_world(options: WorldOptions) -> None:
    """Serve both stand-ins and play a month between them until SIGTERM or SIGINT."""
    plan = make_month(options.seed, options.documents)
    listeners = {"chargebee": _listen(options.host, options.chargebee_port), "exact": _listen(options.host, options.exact_port)}
    chargebee = create_chargebee(_chargebee_settings(options, plan.year, plan.month))
    exact = create_exact(
        ExactSettings(
            minute_seconds=options.minute_seconds,
            more_clients=((options.exact_client_id, options.exact_client_secret),),
        )
    )
    # A wildcard address is no place to connect to; the player always reaches its neighbour on loopback.
    player = Player(
        chargebee,
        plan,
        f"http://127.0.0.1:{listeners['exact'].getsockname()[1]}",
        play_seconds=options.play_seconds,
    )
    chargebee.include_router(routes(player))
    if not options.wait_for_start:
        player.started.set()
    playing = asyncio.create_task(player.play())
    playing.add_done_callback(_report_failure)
    try:
        await _serve_on({"chargebee": (chargebee, 0), "exact": (exact, 0)}, listeners)
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


def _report_failure(task: asyncio.Task[None]) -> None:
    """Say at once why the play stopped; otherwise everybody would wait for documents that never come."""
    if not task.cancelled() and (error := task.exception()) is not None:
        sys.stderr.write(f"the play stopped: {error!r}\n")


def _chargebee_settings(options: WorldOptions, year: int, month: int) -> ChargebeeSettings:
    opened = datetime(year, month, 1, tzinfo=UTC) - timedelta(days=30)
    endpoints: tuple[WebhookEndpoint, ...] = ()
    if options.webhook_url is not None:
        endpoints = (WebhookEndpoint(options.webhook_url, options.webhook_username, options.webhook_password),)
    return ChargebeeSettings(
        seed=options.seed,
        started_at=int(opened.timestamp()),
        minute_seconds=options.minute_seconds,
        webhooks=endpoints,
        webhook_workers=4,
        webhook_disordered_per_mille=200,
        webhook_duplicated_per_mille=50,
        webhook_disorder_seconds=0.5,
        retry_scale=options.retry_scale,
    )
