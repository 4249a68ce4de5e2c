"""What is told of a receipt after its payment had ended: that Exact took it back, or that its money needs nobody any more."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from bookkeeping.money import format_minor
from contracts.envelope import Envelope, seal
from contracts.facts import DocumentRef, PaymentNotRecorded
from contracts.messages import unseal
from payment_matcher import refusals
from payment_matcher.intents import Recorded
from payment_matcher.tables import intents

SOURCE = "payment-matcher"
TAKEN_BACK, MATCHED_ANEW, RESOLVED = "taken_back", "matched_anew", "money_resolved"
RECEIPT_ANEW = "receipt_matched_anew"  # what is said where the receipt shows it, and not the invoice


async def tell_taken_back(
    connection: AsyncConnection, reference: str, document: DocumentRef, payment: Recorded, cause: Envelope, now: datetime
) -> None:
    """Say that Exact took a receipt back which stands in Chargebee: a person has to say which of them is right."""
    await _doubt(connection, reference, TAKEN_BACK)
    amount = f"{document.currency} {format_minor(payment.amount_minor, document.currency)}"
    details = {"number": document.number, "amount": amount, "transaction": payment.transaction_id}
    _, version = await _last_said(connection, reference)
    await _tell(connection, reference, version, document, TAKEN_BACK, details, cause, now)


async def tell_matched_anew(
    connection: AsyncConnection,
    reference: str,
    document: DocumentRef,
    payment: Recorded,
    days: tuple[date | None, date | None] | None,
    cause: Envelope,
    now: datetime,
) -> None:
    """Say that a receipt may be matched with something else than its invoice.

    `days` are on which Exact had the invoice paid then, and now; without them it is the receipt that shows it.
    """
    await _doubt(connection, reference, MATCHED_ANEW)
    amount = f"{document.currency} {format_minor(payment.amount_minor, document.currency)}"
    details = {"number": document.number, "amount": amount, "transaction": payment.transaction_id}
    if days is not None:
        details["then"], details["now"] = (day.isoformat() if day is not None else "?" for day in days)
    _, version = await _last_said(connection, reference)
    code = MATCHED_ANEW if days is not None else RECEIPT_ANEW
    await _tell(connection, reference, version, document, code, details, cause, now)


async def _doubt(connection: AsyncConnection, reference: str, code: str) -> None:
    await connection.execute(sa.update(intents).where(intents.c.reference == reference).values(doubt=code))


async def tell_resolved(
    connection: AsyncConnection, reference: str, document: DocumentRef, cause: Envelope, now: datetime
) -> None:
    """Say that money without a debt is none any more, where that was the last thing said of a receipt."""
    last, version = await _last_said(connection, reference)
    if last == "money_without_debt":
        await _tell(connection, reference, version, document, RESOLVED, {"number": document.number}, cause, now)


async def _last_said(connection: AsyncConnection, reference: str) -> tuple[str | None, int]:
    """Return why a payment was not recorded, where that is the last thing said of it, and how much was said."""
    said = await event_log.read_stream(connection, f"payment/{reference}")
    last = unseal(said[-1].envelope) if said else None
    return last.code if isinstance(last, PaymentNotRecorded) else None, said[-1].version if said else 0


async def _tell(
    connection: AsyncConnection,
    reference: str,
    version: int,
    document: DocumentRef,
    code: str,
    details: dict[str, str],
    cause: Envelope,
    now: datetime,
) -> None:
    sentence = f"{refusals.sentence(code, **details)} {refusals.action(code)}".strip()
    dutch = f"{refusals.sentence_nl(code, **details)} {refusals.action_nl(code)}".strip()
    sealed = seal(
        PaymentNotRecorded(document=document, code=code, sentence=sentence, sentence_nl=dutch),
        source=SOURCE,
        subject=f"{document.site}/invoice/{document.number}",
        key=f"{document.site}/{document.customer_id}",
        time=now,
        cause=cause,
        distinguisher=str(version),
    )
    await event_log.append(connection, f"payment/{reference}", version, [sealed])
