"""Webhooks of the Chargebee stand-in: asynchronous, more than once, out of order, and again until they are taken."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from support.chargebee_shop import bill, calling, shop
from support.webhook_receiver import basic, receiving, until

from simulators.chargebee import invoices
from simulators.chargebee.app import ChargebeeSimulator
from simulators.chargebee.settings import WebhookEndpoint


@asynccontextmanager
async def sending(url: str, **settings: Any) -> AsyncIterator[ChargebeeSimulator]:
    """A shop whose webhooks go to an address while the block runs; what its stocking sent is delivered first."""
    app = shop(webhooks=(WebhookEndpoint(url, "hook", "secret"),), **settings)
    await app.sender.start()
    try:
        yield app
    finally:
        await app.sender.stop()


async def test_the_body_is_the_event_that_the_api_shows_and_auth_is_basic():
    async with receiving() as receiver, sending(receiver.url) as app:
        event = (await receiver.wait_for(4))[0]
        await until(lambda: app.sender.pending == 0)
        assert receiver.headers[0]["authorization"] == basic("hook", "secret")
        assert receiver.headers[0]["content-type"] == "application/json"
        assert not any("signature" in name for name in receiver.headers[0])
        assert "webhooks" not in event
        assert event["webhook_status"] == "scheduled"
        async with calling(app) as client:
            stored = (await client.get(f"/events/{event['id']}")).json()["event"]
    assert stored["webhook_status"] == "succeeded"
    assert stored["webhooks"][0]["webhook_status"] == "succeeded"
    assert stored["content"] == event["content"]


async def test_a_refused_event_comes_again_with_its_status_and_its_own_id():
    async with receiving() as receiver, sending(receiver.url, retry_scale=0.0001) as app:
        await receiver.wait_for(4)
        receiver.answers = [500, 401]
        bill(app)
        deliveries = (await receiver.wait_for(7))[4:]
    assert {event["id"] for event in deliveries} == {deliveries[0]["id"]}
    assert "webhooks" not in deliveries[0]
    assert deliveries[1]["webhook_status"] == "re_scheduled"
    assert deliveries[1]["webhooks"][0]["object"] == "webhook"
    assert deliveries[1]["webhook_failure_reason"] == "Received error code 500 from server."


async def test_after_seven_retries_the_event_has_failed_until_somebody_sends_it_again():
    async with receiving() as receiver, sending(receiver.url, retry_scale=0.000001) as app:
        await receiver.wait_for(4)
        receiver.answers = [503] * 8
        bill(app)
        await receiver.wait_for(12)
        await until(lambda: bool(app.sender.failed))
        assert app.site.events[-1]["webhook_status"] == "failed"
        assert app.sender.resend(app.sender.failed[0])
        await receiver.wait_for(13)
        await until(lambda: app.sender.pending == 0)
    assert app.site.events[-1]["webhook_status"] == "succeeded"


async def test_a_receiver_that_was_down_gets_everything_once_it_is_back():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    async with sending(f"http://127.0.0.1:{port}/hook", retry_scale=0.0005) as app:
        await until(lambda: app.sender.sent >= 4)
        async with receiving() as receiver:
            app.sender.endpoints[0] = WebhookEndpoint(receiver.url)
            number = bill(app)["id"]
            await receiver.wait_for(1)
    assert receiver.events[0]["content"]["invoice"]["id"] == number
    assert all(event["webhook_status"] == "re_scheduled" for event in app.site.events[:4])


async def test_duplicates_carry_the_same_id():
    async with receiving() as receiver, sending(receiver.url, webhook_duplicated_per_mille=1_000) as app:
        await receiver.wait_for(8)
        ids = [event["id"] for event in receiver.events]
    assert sorted(ids) == sorted([event["id"] for event in app.site.events] * 2)
    assert not any("webhooks" in event for event in receiver.events)  # a duplicate is no re-delivery


async def test_events_overtake_each_other_within_the_window():
    disorder = {"webhook_disordered_per_mille": 500, "webhook_disorder_seconds": 0.3}
    async with receiving() as receiver, sending(receiver.url, **disorder) as app:
        number = bill(app)["id"]
        for step in range(20):
            invoices.update_details(app.site, number, {"po_number": f"PO-{step}"})
        await receiver.wait_for(25)
        versions = [e["content"]["invoice"]["resource_version"] for e in receiver.events if "invoice" in e["content"]]
    assert len(set(versions)) == 21
    assert versions != sorted(versions)


async def test_dropped_events_are_still_in_the_event_list():
    async with receiving() as receiver, sending(receiver.url, webhook_dropped_per_mille=1_000) as app:
        bill(app)
        async with calling(app) as client:
            events = (await client.get("/events", params={"limit": 100})).json()["list"]
        assert app.sender.dropped == len(events) == 5
    assert receiver.events == []


async def test_more_endpoints_all_get_the_event_and_may_choose_types():
    async with receiving() as receiver, sending(receiver.url) as app:
        await receiver.wait_for(4)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sim") as client:
            wanted = {"url": receiver.url, "enabled_events": ["invoice_generated"]}
            await client.post("/_simulator/webhook-endpoints", json=wanted)
        number = bill(app)["id"]
        invoices.update_details(app.site, number, {"po_number": "PO-9"})
        types = [event["event_type"] for event in (await receiver.wait_for(7))[4:]]
    assert sorted(types) == ["invoice_generated", "invoice_generated", "invoice_updated"]
