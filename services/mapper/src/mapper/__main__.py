"""The wiring of the mapper: `python -m mapper`."""

from __future__ import annotations

import asyncio
import functools

from backbone.application import Application, Context, Worker
from backbone.consumer import consume_envelopes
from backbone.relay import Relay, default_route
from backbone.shares import Lock, Shares
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

    has_a_share = asyncio.Event()

    async def handle_partition(number: int, lock: Lock, ends: asyncio.Event) -> None:
        has_a_share.set()
        consumer = await consume_envelopes(
            context.database,
            context.broker,
            declared.queue(mapper_queue(number)),
            SOURCE,
            mapper.handle,
            relay,
            telemetry=context.telemetry,
        )
        context.telemetry.gauge("holding_partition", 1, partition=str(number))
        try:
            await ends.wait()
        finally:
            context.telemetry.gauge("holding_partition", 0, partition=str(number))
            # The lock first: another process may wait for it, and closing takes as long as what is being handled.
            await lock.release()
            await consumer.close()

    partitions = range(MAPPER_PARTITIONS)
    shares = Shares(
        partitions, handle_partition, database=context.database, broker=context.broker, clock=context.clock, what="partition"
    )
    # Nothing is decided before this process may: a replay holds all partitions while it makes the state anew.
    deciding = (_once(has_a_share, work) for work in (mapper.replan_changed_mapping, due_days.run))
    workers = (relay.run, shares.run, *deciding)
    return Application(name=SOURCE, workers=workers, ready=(relay.ready,))


def _once(begun: asyncio.Event, work: Worker) -> Worker:
    """Begin a worker when something has happened; not at all where the process is told to stop before."""

    @functools.wraps(work)  # by whose name a log says that it failed
    async def run(stop: asyncio.Event) -> None:
        waiting = [asyncio.ensure_future(each.wait()) for each in (begun, stop)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        await work(stop)

    return run


if __name__ == "__main__":
    from backbone import process  # what serves: commands of this service import this module without it

    process.main(SOURCE, build)
