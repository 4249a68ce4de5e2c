"""The writer of one division: holds it, and does one thing after the other, choosing anew each time.

What a turn can do: read a part of the mirror that is missing, look up an outcome that is unknown, write the next command, or ask
what changed. Whoever holds the division has its lock and its epoch; when either is lost, the turn changes nothing any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from backbone.clock import Clock
from backbone.database import Database
from backbone.locks import FileLock, SessionLock
from backbone.telemetry import Telemetry, log
from exact_writer import attach, custom_fields, journal, polling, receivables, schedule, subscriptions
from exact_writer.attach import PdfPoster
from exact_writer.auth import ConsentNeededError, ExactLogin, NoTokenNowError
from exact_writer.calls import DivisionCalls, NotAllowedNowError
from exact_writer.client import CallError, ForbiddenError, NotFoundError, RateLimitedError, RefusedError, UnauthorizedError
from exact_writer.client_keys import ClientKeys
from exact_writer.connection_state import ConnectionState
from exact_writer.custom_fields import CustomFields
from exact_writer.error_limit import STOP_AT
from exact_writer.hearing import PAYMENTS, Hearing
from exact_writer.journal import LeaseLostError
from exact_writer.ledger_reader import NEVER, LedgerReader
from exact_writer.looking import Desk
from exact_writer.mirror import Mirror
from exact_writer.odata import UnreadableAnswerError
from exact_writer.outage import Outage
from exact_writer.polling import Polling
from exact_writer.post import Poster
from exact_writer.schedule import Choice
from exact_writer.subscriptions import Subscriptions
from exact_writer.timing import LOCK_CHECK_SECONDS, Timing
from exact_writer.words import say
from exact_writer.work_queue import REREAD_SECONDS, WorkQueue

LONGEST_PAUSE_SECONDS = 60.0
CONSENT_PAUSE_SECONDS = 5.0
FORBIDDEN_PAUSE_SECONDS = 300.0


class DivisionWriter:
    """Acts in one division for as long as its process holds it."""

    def __init__(
        self,
        division: int,
        *,
        database: Database,
        clock: Clock,
        login: ExactLogin,
        calls: DivisionCalls,
        mirror: Mirror,
        poster: Poster,
        pdfs: PdfPoster,
        fields: CustomFields,
        keys: ClientKeys,
        ledger: LedgerReader,
        subscriptions: Subscriptions,
        telemetry: Telemetry,
        timing: Timing,
        poll_seconds: float,
        wake_relay: Callable[[], None],
    ) -> None:
        self.division = division
        self.connection = ConnectionState(division, database, clock, is_shadow=calls.is_shadow)
        self.desk = Desk(division, self.wake)
        self._database = database
        self._clock = clock
        self._login = login
        self._calls = calls
        self._mirror = mirror
        self._poster = poster
        self.pdfs = pdfs
        self._beside = [fields.turn, pdfs.turn]  # the one that did something last comes first
        self.hearing = Hearing(division, database, clock)
        self._keys = keys
        self._ledger = ledger
        self._subscriptions = subscriptions
        self._telemetry = telemetry
        self._timing = timing
        self._poll_seconds = poll_seconds
        self._wake_relay = wake_relay
        self._woken = asyncio.Event()
        self._epoch = 0
        self._polling = Polling()
        self._queue = WorkQueue(
            division, database=database, clock=clock, calls=calls, telemetry=telemetry, poll_seconds=poll_seconds
        )
        # Another replica may have taken a command into the journal, and cannot wake this one.
        self.journal_check_seconds = REREAD_SECONDS
        self._failures = 0
        self._outage = Outage(division, clock, telemetry)
        self._lock_checked_at = 0.0

    def wake(self) -> None:
        """Say that there is a new command or hint."""
        self.hearing.forget()
        self._woken.set()

    async def ready(self) -> str | None:
        """Why nothing can be booked now, or None."""
        if not self.connection.is_known:
            # Without this the first moments would look as if a login had been made.
            return f"division {self.division} has not asked Exact yet; if it stays so, run `kruispost login`"
        return self.connection.complaint()

    async def take_over(self) -> None:
        """Become the one that acts, in a new epoch; the caller has the division's lock."""
        async with self._database.transaction() as connection:
            first_look = self._timing.first_look_seconds
            self._epoch = await journal.take_over(self._database, connection, self.division, first_look, self._now())
        await self._calls.load(self._epoch)
        await self._mirror.load()
        await self._keys.load()
        await self.connection.load()
        self._queue.start()
        self._lock_checked_at = self._now()
        self._telemetry.gauge("holding_writer_lock", 1, division=str(self.division))
        log.info("acts in the division", division=self.division, epoch=self._epoch)

    async def act(self, lock: SessionLock | FileLock, stop: asyncio.Event) -> None:
        """Take over and work until told to stop; raises LeaseLostError, and what a database raises that is away."""
        await self.take_over()
        while not stop.is_set():
            if self._now() - self._lock_checked_at > LOCK_CHECK_SECONDS:
                await self._check(lock)
            pause_until = await self._watched_turn(lock)
            connected = self.connection.is_known and self.connection.complaint() is None
            self._telemetry.gauge("exact_connected", int(connected), division=str(self.division))
            if pause_until is not None:
                await self._pause(pause_until, stop)

    async def _watched_turn(self, lock: SessionLock | FileLock) -> float | None:
        """One turn, given up with its call when the lock is lost meanwhile: who has it now waits only so long with calls."""
        turn = asyncio.ensure_future(self.turn())
        try:
            while not (await asyncio.wait((turn,), timeout=LOCK_CHECK_SECONDS))[0]:
                await self._check(lock)
            return turn.result()
        finally:
            if not turn.done():
                turn.cancel()
                await asyncio.wait((turn,))

    async def _check(self, lock: SessionLock | FileLock) -> None:
        if not await lock.still_held():
            raise LeaseLostError("the lock's session ended")
        self._lock_checked_at = self._now()

    async def turn(self) -> float | None:
        """One turn; the instant until which to pause when something stands in the way, or None to go on at once."""
        answered = self._calls.answered
        try:
            pause_until = await self._turn()
        except ConsentNeededError as error:
            if await self.connection.report("consent_needed", error.reason):
                self._wake_relay()
            return self._now() + CONSENT_PAUSE_SECONDS
        except NoTokenNowError as error:
            self._outage.failed("no_token", error.reason, is_away=not error.blocks)
            if error.blocks and await self.connection.report("blocked", error.reason):
                self._wake_relay()
            await self._tell_outage()
            return error.retry_at
        except NotAllowedNowError as error:
            return error.at
        except (CallError, UnreadableAnswerError) as error:
            return await self._pause_after(error)
        self._failures = 0
        if self._calls.answered > answered:
            self._outage.over()
        return pause_until

    async def _turn(self) -> float | None:
        self._woken.clear()
        wait = self._calls.wait_until()
        if wait is not None:
            self._telemetry.observe("exact_wait_seconds", max(0.0, wait.at - self._now()), division=str(self.division))
            return wait.at
        if self.desk.is_asked:
            await self._answer_desk()
            return None
        part = self._mirror.stale(self._calls.blocked_endpoints())
        if part is not None:
            await self._mirror.refresh(part, is_at_interval=True)
            await self._answered()
            return None
        if self._subscriptions.is_due:
            await self._subscriptions.check()
            self.hearing.forget()
            await self._answered()
            return None
        optional = {*attach.ENDPOINTS, *custom_fields.ENDPOINTS, subscriptions.ENDPOINT}
        closed = {name: at for name, at in self._calls.closed_endpoints().items() if name not in optional}
        choice = await self._queue.next(schedule.kinds_of(list(closed)), self._poster.batches_wait_until)
        due = await self._ask_what_changed(closed, backlog=choice is not None)
        if due is None:
            return None
        if closed:
            await self._report_closed(closed)
        if choice is None:
            return None if await self._asked_pdf() else await self._spend_spare_moment(due, closed)
        if choice.candidate.is_in_doubt and await self._ledger.is_wanted() and await self._ledger.turn(self._epoch) is None:
            await self._answered()
            return None  # a page of the ledger decides about many
        if choice.candidate.state == "unknown" or not await self._pdf_first():
            await self._work(choice)
        await self._answered()
        return None

    async def _pdf_first(self) -> bool:
        """Do something for a PDF that goes before bookings, if there is one: what a person asked for, or what is owed."""
        if await self._asked_pdf():
            return True
        if not self._queue.owes_pdf:
            return False
        self._queue.took_pdf()
        return await self._do_beside(is_owed=True) is None

    async def _asked_pdf(self) -> bool:
        return self._queue.has_asked_pdf and await self.pdfs.turn(self._epoch, is_asked=True) is None

    async def _answer_desk(self) -> None:
        """Read the master data for somebody who checks a mapping; what is closed to us there says nothing of our work."""
        closed_before = set(self._calls.forbidden)
        try:
            await self.desk.answer(self._calls.read_all)
        finally:
            self._calls.forbidden &= closed_before

    async def _ask_what_changed(self, closed: dict[str, float], *, backlog: bool) -> float | None:
        """Ask for what is due or hinted at: None when that was done, else the instant of the next time.

        One part at a time, and the one that was asked for longest ago first, so that a flood of webhooks keeps nothing waiting.
        """
        now, seconds, day_limit = self._now(), self._poll_seconds, self._calls.day_limit
        await self.hearing.look()
        due = polling.poll_due_at(self._polling, seconds, day_limit, backlog=backlog, listens=self.hearing.listens)
        hinted_due = polling.hinted_due_at(self._polling, seconds, day_limit, backlog=backlog)
        is_due = due is not None and due <= now and receivables.ENDPOINT not in closed
        parts = self.hearing.wanted(self._polling.polled_at + seconds, closed, with_payments=is_due)
        if not parts or hinted_due is None or hinted_due > now:
            instants = [due, hinted_due if parts else None, self.hearing.next_instant(self._polling.polled_at + seconds)]
            return min((at for at in instants if at is not None and at > now), default=NEVER)
        part, made = parts[0], self._calls.made
        try:
            if part == PAYMENTS:
                await receivables.poll(self.division, self._database, self._clock, self._calls, self._mirror)
            else:
                await self._mirror.refresh(part)
        finally:
            calls = self._calls.made - made
            if part == PAYMENTS and calls:
                self._polling = polling.polled(self._polling, seconds, day_limit, self._now(), backlog=backlog)
            elif calls:
                self._polling = polling.asked(self._polling, seconds, day_limit, self._now(), backlog=backlog, calls=calls)
        await self.hearing.answered(part)
        await self._answered()
        return None

    async def _spend_spare_moment(self, due: float, closed: dict[str, float]) -> float | None:
        """Use a moment without bookings for the ledger, a custom field or a PDF; the instant until which to pause without any.

        The ledger comes first: a page of it is one call for a thousand lines, and PDFs may be many.
        """
        if await self._poster.look_in_shadow(self._epoch):
            self._wake_relay()
            return None
        next_page = await self._ledger.turn(self._epoch)
        next_beside = await self._do_beside() if next_page is not None else None
        if next_page is not None and next_beside is not None:
            return min(next_page, next_beside, self._idle_until(due, closed))
        await self._answered()
        return None

    async def _do_beside(self, *, is_owed: bool = False) -> float | None:
        """Do something for a PDF or a custom field, in turns, as there may be many of both; else the next instant."""
        instants = []
        for turn in reversed(self._beside):
            at = await turn(self._epoch, is_owed=is_owed)
            if at is None:
                self._beside.remove(turn)
                self._beside.insert(0, turn)
                return None
            instants.append(at)
        return min(instants)

    async def _work(self, choice: Choice) -> None:
        candidate = choice.candidate
        self._queue.remove(candidate)
        try:
            if await self._poster.work(candidate.command_id, self._epoch):
                self._polling = polling.wrote(self._polling)
                self._queue.took(choice)
        except (CallError, NotAllowedNowError, NoTokenNowError, ConsentNeededError, UnreadableAnswerError):
            self._queue.forget()
            raise
        if candidate.kind == "ledger" and self._now() >= self._poster.batches_wait_until:
            self._queue.batched()
        if candidate.kind == "account":
            self._queue.set_aside(candidate.customer_ref)
        if candidate.kind == "ledger" or candidate.state == "unknown":
            self._queue.forget()  # others may be free now, or gone with it
        self._wake_relay()

    def _idle_until(self, due: float, closed: dict[str, float]) -> float:
        """The next instant at which there may be something to do: a poll, a look-up that is due, an endpoint that opens again."""
        now = self._now()
        instants = [due, self._poster.batches_wait_until, *closed.values(), self._queue.next_instant()]
        soonest = min((at for at in instants if at is not None and now < at < NEVER), default=now + self._poll_seconds)
        return min(soonest, now + self.journal_check_seconds)

    async def _answered(self) -> None:
        """Exact works with us; while one endpoint does not, that others do is no news."""
        closed = {*self._calls.blocked_endpoints(), *self._calls.failing.told(self._now())}
        if not self._calls.forbidden and not closed - attach.ENDPOINTS - custom_fields.ENDPOINTS - {subscriptions.ENDPOINT}:
            await self.connection.connected()
        self._wake_relay()

    async def _report_closed(self, closed: dict[str, float]) -> None:
        blocked = closed.keys() & self._calls.blocked_endpoints().keys()
        failing = closed.keys() & set(self._calls.failing.told(self._now()))
        if blocked:
            await self.connection.report("blocked", say("endpoint_closed", endpoint=min(blocked), count=STOP_AT).english)
        elif failing:
            await self.connection.report("blocked", say("endpoint_failing", endpoint=min(failing)).english)

    async def _pause_after(self, error: CallError | UnreadableAnswerError) -> float:
        """How long to leave Exact alone after a call that did not work."""
        now = self._now()
        self._failures += 1
        pause: float = min(LONGEST_PAUSE_SECONDS, 0.5 * 2 ** min(self._failures, 10))
        if isinstance(error, (UnauthorizedError, RateLimitedError)):
            self._outage.failed("limit" if isinstance(error, RateLimitedError) else "token_refused", str(error))
            return now + (0.0 if self._failures == 1 else pause)
        if isinstance(error, (ForbiddenError, NotFoundError, RefusedError)):
            reason = say("not_let_in", said=error.message).english
            await self.connection.report("blocked", reason)
            self._outage.failed("refused", reason)
            return now + FORBIDDEN_PAUSE_SECONDS
        self._outage.failed("no_answer", str(error), is_away=True)
        await self._tell_outage()
        return now + pause

    async def _tell_outage(self) -> None:
        since = self._outage.is_told_since
        if since is not None and self.connection.complaint() is None:  # a reason that people can mend stays
            moment = datetime.fromtimestamp(since, UTC)
            if await self.connection.report("blocked", say("away_since", moment=f"{moment:%Y-%m-%d %H:%M}").english):
                self._wake_relay()

    async def _pause(self, until: float, stop: asyncio.Event) -> None:
        """Wait until an instant, a new command, a new login or the stop.

        A new command ends only the wait for work, and then the next turn finds out whether the budget allows it.
        """
        seconds = min(until - self._now(), LONGEST_PAUSE_SECONDS)
        if self._calls.wait_until() is None and self._failures == 0 and self.connection.complaint() is None:
            waiting: Sequence[asyncio.Event] = (stop, self._woken)
        else:
            waiting = (stop, self._login.changed)
        self._login.changed.clear()
        tasks = [asyncio.ensure_future(event.wait()) for event in waiting]
        try:
            await asyncio.wait(tasks, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _now(self) -> float:
        return self._clock.now().timestamp()
