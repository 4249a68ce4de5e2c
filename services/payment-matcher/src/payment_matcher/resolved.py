"""Telling that money needs nobody any more of which a person was told."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from contracts.envelope import Envelope, seal
from contracts.facts import DocumentRef, PaymentNotRecorded
from contracts.messages import unseal
from payment_matcher import refusals

SOURCE = "payment-matcher"
CODE = "money_resolved"


async def tell(connection: AsyncConnection, reference: str, document: DocumentRef, cause: Envelope, now: datetime) -> None:
    """Say that money without a debt is none any more, where that was the last thing said of a receipt."""
    stream = f"payment/{reference}"
    said = await event_log.read_stream(connection, stream)
    last = unseal(said[-1].envelope) if said else None
    if not isinstance(last, PaymentNotRecorded) or last.code != "money_without_debt":
        return
    sentence, dutch = refusals.sentence(CODE, number=document.number), refusals.sentence_nl(CODE, number=document.number)
    envelope = seal(
        PaymentNotRecorded(document=document, code=CODE, sentence=sentence, sentence_nl=dutch),
        source=SOURCE,
        subject=f"{document.site}/invoice/{document.number}",
        key=f"{document.site}/{document.customer_id}",
        time=now,
        cause=cause,
        distinguisher=str(said[-1].version),
    )
    await event_log.append(connection, stream, said[-1].version, [envelope])
