"""Which control account each movement in a payout stands on, where the mapping has another one since: it is taken off there.

It only reads. A movement that is not booked yet, or older than a payout can be late, is taken off the account of the payout's own
day; `kruispost control-accounts` then names the amount on both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection
from datetime import date, timedelta

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from bookkeeping.documents import Payout
from bookkeeping.mapping import Mapping
from contracts import chargebee, settlements
from contracts.commands import PostEntry
from mapper import tables
from mapper.store import ISSUED, Store

# How long after a movement its payout may come, disputes and reserves apart, which are movements of their own day.
LONGEST_WAY = timedelta(days=120)
_WAYS = {"payment": 1, "refund": -1}
PAGE = 1_000
_MOVEMENTS = frozenset(("charge", "refund", "chargeback"))


async def off_their_accounts(store: Store, site: str, payout: Payout, mapping: Mapping) -> Payout:
    """Return a payout with what of it stands on other control accounts than that of its own day, as it was booked there."""
    first, day = payout.document_date - LONGEST_WAY, payout.document_date
    own = mapping.control_account(payout.gateway_account, payout.currency, day)
    others = mapping.control_accounts_between(payout.gateway_account, payout.currency, first, day) - {own or ""}
    found = await store.resource(site, "payout", payout.number, settlements.Payout) if own is not None and others else None
    if found is None:
        return payout
    waiting: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    for index, line in enumerate(found.lines):
        for identity in line.ids if line.kind in _MOVEMENTS else ():
            waiting[1 if line.amount > 0 else -1, identity].append(index)
    taken: set[int] = set()
    sums: Counter[str] = Counter()
    for (kind, number), account in (await _booked_on(store, site, mapping.division, others, first, day)).items():
        money = await store.resource(site, "transaction", number, chargebee.Transaction)
        if money is None or money.gateway_account_id != payout.gateway_account:
            continue
        own_lines = [each for each in waiting[_WAYS[kind], money.id_at_gateway or ""] if each not in taken]
        if own_lines:
            taken.add(own_lines[0])
            sums[account] += found.lines[own_lines[0]].amount
    return replace(payout, elsewhere=tuple((account, amount) for account, amount in sorted(sums.items()) if amount))


class _Money(msgspec.Struct, frozen=True):
    """What is read of a transaction."""

    gateway_account_id: str | None = None


async def gateway_accounts(store: Store, site: str) -> AsyncIterator[str]:
    """Give the gateway account of each transaction that Chargebee showed of a site, a page at a time."""
    column, after, decoder = tables.resources.c, "", msgspec.json.Decoder(_Money)
    while True:
        mine = (column.site == site, column.kind == "transaction", column.id > after)
        query = sa.select(column.id, column.body).where(*mine).order_by(column.id).limit(PAGE)
        rows = (await store.connection.execute(query)).all()
        for row in rows:
            if (account := decoder.decode(row.body).gateway_account_id) is not None:
                yield account
        if len(rows) < PAGE:
            return
        after = rows[-1].id


async def _booked_on(
    store: Store, site: str, division: int, accounts: Collection[str], first: date, last: date
) -> dict[tuple[str, str], str]:
    """Return the payments and refunds of some days that stand on one of these accounts, by kind and number, with which one."""
    column = tables.documents.c
    rows = await store.connection.execute(
        sa.select(column.kind, column.number, column.command)
        .where(
            column.site == site,
            column.division == division,
            column.kind.in_(sorted(_WAYS)),
            column.state.in_(sorted(ISSUED)),
            column.entry_date.between(first, last),
        )
        .order_by(column.kind, column.number, column.suffix)
    )
    sums: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for kind, number, command in rows:
        for each in msgspec.json.decode(command, type=PostEntry).lines:
            if not each.is_receivable and each.gl_account in accounts:
                sums[kind, number][each.gl_account] += each.amount_minor
    # What was booked back stands there no longer.
    standing = {key: [account for account, amount_minor in booked.items() if amount_minor] for key, booked in sums.items()}
    return {key: found[0] for key, found in standing.items() if found}
