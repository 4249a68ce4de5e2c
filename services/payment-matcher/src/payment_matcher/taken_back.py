"""Telling that Exact took a receipt back which stands in Chargebee as a payment: a person has to say which of them is right."""

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
from payment_matcher.resolved import SOURCE

CODE = "taken_back"


async def tell(
    connection: AsyncConnection, reference: str, document: DocumentRef, payment: Recorded, cause: Envelope, now: datetime
) -> None:
    """Say so of one payment."""
    amount = f"{document.currency} {format_minor(payment.amount_minor, document.currency)}"
    details = {"number": document.number, "amount": amount, "transaction": payment.transaction_id}
    sentence = f"{refusals.sentence(CODE, **details)} {refusals.action(CODE)}"
    dutch = f"{refusals.sentence_nl(CODE, **details)} {refusals.action_nl(CODE)}"
    stream = f"payment/{reference}"
    version = await event_log.stream_version(connection, stream)
    sealed = seal(
        PaymentNotRecorded(document=document, code=CODE, sentence=sentence, sentence_nl=dutch),
        source=SOURCE,
        subject=f"{document.site}/invoice/{document.number}",
        key=f"{document.site}/{document.customer_id}",
        time=now,
        cause=cause,
        distinguisher=str(version),
    )
    await event_log.append(connection, stream, version, [sealed])


async def is_told(connection: AsyncConnection, reference: str) -> bool:
    """Say whether that is the last thing that was said of a payment."""
    said = await event_log.read_stream(connection, f"payment/{reference}")
    last = unseal(said[-1].envelope) if said else None
    return isinstance(last, PaymentNotRecorded) and last.code == CODE
