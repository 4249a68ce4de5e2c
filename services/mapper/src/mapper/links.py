"""`kruispost links`: which documents somebody else booked in Exact, as a person says it, one by one or by a file.

It writes into the mapper's own log, as `retry` does; a running mapper and writer carry it on, and nothing is posted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

from backbone.clock import Clock
from bookkeeping.mapping import Mapping
from bookkeeping.money import format_minor
from bookkeeping.telling import tell
from contracts.commands import LinkedEntry
from contracts.ledger import LedgerLine
from mapper.linked import debt_lines, debtor_accounts, linked_in
from mapper.links_file import LinksFileError, WishedLink
from mapper.plan import Cause, Planner
from mapper.reconcile_judging import minor
from mapper.reconcile_sources import Sources
from mapper.store import ISSUED, Key, Row, Store
from mapper.subjects import Subject, Subjects

KINDS = ("invoice", "credit_note", "payment", "refund")
Outcome = Literal["linked", "known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A wish with the document and the entry that it is about."""

    wish: WishedLink
    subject: Subject
    entry: LinkedEntry
    outcome: Outcome


class Links:
    """Looks wishes up in both books and carries them out."""

    def __init__(self, sources: Sources, subjects: Subjects, planner: Planner, mapping: Mapping, clock: Clock) -> None:
        self._sources = sources
        self._subjects = subjects
        self._planner = planner
        self._mapping = mapping
        self._clock = clock

    async def find(self, file: Path, wishes: Sequence[WishedLink]) -> list[Found]:
        """Return what all wishes are about; raises LinksFileError, which names each that cannot be."""
        lines = await self._sources.ledger.numbered(self._mapping.division, sorted({each.entry for each in wishes}))
        entries: dict[int, dict[str, list[LedgerLine]]] = {}
        for line in lines:
            entries.setdefault(line.entry_number, {}).setdefault(line.entry_id, []).append(line)
        relations = sorted({line.relation_id for line in lines if line.relation_id is not None})
        customers = await self._sources.ledger.customers(self._mapping.division, relations) if relations else {}
        found: list[Found] = []
        wrong: list[str] = []
        async with self._sources.mapper.reading() as connection:
            store = Store(self._sources.mapper, connection)
            for wish in wishes:
                one = await self._one(store, wish, entries.get(wish.entry, {}), customers)
                if isinstance(one, Found):
                    found.append(one)
                else:
                    wrong.append(f"line {wish.line}: {one}" if wish.line else one)
        if wrong:
            raise LinksFileError(file, wrong)
        return found

    async def carry_out(self, found: Sequence[Found], who: str, why: str) -> None:
        """Link what is not linked yet; each in a transaction of its own, so that a file that was broken off is given again."""
        for each in found:
            if each.outcome == "linked":
                await self.decide(each.subject.key, each.entry, who, why)

    async def decide(self, key: Key, entry: LinkedEntry | None, who: str, why: str) -> Row | None:
        """Link a document to an entry, or let it be booked although something in Exact is like it; return its booking."""
        now = self._clock.now()
        if entry is not None:
            entry = msgspec.structs.replace(entry, who=who, why=why, said_on=now.date())
            remark = tell("linked_by", entry=entry.entry_number, journal=entry.journal, who=who, why=why)
        else:
            remark = tell("booked_all_the_same", who=who, why=why)
        cause = Cause(None, f"link {now.isoformat()} ", linked=entry, is_other=entry is None, remarks=(remark,))
        async with self._sources.mapper.transaction() as connection:
            store = Store(self._sources.mapper, connection)
            await store.share(alone=True)
            await self._planner.plan(store, key, cause, again=True)
            return await store.document(key)

    async def _one(
        self, store: Store, wish: WishedLink, entries: dict[str, list[LedgerLine]], customers: dict[str, list[str]]
    ) -> Found | str:
        subject = await self._document(store, wish)
        if isinstance(subject, str):
            return subject
        name, ref = f"{subject.key.kind.replace('_', ' ')} {wish.document}", subject.ref
        if subject.division not in (None, self._mapping.division):
            return f"{name} belongs to division {subject.division}, and not to {self._mapping.division}"
        if abs(_minor(wish.amount, ref.decimals)) != abs(ref.total_minor):
            return f"{name} is {ref.currency} {format_minor(ref.total_minor, ref.currency)} in Chargebee, and not {wish.amount}"
        of_journal = {key: lines for key, lines in entries.items() if not wish.journal or lines[0].journal == wish.journal}
        if not of_journal:
            journal = f" in journal {wish.journal}" if wish.journal else ""
            return f"{name}: Exact has no entry {wish.entry}{journal}, as its ledger was last read"
        if len(of_journal) > 1:
            journals = ", ".join(sorted(lines[0].journal for lines in of_journal.values()))
            return f"{name}: entry {wish.entry} stands in several journals ({journals}); name it in a column journal"
        lines = next(iter(of_journal.values()))
        entry = LinkedEntry(entry_id=lines[0].entry_id, entry_number=wish.entry, journal=lines[0].journal)
        differs = self._differs(subject, lines, customers) or self._other_customer(wish, subject)
        if differs is not None:
            return f"{name}: {differs}"
        row = await first_booking(store, subject.key)
        if row is None or row.state not in ISSUED:
            return Found(wish=wish, subject=subject, entry=entry, outcome="linked")
        linked = linked_in(row)
        if linked is not None and linked.entry_id == entry.entry_id:
            return Found(wish=wish, subject=subject, entry=entry, outcome="known")
        return _why_not(row, linked)

    async def _document(self, store: Store, wish: WishedLink) -> Subject | str:
        if wish.kind and wish.kind not in KINDS:
            return f"kind is {wish.kind}, and none of {', '.join(KINDS)}"
        kinds = [wish.kind] if wish.kind else KINDS
        sites = [wish.site] if wish.site else sorted(self._subjects.sites)
        keys = [Key(site, kind, wish.document) for site in sites for kind in kinds]
        # Whatever a transaction is asked as, it is kept as a payment or as a refund.
        kept = [key for key in keys if await first_booking(store, key) is not None]
        found = [each for each in [await self._subjects.load(store, key) for key in kept] if each is not None]
        if not found:
            return f"no document {wish.document} is known here; let `kruispost backfill` fetch it first"
        if len(found) > 1:
            names = ", ".join(f"{each.key.kind} of {each.key.site}" for each in found)
            return f"{wish.document} is {names}; name it in the columns kind and site"
        return found[0]

    def _differs(self, subject: Subject, lines: Sequence[LedgerLine], customers: dict[str, list[str]]) -> str | None:
        """Say what of an entry is not the document's."""
        ref, number = subject.ref, lines[0].entry_number
        debts = debt_lines(lines, debtor_accounts(self._mapping))
        total = sum(minor(line.fc_hundredths, line.currency) for line in debts)
        currency = debts[0].currency if debts else ref.currency
        if (total, currency) != (ref.total_minor, ref.currency):
            shown = f"{currency} {format_minor(total, currency)}"
            return (
                f"entry {number} has {shown} on debtors in Exact, and Chargebee has"
                f" {ref.currency} {format_minor(ref.total_minor, ref.currency)}"
            )
        whose = sorted({ref for line in debts for ref in customers.get(line.relation_id or "", [])})
        if whose and f"{ref.site}/{ref.customer_id}" not in whose:
            return f"entry {number} stands with customer {', '.join(whose)} in Exact, and Chargebee has {ref.customer_id}"
        return None

    def _other_customer(self, wish: WishedLink, subject: Subject) -> str | None:
        if wish.customer and wish.customer != subject.ref.customer_id:
            return f"it is of customer {subject.ref.customer_id} in Chargebee, and not of {wish.customer}"
        return None


async def first_booking(store: Store, key: Key) -> Row | None:
    """Return what is kept of a document's first booking, without locking it."""
    return next((row for row in await store.rows_of(key.site, key.kind, key.number) if row.key == key), None)


def _why_not(row: Row, linked: LinkedEntry | None) -> str:
    """Say why a document that was issued cannot be linked to another entry."""
    name = f"{row.key.kind.replace('_', ' ')} {row.key.number}"
    if row.state == "planned":
        return f"{name} is on its way to Exact; `kruispost trace {row.key.number}` says where it is"
    if linked is not None:
        return f"{name} is linked to entry {linked.entry_number} of journal {linked.journal} already"
    return f"{name} was booked by Kruispost; `kruispost trace {row.key.number}` names its entry"


def _minor(amount: Decimal, decimals: int) -> int:
    return int(amount.scaleb(decimals).to_integral_value())
