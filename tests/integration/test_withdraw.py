"""`kruispost withdraw`: what waits and was never sent is decided anew under a changed mapping; what was sent stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from support.engines import DATABASES
from support.facts import customer, invoice
from support.installation import Installation, installation
from support.logs import Heard
from support.mapper_stage import Stage, configured, payment
from support.writer_stage import outgoing

from backbone.clock import SystemClock
from backbone.database import Database
from backbone.migrations import migrate
from backbone.settings import Settings
from contracts import facts
from contracts.commands import PostEntry, SaveAccount
from contracts.envelope import decode, derived_id
from exact_writer import journal
from exact_writer.journal import LeaseLostError
from exact_writer.tables import commands
from exact_writer.withdrawing import Wish, withdraw_page

ELSEWHERE = [{"when": {"item_price": "Team-EUR"}, "account": "8060"}]
TODAY = datetime(2026, 10, 6, tzinfo=UTC).timestamp()
NEXT_YEAR = datetime(2027, 10, 6, tzinfo=UTC).timestamp()


class World:
    """A mapper, and the journal that it fills; no writer sends anything unless a test plays it."""

    def __init__(self, found: Installation, writers: Database) -> None:
        self.found = found
        self.mapper = found.stage
        self.writers = writers
        self._heard = Heard(writers)
        self._asked = set[str]()

    async def plan(self, now: float = TODAY) -> None:
        """Take what the mapper asked for into the journal."""
        async with self.writers.transaction() as connection:
            for each in await self.mapper.said(SaveAccount, PostEntry):
                message = outgoing(each)
                if message.message_id not in self._asked:
                    self._asked.add(message.message_id)
                    await journal.plan(self.writers, connection, decode(message.body), each, now)

    async def told(self) -> None:
        """Let the mapper hear what was taken back."""
        await self.mapper.hear(*await self._heard.said(facts.EntryRefused))

    async def journal(self) -> dict[str, str]:
        """The state of each entry by its reference; of several the last."""
        async with self.writers.reading() as connection:
            rows = sa.select(commands.c.your_ref, commands.c.state).where(commands.c.kind != "account")
            return {row.your_ref: row.state for row in await connection.execute(rows.order_by(commands.c.sequence))}

    def changed(self) -> Stage:
        """The mapper after a start with another account for revenue."""
        self.mapper = Stage(self.mapper.database, configured(revenue=ELSEWHERE))
        return self.mapper


@pytest.fixture(params=DATABASES)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with installation(request.param, tmp_path) as found:
        url = found.settings.get("KRUISPOST_DATABASE_URL")
        writers = Database.open(Settings(data_dir=tmp_path / "data", database_url=url), "exact-writer")
        try:
            await migrate(writers, "exact-writer")
            yield World(found, writers)
        finally:
            await writers.close()


async def accounts_of(stage: Stage) -> dict[str, str]:
    """The revenue account of each invoice, as it was asked for last."""
    return {each.your_ref: each.lines[0].gl_account for each in await stage.entries() if each.kind == "sales"}


async def test_what_waits_is_booked_by_the_mapping_of_after_it_was_taken_back(world: World) -> None:
    await world.mapper.hear(customer(), invoice("INV-1"), invoice("INV-2"), payment())
    await world.plan()
    code, counted = await world.found.json("withdraw")
    assert (code, counted) == (0, {"withdrawn": False, "divisions": {"100001": 3}})
    assert set((await world.journal()).values()) == {"planned"}, "nothing is taken back before it was shown"
    code, taken = await world.found.json("withdraw", "--yes")
    assert (code, taken) == (0, {"withdrawn": True, "divisions": {"100001": 3}})
    await world.told()
    held = await world.mapper.said(facts.DocumentHeld)
    assert {each.code for each in held} == {"withdrawn"}
    assert "retry --code withdrawn" in held[0].action
    await world.changed().start()
    await world.plan()
    assert await accounts_of(world.mapper) == {"INV-1": "8060", "INV-2": "8060"}
    assert await world.journal() == dict.fromkeys(("INV-1", "INV-2", "txn_1"), "planned")
    assert len(await world.mapper.said(SaveAccount)) == 1, "its customer waited all the time"
    await world.mapper.post_all()
    _, plan = await world.found.json("plan", "--all")
    assert {each["state"] for each in plan["documents"]} == {"booked"}


async def test_a_mapper_that_has_the_changed_mapping_already_decides_at_once(world: World) -> None:
    await world.mapper.hear(customer(), invoice("INV-1"))
    await world.plan()
    await world.changed().start()
    assert await accounts_of(world.mapper) == {"INV-1": "8000"}, "what is under way stays as it was decided"
    await world.found.json("withdraw", "INV-1", "--yes")
    await world.told()
    assert await accounts_of(world.mapper) == {"INV-1": "8060"}
    assert await world.mapper.reasons() == ["withdrawn"]


async def test_the_same_rules_decide_anew_only_when_a_person_asks(world: World) -> None:
    await world.mapper.hear(customer(), invoice("INV-1"))
    await world.plan()
    await world.found.json("withdraw", "--yes")
    await world.told()
    assert len(await world.mapper.entries()) == 1
    code, found = await world.found.json("retry", "--code", "withdrawn")
    assert (code, [each["state"] for each in found["documents"]]) == (0, ["planned"])
    await world.plan()
    assert await world.journal() == {"INV-1": "planned"}
    assert len(await world.mapper.entries()) == 2


async def test_what_was_sent_is_left_and_so_is_what_no_document_asked_for(world: World) -> None:
    await world.mapper.hear(customer(), invoice("INV-1"), invoice("INV-2"), invoice("INV-3"))
    await world.plan()
    sent, tried, waiting = await world.mapper.entries()
    counter = msgspec.structs.replace(waiting, command_id=derived_id("drift", "100001", "INV-9/C1"), your_ref="INV-9/C1")
    async with world.writers.transaction() as connection:
        await journal.plan(world.writers, connection, decode(outgoing(counter).body), counter, TODAY)
        epoch = await journal.take_over(world.writers, connection, 100001, 0.0, TODAY)
        await journal.mark(connection, 100001, sent.command_id, epoch, "sent", attempts=1)
        # Looked for and not found: Exact may still refuse or take what was on its way.
        await journal.mark(connection, 100001, tried.command_id, epoch, "planned", attempts=1)
    code, taken = await world.found.json("withdraw", "--yes")
    assert (code, taken["divisions"]) == (0, {"100001": 1})
    assert await world.journal() == {"INV-1": "sent", "INV-2": "planned", "INV-3": "refused", "INV-9/C1": "planned"}
    again, _ = await world.found.json("withdraw", "--yes")
    assert again == 1, "nothing that was never sent waits any more"


async def test_history_alone_can_be_taken_back(world: World) -> None:
    await world.mapper.hear(customer(), invoice("INV-1"))
    await world.plan(NEXT_YEAR)
    await world.mapper.hear(invoice("INV-2"))
    await world.plan()
    code, taken = await world.found.json("withdraw", "--history", "--division", "100001", "--yes")
    assert (code, taken["divisions"]) == (0, {"100001": 1})
    assert await world.journal() == {"INV-1": "refused", "INV-2": "planned"}
    assert (await world.found.json("withdraw", "--history", "--division", "100002"))[0] == 1


async def test_a_writer_that_is_about_to_send_finds_what_was_taken_back(world: World) -> None:
    await world.mapper.hear(customer(), invoice("INV-1"))
    await world.plan()
    (entry,) = await world.mapper.entries()
    async with world.writers.transaction() as connection:
        epoch = await journal.take_over(world.writers, connection, 100001, 0.0, TODAY)
    async with world.writers.transaction() as connection:
        work = await journal.load(connection, entry.command_id)
    assert work is not None
    async with world.writers.transaction() as connection:
        await withdraw_page(connection, Wish(), 0, SystemClock(), install=True)
    with pytest.raises(LeaseLostError):
        async with world.writers.transaction() as connection:
            await journal.mark_sent(connection, 100001, [work], epoch, TODAY, None)


@pytest.mark.parametrize(("lang", "said"), [("en", "1 bookings were taken back"), ("nl", "1 boekingen zijn teruggenomen")])
async def test_both_languages_say_what_comes_next(world: World, lang: str, said: str) -> None:
    await world.mapper.hear(customer(), invoice("INV-1"))
    await world.plan()
    done: Any = await world.found.run("withdraw", "--yes", "--lang", lang)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert "`kruispost retry --code withdrawn`" in done.stdout
