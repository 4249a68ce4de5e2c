"""Every message reaches the queues that need it, once, and every queue has its ways out."""

import itertools
from pathlib import Path

import pytest

from contracts.messages import COMMAND_TYPES, FACT_TYPES, PARCELS
from contracts.topology import (
    COMMANDS_EXCHANGE,
    CONSOLE_QUEUE,
    FACTS_EXCHANGE,
    INGEST_QUEUE,
    MAPPER_PARTITIONS,
    MATCHER_QUEUE,
    PARCELS_EXCHANGE,
    PUBLISHERS,
    command_routing_key,
    fact_routing_key,
    mapper_queue,
    parcel_routing_key,
    parcels_queue,
    partition,
    topology,
    writer_queue,
)

DIVISIONS = (100001, 100002)
TOPOLOGY = topology(DIVISIONS)
CUSTOMERS = [f"acme-test/customer-{number}" for number in range(200)]


def matches(pattern: list[str], words: list[str]) -> bool:
    """AMQP's rule for topics, written out: `*` is one word, `#` any number."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(matches(pattern[1:], words[taken:]) for taken in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and matches(pattern[1:], words[1:])


def queues_of(exchange: str, routing_key: str) -> list[str]:
    """Where a message with this key goes."""
    return [
        queue.name
        for queue in TOPOLOGY.queues
        if any(
            binding.exchange == exchange and matches(binding.pattern.split("."), routing_key.split("."))
            for binding in queue.bindings
        )
    ]


@pytest.mark.parametrize("message_type", sorted(FACT_TYPES))
def test_a_fact_reaches_the_console_and_at_most_one_partition_of_the_mapper(message_type):
    for customer in CUSTOMERS:
        queues = queues_of(FACTS_EXCHANGE, fact_routing_key(message_type, customer))
        assert CONSOLE_QUEUE in queues
        assert len([name for name in queues if name.startswith("mapper.")]) <= 1
        assert len(queues) == len(set(queues))


@pytest.mark.parametrize(
    ("message_type", "readers"),
    [
        ("chargebee.customer.observed", {"mapper", MATCHER_QUEUE}),
        ("chargebee.item_price.observed", {"mapper"}),
        ("chargebee.subscription.observed", {"mapper"}),
        ("chargebee.invoice.observed", {"mapper", MATCHER_QUEUE}),
        ("chargebee.credit_note.observed", {"mapper", "payment-matcher"}),
        ("chargebee.transaction.observed", {"mapper", MATCHER_QUEUE}),
        ("exact.account.saved", {"mapper", MATCHER_QUEUE}),
        ("exact.account.refused", {"mapper"}),
        ("exact.entry.posted", {"mapper", MATCHER_QUEUE}),
        ("exact.entry.refused", {"mapper"}),
        ("exact.period.observed", {"mapper"}),
        ("exact.receivable.observed", {MATCHER_QUEUE}),
        ("exact.bank_line.observed", {MATCHER_QUEUE}),
        ("matcher.payment.recorded", {"mapper"}),
        ("exact.pdf.wanted", {INGEST_QUEUE}),
    ],
)
def test_a_fact_reaches_those_who_act_on_it(message_type, readers):
    for customer in CUSTOMERS[:20]:
        queues = queues_of(FACTS_EXCHANGE, fact_routing_key(message_type, customer))
        wanted = {mapper_queue(partition(customer)) if reader == "mapper" else reader for reader in readers}
        assert {*queues} == {*wanted, CONSOLE_QUEUE}


@pytest.mark.parametrize(("message_type", "division"), list(itertools.product(sorted(COMMAND_TYPES), DIVISIONS)))
def test_a_command_reaches_the_writer_of_its_division_alone(message_type, division):
    queues = queues_of(COMMANDS_EXCHANGE, command_routing_key(message_type, division))
    assert {*queues} == {writer_queue(division), CONSOLE_QUEUE}


@pytest.mark.parametrize("division", DIVISIONS)
def test_a_parcel_reaches_the_writer_of_its_division_and_nobody_else_since_it_is_large(division):
    for parcel in PARCELS:
        assert queues_of(PARCELS_EXCHANGE, parcel_routing_key(parcel.TYPE, division)) == [parcels_queue(division)]


def test_customers_spread_over_all_partitions():
    assert {partition(customer) for customer in CUSTOMERS} == set(range(MAPPER_PARTITIONS))


def test_queues_whose_order_matters_have_one_active_consumer():
    ordered = [
        queue.name for queue in TOPOLOGY.queues if queue.name.startswith(("mapper.", "exact-writer.", "exact-writer-parcels."))
    ]
    assert len(ordered) == MAPPER_PARTITIONS + 2 * len(DIVISIONS)
    assert all(TOPOLOGY.queue(name).single_active for name in ordered)


def test_every_queue_has_retry_queues_that_wait_longer_each_time_and_a_place_for_dead_letters():
    names = []
    for queue in TOPOLOGY.queues:
        delays = queue.retry_delays_seconds
        assert delays, f"{queue.name} has no delayed retry"
        assert list(delays) == sorted(set(delays))
        assert queue.delivery_limit > len(delays)
        names += [queue.name, queue.dead_letters, *(queue.retry_queue(delay) for delay in delays)]
    assert len(names) == len(set(names)), "two queues share a name"


def test_queues_are_bound_only_to_exchanges_that_are_declared():
    assert {binding.exchange for queue in TOPOLOGY.queues for binding in queue.bindings} <= {*TOPOLOGY.exchanges}


def test_who_has_a_relay_or_sends_parcels_is_known_as_a_publisher():
    root = Path(__file__).parents[2]
    sources = {path: path.read_text() for part in ("services", "console") for path in (root / part).glob("**/src/**/*.py")}

    def services_with(text: str) -> set[str]:
        return {path.parent.name.replace("_", "-") for path, source in sources.items() if text in source}

    assert services_with("Relay(") == {*PUBLISHERS[FACTS_EXCHANGE]}
    assert services_with("publish(PARCELS_EXCHANGE") == {*PUBLISHERS[PARCELS_EXCHANGE]}
    assert {*PUBLISHERS} == {*TOPOLOGY.exchanges}


def test_every_queue_is_some_services_and_every_exchange_is_made_by_one():
    owners = {queue.owner for queue in TOPOLOGY.queues}
    parts = [TOPOLOGY.own(service) for service in sorted(owners)]
    assert sorted(name for part in parts for name in part.exchanges) == sorted(TOPOLOGY.exchanges)
    assert {queue.name for part in parts for queue in part.queues} == {queue.name for queue in TOPOLOGY.queues}
