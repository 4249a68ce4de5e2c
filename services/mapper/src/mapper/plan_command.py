"""`kruispost plan`: puts what would be booked before a person, or prints it as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass

import typer

from backbone.clock import SystemClock
from backbone.configuration import Configuration, load_configuration
from backbone.settings import Settings
from bookkeeping.bookings import reference
from mapper.configuration import mappings_of
from mapper.history import PagedStore, Selection, documents
from mapper.preview import OPEN, Planned, Preview, Totals
from mapper.reading import ask
from mapper.subjects import Subjects
from mapper.wording import Language, document_words, head, journal_rows, row, say

VAT = "VAT "  # how postings of VAT begin, before the code


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for; `limit` is how many entries are shown, the totals count all."""

    number: str | None
    division: int | None
    site: str | None
    customer: str | None
    state: str | None
    everything: bool
    limit: int

    def selection(self) -> Selection:
        """Return which documents are looked at."""
        states = None if self.everything else OPEN if self.state is None else frozenset((self.state,))
        return Selection(division=self.division, site=self.site, customer=self.customer, number=self.number, states=states)


def show_plan(wish: Wish, lang: Language, *, as_json: bool) -> bool:
    """Show what would be booked; return whether something is held. Raises UnreadableError and ConfigurationError."""
    settings = Settings()
    configuration = load_configuration(settings.config)
    subjects = Subjects(configuration, mappings_of(configuration))
    today = SystemClock().now().date()

    async def question(store: PagedStore) -> tuple[list[Planned], int, Totals]:
        preview, shown, totals, found = Preview(store, subjects, today), list[Planned](), Totals(), 0
        async for kept in documents(store, wish.selection()):
            for planned in await preview.of(kept):
                totals.add(planned)
                found += 1
                if len(shown) < wish.limit:
                    shown.append(planned)
        return shown, found, totals

    shown, found, totals = ask(settings, question)
    if as_json:
        answer = {"documents": [planned.as_dict() for planned in shown], "found": found, "totals": totals.as_dict()}
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return totals.held > 0
    if not found:
        typer.echo(say("nothing", lang))
        return False
    for planned in shown:
        typer.echo("\n".join(_lines(planned, lang)))
    if found > len(shown):
        typer.echo(say("more", lang, count=found - len(shown)))
    typer.echo("\n".join([*_totals(totals, lang), *_beyond_licence(totals, configuration, lang)]))
    return totals.held > 0


def _lines(planned: Planned, lang: Language) -> list[str]:
    ref, entry = planned.subject.ref, planned.entry
    document, state = document_words(ref.kind, reference(ref.number, planned.suffix), lang), say(planned.state, lang)
    if entry is None:
        sentence, action = (planned.sentence_nl, planned.action_nl) if lang == "nl" else (planned.sentence, planned.action)
        lines = [say("why_not", lang, document=document, state=state, sentence=sentence or planned.code)]
        return [*lines, *([f"  {say('what_to_do', lang, action=action)}"] if action else []), ""]
    values = {"journal": entry.journal, "division": planned.division, "date": entry.entry_date}
    lines = [say("heading", lang, document=document, state=state, **values)]
    if entry.exchange_rate is not None:
        lines.append(f"  {say('at_rate', lang, currency=entry.currency, rate=entry.exchange_rate)}")
    if entry.reporting_year is not None:
        lines.append(f"  {say('reported_in', lang, year=entry.reporting_year, period=entry.reporting_period)}")
    return [*lines, *journal_rows(entry, lang), ""]


def _beyond_licence(totals: Totals, configuration: Configuration, lang: Language) -> list[str]:
    """Warn where more lines wait than the contract with Exact allows in a month."""
    told = []
    for division, lines in sorted(totals.lines.items()):
        section = configuration.divisions.get(division)
        most = section.licence.lines_a_month if section is not None else None
        if most is not None and lines > most:
            told += ["", say("beyond_licence", lang, division=division, lines=lines, most=most)]
    return told


def _totals(totals: Totals, lang: Language) -> list[str]:
    counts = {"entries": totals.entries, "calls": totals.calls, "not_booked": sum(totals.reasons.values())}
    lines, place = [say("plan_totals", lang, **counts)], None
    lines += [f"  {count} x {code}" for code, count in sorted(totals.reasons.items())]
    for (division, currency, account), (debit, credit) in sorted(totals.sums.items()):
        if place != (division, currency):
            place = (division, currency)
            lines += ["", head(say("division_totals", lang, division=division, currency=currency), lang)]
        code = account.removeprefix(VAT)
        name = account if code == account else say("vat_row", lang, code=code)
        lines.append(row(name, debit, credit, currency))
    return lines
