from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI, Request
from starlette.responses import Response

from simulators.exact import control, oauth
from simulators.exact.api import Api
from simulators.exact.limits import Gate, Limits
from simulators.exact.oauth import Authority
from simulators.exact.seed import seed
from simulators.exact.settings import ExactSettings
from simulators.exact.traffic import FrontDoor, Receive, Scope, Send, Traffic
from simulators.exact.webhooks import Webhooks
from simulators.exact.world import World

_METHODS = ["GET", "POST", "PUT", "DELETE"]


@dataclass(frozen=True)
class Simulator:
    """The parts behind the application, for tests that run it in process (`app.state.simulator`)."""

    settings: ExactSettings
    world: World
    authority: Authority
    gate: Gate
    traffic: Traffic
    webhooks: Webhooks


class _Application(FastAPI):
    """FastAPI behind the front door, which must stand outside of every middleware to be able to cut a connection."""

    door: FrontDoor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.door(scope, receive, send)
        else:
            await self.inner(scope, receive, send)

    async def inner(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application without its front door."""
        await super().__call__(scope, receive, send)


def create_app(settings: ExactSettings | None = None) -> FastAPI:
    """A stand-in for Exact Online with the seeded divisions 100001, 100002 and those of the settings, all of it in memory."""
    settings = settings or ExactSettings()
    world = World(settings)
    webhooks = Webhooks(settings)
    seed(world)
    world.notify = webhooks.publish
    gate = Gate(Limits.of(settings), settings.clock, settings.error_block_scope == "key")
    simulator = Simulator(settings, world, Authority(settings), gate, Traffic(), webhooks)
    api = Api(world, simulator.authority, gate)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await webhooks.stop()

    app = _Application(title="Exact Online stand-in", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.door = FrontDoor(app.inner, simulator.traffic, settings.latency_seconds)
    app.state.simulator = simulator
    app.include_router(oauth.routes(simulator.authority))
    app.include_router(control.routes(simulator))

    @app.api_route("/api/v1/{division:int}/{path:path}", methods=_METHODS)
    async def below_division(request: Request, division: int, path: str) -> Response:
        return await api.handle(request, division, path)

    @app.api_route("/api/v1/{path:path}", methods=_METHODS)
    async def without_division(request: Request, path: str) -> Response:
        return await api.handle(request, None, path)

    return app
