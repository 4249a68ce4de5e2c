"""`python -m console`: the console service; with arguments, the command line `kruispost`."""

from __future__ import annotations

import asyncio
import sys

from backbone.application import Application, Context
from backbone.consumer import consume_envelopes
from console.projection import SOURCE, Projection
from contracts.topology import CONSOLE_QUEUE, topology


async def build(context: Context) -> Application:
    """Wire the service."""
    from console.api import router

    projection = Projection(context.database, context.configuration)
    queue = topology(context.configuration.divisions).queue(CONSOLE_QUEUE)

    async def consume(stop: asyncio.Event) -> None:
        consumer = await consume_envelopes(
            context.database, context.broker, queue, SOURCE, projection.handle, telemetry=context.telemetry
        )
        await stop.wait()
        await consumer.close()

    return Application(name=SOURCE, workers=(consume,), router=router(context.database, context.settings.admin_token))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        from console.cli import main

        main()
    else:
        from backbone import process

        process.main(SOURCE, build)
