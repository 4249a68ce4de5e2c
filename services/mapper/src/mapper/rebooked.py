"""The tables as they are once some invoices are booked anew: what their credit notes are then to be booked as."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from bookkeeping.bookings import booking_of
from bookkeeping.journal import Entry
from contracts import chargebee
from mapper.decision import decide
from mapper.history import PagedStore
from mapper.issue import post_entry
from mapper.lives import resource_id
from mapper.store import Row
from mapper.subjects import Subjects, booking_ref


class RebookedStore(PagedStore):
    """Shows the invoices that are noted as booked already by today's rules; it only reads. `credited` are their notes."""

    def __init__(self, database: Database, connection: AsyncConnection) -> None:
        super().__init__(database, connection)
        self.credited: dict[tuple[str, str], None] = {}
        self._anew: dict[tuple[str, str, str], Row] = {}

    async def book_anew(self, subjects: Subjects, last: Row, today: date) -> None:
        """Note how an invoice is to be booked anew, if there are credit notes of it, which are booked beside that."""
        key = last.key
        if key.kind != "invoice":
            return
        invoice = await self.resource(key.site, "invoice", resource_id(key), chargebee.Invoice)
        listed = (*invoice.issued_credit_notes, *invoice.adjustment_credit_notes) if invoice is not None else ()
        subject = await subjects.load(self, key) if listed else None
        made = await decide(self, subject, None, today, is_first=False) if subject is not None else None
        if subject is None or subject.mapping is None or not isinstance(made, Entry):
            return
        suffix = booking_of(key.suffix).following().following().suffix
        command = post_entry(made, booking_ref(subject, suffix), subject.mapping, 0)
        row = replace(last, key=replace(key, suffix=suffix), command=msgspec.json.encode(command))
        self._anew[key.site, key.kind, key.number] = row
        self.credited |= dict.fromkeys((key.site, each.cn_id) for each in listed if each.cn_id)

    async def rows_of(self, site: str, kind: str, number: str) -> list[Row]:
        """Return the bookings of all documents that had a number, with the one that is to come."""
        rows, anew = await super().rows_of(site, kind, number), self._anew.get((site, kind, number))
        return rows if anew is None else [*rows, anew]
