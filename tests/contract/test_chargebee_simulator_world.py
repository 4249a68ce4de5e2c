"""`python -m simulators world`: both stand-ins and a whole month, as a process of its own."""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from support.webhook_receiver import receiving


@dataclass
class _World:
    process: asyncio.subprocess.Process
    chargebee: httpx.AsyncClient
    exact: httpx.AsyncClient


@asynccontextmanager
async def _world(*arguments: str) -> AsyncIterator[_World]:
    command = (sys.executable, "-m", "simulators", "world", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        ports = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports['chargebee_port']}", trust_env=False) as chargebee,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports['exact_port']}", trust_env=False) as exact,
        ):
            yield _World(process, chargebee, exact)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 20)
    assert process.returncode == 0


@pytest.mark.slow
async def test_a_month_is_played_once_it_is_started_and_every_event_arrives_some_twice_and_out_of_order():
    async with receiving() as receiver:
        arguments = ("--webhook-url", receiver.url, "--play-seconds", "2", "--wait-for-start", "--minute-seconds", "1")
        async with _world(*arguments) as world:
            before = (await world.chargebee.get("/_simulator/progress")).json()
            assert (before["documents_created"], before["finished"]) == (0, False)
            await world.chargebee.post("/_simulator/start")
            async with asyncio.timeout(60):
                while True:
                    progress = (await world.chargebee.get("/_simulator/progress")).json()
                    if progress["documents_created"] == progress["documents_total"] and not progress["webhooks_pending"]:
                        break
                    await asyncio.sleep(0.1)
            assert progress["documents_total"] >= 300
            assert progress["receipts_entered"] == 0  # nobody booked, so no receivable is there to be paid
            events = await _all_events(world.chargebee)
            comparison = (await world.chargebee.get("/_simulator/comparison")).json()
            documents = (await world.chargebee.get("/_simulator/documents")).json()
            journals = (await world.exact.get("/_simulator/ledger", params={"division": 100001})).json()["entries"]
    arrived = [event["id"] for event in receiver.events]
    assert set(arrived) == set(events)
    assert max(Counter(arrived).values()) > 1
    assert list(dict.fromkeys(arrived)) != events
    assert len(comparison["missing"]) == sum(document["expected"] == "book" for document in documents)
    assert journals == []


async def _all_events(client: httpx.AsyncClient) -> list[str]:
    """The ids of all events, oldest first."""
    query: dict[str, str] = {"limit": "100", "sort_by[asc]": "occurred_at"}
    ids: list[str] = []
    while True:
        page = (await client.get("/api/v2/events", params=query, auth=("test_key", ""))).json()
        ids += [row["event"]["id"] for row in page["list"]]
        if "next_offset" not in page:
            return ids
        query["offset"] = page["next_offset"]
