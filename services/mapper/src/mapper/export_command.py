"""`kruispost export`: every line that we booked in Exact, as CSV with a chain of hashes, and the check of such a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
import sqlalchemy as sa
import typer

from backbone.clock import SystemClock
from backbone.command_database import UnreadableError, run_command
from backbone.configuration import load_configuration
from backbone.errors import ConfigurationError, KruispostError
from backbone.settings import Settings
from bookkeeping.mapping import Mapping
from bookkeeping.money import format_minor
from contracts.commands import PostEntry
from contracts.facts import DocumentKind, EntryPosted
from contracts.ledger import LedgerYear
from mapper import tables
from mapper.audit_chain import ChainWriter, Checked, check
from mapper.audit_file import AuditFile, Company, Span, Written, amount, country_code
from mapper.audit_file_hashes import check_pair, hashes_of, is_audit_file, written_with_hashes
from mapper.configuration import mappings_of
from mapper.drift_decisions import entries_of_decisions
from mapper.issue import booked_entry
from mapper.log_chain import Service, write_log
from mapper.reading import chosen
from mapper.reconcile_sources import Sources, open_sources
from mapper.whole_file import written_whole
from mapper.wording import Language

COLUMNS = (
    *("division", "site", "kind", "number", "reference", "customer", "journal", "entry_number", "entry_id", "entry_date"),
    *("year", "period", "account", "description", "vat_code", "debit", "credit", "vat_debit", "vat_credit", "currency"),
    *("exchange_rate", "cost_center", "cost_unit", "deferred_from", "deferred_to", "booked_at", "mapping_version", "command_id"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which entries, by their date, and where to."""

    division: int | None
    first: date
    last: date
    file: Path


def export(options: Options, lang: Language) -> None:
    """Write the file and say its last hash. Raises KruispostError."""
    settings = Settings()
    mapping = chosen(mappings_of(load_configuration(settings.config)), options.division)

    async def run() -> ChainWriter:
        with written_whole(options.file) as stream:
            writer = ChainWriter(stream, COLUMNS)
            async with open_sources(settings) as sources:
                async for command, posted, at in _booked(sources, mapping.division):
                    if options.first <= command.entry_date <= options.last:
                        for line in _lines(command, posted, at, mapping):
                            writer.write(line)
            return writer

    written = run_command(run(), "The databases cannot be read", f"check their address. {options.file} is as it was")
    words = (
        f"{written.lines} lines in {options.file}. Note the last hash where nobody can change it: {written.last}",
        f"{written.lines} regels in {options.file}. Noteer de laatste hash waar niemand die kan wijzigen: {written.last}",
    )
    typer.echo(words[lang == "nl"])


def export_audit_file(year: int, file: Path, division: int | None, patience_seconds: float, lang: Language) -> None:
    """Write the Dutch audit file of a financial year and say its totals. Raises KruispostError."""
    settings = Settings()
    configuration = load_configuration(settings.config)
    mapping = chosen(mappings_of(configuration), division)
    section = configuration.divisions[mapping.division]
    if section.vat_number is None:
        raise ConfigurationError(
            f"An audit file names the company's VAT number: add divisions.{mapping.division}.vat_number to {settings.config}."
        )
    country = country_code(section.country)
    if country is None:
        raise ConfigurationError(
            f"The schema of audit files has no country {section.country}: correct divisions.{mapping.division}.country in"
            f" {settings.config} to the ISO code of where the company pays VAT."
        )
    company = Company(
        division=mapping.division,
        name=section.name,
        vat_number=section.vat_number,
        country=country,
        currency=section.currency,
    )

    async def run() -> tuple[Written, int, str | None]:
        async with open_sources(settings) as sources:
            if patience_seconds:
                await sources.ledger.refresh(mapping.division, patience_seconds)
            totals = await sources.ledger.year(mapping.division, year)
            if not totals.lines:
                raise KruispostError("nothing_in_year", f"Exact's ledger, as it was read, has no lines of financial year {year}.")
            if off := sum(balance for _, balance in totals.opening):
                raise KruispostError(
                    "opening_unbalanced",
                    f"What the years before {year} left on the accounts is off by {amount(off)}, so that lines of theirs are"
                    " missing here; give the command again without --wait 0.",
                )
            span = await _span(sources, mapping.division, year, totals)
            with written_with_hashes(file) as (stream, chain):
                made = AuditFile(stream, company, span, totals, SystemClock().now().date())
                written = await made.write(sources.ledger.lines_of_year(mapping.division, year))
                told = (totals.lines, totals.debit_hundredths, totals.credit_hundredths)
                if (written.lines, written.debit_hundredths, written.credit_hundredths) != told:
                    raise KruispostError("ledger_changed", "The ledger was read anew meanwhile; give the command again.")
            return written, len(totals.opening), chain.last if chain is not None else None

    written, opening, last = run_command(run(), "The databases cannot be read", f"check their address. {file} is as it was")
    totals = {"lines": written.lines, "debit": amount(written.debit_hundredths), "credit": amount(written.credit_hundredths)}
    words = (
        "{lines} lines of {year} in {file}: debit {debit}, credit {credit}; {opening} accounts in the opening balance.",
        "{lines} regels van {year} in {file}: debet {debit}, credit {credit}; {opening} rekeningen in de beginbalans.",
    )
    typer.echo(words[lang == "nl"].format(year=year, file=file, opening=opening, **totals))
    if last is not None:
        words = (
            f"Its hashes are in {hashes_of(file)}. Note the last one where nobody can change it: {last}",
            f"De hashes staan in {hashes_of(file)}. Noteer de laatste waar niemand die kan wijzigen: {last}",
        )
        typer.echo(words[lang == "nl"])


async def _span(sources: Sources, division: int, year: int, totals: LedgerYear) -> Span:
    """Return the days of a year and its periods, as Exact told them; those that it did not tell have the days of their lines."""
    column = tables.periods.c
    statement = sa.select(column.period, column.starts, column.ends).where(column.division == division, column.year == year)
    periods = {number: (first, last) for number, first, last in totals.periods}
    async with sources.mapper.reading() as connection:
        told = {row.period: (row.starts, row.ends) for row in await connection.execute(statement)}
    periods |= told
    days = told.values() or [(date(year, 1, 1), date(year, 12, 31))]
    return Span(year=year, first=min(first for first, _ in days), last=max(last for _, last in days), periods=periods)


def export_log(service: Service, file: Path, lang: Language) -> None:
    """Write the event log of a service and say its last hash. Raises KruispostError."""
    settings = Settings()

    async def run() -> ChainWriter:
        with written_whole(file) as stream:
            return await write_log(settings, service, stream)

    written = run_command(run(), f"The log of {service} cannot be read", f"check its address. {file} is as it was")
    words = (
        f"{written.lines} messages in {file}. Note the last hash where nobody can change it: {written.last}",
        f"{written.lines} berichten in {file}. Noteer de laatste hash waar niemand die kan wijzigen: {written.last}",
    )
    typer.echo(words[lang == "nl"])


def verify(file: Path, lang: Language, noted: str | None = None) -> bool:
    """Check a file that was exported, without any database; return whether it is as it was written. Raises KruispostError.

    With a hash that was noted earlier, the file must have it: then all up to there is what it was when that was noted.
    """
    try:
        pair = check_pair(file, noted) if is_audit_file(file) else None
        if pair is not None:
            found = pair.chain
        else:
            # A byte that is no UTF-8 was not written so: its line is broken, and the file is an export none the less.
            with file.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
                found = check(stream, noted)
    except (OSError, ValueError) as error:
        raise KruispostError("file_not_read", f"{file} is no export of Kruispost, or not whole ({error}); name one.") from error
    broken, at = (
        (hashes_of(file), found.broken_at) if pair is not None and found.broken_at is not None else (file, found.broken_at)
    )
    if pair is not None and pair.broken_at is not None:
        at = pair.broken_at
    words = _outcome(found, broken, at, noted)
    typer.echo(words[lang == "nl"])
    return at is None and (noted is None or found.has_noted)


def _outcome(found: Checked, file: Path, broken_at: int | None, noted: str | None) -> tuple[str, str]:
    """Say in English and Dutch what came of checking a file."""
    if broken_at is not None:
        return (
            f"Line {broken_at} of {file} is not as it was written, or one before it is missing.",
            f"Regel {broken_at} van {file} is niet zoals die is geschreven, of er ontbreekt er een voor.",
        )
    if noted is not None and not found.has_noted:
        return (
            f"{file} does not have the hash that was noted: something before it was changed, left out or added since.",
            f"{file} heeft de genoteerde hash niet: sindsdien is ervoor iets gewijzigd, weggelaten of toegevoegd.",
        )
    return (
        f"{found.lines} lines, as they were written. It is the whole file if the last hash noted was {found.last}",
        f"{found.lines} regels, zoals ze zijn geschreven. Het is het hele bestand als de genoteerde hash {found.last} was",
    )


async def _booked(sources: Sources, division: int) -> AsyncIterator[tuple[PostEntry, EntryPosted, float]]:
    """Give what was booked, by site, kind of document and number, with what the writer said of it; a page is in memory.

    Behind it stand the entries that took a change in Exact back (`kruispost drift revert`).

    Raises UnreadableError where the writer has no record of a booking: the file would be short of it, and vouch for that.
    """
    async for rows in sources.rows_of_kinds(division, get_args(DocumentKind)):
        booked = [row for row in rows if row.state == "booked" and row.command is not None and row.command_id is not None]
        said = await sources.ledger.posted([row.command_id or "" for row in booked])
        told = {fact.command_id: (fact, at) for fact, at in said}
        for row in booked:
            posted = told.get(row.command_id or "")
            if posted is None:
                raise UnreadableError(
                    f"{row.key.kind} {row.key.number}{row.key.suffix} is booked, and the exact-writer has no record of it, so "
                    "that the file would not be whole; restore a newer backup of the exact-writer's database."
                )
            if not posted[0].is_linked:  # somebody else booked it
                yield (msgspec.json.decode(row.command or b"", type=PostEntry), *posted)
    async with sources.mapper.reading() as connection:
        async for page in entries_of_decisions(connection, division):
            by_id = {command.command_id: command for _, command in page}
            for fact, at in await sources.ledger.posted(list(by_id)):
                yield by_id[fact.command_id], fact, at


def _lines(command: PostEntry, posted: EntryPosted, at: float, mapping: Mapping) -> list[tuple[Any, ...]]:
    document, currency = command.document, command.currency
    entry = booked_entry(command, command.your_ref, mapping.receivable_account)
    rate = command.exchange_rate or posted.exchange_rate
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    head = (command.division, document.site, document.kind, document.number, command.your_ref, document.customer_id)
    place = (posted.journal, posted.entry_number, posted.entry_id, command.entry_date)
    period = (posted.reporting_year, posted.reporting_period)
    end = (moment, command.mapping_version, command.command_id)

    def sides(amount_minor: int) -> tuple[str, str]:
        written = format_minor(abs(amount_minor), currency).replace(",", "")
        return (written, "") if amount_minor > 0 else ("", written) if amount_minor else ("", "")

    return [
        (
            *(*head, *place, *period, line.account, line.description, line.vat_code),
            *(*sides(line.amount_minor), *sides(line.vat_minor), currency, rate),
            *(line.cost_center, line.cost_unit, line.first, line.last, *end),
        )
        for line in entry.lines
    ]
