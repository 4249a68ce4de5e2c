"""Webhooks through the real door into a real database: stored once, answered after the commit, refused with a reason."""

from __future__ import annotations

import asyncio

import pytest
from support.engines import DATABASES
from support.ingest_stage import MAX_BODY_BYTES, SECOND_SITE, SITE, Stage, basic, golden, ingest_stage, invoice, webhook


@pytest.fixture(params=DATABASES)
async def stage(request, tmp_path):
    async with ingest_stage(request.param, tmp_path) as made:
        yield made


async def test_an_event_is_stored_byte_for_byte_before_the_answer(stage: Stage):
    body = (
        b'{ "id":"ev_1",\n "event_type":"invoice_generated", "content":{"x":{"rate": 1.50, "naam":"Caf\xc3\xa9"}}, "new":null }'
    )
    answer = await stage.post(body)
    assert (answer.status_code, answer.json()) == (200, {"status": "stored"})
    [event] = await stage.stored()
    assert bytes(event.data) == body
    assert event.subject == f"{SITE}/event/ev_1"
    assert event.traceparent is not None


async def test_a_duplicate_gets_200_and_changes_nothing(stage: Stage):
    await stage.accept(golden("invoice_generated"))
    again = golden("invoice_generated") | {"webhook_status": "re_scheduled", "webhooks": [{"id": "whv2_1"}]}
    answer = await stage.post(again)
    assert (answer.status_code, answer.json()) == (200, {"status": "duplicate"})
    assert len(await stage.stored()) == 1
    assert len(await stage.facts()) == 1


async def test_twenty_deliveries_at_once_are_one_event(stage: Stage):
    body = webhook("ev_1", invoice=invoice("INV-1", 1))
    answers = await asyncio.gather(*(stage.post(body) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["status"] for answer in answers) == ["duplicate"] * 19 + ["stored"]
    assert len(await stage.stored()) == 1
    assert len(await stage.facts()) == 1


async def test_many_events_at_once_are_all_stored(stage: Stage):
    bodies = [webhook(f"ev_{number}", invoice=invoice(f"INV-{number % 50}", number)) for number in range(300)]
    answers = await asyncio.gather(*(stage.post(body) for body in bodies))
    assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(200, "stored")}
    assert {event.key for event in await stage.stored()} == {f"{SITE}/ev_{number}" for number in range(300)}


async def test_the_same_event_id_at_two_sites_is_two_events(stage: Stage):
    body = webhook("ev_1", invoice=invoice("INV-1", 1))
    answers = [await stage.post(body, site=site) for site in (SITE, SECOND_SITE, SITE)]
    assert [answer.json()["status"] for answer in answers] == ["stored", "stored", "duplicate"]
    assert {fact.site for fact in await stage.facts()} == {SITE, SECOND_SITE}


@pytest.mark.parametrize("authorization", ["", "Basic", "Bearer x", basic(password="fout"), basic(username="jan")])
async def test_strangers_are_turned_away(tmp_path, authorization):
    async with ingest_stage("sqlite", tmp_path) as stage:
        answer = await stage.post(golden("invoice_generated"), authorization=authorization)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert answer.json()["code"] == "credentials_wrong"
        # Who has no password does not learn which sites there are.
        assert (await stage.post(b"{}", site="nergens", authorization=authorization)).status_code == 401
        assert await stage.stored() == []


async def test_refusals_say_what_is_wrong(tmp_path):
    async with ingest_stage("sqlite", tmp_path) as stage:
        unknown = await stage.post(golden("invoice_generated"), site="andere-site")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "site_unknown")
        garbage = await stage.post(b"<html>")
        assert (garbage.status_code, garbage.json()["code"]) == (422, "not_json")
        assert garbage.json()["message"].endswith(".")
        assert (await stage.client.get(f"/webhooks/chargebee/{SITE}")).status_code == 405
        assert await stage.stored() == []


async def in_chunks(size: int):
    yield b'{"id":"ev_1","event_type":"x","content":{"a":"'
    for _ in range(size // 1000):
        yield b"x" * 1000
    yield b'"}}'


async def test_the_body_is_bounded_announced_or_not(tmp_path):
    async with ingest_stage("sqlite", tmp_path) as stage:
        large = await stage.post(b"x" * (MAX_BODY_BYTES + 1))
        assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
        chunked = await stage.post(in_chunks(MAX_BODY_BYTES))
        assert (chunked.status_code, chunked.json()["code"]) == (413, "body_too_large")
        assert (await stage.post(in_chunks(MAX_BODY_BYTES - 1000))).status_code == 200
        for strange in ("9" * 5000, "-1", "x"):
            assert (await stage.post(b"{}", headers={"content-length": strange})).status_code in {413, 422}


async def test_while_the_database_fails_nobody_is_told_200(tmp_path):
    async with ingest_stage("sqlite", tmp_path) as stage:
        async with stage.database.transaction() as connection:
            await connection.exec_driver_sql("ALTER TABLE event_log RENAME TO event_log_away")
        bodies = [webhook(f"ev_{number}", invoice=invoice("INV-1", number)) for number in range(10)]
        refused = await asyncio.gather(*(stage.post(body) for body in bodies))
        assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(503, "store_unavailable")}
        async with stage.database.transaction() as connection:
            await connection.exec_driver_sql("ALTER TABLE event_log_away RENAME TO event_log")
        await stage.accept(*bodies)
        assert len(await stage.stored()) == 10


@pytest.mark.postgres
async def test_after_the_database_came_back_webhooks_are_taken_again(tmp_path):
    async with ingest_stage("postgresql", tmp_path) as stage:
        await stage.accept(webhook("ev_0"))
        async with stage.database.reading() as connection:
            await connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        body = webhook("ev_1", invoice=invoice("INV-1", 1))
        statuses = [(await stage.post(body)).status_code for _ in range(5)]
        assert set(statuses) <= {200, 503}
        assert statuses[-1] == 200
        assert {event.key for event in await stage.stored()} == {f"{SITE}/ev_0", f"{SITE}/ev_1"}


async def test_the_outcomes_are_counted(tmp_path):
    async with ingest_stage("sqlite", tmp_path) as stage:
        await stage.accept(golden("invoice_generated"), golden("invoice_generated"))
        await stage.post(b"{")
        exposition = stage.telemetry.exposition().decode()
        for outcome in ("stored", "duplicate", "refused"):
            assert f'kruispost_webhooks_received_total{{outcome="{outcome}"}} 1.0' in exposition
