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
from payment_matcher import standing, unequal, unrecorded
from payment_matcher.amounts import shown_hundredths
from payment_matcher.decisions import SOURCE
from payment_matcher.matches_list import ID_CHARACTERS, link_of, payment_as_dict, words_of
from payment_matcher.matches_words import Language, kind_of, say
from payment_matcher.open_items import BANK_LINE, OpenItem
from payment_matcher.standing import Payment
from payment_matcher.unequal import Unequal

ITEMS_SHOWN = 8

_Found = tuple[int, bool, list[Unequal], list[Unequal], list[Payment]]


def show_unequal(days: int, division: int | None, limit: int, lang: Language, *, as_json: bool) -> bool:
    """Print them; return whether there is one that needs a person. Raises KruispostError."""
    settings = Settings()
    configuration = load_configuration(settings.config)
    until = SystemClock().now() - timedelta(days=days)

    async def read(database: Database) -> _Found:
        async with database.reading() as connection:
            found = await unequal.read(connection, until=until, division=division)
            found += await unequal.read_credit_notes(connection, until=until, division=division)
            shown = await unrecorded.with_money_elsewhere(connection, found[:limit])
            shown = await unequal.with_open_items(connection, shown)
            named = {(each.site, each.number) for each in found}
            waiting = [
                each for each in await unrecorded.read(connection, division=division) if (each.site, each.number) not in named
            ]
            needs_person = any(not each.is_under_way for each in found) or bool(waiting)
            return len(found), needs_person, shown, waiting, await standing.doubtful(connection, division)

    count, needs_person, shown, waiting, doubtful = with_database(settings, SOURCE, read)
    if as_json:
        listed = [_as_dict(each, configuration) for each in shown]
        payments = [payment_as_dict(each, say("without_receipt", lang, **words_of(each))) for each in doubtful]
        of_kind = {kind: [each for each in listed if each["kind"] == kind] for kind in ("invoice", "credit_note")}
        told = {"found": count, "invoices": of_kind["invoice"], "credit_notes": of_kind["credit_note"]}
        told["money_not_recorded"] = [_as_dict(each, configuration) for each in waiting[:limit]]
        told["payments_without_receipt"] = payments
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for each in (*shown, *waiting[:limit]):
            typer.echo("\n".join(_in_words(each, configuration, lang)) + "\n")
        for payment in doubtful:
            typer.echo(say("without_receipt", lang, **words_of(payment)) + "\n")
        typer.echo(say("unequal_totals", lang, count=count) if count else say("all_equal", lang))
    return bool(doubtful) or needs_person


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
        "not_recorded_hundredths": each.waiting_hundredths,
        "matched_elsewhere_hundredths": each.elsewhere_hundredths,
        "is_under_way": each.is_under_way,
        "open_on_account": [_item_as_dict(item, each, configuration) for item in each.open_items],
        "entry": {"id": each.entry_id, "number": each.entry_number, "link": link_of(each, configuration)},
    }


def _item_as_dict(item: OpenItem, each: Unequal, configuration: Configuration) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "number": item.number,
        "amount_hundredths": item.amount_hundredths,
        "day": None if item.day is None else item.day.isoformat(),
        "is_recorded_on_it": item.is_on_it,
        "is_on_another_account": item.is_elsewhere,
        "is_exactly_that": item.amount_hundredths == each.asked_hundredths,
        "entry": {
            "id": item.entry_id,
            "number": item.entry_number,
            "journal": item.journal,
            "gl_account": item.gl_account,
            "link": link_of(item, configuration),
        },
    }


def _in_words(each: Unequal, configuration: Configuration, lang: Language) -> list[str]:
    told = [_heading(each, lang)]
    if each.is_under_way and not each.waiting_hundredths:
        return [*told, say("unequal_under_way", lang)]
    told.append(say(_advice(each), lang, amount=f"{each.currency} {shown_hundredths(each.elsewhere_hundredths)}"))
    if each.entry_number:
        link = link_of(each, configuration)
        told.append(say("unequal_entry", lang, number=each.entry_number) + (f"  {link}" if link else ""))
    if each.open_items:
        told.append(say("open_items", lang))
        told += [_item_in_words(item, each, configuration, lang) for item in each.open_items[:ITEMS_SHOWN]]
        more = len(each.open_items) - ITEMS_SHOWN
        told += [say("open_items_more", lang, count=more)] if more > 0 else []
    elif each.kind == "invoice" and each.asked_hundredths > 0:
        told.append(say("no_open_items", lang))
    return told


def _heading(each: Unequal, lang: Language) -> str:
    key = "unequal_note" if each.kind == "credit_note" else "unequal_waiting" if each.waiting_hundredths else "unequal"
    return say(
        key,
        lang,
        number=each.number,
        customer=each.customer_id,
        currency=each.currency,
        open=shown_hundredths(each.open_hundredths),
        due=shown_hundredths(each.due_hundredths),
        waiting=shown_hundredths(each.waiting_hundredths),
    )


def _advice(each: Unequal) -> str:
    if each.kind == "credit_note":
        return "less_of_note"
    if each.waiting_hundredths:
        return "match_for_waiting"
    if each.elsewhere_hundredths:
        return "money_elsewhere"
    return "more_in_exact" if each.open_hundredths > each.due_hundredths else "less_in_exact"


def _item_in_words(item: OpenItem, each: Unequal, configuration: Configuration, lang: Language) -> str:
    amount = f"{each.currency} {shown_hundredths(abs(item.amount_hundredths))}"
    if item.kind == BANK_LINE:
        key = "open_received" if item.amount_hundredths > 0 else "open_paid_out"
        told = say(key, lang, amount=amount, day=item.day, number=item.entry_number, journal=item.journal)
        key = "open_is_on_it" if item.is_on_it else "open_undecided"
        told += say(key, lang, id=item.number[:ID_CHARACTERS])
        told += say("open_elsewhere", lang, account=item.gl_account) if item.is_elsewhere else ""
    else:
        kind = kind_of(item.kind, lang)
        told = say("open_document", lang, amount=amount, kind=kind, document=item.number, number=item.entry_number)
        told += say("open_exactly", lang) if item.amount_hundredths == each.asked_hundredths else ""
    link = link_of(item, configuration)
    return f"{told}  {link}" if link else told
