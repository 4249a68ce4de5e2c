"""The door for Chargebee's webhooks: 200 only after the event is stored, 4xx with a reason for what can never be stored.

Chargebee tries again after any other answer, up to seven times in more than three days. It sends Basic authentication and
no signature, and repeats and reorders events; so an event that is already there is answered 200 as well.
"""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus

import msgspec
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from backbone.clock import Clock
from backbone.telemetry import Telemetry
from ingest.credentials import Credentials
from ingest.received import UnusableEventError, read_event
from ingest.store import EventStore, StoreUnavailableError

PATH = "/webhooks/chargebee/{site}"
JSON = "application/json"
BASIC = 'Basic realm="kruispost", charset="UTF-8"'
STORED = b'{"status":"stored"}'
DUPLICATE = b'{"status":"duplicate"}'
LONGEST_LENGTH = 18  # digits of a Content-Length that are worth turning into a number


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """Why a webhook gets no 200: the HTTP status, a stable code and a sentence for whoever set the webhook up."""

    def __init__(self, status: int, code: str, sentence: str, *, challenge: str | None = None) -> None:
        """Refuse; `challenge` is what a 401 asks for in `WWW-Authenticate`."""
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.sentence = sentence
        self.challenge = challenge

    def answer(self) -> Response:
        """Return the HTTP answer, with {"code", "message"} as its body."""
        headers = {"www-authenticate": self.challenge} if self.challenge is not None else {}
        body = msgspec.json.encode({"code": self.code, "message": self.sentence})
        return Response(body, self.status, headers, JSON)


def router(door: Door) -> APIRouter:
    """Return the route of the door.

    A plain Starlette route: FastAPI's dependency and validation layers would cost more than the work itself.
    """
    routes = APIRouter()
    routes.add_route(PATH, door.receive, methods=["POST"])
    return routes


class Door:
    """Answers one webhook: who may come in, for which site, with what."""

    def __init__(
        self,
        store: EventStore,
        credentials: Credentials,
        sites: Collection[str],
        *,
        max_body_bytes: int,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        """Let in who has the credentials, for the configured sites, with at most `max_body_bytes`."""
        self._store = store
        self._credentials = credentials
        self._sites = frozenset(sites)
        self._max_body_bytes = max_body_bytes
        self._clock = clock
        self._telemetry = telemetry

    async def receive(self, request: Request) -> Response:
        """Store the event and answer 200; 401, 404, 413 and 422 say what to mend, 503 only to deliver again."""
        started = self._clock.monotonic()
        try:
            with self._telemetry.span("ingest.webhook"):
                is_new = await self._take(request)
        except Refusal as refusal:
            self._telemetry.count(
                "webhooks_received", outcome="refused" if refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR else "unavailable"
            )
            return refusal.answer()
        self._telemetry.count("webhooks_received", outcome="stored" if is_new else "duplicate")
        self._telemetry.observe("webhook_seconds", self._clock.monotonic() - started)
        return Response(STORED if is_new else DUPLICATE, media_type=JSON)

    async def _take(self, request: Request) -> bool:
        if not self._credentials.admit(request.headers.get("authorization")):
            sentence = "The user name or the password of this webhook is wrong."
            raise Refusal(401, "credentials_wrong", sentence, challenge=BASIC)
        site = request.path_params["site"]
        if site not in self._sites:
            sentence = "This Chargebee site is not in the configuration; add it there, or correct the webhook's address."
            raise Refusal(404, "site_unknown", sentence)
        body = await read_body(request, self._max_body_bytes)
        try:
            event = read_event(body)
            return await self._store.store(site, event, self._telemetry.current_traceparent())
        except UnusableEventError as error:
            raise Refusal(422, error.code, error.sentence) from error
        except StoreUnavailableError as error:
            raise Refusal(503, "store_unavailable", "The event could not be stored just now; deliver it again.") from error


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Read a body of at most `max_bytes`, announced or chunked; raises Refusal without reading the rest of a larger one."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > LONGEST_LENGTH or int(announced) > max_bytes):
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(max_bytes)
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise Refusal(400, "body_cut_off", "The connection ended before the body did.") from error
    return b"".join(chunks)


def _too_large(max_bytes: int) -> Refusal:
    return Refusal(413, "body_too_large", f"The body has more than {max_bytes} bytes; raise KRUISPOST_MAX_BODY_BYTES to take it.")
