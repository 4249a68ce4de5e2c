import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_API_PATH = re.compile(r"/api/v1/(?:(\d+)/)?([^(]+?)(?:\(.*)?")
_LITERAL = re.compile(r"(?:guid|datetime)?'(?:[^']|'')*'")
_NAME = re.compile(r"\b[A-Za-z_]\w*\b(?!\s*\()")
_FILTER_WORDS = frozenset({"and", "or", "not", "eq", "ne", "gt", "ge", "lt", "le", "true", "false", "null"})
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_WRITES = frozenset({"POST", "PUT", "DELETE"})

KINDS = frozenset(
    {
        "lose_answer",
        "drop_before",
        "cut_answer",
        "status",
        "status_after",
        "html_502",
        "html_502_after",
        "delay",
        "delay_after",
    }
)


@dataclass
class Fault:
    """Something that goes wrong for the next `times` calls that fit `method` and `path_contains`."""

    kind: str
    method: str | None = None
    path_contains: str = ""
    times: int = 1
    status: int = 503
    seconds: float = 1.0
    retry_after_seconds: int | None = None
    body: str = ""
    skip: int = 0  # so many fitting calls pass first

    def fits(self, method: str, path: str) -> bool:
        """Whether this call is one it was made for."""
        return self.times > 0 and self.method in (None, method) and self.path_contains in path


@dataclass
class Traffic:
    """What was asked of the stand-in: counts by endpoint and question, and how many calls of a division ran at once."""

    total: int = 0
    division_calls: int = 0
    writes: int = 0
    concurrent_max: int = 0
    by_endpoint: Counter[str] = field(default_factory=Counter)
    by_question: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[int] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    def take_fault(self, method: str, path: str) -> Fault | None:
        """The fault that strikes this call, used up by it."""
        for fault in self.faults:
            if not fault.fits(method, path):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.times -= 1
            if fault.times == 0:
                self.faults.remove(fault)
            return fault
        return None

    def begin(self, method: str, path: str, query: str) -> int | None:
        """Notes the start of an API call; returns its division."""
        found = _API_PATH.fullmatch(path)
        if found is None:
            return None
        self.total += 1
        endpoint = f"{method} {found[2].strip('/')}"
        self.by_endpoint[endpoint] += 1
        self.by_question[endpoint + ("(key)" if "(" in path else "") + _filtered_by(query)] += 1
        if found[1] is None:
            return None
        division = int(found[1])
        self.division_calls += 1
        self.writes += method in _WRITES
        self.in_flight[division] += 1
        self.concurrent_max = max(self.concurrent_max, self.in_flight[division])
        return division

    def end(self, division: int | None) -> None:
        """Notes the end of an API call."""
        if division is not None:
            self.in_flight[division] -= 1


class FrontDoor:
    """Stands before the whole application: counts calls, and lets the ordered faults happen on the real connection."""

    def __init__(self, app: App, traffic: Traffic, latency_seconds: float) -> None:
        self.app = app
        self.traffic = traffic
        self.latency_seconds = latency_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path.startswith("/_simulator"):
            await self.app(scope, receive, send)
            return
        method: str = scope["method"]
        division = self.traffic.begin(method, path, scope.get("query_string", b"").decode("latin-1"))
        try:
            if self.latency_seconds:
                await asyncio.sleep(self.latency_seconds)
            fault = self.traffic.take_fault(method, path)
            if fault is None:
                await self.app(scope, receive, send)
            else:
                await self._strike(fault, scope, receive, send)
        finally:
            self.traffic.end(division)

    async def _strike(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        kind = fault.kind
        if kind in ("delay", "delay_after"):
            await self._delay(fault, scope, receive, send)
            return
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        if kind in ("lose_answer", "status_after", "html_502_after", "cut_answer"):
            await self.app(scope, receive, keep)
        if kind in ("status", "status_after"):
            await _answer(send, fault.status, b"text/plain", fault.body.encode(), fault.retry_after_seconds)
        elif kind in ("html_502", "html_502_after"):
            await _answer(send, 502, b"text/html", _HTML, fault.retry_after_seconds)
        elif kind == "cut_answer":
            await send(answer[0])
            await send({"type": "http.response.body", "body": answer[1]["body"][:20], "more_body": True})
            await _hang_up(receive, send)
        else:
            await _hang_up(receive, send)

    async def _delay(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
            await self.app(scope, receive, send)
            return
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self.app(scope, receive, keep)
        await asyncio.sleep(fault.seconds)
        for message in answer:
            await send(message)


def _filtered_by(query: str) -> str:
    """`?` and the properties that a call filters by, in the order of the alphabet; empty without a filter."""
    words = _NAME.findall(_LITERAL.sub("", " ".join(parse_qs(query).get("$filter", []))))
    names = sorted(set(words) - _FILTER_WORDS)
    return f"?{','.join(names)}" if names else ""


async def _answer(send: Send, status: int, kind: bytes, body: bytes, retry_after_seconds: int | None) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if retry_after_seconds is not None:
        headers.append((b"retry-after", str(retry_after_seconds).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _hang_up(receive: Receive, send: Send) -> None:
    """Closes the connection without (more of) an answer.

    uvicorn offers no word for it, so its transport is taken from the bound `send`. Without a transport (a client that
    calls the application in process) the same error is raised that a client sees on a socket.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        continue
