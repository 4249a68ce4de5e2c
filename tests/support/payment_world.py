"""Chargebee, Exact and all that lies between them, in one process and in virtual time.

Ingest's translation, the mapper, the writer and the payment-matcher are the real ones, on SQLite; both outside systems are the
stand-ins, without sockets.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from support.chargebee_shop import stock
from support.engines import database_for
from support.exact_server import DIVISION
from support.facts import SITE, envelope
from support.mapper_stage import Stage as MapperStage
from support.virtual_writer import START, VirtualWriter, virtual_writer

from backbone.broker_embedded import EmbeddedBroker
from backbone.clock import ManualClock
from backbone.configuration import Configuration
from backbone.database import Database
from backbone.relay import Relay
from backbone.tables import event_log
from backbone.telemetry import Telemetry
from contracts import commands
from contracts.envelope import Envelope, Message, decode
from contracts.messages import unseal
from ingest.translate import EVENT_RECEIVED, Observation, ResourceKey, news, observe
from payment_matcher.chargebee_api import MissingError
from payment_matcher.decision import InvoiceState
from payment_matcher.intents import SETTLE, Recorded
from payment_matcher.lines import Line, load
from payment_matcher.proposing import Proposer
from payment_matcher.receipts import Receipts
from payment_matcher.recording import Recorder
from payment_matcher.tables import intents
from simulators.chargebee.app import create_app
from simulators.chargebee.credit_notes import write_off_invoice
from simulators.chargebee.payments import Money, pay_invoice, record_excess_payment
from simulators.chargebee.settings import ChargebeeSettings
from simulators.chargebee.site import Site
from simulators.exact.world import Division

DAY_SECONDS = 86_400.0
POLL_SECONDS = 60.0  # less than a token lasts, so that settling refreshes none

SECTION: dict[str, Any] = {
    "name": "Test",
    "journals": {"invoices": "70", "credit_notes": "71", "payments": "90", "write_offs": "90", "settlements": "91"},
    "receivable_account": "1300",
    "rounding": {"account": "4900", "vat_code": "N"},
    "revenue": [{"account": "8000"}],
    "vat": [{"when": {"country": "NL", "rate": 21}, "code": "2"}, {"when": {"country": "NL", "rate": 0}, "code": "0"}],
    "control_accounts": [{"account": "1290"}],
    "write_offs": {"account": "4700", "vat_reclaim": "by_hand"},
    "exchange_differences": {"account": "4910"},
    "settlements": {"payout_account": "1100", "fee_account": "4600", "chargeback_fee_account": "4650"},
    "pdf": {"policy": "never"},
    "bank_matching": {"record_certain": True, "suspense_accounts": ["1660"], "tolerances": {"EUR": 2}},
}


def configuration(**division: Any) -> Configuration:
    """The configuration of the world, with other settings of its division."""
    sites = {SITE: {"time_zone": "Europe/Amsterdam", "division": DIVISION}}
    return Configuration.model_validate({"version": 1, "sites": sites, "divisions": {DIVISION: {**SECTION, **division}}})


class SiteApi:
    """Chargebee's calls for the matcher, made on the stand-in's state machine itself."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def invoice(self, site: str, number: str) -> InvoiceState:
        """Read an invoice."""
        del site
        row = self._site.collections["invoice"].get(number)
        if row is None:
            raise MissingError("resource_not_found", number)
        return InvoiceState(
            number=number,
            customer_id=row["customer_id"],
            currency=row["currency_code"],
            status=row["status"],
            amount_due_minor=row["amount_due"],
            invoiced_at=row["date"],
            has_payments=bool(row["linked_payments"]),
            deleted=row["deleted"],
            written_off_minor=row["write_off_amount"],
        )

    async def find_payment(self, site: str, customer_id: str, reference: str) -> Recorded | None:
        """Find a successful payment by its reference."""
        del site
        for row in self._site.all("transaction"):
            named = (row.get("reference_number"), row["customer_id"]) == (reference, customer_id)
            if named and row["status"] == "success" and not row["deleted"]:
                return Recorded(row["id"], row["amount"])
        return None

    async def record_payment(
        self, site: str, number: str, *, amount_minor: int, paid_at: int, reference: str, comment: str
    ) -> Recorded:
        """Record a transfer; never more than is due."""
        del site, comment
        assert amount_minor <= self._site.get("invoice", number)["amount_due"], f"more is recorded on {number} than is due"
        money = Money("bank_transfer", amount_minor, paid_at, reference)
        _, made = pay_invoice(self._site, number, money)
        return Recorded(made["id"], made["amount"])

    async def record_excess_payment(
        self, site: str, customer_id: str, *, amount_minor: int, currency: str, paid_at: int, reference: str, comment: str
    ) -> Recorded:
        """Record a transfer that belongs to no invoice."""
        del site, comment
        money = Money("bank_transfer", amount_minor, paid_at, reference)
        _, made = record_excess_payment(self._site, customer_id, currency, money)
        return Recorded(made["id"], made["amount"])

    async def write_off(self, site: str, number: str, *, reference: str, comment: str) -> int:
        """Write off what is due."""
        del site, reference, comment
        return int(write_off_invoice(self._site, number)["total"])


class Log:
    """What a service said, read once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last = 0

    async def fresh(self) -> list[Message]:
        """Return what was said since the last time."""
        async with self._database.reading() as connection:
            query = sa.select(event_log.c.sequence, event_log.c.body).where(event_log.c.sequence > self._last)
            rows = (await connection.execute(query.order_by(event_log.c.sequence))).all()
        self._last = max((row.sequence for row in rows), default=self._last)
        return [unseal(decode(row.body)) for row in rows]


class World:
    """Both systems and the connector; `luck` decides in which order and how often webhooks arrive."""

    def __init__(
        self, site: Site, mapper: MapperStage, writer: VirtualWriter, matcher: Database, settings: Configuration, broker: Any
    ) -> None:
        self.site, self.mapper, self.writer, self.matcher, self.settings = site, mapper, writer, matcher, settings
        self.luck = random.Random(1)
        self.clock = ManualClock(START)
        relay = Relay(matcher, broker, self.clock)
        self.receipts = Receipts(matcher, settings, self.clock)
        self.recorder = Recorder(
            database=matcher, configuration=settings, clock=self.clock, api=SiteApi(site), relay=relay, telemetry=Telemetry()
        )
        self.proposer = Proposer(matcher, settings, self.clock, relay, Telemetry(), wake_recorder=self.recorder.wake)
        self.logs = {name: Log(base) for name, base in (("mapper", mapper.database), ("writer", writer.database), ("m", matcher))}
        self._heard_events = 0
        self._seen: dict[ResourceKey, int] = {}
        self.said: list[Message] = []

    @property
    def exact(self) -> Division:
        """The administration in Exact."""
        return self.writer.server.simulator.world.divisions[DIVISION]

    def pass_days(self, days: float) -> None:
        """Let days go by in all systems: fewer than a login of Exact lasts, and enough for the ledger to be read again."""
        self.clock.advance(days * DAY_SECONDS)
        self.writer.clock.advance(self.clock.now().timestamp() - self.writer.clock.seconds())
        self.site.clock.advance_to(int(self.clock.now().timestamp()))

    async def tell(self, messages: list[Message]) -> None:
        """Let the mapper and the matcher hear something, each in one transaction."""
        async with self.mapper.database.transaction() as connection:
            for message in messages:
                await self.mapper.mapper.handle(connection, envelope(message), message)
        async with self.matcher.transaction() as connection:
            for message in messages:
                await self.receipts.handle(connection, envelope(message), message)

    async def settle(self) -> None:
        """Let everything go round until nobody has anything to say any more."""
        is_first = True
        while True:
            observed = self._webhooks()
            await self.tell(observed)
            ordered = [each for each in await self.logs["mapper"].fresh() if isinstance(each, Command)]
            if not (is_first or observed or ordered):
                return
            is_first = False
            await self.writer.plan(*ordered)
            await self._write()
            posted = await self.logs["writer"].fresh()
            await self.tell(posted)
            self.clock.advance(max(SETTLE.total_seconds(), self.writer.clock.seconds() - self.clock.now().timestamp()))
            await self._record()
            recorded = await self.logs["m"].fresh()
            await self.tell(recorded)
            self.said += [*posted, *recorded]

    async def _write(self) -> None:
        """Let the writer do what was ordered, and then read what Exact shows."""
        await self.writer.run(self.writer.clock.seconds() + POLL_SECONDS, while_waiting=True)
        self.writer.clock.advance(POLL_SECONDS)
        await self.writer.run(self.writer.clock.seconds() + 1.0)

    def _webhooks(self) -> list[Message]:
        """What Chargebee's new events say: out of order, some of them twice."""
        fresh = self.site.events[self._heard_events :]
        self._heard_events += len(fresh)
        arriving = [*fresh, *self.luck.sample(fresh, len(fresh) // 5)]
        self.luck.shuffle(arriving)
        told: list[Message] = []
        for event in arriving:
            observed = [each for each in observe(_received(event)) if isinstance(each, Observation)]
            told += [unseal(each.fact) for each in news(self._seen, observed)]
        return told

    async def _record(self) -> None:
        """Let the matcher judge what is open and record what was decided."""
        await self.proposer.step()
        for _ in range(2_000):
            if await self.recorder.step():
                continue
            if not await self._open_intents():
                return
            self.clock.advance(1.0)
        raise AssertionError("payments wait for ever")

    async def _open_intents(self) -> int:
        query = sa.select(sa.func.count()).select_from(intents).where(intents.c.outcome.is_(None))
        async with self.matcher.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def lines(self, *conditions: Any) -> list[Line]:
        """The bank lines as the matcher has them."""
        async with self.matcher.reading() as connection:
            return await load(connection, *conditions)


Command = commands.SaveAccount | commands.PostEntry


def _received(event: dict[str, Any]) -> Envelope:
    return Envelope(
        id=f"raw-{event['id']}",
        type=EVENT_RECEIVED,
        version=1,
        source="ingest",
        subject=f"{SITE}/event/{event['id']}",
        time=datetime.fromtimestamp(event["occurred_at"], START.tzinfo),
        key=f"{SITE}/{event['id']}",
        correlation=f"raw-{event['id']}",
        data=msgspec.Raw(msgspec.json.encode(event)),
    )


@asynccontextmanager
async def payment_world(directory: Path, *, exact: dict[str, Any] | None = None, **division: Any) -> AsyncIterator[World]:
    """Give a world that starts on the writer's first day, with the catalogue of the test shop; `exact` are its switches."""
    settings = configuration(**division)
    app = stock(create_app(ChargebeeSettings(started_at=int(START.timestamp()))))
    async with AsyncExitStack() as stack:
        for name in ("mapper", "writer", "matcher"):
            (directory / name).mkdir()
        mapper = await stack.enter_async_context(database_for("sqlite", directory / "mapper", "mapper"))
        matcher = await stack.enter_async_context(database_for("sqlite", directory / "matcher", "payment-matcher"))
        limits: dict[str, Any] = {"minute_limit": 1_000_000, "day_limit": 10_000_000, **(exact or {})}
        writer = await stack.enter_async_context(
            virtual_writer(directory / "writer", configuration=settings, answer_seconds=0.0, poll_seconds=POLL_SECONDS, **limits)
        )
        broker = EmbeddedBroker(directory / "broker.sqlite")
        stack.push_async_callback(broker.close)
        yield World(app.site, MapperStage(mapper, settings), writer, matcher, settings, broker)
