"""Which customer is which account of Exact."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from contracts.commands import PostEntry
from exact_writer.tables import accounts

CUSTOMERS_A_STATEMENT: Final = 500
Origin = Literal["created", "matched", "linked"]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """An account of Exact that is a customer's.

    `fingerprint` is of the customer as it was last saved; `sent` is the value of each property in that version, whatever stands
    in Exact, and None for accounts that an older release saved. `link` is the code that a person named, when one did.
    """

    account_id: str
    fingerprint: str
    origin: Origin = "created"
    link: str | None = None
    sent: dict[str, Any] | None = None


async def find(connection: AsyncConnection, division: int, customer_ref: str) -> Known | None:
    """The account of a customer; None while it has none."""
    row = (
        await connection.execute(
            sa.select(accounts).where(accounts.c.division == division, accounts.c.customer_ref == customer_ref)
        )
    ).one_or_none()
    if row is None or row.account_id is None:
        return None
    return Known(
        account_id=row.account_id,
        fingerprint=row.fingerprint,
        origin=row.origin,
        link=row.link,
        sent=msgspec.json.decode(bytes(row.sent)) if row.sent is not None else None,
    )


async def owners(connection: AsyncConnection, division: int, account_ids: list[str]) -> dict[str, list[tuple[str, Origin]]]:
    """The customers that have these accounts, and how they came by them."""
    found: dict[str, list[tuple[str, Origin]]] = {}
    statement = sa.select(accounts.c.account_id, accounts.c.customer_ref, accounts.c.origin).where(
        accounts.c.division == division, accounts.c.account_id.in_(account_ids)
    )
    for row in await connection.execute(statement.order_by(accounts.c.customer_ref)):
        found.setdefault(row.account_id, []).append((row.customer_ref, row.origin))
    return found


async def of_lines(connection: AsyncConnection, division: int, command: PostEntry) -> dict[str, str] | None:
    """The accounts of the customers that single lines name; None while one of them has none."""
    named = named_in(command)
    found = await account_ids(connection, division, named)
    return found if len(found) == len(named) else None


def named_in(command: PostEntry) -> set[str]:
    """The customers that single lines name."""
    return {line.customer_ref for line in command.lines if line.customer_ref is not None}


async def account_ids(connection: AsyncConnection, division: int, customer_refs: Iterable[str]) -> dict[str, str]:
    """The accounts of those of these customers that have one."""
    found: dict[str, str] = {}
    wanted = sorted(customer_refs)
    for start in range(0, len(wanted), CUSTOMERS_A_STATEMENT):
        statement = sa.select(accounts.c.customer_ref, accounts.c.account_id).where(
            accounts.c.division == division,
            accounts.c.customer_ref.in_(wanted[start : start + CUSTOMERS_A_STATEMENT]),
            accounts.c.account_id.is_not(None),
        )
        found |= {row.customer_ref: row.account_id for row in await connection.execute(statement)}
    return found


async def remember(database: Database, connection: AsyncConnection, division: int, customer_ref: str, known: Known) -> None:
    """Note the account of a customer."""
    values = {
        "account_id": known.account_id,
        "fingerprint": known.fingerprint,
        "origin": known.origin,
        "link": known.link,
        "sent": msgspec.json.encode(known.sent) if known.sent is not None else None,
    }
    insert = database.insert(accounts).values(division=division, customer_ref=customer_ref, **values)
    await connection.execute(insert.on_conflict_do_update(index_elements=["division", "customer_ref"], set_=values))


async def forget(connection: AsyncConnection, division: int, account_id: str) -> None:
    """Note that Exact has no such account any more."""
    await connection.execute(sa.delete(accounts).where(accounts.c.division == division, accounts.c.account_id == account_id))
