"""From stored events to facts, without a database: what is read, what is news and what cannot be read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import msgspec
import pytest
from support.ingest_stage import SITE, golden, invoice, raw_resource, webhook

from contracts import facts
from contracts.envelope import Envelope
from contracts.messages import unseal
from ingest.received import read_event
from ingest.translate import EVENT_RECEIVED, Observation, ResourceKey, Unreadable, news, observe

ARRIVED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def received(body: dict[str, Any] | bytes) -> Envelope:
    event = read_event(body if isinstance(body, bytes) else json.dumps(body).encode())
    return Envelope(
        id=f"raw-{event.event_id}",
        type=EVENT_RECEIVED,
        version=1,
        source="ingest",
        subject=f"{SITE}/event/{event.event_id}",
        time=ARRIVED,
        key=f"{SITE}/{event.event_id}",
        correlation=f"raw-{event.event_id}",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        data=msgspec.Raw(event.body),
    )


def seen_in(body: dict[str, Any]) -> list[Observation]:
    parts = list(observe(received(body)))
    assert all(isinstance(part, Observation) for part in parts), parts
    return [part for part in parts if isinstance(part, Observation)]


def the_fact(body: dict[str, Any]) -> facts.Observed:
    [one] = seen_in(body)
    fact = unseal(one.fact)
    assert isinstance(fact, facts.Observed)
    return fact


def test_every_accounting_resource_of_an_event_becomes_a_fact_with_its_customer_as_key():
    parts = seen_in(golden("payment_refunded"))
    assert [(part.fact.type, part.fact.subject, part.fact.key) for part in parts] == [
        ("chargebee.customer.observed", f"{SITE}/customer/klant-0117", f"{SITE}/klant-0117"),
        ("chargebee.subscription.observed", f"{SITE}/subscription/KpSub0117", f"{SITE}/klant-0117"),
        ("chargebee.invoice.observed", f"{SITE}/invoice/KP-2026-0041", f"{SITE}/klant-0117"),
        ("chargebee.credit_note.observed", f"{SITE}/credit_note/KP-CN-0008", f"{SITE}/klant-0117"),
        ("chargebee.transaction.observed", f"{SITE}/transaction/txn_KpTerug01", f"{SITE}/klant-0117"),
    ]


def test_arrays_of_credit_notes_are_read_as_well():
    subjects = [part.fact.subject for part in seen_in(golden("subscription_changed"))]
    assert f"{SITE}/credit_note/KP-CN-0010" in subjects
    assert f"{SITE}/credit_note/KP-CN-0011" in subjects


def test_products_are_ordered_by_themselves():
    [one] = seen_in(golden("item_price_created"))
    assert one.fact.key == f"{SITE}/bureau-maand-eur"


def test_a_fact_says_where_it_comes_from():
    body = golden("invoice_generated")
    [one] = seen_in(body)
    fact = unseal(one.fact)
    assert isinstance(fact, facts.InvoiceObserved)
    assert (fact.site, fact.event_id, fact.event_type, fact.occurred_at) == (
        SITE,
        body["id"],
        "invoice_generated",
        body["occurred_at"],
    )
    assert fact.resource_version == body["content"]["invoice"]["resource_version"]
    assert fact.resource.total == 21807
    assert one.fact.causation == one.fact.correlation == f"raw-{body['id']}"
    assert one.fact.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_fields_we_do_not_know_survive():
    body = webhook("ev_1", invoice={**invoice("INV-1", 7), "cf_kostenplaats": {"code": "K1"}, "nieuw_in_2027": [1.10, None]})
    [one] = seen_in(body)
    assert raw_resource(one.fact) == body["content"]["invoice"]


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ({"resource_version": 1_767_225_600_123, "updated_at": 1}, 1_767_225_600_123),
        ({"updated_at": 1_767_225_000}, 1_767_225_000_000),
        ({}, 1_767_225_600_000),
    ],
)
def test_a_resource_without_a_version_gets_one_from_its_last_change(fields, version):
    assert the_fact(webhook("ev_1", invoice={"id": "INV-1", **fields})).resource_version == version


def test_an_event_that_does_not_say_when_counts_from_its_arrival():
    body = webhook("ev_1", invoice=invoice("INV-1", None))
    del body["occurred_at"]
    fact = the_fact(body)
    assert fact.occurred_at == int(ARRIVED.timestamp())
    assert fact.resource_version == int(ARRIVED.timestamp()) * 1000


@pytest.mark.parametrize("name", ["plan_deleted", "addon_deleted", "invoice_deleted", "customer_deleted", "transaction_deleted"])
def test_deletions_are_said_also_where_the_resource_does_not(name):
    gone = [unseal(one.fact) for one in seen_in(golden(name)) if one.key.kind == name.removesuffix("_deleted")]
    assert [isinstance(fact, facts.Observed) and fact.deleted for fact in gone] == [True]


def test_a_deleted_thing_in_another_event_is_not_a_deletion_of_its_companions():
    body = webhook("ev_1", "customer_deleted", customer={"id": "k", "deleted": True}, invoice=invoice("INV-1", 1))
    assert [unseal(one.fact).deleted for one in seen_in(body)] == [True, False]  # type: ignore[attr-defined]  # facts of ingest


@pytest.mark.parametrize("order", list(permutations([5, 3, 4])))
def test_only_newer_versions_are_news_whatever_the_order(order):
    observations = [one for version in order for one in seen_in(webhook(f"ev_{version}", invoice=invoice("INV-1", version)))]
    seen: dict[ResourceKey, int] = {}
    let_through = [one.resource_version for one in news(seen, observations)]
    assert let_through == [version for place, version in enumerate(order) if version == max(order[: place + 1])]
    assert list(news(seen, observations)) == []


def test_the_end_of_a_document_is_news_once_even_after_its_number_was_used_again():
    shown = [
        ("invoice_generated", 9),
        ("invoice_deleted", 5),
        ("invoice_deleted", 5),
        ("invoice_updated", 4),
        ("invoice_deleted", 3),
    ]
    observations = [
        one
        for place, (event, version) in enumerate(shown)
        for one in seen_in(webhook(f"ev_{place}", event, invoice=invoice("INV-1", version)))
    ]
    seen: dict[ResourceKey, int] = {}
    assert [one.resource_version for one in news(seen, observations)] == [9, 5]
    assert list(news(seen, observations)) == []


def test_versions_of_different_resources_and_sites_are_not_compared():
    observations = seen_in(webhook("ev_1", invoice=invoice("X", 9), transaction={"id": "X", "resource_version": 2}))
    assert len(list(news({}, observations))) == 2


def test_the_same_version_gives_the_same_message_id_whichever_event_showed_it():
    [first] = seen_in(webhook("ev_1", "invoice_generated", invoice=invoice("INV-1", 5)))
    [second] = seen_in(webhook("ev_2", "payment_succeeded", invoice=invoice("INV-1", 5)))
    [other] = seen_in(webhook("ev_3", invoice=invoice("INV-1", 6)))
    assert first.fact.id == second.fact.id != other.fact.id


@pytest.mark.parametrize(
    ("content", "path", "reason"),
    [
        ({"invoice": invoice("INV-1", 1, total="12100")}, "$.content.invoice.total", "Expected `int`, got `str`"),
        ({"invoice": invoice("INV-1", 1, total=121.5)}, "$.content.invoice.total", "Expected `int`, got `float`"),
        (
            {"invoice": invoice("INV-1", 1, line_items=[{}, {"amount": []}])},
            "$.content.invoice.line_items[1].amount",
            "Expected `int`",
        ),
        ({"credit_notes": [{"id": "C", "total": 1}, {"total": 1}]}, "$.content.credit_notes[1]", "missing required field `id`"),
        ({"credit_notes": {"id": 3}}, "$.content.credit_notes[0].id", "Expected `str`"),
        ({"customer": "klant-1"}, "$.content.customer", "Expected `object`"),
        ({"customer": {"id": ""}}, "$.content.customer.id", "printable"),
        ({"customer": {"id": "k\u0000"}}, "$.content.customer.id", "printable"),
        ({"customer": {"id": "k" * 201}}, "$.content.customer.id", "printable"),
        ({"invoice": invoice("INV-1", 1, customer_id="a\u0007")}, "$.content.invoice.customer_id", "printable"),
        ({"invoice": invoice("INV-1", 2**63)}, "$.content.invoice.resource_version", "not a version"),
        ({"invoice": invoice("INV-1", 1) | {"resource_version": {}}}, "$.content.invoice.resource_version", "Expected `int"),
        ({"invoice": invoice("INV-1", -1)}, "$.content.invoice.resource_version", "not a version"),
        ({"invoice": invoice("INV-1", None, updated_at=10**30)}, "$.content.invoice.updated_at", "not a version"),
    ],
)
def test_what_does_not_fit_is_named_and_the_rest_is_read(content, path, reason):
    parts = list(observe(received(webhook("ev_1", item={"id": "bureau"}, **content))))
    [unreadable] = [part for part in parts if isinstance(part, Unreadable)]
    assert (unreadable.site, unreadable.event_id, unreadable.path) == (SITE, "ev_1", path)
    assert reason in unreadable.reason
    assert f"{SITE}/item/bureau" in [part.key.stream for part in parts if isinstance(part, Observation)]


@pytest.mark.parametrize("occurred_at", ["gisteren", -1, 10**15, None, {"a": 1}])
def test_an_impossible_moment_makes_it_unreadable_rather_than_guessed(occurred_at):
    [part] = observe(received(webhook("ev_1", invoice=invoice("INV-1", 1)) | {"occurred_at": occurred_at}))
    assert isinstance(part, Unreadable)


def test_absent_and_null_resources_are_simply_not_there():
    assert (
        list(observe(received(webhook("ev_1", "new_event_of_2027", invoice=None, credit_notes=None, gadget={"id": "g"})))) == []
    )
