"""`kruispost matches unequal`: the invoices and credit notes whose amounts differ, in words."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import typer

from backbone.clock import SystemClock
from backbone.command_database import with_database
from backbone.configuration import Configuration, load_configuration
from backbone.database import Database
from backbone.settings import Settings
from payment_matcher import standing, unequal
from payment_matcher.amounts import shown_hundredths
from payment_matcher.decisions import SOURCE
from payment_matcher.matches_list import link_of, payment_as_dict, words_of
from payment_matcher.matches_words import Language, say
from payment_matcher.standing import Payment
from payment_matcher.unequal import Unequal


def show_unequal(days: int, division: int | None, limit: int, lang: Language, *, as_json: bool) -> bool:
    """Print them; return whether there is one that needs a person. Raises KruispostError."""
    settings = Settings()
    configuration = load_configuration(settings.config)
    until = SystemClock().now() - timedelta(days=days)

    async def read(database: Database) -> tuple[list[Unequal], list[Payment]]:
        async with database.reading() as connection:
            found = await unequal.read(connection, until=until, division=division)
            found += await unequal.read_credit_notes(connection, until=until, division=division)
            return found, await standing.doubtful(connection, division)

    found, doubtful = with_database(settings, SOURCE, read)
    if as_json:
        listed = [_as_dict(each, configuration) for each in found[:limit]]
        payments = [payment_as_dict(each, say("without_receipt", lang, **words_of(each))) for each in doubtful]
        of_kind = {kind: [each for each in listed if each["kind"] == kind] for kind in ("invoice", "credit_note")}
        told = {"found": len(found), "invoices": of_kind["invoice"], "credit_notes": of_kind["credit_note"]}
        told["payments_without_receipt"] = payments
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for each in found[:limit]:
            typer.echo("\n".join(_in_words(each, configuration, lang)) + "\n")
        for payment in doubtful:
            typer.echo(say("without_receipt", lang, **words_of(payment)) + "\n")
        typer.echo(say("unequal_totals", lang, count=len(found)) if found else say("all_equal", lang))
    return bool(doubtful) or any(not each.is_under_way for each in found)


def _as_dict(each: Unequal, configuration: Configuration) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "division": each.division,
        "site": each.site,
        "number": each.number,
        "customer_id": each.customer_id,
        "currency": each.currency,
        "open_in_exact_hundredths": each.open_hundredths,
        "due_in_chargebee_hundredths": each.due_hundredths,
        "is_under_way": each.is_under_way,
        "entry": {"id": each.entry_id, "number": each.entry_number, "link": link_of(each, configuration)},
    }


def _in_words(each: Unequal, configuration: Configuration, lang: Language) -> list[str]:
    amounts = {"open": shown_hundredths(each.open_hundredths), "due": shown_hundredths(each.due_hundredths)}
    is_note = each.kind == "credit_note"
    told = [
        say(
            "unequal_note" if is_note else "unequal",
            lang,
            number=each.number,
            customer=each.customer_id,
            currency=each.currency,
            **amounts,
        )
    ]
    if each.is_under_way:
        return [*told, say("unequal_under_way", lang)]
    if is_note:
        told.append(say("less_of_note", lang))
    else:
        told.append(say("more_in_exact" if each.open_hundredths > each.due_hundredths else "less_in_exact", lang))
    if each.entry_number:
        link = link_of(each, configuration)
        told.append(say("unequal_entry", lang, number=each.entry_number) + (f"  {link}" if link else ""))
    return told
