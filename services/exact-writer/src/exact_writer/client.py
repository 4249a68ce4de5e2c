"""One HTTP call to Exact and what its answer means. Nothing is tried again here.

What can come out of a call:

    Answer                 2xx, with the body read
    CallError
    ├── NotSentError       no connection: nothing left this machine, so it may be sent again
    ├── RateLimitedError   429: not processed, so it may be sent again when the budget allows
    ├── UnauthorizedError  401: the token is not accepted, not processed; counts against the error limit
    ├── ForbiddenError     403: a right, a scope or the whole division is closed; counts against the error limit
    ├── NotFoundError      404: the key or the path is not there; counts against the error limit
    ├── RefusedError       400, or 500 with an error body: final, never sent again; `code` is stable
    └── UnknownError       no answer, a time-out, a gateway's page, a failure inside Exact: for a POST, look before sending again

Business refusals are HTTP 500 with an OData error body. A 5xx without one comes from a gateway and leaves the
outcome open.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal

import httpx
import msgspec

from exact_writer import odata, refusals
from exact_writer.prompt_socket import before_bytes, send_promptly
from exact_writer.timing import Timing

KEEP_ALIVE_SECONDS: Final = 2.0  # shorter than any server's, so that a call does not start on a connection that is being closed
OK, CREATED_LIMIT = 200, 300
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, RATE_LIMITED, SERVER_ERROR = 400, 401, 403, 404, 429, 500

Method = Literal["GET", "POST", "PUT", "DELETE"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A call in a division. `path` follows `/api/v1/{division}/`; `endpoint` is the resource that the error limit counts.

    `key` is the one that the body gives to what a POST makes, if it gives one.
    """

    method: Method
    endpoint: str
    path: str
    body: bytes | None = None
    key: str | None = None

    @property
    def is_write(self) -> bool:
        """Whether the call changes something in Exact."""
        return self.method != "GET"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A successful answer; `headers` carry what remains of the budget."""

    status: int
    body: Any
    headers: Mapping[str, str]


class CallError(Exception):
    """A call without success; `headers` is None when no answer came."""

    def __init__(self, message: str, *, status: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.headers = headers


class NotSentError(CallError):
    """No connection to Exact; nothing was sent."""


class RateLimitedError(CallError):
    """Exact's limit of calls; the call was not processed."""


class UnauthorizedError(CallError):
    """The access token was not accepted."""


class ForbiddenError(CallError):
    """A right or scope is missing, or the division is closed; Exact names it in the Reason header."""


class NotFoundError(CallError):
    """The record or the path does not exist."""


class RefusedError(CallError):
    """Exact refuses this request for good."""

    def __init__(self, message: str, *, code: str, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(message, status=status, headers=headers)
        self.code = code


class UnknownError(CallError):
    """Whether Exact processed the call is not known."""


class ExactClient:
    """Speaks HTTP to one Exact host over one long-lived connection; one call at a time is the caller's duty."""

    def __init__(self, base_url: str, timing: Timing, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        timeout = httpx.Timeout(timing.timeout_seconds, connect=10.0)
        limits = httpx.Limits(max_connections=10, keepalive_expiry=KEEP_ALIVE_SECONDS)
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/"), timeout=timeout, limits=limits, follow_redirects=False, transport=transport
        )
        send_promptly(self._http)
        self._patience_seconds = timing.timeout_seconds
        self.base_url = base_url.rstrip("/")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(
        self, division: int, request: Request, access_token: str, is_late: Callable[[], bool] = lambda: False
    ) -> Answer:
        """Make one call; raises a CallError of the kind that says what may be done now.

        `is_late` is asked immediately before the call leaves; when it says yes nothing is sent, and NotSentError says so.
        """
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if request.method == "POST":
            headers["Prefer"] = "return=representation"
        path = request.path if request.path.startswith("/") else f"/api/v1/{division}/{request.path}"
        return interpret(await self._send(request.method, path, headers, request.body, is_late))

    async def token_request(self, form: Mapping[str, str]) -> httpx.Response:
        """Ask the token endpoint; raises NotSentError or UnknownError when no answer came. The caller reads the status."""
        try:
            return await self._http.post("/api/oauth2/token", data=dict(form), headers={"Accept": "application/json"})
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSentError(f"no connection to Exact: {type(error).__name__}") from error
        except httpx.TransportError as error:
            raise UnknownError(f"no answer from Exact's token endpoint: {type(error).__name__}") from error

    async def _send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, is_late: Callable[[], bool]
    ) -> httpx.Response:
        def check() -> None:
            if is_late():
                raise NotSentError("this process was held up; the call was not sent")

        check()
        # Without its body Exact cannot act on a request, so that each write may be the one that is too late.
        watched = before_bytes.set(check)
        try:
            # httpx's time-outs start anew with each chunk; a call as a whole must end before others count on its end.
            async with asyncio.timeout(self._patience_seconds):
                return await self._http.request(method, path, headers=headers, content=body)
        except TimeoutError as error:
            raise UnknownError("no answer from Exact in time") from error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSentError(f"no connection to Exact: {type(error).__name__}") from error
        except httpx.TransportError as error:
            raise UnknownError(f"no answer from Exact: {type(error).__name__}") from error
        finally:
            before_bytes.reset(watched)


def interpret(response: httpx.Response) -> Answer:
    """Read an answer; raises the CallError that its status and body mean."""
    status, headers = response.status_code, response.headers
    body = _json(response)
    if OK <= status < CREATED_LIMIT:
        if body is None and status != httpx.codes.NO_CONTENT:
            raise UnknownError("Exact answered a success that cannot be read", status=status, headers=headers)
        return Answer(status=status, body=body, headers=headers)
    text = odata.error_text(body)
    said = refusals.one_line(text or "") or headers.get("Reason") or response.reason_phrase
    if status == RATE_LIMITED:
        raise RateLimitedError("Exact's limit of calls is reached", status=status, headers=headers)
    kinds: dict[int, type[CallError]] = {UNAUTHORIZED: UnauthorizedError, FORBIDDEN: ForbiddenError, NOT_FOUND: NotFoundError}
    if status in kinds:
        raise kinds[status](said, status=status, headers=headers)
    if status == BAD_REQUEST:
        raise RefusedError(said, code="malformed", status=status, headers=headers)
    if status == SERVER_ERROR and text is not None and not refusals.is_failure(text):
        raise RefusedError(said, code=refusals.classify(text), status=status, headers=headers)
    raise UnknownError(f"Exact answered {status}: {said}", status=status, headers=headers)


def _json(response: httpx.Response) -> Any:
    if not response.content:
        return None
    try:
        # Money passes through here: numbers become Decimal, never float.
        return json.loads(response.content, parse_float=Decimal)
    except ValueError:
        return None
