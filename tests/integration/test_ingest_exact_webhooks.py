"""Exact's webhooks at the door: only what Exact signed is heard, and a flood of it becomes a handful of hints."""

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from support.lines import eventually

from backbone.broker_embedded import EmbeddedBroker
from backbone.clock import SystemClock
from backbone.errors import BrokerUnavailableError
from backbone.telemetry import Telemetry
from contracts.envelope import decode
from contracts.messages import unseal
from contracts.parcels import MOST_KEYS
from contracts.topology import parcels_queue, topology
from ingest import hints as hinting
from ingest.exact_webhook import ExactDoor
from ingest.hints import Hints
from simulators.exact.seed import seed
from simulators.exact.settings import ExactSettings
from simulators.exact.webhooks import Webhooks
from simulators.exact.world import World

DIVISION, OTHER_DIVISION = 100001, 100002
SECRET = "het geheim van de app"
KEY = "b1f0e2c0-0001-4000-8000-000000000001"


async def is_empty(broker, queue):
    """Say whether nothing waits, counting what is in a consumer's hands as waiting."""
    return await broker.depth(queue) == 0


def signed(secret=SECRET, content=None, **more):
    """A webhook as Exact writes it: the bytes of Content, and what signs them."""
    known = {"Topic": "BankEntries", "ClientId": KEY, "Division": DIVISION, "Action": "Update", "Key": KEY, **more}
    raw = content if content is not None else json.dumps({**known, "EventCreatedOn": "2026-03-02T22:56:23.087"}).encode()
    code = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest().upper()
    return b'{"Content":' + raw + b',"HashCode":"' + code.encode() + b'"}'


class Door:
    def __init__(self, http, hints, broker, telemetry):
        self.http, self.hints, self.broker, self.telemetry = http, hints, broker, telemetry

    async def post(self, body):
        return await self.http.post("/webhooks/exact", content=body)

    async def sent(self, division=DIVISION):
        """What reached the queue of a division's writer since the last look."""
        queue = topology([DIVISION, OTHER_DIVISION]).queue(parcels_queue(division))
        found = []

        async def take(delivery):
            found.append(unseal(decode(delivery.body)))

        consumer = await self.broker.consume(queue, take)
        await eventually(lambda: is_empty(self.broker, queue.name))
        await consumer.close()
        return found


@asynccontextmanager
async def opened(tmp_path, secret=SECRET):
    broker, telemetry = EmbeddedBroker(tmp_path / "broker.sqlite"), Telemetry()
    await broker.declare(topology([DIVISION, OTHER_DIVISION]))
    hints = Hints(broker, SystemClock(), telemetry)
    door = ExactDoor(hints, secret, [DIVISION, OTHER_DIVISION], max_body_bytes=10_000, telemetry=telemetry)
    site = FastAPI()
    site.include_router(door.router())
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=site), base_url="http://door.test") as http:
            yield Door(http, hints, broker, telemetry)
    finally:
        await broker.close()


async def test_what_exact_signed_reaches_the_writer_of_its_division_with_what_changed(tmp_path):
    async with opened(tmp_path) as door:
        began = time.time()
        answer = await door.post(signed())
        assert (answer.status_code, answer.json()) == (200, {"status": "heard"})
        assert (await door.post(signed(Division=OTHER_DIVISION, Topic="Accounts", Action="Delete"))).status_code == 200
        await door.hints.send_due()
        (hint,) = await door.sent()
        assert (hint.division, hint.topic, hint.keys, hint.has_deleted) == (DIVISION, "BankEntries", (KEY,), False)
        assert began <= hint.heard_at <= time.time()
        (other,) = await door.sent(OTHER_DIVISION)
        assert (other.topic, other.has_deleted) == ("Accounts", True)


async def test_what_the_stand_in_for_exact_signs_is_heard(tmp_path):
    settings = ExactSettings(webhook_secret=SECRET)
    world = World(settings)
    seed(world)
    body = Webhooks(settings).body(world.divisions[DIVISION], uuid.UUID(KEY), "GLAccounts", "Update", uuid.UUID(KEY))
    async with opened(tmp_path) as door:
        assert (await door.post(body)).json() == {"status": "heard"}


@pytest.mark.parametrize("position", range(0, 40, 13))
async def test_one_changed_byte_of_the_content_is_refused(tmp_path, position):
    async with opened(tmp_path) as door:
        body = signed()
        at = body.index(b'"Division"') + position
        changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        assert (await door.post(changed)).status_code in {401, 422}
        assert await door.hints.send_due() is None
        assert await door.sent() == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (signed(secret="een ander geheim"), 401, "signature_wrong"),
        (signed().replace(b'"HashCode":"', b'"HashCode":"\xc3\xa9'), 401, "signature_wrong"),
        (signed()[: signed().index(b',"HashCode"')] + b"}", 401, "signature_wrong"),
        (signed().replace(b': "BankEntries"', b':"BankEntries"'), 401, "signature_wrong"),  # the same JSON, other bytes
        (b"{}", 422, "exact_webhook_unreadable"),
        (b"[1]", 422, "exact_webhook_unreadable"),
        (b"\xff\xfe", 422, "exact_webhook_unreadable"),
        (signed().replace(b'"HashCode":"', b'"HashCode":"\xff'), 422, "exact_webhook_unreadable"),
        (signed(content=b'{"Division":100001,"Topic":"\xff"}'), 422, "exact_webhook_unreadable"),
        (b'{"Content":' * 2_000, 413, "body_too_large"),
        (b'{"Content":' * 900, 422, "exact_webhook_unreadable"),
        (signed(content=b"7"), 422, "exact_webhook_unreadable"),
        (signed(content=b"[" * 4_000 + b"]" * 4_000), 422, "exact_webhook_unreadable"),
        (signed(Division="honderdduizend"), 422, "exact_webhook_unreadable"),
        (signed(Topic="T" * 101), 422, "exact_webhook_unreadable"),
        (signed(Key="x\ny"), 422, "exact_webhook_unreadable"),
        (signed() + b" " * 10_000, 413, "body_too_large"),
    ],
)
async def test_anything_else_gets_a_reason_and_hints_nothing(tmp_path, body, status, code):
    async with opened(tmp_path) as door:
        answer = await door.post(body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert SECRET not in answer.text
        assert await door.hints.send_due() is None


async def test_the_empty_body_by_which_exact_tries_an_address_is_answered_and_hints_nothing(tmp_path):
    async with opened(tmp_path) as door:
        assert (await door.post(b"")).status_code == 200
        assert await door.hints.send_due() is None


async def test_without_a_secret_nothing_is_let_in_so_that_subscribing_fails_at_once(tmp_path):
    async with opened(tmp_path, secret=None) as door:
        for body in (b"", signed(), signed(secret="")):
            answer = await door.post(body)
            assert (answer.status_code, answer.json()["code"]) == (404, "exact_webhooks_off")


async def test_what_is_signed_about_a_division_that_is_not_ours_is_dropped_and_not_sent_again(tmp_path):
    async with opened(tmp_path) as door:
        answer = await door.post(signed(Division=999_999))
        assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})
        assert await door.hints.send_due() is None


async def test_a_flood_is_one_message_now_and_one_after_the_pause(tmp_path, monkeypatch):
    monkeypatch.setattr(hinting, "EVERY_SECONDS", 1.5)
    async with opened(tmp_path) as door:
        stop = asyncio.Event()
        running = asyncio.create_task(door.hints.run(stop))
        for number in range(10_000):
            door.hints.hear(DIVISION, "BankEntries", f"key-{number}")
            if number % 4_000 == 0:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1.6)
        stop.set()
        await asyncio.wait_for(running, 60)
        first, second = await door.sent()
        assert first.keys == ("key-0",)
        assert second.keys == (), "which of so many changed is not worth carrying"


@pytest.mark.parametrize(("is_away", "sent"), [(False, ["first", "second"]), (True, ["first"])])
async def test_a_stop_sends_what_waits_for_its_turn_and_waits_for_no_broker(tmp_path, monkeypatch, is_away, sent):
    async def away(*_):
        raise BrokerUnavailableError("de post is dicht")

    async with opened(tmp_path) as door:
        stop = asyncio.Event()
        door.hints.hear(DIVISION, "JournalStatusList", "first")
        await door.hints.send_due()
        running = asyncio.create_task(door.hints.run(stop))
        await asyncio.sleep(0.05)
        door.hints.hear(DIVISION, "JournalStatusList", "second")
        if is_away:
            monkeypatch.setattr(door.broker, "publish", away)
        stop.set()
        await asyncio.wait_for(running, 60)
        assert [hint.keys[0] for hint in await door.sent()] == sent


async def test_the_same_event_twice_and_its_lines_event_are_one_key(tmp_path):
    async with opened(tmp_path) as door:
        for _ in range(3):
            await door.post(signed())
        for number in range(MOST_KEYS - 1):
            door.hints.hear(DIVISION, "BankEntries", f"key-{number}")
        await door.hints.send_due()
        (hint,) = await door.sent()
        assert len(hint.keys) == MOST_KEYS


async def test_a_hint_waits_for_a_broker_that_is_away_and_forgets_no_deletion(tmp_path, monkeypatch):
    async with opened(tmp_path) as door:
        publish = door.broker.publish

        async def away(*_):
            door.hints.hear(DIVISION, "BankEntries", "later")
            raise BrokerUnavailableError("de post is dicht")

        await door.post(signed(Action="Delete"))
        monkeypatch.setattr(door.broker, "publish", away)
        with pytest.raises(BrokerUnavailableError):
            await door.hints.send_due()
        monkeypatch.setattr(door.broker, "publish", publish)
        monkeypatch.setattr(hinting, "EVERY_SECONDS", 0.0)
        await door.hints.send_due()
        (hint,) = await door.sent()
        assert (hint.keys, hint.has_deleted) == ((), True)
