"""The wiring of the payment-matcher: `python -m payment_matcher`."""

from __future__ import annotations

import asyncio

from backbone.application import Application, Context
from backbone.consumer import consume_envelopes
from backbone.errors import ConfigurationError
from backbone.relay import Relay, default_route
from contracts.topology import MATCHER_QUEUE, topology
from payment_matcher.chargebee_api import ChargebeeApi
from payment_matcher.proposing import Proposer
from payment_matcher.receipts import Receipts
from payment_matcher.recording import SOURCE, Recorder


async def build(context: Context) -> Application:
    """Wire the service; raises ConfigurationError when the Chargebee API key is missing."""
    key = context.settings.chargebee_api_key
    if key is None:
        raise ConfigurationError("The payment-matcher needs the API key of Chargebee; set KRUISPOST_CHARGEBEE_API_KEY.")
    relay = Relay(context.database, context.broker, context.clock, routes=default_route, telemetry=context.telemetry)
    recorder = Recorder(
        database=context.database,
        configuration=context.configuration,
        clock=context.clock,
        api=ChargebeeApi(api_key=key.get_secret_value(), base_url=context.settings.chargebee_url, telemetry=context.telemetry),
        relay=relay,
        telemetry=context.telemetry,
    )
    proposer = Proposer(
        context.database, context.configuration, context.clock, relay, context.telemetry, wake_recorder=recorder.wake
    )
    receipts = Receipts(context.database, context.configuration, context.clock)
    queue = topology(context.configuration.divisions).queue(MATCHER_QUEUE)

    def after_commit() -> None:
        recorder.wake()
        proposer.touch()

    async def consume(stop: asyncio.Event) -> None:
        consumer = await consume_envelopes(
            context.database,
            context.broker,
            queue,
            SOURCE,
            receipts.handle,
            relay,
            after_commit=after_commit,
            telemetry=context.telemetry,
        )
        await stop.wait()
        await consumer.close()

    return Application(name=SOURCE, workers=(relay.run, consume, recorder.run, proposer.run), ready=(relay.ready, recorder.ready))


if __name__ == "__main__":
    from backbone import process  # what serves: commands of this service import this module without it

    process.main(SOURCE, build)
