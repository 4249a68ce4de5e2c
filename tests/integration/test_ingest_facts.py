"""From stored events to facts, on both databases: each resource once a version, whatever the order, nothing stopped."""

from __future__ import annotations

import json
import os
from collections import Counter
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.engines import DATABASES
from support.ingest_stage import GOLDEN, SITE, Stage, golden, ingest_stage, invoice, raw_resource, webhook

from backbone.event_log import read_stream
from contracts import facts
from contracts.messages import unseal
from ingest.translate import OBSERVED

NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))


@pytest.fixture(params=DATABASES)
async def stage(request, tmp_path):
    async with ingest_stage(request.param, tmp_path) as made:
        yield made


def test_the_recorded_shapes_are_many():
    assert len({golden(name)["event_type"] for name in NAMES}) >= 38


async def test_the_deletion_of_an_invoice_is_told_even_after_its_number_was_used_again(stage: Stage):
    gone = webhook("ev_5", "invoice_deleted", invoice=invoice("INV-1", 5, deleted=True))
    await stage.accept(webhook("ev_9", "invoice_generated", invoice=invoice("INV-1", 9)), gone)
    await stage.accept(gone, webhook("ev_4", "invoice_updated", invoice=invoice("INV-1", 4)))
    told = [(envelope.subject, fact.resource_version, fact.deleted) for envelope, fact in await stage.sealed_facts()]
    assert sorted(told) == [(f"{SITE}/invoice/INV-1", 5, True), (f"{SITE}/invoice/INV-1", 9, False)]


def expected_versions(bodies: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Fold what the bodies show in their order, written apart from the product: subject to the versions that are news."""
    versions: dict[str, list[int]] = {}
    for body in bodies:
        for kind in OBSERVED:
            single = body["content"].get(kind)
            for resource in ([single] if single else []) + body["content"].get(f"{kind}s", []):
                version = resource.get("resource_version") or resource.get("updated_at", body["occurred_at"]) * 1000
                known = versions.setdefault(f"{SITE}/{kind}/{resource['id']}", [])
                if not known or version > known[-1]:
                    known.append(version)
    return versions


async def observed_versions(stage: Stage) -> dict[str, list[int]]:
    pairs = [(envelope.subject, fact.resource_version) for envelope, fact in await stage.sealed_facts()]
    pairs.sort(key=lambda pair: pair[0])
    return {subject: [version for _, version in group] for subject, group in groupby(pairs, key=lambda pair: pair[0])}


@pytest.mark.parametrize("seed", [None, 1, 2])
async def test_every_shape_goes_through_the_door_and_nothing_is_lost(stage: Stage, seed):
    bodies = [golden(name) for name in NAMES]
    if seed is not None:
        bodies += Random(seed).choices(bodies, k=30)
        Random(seed).shuffle(bodies)
    await stage.accept(*bodies)
    assert await observed_versions(stage) == expected_versions(bodies)
    assert await stage.unreadable() == []
    assert len(await stage.stored()) == len(NAMES)


async def test_the_final_state_does_not_depend_on_the_order(tmp_path):
    finals = []
    for seed in range(3):
        bodies = [golden(name) for name in NAMES]
        Random(seed).shuffle(bodies)
        async with ingest_stage("sqlite", tmp_path / str(seed)) as stage:
            await stage.accept(*bodies)
            last = {envelope.subject: raw_resource(envelope) for envelope, _ in await stage.sealed_facts()}
        finals.append(last)
    assert finals[0] == finals[1] == finals[2]


async def test_older_versions_come_to_nothing_across_batches(stage: Stage):
    for version in (5, 3, 4, 7, 7, 6):
        await stage.accept(webhook(f"ev_{version}", invoice=invoice("INV-1", version, total=version)))
        await stage.translate()
    assert [(fact.resource_version, fact.resource.total) for _, fact in await stage.sealed_facts()] == [(5, 5), (7, 7)]
    async with stage.database.reading() as connection:
        stream = await read_stream(connection, f"{SITE}/invoice/INV-1")
    assert [recorded.version for recorded in stream] == [1, 2]


async def test_a_deletion_and_a_later_rebirth_are_two_facts(stage: Stage):
    await stage.accept(
        webhook("ev_1", "invoice_generated", invoice=invoice("INV-1", 1)),
        webhook("ev_2", "invoice_deleted", invoice=invoice("INV-1", 2, deleted=True)),
        webhook("ev_3", "invoice_updated", invoice=invoice("INV-1", 1)),
        webhook("ev_4", "invoice_generated", invoice=invoice("INV-1", 3)),
    )
    assert [(fact.resource_version, fact.deleted) for fact in await stage.facts()] == [(1, False), (2, True), (3, False)]


async def test_one_bad_resource_stops_neither_its_event_nor_the_line(stage: Stage):
    await stage.accept(
        webhook("ev_1", customer={"id": "klant-1", "resource_version": 1}, invoice=invoice("INV-1", 1, total="veel")),
        webhook("ev_2", invoice=invoice("INV-2", 1)),
    )
    assert [envelope.subject for envelope, _ in await stage.sealed_facts()] == [
        f"{SITE}/customer/klant-1",
        f"{SITE}/invoice/INV-2",
    ]
    [(event_id, path, reason)] = await stage.unreadable()
    assert (event_id, path) == ("ev_1", "$.content.invoice.total")
    assert "Expected `int`" in reason
    assert 'kruispost_unreadable_resources_total{kind="invoice"} 1.0' in stage.telemetry.exposition().decode()
    # A newer, readable version is taken as if nothing had been.
    await stage.accept(webhook("ev_3", invoice=invoice("INV-1", 2)))
    assert f"{SITE}/invoice/INV-1" in [envelope.subject for envelope, _ in await stage.sealed_facts()]


async def test_unknown_events_are_kept_and_say_nothing(stage: Stage):
    await stage.accept(golden("unknown_event_type"))
    assert await stage.facts() == []
    assert len(await stage.stored()) == 1


async def test_a_second_translator_on_the_same_log_repeats_nothing(stage: Stage):
    await stage.accept(*(webhook(f"ev_{number}", invoice=invoice("INV-1", number)) for number in range(5)))
    await stage.translate()
    other = Stage(stage.database)
    async with other.client:
        await other.translate()
        assert Counter(type(fact) for fact in await other.facts()) == {facts.InvoiceObserved: 5}


def events_in(document: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    """Find the events in a file: a webhook's body, or an answer or a resource of the API, put into an event of its own."""
    if not document:
        return []  # templates in which the interesting part was left out
    if "event_type" in document:
        return [document]
    if "list" in document:
        return [event for number, one in enumerate(document["list"]) for event in events_in(one, f"{name}-{number}")]
    if set(document) == {"event"}:
        return events_in(document["event"], name)
    content = {document["object"]: document} if "object" in document else document
    return [webhook(f"ev_{name}", "sample", **content)]


def sample_bodies() -> list[dict[str, Any]]:
    files = sorted(Path(os.environ["KRUISPOST_SAMPLES"]).rglob("*.json"))
    return [event for path in files for event in events_in(json.loads(path.read_text(encoding="utf-8")), path.stem)]


@pytest.mark.skipif("KRUISPOST_SAMPLES" not in os.environ, reason="KRUISPOST_SAMPLES names no folder of real bodies")
async def test_real_bodies_are_accepted_and_none_is_lost(stage: Stage):
    bodies = sample_bodies()
    await stage.accept(*bodies)
    assert await observed_versions(stage) == expected_versions(bodies)
    assert await stage.unreadable() == []
    assert all(unseal(envelope) == fact for envelope, fact in await stage.sealed_facts())
