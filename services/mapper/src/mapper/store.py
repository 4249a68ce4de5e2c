"""Reading and writing the mapper's tables, always on the connection of the message's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from backbone.database import Database
from backbone.locks import advisory_key
from bookkeeping.bookings import booking_of
from bookkeeping.documents import Product
from bookkeeping.periods import Period, Periods
from contracts import chargebee
from contracts.envelope import Envelope
from contracts.facts import Observed, PeriodObserved
from mapper import tables
from mapper.entry_days import entry_day
from mapper.products import product_of

Resource = TypeVar("Resource", bound=chargebee.Wire)
SHARED_DATA = advisory_key("kruispost/mapper/shared-data")
ISSUED = frozenset(("planned", "booked"))
OPEN_STATES = ("held", "waiting", "refused")

_decoders: dict[type[chargebee.Wire], msgspec.json.Decoder[Any]] = {}


@dataclass(frozen=True, slots=True)
class Key:
    """Which booking of which document; `bookkeeping.bookings` says what the suffixes are."""

    site: str
    kind: str
    number: str
    suffix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is known of a booking."""

    key: Key
    customer_id: str
    division: int | None
    state: str
    code: str | None = None
    waits_for: str | None = None
    fingerprint: str | None = None
    attempt: int = 0
    command_id: str | None = None
    command: bytes | None = None
    mapping_version: str | None = None
    resource_version: int = 0
    told: str | None = None
    waiting_since: date | None = None
    exchange_rate: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a customer is not in Exact: the writer's code and its words."""

    code: str
    message: str
    message_nl: str


_document_columns = tuple(tables.documents.c)
_row_members = tuple(column.name for column in _document_columns[4:-1])  # between the key and the day of the entry


def row_of(values: Any) -> Row:
    """Return what a row of the documents' table says."""
    site, kind, number, suffix, *rest, _ = values
    return Row(key=Key(site, kind, number, suffix), **dict(zip(_row_members, rest, strict=True)))


def values_of(row: Row) -> dict[str, Any]:
    """Return a booking as the documents' table has it, by column."""
    identity = {column.name: getattr(row.key, column.name) for column in _document_columns[:4]}
    return {**identity, **{name: getattr(row, name) for name in _row_members}, "entry_date": entry_day(row.command)}


class StandstillNeeded(Exception):  # noqa: N818 - it asks for something, and nothing is wrong
    """What is being decided needs every other message to stand still; the transaction is to be rolled back."""


class Store:
    """The tables, through one transaction."""

    def __init__(self, database: Database, connection: AsyncConnection) -> None:
        self._database = database
        self.connection = connection
        self._handles = self._alone = False

    async def share(self, *, alone: bool) -> None:
        """Wait until what many documents hang on (products, periods) stands still; `alone` for changing it. Until the commit.

        Else a document that is put on hold for a product, and the product that arrives at that moment in another partition,
        would not see each other, and the document would wait for ever. SQLite has one writer at a time anyway.
        """
        self._handles, self._alone = True, alone
        if self.connection.dialect.name == "postgresql":
            lock = sa.func.pg_advisory_xact_lock if alone else sa.func.pg_advisory_xact_lock_shared
            await self.connection.execute(sa.select(lock(SHARED_DATA)))

    def stand_still(self) -> None:
        """Go on only where no other message is handled until the commit; raises StandstillNeeded where others are.

        For a document that is about to wait for another customer's, whose partition may have it at this moment. It is handled
        again, alone from the start: two that shared the lock, and then each wanted it alone, would wait for each other. Where
        nothing is handled, it does nothing.
        """
        if self._handles and not self._alone and self.connection.dialect.name == "postgresql":
            raise StandstillNeeded

    async def fold(
        self, kind: str, fact: Observed, identity: str, resource: chargebee.Wire, *, living_only: bool = False
    ) -> bool:
        """Keep a resource when it is newer than what is kept; say whether it was. Arrival order decides nothing.

        With `living_only` a resource that was deleted stays as it is.
        """
        table = tables.resources
        values = {
            "site": fact.site,
            "kind": kind,
            "id": identity,
            "resource_version": fact.resource_version,
            "body": msgspec.json.encode(resource),
            "deleted": fact.deleted or bool(getattr(resource, "deleted", False)),
        }
        statement = self._database.insert(table).values(values)
        changed = {name: values[name] for name in ("resource_version", "body", "deleted")}
        newer = table.c.resource_version < fact.resource_version
        result = await self.connection.execute(
            statement.on_conflict_do_update(
                index_elements=[table.c.site, table.c.kind, table.c.id],
                set_=changed,
                where=sa.and_(newer, sa.not_(table.c.deleted)) if living_only else newer,
            )
        )
        return bool(result.rowcount == 1)

    async def resource(self, site: str, kind: str, identity: str | None, struct: type[Resource]) -> Resource | None:
        """Return the newest known version of a resource, or None."""
        found = await self.resource_and_version(site, kind, identity, struct)
        return found[0] if found is not None else None

    async def resource_and_version(
        self, site: str, kind: str, identity: str | None, struct: type[Resource]
    ) -> tuple[Resource, int] | None:
        """Return the newest known version of a resource and which one that is, or None."""
        if not identity:
            return None
        table = tables.resources
        where = (table.c.site == site, table.c.kind == kind, table.c.id == identity)
        row = (await self.connection.execute(sa.select(table.c.body, table.c.resource_version).where(*where))).one_or_none()
        if row is None:
            return None
        return self.decoder(struct).decode(row.body), row.resource_version

    @staticmethod
    def decoder(struct: type[Resource]) -> msgspec.json.Decoder[Resource]:
        """Return the decoder of a kind of resource, made once."""
        if struct not in _decoders:
            _decoders[struct] = msgspec.json.Decoder(struct)
        return _decoders[struct]

    async def version_of(self, site: str, kind: str, identity: str) -> tuple[int, bool] | None:
        """Return the newest known version of a resource and whether that one is deleted, or None."""
        table = tables.resources
        where = (table.c.site == site, table.c.kind == kind, table.c.id == identity)
        found = await self.connection.execute(sa.select(table.c.resource_version, table.c.deleted).where(*where))
        return None if (row := found.one_or_none()) is None else (row.resource_version, bool(row.deleted))

    async def rename(self, site: str, kind: str, identity: str, new_identity: str) -> None:
        """Keep a resource under another id."""
        table = tables.resources
        where = (table.c.site == site, table.c.kind == kind, table.c.id == identity)
        await self.connection.execute(sa.update(table).where(*where).values(id=new_identity))

    async def products(self, site: str, identities: set[str]) -> dict[str, Product]:
        """Return what is known of the products that lines name: price points, or plans and addons of the older catalogue."""
        found: dict[str, Product] = {}
        for identity in sorted(identities):
            price = await self.resource(site, "item_price", identity, chargebee.ItemPrice)
            if price is None:
                older = await self._older_product(site, identity)
                if older is not None:
                    found[identity] = product_of(older, None)
                continue
            item = await self.resource(site, "item", price.item_id, chargebee.Item)
            if item is None and price.item_id is not None and price.item_family_id is None:
                continue  # the family stands on the item, which is still under way
            found[identity] = product_of(price, item)
        return found

    async def subscription_fields(self, site: str, identities: set[str]) -> dict[str, dict[str, str]]:
        """Return the custom fields of the subscriptions that were seen."""
        found = {each: await self.resource(site, "subscription", each, chargebee.Subscription) for each in sorted(identities)}
        return {identity: seen.custom_field_texts for identity, seen in found.items() if seen is not None}

    async def _older_product(self, site: str, identity: str) -> chargebee.CatalogProduct | None:
        """Return a plan or an addon of the older catalogue."""
        plan = await self.resource(site, "plan", identity, chargebee.CatalogProduct)
        return plan or await self.resource(site, "addon", identity, chargebee.CatalogProduct)

    async def prices_of_item(self, site: str, item_id: str) -> list[str]:
        """Return the price points of an item."""
        table = tables.resources
        rows = await self.connection.execute(sa.select(table.c.body).where(table.c.site == site, table.c.kind == "item_price"))
        prices = (msgspec.json.decode(row.body, type=chargebee.ItemPrice) for row in rows)
        return [price.id for price in prices if price.item_id == item_id]

    async def document(self, key: Key) -> Row | None:
        """Return what is known of a booking; on PostgreSQL its row is locked, since two partitions may meet in it."""
        table = tables.documents
        columns = zip(
            (table.c.site, table.c.kind, table.c.number, table.c.suffix),
            (key.site, key.kind, key.number, key.suffix),
            strict=True,
        )
        statement = sa.select(*_document_columns).where(*(column == value for column, value in columns)).with_for_update()
        values = (await self.connection.execute(statement)).one_or_none()
        return row_of(values) if values is not None else None

    async def bookings(self, key: Key) -> list[Row]:
        """Return the bookings of the document that `key` is one of, in their order; on PostgreSQL their rows are locked."""
        table, life = tables.documents, booking_of(key.suffix).life
        where = (table.c.site == key.site, table.c.kind == key.kind, table.c.number == key.number)
        rows = [
            row_of(row) for row in await self.connection.execute(sa.select(*_document_columns).where(*where).with_for_update())
        ]
        places = [(booking_of(row.key.suffix), row) for row in rows]
        return [row for place, row in sorted(places, key=lambda each: each[0].step) if place.life == life]

    async def rows_of(self, site: str, kind: str, number: str) -> list[Row]:
        """Return the bookings of all documents that had a number; locks nothing."""
        column = tables.documents.c
        where = (column.site == site, column.kind == kind, column.number == number)
        return [row_of(row) for row in await self.connection.execute(sa.select(*column).where(*where))]

    async def stream_version(self, stream: str) -> int:
        """Return the version of the last message of a stream of the log; 0 when there is none."""
        return await event_log.stream_version(self.connection, stream)

    async def append(self, stream: str, expected_version: int, envelopes: Sequence[Envelope]) -> None:
        """Append to a stream of the log, as `event_log.append` does."""
        await event_log.append(self.connection, stream, expected_version, envelopes)

    async def document_of_command(self, command_id: str) -> Row | None:
        """Return the booking that issued a command."""
        statement = sa.select(*_document_columns).where(tables.documents.c.command_id == command_id).with_for_update()
        values = (await self.connection.execute(statement)).one_or_none()
        return row_of(values) if values is not None else None

    async def save(self, row: Row) -> None:
        """Write what is known of a booking."""
        table = tables.documents
        values = values_of(row)
        changed = {name: value for name, value in values.items() if name not in table.primary_key.columns}
        statement = self._database.insert(table).values(values)
        await self.connection.execute(statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed))

    async def waiting_for(self, site: str, waits_for: str) -> list[Key]:
        """Return the documents that wait for something, in a steady order."""
        table = tables.documents
        return await self._keys(table.c.site == site, table.c.waits_for == waits_for, table.c.state.in_(OPEN_STATES))

    async def of_customer(self, site: str, customer_id: str, state: str) -> list[Key]:
        """Return the documents of a customer that are in a state."""
        table = tables.documents
        return await self._keys(table.c.site == site, table.c.customer_id == customer_id, table.c.state == state)

    async def held_by(self, division: int | None, *codes: str) -> list[Key]:
        """Return the documents of a division, or of none yet, that are held for one of these reasons."""
        table = tables.documents
        return await self._keys(table.c.code.in_(codes), table.c.division == division, table.c.state.in_(OPEN_STATES))

    async def held_under_other_mapping(self, division: int | None, version: str) -> list[Key]:
        """Return what is held, or changed after it was booked, under another mapping than `version`.

        What belongs to no division has no version: where it goes may be known by now.
        """
        table = tables.documents
        held = sa.or_(table.c.state.in_(OPEN_STATES), sa.and_(table.c.state.in_(ISSUED), table.c.told.is_not(None)))
        if division is None:
            return await self._keys(table.c.division.is_(None), held)
        return await self._keys(table.c.division == division, held, sa.func.coalesce(table.c.mapping_version, "") != version)

    async def _keys(self, *where: sa.ColumnElement[bool]) -> list[Key]:
        table = tables.documents
        columns = (table.c.site, table.c.kind, table.c.number, table.c.suffix)
        rows = await self.connection.execute(sa.select(*columns).where(*where).order_by(*columns))
        return [Key(*row) for row in rows]

    async def account_fingerprint(self, division: int, customer_ref: str) -> str | None:
        """Return the fingerprint under which a customer was last sent to a division, or None."""
        table = tables.accounts
        where = (table.c.division == division, table.c.customer_ref == customer_ref)
        return await self.connection.scalar(sa.select(table.c.fingerprint).where(*where))

    async def save_account(self, division: int, customer_ref: str, fingerprint: str) -> None:
        """Remember under which fingerprint a customer was sent."""
        values = {"division": division, "customer_ref": customer_ref, "fingerprint": fingerprint}
        statement = self._database.insert(tables.accounts).values(values)
        changed = {"fingerprint": fingerprint, "refusal": None, "refusal_nl": None, "refusal_code": None}
        await self.connection.execute(statement.on_conflict_do_update(index_elements=["division", "customer_ref"], set_=changed))

    async def set_refusal(self, division: int, customer_ref: str, refusal: Refusal | None) -> None:
        """Remember that Exact refused a customer and why, or that it took it."""
        table = tables.accounts
        where = (table.c.division == division, table.c.customer_ref == customer_ref)
        values = {
            "refusal": refusal.message if refusal else None,
            "refusal_nl": refusal.message_nl if refusal else None,
            "refusal_code": refusal.code if refusal else None,
        }
        await self.connection.execute(sa.update(table).where(*where).values(values))

    async def refusal(self, division: int, customer_ref: str) -> Refusal | None:
        """Return why Exact refused a customer as it was last sent, or None."""
        table = tables.accounts
        statement = sa.select(table.c.refusal_code, table.c.refusal, table.c.refusal_nl).where(
            table.c.division == division, table.c.customer_ref == customer_ref, table.c.refusal.is_not(None)
        )
        row = (await self.connection.execute(statement)).one_or_none()
        return Refusal(row.refusal_code or "", row.refusal, row.refusal_nl or row.refusal) if row is not None else None

    async def customers_of(self, division: int, *, refused: bool) -> list[str]:
        """Return the customers that were sent to a division, as `site/id`; all, or those that Exact refused."""
        table = tables.accounts
        statement = sa.select(table.c.customer_ref).where(table.c.division == division)
        if refused:
            statement = statement.where(table.c.refusal.is_not(None))
        return [row.customer_ref for row in await self.connection.execute(statement.order_by(table.c.customer_ref))]

    async def divisions_of(self, customer_ref: str) -> list[int]:
        """Return the divisions that know a customer."""
        table = tables.accounts
        statement = sa.select(table.c.division).where(table.c.customer_ref == customer_ref)
        return [row.division for row in await self.connection.execute(statement.order_by(table.c.division))]

    async def note_merge(self, site: str, customer_id: str, survivor_id: str) -> bool:
        """Remember into which customer another one was merged; say whether that is news."""
        table = tables.merged_customers
        known = await self.connection.scalar(
            sa.select(table.c.survivor_id).where(table.c.site == site, table.c.customer_id == customer_id)
        )
        if known == survivor_id:
            return False
        insert = self._database.insert(table).values(site=site, customer_id=customer_id, survivor_id=survivor_id)
        changed = {"survivor_id": survivor_id}
        await self.connection.execute(insert.on_conflict_do_update(index_elements=["site", "customer_id"], set_=changed))
        return True

    async def survivor(self, site: str, customer_id: str) -> str | None:
        """Return the customer that another one was merged into, in the end; None when none is known."""
        table = tables.merged_customers
        found, seen = customer_id, {customer_id}
        while True:
            following = await self.connection.scalar(
                sa.select(table.c.survivor_id).where(table.c.site == site, table.c.customer_id == found)
            )
            if following is None or following in seen:
                return found if found != customer_id else None
            seen.add(following)
            found = following

    async def fold_period(self, fact: PeriodObserved) -> bool:
        """Keep the state of a period; say whether it is another one than was known."""
        table = tables.periods
        identity = {"division": fact.division, "journal": fact.journal, "year": fact.year, "period": fact.period}
        changed = {"starts": fact.starts, "ends": fact.ends, "is_open": fact.is_open, "known_until": fact.known_until}
        where = [table.c[name] == value for name, value in identity.items()]
        statement = sa.select(table.c.starts, table.c.ends, table.c.is_open).where(*where)
        known = (await self.connection.execute(statement)).one_or_none()
        if known is not None and (known.starts, known.ends, bool(known.is_open)) == (fact.starts, fact.ends, fact.is_open):
            return False  # that the list grew is told by its new periods
        upsert = self._database.insert(table).values({**identity, **changed})
        await self.connection.execute(upsert.on_conflict_do_update(index_elements=list(identity), set_=changed))
        return True

    async def periods(self, division: int, journal: str) -> Periods:
        """Return the known periods of a journal."""
        table = tables.periods
        statement = sa.select(table.c.year, table.c.period, table.c.starts, table.c.ends, table.c.is_open, table.c.known_until)
        rows = (await self.connection.execute(statement.where(table.c.division == division, table.c.journal == journal))).all()
        known = (
            Period(year=row.year, number=row.period, starts=row.starts, ends=row.ends, is_open=bool(row.is_open)) for row in rows
        )
        return Periods(known, known_until=max((row.known_until for row in rows if row.known_until is not None), default=None))
