"""The ways between the services and the outside systems, which lose, delay and break what they carry."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from email.utils import format_datetime
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import httpx
from support.mortal import KilledError, living

import exact_writer.__main__
import simulators.exact.webhooks
from exact_writer.client import ExactClient

if TYPE_CHECKING:
    from support.simulated_process import Process
    from support.simulation import World

BEFORE = ("unreachable", "reset_before", "html_502", "unauthorized", "rate_limited", "unavailable")
AFTER = ("reset_after", "html_502_after", "truncated")
LATE = ("late_request", "late_answer")  # the request or the answer takes about as long as is waited for it
FAULTS = (*BEFORE, *AFTER, *LATE)
TOKEN_FAULTS = ("unreachable", "reset_before", "html_502", "unavailable", "reset_after", "late_answer")
WEBHOOK_SECONDS = 20.0
EXACT_PATH = "/webhooks/exact"
_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


class WayToExact(httpx.AsyncBaseTransport):
    """What the writer's calls go through."""

    def __init__(self, world: World, app: Any) -> None:
        self._world = world
        self._inner = httpx.ASGITransport(app=app)
        self._luck = random.Random(f"way to exact {world.seed}")
        self.faults_per_mille = 0
        self.closed_until = 0.0  # maintenance: 503
        self.cut_until = 0.0  # no connection
        self.lost_answers = 0  # of so many of the next calls that write
        self.struck: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One call; once it has left it arrives, whether or not who made it still lives."""
        life = living()
        if life is None:  # a command that a person gives; time stands still
            return await self._inner.handle_async_request(request)
        life.touch()
        world, now = self._world, self._world.clock.monotonic()
        if now < self.cut_until:
            raise httpx.ConnectError("no connection", request=request)
        is_token = request.url.path.endswith("/token")
        fault = ""
        if self._luck.randrange(1000) < self.faults_per_mille:
            fault = self._luck.choice(TOKEN_FAULTS if is_token else FAULTS)
            self.struck.add(fault)
            world.counts[f"exact {fault}"] += 1
        if self.lost_answers and request.method == "POST" and not is_token:
            self.lost_answers, fault = self.lost_answers - 1, "reset_after"
        wait = 60.0 * (0.5 + 1.4 * self._luck.random())
        about = f"exact {request.method} {request.url.raw_path.decode()} {_print(b'' if is_token else request.content)}"
        world.note(f"{about} {fault}")
        if fault == "unreachable":
            raise httpx.ConnectError("no connection", request=request)
        life.passes(f"before {request.method} {_kind(request.url.path)}")
        carried: asyncio.Task[httpx.Response | Exception] = world.serve(self._carry(request, fault, wait))
        answer = await asyncio.shield(carried)
        life.passes(f"after {request.method} {_kind(request.url.path)}")
        if isinstance(answer, Exception):
            raise answer
        world.note(f"exact answered {answer.status_code}")
        return answer

    async def _carry(self, request: httpx.Request, fault: str, wait: float) -> httpx.Response | Exception:
        await asyncio.sleep(wait if fault == "late_request" else 0.02 + 0.1 * self._luck.random())
        if fault == "reset_before":
            return httpx.ReadError("connection reset", request=request)
        date = {"Date": format_datetime(self._world.clock.now(), usegmt=True)}
        if fault == "unavailable" or self._world.clock.monotonic() < self.closed_until:
            return httpx.Response(503, text="onderhoud", headers=date)
        if fault in ("unauthorized", "rate_limited"):
            return httpx.Response(401 if fault == "unauthorized" else 429, headers=date)
        if fault == "html_502":
            return httpx.Response(502, headers={"content-type": "text/html", **date}, content=_PAGE)
        answer = await self._inner.handle_async_request(request)
        whole = await answer.aread()
        answer.headers.update(date)
        await asyncio.sleep(wait if fault == "late_answer" else 0.02 + 0.1 * self._luck.random())
        if fault == "reset_after":
            return httpx.ReadError("connection reset", request=request)
        if fault == "html_502_after":
            return httpx.Response(502, headers={"content-type": "text/html", **date}, content=_PAGE)
        if fault == "truncated" and answer.is_success and len(whole) > 1:
            return httpx.Response(answer.status_code, headers={"content-type": "application/json"}, content=whole[:-1])
        return answer


class WayToChargebee(httpx.BaseTransport):
    """What the calls of Chargebee's SDK go through; they block, so time stands still meanwhile."""

    FAULTS = ("unreachable", "timeout_before", "html_502", "429", "lock_timeout", "500", "lost_answer")

    def __init__(self, world: World) -> None:
        self._world = world
        self._luck = random.Random(f"way to chargebee {world.seed}")
        self.faults_per_mille = 0
        self.cut_until = 0.0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One call."""
        life, world = living(), self._world
        if life is not None:
            life.passes(f"before {request.method} {_kind(request.url.path)}")
        if world.clock.monotonic() < self.cut_until:
            raise httpx.ConnectError("no connection", request=request)
        fault = ""
        if self._luck.randrange(1000) < self.faults_per_mille:
            fault = self._luck.choice(self.FAULTS)
            world.counts[f"chargebee {fault}"] += 1
        world.note(f"chargebee {request.method} {request.url.raw_path.decode()} {_print(request.read())} {fault}")
        if fault == "unreachable":
            raise httpx.ConnectError("no connection", request=request)
        if fault == "timeout_before":
            raise httpx.ReadTimeout("no answer", request=request)
        if fault == "html_502":
            return httpx.Response(502, headers={"content-type": "text/html"}, content=_PAGE)
        if fault in ("429", "lock_timeout", "500"):
            return self._refuse(fault)
        answer = _at_once(_asked(self._world.chargebee, request))
        if life is not None:
            life.passes(f"after {request.method} {_kind(request.url.path)}")
        if fault == "lost_answer":
            raise httpx.ReadTimeout("no answer", request=request)
        world.note(f"chargebee answered {answer.status_code}")
        return answer

    def _refuse(self, fault: str) -> httpx.Response:
        codes = {"429": "api_request_limit_exceeded", "lock_timeout": "lock_timeout", "500": "internal_error"}
        body = {"message": "Sorry", "api_error_code": codes[fault], "error_code": codes[fault], "http_status_code": 429}
        headers = {"Retry-After": "20"} if fault == "429" else {}
        return httpx.Response(500 if fault == "500" else 429, json=body, headers=headers)


class Door(httpx.AsyncBaseTransport):
    """What webhooks come in by: ingest's own routes, within one of its processes."""

    def __init__(self, world: World, ingests: list[Process]) -> None:
        self._world, self._ingests = world, ingests
        self._luck = random.Random(f"door {world.seed}")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One delivery; nobody answers while ingest is dead or stands still, or when it dies meanwhile."""
        chosen = self._luck.choice(self._ingests)
        life, site = chosen.life, chosen.site
        if life is None or life.is_over or site is None:
            raise httpx.ConnectError("no connection", request=request)
        transport = httpx.ASGITransport(app=site)
        task = life.spawn(_read(transport, request))
        await asyncio.wait((task,), timeout=WEBHOOK_SECONDS)
        if not task.done():
            raise httpx.ReadTimeout("no answer", request=request)
        if task.cancelled() or isinstance(task.exception(), KilledError):
            raise httpx.ReadError("connection reset", request=request)
        answer = task.result()
        if answer.status_code == httpx.codes.OK and request.url.path != EXACT_PATH:
            self._world.acknowledged.add(_event_id(request.content))
        return answer

    async def from_exact(self, url: str, body: bytes) -> int:
        """The status with which a webhook of Exact was answered; 0 when nobody did."""
        try:
            answer = await self.handle_async_request(httpx.Request("POST", url, content=body))
        except httpx.TransportError:
            return 0
        self._world.counts[f"exact webhook {answer.status_code}"] += 1
        return answer.status_code


async def _read(transport: httpx.ASGITransport, request: httpx.Request) -> httpx.Response:
    answer = await transport.handle_async_request(request)
    await answer.aread()
    return answer


def _event_id(body: bytes) -> str:
    return str(json.loads(body)["id"])


def _kind(path: str) -> str:
    """What a path asks for, without the names and numbers of single things."""
    parts = [part.partition("(")[0] for part in path.split("/")]
    return "/".join(part for part in parts if part.replace("_", "").isalpha() and part != "api")


def _print(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:12] if body else ""


async def _asked(app: Any, request: httpx.Request) -> httpx.Response:
    asynchronous = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
    answer = await httpx.ASGITransport(app=app).handle_async_request(asynchronous)
    return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


def _at_once(work: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
    """Run a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        answer: httpx.Response = end.value
        return answer
    raise AssertionError("the stand-in waits for something")


class _File:
    """What a download answers."""

    def __init__(self, answer: httpx.Response) -> None:
        self.headers, self._content = answer.headers, answer.content

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def read(self, most: int) -> bytes:
        """The next bytes."""
        given, self._content = self._content[:most], self._content[most:]
        return given


def _downloaded(world: World, address: str, **_: Any) -> _File:
    try:
        answer = world.way_to_chargebee.handle_request(httpx.Request("GET", address))
    except httpx.TransportError as error:
        raise OSError(str(error)) from error
    if not answer.is_success:
        raise urllib.error.HTTPError(address, answer.status_code, "", answer.headers, None)  # type: ignore[arg-type]  # as good as
    return _File(answer)


def patched_ways(world: World, patch: Callable[[Any, str, Any], None]) -> None:
    """Have the writer's client and Chargebee's SDK take these ways."""
    from chargebee import http_request  # noqa: PLC0415 - a second of import time

    patch(exact_writer.__main__, "ExactClient", partial(ExactClient, transport=world.way_to_exact))
    client = partial(httpx.Client, transport=world.way_to_chargebee)
    ways = SimpleNamespace(**{name: getattr(httpx, name) for name in dir(httpx) if not name.startswith("_")})
    ways.Client = lambda verify=True: client()  # noqa: ARG005 - the SDK names it
    patch(http_request, "httpx", ways)
    patch(urllib.request, "urlopen", partial(_downloaded, world))
    patch(simulators.exact.webhooks, "_post", world.door.from_exact)
