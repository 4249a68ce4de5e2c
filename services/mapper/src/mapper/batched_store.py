"""The mapper's tables for a replay: what a page of facts needs is read together, what it changes is written together.

Deciding about a fact asks for some ten rows, and a statement for each costs many times the deciding. Within a page each fact sees
what those before it did, from memory; what is not kept there is asked of the database once everything is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from backbone.database import Database
from backbone.errors import StreamConflictError
from bookkeeping.bookings import booking_of
from bookkeeping.periods import Periods
from contracts import chargebee
from contracts.envelope import Envelope, Message
from contracts.facts import Observed, PeriodObserved
from mapper import tables
from mapper.read_ahead import Wanted, wanted_by
from mapper.store import OPEN_STATES, Key, Refusal, Resource, Row, Store, row_of, values_of

NAMES_A_STATEMENT = 500
Place = tuple[str, str, str]  # site, kind and id of a resource, or number of a document


@dataclass(slots=True)
class _Kept:
    """A resource at its newest version: as bytes, as a struct, or both."""

    version: int
    deleted: bool
    body: bytes | None = None
    value: Any = None


@dataclass(slots=True)
class _Account:
    """A customer as it was last sent to a division."""

    fingerprint: str
    refusal: Refusal | None = None


class BatchedStore(Store):
    """A Store for the facts of one page. `flush` must be awaited before its transaction ends.

    Nobody else may write to these tables meanwhile: it locks no rows, and does not look twice at what others may have changed.
    """

    def __init__(self, database: Database, connection: AsyncConnection) -> None:
        super().__init__(database, connection)
        self._resources: dict[Place, _Kept | None] = {}
        self._bookings: dict[Place, dict[str, Row]] = {}
        self._accounts: dict[str, dict[int, _Account]] = {}
        self._versions: dict[str, int] = {}
        self._periods: dict[tuple[int, str], Periods] = {}
        self._by_command: dict[str, Key] = {}
        self._no_command: set[str] = set()
        # Keys by what they wait for, and by customer and state, as the database has them; and of what has changed since.
        self._lists: dict[tuple[str, ...], set[Key]] = {}
        self._changed_lists: defaultdict[tuple[str, ...], set[Key]] = defaultdict(set)
        self._changed_resources: set[Place] = set()
        self._changed_rows: dict[Key, Row] = {}
        self._changed_accounts: set[tuple[str, int]] = set()
        self._appended: list[tuple[str, int, Envelope]] = []

    # ------------------------------------------------------------------------------------------ reading ahead and writing

    async def read_ahead(self, messages: Iterable[Message]) -> None:
        """Read what some messages will ask for, as far as they say."""
        wanted = wanted_by(messages)
        for (site, kind), identities in wanted.resources.items():
            await self._read_resources(site, kind, identities)
        for (site, kind), identities in wanted.resources.items():
            if kind == "item_price":
                found = [await self.resource(site, kind, each, chargebee.ItemPrice) for each in sorted(identities)]
                await self._read_resources(site, "item", {each.item_id for each in found if each is not None and each.item_id})
        await self._read_bookings_of(wanted)
        for site, names in wanted.waited_for.items():
            await self._read_waiting(site, names)
        for site, customers in wanted.customers.items():
            await self._read_of_customers(site, customers)
        await self._read_accounts(wanted.account_refs)
        streams = [f"account/{ref}" for ref in wanted.account_refs]
        streams += [f"document/{site}/{kind}/{each}" for (site, kind), some in wanted.documents.items() for each in some]
        self._versions |= await event_log.stream_versions(self.connection, streams)

    async def flush(self) -> None:
        """Write everything that was changed, in the same transaction."""
        await self._upsert(tables.resources, [self._resource_values(place) for place in sorted(self._changed_resources)])
        await self._upsert(tables.documents, [values_of(row) for row in self._changed_rows.values()])
        await self._upsert(tables.accounts, [self._account_values(*place) for place in sorted(self._changed_accounts)])
        await event_log.append_at(self.connection, self._appended)
        if self._changed_rows:
            self._lists = {name: set(self._listed(name)) for name in self._lists}
        for changes in (self._changed_resources, self._changed_rows, self._changed_accounts, self._changed_lists, self._appended):
            changes.clear()

    async def _upsert(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        statement = self._database.insert(table)
        keys = list(table.primary_key)
        changed = {column.name: statement.excluded[column.name] for column in table.c if column not in keys}
        await self.connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)

    def _resource_values(self, place: Place) -> dict[str, Any]:
        kept = self._resources[place]
        if kept is None:
            raise ValueError(f"{place} was changed and is not there")
        body = kept.body if kept.body is not None else msgspec.json.encode(kept.value)
        values = {"resource_version": kept.version, "body": body, "deleted": kept.deleted}
        return {"site": place[0], "kind": place[1], "id": place[2], **values}

    def _account_values(self, customer_ref: str, division: int) -> dict[str, Any]:
        account = self._accounts[customer_ref][division]
        refusal = account.refusal
        values = {
            "refusal": refusal.message if refusal else None,
            "refusal_nl": refusal.message_nl if refusal else None,
            "refusal_code": refusal.code if refusal else None,
        }
        return {"division": division, "customer_ref": customer_ref, "fingerprint": account.fingerprint, **values}

    # ------------------------------------------------------------------------------------------ resources

    async def resource_and_version(
        self, site: str, kind: str, identity: str | None, struct: type[Resource]
    ) -> tuple[Resource, int] | None:
        """Return the newest known version of a resource and which one that is, or None."""
        kept = await self._kept((site, kind, identity)) if identity else None
        if kept is None:
            return None
        if type(kept.value) is not struct:
            body = kept.body if kept.body is not None else msgspec.json.encode(kept.value)
            kept.value, kept.body = self.decoder(struct).decode(body), body
        return kept.value, kept.version

    async def version_of(self, site: str, kind: str, identity: str) -> tuple[int, bool] | None:
        """Return the newest known version of a resource and whether that one is deleted, or None."""
        kept = await self._kept((site, kind, identity))
        return None if kept is None else (kept.version, kept.deleted)

    async def fold(
        self, kind: str, fact: Observed, identity: str, resource: chargebee.Wire, *, living_only: bool = False
    ) -> bool:
        """Keep a resource when it is newer than what is kept; say whether it was."""
        place = (fact.site, kind, identity)
        known = await self._kept(place)
        if known is not None and (known.version >= fact.resource_version or (living_only and known.deleted)):
            return False
        deleted = fact.deleted or bool(getattr(resource, "deleted", False))
        self._resources[place] = _Kept(fact.resource_version, deleted, value=resource)
        self._changed_resources.add(place)
        return True

    async def rename(self, site: str, kind: str, identity: str, new_identity: str) -> None:
        """Keep a resource under another id."""
        await self.flush()
        await super().rename(site, kind, identity, new_identity)
        for each in (identity, new_identity):
            self._resources.pop((site, kind, each), None)

    async def prices_of_item(self, site: str, item_id: str) -> list[str]:
        """Return the price points of an item."""
        await self.flush()
        return await super().prices_of_item(site, item_id)

    async def _kept(self, place: Place) -> _Kept | None:
        if place not in self._resources:
            await self._read_resources(place[0], place[1], {place[2]})
        return self._resources[place]

    async def _read_resources(self, site: str, kind: str, identities: Iterable[str]) -> None:
        column = tables.resources.c
        missing = {each for each in identities if (site, kind, each) not in self._resources}
        self._resources.update(dict.fromkeys((site, kind, each) for each in missing))
        for some in _pieces(missing):
            where = (column.site == site, column.kind == kind, column.id.in_(some))
            statement = sa.select(column.id, column.resource_version, column.deleted, column.body).where(*where)
            for identity, version, deleted, body in await self.connection.execute(statement):
                self._resources[site, kind, identity] = _Kept(version, bool(deleted), body)

    # ------------------------------------------------------------------------------------------ bookings

    async def document(self, key: Key) -> Row | None:
        """Return what is known of a booking."""
        return (await self._group((key.site, key.kind, key.number))).get(key.suffix)

    async def bookings(self, key: Key) -> list[Row]:
        """Return the bookings of the document that `key` is one of, in their order."""
        life = booking_of(key.suffix).life
        rows = (await self._group((key.site, key.kind, key.number))).values()
        places = [(booking_of(row.key.suffix), row) for row in rows]
        return [row for place, row in sorted(places, key=lambda each: each[0].step) if place.life == life]

    async def rows_of(self, site: str, kind: str, number: str) -> list[Row]:
        """Return the bookings of all documents that had a number."""
        return list((await self._group((site, kind, number))).values())

    async def document_of_command(self, command_id: str) -> Row | None:
        """Return the booking that issued a command."""
        key = self._by_command.get(command_id)
        if key is None and command_id not in self._no_command:
            found = await super().document_of_command(command_id)
            key = found.key if found is not None else None
        row = await self.document(key) if key is not None else None
        return row if row is not None and row.command_id == command_id else None

    async def save(self, row: Row) -> None:
        """Write what is known of a booking."""
        key = row.key
        group = await self._group((key.site, key.kind, key.number))
        before = self._changed_rows.get(key)
        for name in _lists_of(before) if before is not None else ():
            self._changed_lists[name].discard(key)
        for name in _lists_of(row):
            self._changed_lists[name].add(key)
        group[key.suffix] = self._changed_rows[key] = row
        if row.command_id is not None:
            self._by_command[row.command_id] = key

    async def waiting_for(self, site: str, waits_for: str) -> list[Key]:
        """Return the documents that wait for something, in a steady order."""
        if ("waiting", site, waits_for) not in self._lists:
            await self._read_waiting(site, {waits_for})
        return self._listed(("waiting", site, waits_for))

    async def of_customer(self, site: str, customer_id: str, state: str) -> list[Key]:
        """Return the documents of a customer that are in a state."""
        name = ("customer", site, customer_id, state)
        if name not in self._lists:
            self._lists[name] = set(await super().of_customer(site, customer_id, state))
        return self._listed(name)

    async def held_by(self, division: int | None, *codes: str) -> list[Key]:
        """Return the documents of a division, or of none yet, that are held for one reason."""
        await self.flush()
        return await super().held_by(division, *codes)

    async def held_under_other_mapping(self, division: int | None, version: str) -> list[Key]:
        """Return what is held, or changed after it was booked, under another mapping than `version`."""
        await self.flush()
        return await super().held_under_other_mapping(division, version)

    def _listed(self, name: tuple[str, ...]) -> list[Key]:
        """Return the keys of a list: those of the database that have not changed since, and those that belong to it now."""
        unchanged = (key for key in self._lists[name] if key not in self._changed_rows)
        keys = (*unchanged, *self._changed_lists.get(name, ()))
        return sorted(keys, key=lambda key: (key.site, key.kind, key.number, key.suffix))

    async def _group(self, place: Place) -> dict[str, Row]:
        if place not in self._bookings:
            await self._read_bookings(place[0], place[1], {place[2]})
        return self._bookings[place]

    async def _read_bookings_of(self, wanted: Wanted) -> None:
        column = tables.documents.c
        for some in _pieces(wanted.commands):
            self._no_command.update(some)
            identity = (column.site, column.kind, column.number, column.suffix)
            for command_id, *key in await self.connection.execute(
                sa.select(column.command_id, *identity).where(column.command_id.in_(some))
            ):
                self._by_command[command_id] = Key(*key)
                wanted.documents[key[0], key[1]].add(key[2])
        for (site, kind), numbers in wanted.documents.items():
            await self._read_bookings(site, kind, numbers)

    async def _read_bookings(self, site: str, kind: str, numbers: Iterable[str]) -> None:
        column = tables.documents.c
        missing = {each for each in numbers if (site, kind, each) not in self._bookings}
        self._bookings.update({(site, kind, each): {} for each in missing})
        for some in _pieces(missing):
            where = (column.site == site, column.kind == kind, column.number.in_(some))
            statement = sa.select(*column).where(*where)
            for values in await self.connection.execute(statement):
                row = row_of(values)
                self._bookings[site, kind, row.key.number][row.key.suffix] = row

    async def _read_waiting(self, site: str, names: Iterable[str]) -> None:
        column = tables.documents.c
        missing = {each for each in names if ("waiting", site, each) not in self._lists}
        self._lists.update({("waiting", site, each): set() for each in missing})
        for some in _pieces(missing):
            where = (column.site == site, column.waits_for.in_(some), column.state.in_(OPEN_STATES))
            statement = sa.select(column.waits_for, column.site, column.kind, column.number, column.suffix).where(*where)
            for waits_for, *key in await self.connection.execute(statement):
                self._lists["waiting", site, waits_for].add(Key(*key))

    async def _read_of_customers(self, site: str, customers: Iterable[str]) -> None:
        column, states = tables.documents.c, ("waiting", "held")
        names = [("customer", site, each, state) for each in customers for state in states]
        self._lists.update({name: set() for name in names})
        for some in _pieces(customers):
            where = (column.site == site, column.customer_id.in_(some), column.state.in_(states))
            identity = (column.site, column.kind, column.number, column.suffix)
            for customer_id, state, *key in await self.connection.execute(
                sa.select(column.customer_id, column.state, *identity).where(*where)
            ):
                self._lists["customer", site, customer_id, state].add(Key(*key))

    # ------------------------------------------------------------------------------------------ customers, log, periods

    async def account_fingerprint(self, division: int, customer_ref: str) -> str | None:
        """Return the fingerprint under which a customer was last sent to a division, or None."""
        account = (await self._accounts_of(customer_ref)).get(division)
        return account.fingerprint if account is not None else None

    async def save_account(self, division: int, customer_ref: str, fingerprint: str) -> None:
        """Remember under which fingerprint a customer was sent."""
        (await self._accounts_of(customer_ref))[division] = _Account(fingerprint)
        self._changed_accounts.add((customer_ref, division))

    async def set_refusal(self, division: int, customer_ref: str, refusal: Refusal | None) -> None:
        """Remember that Exact refused a customer and why, or that it took it."""
        account = (await self._accounts_of(customer_ref)).get(division)
        if account is not None and account.refusal != refusal:
            account.refusal = refusal
            self._changed_accounts.add((customer_ref, division))

    async def refusal(self, division: int, customer_ref: str) -> Refusal | None:
        """Return why Exact refused a customer as it was last sent, or None."""
        account = (await self._accounts_of(customer_ref)).get(division)
        return account.refusal if account is not None else None

    async def divisions_of(self, customer_ref: str) -> list[int]:
        """Return the divisions that know a customer."""
        return sorted(await self._accounts_of(customer_ref))

    async def customers_of(self, division: int, *, refused: bool) -> list[str]:
        """Return the customers that were sent to a division, as `site/id`; all, or those that Exact refused."""
        await self.flush()
        return await super().customers_of(division, refused=refused)

    async def _accounts_of(self, customer_ref: str) -> dict[int, _Account]:
        if customer_ref not in self._accounts:
            await self._read_accounts({customer_ref})
        return self._accounts[customer_ref]

    async def _read_accounts(self, customer_refs: Iterable[str]) -> None:
        missing = {each for each in customer_refs if each not in self._accounts}
        self._accounts.update({each: {} for each in missing})
        for some in _pieces(missing):
            statement = sa.select(*tables.accounts.c).where(tables.accounts.c.customer_ref.in_(some))
            for row in await self.connection.execute(statement):
                refusal = (
                    Refusal(row.refusal_code or "", row.refusal, row.refusal_nl or row.refusal)
                    if row.refusal is not None
                    else None
                )
                self._accounts[row.customer_ref][row.division] = _Account(row.fingerprint, refusal)

    async def stream_version(self, stream: str) -> int:
        """Return the version of the last message of a stream of the log; 0 when there is none."""
        if stream not in self._versions:
            self._versions[stream] = await super().stream_version(stream)
        return self._versions[stream]

    async def append(self, stream: str, expected_version: int, envelopes: Sequence[Envelope]) -> None:
        """Append to a stream of the log when everything is written. Raises StreamConflictError as `event_log.append` does."""
        if await self.stream_version(stream) != expected_version:
            raise StreamConflictError(stream, expected_version)
        for version, envelope in enumerate(envelopes, start=expected_version + 1):
            self._appended.append((stream, version, envelope))
        self._versions[stream] = expected_version + len(envelopes)

    async def fold_period(self, fact: PeriodObserved) -> bool:
        """Keep the state of a period; say whether it is another one than was known."""
        self._periods.pop((fact.division, fact.journal), None)
        return await super().fold_period(fact)

    async def periods(self, division: int, journal: str) -> Periods:
        """Return the known periods of a journal."""
        if (division, journal) not in self._periods:
            self._periods[division, journal] = await super().periods(division, journal)
        return self._periods[division, journal]


def _lists_of(row: Row) -> Iterator[tuple[str, ...]]:
    """Return the lists that a booking stands in."""
    if row.waits_for is not None and row.state in OPEN_STATES:
        yield ("waiting", row.key.site, row.waits_for)
    yield ("customer", row.key.site, row.customer_id, row.state)


def _pieces(names: Iterable[str]) -> Iterator[list[str]]:
    """Cut names into lists that one statement can take."""
    ordered = iter(sorted(names))
    while some := list(islice(ordered, NAMES_A_STATEMENT)):
        yield some
