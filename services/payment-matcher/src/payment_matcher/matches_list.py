"""`kruispost matches`: the lines with what they may pay, the evidence in words, and what to type next."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
import typer

from backbone.clock import SystemClock
from backbone.command_database import with_database
from backbone.configuration import Configuration, load_configuration
from backbone.database import Database
from backbone.settings import Settings
from bookkeeping.evidence import Evidence, describe
from bookkeeping.money import format_minor
from payment_matcher import lines, matches_about
from payment_matcher.amounts import hundredths_in, shown_hundredths
from payment_matcher.decisions import SOURCE
from payment_matcher.lines import Line, StoredProposal
from payment_matcher.matches_about import About, recorded_in_words, settled_in_words, whose
from payment_matcher.matches_words import REASONS, Language, reason, say, state
from payment_matcher.open_items import OpenItem
from payment_matcher.reading import MatchesError
from payment_matcher.refusals import in_dutch
from payment_matcher.standing import Payment
from payment_matcher.tables import bank_lines
from payment_matcher.unequal import Unequal

ID_CHARACTERS = 8


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Which lines are asked for; None means any. With `days` those of which money stands unmatched in Exact for so long."""

    state: str
    customer: str | None
    amount: str | None
    text: str | None
    reason: str | None
    division: int | None
    limit: int
    days: int | None = None


def show_matches(wish: Wish, lang: Language, *, as_json: bool) -> bool:
    """Print the lines that fit; return whether one of them waits for a decision. Raises KruispostError."""
    settings = Settings()
    configuration = load_configuration(settings.config)
    if wish.reason is not None and wish.reason not in REASONS:
        known = ", ".join(sorted(filter(None, REASONS)))
        raise MatchesError("reason_unknown", say("reason_unknown", lang, reason=wish.reason, known=known))
    today = SystemClock().now().date()

    async def read(database: Database) -> tuple[list[Line], dict[str, About]]:
        async with database.reading() as connection:
            read = await lines.load(connection, *_conditions(wish))
            decided = await matches_about.decided_for(connection, wish.customer) if wish.customer else frozenset()
            fitting = [line for line in read if _fits(line, wish, decided, lang) and _is_old(line, wish.days, today)]
            return fitting, await matches_about.read(connection, fitting[: wish.limit])

    found, about_of = with_database(settings, SOURCE, read)
    shown = found[: wish.limit]
    counts = {"open": sum(line.state == "open" for line in found), "to_match": sum(line.is_to_match for line in found)}
    if as_json:
        listed = [as_dict(line, configuration, lang, about_of[line.line_id]) for line in shown]
        typer.echo(json.dumps({"found": len(found), **counts, "lines": listed}, indent=2, ensure_ascii=False, default=str))
    else:
        for line in shown:
            told = in_words(line, configuration, lang, about_of[line.line_id])
            if wish.days is not None and line.day is not None:
                told.append(say("stands", lang, days=(today - line.day).days, account=line.gl_account))
            typer.echo("\n".join(told) + "\n")
        typer.echo(say("totals", lang, **counts) if found else say("none", lang))
        for (account, currency), left in sorted(_standing(found).items()) if wish.days is not None else ():
            words = {"account": account, "amount": f"{currency} {shown_hundredths(left)}", "days": wish.days}
            typer.echo(say("stands_together", lang, **words))
    return bool(found if wish.days is not None else counts["open"])


def _is_old(line: Line, days: int | None, today: date) -> bool:
    """Tell whether money of a line stands unmatched in Exact since so many days; dismissed or recorded here, it stands there."""
    if days is None:
        return True
    stands = line.state not in ("settled", "gone") and line.matched_hundredths != line.total_hundredths
    return stands and line.day is not None and (today - line.day).days >= days


def _standing(found: Sequence[Line]) -> dict[tuple[str, str], int]:
    """Sum what stands unmatched, in hundredths, by ledger account and currency."""
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for line in found:
        sums[line.gl_account, line.currency] += line.total_hundredths - line.matched_hundredths
    return sums


def _conditions(wish: Wish) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wish.state == "to_match":
        conditions.append(bank_lines.c.round > 0)
    elif wish.state != "all":
        conditions.append(bank_lines.c.state == wish.state)
    if wish.division is not None:
        conditions.append(bank_lines.c.division == wish.division)
    if wish.reason is not None:
        conditions.append(bank_lines.c.reason == wish.reason)
    return conditions


def _fits(line: Line, wish: Wish, decided: AbstractSet[tuple[int, str]], lang: Language) -> bool:
    if wish.state == "to_match" and not line.is_to_match:
        return False
    if wish.text is not None and wish.text.casefold() not in line.text.casefold():
        return False
    if wish.customer is not None and not (_is_of(line, wish.customer) or (line.division, line.line_id) in decided):
        return False
    if wish.amount is None:
        return True
    amount = hundredths_in(wish.amount)
    if amount is None:
        raise MatchesError("amount_unreadable", say("amount_unreadable", lang, amount=wish.amount))
    return amount in (line.total_hundredths, line.left_hundredths)


def _is_of(line: Line, customer: str) -> bool:
    proposed = {proposal.customer_id for proposal in line.proposals}
    return customer in {line.customer_id, *proposed} or customer.casefold() in line.account_name.casefold()


def short_id(line: Line) -> str:
    """Return the beginning of a line's id, which mostly is enough to name it."""
    return line.line_id[:ID_CHARACTERS]


def entry_of(line: Line, configuration: Configuration, lang: Language) -> str:
    """Name the entry in Exact, with its address where the division says how one is made."""
    words = say("entry", lang, number=line.entry_number, journal=line.journal)
    link = link_of(line, configuration)
    return f"{words}  {link}" if link else words


def link_of(line: Line | Unequal | OpenItem, configuration: Configuration) -> str | None:
    """Return the address of the entry in Exact, None where the division does not say how one is made."""
    division = configuration.divisions.get(line.division)
    pattern = division.bank_matching.entry_link if division is not None else None
    if pattern is None or not line.entry_id:
        return None
    details = {"division": str(line.division), "entry_id": line.entry_id, "entry_number": str(line.entry_number)}
    for name, value in details.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    return pattern


def words_of(payment: Payment) -> dict[str, str]:
    """Return what the sentences about a standing payment are filled with."""
    amount = f"{payment.document.currency} {format_minor(payment.recorded.amount_minor, payment.document.currency)}"
    return {"transaction": payment.recorded.transaction_id, "amount": amount, "number": payment.document.number}


def payment_as_dict(payment: Payment, sentence: str) -> dict[str, Any]:
    """Return a payment of Chargebee that Exact shows no receipt for, for machines."""
    return {
        "transaction_id": payment.recorded.transaction_id,
        "invoice": payment.document.number,
        "amount_minor": payment.recorded.amount_minor,
        "in_words": sentence,
    }


def as_dict(line: Line, configuration: Configuration, lang: Language, about: About) -> dict[str, Any]:
    """Return a line for machines: amounts in hundredths, the evidence by name and in words."""
    return {
        "id": short_id(line),
        "line_id": line.line_id,
        "division": line.division,
        "state": line.state,
        "reason": line.reason if line.state == "open" else "",
        "sentence": reason(line.reason, lang) if line.state == "open" else state(line.state, lang),
        "why": line.why,
        "day": line.day,
        "currency": line.currency,
        "total_hundredths": line.total_hundredths,
        "left_hundredths": line.left_hundredths,
        "matched_in_exact_hundredths": line.matched_hundredths,
        "recorded_hundredths": line.recorded_hundredths,
        "to_match": line.is_to_match,
        "is_certain": line.is_certain,
        "site": line.site,
        "customer_id": line.customer_id,
        "account_name": line.account_name,
        "text": line.text,
        "iban": line.iban,
        "proposals": [
            {
                "site": each.site,
                "customer_id": each.customer_id,
                "invoices": [
                    {"number": number, "due_minor": due} for number, due in zip(each.numbers, each.dues_minor, strict=True)
                ],
                "difference_minor": each.difference_minor,
                "evidence": each.evidence,
                "in_words": _evidence(each, lang),
            }
            for each in _open_proposals(line)
        ],
        "standing_payments": [payment_as_dict(each, say("standing", lang, **words_of(each)).strip()) for each in about.stands],
        "recorded_payments": [asdict(each) for each in about.recorded],
        "names_settled": [asdict(each) for each in about.settled],
        "written_off": [asdict(each) for each in about.written_off],
        "due_again": [asdict(each) for each in about.due_again],
        "recorded_by_hand": [asdict(each) for each in about.by_hand],
        "entry": {
            "id": line.entry_id,
            "number": line.entry_number,
            "journal": line.journal,
            "gl_account": line.gl_account,
            "link": link_of(line, configuration),
        },
    }


def in_words(line: Line, configuration: Configuration, lang: Language, about: About) -> list[str]:
    """Return a line for people, with what Chargebee has of its money and of the invoices that it names."""
    total, left = shown_hundredths(line.total_hundredths), shown_hundredths(line.left_hundredths)
    amount = total if line.state != "open" or total == left else say("of_total", lang, left=left, total=total)
    whose = line.account_name or line.customer_id or "?"
    waits = reason(line.reason, lang) if line.state == "open" else state(line.state, lang)
    told = [f"{short_id(line)}  {line.day}  {line.currency} {amount}  {whose}: {waits}"]
    if line.text:
        told.append(say("text", lang, text=line.text))
    if line.state == "dismissed" and line.why:
        told.append(say("dismissed_for", lang, why=line.why))
    elif line.why:
        told.append(say("why", lang, why=in_dutch(line.why) if lang == "nl" else line.why))
    told += [say("standing", lang, **words_of(each)) for each in about.stands]
    told += recorded_in_words(about, line.currency, lang)
    division = configuration.divisions.get(line.division)
    tolerances = division.bank_matching.tolerances if division is not None else {}
    told += settled_in_words(line, about, short_id(line), lang, tolerances.get(line.currency, 0))
    for place, proposal in enumerate(_open_proposals(line), 1):
        told += _proposal_in_words(line, proposal, place, about, lang)
    if line.state == "open" and _may_be_kept(line):
        told.append(say("keep", lang, id=short_id(line)))
    if line.is_to_match:
        told.append(say("to_match" if line.account_id else "to_move", lang, entry=entry_of(line, configuration, lang)))
    else:
        told.append(f"  {entry_of(line, configuration, lang)}")
    return told


def _may_be_kept(line: Line) -> bool:
    """Tell whether keeping a line's money for the customer of its account is offered: nothing of this customer is proposed."""
    if not line.customer_id or any(is_on_account_of(line, each) for each in line.proposals):
        return False
    return line.reason in ("nothing_open", "due_again", "to_judge", "equally_likely")


def _open_proposals(line: Line) -> tuple[StoredProposal, ...]:
    return line.proposals if line.state == "open" else ()


def _proposal_in_words(line: Line, proposal: StoredProposal, place: int, about: About, lang: Language) -> list[str]:
    def money(amount_minor: int) -> str:
        return format_minor(amount_minor, line.currency)

    dues = zip(proposal.numbers, proposal.dues_minor, strict=True)
    invoices = " + ".join(say("due", lang, number=number, amount=money(due)) for number, due in dues)
    difference = ""
    if proposal.difference_minor:
        direction = "over" if proposal.difference_minor > 0 else "under"
        difference = say(direction, lang, amount=money(abs(proposal.difference_minor)))
    evidence = "; ".join(_evidence(proposal, lang)) or say("nothing_speaks", lang)
    words = say("proposal", lang, place=place, invoices=invoices, difference=difference, evidence=evidence)
    command = say("command", lang, id=short_id(line), numbers=" ".join(proposal.numbers))
    if is_on_account_of(line, proposal):
        return [words, command]
    key = "of_another" if line.customer_id else "of_customer"
    payer = whose(about, proposal.site, proposal.customer_id)
    return [words, say(key, lang, customer=payer, whose=line.account_name or line.customer_id), command]


def is_on_account_of(line: Line, proposal: StoredProposal) -> bool:
    """Tell whether Exact has the line on the account of the customer whose invoices these are."""
    return (line.site, line.customer_id) == (proposal.site, proposal.customer_id)


def _evidence(proposal: StoredProposal, lang: Language) -> list[str]:
    known = {str(each): each for each in Evidence}
    return [describe(known[name], lang) if name in known else name for name in proposal.evidence]
