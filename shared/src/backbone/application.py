"""What a service is made of: the things it gets, and what it gives back to be run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backbone.broker import Broker
from backbone.clock import Clock
from backbone.configuration import Configuration
from backbone.database import Database
from backbone.settings import Settings
from backbone.telemetry import Telemetry

if TYPE_CHECKING:
    from fastapi import APIRouter  # half a second of import time, which a command that builds no service need not spend

ENTRY_POINTS = "kruispost.services"  # where the installed services are found, each by its name
Worker = Callable[[asyncio.Event], Awaitable[None]]
Readiness = Callable[[], Awaitable[str | None]]


@dataclass(frozen=True)
class Context:
    """What a service gets to build itself from."""

    settings: Settings
    configuration: Configuration
    clock: Clock
    database: Database
    broker: Broker
    telemetry: Telemetry


@dataclass
class Application:
    """A built service: workers that run until the event is set, its routes, and checks that say why it is not ready, or None."""

    name: str
    workers: Sequence[Worker]
    router: APIRouter | None = None
    ready: Sequence[Readiness] = ()


Build = Callable[[Context], Awaitable[Application]]
