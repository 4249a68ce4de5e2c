"""The cases of tests/golden through the mapper and the exact-writer into the Exact stand-in's ledger."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from support import golden_chargebee
from support.engines import database_for
from support.exact_server import ExactServer, exact_server
from support.golden import FOLDER, chart, divisions_of, minor, site_of
from support.mapper_stage import Stage
from support.writer_stage import WriterStage, writer_stage

from backbone.configuration import Configuration
from bookkeeping.money import format_minor
from contracts import commands, facts
from simulators.exact.master_data import open_periods
from simulators.exact.seed import DEMO_DIVISION

MONTHS = 36
DEFERRED = "1650"
LATEST_RECLAIM = date(2027, 4, 1)
"""By then the VAT of every written-off debt of the cases comes back."""
ANSWERS = (
    facts.EntryPosted,
    facts.EntryRefused,
    facts.AccountSaved,
    facts.AccountRefused,
    facts.PeriodObserved,
)
Case = tuple[str, dict[str, Any], list[str]]
Told = facts.DocumentHeld | facts.DocumentSetAside | facts.DocumentPlanned


class Chain:
    """A mapper and a writer, each with what the other one said carried over, and the books that come of it."""

    def __init__(self, mapper: Stage, writer: WriterStage, exact: ExactServer, configuration: Configuration) -> None:
        self.mapper = mapper
        self._writer = writer
        self.exact = exact
        self._heard = 0
        self._told = 0
        self.configuration = configuration

    async def hear(self, *messages: facts.Observed) -> None:
        """Let Chargebee show these, and wait until everything that follows from them was answered by Exact."""
        await self.mapper.hear(*messages)
        async with asyncio.timeout(60):
            # What is answered between the two is carried over, since that comes second.
            while await self._under_way() or await self._carry():
                await self._carry()
                await asyncio.sleep(0.05)

    async def periods_known(self, journals: int) -> None:
        """Wait until the mapper knows which periods are open."""
        answered = await self._writer.until(facts.PeriodObserved, journals * MONTHS)
        await self.mapper.hear_at_once(*answered)
        self._heard = len(answered)
        await self._carry()

    async def _carry(self) -> bool:
        """Carry over what is new; says whether there was anything."""
        asked = await self.mapper.said(commands.SaveAccount, commands.PostEntry)
        await self._writer.tell(*asked[self._told :])
        answered = await self._writer.said(*ANSWERS)
        await self.mapper.hear(*answered[self._heard :])
        moved = len(asked) > self._told or len(answered) > self._heard
        self._told, self._heard = len(asked), len(answered)
        return moved

    async def _under_way(self) -> bool:
        ended = {answer.command_id for answer in await self._writer.said(facts.EntryPosted, facts.EntryRefused)}
        return any(entry.command_id not in ended for entry in await self.mapper.entries())

    async def days_pass(self, today: date) -> None:
        """Let it become that day."""
        await self.mapper.days_pass(today)
        await self.hear()

    async def told_of(self, site: str) -> list[Told]:
        """Return what the mapper decided about the documents of a site."""
        decided = await self.mapper.said(facts.DocumentHeld, facts.DocumentSetAside, facts.DocumentPlanned)
        return [message for message in decided if message.document.site == site]

    async def posted(self) -> list[facts.EntryPosted]:
        """Return what stands in Exact, in the order in which it was booked."""
        return await self._writer.said(facts.EntryPosted)

    async def refusals(self) -> list[str]:
        """Return what Exact did not take, in words."""
        return [f"{each.document.site} {each.message}" for each in await self._writer.said(facts.EntryRefused)]

    async def entry(self, site: str, number: str, kind: str, suffix: str, division: int = DEMO_DIVISION) -> dict[str, Any] | str:
        """Return the one entry that stands in a division's ledger for a document, or what stands there instead."""
        posted = [
            each.entry_id
            for each in await self._writer.said(facts.EntryPosted)
            if (each.document.site, each.document.number, each.document.kind) == (site, number, kind)
            and each.document.suffix == suffix
        ]
        if len(posted) != 1:
            return f"{len(posted)} entries"
        ledger = await self.exact.ledger(division)
        return next((each for each in ledger["entries"] if each["entry_id"] == posted[0]), f"nothing in division {division}")


def journal(entry: dict[str, Any] | str) -> list[str]:
    """Return the lines of what `Chain.entry` found, a line per account; what stands there instead as the only line."""
    return [entry] if isinstance(entry, str) else written(entry["lines"])


def released(deferral: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return what comes and goes on the account of deferred revenue and against it, by period: `D 1650 100.00`."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in deferral:
        found.setdefault(f"{line['year']}-{line['period']:02d}", []).append(line)
    return {period: rows for period, lines in sorted(found.items()) if (rows := written(lines))}


def expected_releases(booking: dict[str, Any], revenue: str) -> dict[str, list[str]]:
    """Return the same of a case: what is released of a revenue account in each period, all of it deferred in its own."""
    amounts = {period: minor(amount) for period, amount in (each.split() for each in booking["released"])}
    own = booking.get("reported_in", f"{booking['document']['date']:%Y-%m}")
    amounts[own] = amounts.get(own, 0) - sum(amounts.values())
    pairs = {
        period: [{"gl_account": DEFERRED, "amount_minor": amount}, {"gl_account": revenue, "amount_minor": -amount}]
        for period, amount in sorted(amounts.items())
    }
    return {period: rows for period, lines in pairs.items() if (rows := written(lines))}


def written(lines: list[dict[str, Any]]) -> list[str]:
    """Write ledger lines as the cases do, without the accounts' names: `D 1300 121.00`, debit above credit."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line["gl_account"]] = sums.get(line["gl_account"], 0) + line["amount_minor"]
    rows = [("D" if amount > 0 else "C", account, abs(amount)) for account, amount in sums.items() if amount]
    return sorted((f"{side} {account} {format_minor(amount, 'EUR')}" for side, account, amount in rows), key=_debit_first)


def expected(journal: str) -> list[str]:
    """Return a case's journal in the same short form."""
    rows = []
    for line in journal.strip().splitlines():
        words = line.split()
        rows.append(f"{words[0]} {words[1]} {words[-1]}")
    return sorted(rows, key=_debit_first)


def _debit_first(row: str) -> tuple[bool, str]:
    return row.startswith("C"), row


def configured(settings: dict[str, Any], sites: Mapping[str, dict[str, Any]]) -> Configuration:
    """Return the chart's division with some settings of a case, and a Chargebee site for each of its bookings, by its name."""
    section = {**yaml.safe_load((FOLDER / "chart.yaml").read_text())["division"], **settings}
    divisions = {division for booking in sites.values() for division in divisions_of(booking)}
    return Configuration.model_validate(
        {
            "version": 1,
            "sites": {site: site_of(booking) for site, booking in sites.items()},
            "divisions": dict.fromkeys(sorted(divisions), section),
        }
    )


@asynccontextmanager
async def chain(configuration: Configuration, closed: list[str], directory: Path) -> AsyncIterator[Chain]:
    """Run a mapper and a writer on one configuration, with these months closed in Exact."""
    journals, divisions = journals_of(configuration), configuration.divisions
    async with exact_server() as exact, database_for("sqlite", directory / "mapper", "mapper") as database:
        for division in divisions:
            _complete(exact, division, journals)
            deferral = divisions[division].deferral
            by_day = deferral is not None and deferral.schedule == "per_day"
            there = exact.simulator.world.divisions[division]
            there.settings = replace(there.settings, deferral_method="day" if by_day else "period")
        for division, month in itertools.product(divisions, closed):
            year, _, number = month.partition("-")
            await exact.control("periods", division=division, journal=None, year=int(year), period=int(number), open=False)
        (directory / "writer").mkdir()
        async with writer_stage(exact, directory / "writer", configuration=configuration) as writer:
            made = Chain(Stage(database, configuration), writer, exact, configuration)
            await made.periods_known(len(journals) * len(divisions))
            yield made


def journals_of(configuration: Configuration) -> set[str]:
    """Return the codes of the journals that the division books in."""
    return configuration.divisions[DEMO_DIVISION].journals.codes()


def _complete(exact: ExactServer, number: int, journals: set[str]) -> None:
    """Add the accounts, journals and the currency of the cases that the stand-in lacks, as a bookkeeper would."""
    division = exact.simulator.world.divisions[number]
    known = {row["Code"] for row in division.table("financial/GLAccounts")}
    pattern = next(row for row in division.table("financial/GLAccounts") if row["Code"] == "8090")
    debtors = next(row for row in division.table("financial/GLAccounts") if row["Code"] == "1300")
    for code, name in chart().accounts.items():
        if code not in known:
            like = debtors if code.startswith("13") else pattern
            changes = {"ID": division.world.next_id(), "Code": code, "Description": name}
            division.create("financial/GLAccounts", {**like, **changes})
    known = {row["Code"] for row in division.table("general/Currencies")}
    for code in sorted({"JPY", "CLP"} - known):
        division.create("general/Currencies", {"Code": code, "Description": code, "AmountPrecision": Decimal(4)})
    memorial = next(row for row in division.table("financial/Journals") if row["Code"] == "90")
    for code in journals - {row["Code"] for row in division.table("financial/Journals")}:
        journal = division.create("financial/Journals", {**memorial, "ID": division.world.next_id(), "Code": code})
        open_periods(division, journal)


async def play(made: Chain, bookings: dict[str, dict[str, Any]]) -> None:
    """Let Chargebee show what cases are about, each on its own site, in the order in which things happen."""
    documents = {site: booking["document"] for site, booking in bookings.items()}
    await made.hear(*(each for site, data in documents.items() for each in golden_chargebee.surroundings(site, data)))
    await made.hear(*(golden_chargebee.document(site, data) for site, data in documents.items()))
    if any(data["kind"] == "vat_reclaim" for data in documents.values()):
        await made.days_pass(LATEST_RECLAIM)
    gone = {site: booking["reversed_on"] for site, booking in bookings.items() if "reversed_on" in booking}
    await made.hear(*(golden_chargebee.document(site, documents[site], voided_on=day) for site, day in gone.items()))
