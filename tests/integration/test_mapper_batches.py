"""A page of facts in one go leaves what they leave one by one: every row of the mapper's tables and of its log, byte for byte."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from support.engines import database_for
from support.facts import customer
from support.mapper_stage import Stage, period, posted, refused
from support.played_month import heard_in_month

from backbone import event_log as event_log_of
from backbone.configuration import load_configuration
from backbone.database import Database
from backbone.tables import event_log
from contracts import commands, facts
from contracts.envelope import Envelope, Message, seal
from mapper import tables
from mapper.batched_store import BatchedStore
from mapper.rebuild import Rebuild

DEMO = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"
START = datetime(2026, 10, 1, tzinfo=UTC)
KEPT = (tables.resources, tables.documents, tables.accounts, tables.merged_customers, tables.periods)


def sealed(message: Message, number: int) -> Envelope:
    moment = START + timedelta(seconds=number)
    return seal(message, source="test", subject=str(number), key="acme-test", time=moment, distinguisher=str(number))


async def everything(database: Database) -> dict[str, list[Any]]:
    """Return all rows of the mapper's tables, and its log in its order."""
    async with database.reading() as connection:
        found = {
            table.name: list(await connection.execute(sa.select(table).order_by(*table.primary_key.columns))) for table in KEPT
        }
        column = event_log.c
        log = sa.select(column.stream, column.version, column.message_id, column.body).order_by(column.sequence)
        return {**found, "log": list(await connection.execute(log))}


def answers(said: list[Any]) -> list[Message]:
    """Exact takes most of what it was sent, refuses every fifth entry and one customer, and closes a period late."""
    entries = [each for each in said if isinstance(each, commands.PostEntry)]
    accounts = [each for each in said if isinstance(each, commands.SaveAccount)]
    refusal = facts.AccountRefused(
        division=accounts[0].division, customer_ref=accounts[0].customer_ref, code="customer_refused", message="No such town"
    )
    taken = facts.AccountSaved(division=accounts[1].division, customer_ref=accounts[1].customer_ref, account_id="a", created=True)
    results = [refused(each, "entry_refused") if n % 5 == 0 else posted(each) for n, each in enumerate(entries)]
    return [refusal, taken, *results, period(9, is_open=False), period(10, is_open=True), *results[:10]]


async def hear_one_by_one(stage: Stage, messages: list[tuple[Envelope, Message]]) -> None:
    async with stage.database.transaction() as connection:
        for envelope, message in messages:
            await stage.mapper.handle_alone(connection, envelope, message)


async def hear_in_pages(stage: Stage, messages: list[tuple[Envelope, Message]], size: int) -> None:
    for start in range(0, len(messages), size):
        page = messages[start : start + size]
        async with stage.database.transaction() as connection:
            store = BatchedStore(stage.database, connection)
            await store.read_ahead(message for _, message in page)
            for envelope, message in page:
                await stage.mapper.take(store, envelope, message)
            await store.flush()


async def test_a_page_of_facts_leaves_what_the_facts_leave_one_by_one(tmp_path):
    async with AsyncExitStack() as stack:
        one_by_one, small, large = [
            Stage(await stack.enter_async_context(database_for("sqlite", tmp_path / name, "mapper")), load_configuration(DEMO))
            for name in ("one_by_one", "small", "large")
        ]
        heard = heard_in_month(42, 25)
        late = heard[::4]  # what comes last is what others wait for
        random.Random(7).shuffle(late)
        messages = [(sealed(each, n), each) for n, each in enumerate([each for n, each in enumerate(heard) if n % 4] + late)]
        await hear_one_by_one(one_by_one, messages)
        results = answers(await one_by_one.said())
        messages += [(sealed(each, n), each) for n, each in enumerate(results, start=len(messages))]
        await hear_one_by_one(one_by_one, messages[-len(results) :])
        await hear_in_pages(small, messages, 12)
        await hear_in_pages(large, messages, 400)
        expected = await everything(one_by_one.database)
        assert {row.state for row in expected["documents"]} >= {"booked", "refused", "held"}
        for stage in (small, large):
            found = await everything(stage.database)
            for name, rows in expected.items():
                assert found[name] == rows, name


async def test_a_message_that_cannot_be_handled_takes_none_of_its_page_down(tmp_path: Path) -> None:
    good = [sealed(customer(f"CUST{number}"), number) for number in range(4)]
    poison = msgspec.structs.replace(good[1], data=msgspec.Raw(b'{"site": 7}'))
    async with AsyncExitStack() as stack:
        heard = await stack.enter_async_context(database_for("sqlite", tmp_path / "ingest", "ingest"))
        async with heard.transaction() as connection:
            for number, each in enumerate([good[0], poison, *good[2:]]):
                await event_log_of.append(connection, f"stream/{number}", 0, [each])
        scratch = await stack.enter_async_context(database_for("sqlite", tmp_path / "scratch", "mapper"))
        rebuild = Rebuild(scratch, load_configuration(DEMO))
        assert await rebuild.fold({"ingest": heard}, START + timedelta(days=1)) == 4
        assert rebuild.skipped == [poison.id]
        async with scratch.reading() as connection:
            kept = set((await connection.execute(sa.select(tables.resources.c.id))).scalars())
        assert kept == {"CUST0", "CUST2", "CUST3"}
