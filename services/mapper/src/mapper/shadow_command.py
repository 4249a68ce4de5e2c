"""`kruispost shadow`: prints what another connector booked otherwise than we would."""

from __future__ import annotations

import csv
import json
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import typer

from backbone.command_database import run_command
from backbone.configuration import load_configuration
from backbone.settings import Settings
from bookkeeping.money import format_minor
from mapper.configuration import mappings_of
from mapper.reading import chosen
from mapper.reconcile_sources import open_sources
from mapper.shadow import Compared, Shadow
from mapper.subjects import Subjects
from mapper.whole_file import written_whole
from mapper.wording import Language, document_words

MOST_LISTED: Final = 25
HEAD: Final = ("verdict", "kind", "number", "day", "customer", "currency", "total", "entry", "parts", "told")
# verdict: English, Dutch
VERDICTS: Final[dict[str, tuple[str, str]]] = {
    "same": ("the same", "hetzelfde"),
    "differs": ("differs", "verschilt"),
    "missing_there": ("missing there", "ontbreekt daar"),
    "held": ("held here", "hier vastgehouden"),
    "only_there": ("only there", "alleen daar"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which days of which division; `patience_seconds` is how long a fresh reading of Exact's ledger is waited for."""

    division: int | None
    first: date
    last: date
    patience_seconds: float
    everything: bool
    csv_file: Path | None


def show_shadow(wish: Wish, lang: Language, *, as_json: bool) -> bool:
    """Print the report; return whether nothing differs. Raises KruispostError when it could not be made."""
    settings = Settings()
    configuration = load_configuration(settings.config)
    mappings = mappings_of(configuration)
    mapping = chosen(mappings, wish.division)
    journals = sorted(configuration.divisions[mapping.division].journals.codes())
    counts: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    shown: list[Compared] = []

    async def run() -> None:
        async with open_sources(settings) as sources:
            if wish.patience_seconds:
                await sources.ledger.refresh(mapping.division, wish.patience_seconds)
            shadow = Shadow(sources, Subjects(configuration, mappings), mapping, journals)
            with ExitStack() as stack:
                rows = csv.writer(stack.enter_context(written_whole(wish.csv_file))) if wish.csv_file is not None else None
                if rows is not None:
                    rows.writerow(HEAD)
                async for each in shadow.compared(wish.first, wish.last):
                    counts[each.verdict] += 1
                    parts.update(each.parts)
                    if rows is not None:
                        rows.writerow(_row(each, lang))
                    if (each.verdict != "same" or wish.everything) and (len(shown) < MOST_LISTED or wish.everything):
                        shown.append(each)

    run_command(run(), "The databases cannot be read")
    if as_json:
        told: dict[str, Any] = {"division": mapping.division, "from": wish.first, "to": wish.last}
        told |= {"is_shadow": mapping.shadow, "verdicts": dict(counts), "parts": dict(parts)}
        told["documents"] = [each.as_dict() for each in shown]
        typer.echo(json.dumps(told, indent=2, default=str, ensure_ascii=False))
    else:
        typer.echo("\n".join(_lines(counts, parts, shown, lang)))
    return not any(counts[verdict] for verdict in VERDICTS if verdict != "same")


def _row(each: Compared, lang: Language) -> tuple[Any, ...]:
    total = format_minor(each.total_minor, each.currency).replace(",", "")
    told = "; ".join(one.dutch if lang == "nl" else one.english for one in each.told)
    head = (each.verdict, each.kind, each.number, each.day or "", each.customer, each.currency)
    return (*head, total, each.entry or "", " ".join(each.parts), told)


def _lines(counts: Counter[str], parts: Counter[str], shown: list[Compared], lang: Language) -> list[str]:
    dutch = lang == "nl"
    lines = [f"{VERDICTS[verdict][dutch]:<20}{counts[verdict]:>8}" for verdict in VERDICTS if counts[verdict]]
    if not lines:
        return ["Niets in deze dagen." if dutch else "Nothing in these days."]
    if parts:
        listed = ", ".join(f"{count} {part}" for part, count in sorted(parts.items()))
        lines.append(f"{'waarvan' if dutch else 'of which'}: {listed}")
    for each in shown:
        name = each.number if each.kind == "entry" else document_words(each.kind, each.number, lang)
        entry = f" ({'boeking' if dutch else 'entry'} {each.entry})" if each.entry else ""
        amount = f"{each.currency} {format_minor(each.total_minor, each.currency)}"
        lines.append(f"{name}, {each.day}, {amount}{entry}: {VERDICTS[each.verdict][dutch]}")
        lines += [f"  {one.dutch if dutch else one.english}" for one in each.told]
    more = sum(count for verdict, count in counts.items() if verdict != "same") - len(shown)
    if more > 0:
        lines.append(f"... en nog {more} (--all toont ze)" if dutch else f"... and {more} more (--all shows them)")
    return lines
