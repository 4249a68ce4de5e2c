"""The worker that records payments in Chargebee: look, fix the amount, call, close. After any doubt it starts at the look."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from backbone.clock import Clock
from backbone.configuration import Configuration
from backbone.crash_points import crash_point
from backbone.database import Database, is_away
from backbone.errors import reason_of
from backbone.relay import Relay
from backbone.telemetry import Telemetry, log
from contracts.bank_lines import BankLineDecided
from contracts.envelope import Message, seal
from payment_matcher import account_money, afterwards, intents, lines, rechecks, terms
from payment_matcher.chargebee_api import (
    AccessDeniedError,
    BusyOrStaleError,
    ChargebeeError,
    MissingError,
    PaymentApi,
    RefusedError,
    UnavailableError,
)
from payment_matcher.decision import HUNDREDTHS, Refuse, refuse
from payment_matcher.intents import Intent, Recorded
from payment_matcher.payments import LEASE, Done, Nothing, Payments
from payment_matcher.rechecks import Recheck
from payment_matcher.work import BankPayment, Excess, MatchedReceipt, Shortage, Work, label, subject, work_of

SOURCE = "payment-matcher"
POLL_SECONDS = 1.0
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 300.0
# Chargebee's limit is by the minute; this is the wait when it names none.
RATE_LIMIT_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 3600.0
# 409 also means "the same call is still running", so it is read again a few times before it is believed.
CONFLICTS_AT_MOST = 8


class Recorder:
    """Works off the intents one call at a time."""

    def __init__(
        self,
        *,
        database: Database,
        configuration: Configuration,
        clock: Clock,
        api: PaymentApi,
        relay: Relay,
        telemetry: Telemetry,
    ) -> None:
        self._database = database
        self._configuration = configuration
        self._clock = clock
        self._payments = Payments(database, clock, api)
        self._relay = relay
        self._telemetry = telemetry
        self._awake = asyncio.Event()
        self._paused_until: dict[str, datetime] = {}
        self._conflicts: Counter[str] = Counter()
        self._troubles: dict[str, str] = {}

    def wake(self) -> None:
        """Look for intents now."""
        self._awake.set()

    async def ready(self) -> str | None:
        """Return what keeps payments from being recorded until a person mends it, or None."""
        return "; ".join(self._troubles.values()) or None

    async def run(self, stop: asyncio.Event) -> None:
        """Record what is due until `stop` is set; intents that a former process left open come first."""
        is_started = False
        while not stop.is_set():
            self._awake.clear()
            try:
                if not is_started:
                    async with self._database.transaction() as connection:
                        await intents.make_all_due(connection, self._clock.now())
                    is_started = True
                is_idle = not await self.step()
            except Exception as error:
                if not is_away(error):
                    raise
                # An intent that was being worked on becomes due again when its lease ends, and is looked up then.
                log.warning("recording waits for the database", reason=reason_of(error))
                is_idle = True
            if is_idle:
                await self._rest(stop)

    async def step(self) -> bool:
        """Work on one due intent; returns False when there is none."""
        now = self._clock.now()
        paused = frozenset(site for site, until in self._paused_until.items() if until > now)
        async with self._database.reading() as connection:
            due = await intents.next_due(connection, now, paused)
            if self._troubles:
                # What a person took back meanwhile troubles nobody any more.
                waiting = await intents.sites_with_work(connection)
                self._troubles = {name: trouble for name, trouble in self._troubles.items() if name in waiting}
        if due is None:
            return False
        async with self._database.transaction() as connection:
            is_ours = await intents.take(connection, due, now + LEASE)
        if is_ours:
            work = work_of(due.intent)
            with self._telemetry.span("payment-matcher record payment", due.intent.cause):
                if isinstance(work, Recheck):
                    await self._check(work)
                else:
                    await self._attempt(work)
        return True

    async def _check(self, work: Recheck) -> None:
        async with self._database.transaction() as connection:
            await rechecks.check(connection, work, self._clock.now())
        self._relay.wake()

    async def _attempt(self, work: Work) -> None:
        site, reference = self._configuration.sites.get(work.site), work.intent.reference
        if site is None:
            # It was there when the receipt was seen, so a person took it out since.
            self._troubles[work.site] = (
                f"the site {work.site} is not in the configuration any more but has payments to record; put it back"
            )
            error = AccessDeniedError("unknown_site", self._troubles[work.site])
            await self._postpone(work, error, LONGEST_DELAY_SECONDS)
            return
        try:
            zone = ZoneInfo(site.time_zone)
            done = await self._payments.do(work, zone)
            await self._end(work, done)
        except UnavailableError as error:
            await self._wait_out(work, error)
        except AccessDeniedError as error:
            self._troubles[work.site] = (
                f"Chargebee refuses the API key for the site {work.site} ({error.code}), so no payments are recorded; "
                "check KRUISPOST_CHARGEBEE_API_KEY and the site's name"
            )
            await self._postpone(work, error, LONGEST_DELAY_SECONDS)
        except MissingError:
            await self._refuse(work, _missing(work))
        except BusyOrStaleError as error:
            # Attempts that failed otherwise do not count: after an outage the first conflict is often our own call.
            self._conflicts[reference] += 1
            if self._conflicts[reference] >= CONFLICTS_AT_MOST:
                await self._refuse(work, _refused(work, error))
            else:
                await self._postpone(work, error, _delay_seconds(self._conflicts[reference]))
        except RefusedError as error:
            await self._refuse(work, _refused(work, error))

    async def _end(self, work: Work, done: Done | Refuse | Nothing | None) -> None:
        match done:
            case Nothing():
                async with self._database.transaction() as connection:
                    reference = work.intent.reference
                    is_first = await intents.close(connection, reference, state="not_recorded", outcome=intents.NO_MONEY)
                    if is_first and isinstance(work, MatchedReceipt):
                        await afterwards.tell_resolved(connection, reference, work.document, work.intent.cause, self._clock.now())
                self._relay.wake()
            case Refuse():
                await self._refuse(work, done)
            case Done():
                await self._close_recorded(work, done)
            case None:
                pass  # another process has it meanwhile

    async def _wait_out(self, work: Work, error: UnavailableError) -> None:
        delay_seconds = _delay_seconds(work.intent.attempts)
        pause_seconds = error.retry_after_seconds
        if pause_seconds is None and error.code == "api_request_limit_exceeded":
            pause_seconds = RATE_LIMIT_PAUSE_SECONDS
        if pause_seconds is not None:
            pause_seconds = min(pause_seconds, LONGEST_PAUSE_SECONDS)
            delay_seconds = max(delay_seconds, pause_seconds)
            # Chargebee refuses every call of the site until then.
            self._paused_until[work.site] = self._clock.now() + timedelta(seconds=pause_seconds)
        await self._postpone(work, error, delay_seconds)

    async def _close_recorded(self, work: Work, done: Done) -> None:
        fact = work.recorded(done.payment, done.paid_on, found=done.found)
        outcome = "found" if done.found else "recorded"
        wrong = work.wrong(done.payment) if isinstance(work, Shortage) else None
        if wrong is None:
            await self._close(work, fact, state="recorded", outcome=outcome, payment=done.payment)
            return
        log.error("another amount was written off than was decided", invoice=label(work), reason=wrong.sentence)
        await self._close(work, fact, state="recorded", outcome=wrong.code, payment=done.payment, why=wrong.sentence)

    async def _refuse(self, work: Work, refusal: Refuse) -> None:
        left_minor = refusal.left_minor
        fact = work.refused(refusal)
        await self._close(work, fact, state="not_recorded", outcome=refusal.code, why=refusal.sentence, left_minor=left_minor)

    async def _close(
        self,
        work: Work,
        fact: Message,
        *,
        state: str,
        outcome: str,
        payment: Recorded | None = None,
        why: str | None = None,
        left_minor: int = 0,
    ) -> None:
        intent, site = work.intent, work.site
        now = self._clock.now()
        envelope = seal(
            fact,
            source=SOURCE,
            subject=subject(work),
            key=f"{site}/{work.customer_id}",
            time=now,
            cause=intent.cause,
            # A decision about one line leads to several payments; a receivable to one, but to several reasons why there is none.
            distinguisher=_told_of(outcome, left_minor, payment) if isinstance(work, MatchedReceipt) else intent.reference,
            traceparent=self._telemetry.current_traceparent(),
        )
        async with self._database.transaction() as connection:
            if not isinstance(work, MatchedReceipt):
                await lines.lock(connection, work.decided.division, work.decided.line_id)
            is_first = await intents.close(
                connection, intent.reference, state=state, outcome=outcome, payment=payment, left_minor=left_minor
            )
            if is_first:
                stream = f"payment/{intent.reference}"
                await event_log.append(connection, stream, await event_log.stream_version(connection, stream), [envelope])
                await self._follow_up(connection, work, payment, why, now)
        crash_point("payment-matcher.closed")
        self._troubles.pop(site, None)
        self._conflicts.pop(intent.reference, None)
        self._relay.wake()
        if is_first:
            self._telemetry.count("payments_recorded", outcome=outcome if state == "recorded" else state)
        log.info("payment intent closed", invoice=label(work), reference=intent.reference, outcome=outcome)

    async def _follow_up(
        self, connection: AsyncConnection, work: Work, payment: Recorded | None, why: str | None, now: datetime
    ) -> None:
        """Bring the bank line in step, and plan the write-off of what it fell short within the tolerance."""
        if isinstance(work, MatchedReceipt):
            seen = work.receivable
            if payment is not None and await terms.is_open(connection, seen.division, seen.term_id):
                # Exact took it back while the call was under way, or before this database was lost.
                told = (work.intent.reference, work.document, payment)
                await afterwards.tell_taken_back(connection, *told, work.intent.cause, now)
            elif payment is not None:
                await self._plan_rest(connection, work, payment, now)
            return
        decided = work.decided
        if isinstance(work, BankPayment) and not isinstance(work, Shortage) and work.part.short_minor and payment is not None:
            await self._plan_shortage(connection, work.intent, decided, now)
        await lines.refresh(connection, decided.division, decided.line_id, why)

    async def _plan_rest(self, connection: AsyncConnection, work: MatchedReceipt, payment: Recorded, now: datetime) -> None:
        """Look at what Chargebee did not take of a receipt, once it may be money and not what else Exact matched with it."""
        seen = work.receivable
        to_hundredths = HUNDREDTHS if work.document.decimals == 0 else 1
        if payment.amount_minor * to_hundredths < seen.amount_minor:
            money = await account_money.money_hundredths(connection, seen.division, seen.account_id, seen.currency)
            is_money = money is not None and money > 0
            await intents.plan_rest(self._database, connection, work.intent.cause, seen, work.document, now, is_money=is_money)

    async def _plan_shortage(self, connection: AsyncConnection, intent: Intent, decided: BankLineDecided, now: datetime) -> None:
        site, number = intent.site, intent.number
        await intents.plan_bank_payment(self._database, connection, intent.cause, decided, site, number, now, is_shortage=True)

    async def _postpone(self, work: Work, error: ChargebeeError, delay_seconds: float) -> None:
        due_at = self._clock.now() + timedelta(seconds=delay_seconds)
        async with self._database.transaction() as connection:
            await intents.postpone(connection, work.intent, due_at=due_at, error=f"{error.code}: {error.message}")
        log.warning(
            "payment not recorded yet",
            invoice=label(work),
            reference=work.intent.reference,
            code=error.code,
            reason=error.message,
            retry_after_seconds=delay_seconds,
        )

    async def _rest(self, stop: asyncio.Event) -> None:
        waits = [
            asyncio.ensure_future(self._awake.wait()),
            asyncio.ensure_future(stop.wait()),
            asyncio.ensure_future(self._clock.sleep(POLL_SECONDS)),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()


def _delay_seconds(attempts: int) -> float:
    return float(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(attempts, 20)))


def _told_of(outcome: str, left_minor: int, payment: Recorded | None) -> str:
    """Tell one refusal of a receipt apart from another, so that nobody takes it for the one that was heard before."""
    return f"{outcome} {left_minor}" if payment is None else ""


def _refused(work: Work, error: ChargebeeError) -> Refuse:
    return refuse("refused", number=label(work), message=error.message)


def _missing(work: Work) -> Refuse:
    if isinstance(work, Excess):
        return refuse("customer_missing", customer=work.customer_id)
    return refuse("not_found", number=work.document.number)
