"""Killed as by kill -9 at any named place and started again: every fact has its effect once."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from pathlib import Path

import pytest
from support.child import child
from support.lines import FACTS, eventually, fact
from support.trial_service import MESSAGES

from backbone.broker_embedded import EmbeddedBroker

pytestmark = pytest.mark.slow
PLACES = [
    "relay.published",
    "trial.before_commit",
    "trial.before_commit:3",
    "trial.committed",
    "trial.committed:4",
    "broker.handled:2",
]


def effects(directory: Path) -> list[str]:
    path = directory / "data" / "ingest.sqlite"
    if not path.exists():
        return []
    connection = sqlite3.connect(path)
    try:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'effects'").fetchone():
            return []
        return [name for (name,) in connection.execute("SELECT name FROM effects ORDER BY rowid")]
    finally:
        connection.close()


@pytest.mark.parametrize("place", PLACES)
async def test_a_process_killed_anywhere_goes_on_where_it_was(tmp_path, place):
    trial = ("-m", "support.trial_service", "lines")
    async with child(*trial, directory=tmp_path, settings={"KRUISPOST_CRASH_AT": place}) as killed:
        assert await killed.ended() == -signal.SIGKILL
    assert len(effects(tmp_path)) < MESSAGES or place.startswith("trial.committed")
    async with child(*trial, directory=tmp_path) as restarted:
        await restarted.get("/live")
        await eventually(lambda: len(effects(tmp_path)) >= MESSAGES)
        restarted.terminate()
        assert await restarted.ended() == 0
    assert effects(tmp_path) == [f"f{number}" for number in range(MESSAGES)]


async def test_a_message_that_kills_its_process_again_and_again_ends_as_a_dead_letter(tmp_path):
    """The line goes on after as many deaths as the queue allows; what stood behind the poison does not share its fate."""
    deaths = 0
    while deaths <= FACTS.delivery_limit:
        async with child("-m", "support.trial_service", "poison", directory=tmp_path) as service:
            done = asyncio.ensure_future(eventually(lambda: len(effects(tmp_path)) == MESSAGES - 1))
            dead = asyncio.ensure_future(service.ended(60))
            await asyncio.wait((done, dead), return_when=asyncio.FIRST_COMPLETED)
            if not dead.done():
                await done
                service.terminate()
                assert await dead == 0
                break
            assert await dead == -signal.SIGKILL
            done.cancel()
            deaths += 1
    assert deaths == FACTS.delivery_limit
    assert effects(tmp_path) == ["f0", "f2", "f3", "f4"]
    broker = EmbeddedBroker(tmp_path / "data" / "broker.sqlite")
    (letter,) = await broker.dead_letters("facts", 10)
    await broker.close()
    assert (letter.message_id, letter.code) == (fact("f1").id, "delivery_limit")
