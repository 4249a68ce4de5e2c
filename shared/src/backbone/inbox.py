"""Which messages a consumer has handled, written in the same transaction as their effect."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.tables import inbox
from backbone.upsert import Upsert


async def first_time(connection: AsyncConnection, consumer: str, message_id: str) -> bool:
    """Note the message and say whether this consumer sees it for the first time.

    A second transaction with the same message waits for the first, and sees False when that one commits.
    """
    values = {"consumer": consumer, "message_id": message_id}
    result = await connection.execute(Upsert(inbox).values(values).on_conflict_do_nothing())
    return result.rowcount == 1


async def forget(connection: AsyncConnection, consumer: str, message_id: str) -> None:
    """Keep no note of a message that may be handled twice without harm, so that many of them take no room."""
    await connection.execute(sa.delete(inbox).where(inbox.c.consumer == consumer, inbox.c.message_id == message_id))
