"""The wiring of ingest: the door, the store behind it, the translator and the relay."""

from __future__ import annotations

import asyncio
import gc

from backbone import process
from backbone.application import Application, Context, Worker
from backbone.consumer import consume_envelopes
from backbone.relay import Relay
from backbone.telemetry import log
from contracts.topology import INGEST_QUEUE, topology
from ingest.catch_up import CatchUp
from ingest.credentials import Credentials
from ingest.events_api import ChargebeeEvents
from ingest.exact_webhook import ExactDoor
from ingest.hints import Hints
from ingest.pdf_api import ChargebeePdfs
from ingest.pdfs import PdfFetcher
from ingest.questions import Asker
from ingest.questions_api import ChargebeeQuestions
from ingest.store import EventStore
from ingest.translator import Translator
from ingest.webhook import Door, router


async def build(context: Context) -> Application:
    """Wire the service; raises ConfigurationError when webhooks would need no password."""
    settings = context.settings
    credentials = Credentials(settings.webhook_username, settings.webhook_password)
    relay = Relay(context.database, context.broker, context.clock, telemetry=context.telemetry)
    questions = asyncio.Event()
    translator = Translator(context.database, context.clock, context.telemetry, translated=relay.wake, asked=questions.set)
    store = EventStore(context.database, context.clock, stored=translator.wake)
    asker = _asker(context, store, questions)
    door = Door(
        store,
        credentials,
        context.configuration.sites,
        max_body_bytes=settings.max_body_bytes,
        clock=context.clock,
        telemetry=context.telemetry,
    )
    collect_garbage_rarely()
    pdfs = _pdf_fetcher(context)
    catch_up = _catch_up(context, store)
    hints = Hints(context.broker, context.clock, context.telemetry)
    doors = router(door)
    secret = settings.exact_webhook_secret
    exact_door = ExactDoor(
        hints,
        secret.get_secret_value() if secret is not None else None,
        context.configuration.divisions,
        max_body_bytes=settings.max_body_bytes,
        telemetry=context.telemetry,
    )
    doors.include_router(exact_door.router())
    return Application(
        name="ingest",
        workers=[
            *(translator.run, relay.run, _consuming(context, pdfs), pdfs.run, hints.run, asker.run),
            *([catch_up.run] if catch_up else []),
        ],
        router=doors,
        ready=[relay.ready, pdfs.ready, asker.ready],
    )


def _catch_up(context: Context, store: EventStore) -> CatchUp | None:
    settings, key = context.settings, context.settings.chargebee_api_key
    if key is None or settings.catch_up_seconds == 0:
        log.warning("events that no webhook brings will not be noticed", api_key=key is not None)
        return None
    return CatchUp(
        context.database,
        store,
        ChargebeeEvents(api_key=key.get_secret_value(), base_url=settings.chargebee_url, telemetry=context.telemetry),
        context.clock,
        context.telemetry,
        sites=tuple(context.configuration.sites),
        every_seconds=settings.catch_up_seconds,
    )


def _asker(context: Context, store: EventStore, questions: asyncio.Event) -> Asker:
    settings, key = context.settings, context.settings.chargebee_api_key
    api = None
    if key is not None:
        api = ChargebeeQuestions(api_key=key.get_secret_value(), base_url=settings.chargebee_url, telemetry=context.telemetry)
    return Asker(context.database, store, context.clock, api, context.telemetry, questions)


def _pdf_fetcher(context: Context) -> PdfFetcher:
    settings, key = context.settings, context.settings.chargebee_api_key
    api = None
    if key is not None:
        api = ChargebeePdfs(
            api_key=key.get_secret_value(),
            base_url=settings.chargebee_url,
            clock=context.clock,
            telemetry=context.telemetry,
        )
    return PdfFetcher(context.database, context.broker, context.clock, api, context.telemetry)


def _consuming(context: Context, pdfs: PdfFetcher) -> Worker:
    """Take the wishes for PDFs."""
    queue = topology(context.configuration.divisions).queue(INGEST_QUEUE)

    async def consume(stop: asyncio.Event) -> None:
        consumer = await consume_envelopes(
            context.database,
            context.broker,
            queue,
            "ingest",
            pdfs.handle,
            after_commit=pdfs.wake,
            telemetry=context.telemetry,
        )
        await stop.wait()
        await consumer.close()

    return consume


def collect_garbage_rarely() -> None:
    """Take what start-up made out of the collector's sight and let it run less often: the slowest webhooks take half as long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


if __name__ == "__main__":
    process.main("ingest", build)
