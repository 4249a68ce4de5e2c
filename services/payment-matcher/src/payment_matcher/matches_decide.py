"""What `kruispost matches accept`, `split`, `dismiss` and `undo` do.

They write the decision down and tell it; a running payment-matcher carries it out.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import SystemClock
from backbone.command_database import with_database
from backbone.configuration import Configuration, load_configuration
from backbone.database import Database
from backbone.settings import Settings
from bookkeeping.money import format_minor
from payment_matcher import decisions, lines, open_invoices
from payment_matcher.amounts import minor_in
from payment_matcher.decisions import SOURCE, DecidedAlreadyError, Recording
from payment_matcher.lines import MONEY_OF, SHORTAGE_OF, Line
from payment_matcher.matches_about import recorded_of
from payment_matcher.matches_list import entry_of, is_on_account_of, short_id, words_of
from payment_matcher.matches_words import Language, reason, say, state
from payment_matcher.open_invoices import of_key
from payment_matcher.reading import MatchesError
from payment_matcher.shares import CannotShareError, Due, share_out, split
from payment_matcher.standing import PaymentStandsError
from payment_matcher.tables import bank_lines

EXCESS = "excess"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which line a decision is about, and what a person said besides."""

    line: str
    site: str | None
    customer: str | None
    although_payment_stands: bool = False


@dataclass(frozen=True)
class Answer:
    """What came of a decision, in sentences; `is_done` is false where a person has to do something else first."""

    is_done: bool
    code: str
    sentences: tuple[str, ...]


class _RefusedError(Exception):
    """The decision does not fit the line; the answer says why."""

    def __init__(self, code: str, lang: Language, **details: object) -> None:
        super().__init__(code)
        self.answer = Answer(is_done=False, code=code, sentences=(say(code, lang, **details),))


Decide = Callable[[Database, AsyncConnection, Line, Configuration], Awaitable[Answer]]


def accept_line(choice: Choice, numbers: Sequence[str], lang: Language, *, excess_only: bool, as_json: bool) -> bool:
    """Record a line on these invoices, or on those of its only proposal; return whether it was decided so."""

    async def decide(database: Database, connection: AsyncConnection, line: Line, configuration: Configuration) -> Answer:
        left_minor = _left(line, lang)
        wanted, site = list(numbers), choice.site
        if not wanted and not excess_only:
            is_other = bool(line.customer_id) and not all(is_on_account_of(line, each) for each in line.proposals)
            if not line.proposals or is_other or (len(line.proposals) > 1 and not line.is_certain):
                raise _RefusedError("name_invoices", lang, id=short_id(line))
            wanted, site = list(line.proposals[0].numbers), line.proposals[0].site
        dues = await _dues(connection, line, wanted, site, lang)
        parts, excess_minor = share_out(left_minor, dues, _tolerance(line, configuration))
        return await _record(
            database, connection, line, Recording(parts=parts, excess_minor=excess_minor), choice, configuration, lang
        )

    return _decide(choice.line, decide, lang, as_json=as_json)


def split_line(choice: Choice, amounts: Sequence[str], lang: Language, *, as_json: bool) -> bool:
    """Record these amounts of a line (INVOICE=AMOUNT); return whether it was decided so."""

    async def decide(database: Database, connection: AsyncConnection, line: Line, configuration: Configuration) -> Answer:
        left_minor = _left(line, lang)
        named = dict[str, int]()
        for text in amounts:
            number, _, amount = text.rpartition("=")
            amount_minor = minor_in(amount, line.currency)
            if not number or amount_minor is None:
                raise _RefusedError("no_amount_in", lang, text=text)
            named[number] = named.get(number, 0) + amount_minor
        excess_minor = named.pop(EXCESS, 0)
        dues = await _dues(connection, line, list(named), choice.site, lang)
        wanted = [(due, named[due.document.number]) for due in dues]
        parts, excess_minor = split(left_minor, wanted, excess_minor, _tolerance(line, configuration))
        return await _record(
            database, connection, line, Recording(parts=parts, excess_minor=excess_minor), choice, configuration, lang
        )

    return _decide(choice.line, decide, lang, as_json=as_json)


def dismiss_line(wanted: str, why: str, lang: Language, *, as_json: bool) -> bool:
    """Put a line aside; return whether that was done."""

    async def decide(database: Database, connection: AsyncConnection, line: Line, configuration: Configuration) -> Answer:
        del database, configuration
        _check_open(line, lang)
        await decisions.dismiss(connection, line, why=why, by=getpass.getuser(), now=SystemClock().now())
        return Answer(is_done=True, code="dismissed", sentences=(say("was_dismissed", lang),))

    return _decide(wanted, decide, lang, as_json=as_json)


def undo_line(wanted: str, lang: Language, *, as_json: bool) -> bool:
    """Take a decision back, or say what a person has to do in Chargebee first; return whether it was taken back."""

    async def decide(database: Database, connection: AsyncConnection, line: Line, configuration: Configuration) -> Answer:
        del database, configuration
        if line.recorded_hundredths:
            return Answer(is_done=False, code="recorded", sentences=await _what_to_undo(connection, line, lang))
        if line.state not in ("accepted", "dismissed"):
            raise _RefusedError("nothing_to_undo", lang, id=short_id(line))
        try:
            await decisions.undo(connection, line, by=getpass.getuser(), now=SystemClock().now())
        except DecidedAlreadyError as error:
            raise _RefusedError("under_way", lang, id=short_id(line)) from error
        return Answer(is_done=True, code="undone", sentences=(say("was_undone", lang),))

    return _decide(wanted, decide, lang, as_json=as_json)


def _decide(wanted: str, decide: Decide, lang: Language, *, as_json: bool) -> bool:
    settings = Settings()
    configuration = load_configuration(settings.config)

    async def work(database: Database) -> tuple[Line, Answer]:
        async with database.reading() as connection:
            line = await _find(connection, wanted, lang)
        try:
            async with database.transaction() as connection:
                return line, await decide(database, connection, line, configuration)
        except _RefusedError as refused:
            return line, refused.answer
        except PaymentStandsError as error:
            return line, Answer(is_done=False, code="payment_stands", sentences=_standing(line, error, lang))
        except CannotShareError as error:
            return line, _cannot_share(line, error, lang)
        except DecidedAlreadyError:
            sentence = say("decided_meanwhile", lang, id=short_id(line))
            return line, Answer(is_done=False, code="decided_meanwhile", sentences=(sentence,))

    line, answer = with_database(settings, SOURCE, work)
    if as_json:
        told: dict[str, Any] = {"id": short_id(line), "line_id": line.line_id, "done": answer.is_done, "code": answer.code}
        typer.echo(json.dumps({**told, "sentences": answer.sentences}, indent=2, ensure_ascii=False))
    else:
        for sentence in answer.sentences:
            typer.echo(sentence)
    return answer.is_done


async def _find(connection: AsyncConnection, wanted: str, lang: Language) -> Line:
    found = await lines.load(connection, bank_lines.c.line_id.startswith(wanted, autoescape=True))
    if len(found) != 1:
        key = "several_lines" if found else "unknown_line"
        raise MatchesError(key, say(key, lang, id=wanted))
    return found[0]


def _check_open(line: Line, lang: Language) -> None:
    if line.state != "open":
        raise _RefusedError("not_open", lang, id=short_id(line), state=state(line.state, lang))


def _left(line: Line, lang: Language) -> int:
    _check_open(line, lang)
    left_minor = line.left_minor
    if left_minor is None or left_minor <= 0:
        raise _RefusedError("no_amount", lang, id=short_id(line), reason=reason(line.reason, lang))
    return left_minor


def _tolerance(line: Line, configuration: Configuration) -> int:
    division = configuration.divisions.get(line.division)
    return division.bank_matching.tolerances.get(line.currency, 0) if division is not None else 0


async def _dues(connection: AsyncConnection, line: Line, numbers: Sequence[str], site: str | None, lang: Language) -> list[Due]:
    found = await open_invoices.dues(connection, numbers, site)
    dues = []
    for number in dict.fromkeys(numbers):
        if len(found[number]) != 1:
            raise _RefusedError("several_sites" if found[number] else "unknown_invoice", lang, number=number)
        (due,) = found[number]
        if due.document.currency != line.currency:
            details = {"number": number, "invoice_currency": due.document.currency, "currency": line.currency}
            raise _RefusedError("wrong_currency", lang, id=short_id(line), **details)
        dues.append(due)
    return dues


async def _record(
    database: Database,
    connection: AsyncConnection,
    line: Line,
    wanted: Recording,
    choice: Choice,
    configuration: Configuration,
    lang: Language,
) -> Answer:
    site, customer_id = _whose(line, wanted, choice)
    if wanted.excess_minor and not customer_id:
        raise _RefusedError("whose", lang, id=short_id(line))
    _check_sites({part.document.site for part in wanted.parts} | ({site} if wanted.excess_minor else set()), configuration, lang)
    recording = Recording(parts=wanted.parts, excess_minor=wanted.excess_minor, site=site, customer_id=customer_id)
    who, now = getpass.getuser(), SystemClock().now()
    although = choice.although_payment_stands
    await decisions.record(database, connection, line, recording, by=who, now=now, although_payment_stands=although)

    def money(amount_minor: int) -> str:
        return f"{line.currency} {format_minor(amount_minor, line.currency)}"

    told, left_minor = [], line.left_minor or 0
    for part in recording.parts:
        left_minor -= part.amount_minor
        told.append(say("will_pay", lang, number=part.document.number, amount=money(part.amount_minor)))
        if part.short_minor:
            told.append(say("will_write_off", lang, number=part.document.number, amount=money(part.short_minor)))
    if recording.excess_minor:
        left_minor -= recording.excess_minor
        told.append(say("will_keep", lang, amount=money(recording.excess_minor), customer=customer_id))
    if left_minor:
        told.append(say("stays", lang, amount=money(left_minor)))
    if recording.parts or not line.account_id:
        told.append(say("match_it" if line.account_id else "move_it", lang, entry=entry_of(line, configuration, lang)))
    return Answer(is_done=True, code="accepted", sentences=tuple(told))


def _check_sites(wanted: set[str], configuration: Configuration, lang: Language) -> None:
    """Refuse a site that payments could never be recorded in, before a payment-matcher waits for it."""
    for site in sorted(wanted - {*configuration.sites}):
        raise _RefusedError("unknown_site", lang, site=site, sites=", ".join(sorted(configuration.sites)))


def _whose(line: Line, wanted: Recording, choice: Choice) -> tuple[str, str]:
    """Return site and customer whose the rest is: as said, as the invoices say with one voice, or as Exact has the line."""
    if choice.customer is not None:
        return of_key(choice.customer)
    payers = {(part.document.site, part.document.customer_id) for part in wanted.parts}
    if len(payers) == 1:
        return payers.pop()
    return (line.site, line.customer_id) if not payers else ("", "")


def _cannot_share(line: Line, error: CannotShareError, lang: Language) -> Answer:
    details = {
        name.removesuffix("_minor"): format_minor(value, line.currency) if isinstance(value, int) else value
        for name, value in error.details.items()
    }
    sentence = say(error.code, lang, id=short_id(line), **details)
    return Answer(is_done=False, code=error.code, sentences=(sentence,))


def _standing(line: Line, error: PaymentStandsError, lang: Language) -> tuple[str, ...]:
    return tuple(say("payment_stands", lang, id=short_id(line), **words_of(each)) for each in error.payments)


async def _what_to_undo(connection: AsyncConnection, line: Line, lang: Language) -> tuple[str, ...]:
    told = []
    for prefix in (MONEY_OF, SHORTAGE_OF):
        for each in await recorded_of(connection, line, prefix):
            amount = f"{line.currency} {format_minor(each.amount_minor, line.currency)}"
            details = {"transaction": each.transaction_id, "amount": amount, "customer": each.customer_id}
            key = "undo_payment" if each.number else "undo_excess"
            told.append(say("undo_write_off" if prefix == SHORTAGE_OF else key, lang, number=each.number, **details))
    return (*told, say("then_open", lang, id=short_id(line)))
