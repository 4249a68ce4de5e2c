"""Entries of Exact's that are not ours, and entries of ours that no booking knows: what stands there twice is among them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from contracts.ledger import LedgerLine, LedgerOwner
from mapper.reconcile_columns import Columns, Wish
from mapper.reconcile_scratch import Finding, Scratch
from mapper.reconcile_sources import Sources, customers_of

_AT_ONCE = 200


class Strangers:
    """Looks through the entries of the range in the journals that we book in."""

    def __init__(self, wish: Wish, journals: Sequence[str], sources: Sources, scratch: Scratch, columns: Columns) -> None:
        self._wish = wish
        self._journals = journals
        self._sources = sources
        self._scratch = scratch
        self._columns = columns

    async def run(self) -> None:
        """Note what stands in Exact twice, and what is not ours."""
        await self._unknown()
        await self._others()

    async def _unknown(self) -> None:
        """Look for entries of ours that the mapper knows nothing of: a document that was booked by two commands."""
        page: list[LedgerOwner] = []
        async for owner in self._sources.ledger.owners(self._wish.division, self._wish.first, self._wish.last):
            page.append(owner)
            if len(page) >= _AT_ONCE:
                await self._check_owners(page)
                page = []
        await self._check_owners(page)

    async def _check_owners(self, page: Sequence[LedgerOwner]) -> None:
        known = await self._sources.known_commands([each.command_id for each in page]) if page else set()
        for owner in page:
            if owner.command_id not in known:
                details = {"entry": owner.entry_number, "reference": owner.your_ref}
                finding = Finding(kind="doubled", name="entry_unknown", document="entry", number=owner.your_ref, details=details)
                self._scratch.note(finding)

    async def _others(self) -> None:
        page: list[list[LedgerLine]] = []
        lines = self._sources.ledger.strangers(self._wish.division, self._journals, self._wish.first, self._wish.last)
        async for entry in _entries(lines):
            page.append(entry)
            if len(page) >= _AT_ONCE:
                await self._judge_strangers(page)
                page = []
        await self._judge_strangers(page)

    async def _judge_strangers(self, page: Sequence[list[LedgerLine]]) -> None:
        customers = await customers_of(self._sources, self._wish.division, page)
        references = sorted({name for entry in page for name in _references(entry)})
        ours = await self._sources.ledger.booked_under(self._wish.division, references) if references else {}
        for entry in page:
            head = entry[0]
            owner = next((ours[name] for name in _references(entry) if name in ours), None)
            debt = self._columns.stranger(entry, customers)
            details: dict[str, Any] = {"entry": head.entry_number, "journal": head.journal, "day": head.day.isoformat()}
            number = owner.your_ref if owner is not None else head.your_ref or str(head.entry_number)
            if owner is not None:
                details |= {"ours": owner.entry_number, "reference": owner.your_ref}
            finding = Finding(
                kind="doubled" if owner is not None else "not_ours",
                name="entry_doubled" if owner is not None else "entry_not_ours",
                document="entry",
                number=number,
                currency=head.currency,
                amount_minor=debt,
                details=details,
            )
            self._scratch.note(finding)


async def _entries(lines: AsyncIterator[LedgerLine]) -> AsyncIterator[list[LedgerLine]]:
    """Put the lines of one entry and day together, which come one after another."""
    entry: list[LedgerLine] = []
    async for line in lines:
        if entry and (line.entry_id, line.day) != (entry[0].entry_id, entry[0].day):
            yield entry
            entry = []
        entry.append(line)
    if entry:
        yield entry


def _references(entry: Sequence[LedgerLine]) -> list[str]:
    """Return what an entry may carry of ours: its reference, or the first word of a line, where general entries have it."""
    words = [(line.description or "").split(" ", 1)[0] for line in entry]
    return [name for name in dict.fromkeys([*(line.your_ref or "" for line in entry), *words]) if name]
