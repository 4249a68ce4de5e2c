"""Keeps the exchanges, queues and bindings in RabbitMQ: made at the start, and again when some are gone, until all of them stand.

Nothing is published while one is missing. RabbitMQ returns only what reaches no queue at all, and a fact always reaches the
console's, so that the queue that has no binding yet would miss it in silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed

from backbone.errors import BrokerUnavailableError, ConfigurationError, KruispostError, reason_of
from backbone.rabbit_consumer import RECONNECT_SECONDS, is_absent, is_broker_error, losses_told
from backbone.rabbit_topology import bind, declare
from backbone.retries import is_set_within
from backbone.telemetry import Telemetry, log
from contracts.topology import Topology

# A binding or an exchange that somebody deletes is noticed by nobody who consumes. A look is a call for each name and each
# binding: 0.3 s for one division where all share a user, and a third of that for a service that makes only its own.
LOOK_SECONDS = 30.0
MOST_FAILURES = 5  # that are counted: each doubles the pause before the next try


class Connected(Protocol):
    """What declaring needs of its broker."""

    async def connection(self) -> AbstractConnection:
        """Return the open connection, made anew when it was lost."""
        ...

    async def open_channel(self) -> AbstractChannel:
        """Open a channel on it."""
        ...


class Declaration:
    """What this process makes of a topology: all of it, or where its user may not, what is its service's own."""

    def __init__(self, broker: Connected, prefix: str, service: str, telemetry: Telemetry) -> None:
        self._broker = broker
        self._prefix = prefix
        self._service = service
        self._telemetry = telemetry
        telemetry.count("queues_lost", 0)  # else Prometheus sees no increase when the first ones make the series
        self._topology: Topology | None = None
        self._makes_only_its_own = False
        self._has_stood = False
        self._stands = False
        self._doubts = 0
        self._failures = 0
        self._is_closed = False
        self._gone: dict[str, None] = {}
        self._looking = asyncio.Lock()
        self._asked = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self.complaint: str | None = None

    async def make(self, topology: Topology, *, waits: bool) -> None:
        """Make what is not there yet, waiting for a broker that is away or not; from then on see that it stays.

        Raises ConfigurationError when a queue exists with other arguments, or the user may not create it, and without waiting
        BrokerUnavailableError.
        """
        self._topology = topology
        while True:
            try:
                await self._look(topology)
            except BrokerUnavailableError as error:
                if not waits:
                    raise
                log.warning("waiting for the broker", reason=error.sentence)
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                break
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="see that queues and bindings stand")

    def doubt(self, *, is_new_connection: bool = False) -> None:
        """Look before anything more is published: something was missed, or this may be a RabbitMQ that lost its data."""
        self._doubts += 1
        if is_new_connection:
            self._failures = 0
        if self._stands or is_new_connection:  # else it is being tried already, at longer and longer intervals
            self._asked.set()
        self._stands = False

    async def see(self) -> None:
        """Return when all that was declared stands; raises BrokerUnavailableError when it does not and cannot be made now."""
        if self._stands or self._topology is None:
            return
        try:
            await self._look(self._topology)
        except ConfigurationError as error:
            raise BrokerUnavailableError(error.sentence) from error

    async def close(self) -> None:
        """Look no more."""
        self._is_closed = True
        # The library may tell our cancelling as a lost connection: it is said again until it is heard.
        while self._watching is not None and not self._watching.done():
            self._watching.cancel()
            await asyncio.wait((self._watching,), timeout=RECONNECT_SECONDS)

    async def _watch(self) -> None:
        while not self._is_closed:
            await is_set_within(self._asked, RECONNECT_SECONDS * 2**self._failures if self._failures else LOOK_SECONDS)
            self._asked.clear()
            try:
                if self._topology is not None:
                    await self._look(self._topology)
            except KruispostError as error:
                self._failures = min(MOST_FAILURES, self._failures + 1)
                self.complaint = f"exchanges and queues are not whole in RabbitMQ: {error.sentence}"
                log.warning("exchanges and queues are not whole", reason=error.sentence)
            except Exception:  # noqa: BLE001 - a watch that ended would leave the next loss to a restart
                self._failures = min(MOST_FAILURES, self._failures + 1)
                log.exception("exchanges and queues could not be looked at")
            else:
                self._failures = 0

    async def _look(self, topology: Topology) -> None:
        async with self._looking:
            await self._broker.connection()
            doubts = self._doubts
            try:
                await self._make_stand(topology)
            except BaseException:
                self._stands = False
                raise
            self._stands = doubts == self._doubts
            self._has_stood, self.complaint = True, None
            self._gone.clear()
            if self._stands:
                self._asked.clear()
        if not self._stands:
            raise BrokerUnavailableError("The connection to RabbitMQ was lost while exchanges and queues were declared.")

    @losses_told()
    async def _make_stand(self, topology: Topology) -> None:
        try:
            gone = await self._absent_of(*self._names(self._part(topology)))
            self._gone |= dict.fromkeys(gone)
            if gone or not self._has_stood:
                self._stands = False
                await self._make(topology)
            else:
                await self._bind(self._part(topology))
            await self._see_that_others_read(topology)
            self._tell(topology)
        except (ChannelPreconditionFailed, ChannelAccessRefused) as error:
            raise ConfigurationError(
                f"RabbitMQ refuses our exchanges and queues: {error}. Give the user the right to configure them, or let the old "
                "ones run empty and delete them, or choose another KRUISPOST_AMQP_PREFIX."
            ) from error
        except KruispostError:
            raise
        except Exception as error:
            if not is_broker_error(error):
                raise
            raise BrokerUnavailableError(f"Exchanges and queues cannot be declared: {reason_of(error)}.") from error

    def _part(self, topology: Topology) -> Topology:
        return topology.own(self._service) if self._makes_only_its_own else topology

    @staticmethod
    def _names(topology: Topology) -> tuple[list[str], list[str]]:
        exchanges = [*topology.exchanges, *sorted({queue.returns for queue in topology.queues})]
        return exchanges, [name for queue in topology.queues for name in queue.names]

    async def _make(self, topology: Topology) -> None:
        """Make all of it; where the user may not, this service's own part."""
        if not self._makes_only_its_own:
            try:
                await self._declare(topology)
            except ChannelAccessRefused:
                if not topology.own(self._service).queues:
                    raise
                self._makes_only_its_own = True
            else:
                return
        own = topology.own(self._service)
        await self._declare(Topology(exchanges=own.exchanges, queues=()))
        bound = {binding.exchange for queue in own.queues for binding in queue.bindings}
        await self._wait_for(exchanges=sorted(bound))
        await self._declare(own)

    async def _declare(self, topology: Topology) -> None:
        channel = await self._broker.open_channel()
        await declare(channel, topology, self._prefix)
        await channel.close()

    async def _bind(self, topology: Topology) -> None:
        channel = await self._broker.open_channel()
        for queue in topology.queues:
            await bind(channel, queue, self._prefix)
        await channel.close()

    async def _see_that_others_read(self, topology: Topology) -> None:
        """Raise BrokerUnavailableError while an exchange or a queue is missing that another service makes.

        A queue's dead letters are made when it has its bindings.
        """
        own = self._part(topology).queues
        others = [name for queue in topology.queues if queue not in own for name in (queue.name, queue.dead_letters)]
        await self._wait_for(exchanges=topology.exchanges if self._makes_only_its_own else (), queues=others)

    async def _wait_for(self, *, exchanges: Iterable[str] = (), queues: Iterable[str] = ()) -> None:
        for name in await self._absent_of(exchanges, queues):
            raise BrokerUnavailableError(f"{name} is not in RabbitMQ yet; its service makes it when it starts.")

    async def _absent_of(self, exchanges: Iterable[str], queues: Iterable[str]) -> list[str]:
        """Return which of them RabbitMQ does not have; raises BrokerUnavailableError for one that it has and cannot reach."""
        absent = []
        channel = await self._broker.open_channel()
        for is_queue, name in (*((False, each) for each in exchanges), *((True, each) for each in queues)):
            try:
                await (channel.get_queue if is_queue else channel.get_exchange)(self._prefix + name)
            except ChannelNotFoundEntity as error:
                if not is_absent(error):
                    raise BrokerUnavailableError(f"{name} is out of RabbitMQ's reach: {reason_of(error)}.") from error
                absent.append(name)
                channel = await self._broker.open_channel()  # that answer closed it
        await channel.close()
        return absent

    def _tell(self, topology: Topology) -> None:
        exchanges, queues = self._names(self._part(topology))
        gone = [name for name in self._gone if name in {*exchanges, *queues}]
        if not gone:
            return
        if self._has_stood:
            self._telemetry.count("queues_lost", len(gone))
            log.error(
                "queues were gone and are declared anew; what was in them, and what came meanwhile, is lost: "
                "run `kruispost republish all`",
                gone=gone,
            )
        else:
            log.warning(
                "queues were not there and are made; where this is not the first start, what was in them is lost: "
                "run `kruispost republish all`",
                made=gone,
            )
