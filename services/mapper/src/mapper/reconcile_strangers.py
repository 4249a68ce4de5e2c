"""Entries of Exact's that are not ours, and entries of ours that no booking knows: what stands there twice is among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from bookkeeping.journal import Entry
from bookkeeping.reconciliation import Kind, places
from contracts.ledger import EXCHANGE_DIFFERENCE, LedgerLine, LedgerOwner
from mapper.reconcile_columns import Columns, Wish
from mapper.reconcile_judging import bookings_of, found_of, minor
from mapper.reconcile_scratch import Finding, Scratch
from mapper.reconcile_sources import Sources, customers_of
from mapper.store import Row

_AT_ONCE = 200


class Strangers:
    """Looks through the entries of the range in the journals that we book in. `judge` judges what is ours and was not judged."""

    def __init__(
        self,
        wish: Wish,
        journals: Sequence[str],
        receivable_account: str,
        sources: Sources,
        scratch: Scratch,
        columns: Columns,
        judge: Callable[[Sequence[Row]], Awaitable[None]],
    ) -> None:
        self._wish = wish
        self._judge = judge
        self._journals = journals
        self._receivable_account = receivable_account
        self._sources = sources
        self._scratch = scratch
        self._columns = columns

    async def run(self) -> None:
        """Note what stands in Exact twice, and what is not ours."""
        await self._unknown()
        await self._others()

    async def _unknown(self) -> None:
        """Look for entries of ours that no booking knows (a document booked twice), and for those moved to these days."""
        page: list[LedgerOwner] = []
        async for owner in self._sources.ledger.owners(self._wish.division, self._wish.first, self._wish.last):
            page.append(owner)
            if len(page) >= _AT_ONCE:
                await self._check_owners(page)
                page = []
        await self._check_owners(page)

    async def _check_owners(self, page: Sequence[LedgerOwner]) -> None:
        known = await self._sources.rows_of_commands([each.command_id for each in page]) if page else {}
        await self._judge(list(known.values()))
        for owner in page:
            # An entry that took a change in Exact back is of no booking, and was judged with the one that it mends.
            if owner.command_id not in known and not self._scratch.is_marked("judged", owner.command_id):
                details = {"entry": owner.entry_number, "reference": owner.your_ref}
                finding = Finding(kind="doubled", name="entry_unknown", document="entry", number=owner.your_ref, details=details)
                self._scratch.note(finding)

    async def _others(self) -> None:
        page: list[list[LedgerLine]] = []
        lines = self._sources.ledger.strangers(self._wish.division, self._journals, self._wish.first, self._wish.last)
        async for entry in entries_of(lines):
            page.append(entry)
            if len(page) >= _AT_ONCE:
                await self._judge_strangers(page)
                page = []
        await self._judge_strangers(page)

    async def _judge_strangers(self, page: Sequence[list[LedgerLine]]) -> None:
        customers = await customers_of(self._sources, self._wish.division, page)
        references = sorted({name for entry in page for name in _references(entry)})
        ours = await self._sources.ledger.booked_under(self._wish.division, references) if references else {}
        rows = await self._sources.rows_of_commands([each.command_id for each in ours.values()]) if ours else {}
        booked = {each.command.command_id: each.entry for each in bookings_of(rows.values(), self._receivable_account).values()}
        for entry in page:
            head = entry[0]
            # Exact's own entry names the invoice that it matched, and changes nothing of its debt in its currency.
            is_exchange = all(line.type == EXCHANGE_DIFFERENCE for line in entry)
            owner = next((ours[name] for name in _references(entry) if name in ours and not is_exchange), None)
            if owner is not None and owner.entry_id == head.entry_id:
                owner = None  # it was linked, or taken for ours, while this was read: it is no second one
            debt = self._columns.stranger(entry, customers)
            kind: Kind = "not_ours"
            details: dict[str, Any] = {"entry": head.entry_number, "journal": head.journal, "day": head.day.isoformat()}
            if owner is not None:
                mine = booked.get(owner.command_id)
                kind = "doubled" if mine is not None and _is_same(entry, debt, mine) else "by_hand"
                details |= {"ours": owner.entry_number, "reference": owner.your_ref, "debt": debt}
                details["booked"] = mine.receivable_minor if mine is not None else 0
            finding = Finding(
                kind=kind,
                name="entry_exchange_difference" if is_exchange else f"entry_{kind}",
                document="entry",
                number=owner.your_ref if owner is not None else head.your_ref or str(head.entry_number),
                currency=head.currency,
                amount_minor=debt,
                details=details,
            )
            self._scratch.note(finding)


async def entries_of(lines: AsyncIterator[LedgerLine]) -> AsyncIterator[list[LedgerLine]]:
    """Put the lines of one entry and day together, which come one after another."""
    entry: list[LedgerLine] = []
    async for line in lines:
        if entry and (line.entry_id, line.day) != (entry[0].entry_id, entry[0].day):
            yield entry
            entry = []
        entry.append(line)
    if entry:
        yield entry


def _is_same(entry: Sequence[LedgerLine], debt_minor: int, ours: Entry) -> bool:
    """Tell whether an entry says the same a second time: the same debt, or the same of every account."""
    if entry[0].currency != ours.currency:
        return False
    if debt_minor:
        return debt_minor == ours.receivable_minor
    sums = Counter[str]()
    for line in entry:
        if not line.is_deferral:
            sums[found_of(line).place] += minor(line.fc_hundredths, line.currency)
    return sums == places(ours)


def _references(entry: Sequence[LedgerLine]) -> list[str]:
    """Return what an entry may carry of ours: its reference, or the first word of a line, where general entries have it."""
    words = [(line.description or "").split(" ", 1)[0] for line in entry]
    return [name for name in dict.fromkeys([*(line.your_ref or "" for line in entry), *words]) if name]
