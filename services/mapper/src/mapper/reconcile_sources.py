"""What a reconciliation reads: ingest's log, the mapper's tables, Exact's ledger and what was said of the commands."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol, cast

import sqlalchemy as sa

from backbone import event_log
from backbone.command_database import UnreadableError, check_installed
from backbone.database import Database, schema_of
from backbone.settings import Settings
from backbone.tables import inbox
from contracts import chargebee, facts
from contracts.envelope import Envelope
from contracts.facts import EntryPosted
from contracts.ledger import LedgerLine, LedgerOwner, LedgerState, LedgerYear
from contracts.messages import unseal
from mapper import tables
from mapper.reading import SERVICE
from mapper.store import Row, row_of
from mapper.subjects import Resource, kind_of

LEDGERS = "kruispost.ledger"  # entry points: an async context of settings that gives a Ledger
DOCUMENTS = "kruispost.dated_documents"  # entry points: which documents ingest has, by day and by number
PAGE = 500
A_DAY = timedelta(days=1)


class Ledger(Protocol):
    """Exact's ledger, as the service keeps it that reads it. Amounts are hundredths, days those of the lines."""

    async def refresh(self, division: int, patience_seconds: float) -> LedgerState:
        """Have it read up to now; raises an exception whose message says why not."""

    async def state(self, division: int) -> LedgerState:
        """Tell how far it was read."""

    async def posted(self, command_ids: Sequence[str]) -> list[tuple[EntryPosted, float]]:
        """Return what was said of commands that were booked, and when (unix seconds, by the clock of `LedgerState.read_at`)."""

    async def refused(self, command_ids: Sequence[str]) -> set[str]:
        """Return those of these commands of which the last word is that Exact, or the writer, refused them."""

    async def of_entries(self, division: int, entry_ids: Sequence[str]) -> list[LedgerLine]:
        """Return the lines of entries."""

    async def numbered(self, division: int, entry_numbers: Sequence[int]) -> list[LedgerLine]:
        """Return the lines of entries by their numbers, which several journals may share."""

    def strangers(self, division: int, journals: Sequence[str], first: date, last: date) -> AsyncIterator[LedgerLine]:
        """Give the lines of entries that no command of ours made, an entry's of one day together."""

    async def strangers_on(self, division: int, accounts: Sequence[str], last: date) -> list[LedgerLine]:
        """Return the lines on these ledger accounts, up to a day, of entries that no command of ours made."""

    def owners(self, division: int, first: date, last: date) -> AsyncIterator[LedgerOwner]:
        """Give the commands that made the entries of these days."""

    async def booked_under(self, division: int, references: Sequence[str]) -> dict[str, LedgerOwner]:
        """Return what was booked by commands under references."""

    async def doubt(self, division: int, until: float) -> int:
        """Let every entry that waits or comes up to an instant be looked for in Exact first; return how many wait."""

    async def take_back(self, envelopes: Sequence[Envelope], now: float) -> int:
        """Take commands of a journal that was lost; return how many it did not have."""

    async def year(self, division: int, year: int) -> LedgerYear:
        """Return what the lines of a financial year come to, and what they name."""

    def lines_of_year(self, division: int, year: int) -> AsyncIterator[LedgerLine]:
        """Give the lines of a financial year by journal, entry, period and line."""

    async def customers(self, division: int, relation_ids: Sequence[str]) -> dict[str, list[str]]:
        """Return the customers (`site/id`) of Exact's accounts."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A document as Chargebee last showed it, the id of the message that said so, and when that was recorded."""

    fact: facts.Observed
    message_id: str
    at: datetime

    @property
    def resource(self) -> Resource:
        """The document itself."""
        return cast("Resource", getattr(self.fact, "resource"))  # noqa: B009 - each kind of fact has one of its own type

    @property
    def kind(self) -> str:
        """Which kind of document it is."""
        if isinstance(self.resource, chargebee.Transaction):
            return kind_of(self.resource)
        return "credit_note" if isinstance(self.resource, chargebee.CreditNote) else "invoice"

    @property
    def number(self) -> str:
        """The number by which people know it."""
        return self.resource.number if isinstance(self.resource, chargebee.CreditNote) else self.resource.id


@dataclass(frozen=True, slots=True)
class Unread:
    """An event (`acme/event/ev_1`) that nobody was told of, when it came, and what it says of documents that is news."""

    event: str
    at: datetime
    shown: list[Shown]
    is_readable: bool


class Sources:
    """The mapper's tables, ingest's log, and the ledger; for reading only."""

    def __init__(self, mapper: Database, ingest: Database | None, ledger: Ledger) -> None:
        self.mapper = mapper
        self._ingest = ingest
        self.ledger = ledger

    def check_ingest(self) -> None:
        """Raise UnreadableError where ingest's database is missing: nothing of Chargebee's could be compared."""
        if self._ingest is None:
            raise UnreadableError(
                "There is no database of ingest here, so that nothing of Chargebee can be compared; put it back into "
                "KRUISPOST_DATA_DIR, or restore its backup."
            )

    async def shown(self, first: date, last: date) -> AsyncIterator[list[Shown]]:
        """Give every document of Chargebee of these days at its newest version, a page after another.

        Those of the day before and the day after are among them, since days begin elsewhere in other time zones.
        """
        midnight = datetime.min.time()
        from_second, before = (int(datetime.combine(day, midnight, UTC).timestamp()) for day in (first - A_DAY, last + 2 * A_DAY))
        async for streams in _documents("dated")(self._ingest, from_second, before):
            yield await self.shown_of(streams)

    async def shown_of(self, streams: Sequence[str]) -> list[Shown]:
        """Return what Chargebee showed last in streams (`acme/invoice/INV-1`) that have anything."""
        if self._ingest is None or not streams:
            return []
        async with self._ingest.reading() as connection:
            page = await event_log.read_last_of(connection, streams)
        return _shown(recorded.envelope for recorded in page)

    async def unread(self) -> AsyncIterator[list[Unread]]:
        """Give the events that came from Chargebee and that ingest has told nobody of yet, a page after another."""
        async for page in _documents("untranslated")(self._ingest):
            yield [Unread(event, at, _shown(envelopes), readable) for event, at, envelopes, readable in page]

    def numbered(self, site: str, kind: str, prefix: str) -> AsyncIterator[list[str]]:
        """Give the ids of Chargebee's documents of one kind that begin with a text, a page after another."""
        found: AsyncIterator[list[str]] = _documents("beginning_with")(self._ingest, site, kind, prefix)
        return found

    async def rows(self, site: str, kinds: Iterable[str], numbers: Sequence[str]) -> list[Row]:
        """Return the bookings of documents."""
        column = tables.documents.c
        where = (column.site == site, column.kind.in_(sorted(kinds)), column.number.in_(numbers))
        async with self.mapper.reading() as connection:
            return [row_of(row) for row in await connection.execute(sa.select(*column).where(*where))]

    async def rows_of_days(self, division: int, first: date, last: date) -> AsyncIterator[list[Row]]:
        """Give the bookings whose entries are of these days, a page after another."""
        column = tables.documents.c
        order = (column.entry_date, column.site, column.kind, column.number, column.suffix)
        after: tuple[Any, ...] | None = None
        while True:
            where = (column.division == division, column.entry_date >= first, column.entry_date <= last)
            statement = sa.select(*column).where(*where).order_by(*order).limit(PAGE)
            if after is not None:
                bound = (sa.literal(value, one.type) for value, one in zip(after, order, strict=True))
                statement = statement.where(sa.tuple_(*order) > sa.tuple_(*bound))
            async with self.mapper.reading() as connection:
                page = [(row.entry_date, row_of(row)) for row in await connection.execute(statement)]
            yield [row for _, row in page]
            if len(page) < PAGE:
                return
            first, key = page[-1][0], page[-1][1].key
            after = (first, key.site, key.kind, key.number, key.suffix)

    async def rows_of_kinds(self, division: int, kinds: Sequence[str]) -> AsyncIterator[list[Row]]:
        """Give the bookings of whole kinds of documents, a page after another."""
        column = tables.documents.c
        order = (column.site, column.kind, column.number, column.suffix)
        after: tuple[str, ...] | None = None
        while True:
            statement = sa.select(*column).where(column.division == division, column.kind.in_(kinds)).order_by(*order).limit(PAGE)
            if after is not None:
                statement = statement.where(sa.tuple_(*order) > sa.tuple_(*(sa.literal(value) for value in after)))
            async with self.mapper.reading() as connection:
                page = [row_of(row) for row in await connection.execute(statement)]
            yield page
            if len(page) < PAGE:
                return
            key = page[-1].key
            after = (key.site, key.kind, key.number, key.suffix)

    async def rows_of_commands(self, command_ids: Sequence[str]) -> dict[str, Row]:
        """Return the bookings that these commands made, by command."""
        column = tables.documents.c
        async with self.mapper.reading() as connection:
            rows = await connection.execute(sa.select(*column).where(column.command_id.in_(command_ids)))
            return {row.command_id: row_of(row) for row in rows}

    async def handled(self, message_ids: Sequence[str]) -> set[str]:
        """Return those of these messages that the mapper has handled."""
        where = (inbox.c.consumer == SERVICE, inbox.c.message_id.in_(message_ids))
        async with self.mapper.reading() as connection:
            return {row.message_id for row in await connection.execute(sa.select(inbox.c.message_id).where(*where))}


async def customers_of(sources: Sources, division: int, entries: Iterable[Sequence[LedgerLine]]) -> dict[str, list[str]]:
    """Return the customers (`site/id`) of the accounts that stand in entries, by account."""
    relations = sorted({line.relation_id for lines in entries for line in lines if line.relation_id is not None})
    return await sources.ledger.customers(division, relations) if relations else {}


def _shown(envelopes: Iterable[Envelope]) -> list[Shown]:
    found = [(envelope, unseal(envelope)) for envelope in envelopes]
    return [Shown(fact, envelope.id, envelope.time) for envelope, fact in found if isinstance(fact, facts.Observed)]


def _documents(name: str) -> Any:
    """Return a question about ingest's documents; raises UnreadableError where ingest is not installed."""
    points: Any = importlib.metadata.entry_points(group=DOCUMENTS, name=name)
    if not points:
        raise UnreadableError("No service is installed here that knows Chargebee's documents; install ingest beside it.")
    return next(iter(points)).load()


@asynccontextmanager
async def open_sources(settings: Settings) -> AsyncIterator[Sources]:
    """Open what there is to read; raises UnreadableError where there is no installation, or no service that reads Exact."""
    check_installed(settings, SERVICE)
    async with AsyncExitStack() as stack:

        def opened(service: str) -> Database | None:
            if settings.database_url is None and not (settings.data_dir / f"{schema_of(service)}.sqlite").exists():
                return None
            database = Database.open(settings, service)
            stack.push_async_callback(database.close)
            return database

        mapper = opened(SERVICE)
        points: Any = importlib.metadata.entry_points(group=LEDGERS)
        if mapper is None or not points:
            raise UnreadableError("No service is installed here that reads Exact's ledger; install the exact-writer beside it.")
        ledger = await stack.enter_async_context(next(iter(points)).load()(settings))
        yield Sources(mapper, opened("ingest"), ledger)
