"""What is told of a receipt after its payment had ended: that Exact took it back, or that its money needs nobody any more."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from bookkeeping.money import format_minor
from contracts.envelope import Envelope, seal
from contracts.facts import DocumentRef, PaymentNotRecorded
from contracts.messages import unseal
from payment_matcher import refusals
from payment_matcher.intents import Recorded

SOURCE = "payment-matcher"
TAKEN_BACK, RESOLVED = "taken_back", "money_resolved"


async def tell_taken_back(
    connection: AsyncConnection, reference: str, document: DocumentRef, payment: Recorded, cause: Envelope, now: datetime
) -> None:
    """Say that Exact took a receipt back which stands in Chargebee: a person has to say which of them is right."""
    amount = f"{document.currency} {format_minor(payment.amount_minor, document.currency)}"
    details = {"number": document.number, "amount": amount, "transaction": payment.transaction_id}
    _, version = await _last_said(connection, reference)
    await _tell(connection, reference, version, document, TAKEN_BACK, details, cause, now)


async def tell_resolved(
    connection: AsyncConnection, reference: str, document: DocumentRef, cause: Envelope, now: datetime
) -> None:
    """Say that money without a debt is none any more, where that was the last thing said of a receipt."""
    last, version = await _last_said(connection, reference)
    if last == "money_without_debt":
        await _tell(connection, reference, version, document, RESOLVED, {"number": document.number}, cause, now)


async def is_told_taken_back(connection: AsyncConnection, reference: str) -> bool:
    """Say whether that is the last thing that was said of a payment."""
    last, _ = await _last_said(connection, reference)
    return last == TAKEN_BACK


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
