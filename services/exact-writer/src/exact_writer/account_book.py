"""Which customer is which account of Exact."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from exact_writer.tables import accounts


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """An account of Exact and the fingerprint of the customer as it was last saved there."""

    account_id: str
    fingerprint: str


async def find(connection: AsyncConnection, division: int, customer_ref: str) -> Known | None:
    """The account of a customer; None while it has none."""
    row = (
        await connection.execute(
            sa.select(accounts).where(accounts.c.division == division, accounts.c.customer_ref == customer_ref)
        )
    ).one_or_none()
    if row is None or row.account_id is None:
        return None
    return Known(account_id=row.account_id, fingerprint=row.fingerprint)


async def remember(database: Database, connection: AsyncConnection, division: int, customer_ref: str, known: Known) -> None:
    """Note the account of a customer."""
    values = {"account_id": known.account_id, "fingerprint": known.fingerprint}
    insert = database.insert(accounts).values(division=division, customer_ref=customer_ref, **values)
    await connection.execute(insert.on_conflict_do_update(index_elements=["division", "customer_ref"], set_=values))


async def forget(connection: AsyncConnection, division: int, customer_ref: str) -> None:
    """Note that Exact has no such account any more."""
    await connection.execute(sa.delete(accounts).where(accounts.c.division == division, accounts.c.customer_ref == customer_ref))
