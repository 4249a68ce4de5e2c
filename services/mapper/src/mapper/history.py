"""All documents that the mapper keeps, one after another in flat memory, with what each hangs on read a page at a time."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from backbone.database import Database
from bookkeeping.bookings import Booking, booking_of
from bookkeeping.periods import Periods
from contracts import chargebee
from contracts.coupon_codes import CouponCode
from contracts.facts import DocumentHeld
from contracts.messages import unseal
from mapper import tables
from mapper.catalogue_check import Catalogue
from mapper.coupon_sets import KIND as COUPON_CODE
from mapper.lives import resource_id
from mapper.store import ISSUED, Key, Resource, Row, Store, row_of
from mapper.subjects import RESOURCE_OF
from mapper.translate import coupon_of

PAGE_DOCUMENTS = 500
CATALOGUE_RESOURCES = 20_000
_PRODUCTS = frozenset(("item", "item_price", "plan", "addon"))
_DISCOUNTED = frozenset(("invoice", "credit_note"))
_WITH_FIELDS = _PRODUCTS | _DISCOUNTED | {"customer", "subscription"}
_CATALOGUE = _PRODUCTS | {"subscription", COUPON_CODE}


class _Named(msgspec.Struct):
    """What a document's body says of others that deciding about it needs."""

    customer_id: str | None = None
    reference_invoice_id: str | None = None


class _Sold(msgspec.Struct):
    """What a product's body says of where it belongs."""

    item_family_id: str | None = None


class _Discounted(msgspec.Struct):
    """What a document's body says of its discounts."""

    line_item_discounts: list[chargebee.LineItemDiscount] = []


class _WithFields(msgspec.Struct):
    """The custom fields of a resource that have a value."""

    custom_field_texts: dict[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which documents are looked at; None means any. `limit_state` takes the documents with a booking in one of these states."""

    division: int | None = None
    site: str | None = None
    customer: str | None = None
    number: str | None = None
    states: frozenset[str] | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return what the bookings' rows must meet."""
        column = tables.documents.c
        wanted = (
            (column.division, self.division),
            (column.site, self.site),
            (column.customer_id, self.customer),
            (column.number, self.number),
        )
        found = [one == value for one, value in wanted if value is not None]
        return found if self.states is None else [*found, column.state.in_(sorted(self.states))]


async def last_told(store: Store, row: Row) -> DocumentHeld | None:
    """Return what was told last of a booking that is held, or None where nothing was."""
    stream = f"document/{row.key.site}/{row.key.kind}/{row.key.number}"
    found: DocumentHeld | None = None
    for recorded in await event_log.read_stream(store.connection, stream):
        if recorded.envelope.type == DocumentHeld.TYPE:
            message = unseal(recorded.envelope)
            if isinstance(message, DocumentHeld) and message.document.suffix == row.key.suffix:
                found = message
    return found if found is not None and found.code == row.code else None


@dataclass(frozen=True, slots=True)
class Kept:
    """One document's bookings in their order, as the mapper keeps them; `key` is its first."""

    key: Key
    rows: tuple[Row, ...]

    @property
    def last(self) -> Row | None:
        """What was issued last, or None."""
        return next((row for row in reversed(self.rows) if row.state in ISSUED), None)

    def pending(self) -> Row | None:
        """Return what is kept of the booking that would come next, None when nothing is."""
        last = self.last
        place = Booking(booking_of(self.key.suffix).life) if last is None else booking_of(last.key.suffix).following()
        return next((row for row in self.rows if row.key.suffix == place.suffix), None)


class PagedStore(Store):
    """The tables for reading only; resources that a page of documents names are read together and forgotten with it."""

    def __init__(self, database: Database, connection: AsyncConnection) -> None:
        super().__init__(database, connection)
        self._page: dict[tuple[str, str, str], tuple[bytes, int] | None] = {}
        self._catalogue: OrderedDict[tuple[str, str, str], Any] = OrderedDict()
        self._periods: dict[tuple[int, str], Periods] = {}

    async def resource_and_version(
        self, site: str, kind: str, identity: str | None, struct: type[Resource]
    ) -> tuple[Resource, int] | None:
        """Return a resource from the page or the catalogue that was read already, else from its table."""
        if not identity:
            return None
        place = (site, kind, identity)
        if kind in _CATALOGUE:
            if place not in self._catalogue:
                self._catalogue[place] = await super().resource_and_version(site, kind, identity, struct)
                if len(self._catalogue) > CATALOGUE_RESOURCES:
                    self._catalogue.popitem(last=False)
            known: tuple[Resource, int] | None = self._catalogue[place]
            return known
        if place not in self._page:
            return await super().resource_and_version(site, kind, identity, struct)
        found = self._page[place]
        return (self.decoder(struct).decode(found[0]), found[1]) if found is not None else None

    async def periods(self, division: int, journal: str) -> Periods:
        """Return the known periods of a journal, read once."""
        if (division, journal) not in self._periods:
            self._periods[division, journal] = await super().periods(division, journal)
        return self._periods[division, journal]

    async def page(self, documents: Iterable[Kept]) -> None:
        """Read the resources of these documents, their customers and the invoices they credit; forget those before."""
        self._page.clear()
        wanted: dict[tuple[str, str], set[str]] = {}
        for one in documents:
            wanted.setdefault((one.key.site, RESOURCE_OF[one.key.kind][0]), set()).add(resource_id(one.key))
        await self._fetch(wanted)
        named: dict[tuple[str, str], set[str]] = {}
        for (site, _, _), found in list(self._page.items()):
            body = msgspec.json.decode(found[0], type=_Named) if found is not None else _Named()
            for kind, identity in (("customer", body.customer_id), ("invoice", body.reference_invoice_id)):
                if identity and (site, kind, identity) not in self._page:
                    named.setdefault((site, kind), set()).add(identity)
        await self._fetch(named)

    async def families(self) -> dict[str, str]:
        """Return the product families that items were seen of; Chargebee sends no names of families with them."""
        table = tables.resources
        rows = await self.connection.execute(sa.select(table.c.body).where(table.c.kind == "item"))
        items = (msgspec.json.decode(row.body, type=chargebee.Item) for row in rows)
        return {item.item_family_id: item.item_family_id for item in items if item.item_family_id}

    async def catalogues(self, *, coupons: bool, fields: bool) -> dict[str, Catalogue]:
        """Return what each site has shown of its products, and where asked of its coupons, on documents, and custom fields."""
        found: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        async for row in self._bodies(_PRODUCTS):
            family = msgspec.json.decode(row.body, type=_Sold).item_family_id
            found[row.site]["item" if row.kind == "item" else "item_price"].add(row.id)
            found[row.site]["family"].update(filter(None, (family,)))
        async for row in self._bodies((COUPON_CODE,)):
            coupon_set = msgspec.json.decode(row.body, type=CouponCode).coupon_set_id
            found[row.site]["coupon_code"].add(row.id)
            found[row.site]["coupon_set"].update(filter(None, (coupon_set,)))
        async for row in self._bodies(_DISCOUNTED if coupons else ()):
            discounts = msgspec.json.decode(row.body, type=_Discounted).line_item_discounts
            found[row.site]["coupon"].update(filter(None, map(coupon_of, discounts)))
        async for row in self._bodies(_WITH_FIELDS if fields else ()):
            kind = "subscription_field" if row.kind == "subscription" else "field"
            found[row.site][kind].update(msgspec.json.decode(row.body, type=_WithFields).custom_field_texts)
        return {site: Catalogue(**{kind: frozenset(ids) for kind, ids in of_site.items()}) for site, of_site in found.items()}

    async def _bodies(self, kinds: Iterable[str]) -> AsyncIterator[sa.Row[Any]]:
        """Give site, kind, id and body of every resource of some kinds, read a page at a time."""
        columns = tables.resources.c
        order, after = (columns.site, columns.kind, columns.id), None  # as the table is indexed
        statement = sa.select(*order, columns.body).where(columns.kind.in_(sorted(kinds))).order_by(*order).limit(PAGE_DOCUMENTS)
        while True:
            after_it = statement if after is None else statement.where(sa.tuple_(*order) > sa.tuple_(*map(sa.literal, after)))
            rows = list(await self.connection.execute(after_it))
            for row in rows:
                yield row
            if len(rows) < PAGE_DOCUMENTS:
                return
            after = (rows[-1].site, rows[-1].kind, rows[-1].id)

    async def _fetch(self, wanted: dict[tuple[str, str], set[str]]) -> None:
        table = tables.resources
        for (site, kind), identities in wanted.items():
            self._page.update(dict.fromkeys((site, kind, identity) for identity in identities))
            rows = await self.connection.execute(
                sa.select(table.c.id, table.c.body, table.c.resource_version).where(
                    table.c.site == site, table.c.kind == kind, table.c.id.in_(sorted(identities))
                )
            )
            for row in rows:
                self._page[site, kind, row.id] = (row.body, row.resource_version)


async def count(store: Store, selection: Selection) -> int:
    """Return how many bookings a selection has: the progress of reading them all is counted in these."""
    statement = sa.select(sa.func.count()).select_from(tables.documents).where(*selection.conditions())
    return int(await store.connection.scalar(statement) or 0)


async def documents(store: PagedStore, selection: Selection) -> AsyncIterator[Kept]:
    """Give every document of a selection, by site, kind and number; what each needs has been read into the store's page."""
    column = tables.documents.c
    order = (column.site, column.kind, column.number)
    after: tuple[str, str, str] | None = None
    while True:
        numbers = sa.select(*order).where(*selection.conditions()).group_by(*order).order_by(*order).limit(PAGE_DOCUMENTS)
        if after is not None:
            numbers = numbers.where(sa.tuple_(*order) > sa.tuple_(*(sa.literal(value) for value in after)))
        places = [tuple(row) for row in await store.connection.execute(numbers)]
        if not places:
            return
        rows = [row async for row in _rows_of(store, places)]
        chosen = set(places)
        page = [one for one in _grouped(rows) if (one.key.site, one.key.kind, one.key.number) in chosen]
        await store.page(page)
        for one in page:
            yield one
        after = places[-1]


async def _rows_of(store: PagedStore, places: list[tuple[str, str, str]]) -> AsyncIterator[Row]:
    """Give the rows between the first and the last of these places, which are in order.

    One stretch of the key for each site and kind: where PostgreSQL compares whole rows it reads the index to its end.
    """
    column = tables.documents.c
    for (site, kind), group in groupby(places, key=lambda place: place[:2]):
        numbers = [number for _, _, number in group]
        stretch = (column.site == site, column.kind == kind, column.number.between(numbers[0], numbers[-1]))
        for row in await store.connection.execute(sa.select(*column).where(*stretch).order_by(column.number, column.suffix)):
            yield row_of(row)


def _grouped(rows: list[Row]) -> Iterable[Kept]:
    def identity(row: Row) -> tuple[str, str, str, int]:
        return (row.key.site, row.key.kind, row.key.number, booking_of(row.key.suffix).life)

    for (_, _, _, life), group in groupby(sorted(rows, key=identity), key=identity):
        ordered = tuple(sorted(group, key=lambda row: booking_of(row.key.suffix).step))
        yield Kept(replace(ordered[0].key, suffix=Booking(life).suffix), ordered)
