"""What a replay costs a message does not grow with the history: neither making the state, nor comparing, installing, sending."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.engines import database_for
from support.facts import SITE, customer, invoice, line
from support.logs import Heard
from support.mapper_stage import posted
from support.sqlite_steps import sqlite_steps

from backbone import event_log, past
from backbone.configuration import load_configuration
from backbone.database import Database
from contracts.commands import PostEntry
from contracts.envelope import Message, seal
from mapper import rebuild, replay_install
from mapper.rebuild import Rebuild
from mapper.replay_command import Report, compare
from mapper.replay_install import install, send_what_is_missing

DEMO = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"
START = datetime(2026, 10, 5, 10, tzinfo=UTC)
FEW, MANY = 30, 300  # documents
SMALL_PAGE = 5  # so that what each page reads too much of is seen with so few
MORE = 1.1  # a longer history has deeper indexes


def shown(size: int) -> Iterator[Message]:
    """Customers with two invoices each, of which every tenth is held, since nobody told its rate."""
    for number in range(size):
        identity = f"CUST{number // 2}"
        if number % 2 == 0:
            yield customer(identity)
        more: dict[str, Any] = {"currency_code": "USD"} if number % 10 == 0 else {}
        yield invoice(f"INV-{number}", customer_id=identity, lines=[line(10_000, 2_100, kind="adhoc")], **more)


async def say(log: Database, service: str, messages: Iterable[Message], moment: datetime) -> None:
    """Let a service have said so."""
    sealed = [
        (f"{service}/{number}", seal(each, source=service, subject=f"{number}", key=SITE, time=moment, distinguisher="1"))
        for number, each in enumerate(messages)
    ]
    async with log.transaction() as connection:
        await event_log.append_new(connection, sealed, in_order=True)


async def steps(directory: Path, size: int) -> dict[str, int]:
    """How many tens of steps of SQLite's machine each part takes: of a state that was lost, and of one that Exact has."""
    took = {}
    with sqlite_steps() as made:

        async def of(part: str, doing: Awaitable[Any]) -> Any:
            before = made[0]
            found = await doing
            took[part] = made[0] - before
            return found

        async with (
            database_for("sqlite", directory, "ingest") as ingest,
            database_for("sqlite", directory, "mapper") as mapper,
            database_for("sqlite", directory, "exact-writer") as writer,
            database_for("sqlite", directory / "first", "mapper") as scratch,
            database_for("sqlite", directory / "again", "mapper") as scratch_again,
        ):
            logs = {"ingest": ingest, "mapper": mapper, "exact-writer": writer}
            await say(ingest, "ingest", shown(size), START)
            report, now = Report(), START + timedelta(days=1)
            await of("making", Rebuild(scratch, load_configuration(DEMO)).fold(logs, now))
            await of("comparing", compare(scratch, mapper, report, 0))
            await of("installing", install(scratch, mapper, event_log.START))
            sent = await of("sending", send_what_is_missing(scratch, mapper, event_log.START))
            assert (report.missing, sent.reasons) == (size, size // 10)
            await say(writer, "exact-writer", map(posted, await Heard(mapper).said(PostEntry)), now)
            report = Report()
            await of("making again", Rebuild(scratch_again, load_configuration(DEMO)).fold(logs, now))
            await of("comparing again", compare(scratch_again, mapper, report, 0))
            sent = await of("looking for what was not sent", send_what_is_missing(scratch_again, mapper, None))
            assert (report.differing, report.same, sent.commands, sent.reasons) == (size - size // 10, size // 10, 0, 0)
    return took


async def test_a_message_of_a_longer_history_takes_no_more_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (past, rebuild, replay_install):
        monkeypatch.setattr(module, "PAGE", SMALL_PAGE)
    few, many = await steps(tmp_path / "few", FEW), await steps(tmp_path / "many", MANY)
    grown = {part: (few[part], many[part]) for part in few if many[part] > MORE * few[part] * MANY / FEW}
    assert grown == {}
