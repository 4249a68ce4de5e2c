"""How far a reader of a log has come, written in the same transaction as what it made of it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.event_log import START, Position
from backbone.tables import checkpoints
from backbone.upsert import Upsert


async def read_checkpoint(connection: AsyncConnection, name: str) -> Position:
    """Return the position a reader reached; START when it never wrote one."""
    text = await connection.scalar(sa.select(checkpoints.c.position).where(checkpoints.c.name == name))
    return START if text is None else Position.decode(text)


async def write_checkpoint(connection: AsyncConnection, name: str, position: Position) -> None:
    """Remember the position a reader reached."""
    values = {"name": name, "position": position.encode()}
    changed = {"position": position.encode()}
    await connection.execute(Upsert(checkpoints).values(values).on_conflict_do_update(index_elements=["name"], set_=changed))
