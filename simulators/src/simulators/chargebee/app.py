"""The web application of the Chargebee stand-in: `create_app` is the way in."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote

from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from .admission import Fault, Faults, Gate, IdempotencyStore, authenticate, rate_limited
from .api import Call, find_operation
from .control import router as control_router
from .delivery import WebhookSender
from .downloads import Downloads
from .errors import ApiError
from .settings import ChargebeeSettings
from .site import Site

_HEADERS = {"server": "ChargeBee", "cache-control": "no-store, no-cache, must-revalidate"}
_JSON = "application/json;charset=utf-8"
_PROXY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class ChargebeeSimulator(FastAPI):
    """A FastAPI application that holds one site and can lose the answer to a request.

    Public attributes: `site` (the state machine), `sender` (webhooks), `faults`, `gate` (limits) and `calls`
    (how often each method and resource was called).
    """

    def __init__(self, settings: ChargebeeSettings) -> None:
        self.settings = settings
        self.site = Site(settings)
        self.sender = WebhookSender(self.site)
        self.faults = Faults()
        self.gate = Gate(settings, self.site.clock)
        self.keys = IdempotencyStore(settings, self.site.clock)
        self.downloads = Downloads(self.site)
        self.calls: dict[str, int] = {}
        super().__init__(title="Chargebee stand-in", lifespan=_lifespan, docs_url=None, redoc_url=None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Remember the connection of a request, so that a fault can cut it as a broken network would."""
        if scope["type"] == "http":
            scope["simulator.transport"] = getattr(getattr(send, "__self__", None), "transport", None)
        await super().__call__(scope, receive, send)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    assert isinstance(app, ChargebeeSimulator)  # noqa: S101 - the application is made below, nowhere else
    await app.sender.start()
    yield
    await app.sender.stop()


def create_app(settings: ChargebeeSettings) -> ChargebeeSimulator:
    """Build the stand-in; its webhooks are sent while the application's lifespan runs."""
    app = ChargebeeSimulator(settings)
    app.include_router(control_router)
    app.add_api_route("/api/v2/{path:path}", _api, methods=["GET", "POST", "PUT", "DELETE"], include_in_schema=False)
    app.add_api_route("/downloads/{token}/{name}", _download, methods=["GET"], include_in_schema=False)
    return app


async def _download(token: str, request: Request) -> Response:
    content = _app(request).downloads.fetch(token)
    if content is None:
        return Response("<Error><Code>AccessDenied</Code></Error>", 403, media_type="application/xml")
    return Response(content, media_type="application/pdf")


def _app(request: Request) -> ChargebeeSimulator:
    app = request.app
    assert isinstance(app, ChargebeeSimulator)  # noqa: S101 - the routes are added in create_app only
    return app


def _answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers={**_HEADERS, **(headers or {})}, media_type=_JSON)


def _encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


async def _api(request: Request) -> Response:
    app = _app(request)
    raw_path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    path = raw_path.decode("ascii").partition("?")[0].removeprefix("/api/v2")
    name = f"{request.method} {_shape(path)}"
    app.calls[name] = app.calls.get(name, 0) + 1
    fault = app.faults.take(request.method, path)
    if fault is not None:
        early = await _meet(fault, request)
        if early is not None:
            return early
    try:
        answer = await _admit(app, request, path)
    except ApiError as refusal:
        answer = _answer(refusal.status, _encode(refusal.body()), refusal.headers)
    if fault is not None and fault.fault == "lose_answer":
        await _cut(request)
    return answer


def _shape(path: str) -> str:
    """The path without ids, for counting calls."""
    segments = path.strip("/").split("/")
    if len(segments) > 1:
        segments[1] = "{id}"
    return "/".join(segments)


async def _meet(fault: Fault, request: Request) -> Response | None:
    """Disturb a request; returns the answer it gets instead of its own, or None when it goes on."""
    if fault.fault == "delay":
        await asyncio.sleep(fault.seconds)
    elif fault.fault == "drop_before":
        await _cut(request)
        return Response(status_code=500)
    elif fault.fault == "html_502":
        return Response(_PROXY_PAGE, 502, media_type="text/html")
    elif fault.fault != "lose_answer":
        refusal = _refusal(fault)
        return _answer(refusal.status, _encode(refusal.body()), refusal.headers)
    return None


def _refusal(fault: Fault) -> ApiError:
    if fault.fault == "rate_limit":
        return rate_limited(max(1, round(fault.seconds)))
    if fault.fault == "lock_timeout":
        return ApiError(429, "lock_timeout", "The resource is being changed by another request.", kind=None)
    codes = {500: "internal_error", 503: "internal_temporary_error", 409: "invalid_state_for_request"}
    text = "Sorry, something went wrong. Please try again later."
    return ApiError(fault.status, codes.get(fault.status, "internal_error"), text, kind=None)


async def _cut(request: Request) -> None:
    """Close the connection without an answer; without a real connection the caller gets a ConnectionResetError."""
    transport = request.scope.get("simulator.transport")
    if transport is None:
        raise ConnectionResetError("the answer was lost")
    transport.abort()
    for _ in range(3):
        await asyncio.sleep(0)  # the server learns of the closed connection in a later turn of the loop


async def _admit(app: ChargebeeSimulator, request: Request, path: str) -> Response:
    segments = [unquote(each) for each in path.strip("/").split("/")]
    harmless = segments[-1] == "pdf"
    authenticate(app.settings, request.headers.get("authorization"), "GET" if harmless else request.method)
    app.gate.enter()
    try:
        body = await request.body()
        key = request.headers.get("chargebee-idempotency-key")
        if key is None or request.method != "POST":
            return _answer(200, _encode(_perform(app, request, segments, body)))
        return _perform_once(app, request, segments, body, key)
    finally:
        app.gate.leave()


def _perform_once(app: ChargebeeSimulator, request: Request, segments: list[str], body: bytes, key: str) -> Response:
    remembered = app.keys.begin(key, request.url.path, body)
    if remembered is not None:
        return _answer(remembered.status, remembered.body, {"chargebee-idempotency-replayed": "true"})
    try:
        status, answer = 200, _encode(_perform(app, request, segments, body))
    except ApiError as refusal:
        status, answer = refusal.status, _encode(refusal.body())
    app.keys.finish(key, status, answer)
    return _answer(status, answer)


def _perform(app: ChargebeeSimulator, request: Request, segments: list[str], body: bytes) -> dict[str, Any]:
    operation, resource_id = find_operation(request.method, segments)
    text = request.url.query if request.method == "GET" else body.decode("utf-8", "replace")
    parameters = dict(parse_qsl(text, keep_blank_values=True))
    call = Call(app.site, app.downloads, resource_id, parameters, str(request.base_url))
    return operation(call)
