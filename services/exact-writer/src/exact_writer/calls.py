"""The calls of one division: each waits for the budget, is counted before it leaves, and is accounted for with its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import Database
from backbone.telemetry import Telemetry, log
from exact_writer import budget as rules
from exact_writer import error_limit, odata
from exact_writer.auth import ExactLogin
from exact_writer.budget import Budget, WaitUntil
from exact_writer.client import (
    Answer,
    CallError,
    ExactClient,
    ForbiddenError,
    NotSentError,
    RateLimitedError,
    RefusedError,
    Request,
    UnauthorizedError,
    UnknownError,
)
from exact_writer.failing import Failing
from exact_writer.journal import LeaseLostError
from exact_writer.tables import counted_errors, divisions
from exact_writer.timing import Timing

CLOCK_SET_SECONDS = 1.0  # less than this the answers' own dates put right
SHADOW_SECONDS = 3_600.0  # how long what would be written waits in shadow mode before it is looked at again


class NotAllowedNowError(Exception):
    """The budget or the error limit allows no such call before `at` (unix seconds); `why` names the limit."""

    def __init__(self, at: float, why: str) -> None:
        super().__init__(f"no call before {at}: {why}")
        self.at = at
        self.why = why


class DivisionCalls:
    """Makes the calls of one division, one at a time. Keeps the budget in the database, so that a restart does not exceed it.

    With `is_shadow` it makes reading calls only.
    """

    def __init__(
        self,
        division: int,
        *,
        database: Database,
        clock: Clock,
        client: ExactClient,
        login: ExactLogin,
        telemetry: Telemetry,
        timing: Timing,
        is_shadow: bool = False,
    ) -> None:
        self.is_shadow = is_shadow
        self._division = division
        self._database = database
        self._clock = clock
        self._client = client
        self._login = login
        self._telemetry = telemetry
        # Else Prometheus sees no increase when the first one makes the series, and an alert is silent.
        telemetry.count("exact_answers", 0, outcome="limited")
        self._timing = timing
        self._budget = Budget()
        self._epoch: int | None = None
        self._counted_at = (0.0, 0.0)
        self._quiet_until = 0.0
        self._clocks = (self._now(), clock.monotonic())
        self._errors: dict[str, list[float]] = {}
        self._rejected: str | None = None
        self._unsaved_errors: list[tuple[str, float]] = []
        self._forgiven: list[tuple[str, float]] = []
        self._assumed: dict[str, float] = {}  # by endpoint, when an error was counted that nobody saw
        self.expected_today = 0.0  # how many calls the documents that are still to come today are likely to need
        self.waiting_today = 0  # and how many those need that are here
        self.made = 0  # calls since the start of this process
        self.answered = 0  # and how many of them did what they were to do
        self.failing = Failing()
        self.forbidden: set[str] = set()  # endpoints whose last answer was that this app may not use them

    async def load(self, epoch: int | None = None) -> None:
        """Take up the budget and the errors where the last holder left them; from now on calls are made in this epoch only.

        A call that was under way when that one died may have been answered with an error: it is counted as one, since a process
        that dies again and again would else make more of them than Exact forgives.
        """
        self._epoch = epoch
        now = self._now()
        ours = counted_errors.c.division == self._division
        async with self._database.transaction() as connection:
            of_division = sa.select(divisions.c.budget, divisions.c.failing).where(divisions.c.division == self._division)
            row = (await connection.execute(of_division)).one_or_none()
            kept = msgspec.json.decode(bytes(row.budget), type=Budget) if row is not None and row.budget else Budget()
            if kept.under_way:
                await self._assume_error(connection, kept, now)
            await connection.execute(sa.delete(counted_errors).where(ours, counted_errors.c.at < now - error_limit.HOUR_SECONDS))
            rows = await connection.execute(sa.select(counted_errors.c.endpoint, counted_errors.c.at).where(ours))
            self._errors = {}
            for each in rows:
                self._errors.setdefault(each.endpoint, []).append(each.at)
        for endpoint, at in self._unsaved_errors:  # the database was away when they came
            self._errors.setdefault(endpoint, []).append(at)
        self.failing = Failing(bytes(row.failing) if row is not None and row.failing else None)
        if kept.in_flight:
            self._quiet_until = now + self._timing.quiet_after(kept.slowest_answer_seconds)
        self._budget = rules.restored(kept, now + self._timing.longest_request_seconds)

    @property
    def day_limit(self) -> int | None:
        """How many calls a day Exact allows; None before it said."""
        return self._budget.day.limit if self._budget.day else None

    def wait_until(self) -> WaitUntil | None:
        """The limit that allows no call now, or None."""
        self._follow_clock()
        if self._now() < self._quiet_until:
            return WaitUntil(at=self._quiet_until, why="take_over")
        decision = rules.decide(self._budget, self._now())
        return decision if isinstance(decision, WaitUntil) else None

    def room_for_history_at(self) -> float | None:
        """The instant from which the day has calls for history; None when it has them now."""
        return rules.room_today_at(self._budget, self._now(), self.expected_today + self.waiting_today)

    def room_for_extras_at(self, *, is_owed: bool = False) -> float | None:
        """The instant from which there are calls for PDFs and for reading the ledger; None for now.

        Where the day is short that is after today's bookings.
        """
        in_day = rules.room_today_at(self._budget, self._now(), self.expected_today, self.waiting_today)
        return in_day or (None if is_owed else rules.room_in_minute_at(self._budget, self._now()))

    def day_seconds_left(self) -> float:
        """How long Exact's day of calls still lasts; a whole day before it said."""
        day, now = self._budget.day, self._now()
        return rules.DAY_SECONDS if day is None or day.is_over(now) else day.ends_at - now

    def blocked_endpoints(self) -> dict[str, float]:
        """The endpoints that the error limit closes, each until an instant."""
        now = self._now()
        untils = {endpoint: error_limit.blocked_until(errors, now) for endpoint, errors in self._errors.items()}
        return {endpoint: until for endpoint, until in untils.items() if until is not None}

    def closed_endpoints(self) -> dict[str, float]:
        """Those and the endpoints at which all writes fail, each until an instant."""
        return {**self.failing.closed(self._now()), **self.blocked_endpoints()}

    async def _assume_error(self, connection: AsyncConnection, kept: Budget, now: float) -> None:
        """Count an error for the call that was under way, once: the next process that takes over knows of it."""
        noted = msgspec.json.encode(msgspec.structs.replace(kept, under_way=""))
        of_division = divisions.c.division == self._division
        await connection.execute(sa.update(divisions).where(of_division).values(budget=noted))
        values = {"division": self._division, "endpoint": kept.under_way, "at": now}
        await connection.execute(sa.insert(counted_errors).values(**values))
        self._assumed[kept.under_way] = now

    def was_done(self, endpoint: str) -> None:
        """Exact shows that the call did what it was to do that was under way when a process died: it was no error."""
        at = self._assumed.pop(endpoint, None)
        if at is not None:
            self._errors[endpoint] = [each for each in self._errors.get(endpoint, []) if each != at]
            self._forgiven.append((endpoint, at))

    async def token(self) -> str:
        """An access token; raises ConsentNeededError or NoTokenNowError."""
        token = await self._login.access_token(rejected=self._rejected)
        self._rejected = None
        return token

    async def read(self, request: Request) -> Answer:
        """Make a reading call, waiting for the minute if need be.

        Raises NotAllowedNowError when the day or the error limit stands in the way, and CallError.
        """
        while (wait := self.wait_until()) is not None:
            if wait.why == "day":
                raise NotAllowedNowError(wait.at, wait.why)
            await self._clock.sleep(max(0.0, wait.at - self._now()))
        until = self.blocked_endpoints().get(request.endpoint)
        if until is not None:
            raise NotAllowedNowError(until, "errors")
        token = await self.token()
        async with self._database.transaction() as connection:
            await self.count(connection, request.endpoint)
        try:
            return await self.send(request, token)
        finally:
            async with self._database.transaction() as connection:
                await self.save(connection)

    async def read_all(self, endpoint: str, path: str) -> list[dict[str, Any]]:
        """All rows of a list, page after page; raises what `read` raises, and UnreadableAnswerError."""
        found: list[dict[str, Any]] = []
        following: str | None = path
        while following is not None:
            rows, following = await self.page(endpoint, following)
            found += rows
        return found

    async def page(self, endpoint: str, path: str) -> tuple[list[dict[str, Any]], str | None]:
        """One page of a list, and the path of the next one; raises what `read_all` raises."""
        answer = await self.read(Request(method="GET", endpoint=endpoint, path=path))
        return odata.rows(answer.body), odata.next_page(answer.body)

    async def count(self, connection: AsyncConnection, endpoint: str) -> None:
        """Count a call that is about to leave; raises LeaseLostError when another process has the division now."""
        self._counted_at = (self._now(), self._clock.monotonic())
        self._budget = rules.sent(self._budget, self._now(), endpoint)
        self.made += 1
        await self.save(connection)

    async def send(self, request: Request, token: str) -> Answer:
        """Make a call that was counted; the caller saves what it taught. Raises CallError."""
        if self.is_shadow and request.method != "GET":
            # Nothing asks for this in shadow mode; should anything ever do so, it is not sent.
            raise NotAllowedNowError(self._now() + SHADOW_SECONDS, "shadow")
        started = self._clock.monotonic()
        self._telemetry.count("exact_calls", method=request.method, endpoint=request.endpoint)
        crash_point("exact_writer.before_call")
        outcome = "ok"
        try:
            answer = await self._client.call(self._division, request, token, self._is_late)
        except CallError as error:
            outcome = self._learn_from(error, request, token)
            raise
        else:
            self._budget = rules.answered(self._budget, self._of_division(request, answer.headers), self._now())
            self.answered += 1
            if request.is_write:
                self.failing.worked(request.endpoint)
            self.forbidden.discard(request.endpoint)
        finally:
            self._telemetry.count("exact_answers", outcome=outcome)
            self._telemetry.observe("exact_call_seconds", self._clock.monotonic() - started, endpoint=request.endpoint)
            crash_point("exact_writer.after_call")
        return answer

    async def save(self, connection: AsyncConnection) -> None:
        """Keep the budget and the counted errors; raises LeaseLostError when another process has the division now."""
        statement = sa.update(divisions).where(divisions.c.division == self._division)
        if self._epoch is not None:
            statement = statement.where(divisions.c.epoch == self._epoch)
        values = {"budget": msgspec.json.encode(self._budget), "failing": self.failing.encoded()}
        saved = await connection.execute(statement.values(**values))
        if self._epoch is not None and saved.rowcount != 1:
            raise LeaseLostError(f"division {self._division} is no longer held in epoch {self._epoch}")
        for endpoint, at in self._unsaved_errors:
            await connection.execute(sa.insert(counted_errors).values(division=self._division, endpoint=endpoint, at=at))
        for endpoint, at in self._forgiven:
            of_endpoint = (counted_errors.c.division == self._division, counted_errors.c.endpoint == endpoint)
            await connection.execute(sa.delete(counted_errors).where(*of_endpoint, counted_errors.c.at == at))
        self._unsaved_errors.clear()
        self._forgiven.clear()
        division = str(self._division)
        if self._budget.minute is not None:
            left = max(0, self._budget.minute.remaining - self._budget.minute.sent_since)
            self._telemetry.gauge("exact_budget_minute_left", left, division=division)
        today = rules.remaining_today(self._budget, self._now())
        if today is not None:
            self._telemetry.gauge("exact_budget_day_left", today, division=division)

    def _of_division(self, request: Request, headers: Mapping[str, str]) -> Mapping[str, str]:
        """What an answer says of the division's limits. Exact does not count a call without a division there, and what it says in
        its answer to one is not known, so nothing is learnt from that.
        """
        has_division = not request.path.startswith("/") or f"/{self._division}/" in request.path
        return headers if has_division else {}

    def _follow_clock(self) -> None:
        """Notice when our clock was set, which the one that only goes forward shows."""
        wall, monotonic = self._clocks
        self._clocks = (self._now(), self._clock.monotonic())
        set_by = (self._clocks[0] - wall) - (self._clocks[1] - monotonic)
        if abs(set_by) >= CLOCK_SET_SECONDS:
            log.warning("our clock was set", division=self._division, by_seconds=round(set_by, 1))
            self._budget = rules.clock_set(self._budget, set_by)
            self._quiet_until += set_by

    def _is_late(self) -> bool:
        """Whether so much time passed since the call was noted that another holder may count on its never having left."""
        wall, monotonic = self._counted_at  # one of the two stands still while a machine sleeps
        passed = max(self._now() - wall, self._clock.monotonic() - monotonic)
        return passed > self._timing.latest_start_seconds

    def _learn_from(self, error: CallError, request: Request, token: str) -> str:
        now = self._now()
        if isinstance(error, UnauthorizedError):
            self._rejected = token
        if request.is_write and isinstance(error, UnknownError):
            self.failing.failed(request.endpoint, now)
        if request.is_write and isinstance(error, RefusedError):
            self.failing.worked(request.endpoint)
        if isinstance(error, ForbiddenError):
            self.forbidden.add(request.endpoint)
        if error.status is not None and error_limit.counts(error.status):
            self._count_error(request.endpoint, now)
        if isinstance(error, NotSentError):
            # It never left, but counting one call too many for a minute is cheaper than being wrong about that.
            self._budget = rules.lost(self._budget, now)
            return "transient"
        if error.headers is None:
            self._budget = rules.lost(self._budget, now + self._timing.longest_request_seconds)
            return "unknown"
        if isinstance(error, RateLimitedError):
            self._budget = rules.refused(self._budget, error.headers, now)
            return "limited"
        self._budget = rules.answered(self._budget, self._of_division(request, error.headers), now)
        if isinstance(error, UnknownError):
            return "unknown"
        return "refused" if isinstance(error, RefusedError) else "transient"

    def _count_error(self, endpoint: str, now: float) -> None:
        recent = [at for at in self._errors.get(endpoint, []) if at > now - error_limit.HOUR_SECONDS]
        self._errors[endpoint] = [*recent, now]
        self._unsaved_errors.append((endpoint, now))

    def _now(self) -> float:
        return self._clock.now().timestamp()
