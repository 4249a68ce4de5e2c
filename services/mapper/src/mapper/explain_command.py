"""`kruispost explain`: tells line by line which rule booked a document where, and where every cent went."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from backbone.clock import SystemClock
from backbone.configuration import load_configuration
from backbone.settings import Settings
from bookkeeping.bookings import reference
from bookkeeping.money import format_minor
from bookkeeping.telling import rule_in_dutch
from mapper.comparison import ONLY_IN_TOTALS
from mapper.configuration import mappings_of
from mapper.explaining import Explainer, Explanation, RulePlace, Why
from mapper.history import PagedStore, Selection, documents
from mapper.reading import ask
from mapper.subjects import Subjects
from mapper.wording import Language, document_words, say


def show_explanation(number: str, site: str | None, lang: Language, *, as_json: bool) -> bool:
    """Explain every document with a number; return whether all is well. Raises UnreadableError and ConfigurationError."""
    settings = Settings()
    configuration = load_configuration(settings.config)
    subjects = Subjects(configuration, mappings_of(configuration))

    async def question(store: PagedStore) -> list[Explanation]:
        explainer, found = Explainer(store, subjects, configuration, SystemClock().now().date()), list[Explanation]()
        async for kept in documents(store, Selection(number=number, site=site)):
            found += await explainer.of(kept)
        return found

    found = ask(settings, question)
    if as_json:
        typer.echo(json.dumps({"documents": [each.as_dict() for each in found]}, indent=2, ensure_ascii=False, default=str))
    elif not found:
        typer.echo(say("unknown_number", lang, number=number), err=True)
    else:
        typer.echo("\n\n".join("\n".join(_lines(each, settings.config, lang)) for each in found))
    return bool(found) and all(each.state not in ("held", "refused") for each in found)


def _lines(found: Explanation, file: Path, lang: Language) -> list[str]:
    ref, entry = found.subject.ref, found.entry
    document = document_words(ref.kind, reference(ref.number, found.suffix), lang)
    currency, total_minor = found.amount
    amount = f"{currency} {format_minor(total_minor, currency)}"
    lines = [
        say(
            "explained" if ref.customer_id else "explained_of_nobody",
            lang,
            document=document,
            date=ref.document_date or "-",
            amount=amount,
            customer=ref.customer_id,
            state=say(found.state, lang),
        )
    ]
    if entry is None:
        sentence, action = (found.sentence_nl, found.action_nl) if lang == "nl" else (found.sentence, found.action)
        lines.append(f"  {sentence}")
        return [*lines, *([f"  {say('what_to_do', lang, action=action)}"] if action else [])]
    which = "by_present_mapping" if found.is_present else "by_older_mapping"
    words = say(which, lang, version=found.mapping_version, division=found.division, journal=entry.journal, file=file.name)
    lines.append(f"  {words}")
    for why in found.whys:
        lines += _line(why, ref.currency, file, lang)
    lines += [f"  {note.dutch if lang == 'nl' else note.english}" for note in found.notes]
    if found.changes:
        changes = ", ".join(say(f"change_{change}", lang) for change in found.changes)
        lines.append(f"  {say('would_differ', lang, changes=changes)}")
        for each in found.differences:
            if each.part not in ONLY_IN_TOTALS:
                amounts = (format_minor(amount, each.currency) for amount in (each.before_minor, each.after_minor))
                lines.append(f"    {say(f'part_{each.part}', lang)} {each.name}: {' -> '.join(amounts)}")
    elif found.state == "booked" and found.is_compared:
        lines.append(f"  {say('would_not_differ', lang)}")
    return lines


def _line(why: Why, currency: str, file: Path, lang: Language) -> list[str]:
    reason = why.reason
    net, vat = format_minor(reason.net_minor, currency), format_minor(reason.vat_minor, currency)
    lines = [
        f"  {say('on_account', lang, line=reason.description, amount=net, account=reason.account)}",
        f"    {say('by_rule', lang, rule=_rule(reason.revenue_rule, lang))}{_at(why.revenue_place, file)}",
        f"    {say('with_code', lang, amount=vat, rate=f'{reason.rate.normalize():f}', code=reason.vat_code)}",
        f"      {say('by_rule', lang, rule=_rule(reason.vat_rule, lang))}{_at(why.vat_place, file)}",
    ]
    if reason.moved_minor:
        lines.append(f"    {say('cents_moved', lang, amount=format_minor(reason.moved_minor, currency))}")
    for share in reason.shares:
        amount = format_minor(share.amount_minor, currency)
        if share.first is not None and share.last is not None:
            lines.append(f"    {say('deferred', lang, amount=amount, first=share.first, last=share.last)}")
        elif len(reason.shares) > 1:
            lines.append(f"    {say('at_once', lang, amount=amount)}")
    return lines


def _rule(words: str, lang: Language) -> str:
    return rule_in_dutch(words) if lang == "nl" else words


def _at(place: RulePlace | None, file: Path) -> str:
    return f"  [{file.name}:{place.line} {place.path}]" if place is not None else ""
