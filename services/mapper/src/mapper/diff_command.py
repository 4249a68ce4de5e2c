"""`kruispost diff`: what another mapping would make of all history, beside what this one makes of it. Nothing is written."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from backbone.clock import SystemClock
from backbone.configuration import Configuration, load_configuration
from backbone.mapping_configuration import DivisionConfiguration
from backbone.settings import Settings
from bookkeeping.journal import Entry
from bookkeeping.money import format_minor
from bookkeeping.rejections import Rejection
from mapper.catalogue_check import names_coupons, names_fields, unseen
from mapper.comparison import ONLY_IN_TOTALS, Summary, particulars_of
from mapper.configuration import mappings_of
from mapper.differences import Comparer, Found, Wish
from mapper.history import PagedStore, count, documents
from mapper.live_words import placed
from mapper.reading import ask
from mapper.subjects import Subjects
from mapper.wording import Language, document_words, say


@contextmanager
def _progress(total: int, words: str) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        progress.add_task(words, total=total)
        yield progress


def show_diff(wish: Wish, lang: Language, *, as_json: bool) -> bool:
    """Show what differs; return whether anything does. Raises UnreadableError and ConfigurationError."""
    settings = Settings()
    old, new = load_configuration(settings.config), load_configuration(wish.new)
    before, after = Subjects(old, mappings_of(old)), Subjects(new, mappings_of(new))
    today = SystemClock().now().date()
    summary, listed, fitting, unknown = Summary(), list[Found](), 0, list[dict[str, Any]]()

    async def question(store: PagedStore) -> None:
        nonlocal fitting
        catalogues = await store.catalogues(coupons=names_coupons(new), fields=names_fields(new))
        unknown.extend(placed(new, complaint, lang) for complaint in unseen(new, catalogues).complaints)
        comparer = Comparer(store, before, after, today, wish)
        target: Any = wish.list_to.open("w", encoding="utf-8") if wish.list_to is not None else nullcontext()
        with target as file, _progress(await count(store, wish.selection), say("comparing", lang)) as progress:
            async for kept in documents(store, wish.selection):
                progress.advance(progress.task_ids[0], len(kept.rows))
                summary.looked_at += 1
                found = await comparer.of(kept)
                if found is None:
                    continue
                summary.add(found.changes, found.after, found.differences, is_booked=found.is_booked, is_closed=found.is_closed)
                if wish.is_listed(found):
                    fitting += 1
                    _list(found, listed, file, wish.limit)

    ask(settings, question)
    if as_json:
        answer = {**summary.as_dict(), "documents": [found.as_dict() for found in listed], "listed": fitting, "unseen": unknown}
        answer["periods_not_compared"] = moved_otherwise(old, new)
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        told = [say("periods_not_compared", lang, division=number) for number in moved_otherwise(old, new)]
        typer.echo("\n".join([*_text(summary, listed, fitting, lang), *told, *_unseen(wish.new, unknown)]))
    return summary.differing > 0


def moved_otherwise(old: Configuration, new: Configuration) -> list[int]:
    """Return the divisions whose rules about closed periods differ, which no entry shows that is made by its legal date."""
    both = sorted(old.divisions.keys() & new.divisions.keys())
    return [each for each in both if _of_periods(old.divisions[each]) != _of_periods(new.divisions[each])]


def _of_periods(division: DivisionConfiguration) -> tuple[object, ...]:
    return division.period_policy, division.periods, division.vat_return, division.filed_until


def _unseen(file: Path, unknown: list[dict[str, Any]]) -> list[str]:
    lines = [f"{file}:{each['line']}: {each['path']}: {each['sentence']} -> {each['advice']}" for each in unknown]
    return ["", *lines] if lines else []


def _list(found: Found, listed: list[Found], file: IO[str] | None, limit: int) -> None:
    if file is not None:
        file.write(json.dumps(found.as_dict(), ensure_ascii=False) + "\n")
    if len(listed) < limit:
        listed.append(found)


def _text(summary: Summary, listed: list[Found], fitting: int, lang: Language) -> list[str]:
    lines = [say("looked_at", lang, looked_at=summary.looked_at, differing=summary.differing)]
    if not summary.differing:
        return lines
    lines += [f"  {summary.changes[change]:>7} {say(f'change_{change}', lang)}" for change in summary.as_dict()["changes"]]
    lines += [f"  {count_:>7} {say('not_booked_then', lang)} {code}" for code, count_ in sorted(summary.reasons.items())]
    if summary.booked_differing:
        lines.append(say("booked_differing", lang, count=summary.booked_differing))
    if summary.in_closed_periods:
        lines.append(say("in_closed_periods", lang, count=summary.in_closed_periods))
    place = None
    for each in summary.as_dict()["places"]:
        if not (each["before_minor"] or each["after_minor"]):
            continue  # what was invoiced there and paid
        if place != (each["division"], each["currency"], each["part"]):
            place = (each["division"], each["currency"], each["part"])
            lines += ["", _place_head(place, lang)]
        lines.append(_place_row(each["name"], each["before_minor"], each["after_minor"], each["currency"]))
    lines += ["", *(line for found in listed for line in _found_lines(found, lang))]
    return [*lines, say("more", lang, count=fitting - len(listed))] if fitting > len(listed) else lines


def _place_head(place: tuple[int | None, str, str], lang: Language) -> str:
    division, currency, part = place
    title = f"{say('division_totals', lang, division=division, currency=currency)}: {say(f'part_{part}', lang)}"
    return f"{title:<48}" + "".join(f"{say(name, lang):>15}" for name in ("before", "after", "difference"))


def _place_row(name: str, before_minor: int, after_minor: int, currency: str) -> str:
    amounts = (before_minor, after_minor, after_minor - before_minor)
    return f"  {name:<46}" + "".join(f"{format_minor(amount, currency):>15}" for amount in amounts)


def _found_lines(found: Found, lang: Language) -> list[str]:
    words = ", ".join(say(f"change_{change}", lang) for change in found.changes)
    state = say("booked" if found.is_booked else "not_booked_yet", lang)
    closed = f", {say('closed_period', lang)}" if found.is_closed else ""
    name = document_words(found.kind, found.number, lang)
    lines = [f"{name}, {found.document_date or '-'}, {state}{closed}: {words}"]
    made = found.after.made
    if not isinstance(made, Entry):
        lines.append(f"  {made.code}: {made.sentence_nl if lang == 'nl' else made.sentence}")
        if isinstance(made, Rejection):
            lines.append(f"  {say('what_to_do', lang, action=made.action_nl if lang == 'nl' else made.action)}")
        return lines
    for each in found.differences:
        if each.part not in ONLY_IN_TOTALS:
            amounts = f"{format_minor(each.before_minor, each.currency)} -> {format_minor(each.after_minor, each.currency)}"
            lines.append(f"  {say(f'part_{each.part}', lang)} {each.name}: {amounts}")
    for particular in particulars_of(found.before, found.after):
        name, _, days = particular.name.partition(" ")
        title = f"{say('of_released', lang)} {days}" if days else say("of_at_once" if name == "released" else f"of_{name}", lang)
        lines.append(f"  {title}: {particular.before} -> {particular.after}")
    return lines
