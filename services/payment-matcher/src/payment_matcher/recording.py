"""The worker that records payments in Chargebee: look, fix the amount, call, close. After any doubt it starts at the look."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from backbone import event_log
from backbone.clock import Clock
from backbone.configuration import Configuration
from backbone.crash_points import crash_point
from backbone.database import Database, is_away
from backbone.relay import Relay
from backbone.telemetry import Telemetry, log
from contracts.envelope import Message, seal
from contracts.facts import DocumentRef, PaymentNotRecorded, PaymentRecorded, ReceivableObserved
from contracts.messages import unseal
from payment_matcher import intents, refusals, terms
from payment_matcher.chargebee_api import (
    AccessDeniedError,
    BusyOrStaleError,
    ChargebeeError,
    MissingError,
    PaymentApi,
    RefusedError,
    UnavailableError,
)
from payment_matcher.decision import HUNDREDTHS, Receipt, Refuse, decide
from payment_matcher.intents import Intent, Recorded

SOURCE = "payment-matcher"
# Longer than the longest call, so that an intent is not taken twice while its call runs.
LEASE = timedelta(seconds=40)
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
        self._api = api
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
                log.warning("recording waits for the database", reason=type(error).__name__)
                is_idle = True
            if is_idle:
                await self._rest(stop)

    async def step(self) -> bool:
        """Work on one due intent; returns False when there is none."""
        now = self._clock.now()
        paused = frozenset(site for site, until in self._paused_until.items() if until > now)
        async with self._database.reading() as connection:
            due = await intents.next_due(connection, now, paused)
        if due is None:
            return False
        async with self._database.transaction() as connection:
            is_ours = await intents.take(connection, due, now + LEASE)
        if is_ours:
            intent = due.intent
            receivable = unseal(intent.cause)
            if not isinstance(receivable, ReceivableObserved) or receivable.document is None:
                raise TypeError(f"intent {intent.reference} was not caused by a document's receivable but by {intent.cause.type}")
            with self._telemetry.span("payment-matcher record payment", intent.cause):
                await self._attempt(intent, receivable, receivable.document)
        return True

    async def _attempt(self, intent: Intent, receivable: ReceivableObserved, document: DocumentRef) -> None:
        site = self._configuration.sites.get(document.site)
        if site is None:
            # It was there when the receipt was seen, so a person took it out since.
            self._troubles[document.site] = (
                f"the site {document.site} is not in the configuration any more but has payments to record; put it back"
            )
            error = AccessDeniedError("unknown_site", self._troubles[document.site])
            await self._postpone(intent, document, error, LONGEST_DELAY_SECONDS)
            return
        try:
            await self._record(intent, receivable, document, ZoneInfo(site.time_zone))
        except UnavailableError as error:
            await self._wait_out(intent, document, error)
        except AccessDeniedError as error:
            self._troubles[document.site] = (
                f"Chargebee refuses the API key for the site {document.site} ({error.code}), so no payments are recorded; "
                "check KRUISPOST_CHARGEBEE_API_KEY and the site's name"
            )
            await self._postpone(intent, document, error, LONGEST_DELAY_SECONDS)
        except MissingError:
            await self._refuse(intent, document, Refuse("not_found", refusals.sentence("not_found", number=document.number)))
        except BusyOrStaleError as error:
            # Attempts that failed otherwise do not count: after an outage the first conflict is often our own call.
            self._conflicts[intent.reference] += 1
            if self._conflicts[intent.reference] >= CONFLICTS_AT_MOST:
                await self._refuse(intent, document, _refused(document, error))
            else:
                await self._postpone(intent, document, error, _delay_seconds(self._conflicts[intent.reference]))
        except RefusedError as error:
            await self._refuse(intent, document, _refused(document, error))

    async def _wait_out(self, intent: Intent, document: DocumentRef, error: UnavailableError) -> None:
        delay_seconds = _delay_seconds(intent.attempts)
        pause_seconds = error.retry_after_seconds
        if pause_seconds is None and error.code == "api_request_limit_exceeded":
            pause_seconds = RATE_LIMIT_PAUSE_SECONDS
        if pause_seconds is not None:
            pause_seconds = min(pause_seconds, LONGEST_PAUSE_SECONDS)
            delay_seconds = max(delay_seconds, pause_seconds)
            # Chargebee refuses every call of the site until then.
            self._paused_until[document.site] = self._clock.now() + timedelta(seconds=pause_seconds)
        await self._postpone(intent, document, error, delay_seconds)

    async def _record(self, intent: Intent, receivable: ReceivableObserved, document: DocumentRef, zone: ZoneInfo) -> None:
        site, number = document.site, document.number
        invoice = await self._api.invoice(site, number)
        # An earlier attempt may have succeeded without its answer reaching us. Without a call made and without a payment on the
        # invoice there is nothing to find, and the look is saved: Chargebee allows few calls a minute.
        if intent.was_prepared or invoice.has_payments:
            found = await self._api.find_payment(site, document.customer_id, intent.reference)
            if found is not None:
                await self._close_recorded(intent, document, found, paid_on=_paid_on(intent, receivable, zone), found=True)
                return
        async with self._database.reading() as connection:
            matched = await terms.matched_hundredths(connection, document)
            money = await terms.money_hundredths(connection, receivable, document.decimals)
        total = document.total_minor * (HUNDREDTHS if document.decimals == 0 else 1)
        receipt = Receipt(
            number=number,
            currency=document.currency,
            decimals=document.decimals,
            receivable_currency=receivable.currency,
            amount_hundredths=receivable.amount_minor,
            paid_on=_paid_on(intent, receivable, zone),
            open_hundredths=0 if receivable.is_fully_paid else total - matched,
            money_hundredths=money,
        )
        verdict = decide(receipt, invoice, zone=zone, now=self._clock.now())
        if isinstance(verdict, Refuse):
            await self._refuse(intent, document, verdict)
            return
        # A date that was fixed for an earlier call stays: the same idempotency key must come with the same body.
        paid_at = verdict.paid_at if intent.paid_at is None else intent.paid_at
        async with self._database.transaction() as connection:
            is_ours = await intents.prepare(connection, intent, paid_at=paid_at, due_at=self._clock.now() + LEASE)
        if not is_ours:
            return
        crash_point("payment-matcher.prepared")
        payment = await self._api.record_payment(
            site,
            number,
            amount_minor=verdict.amount_minor,
            paid_at=paid_at,
            reference=intent.reference,
            comment=f"Receipt seen in Exact Online, administration {receivable.division}",
        )
        crash_point("payment-matcher.called")
        await self._close_recorded(intent, document, payment, paid_on=receipt.paid_on, found=False)

    async def _close_recorded(
        self, intent: Intent, document: DocumentRef, payment: Recorded, *, paid_on: date, found: bool
    ) -> None:
        fact = PaymentRecorded(
            document=document,
            transaction_id=payment.transaction_id,
            amount_minor=payment.amount_minor,
            payment_date=paid_on,
            reference=intent.reference,
            found=found,
        )
        await self._close(intent, document, fact, state="recorded", outcome="found" if found else "recorded", payment=payment)

    async def _refuse(self, intent: Intent, document: DocumentRef, refusal: Refuse) -> None:
        fact = PaymentNotRecorded(document=document, code=refusal.code, sentence=refusal.sentence)
        await self._close(intent, document, fact, state="not_recorded", outcome=refusal.code)

    async def _close(
        self,
        intent: Intent,
        document: DocumentRef,
        fact: Message,
        *,
        state: str,
        outcome: str,
        payment: Recorded | None = None,
    ) -> None:
        envelope = seal(
            fact,
            source=SOURCE,
            subject=f"{document.site}/invoice/{document.number}",
            key=f"{document.site}/{document.customer_id}",
            time=self._clock.now(),
            cause=intent.cause,
            traceparent=self._telemetry.current_traceparent(),
        )
        async with self._database.transaction() as connection:
            is_first = await intents.close(connection, intent.reference, state=state, outcome=outcome, payment=payment)
            if is_first:
                stream = f"payment/{intent.reference}"
                await event_log.append(connection, stream, await event_log.stream_version(connection, stream), [envelope])
        crash_point("payment-matcher.closed")
        self._troubles.pop(document.site, None)
        self._conflicts.pop(intent.reference, None)
        self._relay.wake()
        if is_first:
            self._telemetry.count("payments_recorded", outcome=outcome if state == "recorded" else state)
        log.info("payment intent closed", invoice=document.number, reference=intent.reference, outcome=outcome)

    async def _postpone(self, intent: Intent, document: DocumentRef, error: ChargebeeError, delay_seconds: float) -> None:
        due_at = self._clock.now() + timedelta(seconds=delay_seconds)
        async with self._database.transaction() as connection:
            await intents.postpone(connection, intent, due_at=due_at, error=f"{error.code}: {error.message}")
        log.warning(
            "payment not recorded yet",
            invoice=document.number,
            reference=intent.reference,
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


def _paid_on(intent: Intent, receivable: ReceivableObserved, zone: ZoneInfo) -> date:
    """Return the day of the payment; where Exact names none, the day on which it was seen."""
    return receivable.last_payment_date or intent.cause.time.astimezone(zone).date()


def _delay_seconds(attempts: int) -> float:
    return float(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(attempts, 20)))


def _refused(document: DocumentRef, error: ChargebeeError) -> Refuse:
    return Refuse("refused", refusals.sentence("refused", number=document.number, message=error.message))
