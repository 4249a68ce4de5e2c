"""The mapper's state made anew from the logs of all services, in a database of its own beside the one that is in use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from backbone.clock import ManualClock
from backbone.configuration import Configuration
from backbone.database import Database, is_away
from backbone.migrations import migrate
from backbone.past import merged, messages, open_logs
from backbone.settings import Settings
from backbone.tables import event_log as log_table
from backbone.telemetry import Telemetry, log
from bookkeeping.bookings import booking_of
from contracts import commands, facts
from contracts.coupon_codes import CouponCodeObserved
from contracts.envelope import Envelope, Message, derived_id
from contracts.messages import unseal
from mapper.batched_store import BatchedStore
from mapper.configuration import mappings_of
from mapper.drift_decisions import GONE, Accepted, id_of_counter
from mapper.due_days import DueDays
from mapper.handle import Mapper
from mapper.plan import Planner
from mapper.store import Key, Row, Store
from mapper.subjects import Subjects

MAPPER = "mapper"
PAGE = 500  # messages that are read, and folded in one transaction, at a time
RESULTS = (facts.EntryPosted, facts.EntryRefused)
# Whose log holds what the mapper has heard. Its own holds what it told the writer, and the payouts that it imported itself.
HEARD: Mapping[str, frozenset[str]] = {
    "ingest": frozenset(
        each.TYPE
        for each in (
            facts.InvoiceObserved,
            facts.CreditNoteObserved,
            facts.TransactionObserved,
            facts.CustomerObserved,
            facts.ItemObserved,
            facts.ItemPriceObserved,
            facts.PlanObserved,
            facts.AddonObserved,
            facts.SubscriptionObserved,
            CouponCodeObserved,
        )
    ),
    "exact-writer": frozenset(each.TYPE for each in (*RESULTS, facts.AccountRefused, facts.AccountSaved, facts.PeriodObserved)),
    "payment-matcher": frozenset((facts.PaymentRecorded.TYPE,)),
    MAPPER: frozenset(
        each.TYPE for each in (facts.PayoutImported, facts.DocumentPlanned, commands.PostEntry, commands.SaveAccount, Accepted)
    ),
}


def logs_of(settings: Settings) -> AbstractAsyncContextManager[dict[str, Database]]:
    """Open the databases of the services that the mapper hears; on SQLite those whose file is there."""
    return open_logs(settings, HEARD)


async def messages_in(logs: Mapping[str, Database]) -> int:
    """Return how many messages a replay reads."""
    total = 0
    for service, database in logs.items():
        statement = sa.select(sa.func.count()).select_from(log_table).where(log_table.c.type.in_(sorted(HEARD[service])))
        async with database.reading() as connection:
            total += int(await connection.scalar(statement) or 0)
    return total


async def history(logs: Mapping[str, Database], until: datetime | None = None) -> AsyncIterator[Envelope]:
    """Give the messages of all logs by their time, those of one log in its order; no more than a page a log is in memory.

    Messages after `until` are left out.
    """
    async for said in merged(logs, HEARD):
        if until is None or said.time <= until:
            yield said.recorded.envelope


class Rebuild:
    """Folds a history into a scratch database as the mapper would have, with what was sent to Exact as it was sent.

    Documents are decided about by the rules of today; where the mapper's own log says what was sent under older ones, that
    stands, for it is what Exact has.
    """

    def __init__(self, database: Database, configuration: Configuration) -> None:
        self.database = database
        self._clock = ManualClock(datetime(1970, 1, 1, tzinfo=UTC))
        mappings = mappings_of(configuration)
        planner = Planner(Subjects(configuration, mappings), self._clock, Telemetry())
        self._mapper = Mapper(database, planner, mappings)
        self._due_days = DueDays(database, planner, mappings.keys(), self._clock)
        self.unmatched = 0  # results of Exact whose command was not known when they came
        self.skipped: list[str] = []  # ids of messages that cannot be handled; when they came, the queue set them aside, too

    async def fold(
        self,
        logs: Mapping[str, Database],
        now: datetime,
        progress: Callable[[int], None] = lambda _: None,
        *,
        until: datetime | None = None,
    ) -> int:
        """Fold everything, or what was said until a moment, and decide what is due `now`; return how many messages that were.

        Everything means what is dated later than `now`, too: the clock of the service that said it may be ahead of ours.
        """
        folded = 0
        page: list[Envelope] = []
        async for envelope in history(logs, until):
            page.append(envelope)
            if len(page) == PAGE:
                folded += await self._fold_page(page, progress)
                page = []
        folded += await self._fold_page(page, progress)
        await self._results_again(logs, until)
        self._let_it_be(now)
        await self._due_days.decide(asyncio.Event())
        return folded

    async def _fold_page(self, page: list[Envelope], progress: Callable[[int], None]) -> int:
        unmatched = self.unmatched
        try:
            await self._fold_together(page)
        except Exception as error:
            if is_away(error) or isinstance(error, SQLAlchemyError):
                raise
            self.unmatched = unmatched
            if len(page) == 1:
                self.skipped.append(page[0].id)
                log.error("a message cannot be handled", message_id=page[0].id, type=page[0].type, exc_info=error)
            else:  # one of them takes none of the others down
                for envelope in page:
                    await self._fold_page([envelope], lambda _: None)
        progress(len(page))
        return len(page)

    async def _fold_together(self, page: list[Envelope]) -> None:
        messages = [(envelope, _message_of(envelope)) for envelope in page]
        async with self.database.transaction() as connection:
            store = BatchedStore(self.database, connection)
            await store.read_ahead(message for _, message in messages)
            for envelope, message in messages:
                self._let_it_be(envelope.time)
                await self._take(store, envelope, message)
            await store.flush()

    def _let_it_be(self, moment: datetime) -> None:
        self._clock.advance((moment - self._clock.now()).total_seconds())

    async def _take(self, store: Store, envelope: Envelope, message: Message) -> None:
        match message:
            case commands.PostEntry():
                await self._sent(store, message)
            case commands.SaveAccount():
                if await store.account_fingerprint(message.division, message.customer_ref) != message.fingerprint:
                    await store.save_account(message.division, message.customer_ref, message.fingerprint)
            case facts.DocumentPlanned():
                await self._planned(store, message)
            case Accepted():
                await self._stays_gone(store, message)
            case _:
                if isinstance(message, RESULTS):
                    self.unmatched += await store.document_of_command(message.command_id) is None
                await self._mapper.take(store, envelope, message)

    async def _sent(self, store: Store, command: commands.PostEntry) -> None:
        """Let what was sent stand, whatever today's rules make of the document."""
        if command.command_id == id_of_counter(command.division, command.your_ref):
            return  # it takes a change in Exact back, and is no booking of the document
        key = _key(command.document)
        row = await store.document(key)
        if row is None and booking_of(key.suffix).is_reversal:
            row = await self._taken_back(store, key)  # by a person's word: no fact leads to it
        if row is None or (row.state == "booked" and command.command_id != _next_attempt(row)):
            return
        is_same = row.command_id == command.command_id
        await store.save(
            replace(
                row,
                division=command.division,
                customer_id=command.document.customer_id,
                command_id=command.command_id,
                command=msgspec.json.encode(command),
                state=row.state if is_same else "planned",
                code=row.code if is_same else None,
                waits_for=row.waits_for if is_same else None,
                attempt=row.attempt if is_same or row.command_id is None else row.attempt + 1,
            )
        )

    async def _taken_back(self, store: Store, key: Key) -> Row | None:
        before = await store.document(replace(key, suffix=booking_of(key.suffix).preceding().suffix))
        return replace(before, key=key, command_id=None, attempt=0, state="planned") if before is not None else None

    async def _planned(self, store: Store, fact: facts.DocumentPlanned) -> None:
        row = await store.document(_key(fact.document))
        if row is not None and row.command_id == fact.command_id:
            await store.save(replace(row, mapping_version=fact.mapping_version))

    async def _stays_gone(self, store: Store, decision: Accepted) -> None:
        """Call booked what was deleted in Exact and stays so: a writer that lost its journal does not tell it."""
        row = await store.document_of_command(decision.command_id) if decision.name == GONE and decision.command_id else None
        if row is not None and row.state == "planned":
            await store.save(replace(row, state="booked"))

    async def _results_again(self, logs: Mapping[str, Database], until: datetime | None) -> None:
        """Hear results once more that came before their document by the clocks of their machines."""
        while self.unmatched:
            before, self.unmatched = self.unmatched, 0
            writer = logs.get("exact-writer")
            if writer is None:
                return
            types = frozenset(each.TYPE for each in RESULTS)
            async for recorded in messages(writer, types):
                message = unseal(recorded.envelope)
                if (until is not None and recorded.envelope.time > until) or not isinstance(message, RESULTS):
                    continue
                async with self.database.transaction() as connection:
                    row = await Store(self.database, connection).document_of_command(message.command_id)
                    if row is None:
                        self.unmatched += 1
                    elif row.state == "planned":
                        await self._mapper.handle(connection, recorded.envelope, message)
            if self.unmatched >= before:
                return


def _message_of(envelope: Envelope) -> Message:
    """Open a message; decisions stay in the service, and are none of those that services send each other."""
    return msgspec.json.decode(envelope.data, type=Accepted) if envelope.type == Accepted.TYPE else unseal(envelope)


def _next_attempt(row: Row) -> str | None:
    """The id under which what is booked is booked again by a person's word, since it was deleted in Exact."""
    key = row.key
    return derived_id("entry", str(row.division), key.site, key.kind, key.number, key.suffix, str(row.attempt + 1))


def _key(ref: facts.DocumentRef) -> Key:
    return Key(ref.site, ref.kind, ref.number, ref.suffix)


async def new_scratch(directory: Path) -> Database:
    """Return an empty mapper's database in a directory; the caller closes it."""
    database = Database.open(Settings(data_dir=directory, database_url=None), MAPPER, is_scratch=True)
    await migrate(database, MAPPER)
    return database
