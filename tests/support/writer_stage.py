"""A whole exact-writer against the Exact stand-in, for tests: commands in, and what it said so far."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from cryptography.fernet import Fernet
from support.engines import broker_for, settings_for
from support.exact_server import DIVISION, ExactServer
from support.fast_sqlite import in_place, migrated
from support.logs import Heard

from backbone.broker import Broker, Outgoing
from backbone.broker_embedded import EmbeddedBroker
from backbone.clock import SystemClock
from backbone.configuration import Configuration
from backbone.database import Database
from backbone.process import Application, Context
from backbone.settings import Settings
from backbone.tables import event_log
from backbone.telemetry import Telemetry
from contracts import commands, facts
from contracts.envelope import Message, decode, encode, seal
from contracts.messages import unseal
from contracts.topology import COMMANDS_EXCHANGE, command_routing_key, topology
from exact_writer.__main__ import build
from exact_writer.vault import Tokens, Vault
from simulators.exact.settings import ExactSettings

SITE = "acme-test"
DAY = date(2026, 3, 2)
KEY = Fernet.generate_key().decode()
CONFIGURATION = Configuration.model_validate(
    {
        "version": 1,
        "sites": {SITE: {"time_zone": "Europe/Amsterdam", "division": DIVISION}},
        "divisions": {
            DIVISION: {
                "name": "Test",
                "journals": {"invoices": "70", "credit_notes": "71", "payments": "90", "ledger": "91"},
                "receivable_account": "1300",
            }
        },
    }
)


def configuration(**division: Any) -> Configuration:
    """The test's configuration, with more in its division."""
    known = CONFIGURATION.model_dump(mode="json")
    known["divisions"][str(DIVISION)] |= division
    return Configuration.model_validate(known)


def save_account(customer: str = "CUST1", fingerprint: str = "1", **more: Any) -> commands.SaveAccount:
    """A Dutch customer."""
    known = {"name": f"Klant {customer}", "country": "NL", **more}
    return commands.SaveAccount(division=DIVISION, customer_ref=f"{SITE}/{customer}", fingerprint=fingerprint, **known)


def document(number: str, customer: str = "CUST1", **more: Any) -> facts.DocumentRef:
    """An invoice of 121.00."""
    known = {"kind": "invoice", "currency": "EUR", "total_minor": 12_100, **more}
    return facts.DocumentRef(site=SITE, number=number, customer_id=customer, **known)


def sale(number: str, customer: str = "CUST1", *, lines: tuple[commands.EntryLine, ...] = (), **more: Any) -> commands.PostEntry:
    """An invoice of 100.00 and 21.00 VAT, or of these lines."""
    line = commands.EntryLine(gl_account="8000", amount_minor=10_000, vat_code="2", vat_amount_minor=2_100)
    known: dict[str, Any] = {"journal": "70", "kind": "sales", "entry_date": DAY, "command_id": f"command-{number}", **more}
    return commands.PostEntry(
        division=DIVISION,
        document=document(number, customer),
        customer_ref=f"{SITE}/{customer}",
        your_ref=number,
        currency="EUR",
        decimals=2,
        lines=lines or (line,),
        **known,
    )


def ledger_sale(number: str, customer: str = "CUST1", **more: Any) -> commands.PostEntry:
    """The invoice of 100.00 and 21.00 VAT in mode ledger, with the customer's line."""
    lines = (
        commands.EntryLine(gl_account="1300", amount_minor=12_100, description=number, is_receivable=True),
        commands.EntryLine(
            gl_account="8000", amount_minor=-10_000, description=f"{number} Plan", vat_code="2", vat_amount_minor=-2_100
        ),
    )
    return sale(number, customer, **{"lines": lines, "kind": "general", "journal": "91", "mode": "ledger", **more})


def payment(number: str, customer: str = "CUST1", amount_minor: int = 12_100) -> commands.PostEntry:
    """A payment through the gateway's control account."""
    lines = (
        commands.EntryLine(gl_account="1290", amount_minor=amount_minor, description="Betaling"),
        commands.EntryLine(gl_account="1300", amount_minor=-amount_minor, description="Betaling", is_receivable=True),
    )
    known = msgspec.structs.asdict(sale(number, customer, lines=lines))
    return commands.PostEntry(
        **{**known, "kind": "general", "journal": "90", "document": document(number, customer, kind="payment")}
    )


class WriterStage:
    """A running writer."""

    def __init__(
        self, settings: Settings, database: Database, broker: Broker, application: Application, telemetry: Telemetry
    ) -> None:
        self.settings = settings
        self.database = database
        self.application = application
        self.telemetry = telemetry
        self._broker = broker
        self._heard = Heard(database)

    async def tell(self, *messages: commands.SaveAccount | commands.PostEntry) -> None:
        """Send commands, as the mapper's relay would."""
        await self._broker.publish(COMMANDS_EXCHANGE, [outgoing(message) for message in messages])

    async def publish(self, exchange: str, messages: list[Outgoing]) -> None:
        """Send messages that are sealed already."""
        await self._broker.publish(exchange, messages)

    async def said(self, *kinds: type[Message]) -> list[Any]:
        """What was said, of these types only if given."""
        return await self._heard.said(*kinds)

    async def until(self, kind: type[Message], count: int = 1, seconds: float = 30, **values: Any) -> list[Any]:
        """Wait until so many messages of a type, with these values, were said."""
        async with asyncio.timeout(seconds):
            while True:
                found = [
                    message
                    for message in await self.said(kind)
                    if all(getattr(message, name) == value for name, value in values.items())
                ]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.02)

    async def complaints(self) -> list[str]:
        """What the readiness probe would say."""
        return [answer for check in self.application.ready if (answer := await check())]


async def said(database: Database, *kinds: type[Message]) -> list[Any]:
    """What a writer said, of these types only if given."""
    async with database.reading() as connection:
        rows = await connection.execute(sa.select(event_log.c.body).order_by(event_log.c.sequence))
    messages = [unseal(decode(row.body)) for row in rows]
    return [message for message in messages if not kinds or isinstance(message, kinds)]


def outgoing(message: commands.SaveAccount | commands.PostEntry) -> Outgoing:
    """A command as the broker carries it."""
    unique = message.command_id if isinstance(message, commands.PostEntry) else message.customer_ref + message.fingerprint
    now = datetime(2026, 3, 10, tzinfo=UTC)
    key = str(message.division)
    envelope = seal(message, source="mapper", subject=unique, key=key, time=now, distinguisher=unique)
    return Outgoing(command_routing_key(message.TYPE, message.division), encode(envelope), envelope.id)


def writer_environment(exact_url: str) -> dict[str, Any]:
    """The settings that a writer needs to speak to the stand-in."""
    defaults = ExactSettings()
    return {
        "exact_url": exact_url,
        "exact_client_id": defaults.client_id,
        "exact_client_secret": defaults.client_secret,
        "exact_redirect_uri": "https://kruispost.example/oauth/callback",
        "encryption_keys": KEY,
        "admin_token": "admin",
    }


async def log_in(server: ExactServer, settings: Settings, database: Database, **changes: Any) -> None:
    """Store a fresh pair of tokens, as after a consent."""
    pair = await server.control("tokens", client_id=settings.exact_client_id)
    vault = Vault(database, settings.exact_client_id or "", KEY)
    tokens = Tokens(
        access_token=pair["access_token"],
        refresh_token=pair["refresh_token"],
        obtained_at=SystemClock().now().timestamp(),
        expires_in_seconds=float(pair["expires_in"]),
    )
    await vault.store(msgspec.structs.replace(tokens, **changes))


@asynccontextmanager
async def writer_stage(
    server: ExactServer,
    directory: Path,
    dialect: str = "sqlite",
    *,
    logged_in: bool = True,
    configuration: Configuration = CONFIGURATION,
    before: Callable[[Database, Settings], Any] | None = None,
    engine: str = "embedded",
    **more: Any,
) -> AsyncIterator[WriterStage]:
    """Run a writer on a fresh database, connected to the stand-in unless told otherwise."""
    values = {**writer_environment(server.url), "poll_seconds": 0.2, **more}
    async with settings_for(dialect, directory, **values) as settings:
        database = Database.open(settings, "exact-writer")
        if dialect == "sqlite":
            in_place(database)
        try:
            await migrated(database, "exact-writer")
            async with broker_for(engine, directory, topology(configuration.divisions)) as broker:
                if logged_in:
                    await log_in(server, settings, database)
                if before is not None:
                    await before(database, settings)
                async with running(settings, database, broker, configuration) as stage:
                    yield stage
        finally:
            await database.close()


@asynccontextmanager
async def running(
    settings: Settings, database: Database, broker: Broker, configuration: Configuration = CONFIGURATION
) -> AsyncIterator[WriterStage]:
    """Run the workers of a writer, and drain them at the end."""
    telemetry = Telemetry("exact-writer")
    application = await build(Context(settings, configuration, SystemClock(), database, broker, telemetry))
    stop = asyncio.Event()

    async def work(worker: Callable[[asyncio.Event], Any]) -> None:
        await worker(stop)

    async with asyncio.TaskGroup() as group:
        for worker in application.workers:
            group.create_task(work(worker))
        try:
            yield WriterStage(settings, database, broker, application, telemetry)
        finally:
            stop.set()


async def prepare(server: ExactServer, settings: Settings, commands: list[Any]) -> None:
    """Log in, and put the commands into the queue."""
    database = Database.open(settings, "exact-writer")
    broker = EmbeddedBroker(settings.data_dir / "broker.sqlite")
    try:
        await migrated(database, "exact-writer")
        await log_in(server, settings, database)
        await broker.declare(topology(CONFIGURATION.divisions))
        await broker.publish(COMMANDS_EXCHANGE, [outgoing(command) for command in commands])
    finally:
        await broker.close()
        await database.close()


def environment_of(settings: Settings, directory: Path) -> dict[str, str]:
    """The environment of a writer in a process of its own."""
    configuration = directory / "kruispost.yaml"
    configuration.write_text(CONFIGURATION.model_dump_json(exclude_defaults=True), encoding="utf-8")
    secrets = {name: str(value) for name, value in writer_environment(settings.exact_url).items()}
    values = {**secrets, "data_dir": str(settings.data_dir), "poll_seconds": "0.2", "exact_timeout_seconds": "0.5"}
    if settings.database_url is not None:
        values["database_url"] = settings.database_url
    return {f"KRUISPOST_{name.upper()}": value for name, value in values.items()}


async def until_posted(settings: Settings, count: int) -> list[facts.EntryPosted]:
    """Wait for what a writer in another process says."""
    database = Database.open(settings, "exact-writer")
    try:
        async with asyncio.timeout(60):
            while True:
                found = await said(database, facts.EntryPosted)
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.1)
    finally:
        await database.close()
