"""`kruispost reconcile`: Chargebee, our bookings and Exact's ledger side by side, and the reason of every difference."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import typer

from backbone.command_database import CHECK_AND_MIGRATE, run_command
from backbone.configuration import Configuration, load_configuration
from backbone.settings import Settings
from bookkeeping.mapping import Mapping
from bookkeeping.money import format_minor
from bookkeeping.number_series import Gap, named_like
from contracts.ledger import LedgerState
from mapper.configuration import mappings_of
from mapper.reading import chosen
from mapper.reconcile_columns import By, Wish
from mapper.reconcile_scratch import Finding, Scratch, Series, Sum
from mapper.reconcile_sources import open_sources
from mapper.reconcile_unread import note_unread
from mapper.reconcile_wording import sentence_of, word
from mapper.reconciling import Reconciler, Told
from mapper.whole_file import written_whole
from mapper.wording import Language, say

_LISTED = 25
_KEY, _AMOUNT = 24, 16
_HEAD = ("kind", "number", "day", "customer", "currency", "chargebee", "logs", "exact", "entries", "classes", "why")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How it is asked and shown. `patience_seconds` is how long a fresh reading of Exact is waited for; 0 takes what was read."""

    division: int | None
    first: date
    last: date
    by: By
    patience_seconds: float
    everything: bool
    csv_file: Path | None


def reconcile(options: Options, lang: Language, *, as_json: bool) -> bool:
    """Print the reconciliation; return whether everything is explained. Raises KruispostError when it could not be done."""
    settings = Settings()
    configuration = load_configuration(settings.config)
    mapping = chosen(mappings_of(configuration), options.division)
    with ExitStack() as stack:
        scratch = stack.enter_context(Scratch())
        rows = _Documents(options.csv_file, mapping.currency, lang, stack)
        state = _run(settings, configuration, mapping, options, scratch, rows)
        for finding in _gaps(scratch):
            scratch.note(finding)
        if as_json:
            _print_json(options, mapping, scratch, state, lang)
        else:
            for line in _lines(options, configuration, mapping, scratch, state, lang):
                typer.echo(line)
        return not scratch.unexplained()


def _run(
    settings: Settings, configuration: Configuration, mapping: Mapping, options: Options, scratch: Scratch, rows: _Documents
) -> LedgerState:
    async def run() -> LedgerState:
        async with open_sources(settings) as sources:
            sources.check_ingest()
            if options.patience_seconds:
                await sources.ledger.refresh(mapping.division, options.patience_seconds)
            wish = Wish(division=mapping.division, first=options.first, last=options.last, by=options.by)
            reconciler = Reconciler(wish, configuration, mapping, sources, scratch, rows.write)
            await note_unread(sources, reconciler, scratch)
            return await reconciler.run()

    return run_command(run(), "The databases cannot be read", CHECK_AND_MIGRATE)


class _Documents:
    """Writes a row of CSV for every document as it is judged, where a file is asked for."""

    def __init__(self, file: Path | None, currency: str, lang: Language, stack: ExitStack) -> None:
        self._currency = currency
        self._lang: Language = lang
        self._writer = None
        if file is not None:
            self._writer = csv.writer(stack.enter_context(written_whole(file)), lineterminator="\n")
            self._writer.writerow(_HEAD)

    def write(self, told: Told) -> None:
        """Write a document; amounts have a point before the cents and no separators."""
        if self._writer is None:
            return
        currency = told.currency or self._currency
        amounts = [format_minor(each, currency).replace(",", "") for each in _sides(told)]
        why = " ".join(sentence_of(finding, self._lang)[0] for finding in told.findings)
        classes = " ".join(dict.fromkeys(finding.kind for finding in told.findings))
        entries = " ".join(map(str, told.entries))
        head = (told.kind, told.number, told.day or "", told.customer, currency)
        self._writer.writerow((*head, *amounts, entries, classes, why))


def _sides(told: Told) -> tuple[int, int, int]:
    return told.chargebee_minor, told.logs_minor, told.exact_minor


def _gaps(scratch: Scratch) -> Iterator[Finding]:
    """Give a finding for each gap in a series; the others of the series were judged as documents."""
    for series in list(scratch.series()):
        for gap in series.missing:
            first, last = _ends(series, gap)
            name = first if gap.count == 1 else f"{first} - {last}"
            details = {"count": gap.count, "prefix": series.prefix}
            yield Finding(kind="missing", name="number_missing", document=series.kind, number=name, details=details)


def _ends(series: Series, gap: Gap) -> tuple[str, str]:
    """Return the first and the last number of a gap as documents of the series would carry them."""
    return named_like(series.first, gap.first), named_like(series.first, gap.last)


def _print_json(options: Options, mapping: Mapping, scratch: Scratch, state: LedgerState, lang: Language) -> None:
    head = {
        "division": mapping.division,
        "from": options.first,
        "to": options.last,
        "by": options.by,
        "ledger_read_at": _moment(state),
        "deletions_are_seen": state.sees_deletions,
        "unexplained": scratch.unexplained(),
    }
    series = [_series_json(each) for each in scratch.series()]
    explained = [
        {"kind": kind, "code": code, "currency": currency, "documents": count, "amount_minor": amount}
        for kind, code, currency, count, amount in scratch.counts()
    ]
    body = json.dumps({**head, "series": series, "explained": explained}, indent=2, default=str, ensure_ascii=False)
    typer.echo(body.removesuffix("\n}") + ",")
    # The long lists are written as they are read, so that they never stand in memory.
    _print_list("rows", (_sum_json(each) for each in scratch.sums()), more=True)
    shown = scratch.findings(explained=None if options.everything else False)
    _print_list("findings", (_finding_json(each, lang) for each in shown), more=False)
    typer.echo("}")


def _print_list(name: str, rows: Iterator[dict[str, Any]], *, more: bool) -> None:
    typer.echo(f'  "{name}": [', nl=False)
    separator = "\n    "
    for row in rows:
        typer.echo(separator + json.dumps(row, default=str, ensure_ascii=False), nl=False)
        separator = ",\n    "
    typer.echo("]," if more else "]")


def _sum_json(each: Sum) -> dict[str, Any]:
    amounts = {"chargebee_minor": each.chargebee_minor, "logs_minor": each.logs_minor, "exact_minor": each.exact_minor}
    return {"key": each.key, "currency": each.currency, **amounts}


def _finding_json(finding: Finding, lang: Language) -> dict[str, Any]:
    sentence, action = sentence_of(finding, lang)
    return {
        "kind": finding.kind,
        "name": finding.name,
        "code": finding.code,
        "is_explained": finding.is_explained,
        "document": finding.document,
        "number": finding.number,
        "currency": finding.currency,
        "amount_minor": finding.amount_minor,
        "sentence": sentence,
        "action": action,
        "details": finding.details,
    }


def _series_json(series: Series) -> dict[str, Any]:
    return {
        "site": series.site,
        "kind": series.kind,
        "first": series.first,
        "last": series.last,
        "numbers": series.numbers,
        "booked": series.booked,
        "not_booked": series.reasons,
        "missing": [_gap_json(series, gap) for gap in series.missing],
    }


def _gap_json(series: Series, gap: Gap) -> dict[str, Any]:
    first, last = _ends(series, gap)
    return {"first": first, "last": last, "count": gap.count}


def _lines(
    options: Options, configuration: Configuration, mapping: Mapping, scratch: Scratch, state: LedgerState, lang: Language
) -> Iterator[str]:
    name = configuration.divisions[mapping.division].name
    days = {"first": options.first, "last": options.last}
    yield word("heading", lang, division=mapping.division, name=name, read_at=_moment(state) or "-", **days)
    if not state.sees_deletions:
        yield word("no_deletions", lang)
    yield ""
    columns = "".join(f"{word(name, lang):>{_AMOUNT}}" for name in ("chargebee", "logs", "exact", "differs"))
    yield f"{word(f'by_{options.by}', lang):<{_KEY}}{word('currency', lang):<10}{columns}"
    rows = 0
    for each in scratch.sums():
        rows += 1
        yield _sum_line(each.key, each)
    for each in scratch.totals():
        yield _sum_line(word("total", lang), each)
    if not rows:
        yield word("nothing", lang)
    yield from _series_lines(scratch, lang)
    yield from _finding_lines(options, scratch, lang)


def _sum_line(key: str, each: Sum) -> str:
    amounts = (each.chargebee_minor, each.logs_minor, each.exact_minor)
    written = "".join(f"{format_minor(amount, each.currency):>{_AMOUNT}}" for amount in amounts)
    differs = "" if each.is_equal else f"{format_minor(each.exact_minor - each.chargebee_minor, each.currency):>{_AMOUNT}}"
    return f"{key:<{_KEY}}{each.currency:<10}{written}{differs or ''}"


def _series_lines(scratch: Scratch, lang: Language) -> Iterator[str]:
    heading = word("series_heading", lang)
    for series in scratch.series():
        if heading:
            yield from ("", heading)
            heading = ""
        reasons = "".join(f", {count} {reason}" for reason, count in series.reasons.items())
        missing = sum(gap.count for gap in series.missing)
        gaps = word("gaps", lang, count=missing) if missing else word("no_gap", lang)
        numbers = {"first": series.first, "last": series.last, "numbers": series.numbers, "booked": series.booked}
        yield word("series", lang, reasons=reasons, gaps=gaps, **numbers)


def _finding_lines(options: Options, scratch: Scratch, lang: Language) -> Iterator[str]:
    counts = scratch.counts()
    if counts:
        yield from ("", word("explained", lang))
    for kind, code, currency, count, amount in counts:
        written = f"{currency} {format_minor(amount, currency):>14}" if currency else ""
        yield f"  {word(f'kind_{kind}', lang):<20}{code:<28}{count:>8}  {written}".rstrip()
    if options.everything:
        for finding in scratch.findings(explained=True):
            yield f"    {sentence_of(finding, lang)[0]}"
    unexplained = scratch.unexplained()
    yield ""
    if not unexplained:
        yield word("all_explained", lang)
        return
    yield word("unexplained", lang)
    for place, finding in enumerate(scratch.findings(explained=False)):
        if place >= _LISTED and not options.everything:
            yield "  " + word("more", lang, count=unexplained - _LISTED)
            return
        sentence, action = sentence_of(finding, lang)
        yield f"  {word(f'kind_{finding.kind}', lang)}: {sentence}"
        if action:
            yield f"      {say('what_to_do', lang, action=action)}"


def _moment(state: LedgerState) -> str | None:
    if state.read_at is None:
        return None
    return datetime.fromtimestamp(state.read_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
