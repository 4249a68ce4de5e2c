"""RabbitMQ has a queue and cannot serve it, as while its node is down: nothing of it is lost, and the other queues go on."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.lines import EXCHANGE, OTHER, TOPOLOGY, WORK, Notebook, outgoing
from support.lines import eventually as soon
from support.servers import Server, own_server

from backbone.broker_rabbitmq import RabbitBroker
from backbone.errors import BrokerUnavailableError

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(400)]
eventually = functools.partial(soon, seconds=60)  # a node of our own starts meanwhile
NAME = 'rabbit_misc:r(<<"/">>, queue, <<"work">>)'
# What a node does with a queue that it cannot bring back when it starts, or whose node went down, and once that is back.
OUT_OF_REACH = f"rabbit_misc:execute_mnesia_transaction(fun() -> mnesia:delete({{rabbit_queue, {NAME}}}) end)."
WITHIN_REACH = (
    f"rabbit_misc:execute_mnesia_transaction(fun() -> [Queue] = mnesia:read({{rabbit_durable_queue, {NAME}}}), "
    "mnesia:write(rabbit_queue, Queue, write) end)."
)
NO_LEADER = "ra:stop_server(quorum_queues, {'%2F_other', node()})."
LEADER = "ra:restart_server(quorum_queues, {'%2F_other', node()})."


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with own_server("rabbitmq", tmp_path) as server:
        yield server


@pytest.fixture
async def broker(server: Server) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(server.url)
    await broker.declare(TOPOLOGY)
    yield broker
    await broker.close()


def complained(broker: RabbitBroker, words: str) -> bool:
    return any(words in each for each in broker.complaints())


async def test_a_queue_whose_node_is_down_is_waited_for_and_not_called_lost(server: Server, broker: RabbitBroker) -> None:
    await broker.publish(EXCHANGE, outgoing("a"))
    await server.does(OUT_OF_REACH)
    notebook = Notebook()
    with capture_logs() as logs:
        await broker.consume(WORK, notebook)
        await eventually(lambda: complained(broker, "out of RabbitMQ's reach"))
        await server.does(WITHIN_REACH)
        await eventually(lambda: notebook.ids == ["a"])
        await eventually(lambda: broker.complaints() == [])
    assert not [each for each in logs if each["log_level"] == "error"], "nobody is to republish anything"


async def test_the_others_go_on_while_a_queue_has_no_leader(server: Server, broker: RabbitBroker) -> None:
    await server.does(NO_LEADER)
    work, other = Notebook(), Notebook()
    await broker.consume(OTHER, other)
    await broker.consume(WORK, work)
    await eventually(lambda: complained(broker, "cannot serve queue other"))
    with capture_logs() as logs:
        await asyncio.sleep(15)
    tries = [each for each in logs if each.get("queue") == OTHER.name]
    assert len(tries) <= 4, "each try closes the connection under the other queues too"
    with pytest.raises(BrokerUnavailableError):  # the relay keeps it for later
        await broker.publish(EXCHANGE, outgoing("a", key="both.a"))
    await eventually(lambda: "a" in work.ids)
    await server.does(LEADER)
    await broker.publish(EXCHANGE, outgoing("a", key="both.a"))
    await eventually(lambda: "a" in other.ids)  # what was refused may come besides, once the leader is back
    await eventually(lambda: broker.complaints() == [])
