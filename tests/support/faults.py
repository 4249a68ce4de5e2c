"""What can go wrong between a writer and the Exact stand-in, and at which of the writer's calls.

A fault strikes before Exact did what it was asked, or after. Nothing here waits: a time-out moves the clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any, Final

import httpx
from support.fragile import FragileDatabase, OurClock

from exact_writer.timing import Timing

POST, PUT, DELETE = "POST", "PUT", "DELETE"
CALLS = {
    "account": (POST, "crm/Accounts"),
    "account change": (PUT, "crm/Accounts"),
    "sales entry": (POST, "salesentry/SalesEntries"),
    "general entry": (POST, "generaljournalentry/GeneralJournalEntries"),
    "ledger batch": (POST, "generaljournalentry/GeneralJournalEntries"),
    "payments of a day": (POST, "generaljournalentry/GeneralJournalEntries"),
    "item": (POST, "logistics/Items"),
    "draft": (POST, "salesinvoice/SalesInvoices"),
    "final invoice": (POST, "salesinvoice/PrintedSalesInvoices"),
    "draft removal": (DELETE, "salesinvoice/SalesInvoices"),
    "document": (POST, "documents/Documents"),
    "attachment": (POST, "documents/DocumentAttachments"),
    "attachment of a final invoice": (POST, "documents/DocumentAttachments"),
    "list": (POST, "documents/Documents"),
    "file of a list": (POST, "documents/DocumentAttachments"),
}
BEFORE: Final = (
    "unreachable",
    "reset_before",
    "timeout_before",
    "html_502_before",
    "wordless_500_before",
    "failure_before",
    "login_page",
    "maintenance",
    "unauthorized",
    "forbidden",
    "rate_limited",
    "rate_limited_without_headers",
    "dies_before",
)
AFTER: Final = (
    "timeout_after",
    "html_502_after",
    "failure_after",
    "truncated",
    "empty",
    "without_entity",
    "reset_after",
    "late",
    "dies_after",
    "loses_database",
    "taken_over",
    "taken_over_for_long",
)
FAULTS: Final = BEFORE + AFTER
# When a late commit happens, as a share of the longest request; later than that nobody expects one.
# How long Exact is busy with the call of a holder that hangs while another acts, likewise.
TAKEN_OVER: Final = {"taken_over": 0.0, "taken_over_for_a_while": 0.2, "taken_over_for_long": 0.9}
LATE_SHARES: Final = {"late": 0.9, "unexpectedly_late": 1.5}
MINUTE_SECONDS: Final = 60.0
_HTML: Final = {"content-type": "text/html"}
_JSON: Final = {"content-type": "application/json"}
_PAGE: Final = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
_LOGIN_PAGE: Final = b"<html><body><form action='/docs/Login.aspx'></form></body></html>"
# Exact's own words when it failed, which look like a refusal and leave the outcome open.
_FAILURE: Final = b'{"error":{"code":"","message":{"lang":"","value":"Er is een probleem opgetreden."}}}'
_ANSWERS: Final = {
    "html_502": (502, _HTML, _PAGE),
    "wordless_500": (500, {}, b""),
    "failure": (500, _JSON, _FAILURE),
    "login_page": (200, _HTML, _LOGIN_PAGE),
    "unauthorized": (401, {}, b""),
    "forbidden": (403, {"Reason": "Forbidden"}, b""),
    "rate_limited_without_headers": (429, {}, b""),
    "empty": (201, _JSON, b""),
    "without_entity": (201, _JSON, b'{"d":{"results":[]}}'),
}


class DiedError(Exception):
    """The writer's process was killed at this call."""


class FaultyExact(httpx.AsyncBaseTransport):
    """The way to the stand-in: strikes the planned writing calls, each fault once."""

    def __init__(self, app: Any, clock: OurClock, timing: Timing) -> None:
        self._inner = httpx.ASGITransport(app=app)
        self._clock = clock
        self._timing = timing
        self._late: list[tuple[float, httpx.Request]] = []
        self._closed_until = 0.0
        self._under_way = 0
        self.most_under_way = 0  # as those who call see it: what a process that hangs does not read is under way
        self.maintenance_seconds = 300.0
        self.answer_seconds = 0.0
        self.failing = b""  # writes fail whose path or body holds this
        self.failed = 0
        self.largest_body_bytes = 0
        self.kills = ""  # every answer of paths that hold this kills the process before it knows of it
        self.planned: list[tuple[str, str, str]] = []  # (fault, method, end of the path without a key)
        self.struck: list[str] = []
        self.database: FragileDatabase | None = None
        self.take_over: Callable[[float], Awaitable[None]] | None = None  # and act for so many seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One call, with its fault if one is planned for it."""
        # One that is not there any more would count as an error: what may be missing is asked for by a filter.
        assert request.method != "GET" or "(guid'" not in request.url.path, "a look-up by key"
        self.largest_body_bytes = max(self.largest_body_bytes, len(request.content))
        self._under_way += 1
        self.most_under_way = max(self.most_under_way, self._under_way)
        try:
            return await self._handle(request)
        finally:
            self._under_way -= 1

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        await self.let_late_calls_arrive()
        if self._clock.now().timestamp() < self._closed_until:
            return self._closed()
        path = request.url.path.partition("(")[0]
        if self.failing and request.method != "GET" and self.failing in request.url.raw_path + request.content:
            self.failed += 1
            return self._fail("html_502_before", request)
        planned = next((each for each in self.planned if each[1] == request.method and path.endswith(each[2])), None)
        if planned is not None:
            self.planned.remove(planned)
            self.struck.append(planned[0])
            return await self._strike(planned[0], request)
        answer = await self._inner.handle_async_request(request)
        if self.kills and self.kills in request.url.path:
            raise DiedError
        answer.headers["Date"] = formatdate(self._clock.true_seconds(), usegmt=True)
        self._clock.advance(self.answer_seconds)
        return answer

    async def let_late_calls_arrive(self) -> None:
        """Do what Exact is late with, when its time has come."""
        while self._late and self._late[0][0] <= self._clock.now().timestamp():
            await self._inner.handle_async_request(self._late.pop(0)[1])

    @property
    def is_late_with_something(self) -> bool:
        """Whether a call whose answer is no longer waited for is still to have its effect."""
        return bool(self._late)

    async def _strike(self, fault: str, request: httpx.Request) -> httpx.Response:
        if fault == "maintenance":
            self._closed_until = self._clock.now().timestamp() + self.maintenance_seconds
            return self._closed()
        if fault in BEFORE:
            return self._fail(fault, request)
        if fault in LATE_SHARES:
            due = self._clock.now().timestamp() + LATE_SHARES[fault] * self._timing.timeout_seconds * 2
            self._late.append((due, request))
            return self._fail("timeout_after", request)
        if fault in TAKEN_OVER:
            assert self.take_over is not None
            await self.take_over(TAKEN_OVER[fault] * self._timing.longest_request_seconds)
        answer = await self._inner.handle_async_request(request)
        if fault in TAKEN_OVER:
            return answer
        if fault == "truncated":
            whole = await answer.aread()
            return httpx.Response(answer.status_code, headers=_JSON, content=whole[: len(whole) // 2])
        if fault == "loses_database":
            assert self.database is not None
            self.database.fails_next = True
            return answer
        return self._fail(fault, request)

    def _fail(self, fault: str, request: httpx.Request) -> httpx.Response:
        kind = fault.removesuffix("_before").removesuffix("_after")
        if kind in _ANSWERS:
            status, headers, content = _ANSWERS[kind]
            return httpx.Response(status, headers=headers, content=content)
        if kind == "rate_limited":
            minute_ends = (self._clock.now().timestamp() // MINUTE_SECONDS + 1) * MINUTE_SECONDS
            told = {"Limit": "1000000", "Remaining": "0", "Reset": str(round(minute_ends * 1_000))}
            return httpx.Response(429, headers={f"X-RateLimit-Minutely-{name}": value for name, value in told.items()})
        if kind == "timeout":
            self._clock.advance(self._timing.timeout_seconds)
            raise httpx.ReadTimeout("no answer", request=request)
        if kind == "unreachable":
            raise httpx.ConnectError("no connection", request=request)
        if kind == "dies":
            raise DiedError
        raise httpx.ReadError("connection reset", request=request)

    def _closed(self) -> httpx.Response:
        return httpx.Response(503, headers=_HTML, content=b"<html><body><h1>Onderhoud</h1></body></html>")
