"""How each kind of work is done in Chargebee: look, fix the amount, note that the call may be made, call.

Raises what the calls raise; what an earlier attempt did is found by the look, so nothing is recorded twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import Database
from payment_matcher import account_money, intents, own_payments, terms
from payment_matcher.chargebee_api import PaymentApi
from payment_matcher.decision import (
    HUNDREDTHS,
    InvoiceState,
    Receipt,
    Record,
    Refuse,
    decide,
    decide_bank_payment,
    is_settled,
    payment_instant,
    refuse,
)
from payment_matcher.intents import Recorded
from payment_matcher.work import BankPayment, Excess, MatchedReceipt, Shortage, Work

# Longer than the longest call, so that an intent is not taken twice while its call runs.
LEASE = timedelta(seconds=40)


@dataclass(frozen=True)
class Done:
    """What stands in Chargebee now; `found` when an earlier attempt had put it there."""

    payment: Recorded
    paid_on: date
    found: bool


class Nothing:
    """No money is in question: Exact has the receivable open again, or our own documents settled it, in Chargebee as in Exact."""


class Payments:
    """Does one piece of work at a time; None says that another process has it meanwhile."""

    def __init__(self, database: Database, clock: Clock, api: PaymentApi) -> None:
        self._database = database
        self._clock = clock
        self._api = api

    async def do(self, work: Work, zone: ZoneInfo) -> Done | Refuse | Nothing | None:
        """Record what the work is about, once; raises ChargebeeError."""
        match work:
            case Shortage():
                return await self._write_off(work, zone)
            case MatchedReceipt() | BankPayment():
                return await self._pay(work, zone)
            case Excess():
                return await self._keep_excess(work, zone)

    async def _pay(self, work: MatchedReceipt | BankPayment, zone: ZoneInfo) -> Done | Refuse | Nothing | None:
        intent, number = work.intent, work.document.number
        is_none = isinstance(work, MatchedReceipt) and await self._is_no_receipt(work)
        async with self._database.reading() as connection:
            may_stand = intent.was_prepared or await own_payments.stands(connection, work.site, intent.reference)
        if is_none and not may_stand:
            return Nothing()
        invoice = await self._api.invoice(work.site, number)
        # An earlier attempt may have succeeded without its answer reaching us. Without a call made and without a payment on the
        # invoice there is nothing to find, and the look is saved: Chargebee allows few calls a minute.
        if may_stand or invoice.has_payments:
            found = await self._api.find_payment(work.site, work.customer_id, intent.reference)
            if found is not None:
                return Done(found, work.paid_on(zone), found=True)
        if is_none:
            return Nothing()
        verdict = await self._verdict(work, invoice, zone)
        if isinstance(verdict, Refuse):
            return verdict
        paid_at = await self._prepare(work, verdict.paid_at)
        if paid_at is None:
            return None
        payment = await self._api.record_payment(
            work.site,
            number,
            amount_minor=verdict.amount_minor,
            paid_at=paid_at,
            reference=intent.reference,
            comment=work.comment,
        )
        crash_point("payment-matcher.called")
        return Done(payment, work.paid_on(zone), found=False)

    async def _is_no_receipt(self, work: MatchedReceipt) -> bool:
        """Whether Exact took the match back before it was recorded, or no money is in question."""
        seen = work.receivable
        async with self._database.reading() as connection:
            if await terms.is_open(connection, seen.division, seen.term_id):
                return True
            if work.intent.reference == intents.rest_of(seen.division, seen.term_id):
                money = await self._money(connection, work)
                return money is None or money <= 0
            known = await intents.known_invoice(connection, work.site, work.document.number)
            if known is None or not is_settled(known["status"], known["amount_due_minor"], deleted=known["deleted"]):
                return False
            money = await self._money(connection, work)
        return money is not None and money <= 0

    async def _money(self, connection: AsyncConnection, work: MatchedReceipt) -> int | None:
        seen = work.receivable
        return await account_money.money_hundredths(connection, seen.division, seen.account_id, seen.currency)

    async def _verdict(self, work: MatchedReceipt | BankPayment, invoice: InvoiceState, zone: ZoneInfo) -> Record | Refuse:
        now = self._clock.now()
        if isinstance(work, BankPayment):
            return decide_bank_payment(work.part.amount_minor, invoice, paid_on=work.paid_on(zone), zone=zone, now=now)
        receivable, document = work.receivable, work.document
        async with self._database.reading() as connection:
            matched = await terms.matched_hundredths(connection, document)
            money = await self._money(connection, work)
            amount = await terms.left_hundredths(connection, receivable, besides=work.intent.reference)
        total = document.total_minor * (HUNDREDTHS if document.decimals == 0 else 1)
        receipt = Receipt(
            number=document.number,
            currency=document.currency,
            decimals=document.decimals,
            receivable_currency=receivable.currency,
            amount_hundredths=amount,
            paid_on=work.paid_on(zone),
            open_hundredths=0 if receivable.is_fully_paid else total - matched,
            money_hundredths=money,
        )
        return decide(receipt, invoice, zone=zone, now=now)

    async def _keep_excess(self, work: Excess, zone: ZoneInfo) -> Done | None:
        intent = work.intent
        # Unlike an invoice, a customer does not show what was recorded, so the look is always made.
        found = await self._api.find_payment(work.site, work.customer_id, intent.reference)
        if found is not None:
            return Done(found, work.paid_on(zone), found=True)
        paid_at = await self._prepare(work, payment_instant(work.paid_on(zone), None, zone, self._clock.now()))
        if paid_at is None:
            return None
        payment = await self._api.record_excess_payment(
            work.site,
            work.customer_id,
            amount_minor=work.decided.excess_minor,
            currency=work.decided.currency,
            paid_at=paid_at,
            reference=intent.reference,
            comment=work.comment,
        )
        crash_point("payment-matcher.excess_called")
        return Done(payment, work.paid_on(zone), found=False)

    async def _write_off(self, work: Shortage, zone: ZoneInfo) -> Done | Refuse | None:
        number, short_minor = work.document.number, work.part.short_minor
        invoice = await self._api.invoice(work.site, number)
        if work.intent.was_prepared and invoice.written_off_minor and invoice.amount_due_minor != short_minor:
            # A write-off has no reference of ours; that the invoice shows one is what an earlier call made of it.
            return Done(Recorded(intents.WRITTEN_OFF, invoice.written_off_minor), work.paid_on(zone), found=True)
        if invoice.amount_due_minor != short_minor:
            details = {"number": number, "due": invoice.amount_due_minor, "short": short_minor}
            return refuse("shortage_changed", **details)
        if await self._prepare(work, payment_instant(work.paid_on(zone), None, zone, self._clock.now())) is None:
            return None
        written_minor = await self._api.write_off(work.site, number, reference=work.intent.reference, comment=work.comment)
        crash_point("payment-matcher.written_off")
        return Done(Recorded(intents.WRITTEN_OFF, written_minor), work.paid_on(zone), found=False)

    async def _prepare(self, work: Work, paid_at: int) -> int | None:
        """Note before the call that it may be made; return its date, None when another process has the intent.

        A date that was fixed for an earlier call stays: the same idempotency key must come with the same body.
        """
        intent = work.intent
        fixed = paid_at if intent.paid_at is None else intent.paid_at
        async with self._database.transaction() as connection:
            is_ours = await intents.prepare(connection, intent, paid_at=fixed, due_at=self._clock.now() + LEASE)
        if not is_ours:
            return None
        crash_point("payment-matcher.prepared")
        return fixed
