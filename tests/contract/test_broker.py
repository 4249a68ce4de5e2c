"""What both brokers promise: nothing published is lost, it comes in order, and it ends as handled or as a named dead letter."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from support.engines import BROKERS, broker_for
from support.lines import EXCHANGE, OTHER, TOPOLOGY, WORK, Notebook, eventually, outgoing

from backbone.broker import Broker, Outgoing
from backbone.errors import Backpressure, Permanent, Transient, UnroutableError


@pytest.fixture(params=BROKERS)
async def broker(request, tmp_path):
    async with broker_for(request.param, tmp_path, TOPOLOGY, dead_letter_limit=3) as broker:
        yield broker


async def empty(broker: Broker, *names: str) -> bool:
    """Say whether nothing waits in these queues, counting what is in a consumer's hands as gone."""
    return [await broker.depth(name) for name in names] == [0] * len(names)


async def test_messages_reach_every_queue_bound_to_their_key_and_no_other(broker):
    await broker.publish(EXCHANGE, outgoing("only-work"))
    await broker.publish(EXCHANGE, outgoing("both", key="both.kinds.of.words"))
    assert (await broker.depth("work"), await broker.depth("other")) == (2, 1)
    work, other = Notebook(), Notebook()
    await broker.consume(WORK, work)
    await broker.consume(OTHER, other)
    await work.wait_for(2)
    await other.wait_for(1)
    assert (work.ids, other.ids) == (["only-work", "both"], ["both"])
    first = work.seen[0]
    assert (first.body, first.routing_key) == (b'{"id": "only-work"}', "work.piece.done")
    assert (first.attempt, first.redelivered) == (1, False)


@pytest.mark.parametrize("key", ["work.done", "work.a.b.done", "work.a.done.b", "other"])
async def test_a_message_that_would_reach_no_queue_is_an_error(broker, key):
    with pytest.raises(UnroutableError):
        await broker.publish(EXCHANGE, [*outgoing("good"), *outgoing("lost", key=key)])
    await broker.publish(EXCHANGE, outgoing("after"))  # the connection still works
    notebook = Notebook()
    await broker.consume(WORK, notebook)
    await eventually(lambda: "after" in notebook.ids)
    assert "lost" not in notebook.ids


async def test_many_messages_keep_their_order(broker):
    ids = [f"m{number:04}" for number in range(350)]
    await broker.publish(EXCHANGE, outgoing(*ids[:250]))
    notebook = Notebook()
    await broker.consume(WORK, notebook, prefetch=20)
    await broker.publish(EXCHANGE, outgoing(*ids[250:]))
    await notebook.wait_for(350)
    assert notebook.ids == ids
    await eventually(lambda: empty(broker, "work"))


async def test_one_message_is_handled_at_a_time(broker):
    at_once = most = 0

    async def handle(_):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.005)
        at_once -= 1

    await broker.publish(EXCHANGE, outgoing(*map(str, range(20))))
    await broker.consume(WORK, handle)
    await eventually(lambda: empty(broker, "work"))
    assert most == 1


async def test_a_message_is_acknowledged_only_after_its_handler_returned(broker):
    reached, may_go_on = asyncio.Event(), asyncio.Event()

    async def hang(_):
        reached.set()
        await may_go_on.wait()
        raise Transient(1)

    await broker.publish(EXCHANGE, outgoing("m"))
    consumer = await broker.consume(WORK, hang)
    await reached.wait()
    closing = asyncio.create_task(consumer.close())
    await asyncio.sleep(0.2)
    assert not closing.done(), "closing must wait for the message in hand"
    may_go_on.set()
    await closing
    notebook = Notebook()
    await broker.consume(WORK, notebook)
    await notebook.wait_for(1)
    assert notebook.ids == ["m"]


async def test_what_a_closed_consumer_had_not_begun_goes_to_the_next(broker):
    notebook = Notebook()
    reached, may_go_on = asyncio.Event(), asyncio.Event()

    async def first_only(delivery):
        reached.set()
        await notebook(delivery)
        await may_go_on.wait()

    await broker.publish(EXCHANGE, outgoing("a", "b", "c"))
    consumer = await broker.consume(WORK, first_only)
    await reached.wait()
    closing = asyncio.create_task(consumer.close())
    await asyncio.sleep(0.1)
    may_go_on.set()
    await closing
    assert notebook.ids == ["a"]
    following = Notebook()
    await broker.consume(WORK, following)
    await following.wait_for(2)
    assert following.ids == ["b", "c"]


async def test_a_transient_failure_comes_back_after_the_wanted_delay_and_without_end(broker):
    loop = asyncio.get_running_loop()
    times = []

    def act(delivery):
        times.append(loop.time())
        return Transient(1) if delivery.attempt <= 3 else None

    notebook = Notebook(act)
    await broker.publish(EXCHANGE, outgoing("m"))
    await broker.consume(WORK, notebook)
    await notebook.wait_for(4)
    assert [delivery.attempt for delivery in notebook.seen] == [1, 2, 3, 4]
    assert {delivery.routing_key for delivery in notebook.seen} == {"work.piece.done"}
    assert all(later - earlier >= 0.9 for earlier, later in itertools.pairwise(times))
    await eventually(lambda: empty(broker, "work", "work.retry.1s", "work.dead"))


async def test_a_waiting_message_holds_up_nobody(broker):
    notebook = Notebook(lambda delivery: Transient(1) if delivery.message_id == "bad" and delivery.attempt == 1 else None)
    await broker.publish(EXCHANGE, outgoing("bad", "good"))
    await broker.consume(WORK, notebook)
    await notebook.wait_for(3)
    assert notebook.ids == ["bad", "good", "bad"]


async def test_a_permanent_failure_becomes_a_dead_letter_with_its_reason(broker):
    await broker.publish(EXCHANGE, outgoing("bad", "good"))
    notebook = Notebook(lambda delivery: Permanent("no_vat_code", "No VAT code.") if delivery.message_id == "bad" else None)
    await broker.consume(WORK, notebook)
    await notebook.wait_for(2)
    await eventually(lambda: empty(broker, "work"))
    for _ in range(3):  # looking takes nothing away; RabbitMQ puts back a moment later what was looked at
        await eventually(lambda: broker.depth("work.dead"))
        (dead,) = await broker.dead_letters("work", 10)
    assert (dead.message_id, dead.code, dead.sentence) == ("bad", "no_vat_code", "No VAT code.")
    assert (dead.queue, dead.routing_key, dead.attempt, dead.body) == ("work", "work.piece.done", 1, b'{"id": "bad"}')
    assert dead.died_at is not None
    await eventually(lambda: broker.depth("work.dead"))
    assert await broker.dead_letters("other", 10) == []


async def test_dead_letters_go_back_into_their_queue_all_or_those_named(broker):
    is_mended = False
    notebook = Notebook(lambda delivery: None if is_mended or delivery.message_id == "good" else Permanent("broken", "It is."))
    await broker.publish(EXCHANGE, outgoing("a", "b", "good", "c"))
    await broker.consume(WORK, notebook)
    await eventually(lambda: dead(broker, 3))
    is_mended = True
    assert await broker.requeue("work", {"b", "never seen"}) == ["b"]
    await eventually(lambda: notebook.ids[-1] == "b")
    last = notebook.seen[-1]
    assert (last.attempt, last.redelivered, last.routing_key, last.body) == (1, False, "work.piece.done", b'{"id": "b"}')
    await eventually(lambda: dead(broker, 2))
    assert sorted(await broker.requeue("work")) == ["a", "c"]
    await eventually(lambda: sorted(notebook.ids[-2:]) == ["a", "c"])
    assert await broker.requeue("work") == []
    await eventually(lambda: empty(broker, "work", "work.dead"))


async def dead(broker: Broker, number: int) -> bool:
    return await broker.depth("work.dead") == number


async def test_an_unexpected_failure_is_tried_as_often_as_there_are_delays(broker):
    notebook = Notebook(lambda _: ValueError("broken"))
    await broker.publish(EXCHANGE, outgoing("m"))
    await broker.consume(WORK, notebook)
    await notebook.wait_for(3)
    await eventually(lambda: broker.depth("work.dead"))
    assert [delivery.attempt for delivery in notebook.seen] == [1, 2, 3]
    (dead,) = await broker.dead_letters("work", 10)
    assert "ValueError: broken" in dead.sentence


async def test_backpressure_holds_the_line_and_keeps_the_order(broker):
    pressed = []

    def act(delivery):
        pressed.append(delivery.message_id)
        return Backpressure(0.1, sentence="The database does not answer.") if len(pressed) <= 3 else None

    notebook = Notebook(act)
    await broker.publish(EXCHANGE, outgoing("a", "b"))
    await broker.consume(WORK, notebook)
    await eventually(lambda: "does not answer" in " ".join(broker.complaints()))
    await notebook.wait_for(5)
    assert notebook.ids == ["a", "a", "a", "a", "b"]
    assert {delivery.attempt for delivery in notebook.seen} == {1}
    assert broker.complaints() == []


async def test_a_consumer_under_backpressure_closes_at_once_and_loses_nothing(broker):
    notebook = Notebook(lambda _: Backpressure(30))
    await broker.publish(EXCHANGE, outgoing("a", "b"))
    consumer = await broker.consume(WORK, notebook)
    await notebook.wait_for(1)
    async with asyncio.timeout(20):  # its pause is longer
        await consumer.close()
    following = Notebook()
    await broker.consume(WORK, following)
    await following.wait_for(2)
    assert following.ids == ["a", "b"]


async def test_past_the_limit_of_dead_letters_in_a_row_the_line_stops_and_says_so(broker):
    notebook = Notebook(lambda delivery: None if delivery.message_id == "good" else Permanent("broken", "Broken."))
    await broker.publish(EXCHANGE, outgoing("d1", "d2", "good", "d3", "d4", "d5", "kept", "kept2"))
    consumer = await broker.consume(WORK, notebook)
    await eventually(broker.complaints)
    assert "work" in broker.complaints()[0]
    assert await broker.depth("work.dead") == 5
    await consumer.close()
    following = Notebook()
    await broker.consume(WORK, following)
    await following.wait_for(2)
    assert following.ids == ["kept", "kept2"]
    assert broker.complaints() == []


async def test_one_consumer_is_active_and_another_takes_over(broker):
    first, second = Notebook(), Notebook()
    active = await broker.consume(WORK, first)
    await asyncio.sleep(0.5)
    await broker.consume(WORK, second)
    await asyncio.sleep(0.5)
    await broker.publish(EXCHANGE, outgoing(*"abcdef"))
    await first.wait_for(6)
    assert second.seen == []
    await active.close()
    await broker.publish(EXCHANGE, outgoing("last"))
    await second.wait_for(1)
    assert (first.ids, second.ids) == (list("abcdef"), ["last"])


async def test_an_empty_publication_is_nothing(broker):
    await broker.publish(EXCHANGE, [])
    assert await empty(broker, "work", "other")


async def test_a_large_body_comes_through_unchanged(broker):
    body = bytes(range(256)) * 4_000
    await broker.publish(EXCHANGE, [Outgoing("work.piece.done", body, "big")])
    notebook = Notebook()
    await broker.consume(WORK, notebook)
    await notebook.wait_for(1)
    assert notebook.seen[0].body == body
