"""A writer against the Exact stand-in in process and in virtual time, with whatever can go wrong between the two.

Nothing here waits: time moves when the writer would have waited for it. A writer can die at any call and another take over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from msgspec import structs
from support.engines import settings_for
from support.exact_server import DIVISION
from support.fast_sqlite import in_place, migrated
from support.faults import DiedError, FaultyExact
from support.fragile import FragileDatabase, OurClock
from support.writer_stage import CONFIGURATION, KEY, ledger_sale, outgoing, payment, sale, writer_environment

from backbone.application import Context
from backbone.broker_embedded import EmbeddedBroker
from backbone.configuration import Configuration
from backbone.database import is_away
from backbone.relay import Relay
from backbone.telemetry import Telemetry
from contracts import commands
from contracts.envelope import decode
from contracts.messages import unseal
from contracts.parcels import PdfFetched
from exact_writer import journal, payloads
from exact_writer.__main__ import login_of, writer_of
from exact_writer.calls import DivisionCalls
from exact_writer.client import ExactClient
from exact_writer.client_keys import ClientKeys
from exact_writer.journal import LeaseLostError
from exact_writer.probe import Probe, Report
from exact_writer.tables import attachments
from exact_writer.tables import commands as journal_table
from exact_writer.timing import Timing
from exact_writer.vault import Tokens, Vault
from exact_writer.writer import DivisionWriter
from simulators.exact.app import Simulator, create_app
from simulators.exact.settings import ExactSettings


class Rehearsal:
    """One writer after the other on one database, and one stand-in."""

    def __init__(
        self, context: Context, database: FragileDatabase, simulator: Simulator, exact: FaultyExact, timing: Timing
    ) -> None:
        self.simulator = simulator
        self.exact = exact
        self.deaths = 0
        self._context = context
        self._database = database
        self._timing = timing
        self._writer: DivisionWriter | None = None
        self.clock = cast("OurClock", context.clock)
        self.database = database
        exact.take_over = self._usurp

    async def probe(self) -> Report:
        """Try in the division whether Exact keeps keys that we give, as `kruispost doctor --probe` does, and start anew."""
        context = self._context
        trial = Probe(DIVISION, self.calls(), context.clock)
        report = await trial.run(await trial.look())
        traits = {each.endpoint: each.trait for each in report.trials if each.trait is not None}
        await ClientKeys(context.database, context.clock).learn(traits, DIVISION)
        await self.start()
        return report

    def calls(self) -> DivisionCalls:
        """Calls in the division beside those of its writer, as commands make them."""
        context = self._context
        client = ExactClient("http://exact.test", self._timing, transport=self.exact)
        return DivisionCalls(
            DIVISION,
            database=context.database,
            clock=context.clock,
            client=client,
            login=login_of(context.settings, context.database, context.clock, context.telemetry, client),
            telemetry=context.telemetry,
            timing=self._timing,
        )

    async def start(self) -> None:
        """Let a new writer take the division over; the one before it is gone, or finds out at its next change."""
        context = self._context
        client = ExactClient("http://exact.test", self._timing, transport=self.exact)
        login = login_of(context.settings, context.database, context.clock, context.telemetry, client)
        relay = Relay(context.database, context.broker, context.clock)
        self._writer = writer_of(DIVISION, context, client, login, relay, self._timing)
        self._writer.journal_check_seconds = 3_600.0  # nobody else brings commands here
        await self._writer.take_over()

    async def plan(self, *told: commands.SaveAccount | commands.PostEntry) -> None:
        """Put commands into the journal, as the consumer does."""
        async with self._database.transaction() as connection:
            for command in told:
                envelope = decode(outgoing(command).body)
                now = self._context.clock.now().timestamp()
                await journal.plan(self._database, connection, envelope, unseal(envelope), now)

    async def _usurp(self, seconds: float) -> None:
        """Another process takes the division over while a call is under way, and acts for so long, three turns at least."""
        await self.start()
        until, turns = self.clock.now().timestamp() + seconds, 0
        while turns < 3 or self.clock.now().timestamp() < until:
            assert self._writer is not None
            pause_until = await self._writer.turn()
            turns += 1
            await self._send_pdfs()
            now = self.clock.now().timestamp()
            if pause_until is not None and seconds:
                await self.clock.sleep(min(until - now, max(0.01, pause_until - now)))

    async def replace_in_passing(self) -> None:
        """Let another writer take over from one that does not know it yet and goes on; it must not get anywhere."""
        deposed = self._writer
        assert deposed is not None
        await self.start()
        calls = self.simulator.traffic.total
        with suppress(LeaseLostError):
            await deposed.turn()
        assert self.simulator.traffic.total == calls, "a deposed writer made a call"

    async def work(self, turns: int = 400) -> None:
        """Act until nothing is left to do, however often the writer dies; fails after so many turns."""
        if not await self.act(turns):
            raise AssertionError(f"not done after {turns} turns: {await self.open_commands()}")

    async def act(self, turns: int, *, restart: bool = True) -> bool:
        """Act for so many turns, or until nothing is left to do, and say whether that is so.

        When the database was away the process is another one afterwards, unless it is not to restart.
        """
        for _ in range(turns):
            try:
                assert self._writer is not None
                pause_until = await self._writer.turn()
            except DiedError:
                self.deaths += 1
                await self.start()
                continue
            except LeaseLostError:
                continue  # another one has taken over
            except Exception as error:
                if not is_away(error):
                    raise
                assert self._writer is not None
                await (self.start() if restart else self._writer.take_over())
                continue
            await self._send_pdfs()
            if pause_until is None:
                continue
            if await self._is_done() and not self.exact.is_late_with_something:
                return True
            now = self._context.clock.now().timestamp()
            await self._context.clock.sleep(min(60.0, max(0.01, pause_until - now)))
            await self.exact.let_late_calls_arrive()
        return False

    async def complaint(self) -> str | None:
        """Why nothing can be booked, as the readiness probe says it."""
        assert self._writer is not None
        return await self._writer.ready()

    async def log_in(self) -> None:
        """A person consents at Exact."""
        settings = self._context.settings
        pair = self.simulator.authority.start_chain(settings.exact_client_id or "")
        tokens = Tokens(
            access_token=pair["access_token"],
            refresh_token=pair["refresh_token"],
            obtained_at=self.clock.now().timestamp(),
            expires_in_seconds=float(pair["expires_in"]),
        )
        await Vault(self.database, settings.exact_client_id or "", KEY).store(tokens)

    def shift_our_clock(self, seconds: float) -> None:
        """Let our clock show another time from now on, and Exact's go on as it was."""
        self.clock.shift(seconds)

    async def open_commands(self) -> list[Any]:
        """What has not ended."""
        async with self._database.reading() as connection:
            columns = (journal_table.c.command_id, journal_table.c.state, journal_table.c.not_before)
            return list(await connection.execute(sa.select(*columns).where(journal_table.c.is_open)))

    async def ends(self) -> dict[str, str]:
        """How each command ended."""
        async with self._database.reading() as connection:
            rows = await connection.execute(sa.select(journal_table.c.command_id, journal_table.c.state, journal_table.c.code))
            return {row.command_id: row.code or row.state for row in rows}

    def configure(self, configuration: Configuration) -> None:
        """Let the next writer that starts have another configuration."""
        context = self._context
        self._context = Context(
            context.settings, configuration, context.clock, context.database, context.broker, context.telemetry
        )

    async def _is_done(self) -> bool:
        async with self._database.reading() as connection:
            left = [
                await connection.scalar(sa.select(sa.func.count()).select_from(table).where(table.c.is_open))
                for table in (journal_table, attachments)
            ]
        return not any(left)

    async def _send_pdfs(self) -> None:
        """Answer what PDFs were asked for, as ingest would."""
        assert self._writer is not None
        async with self._database.reading() as connection:
            where = (attachments.c.state == "wanted",)
            wanted = list((await connection.execute(sa.select(attachments.c.command_id).where(*where))).scalars())
        for request_id in wanted:
            parcel = PdfFetched(division=DIVISION, request_id=request_id, content=b"%PDF-1.7 factuur")
            async with self._database.transaction() as connection:
                await self._writer.pdfs.take(connection, None, parcel)  # type: ignore[arg-type]  # the envelope is not read

    def counted(self, name: str, **labels: str) -> float:
        """What a counter of the writer's shows."""
        return self._context.telemetry.registry.get_sample_value(f"kruispost_{name}_total", labels) or 0.0

    def rows(self, endpoint: str, **where: Any) -> list[dict[str, Any]]:
        """What stands in Exact under an endpoint with these values."""
        table = self.simulator.world.divisions[DIVISION].table(endpoint)
        return [row for row in table if all(row.get(name) == value for name, value in where.items())]

    def filed(self) -> tuple[list[str], list[str]]:
        """The subjects of documents and the names of files that we hung on entries, which are not those of Exact's own prints."""
        subjects = [str(row["Subject"]) for row in self.rows("documents/Documents")]
        names = [str(row["FileName"]) for row in self.rows("documents/DocumentAttachments")]
        mine = [[each for each in found if not each.startswith("Verkoopfactuur")] for found in (subjects, names)]
        return mine[0], mine[1]

    def vat_code(self) -> dict[str, Any]:
        """Exact's row of the VAT code that all documents have, to be changed behind the writer's back."""
        code = self.simulator.world.divisions[DIVISION].by_code("vat/VATCodes", "2  ")
        assert code is not None
        return code

    def bookings(self, command: commands.PostEntry) -> int:
        """How often a command's document stands in the books."""
        if command.kind == "sales":
            table = self.simulator.world.divisions[DIVISION].table("salesentry/SalesEntries")
            return len(table.where("YourRef", command.your_ref))
        line = next(line for line in command.lines if line.is_receivable)
        description = payloads.general_description(line, command.your_ref)
        table = self.simulator.world.divisions[DIVISION].table("generaljournalentry/GeneralJournalEntryLines")
        return len([row for row in table.where("Description", description) if row.get("Account")])


@asynccontextmanager
async def rehearsal(directory: Path, *, dialect: str = "sqlite", **switches: Any) -> AsyncIterator[Rehearsal]:
    """A writer that has taken over a fresh division, and the stand-in with wide limits and these switches."""
    clock = OurClock(datetime(2026, 3, 10, 10, tzinfo=UTC))
    wide = {"minute_limit": 1_000_000, "day_limit": 100_000_000}
    app = create_app(ExactSettings(clock=clock.true_seconds, **{**wide, **switches}))
    simulator: Simulator = app.state.simulator
    values = {"poll_seconds": 600.0, **writer_environment("http://exact.test")}
    async with settings_for(dialect, directory, **values) as settings:
        timing = Timing.of(settings)
        database = cast("FragileDatabase", FragileDatabase.open(settings, "exact-writer"))
        if dialect == "sqlite":
            in_place(database)
        broker = EmbeddedBroker(directory / "broker.sqlite")
        exact = FaultyExact(app, clock, timing)
        exact.database = database
        try:
            await migrated(database, "exact-writer")
            context = Context(settings, CONFIGURATION, clock, database, broker, Telemetry("exact-writer"))
            stage = Rehearsal(context, database, simulator, exact, timing)
            await stage.log_in()
            await stage.start()
            yield stage
        finally:
            await broker.close()
            await database.close()
            await simulator.webhooks.stop()


def told(kind: str, number: str, customer: str) -> list[commands.PostEntry]:
    """The commands that make a call of this kind."""
    if kind in ("item", "draft", "final invoice", "draft removal", "attachment of a final invoice"):
        line = commands.EntryLine(
            gl_account="8000", amount_minor=10_000, vat_code="2", vat_amount_minor=2_100, item_code=f"I-{customer}"
        )
        return [sale(number, customer, lines=(line,), mode="document", pdf=kind.startswith("attachment"))]
    if kind in ("ledger batch", "list", "file of a list"):
        return [ledger_sale(f"{number}-{place}", customer) for place in range(3)]
    if kind == "payments of a day":
        day_ended = datetime(2026, 3, 9, 23, tzinfo=UTC)
        together = {"mode": "ledger", "bundle": f"1290 {number}", "not_before": day_ended}
        return [structs.replace(payment(f"{number}-{place}", customer), **together) for place in range(3)]
    if kind == "general entry":
        return [payment(number, customer)]
    return [sale(number, customer, pdf=kind in ("document", "attachment"))]


def check(stage: Rehearsal, about: object, entries: list[commands.PostEntry]) -> None:
    """Each document stands in the books once."""
    assert {entry.your_ref: stage.bookings(entry) for entry in entries} == {entry.your_ref: 1 for entry in entries}, about
