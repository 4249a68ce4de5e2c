"""The wiring of the mapper: `python -m mapper`."""

from __future__ import annotations

import asyncio

from backbone import process
from backbone.consumer import consume_envelopes
from backbone.process import Application, Context
from backbone.relay import Relay, default_route
from contracts.topology import MAPPER_PARTITIONS, mapper_queue, topology
from mapper.configuration import mappings_of
from mapper.due_days import DueDays
from mapper.handle import Mapper
from mapper.plan import SOURCE, Planner
from mapper.subjects import Subjects


async def build(context: Context) -> Application:
    """Wire the service; raises ConfigurationError for rules that contradict each other."""
    mappings = mappings_of(context.configuration)
    relay = Relay(context.database, context.broker, context.clock, routes=default_route, telemetry=context.telemetry)
    planner = Planner(Subjects(context.configuration, mappings), context.clock, context.telemetry)
    mapper = Mapper(context.database, planner, mappings)
    due_days = DueDays(context.database, planner, mappings.keys(), context.clock)
    declared = topology(context.configuration.divisions)

    async def consume(stop: asyncio.Event) -> None:
        consumers = [
            await consume_envelopes(
                context.database,
                context.broker,
                declared.queue(mapper_queue(number)),
                SOURCE,
                mapper.handle,
                relay,
                telemetry=context.telemetry,
            )
            for number in range(MAPPER_PARTITIONS)
        ]
        await stop.wait()
        await asyncio.gather(*(consumer.close() for consumer in consumers))

    workers = (relay.run, consume, mapper.replan_changed_mapping, due_days.run)
    return Application(name=SOURCE, workers=workers, ready=(relay.ready,))


if __name__ == "__main__":
    process.main(SOURCE, build)
