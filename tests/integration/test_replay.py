"""`kruispost replay`: the mapper's database is lost, damaged or looked at as of a day; the logs give it back to the cent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
import yaml
from support.command_line import environment, kruispost
from support.deadly_commits import killed_at_each_commit
from support.engines import DATABASES, settings_for
from support.facts import SITE, customer, invoice, line
from support.logs import Heard
from support.mapper_stage import CONFIGURATION, Stage, configured, posted, refused
from typer.testing import CliRunner

from backbone import event_log
from backbone.configuration import Configuration
from backbone.database import Database
from backbone.migrations import migrate
from backbone.telemetry import Telemetry
from console.cli import app
from contracts.commands import LinkedEntry, PostEntry
from contracts.envelope import Message, seal
from contracts.facts import DocumentHeld
from mapper import tables
from mapper.configuration import mappings_of
from mapper.linked import linked_in
from mapper.plan import Cause, Planner
from mapper.store import Key, Store, row_of
from mapper.subjects import Subjects

THEIRS = LinkedEntry(entry_id="theirs", entry_number=42, journal="75", who="M. de Vries", why="from the old connector")
HEARD_BY = ("ingest", "exact-writer", "payment-matcher", "mapper")
START = datetime(2026, 10, 5, 10, tzinfo=UTC)


class History:
    """A mapper whose facts stand in the logs of those who said them, a minute apart."""

    def __init__(
        self, databases: dict[str, Database], directory: Path, variables: dict[str, str], configuration: Configuration
    ) -> None:
        self.databases = databases
        self.stage = Stage(databases["mapper"], configuration)
        self._planner = Planner(Subjects(configuration, mappings_of(configuration)), self.stage.clock, Telemetry())
        self._directory = directory
        self._environment = variables
        self._said = 0
        self.ahead = timedelta()  # by how much the clock of whoever says something is ahead

    async def say(self, service: str, *messages: Message) -> None:
        """Let a service say something that the mapper hears."""
        for message in messages:
            self._said += 1
            moment = START + timedelta(minutes=self._said) + self.ahead
            self.stage.clock.advance((moment - self.stage.clock.now()).total_seconds())
            subject = f"{service}/{self._said}"
            sealed = seal(message, source=service, subject=subject, key=f"{SITE}/CUST1", time=moment, distinguisher=subject)
            async with self.databases[service].transaction() as connection:
                await event_log.append(connection, subject, 0, [sealed])
            async with self.stage.database.transaction() as connection:
                await self.stage.mapper.handle_alone(connection, sealed, message)

    async def decide(self, number: str, cause: Cause) -> None:
        """Let a person decide about an invoice, as `kruispost links` does."""
        self._said += 1
        self.stage.clock.advance(60.0)
        async with self.stage.database.transaction() as connection:
            key = Key(SITE, "invoice", number)
            await self._planner.plan(Store(self.stage.database, connection), key, cause, again=True)

    async def documents(self) -> list[Any]:
        """Return everything that the mapper knows of bookings."""
        column = tables.documents.c
        async with self.stage.database.reading() as connection:
            statement = sa.select(*column).order_by(column.kind, column.number, column.suffix)
            return [tuple(row) for row in await connection.execute(statement)]

    async def change(self, *statements: sa.Executable) -> None:
        """Damage the mapper's database."""
        async with self.stage.database.transaction() as connection:
            for statement in statements:
                await connection.execute(statement)

    async def replay(self, *arguments: str) -> tuple[int, Any]:
        """Run the command in this process, which is quicker than one of its own."""
        words = ["replay", "mapper", "--json", *arguments]
        done = await asyncio.to_thread(CliRunner().invoke, app, words, env=environment(self._directory, self._environment))
        assert done.exit_code in (0, 1), done.output
        return done.exit_code, json.loads(done.stdout)


@asynccontextmanager
async def begun(dialect: str, directory: Path, configuration: Configuration = CONFIGURATION) -> AsyncIterator[History]:
    """Give a history of which nothing was said yet."""
    (directory / "kruispost.yaml").write_text(yaml.safe_dump(configuration.model_dump(mode="json", exclude_unset=True)))
    async with AsyncExitStack() as stack:
        settings = await stack.enter_async_context(settings_for(dialect, directory / "data"))
        databases = {}
        for service in HEARD_BY:
            databases[service] = Database.open(settings, service)
            stack.push_async_callback(databases[service].close)
            await migrate(databases[service], service)
        variables = {} if settings.database_url is None else {"KRUISPOST_DATABASE_URL": settings.database_url}
        yield History(databases, directory, variables, configuration)


@asynccontextmanager
async def told(dialect: str, directory: Path) -> AsyncIterator[History]:
    """Give a history: a booked invoice, one that was voided after it was booked, one under way and one on hold."""
    async with begun(dialect, directory) as history:
        await history.say("ingest", customer(), invoice("INV-1"), invoice("INV-2"))
        await history.say("exact-writer", *(posted(entry) for entry in await history.stage.entries()))
        await history.say("ingest", invoice("INV-2", version=2, status="voided", voided_at=int(START.timestamp())))
        await history.say("exact-writer", posted((await history.stage.entries())[-1]))
        await history.say("ingest", invoice("INV-3"), invoice("INV-4", currency_code="USD"))
        yield history


@pytest.mark.parametrize("dialect", DATABASES)
async def test_what_the_mapper_has_is_what_its_logs_say(tmp_path: Path, dialect: str) -> None:
    async with told(dialect, tmp_path) as history:
        before = await history.documents()
        assert [(row.number, row.suffix) for row in await _rows(history)] == [
            ("INV-1", ""), ("INV-2", ""), ("INV-2", "R"), ("INV-3", ""), ("INV-4", ""),
        ]  # fmt: skip
        code, report = await history.replay()
        assert (code, report["same"], report["documents"]) == (0, 5, [])
        assert await history.documents() == before


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_damaged_state_is_shown_and_put_right_without_sending_anything_twice(tmp_path: Path, dialect: str) -> None:
    async with told(dialect, tmp_path) as history:
        before, sent = await history.documents(), await history.stage.entries()
        column = tables.documents.c
        await history.change(
            sa.delete(tables.documents).where(column.number == "INV-1"),
            sa.update(tables.documents).where(column.number == "INV-3").values(state="booked"),
            sa.delete(tables.resources),
        )
        code, report = await history.replay()
        assert (code, report["missing"], report["differing"], report["installed"]) == (1, 1, 1, False)
        assert {(each["number"], each["present"], each["replayed"]) for each in report["documents"]} == {
            ("INV-1", None, "booked"),
            ("INV-3", "booked", "planned"),
        }
        assert await history.documents() != before, "without --yes nothing is written"
        code, report = await history.replay("--yes")
        assert (code, report["installed"], report["sent_again"]) == (0, True, 0)
        assert await history.documents() == before
        assert await history.stage.entries() == sent


async def test_a_lost_database_is_rebuilt_and_what_never_went_to_exact_goes(tmp_path: Path) -> None:
    """The mapper's own log is gone, too: what Exact has is known by the writer's; only the rest is sent, under the same ids."""
    async with told("sqlite", tmp_path) as history:
        before, sent = await history.documents(), await history.stage.entries()
        await history.databases["mapper"].close()
        for file in (tmp_path / "data").glob("mapper.sqlite*"):
            file.unlink()
        assert await killed_at_each_commit(lambda: history.replay("--yes")) > 1
        assert [_known(row) for row in await history.documents()] == [_known(row) for row in before]
        (entry,) = await Heard(history.stage.database).said(PostEntry)  # a log that begins anew
        assert entry == sent[-1]
        assert entry.document.number == "INV-3"


@pytest.mark.parametrize("dialect", DATABASES)
async def test_what_was_decided_and_never_sent_is_told_also_where_the_state_is_right(tmp_path: Path, dialect: str) -> None:
    """As after a replay that died when it had put the state in place: it is run again, and sends the rest."""
    async with told(dialect, tmp_path) as history:
        await history.databases["mapper"].close()
        if dialect == "sqlite":
            for file in (tmp_path / "data").glob("mapper.sqlite*"):
                file.unlink()
        else:
            async with history.databases["ingest"].transaction() as connection:
                await connection.execute(sa.text("DROP SCHEMA mapper CASCADE"))
        await migrate(history.databases["mapper"], "mapper")
        code, report = await history.replay()
        assert (code, report["missing"], report["never_sent"], report["never_told"]) == (1, 5, 2, 1)
        code, report = await history.replay("--yes")
        assert (code, report["installed"], report["sent_again"], report["told_again"]) == (0, True, 2, 1)
        (held,) = await Heard(history.stage.database).said(DocumentHeld)
        assert (held.document.number, held.code) == ("INV-4", "no_exchange_rate")
        await history.change(
            sa.text("DROP TRIGGER event_log_no_delete" if dialect == "sqlite" else "ALTER TABLE event_log DISABLE TRIGGER USER")
        )
        await history.change(sa.text("DELETE FROM event_log WHERE type = 'exact.entry.post'"))
        code, report = await history.replay()
        assert (code, report["same"], report["never_sent"], report["installed"]) == (1, 5, 1, False)
        code, report = await history.replay("--yes")
        assert (code, report["sent_again"], report["installed"]) == (0, 1, False)
        assert (await history.replay())[0] == 0


async def test_what_a_clock_ahead_of_ours_has_dated_is_replayed_too(tmp_path: Path) -> None:
    """Left out, the periods that such a writer told would be unknown, and every document would wait for them."""
    async with told("sqlite", tmp_path) as history:
        history.ahead = timedelta(days=400)
        await history.say("ingest", invoice("INV-5"))
        code, report = await history.replay()
        assert (code, report["bookings"], report["same"]) == (0, 6, 6)


async def test_the_state_of_an_earlier_moment_is_left_for_explain(tmp_path: Path) -> None:
    async with told("sqlite", tmp_path) as history:
        moment = (START + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%S")
        code, report = await history.replay("--until", moment, "--keep", str(tmp_path / "then"))
        assert (code, report["bookings"], report["superfluous"]) == (1, 2, 3)
        settings = {"KRUISPOST_DATA_DIR": str(tmp_path / "then")}
        explained = kruispost("explain", "INV-2", directory=tmp_path, settings=settings)
        assert explained.returncode == 0, explained.stderr
        refused = kruispost("replay", "mapper", "--until", moment, "--yes", directory=tmp_path)
        assert refused.returncode == 2
        again = kruispost("replay", "mapper", "--keep", str(tmp_path / "then"), directory=tmp_path)
        assert (again.returncode, "has a mapper's database already" in again.stderr) == (2, True)


async def test_what_was_sent_under_older_rules_stands(tmp_path: Path) -> None:
    async with told("sqlite", tmp_path) as history:
        before = await history.documents()
        changed = yaml.safe_load((tmp_path / "kruispost.yaml").read_text())
        changed["divisions"]["100001"]["revenue"][0]["account"] = "8010"
        (tmp_path / "kruispost.yaml").write_text(yaml.safe_dump(changed))
        await history.change(sa.delete(tables.documents))
        code, _ = await history.replay("--yes")
        assert code == 0
        after = await history.documents()
        booked = [row for row in before if row[6] in ("booked", "planned")]
        assert [row for row in after if row[6] in ("booked", "planned")] == booked


@pytest.mark.parametrize("dialect", DATABASES)
async def test_what_somebody_else_booked_is_linked_as_before(tmp_path: Path, dialect: str) -> None:
    """By the writer, by a person, by a person against it, still asked, and voided after it was linked."""
    linking = configured(link_before="2026-12-01", changes="correct")
    async with begun(dialect, tmp_path, linking) as history:
        stage, numbers = history.stage, [f"INV-{number}" for number in range(1, 6)]
        await history.say("ingest", customer(), *(invoice(number, lines=[line(10_000, 2_100)]) for number in numbers))
        first, second, third, fourth, fifth = await stage.entries()
        assert all(entry.may_exist for entry in (first, fifth))
        theirs = [posted(msgspec.structs.replace(entry, journal="75"), is_linked=True) for entry in (first, fifth)]
        doubts = [refused(entry, "exists_otherwise") for entry in (second, third, fourth)]
        await history.say("exact-writer", *theirs, *doubts)
        await history.decide("INV-2", Cause(None, "link ", linked=THEIRS))
        await history.decide("INV-3", Cause(None, "book ", is_other=True))
        linked, ours = (await stage.entries())[5:]
        assert (linked.linked, ours.may_exist) == (THEIRS, False)
        await history.say("exact-writer", posted(msgspec.structs.replace(linked, journal="75"), is_linked=True), posted(ours))
        await history.say("ingest", invoice("INV-5", lines=[line(10_000, 2_100)], version=2, status="voided"))
        before, sent = await history.documents(), await stage.entries()
        states = {row.number: (row.state, row.code, linked_in(row_of(row)) is not None) for row in await _rows(history)}
        assert states == {
            "INV-1": ("booked", None, True),
            "INV-2": ("booked", None, True),
            "INV-3": ("booked", None, False),
            "INV-4": ("refused", "exists_otherwise", False),
            "INV-5": ("booked", "linked_changed", True),
        }
        code, report = await history.replay()
        assert (code, report["same"], report["documents"]) == (0, 5, [])
        await history.change(sa.delete(tables.documents), sa.delete(tables.resources))
        code, report = await history.replay("--yes")
        assert (code, report["installed"], report["sent_again"]) == (0, True, 0)
        assert (await history.documents(), await stage.entries()) == (before, sent)


async def _rows(history: History) -> Sequence[Any]:
    column = tables.documents.c
    async with history.stage.database.reading() as connection:
        return list(await connection.execute(sa.select(*column).order_by(column.kind, column.number, column.suffix)))


def _known(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what follows from the facts alone."""
    return row[:9]
