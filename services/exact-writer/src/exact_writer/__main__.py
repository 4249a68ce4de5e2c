"""The wiring of the exact-writer: `python -m exact_writer`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import inbox
from backbone.application import Application, Context, Worker
from backbone.broker import PREFETCH, Consumer
from backbone.clock import Clock, SystemClock
from backbone.configuration import load_configuration
from backbone.consumer import Handle, consume_envelopes
from backbone.database import Database, schema_of
from backbone.errors import ConfigurationError, KruispostError
from backbone.relay import Relay
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from contracts.envelope import Envelope, Message
from contracts.master_data import MasterData
from contracts.parcels import ChangeHinted
from contracts.topology import parcels_queue, topology, writer_queue
from exact_writer import journal, probe_words
from exact_writer.account_matching import AccountMatcher
from exact_writer.accounts import Accounts
from exact_writer.announce import SOURCE
from exact_writer.attach import PdfPoster
from exact_writer.auth import ConsentNeededError, ExactLogin, NoTokenNowError
from exact_writer.bank_lines import SuspenseLines
from exact_writer.calls import DivisionCalls, NotAllowedNowError
from exact_writer.client import CallError, ExactClient
from exact_writer.client_keys import ClientKeys
from exact_writer.custom_fields import CustomFields
from exact_writer.holding import Holder
from exact_writer.ledger_reader import LedgerReader
from exact_writer.ledger_shelf import LedgerShelf, NotFreshError
from exact_writer.looking import LookError, read_master_data
from exact_writer.mirror import Mirror
from exact_writer.odata import UnreadableAnswerError
from exact_writer.post import Poster
from exact_writer.probe import Probe
from exact_writer.subscriptions import Subscriptions, topics_of
from exact_writer.timing import Timing
from exact_writer.vault import Vault
from exact_writer.writer import DivisionWriter


async def build(context: Context) -> Application:
    """Wire the service; raises ConfigurationError when a secret is missing."""
    from exact_writer.routes import consent_router, master_data_router  # noqa: PLC0415 - half a second, which no command needs

    timing = Timing.of(context.settings)
    client = ExactClient(context.settings.exact_url, timing)
    login = login_of(context.settings, context.database, context.clock, context.telemetry, client)
    relay = Relay(context.database, context.broker, context.clock, telemetry=context.telemetry)
    divisions = context.configuration.divisions
    holder = Holder(
        divisions,
        database=context.database,
        broker=context.broker,
        clock=context.clock,
        login=login,
        make=lambda division: writer_of(division, context, client, login, relay, timing),
        consume=lambda writer: _consume(context, writer, relay),
        telemetry=context.telemetry,
    )
    token = context.settings.admin_token
    admin_token = token.get_secret_value() if token is not None else None
    router = consent_router(context.database, login, context.clock, admin_token)
    router.include_router(master_data_router(holder, admin_token))
    return Application(
        name=SOURCE,
        workers=(relay.run, _acting(holder, client)),
        router=router,
        ready=(relay.ready, *(partial(holder.ready, division) for division in divisions)),
    )


async def look(settings: Settings, division: int) -> MasterData:
    """Read a division's master data while no writer runs; raises LookError, which says why it cannot be read now."""
    async with _in_its_place(settings, division) as (calls, _):
        return await read_master_data(division, calls.read_all)


async def probe(settings: Settings, division: int, lang: str, agree: Callable[[list[str]], bool]) -> dict[str, Any]:
    """Try in a division whether Exact keeps keys that we give, after `agree` to what is going to be written there.

    Raises LookError, which says why it cannot be tried now. What was found is kept, and writers use it from their next start.
    """
    async with _in_its_place(settings, division) as (calls, keys):
        trial = Probe(division, calls, SystemClock())
        place = await trial.look()
        if not agree(probe_words.plan(division, place, lang)):
            return probe_words.nothing_done(division, lang)
        report = await trial.run(place)
        await keys.learn({each.endpoint: each.trait for each in report.trials if each.trait is not None}, division)
        return probe_words.told(division, report, lang)


@asynccontextmanager
async def _in_its_place(settings: Settings, division: int) -> AsyncIterator[tuple[DivisionCalls, ClientKeys]]:
    """The calls of a division in which no writer acts; raises LookError for whatever stands in the way of them."""
    if settings.database_url is None and not (settings.data_dir / f"{schema_of(SOURCE)}.sqlite").exists():
        # Opening a SQLite file would make an empty one, and a question must change nothing.
        raise LookError("no writer has ever run here; start one and run `kruispost login`")
    clock, telemetry, timing = SystemClock(), Telemetry(SOURCE), Timing.of(settings)
    database, client = Database.open(settings, SOURCE), ExactClient(settings.exact_url, timing)
    lock = None
    try:
        lock = await database.try_lock(str(division))
        if lock is None:
            raise LookError("a writer that does not answer here acts in the division; name it with --writer-url")
        login = login_of(settings, database, clock, telemetry, client)
        calls = DivisionCalls(
            division, database=database, clock=clock, client=client, login=login, telemetry=telemetry, timing=timing
        )
        await calls.load()
        yield calls, ClientKeys(database, clock)
    except (ConsentNeededError, NoTokenNowError, NotAllowedNowError, CallError, UnreadableAnswerError) as error:
        raise LookError(str(error) or type(error).__name__) from error
    finally:
        if lock is not None:
            await lock.release()
        await client.close()
        await database.close()


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[LedgerShelf]:
    """Open the ledger that the writer keeps; raises KruispostError where there is none."""
    if settings.database_url is None and not (settings.data_dir / f"{schema_of(SOURCE)}.sqlite").exists():
        raise KruispostError("database_unavailable", "No writer has ever run here; start one with `kruispost run`.")
    database = Database.open(settings, SOURCE)

    async def read_in_its_place(division: int, wish: int, patience_seconds: float) -> bool:
        lock = await database.try_lock(str(division))
        if lock is None:
            return False
        try:
            await _read_ledger(settings, database, division, wish, patience_seconds)
        finally:
            await lock.release()
        return True

    try:
        yield LedgerShelf(database, read_in_its_place)
    finally:
        await database.close()


async def _read_ledger(settings: Settings, database: Database, division: int, wish: int, patience_seconds: float) -> None:
    clock, telemetry, timing = SystemClock(), Telemetry(SOURCE), Timing.of(settings)
    client = ExactClient(settings.exact_url, timing)
    try:
        login = login_of(settings, database, clock, telemetry, client)
        calls = DivisionCalls(
            division, database=database, clock=clock, client=client, login=login, telemetry=telemetry, timing=timing
        )
        await calls.load()
        section = load_configuration(settings.config).divisions[division]
        mirror = Mirror(division, section, database=database, clock=clock, calls=calls)
        await mirror.load()
        reader = LedgerReader(
            division,
            database=database,
            clock=clock,
            calls=calls,
            telemetry=telemetry,
            every_seconds=0,
            suspense=SuspenseLines(division, section.bank_matching.suspense_accounts, mirror),
            mirror=mirror,
        )
        await reader.read_until(wish, clock.now().timestamp() + patience_seconds)
    except (ConsentNeededError, NoTokenNowError, NotAllowedNowError, CallError, UnreadableAnswerError) as error:
        raise NotFreshError(division, str(error) or type(error).__name__) from error
    finally:
        await client.close()


def login_of(settings: Settings, database: Database, clock: Clock, telemetry: Telemetry, client: ExactClient) -> ExactLogin:
    """The login that the settings describe; raises ConfigurationError when a secret is missing."""
    secret, keys = settings.exact_client_secret, settings.encryption_keys
    if settings.exact_client_id is None or secret is None or settings.exact_redirect_uri is None or keys is None:
        raise ConfigurationError(
            "The exact-writer needs KRUISPOST_EXACT_CLIENT_ID, KRUISPOST_EXACT_CLIENT_SECRET, KRUISPOST_EXACT_REDIRECT_URI "
            "and KRUISPOST_ENCRYPTION_KEYS; set all four."
        )
    return ExactLogin(
        database=database,
        vault=Vault(database, settings.exact_client_id, keys.get_secret_value()),
        client=client,
        clock=clock,
        telemetry=telemetry,
        client_id=settings.exact_client_id,
        client_secret=secret.get_secret_value(),
        redirect_uri=settings.exact_redirect_uri,
    )


def writer_of(
    division: int, context: Context, client: ExactClient, login: ExactLogin, relay: Relay, timing: Timing
) -> DivisionWriter:
    """The writer of one division with all its parts."""
    configuration = context.configuration.divisions[division]
    database, clock, telemetry, pdf = context.database, context.clock, context.telemetry, configuration.pdf
    calls = DivisionCalls(
        division,
        database=database,
        clock=clock,
        client=client,
        login=login,
        telemetry=telemetry,
        timing=timing,
        is_shadow=configuration.shadow,
    )
    mirror = Mirror(division, configuration, database=database, clock=clock, calls=calls)
    keys = ClientKeys(database, clock)
    matcher = AccountMatcher(division, configuration.customers, database, mirror.accounts)
    poster = Poster(
        division,
        configuration.currency,
        attaches_lists=pdf.lists,
        read_seconds=context.settings.poll_seconds,
        is_shadow=configuration.shadow,
        database=database,
        clock=clock,
        calls=calls,
        mirror=mirror,
        accounts=Accounts(division, database, mirror, matcher, keys),
        keys=keys,
        telemetry=telemetry,
        timing=timing,
    )
    return DivisionWriter(
        division,
        database=database,
        clock=clock,
        login=login,
        calls=calls,
        mirror=mirror,
        poster=poster,
        fields=CustomFields(
            division,
            configuration.customers,
            database=database,
            clock=clock,
            calls=calls,
            telemetry=telemetry,
            timing=timing,
        ),
        pdfs=PdfPoster(division, pdf, database=database, clock=clock, calls=calls, keys=keys, telemetry=telemetry, timing=timing),
        keys=keys,
        ledger=_ledger_reader(division, context, calls, mirror),
        subscriptions=Subscriptions(
            division,
            client_id=context.settings.exact_client_id or "",
            url=None if configuration.shadow else context.settings.exact_webhook_url,
            topics=topics_of(context.settings.exact_webhook_topics),
            database=database,
            clock=clock,
            calls=calls,
            telemetry=telemetry,
        ),
        telemetry=telemetry,
        timing=timing,
        poll_seconds=context.settings.poll_seconds,
        wake_relay=relay.wake,
    )


def _ledger_reader(division: int, context: Context, calls: DivisionCalls, mirror: Mirror) -> LedgerReader:
    return LedgerReader(
        division,
        database=context.database,
        clock=context.clock,
        calls=calls,
        telemetry=context.telemetry,
        every_seconds=context.settings.ledger_seconds,
        suspense=SuspenseLines(division, context.configuration.divisions[division].bank_matching.suspense_accounts, mirror),
        mirror=mirror,
    )


async def _consume(context: Context, writer: DivisionWriter, relay: Relay) -> tuple[Consumer, Consumer]:
    """Take the commands and the parcels of one division for the writer that acts in it."""
    division, queues = writer.division, topology(context.configuration.divisions)
    parcels = f"{SOURCE}.parcels.{division}"

    async def plan(connection: AsyncConnection, envelope: Envelope, message: Message) -> None:
        await journal.plan(context.database, connection, envelope, message, context.clock.now().timestamp())

    async def take(connection: AsyncConnection, envelope: Envelope, message: Message) -> None:
        """A PDF that the writer asked for, or a hint that something changed."""
        if isinstance(message, ChangeHinted):
            await writer.hearing.take(connection, message)
            await inbox.forget(connection, parcels, envelope.id)
        else:
            await writer.pdfs.take(connection, envelope, message)

    async def consume(queue: str, name: str, handle: Handle, prefetch: int) -> Consumer:
        return await consume_envelopes(
            context.database,
            context.broker,
            queues.queue(queue),
            name,
            handle,
            relay,
            after_commit=writer.wake,
            telemetry=context.telemetry,
            prefetch=prefetch,
        )

    commands = await consume(writer_queue(division), f"{SOURCE}.{division}", plan, PREFETCH)
    return commands, await consume(parcels_queue(division), parcels, take, 1)  # few at a time, since PDFs are large


def _acting(holder: Holder, client: ExactClient) -> Worker:
    """Act in this process's divisions, and close the connection to Exact after the last of them has ended its call."""

    async def act(stop: asyncio.Event) -> None:
        try:
            await holder.run(stop)
        finally:
            await client.close()

    return act


if __name__ == "__main__":
    from backbone import process  # what serves: commands of this service import this module without it

    process.main(SOURCE, build)
