import asyncio
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from support.exact_simulator import exact, message

from simulators.exact.app import create_app
from simulators.exact.settings import ExactSettings

ACCOUNTS = "/api/v1/100001/crm/Accounts"
SUBSCRIPTIONS = "webhooks/WebhookSubscriptions"


@asynccontextmanager
async def _served(app: Any) -> AsyncIterator[str]:
    """The application on a real socket; gives its address."""
    listening = socket.create_server(("127.0.0.1", 0))  # calls queue here until the server accepts them
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()


@asynccontextmanager
async def _socket_client() -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, str]]]:
    async with _served(create_app(ExactSettings())) as address, httpx.AsyncClient(base_url=address, timeout=10) as http:
        tokens = (await http.post("/_simulator/tokens")).json()
        yield http, {"Authorization": f"Bearer {tokens['access_token']}", "Accept": "application/json"}


async def _names(http: httpx.AsyncClient, headers: dict[str, str]) -> list[str]:
    answer = await http.get(ACCOUNTS, params={"$select": "Name"}, headers=headers)
    return [row["Name"] for row in answer.json()["d"]["results"]]


@pytest.mark.parametrize(("fault", "booked"), [("lose_answer", True), ("drop_before", False), ("cut_answer", True)])
async def test_connections_are_cut_before_or_after_the_work_is_done(fault, booked):
    async with _socket_client() as (http, headers):
        order = {"fault": fault, "method": "POST", "path_contains": "Accounts"}
        assert (await http.post("/_simulator/faults", json=order)).status_code == 200
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await http.post(ACCOUNTS, json={"Name": "Bakker"}, headers=headers)
        assert await _names(http, headers) == (["Bakker"] if booked else [])
        assert (await http.post(ACCOUNTS, json={"Name": "Slager"}, headers=headers)).status_code == 201


async def test_a_delay_after_the_work_outlasts_the_client():
    async with _socket_client() as (http, headers):
        await http.post("/_simulator/faults", json={"fault": "delay_after", "method": "POST", "seconds": 2})
        with pytest.raises(httpx.ReadTimeout):
            await http.post(ACCOUNTS, json={"Name": "Bakker"}, headers=headers, timeout=0.3)
        assert await _names(http, headers) == ["Bakker"]


async def test_two_calls_at_once_are_noticed():
    async with _socket_client() as (http, headers):
        await http.post("/_simulator/faults", json={"fault": "delay", "times": 2, "seconds": 0.2})
        await asyncio.gather(*(http.get(ACCOUNTS, headers=headers) for _ in range(2)))
        assert (await http.get("/_simulator/calls")).json()["concurrent_max"] == 2


@pytest.mark.parametrize(
    ("order", "status", "booked"),
    [
        ({"fault": "status", "status": 503, "retry_after_seconds": 7}, 503, False),
        ({"fault": "status_after", "status": 503}, 503, True),
        ({"fault": "html_502"}, 502, False),
        ({"fault": "html_502_after"}, 502, True),
    ],
)
async def test_answers_that_are_not_exact_s_own(order, status, booked):
    async with exact() as client:
        await client.control("faults", **order, method="POST")
        answer = await client.post("crm/Accounts", {"Name": "Bakker"})
        assert answer.status_code == status
        assert answer.headers.get("retry-after") == ("7" if "retry_after_seconds" in order else None)
        assert len(await client.rows("crm/Accounts")) == booked


async def test_faults_strike_as_often_and_as_late_as_ordered():
    async with exact() as client:
        await client.control("faults", fault="status", method="GET", path_contains="Contacts", times=2, skip=1)
        statuses = [(await client.get("crm/Contacts")).status_code for _ in range(4)]
        assert statuses == [200, 503, 503, 200]
        await client.control("faults", fault="status", times=5)
        await client.http.delete("/_simulator/faults")
        assert (await client.get("crm/Contacts")).status_code == 200
        assert (await client.control("faults", fault="explode")).status_code == 422


async def test_a_lost_answer_in_process_looks_like_one_on_a_socket():
    async with exact() as client:
        await client.control("faults", fault="lose_answer")
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("crm/Accounts", {"Name": "Bakker"})
        assert len(await client.rows("crm/Accounts")) == 1
        assert (await client.calls())["concurrent_max"] == 1


class _Receiver:
    """A small web application that keeps what it is sent and answers as told."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.bodies: list[bytes] = []

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body += part.get("body", b"")
            more = part.get("more_body", False)
        self.bodies.append(body)
        status = self.statuses.pop(0) if self.statuses else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def test_events_are_signed_over_their_own_bytes():
    receiver = _Receiver()
    async with _served(receiver) as address, exact(webhook_address="any") as client:
        body = {"Topic": "SalesEntries", "CallbackURL": f"{address}/hook"}
        assert (await client.post(SUBSCRIPTIONS, body)).status_code == 201
        assert receiver.bodies == [b""]  # the empty validation
        assert message(await client.post(SUBSCRIPTIONS, body)) == "Gegeven bestaat reeds."
        entry_id = (await client.sell(await client.customer(), "INV-1")).json()["d"]["EntryID"]
        await client.simulator.webhooks.drain()
        events = receiver.bodies[1:]
        assert len(events) == 2  # one for the header, one for its lines
        raw = events[0]
        content = raw[len(b'{"Content":') : raw.rindex(b',"HashCode":')]
        secret = client.simulator.settings.webhook_secret.encode()
        expected = hmac.new(secret, content, hashlib.sha256).hexdigest().upper()
        event = json.loads(raw)
        assert event["HashCode"] == expected
        assert event["Content"]["Key"] == entry_id
        assert (event["Content"]["Topic"], event["Content"]["Action"]) == ("SalesEntries", "Update")


async def test_a_subscription_needs_a_callback_that_answers():
    receiver = _Receiver(401)
    async with _served(receiver) as address, exact(webhook_address="any") as client:
        body = {"Topic": "BankEntries", "CallbackURL": f"{address}/hook"}
        assert (await client.post(SUBSCRIPTIONS, body)).status_code == 500
        assert await client.rows(SUBSCRIPTIONS) == []
        assert message(await client.post(SUBSCRIPTIONS, {**body, "Topic": "Receivables"})).startswith("Ongeldig:")


async def test_an_event_is_sent_again_until_it_is_accepted():
    receiver = _Receiver(200, 503, 503, 201)
    async with _served(receiver) as address, exact(webhook_address="any", webhook_retry_seconds=0.001) as client:
        await client.post(SUBSCRIPTIONS, {"Topic": "Accounts", "CallbackURL": f"{address}/hook"})
        await client.customer()
        await client.simulator.webhooks.drain()
        assert len(receiver.bodies) == 4
        assert (await client.http.get("/_simulator/webhooks")).json() == {"delivered": 1, "lost": 0}


async def test_a_closed_period_is_announced():
    receiver = _Receiver()
    async with _served(receiver) as address, exact(webhook_address="any") as client:
        await client.post(SUBSCRIPTIONS, {"Topic": "JournalStatusList", "CallbackURL": f"{address}/hook"})
        await client.control("periods", division=100001, journal="70", year=2026, period=1, open=False)
        await client.simulator.webhooks.drain()
        assert json.loads(receiver.bodies[-1])["Content"]["Topic"] == "JournalStatusList"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("https://kruispost.example/webhooks/exact", 201),
        ("http://kruispost.example/webhooks/exact", 500),
        ("https://elders.example/webhooks/exact", 500),
    ],
)
async def test_a_callback_must_be_https_on_the_domain_of_the_redirect_address(address, status):
    receiver = _Receiver()
    redirect = "https://kruispost.example/oauth/callback"
    async with _served(receiver) as ingress, exact(redirect_uri=redirect, webhook_ingress=ingress) as client:
        assert (await client.post(SUBSCRIPTIONS, {"Topic": "Accounts", "CallbackURL": address})).status_code == status
        assert len(await client.rows(SUBSCRIPTIONS)) == (status == 201)


async def test_a_subscription_is_deleted_but_never_changed():
    async with _served(_Receiver()) as ingress, exact(webhook_ingress=ingress) as client:
        body = {"Topic": "Accounts", "CallbackURL": "https://kruispost.example/webhooks/exact"}
        key = (await client.post(SUBSCRIPTIONS, body)).json()["d"]["ID"]
        assert (await client.put(f"{SUBSCRIPTIONS}(guid'{key}')", body)).status_code == 405
        assert (await client.delete(f"{SUBSCRIPTIONS}(guid'{key}')")).status_code == 204
        assert (await client.post(SUBSCRIPTIONS, body)).status_code == 201


async def test_events_can_come_twice_out_of_order_or_not_at_all():
    receiver = _Receiver()
    unruly: dict[str, Any] = {"webhook_copies": 2, "webhook_lost_per_mille": 300, "webhook_disorder_seconds": 0.2}
    async with _served(receiver) as address, exact(webhook_address="any", **unruly) as client:
        await client.post(SUBSCRIPTIONS, {"Topic": "Accounts", "CallbackURL": f"{address}/hook"})
        made = [await client.customer(f"Klant {number}") for number in range(20)]
        await client.simulator.webhooks.drain()
        came = [json.loads(body)["Content"]["Key"] for body in receiver.bodies[1:]]
        told = (await client.http.get("/_simulator/webhooks")).json()
        assert (len(came), 40 - len(came)) == (told["delivered"], told["lost"])
        assert 0 < told["lost"] < 40
        assert sorted(came) != sorted(set(came))
        assert came != sorted(came, key=made.index)
