"""What one intent is about: a receivable that Exact matched, or a part of what was decided of a bank line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import msgspec

from bookkeeping.money import format_minor
from contracts.bank_lines import (
    BankLineDecided,
    BankLineObserved,
    DecidedPart,
    ExcessNotRecorded,
    ExcessRecorded,
    ShortageWrittenOff,
)
from contracts.envelope import Message
from contracts.facts import DocumentRef, PaymentNotRecorded, PaymentRecorded, ReceivableObserved
from contracts.messages import unseal
from payment_matcher.decision import Refuse, refuse
from payment_matcher.intents import Intent, Recorded
from payment_matcher.lines import SHORTAGE_OF
from payment_matcher.rechecks import CHECK_OF, Recheck


@dataclass(frozen=True)
class OfInvoice:
    """A payment of one invoice."""

    intent: Intent
    document: DocumentRef

    @property
    def site(self) -> str:
        """The site of Chargebee that it is recorded in."""
        return self.document.site

    @property
    def customer_id(self) -> str:
        """Who paid."""
        return self.document.customer_id

    def recorded(self, payment: Recorded, paid_on: date, *, found: bool) -> Message:
        """Return the fact that the payment stands in Chargebee."""
        return PaymentRecorded(
            document=self.document,
            transaction_id=payment.transaction_id,
            amount_minor=payment.amount_minor,
            payment_date=paid_on,
            reference=self.intent.reference,
            found=found,
        )

    def refused(self, refusal: Refuse) -> Message:
        """Return the fact that it does not, and why."""
        told = PaymentNotRecorded(document=self.document, code=refusal.code, sentence=refusal.sentence)
        return msgspec.structs.replace(told, sentence_nl=refusal.sentence_nl)


@dataclass(frozen=True)
class MatchedReceipt(OfInvoice):
    """A receivable, or a part of one, that Exact has matched."""

    receivable: ReceivableObserved

    def refused(self, refusal: Refuse) -> Message:
        """Return the fact that it is not recorded, why, and what a person can do."""
        told = PaymentNotRecorded(
            document=self.document,
            code=refusal.code,
            sentence=f"{refusal.sentence} {refusal.action}".strip(),
        )
        return msgspec.structs.replace(told, sentence_nl=f"{refusal.sentence_nl} {refusal.action_nl}".strip())

    @property
    def comment(self) -> str:
        """What Chargebee keeps beside the payment."""
        return f"Receipt seen in Exact Online, administration {self.receivable.division}"

    def paid_on(self, zone: ZoneInfo) -> date:
        """Return the day of the payment; where Exact names none, the day on which it was seen."""
        return self.receivable.last_payment_date or self.intent.cause.time.astimezone(zone).date()


@dataclass(frozen=True)
class BankPayment(OfInvoice):
    """What a bank line pays of one invoice, as somebody decided."""

    decided: BankLineDecided
    part: DecidedPart

    @property
    def comment(self) -> str:
        """What Chargebee keeps beside the payment."""
        return _comment(self.decided)

    def paid_on(self, zone: ZoneInfo) -> date:
        """Return the day of the bank line."""
        return _day(self.intent, self.decided, zone)


@dataclass(frozen=True)
class Shortage(BankPayment):
    """The few cents that a bank line fell short of an invoice, to be written off once the payment stands there."""

    def recorded(self, payment: Recorded, paid_on: date, *, found: bool) -> Message:
        """Return the fact that they were written off, and that it was another amount where it was."""
        del paid_on, found  # a write-off has the day on which it is made
        told = ShortageWrittenOff(
            document=self.document,
            division=self.decided.division,
            line_id=self.decided.line_id,
            amount_minor=payment.amount_minor,
        )
        wrong = self.wrong(payment)
        if wrong is None:
            return told
        return msgspec.structs.replace(told, code=wrong.code, sentence=wrong.sentence, sentence_nl=wrong.sentence_nl)

    def wrong(self, payment: Recorded) -> Refuse | None:
        """Return what a person has to mend when Chargebee wrote off another amount: the call names none."""
        if payment.amount_minor == self.part.short_minor:
            return None
        currency = self.document.currency
        amounts = {"written": payment.amount_minor, "short": self.part.short_minor}
        shown = {name: f"{currency} {format_minor(amount, currency)}" for name, amount in amounts.items()}
        return refuse("write_off_differs", number=self.document.number, **shown)


@dataclass(frozen=True)
class Excess:
    """What a bank line brought beyond invoices, for the customer who paid it."""

    intent: Intent
    decided: BankLineDecided

    @property
    def site(self) -> str:
        """The site of Chargebee that it is recorded in."""
        return self.decided.site

    @property
    def customer_id(self) -> str:
        """Who paid."""
        return self.decided.customer_id

    @property
    def comment(self) -> str:
        """What Chargebee keeps beside the payment."""
        return _comment(self.decided)

    def paid_on(self, zone: ZoneInfo) -> date:
        """Return the day of the bank line."""
        return _day(self.intent, self.decided, zone)

    def recorded(self, payment: Recorded, paid_on: date, *, found: bool) -> Message:
        """Return the fact that the excess payment stands in Chargebee."""
        return ExcessRecorded(
            division=self.decided.division,
            line_id=self.decided.line_id,
            site=self.site,
            customer_id=self.customer_id,
            currency=self.decided.currency,
            transaction_id=payment.transaction_id,
            amount_minor=payment.amount_minor,
            payment_date=paid_on,
            reference=self.intent.reference,
            found=found,
        )

    def refused(self, refusal: Refuse) -> Message:
        """Return the fact that it does not, and why."""
        return ExcessNotRecorded(
            division=self.decided.division,
            line_id=self.decided.line_id,
            site=self.site,
            customer_id=self.customer_id,
            code=refusal.code,
            sentence=refusal.sentence,
            sentence_nl=refusal.sentence_nl,
        )


Work = MatchedReceipt | BankPayment | Shortage | Excess


def work_of(intent: Intent) -> Work | Recheck:
    """Read what an intent is about from the message that caused it; raises TypeError for one that causes no payment."""
    cause = unseal(intent.cause)
    if isinstance(cause, BankLineObserved | ReceivableObserved) and intent.term_id.startswith(CHECK_OF):
        return Recheck(intent, cause)
    if isinstance(cause, ReceivableObserved) and cause.document is not None:
        return MatchedReceipt(intent, cause.document, cause)
    if isinstance(cause, BankLineDecided):
        if not intent.number:
            return Excess(intent, cause)
        for part in cause.parts:
            if (part.document.site, part.document.number) == (intent.site, intent.number):
                kind = Shortage if intent.term_id.startswith(SHORTAGE_OF) else BankPayment
                return kind(intent, part.document, cause, part)
    raise TypeError(f"intent {intent.reference} was caused by a {intent.cause.type} that leads to no payment of {intent.number}")


def label(work: Work) -> str:
    """Name what is paid, for logs and refusals."""
    return work.document.number if isinstance(work, OfInvoice) else f"customer {work.customer_id}"


def subject(work: Work) -> str:
    """Name in an envelope what is paid."""
    kind, name = ("invoice", work.document.number) if isinstance(work, OfInvoice) else ("customer", work.customer_id)
    return f"{work.site}/{kind}/{name}"


def _day(intent: Intent, decided: BankLineDecided, zone: ZoneInfo) -> date:
    return decided.paid_on or intent.cause.time.astimezone(zone).date()


def _comment(decided: BankLineDecided) -> str:
    return f"Bank line in Exact Online, administration {decided.division}, entry {decided.entry_id}"
