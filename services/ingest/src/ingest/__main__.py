"""The wiring of ingest: the door, the store behind it, the translator and the relay."""

from __future__ import annotations

import gc

from backbone import process
from backbone.application import Application, Context
from backbone.relay import Relay
from ingest.credentials import Credentials
from ingest.store import EventStore
from ingest.translator import Translator
from ingest.webhook import Door, router


async def build(context: Context) -> Application:
    """Wire the service; raises ConfigurationError when webhooks would need no password."""
    settings = context.settings
    credentials = Credentials(settings.webhook_username, settings.webhook_password)
    relay = Relay(context.database, context.broker, context.clock, telemetry=context.telemetry)
    translator = Translator(context.database, context.clock, context.telemetry, translated=relay.wake)
    store = EventStore(context.database, context.clock, stored=translator.wake)
    door = Door(
        store,
        credentials,
        context.configuration.sites,
        max_body_bytes=settings.max_body_bytes,
        clock=context.clock,
        telemetry=context.telemetry,
    )
    collect_garbage_rarely()
    return Application(name="ingest", workers=[translator.run, relay.run], router=router(door), ready=[relay.ready])


def collect_garbage_rarely() -> None:
    """Take what start-up made out of the collector's sight and let it run less often: the slowest webhooks take half as long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


if __name__ == "__main__":
    process.main("ingest", build)
