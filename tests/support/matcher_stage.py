"""A payment-matcher between what Exact shows and a Chargebee site over HTTP, on a clock that only the tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import sqlalchemy as sa
from support.chargebee_shop import STARTED_AT, stock
from support.chargebee_sim import RunningChargebee, running_chargebee
from support.engines import broker_for, settings_for
from support.facts import SITE, envelope, observed
from support.fast_sqlite import in_place, migrated

from backbone.broker import Broker
from backbone.clock import ManualClock
from backbone.configuration import Configuration
from backbone.database import Database
from backbone.relay import Relay
from backbone.tables import event_log
from backbone.telemetry import Telemetry
from contracts import facts
from contracts.bank_lines import BankLineObserved
from contracts.envelope import Envelope, Message, decode
from contracts.messages import unseal
from contracts.topology import topology
from payment_matcher import decisions, open_invoices
from payment_matcher.chargebee_api import ChargebeeApi
from payment_matcher.decisions import Recording
from payment_matcher.intents import SETTLE
from payment_matcher.lines import Line, load
from payment_matcher.proposing import Proposer
from payment_matcher.receipts import Receipts
from payment_matcher.recording import Recorder
from payment_matcher.shares import share_out
from payment_matcher.tables import intents, metadata
from simulators.chargebee.settings import ChargebeeSettings

DIVISION = 123456
CONFIGURATION = Configuration.model_validate({"version": 1, "sites": {SITE: {"time_zone": "Europe/Amsterdam"}}, "divisions": {}})
PAID_ON = date(2026, 9, 25)
RECORD = "POST invoices/{id}/record_payment"
# Behind the latest wait that the matcher chooses by itself for the outages in these tests.
PATIENCE_SECONDS = 1200


def receivable(
    number: str, amount_minor: int, *, term: str = "term-1", whole_minor: int | None = None, **more: Any
) -> facts.ReceivableObserved:
    """Say that Exact shows a receivable of an invoice of `whole_minor`, paid in full unless told otherwise."""
    whole = amount_minor if whole_minor is None else whole_minor
    document = facts.DocumentRef(
        site=SITE, kind="invoice", number=number, customer_id="cust-1", currency="EUR", total_minor=whole
    )
    members: dict[str, Any] = {
        "division": DIVISION,
        "term_id": term,
        "timestamp": 1,
        "entry_id": "entry-1",
        "your_ref": number,
        "currency": "EUR",
        "amount_minor": amount_minor,
        "is_fully_paid": True,
        "status": 50,
        "last_payment_date": PAID_ON,
        "document": document,
    }
    return facts.ReceivableObserved(**{**members, **more})


def matching(**settings: Any) -> Configuration:
    """Return a configuration whose division treats bank lines so."""
    division = {
        "name": "Voorbeeld",
        "journals": {"invoices": "70", "credit_notes": "71", "payments": "90"},
        "receivable_account": "1300",
        "bank_matching": settings,
    }
    sites = {SITE: {"time_zone": "Europe/Amsterdam", "division": DIVISION}}
    return Configuration.model_validate({"version": 1, "sites": sites, "divisions": {DIVISION: division}})


def bank_line(amount_minor: int, text: str = "", **more: Any) -> BankLineObserved:
    """Say that Exact shows a line of a bank statement on the debtor account, of the account that invoices stand with."""
    members: dict[str, Any] = {
        "division": DIVISION,
        "line_id": "11111111-aaaa",
        "part_id": f"part-of-{more.get('line_id', '11111111-aaaa')}",
        "timestamp": 1,
        "entry_id": "bank-entry-1",
        "entry_number": 26200001,
        "journal": "20",
        "day": PAID_ON,
        "amount_minor": amount_minor,
        "gl_account": "1300",
        "account_id": "account-1",
        "description": text,
    }
    return BankLineObserved(**{**members, **more})


async def outcomes(database: Database) -> list[Any]:
    """Return what the matcher said, oldest first."""
    async with database.reading() as connection:
        rows = await connection.execute(sa.select(event_log.c.body).order_by(event_log.c.sequence))
    return [unseal(decode(row.body)) for row in rows]


class Stage:
    """A matcher's parts on one database; `recorder` works on `clock`. `url` is that of PostgreSQL, None on SQLite."""

    url: str | None = None

    def __init__(
        self, database: Database, broker: Broker, chargebee: RunningChargebee, configuration: Configuration = CONFIGURATION
    ) -> None:
        self.database, self.chargebee, self.configuration = database, chargebee, configuration
        self.heard: list[Envelope] = []
        self._relay = Relay(database, broker, ManualClock())
        self.clock = ManualClock(datetime(2026, 10, 5, 10, tzinfo=UTC))
        self.recorder = self._recorder(self.clock)
        self.receipts = Receipts(database, configuration, self.clock)
        self.proposer = Proposer(database, configuration, self.clock, self._relay, Telemetry(), wake_recorder=self.recorder.wake)

    def another_recorder(
        self, *, ahead_seconds: float = 0, api: ChargebeeApi | None = None, configuration: Configuration = CONFIGURATION
    ) -> tuple[Recorder, ManualClock]:
        """Give the recorder of another process, whose clock may be ahead."""
        clock = ManualClock(self.clock.now() + timedelta(seconds=ahead_seconds))
        return self._recorder(clock, api, configuration), clock

    def _recorder(
        self, clock: ManualClock, api: ChargebeeApi | None = None, configuration: Configuration | None = None
    ) -> Recorder:
        return Recorder(
            database=self.database,
            configuration=configuration or self.configuration,
            clock=clock,
            api=api or ChargebeeApi(api_key="test_key", base_url=self.chargebee.url),
            relay=self._relay,
            telemetry=Telemetry(),
        )

    async def see(self, message: Message) -> None:
        """Let the matcher hear a fact."""
        self.heard.append(envelope(message))
        async with self.database.transaction() as connection:
            await self.receipts.handle(connection, self.heard[-1], message)
        self.clock.advance(SETTLE.total_seconds())

    async def work(self) -> float:
        """Work until no intent is open any more, moving the clock when nothing is due; return the seconds that passed."""
        started = self.clock.monotonic()
        while await self.open_intents():
            if not await self.recorder.step():
                self.clock.advance(max(0.5, await self._seconds_until_due()))
            assert self.clock.monotonic() - started < PATIENCE_SECONDS, "the matcher waits longer than it should"
        return self.clock.monotonic() - started

    async def _seconds_until_due(self) -> float:
        query = sa.select(sa.func.min(intents.c.due_at_ms)).where(intents.c.outcome.is_(None))
        async with self.database.reading() as connection:
            due_at_ms = (await connection.execute(query)).scalar_one()
        return float(due_at_ms) / 1000 - self.clock.now().timestamp()

    async def show_invoice(self, invoice: dict[str, Any], *, term: str | None = None) -> None:
        """Let the matcher hear how an invoice stands in Chargebee, and that Exact has it open on the customer's account."""
        await self.show_invoice_only(invoice)
        is_open: dict[str, Any] = {"is_fully_paid": False, "status": 20, "last_payment_date": None, "account_id": "account-1"}
        name = term or f"term-{invoice['id']}"
        await self.see(receivable(invoice["id"], invoice["total"], term=name, **is_open))

    async def show_invoice_only(self, invoice: dict[str, Any]) -> None:
        """Let the matcher hear how an invoice stands in Chargebee."""
        copy = msgspec.json.decode(msgspec.json.encode(invoice))
        await self.see(observed(facts.InvoiceObserved, copy, version=int(invoice["resource_version"])))

    async def show_transactions(self) -> None:
        """Let the matcher hear how all money stands in Chargebee."""
        for transaction in self.transactions():
            copy = msgspec.json.decode(msgspec.json.encode(transaction))
            await self.see(observed(facts.TransactionObserved, copy, version=int(transaction["resource_version"])))

    async def accept(self, line: Line, *invoices: dict[str, Any], tolerance_minor: int = 2) -> None:
        """A person says which invoices a line pays, in this order; the rest is kept for the customer."""
        numbers = [invoice["id"] for invoice in invoices]
        async with self.database.transaction() as connection:
            dues = await open_invoices.dues(connection, numbers, None)
            parts, excess = share_out(line.left_minor or 0, [dues[number][0] for number in numbers], tolerance_minor)
            recording = Recording(parts=parts, excess_minor=excess, site=SITE, customer_id="cust-1")
            await decisions.record(self.database, connection, line, recording, by="a person", now=self.clock.now())

    async def told(self, *kinds: type[Any]) -> list[Any]:
        """Return what the matcher said of these kinds, oldest first."""
        return [outcome for outcome in await outcomes(self.database) if isinstance(outcome, kinds)]

    async def forget(self) -> None:
        """Lose what the matcher keeps beside its log."""
        async with self.database.transaction() as connection:
            for table in metadata.sorted_tables:
                await connection.execute(sa.delete(table))

    async def lines(self, *conditions: Any) -> list[Line]:
        """Return the bank lines as the matcher has them."""
        async with self.database.reading() as connection:
            return await load(connection, *conditions)

    async def line(self) -> Line:
        """Return the only bank line, judged."""
        await self.proposer.step()
        (found,) = await self.lines()
        return found

    async def open_intents(self) -> int:
        """Count the payments still to be recorded."""
        query = sa.select(sa.func.count()).select_from(intents).where(intents.c.outcome.is_(None))
        async with self.database.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def only_outcome(self) -> Any:
        """Return the one thing that the matcher said."""
        (outcome,) = await outcomes(self.database)
        return outcome

    def transactions(self) -> list[dict[str, Any]]:
        """All money that Chargebee knows of."""
        return list(self.chargebee.app.site.all("transaction"))

    def calls(self, name: str = RECORD) -> int:
        """How often a call reached Chargebee."""
        return self.chargebee.app.calls.get(name, 0)

    async def fault(self, **how: Any) -> None:
        """Disturb coming requests to Chargebee."""
        async with httpx.AsyncClient(base_url=self.chargebee.url) as client:
            (await client.post("/_simulator/faults", json=how)).raise_for_status()


@asynccontextmanager
async def matcher_stage(
    dialect: str, directory: Path, *, configuration: Configuration = CONFIGURATION, **settings: Any
) -> AsyncIterator[Stage]:
    """Give a matcher on a fresh database of this dialect, and a Chargebee site with one customer."""
    async with (
        running_chargebee(ChargebeeSettings(**{"started_at": STARTED_AT, **settings})) as chargebee,
        settings_for(dialect, directory) as settings_,
        broker_for("embedded", directory, topology([])) as broker,
    ):
        stock(chargebee.app)
        database = Database.open(settings_, "payment-matcher")
        if dialect == "sqlite":
            in_place(database)
        try:
            await migrated(database, "payment-matcher")
            stage = Stage(database, broker, chargebee, configuration)
            stage.url = settings_.database_url
            yield stage
        finally:
            await database.close()
