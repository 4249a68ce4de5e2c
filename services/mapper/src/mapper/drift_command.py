"""What `kruispost drift` does: reconciles, and takes of its findings those about what somebody did in Exact."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, TypeVar

import msgspec
import typer

from backbone import event_log
from backbone.clock import SystemClock
from backbone.command_database import run_command
from backbone.configuration import load_configuration
from backbone.settings import Settings
from bookkeeping.bookings import REVERSAL, reference
from bookkeeping.mapping import Mapping
from bookkeeping.money import format_minor
from bookkeeping.rejections import Rejection
from contracts.facts import DocumentPlanned, ReasonOfLine
from contracts.messages import unseal
from mapper import tables
from mapper.configuration import mappings_of
from mapper.drift import Revert, acceptance, carry_out, in_open_period, is_drift, proposal, revert_of
from mapper.drift_decisions import Countered, decide, decisions
from mapper.reading import chosen
from mapper.reconcile_columns import Wish as Range
from mapper.reconcile_judging import Booking, bookings_of, lines_of
from mapper.reconcile_scratch import Finding, Scratch
from mapper.reconcile_sources import Sources, open_sources
from mapper.reconcile_wording import sentence_of
from mapper.reconciling import Reconciler
from mapper.store import Store
from mapper.wording import Language, say

Found = TypeVar("Found")
YEAR = timedelta(days=366)
CANNOT = {
    "debt": (
        "The debt itself differs: an entry of ours would be one more item on the account. Set it back in Exact.",
        "De schuld zelf wijkt af: een boeking van ons zou een post erbij zijn. Zet het in Exact terug.",
    ),
    "vat": (
        "VAT was changed: that goes into a return. Set it back in Exact.",
        "De btw is gewijzigd: die gaat een aangifte in. Zet het in Exact terug.",
    ),
    "deferral": (
        "It is deferred revenue: its releases go to the account where the line stands. Set it back in Exact.",
        "Het is uitgestelde omzet: de vrijval gaat naar de rekening waarop de regel staat. Zet het in Exact terug.",
    ),
    "other": (
        "No entry of ours can take this back: set it back in Exact, or accept it.",
        "Geen boeking van ons kan dit terugdraaien: zet het in Exact terug, of aanvaard het.",
    ),
    "rebooked": (
        (
            "Exact has our entry that takes it back (/R) already, and no booking here knows that one, as after an older backup"
            " was restored: taken back again, it would be wrong. See that what stands there is right together, and accept it."
        ),
        (
            "Exact heeft onze boeking die dit terugdraait (/R) al, en geen boeking hier kent die, zoals nadat een oudere back-up"
            " is teruggezet: nog eens teruggedraaid zou het fout zijn. Kijk of het samen klopt, en aanvaard het."
        ),
    ),
    "under_way": (
        "What takes it back is on its way already: look again when it is booked and Exact's ledger was read after it.",
        "Wat het terugdraait is al onderweg: kijk opnieuw als dat is geboekt en het grootboek van Exact daarna is gelezen.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which entries, by their day (else of a year back and on); `patience_seconds` is how long a fresh reading is waited for."""

    division: int | None
    first: date | None
    last: date | None
    patience_seconds: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found, and where to read and write more of it."""

    findings: tuple[Finding, ...]
    mapping: Mapping
    sources: Sources
    file: str
    reversals: frozenset[str]  # references in Exact that look like reversals of ours, and that no booking knows

    def of(self, number: str) -> list[Finding]:
        """The findings of one reference."""
        return [finding for finding in self.findings if finding.number == number]


def show(wish: Wish, lang: Language, *, as_json: bool) -> bool:
    """List what waits for a decision; return whether there is any."""

    async def listed(seen: Seen) -> tuple[Finding, ...]:
        return seen.findings

    findings = _look(wish, listed)
    if as_json:
        rows = [
            {"number": each.number, "name": each.name, "amount_minor": each.amount_minor, "details": each.details}
            for each in findings
        ]
        typer.echo(json.dumps({"drift": rows}, indent=2, default=str, ensure_ascii=False))
    elif not findings:
        typer.echo("Nothing of ours was changed in Exact." if lang == "en" else "In Exact is niets van ons gewijzigd.")
    for each in findings if not as_json else ():
        sentence, action = sentence_of(each, lang)
        typer.echo(f"{each.number}: {sentence}\n    {say('what_to_do', lang, action=action)}")
    return bool(findings)


def accept(wish: Wish, number: str, who: str, why: str, lang: Language) -> bool:
    """Note that what was changed of a reference stands; return whether there was anything."""

    async def note(seen: Seen) -> list[Finding]:
        now, found = SystemClock().now(), seen.of(number)
        booking = await _booking(seen, number)
        command_id = booking.command.command_id if booking is not None else None
        made = [acceptance(each, who, why, now, command_id) for each in found]
        async with seen.sources.mapper.transaction() as connection:
            await decide(connection, seen.mapping.division, made, now)
        return found

    found = _look(wish, note)
    for each in found:
        typer.echo(f"{'Accepted' if lang == 'en' else 'Aanvaard'}: {sentence_of(each, lang)[0]}")
    return _told(found, number, lang)


def revert(wish: Wish, number: str, who: str, why: str, lang: Language, *, install: bool, as_json: bool) -> bool:
    """Show the entry that takes a change back, and issue it where that is wished; return whether there is one."""

    async def take_back(seen: Seen) -> tuple[list[Finding], Revert | Rejection | str]:
        return await _take_back(seen, number, (who, why), install=install)

    found, reverting = _look(wish, take_back)
    if not _told(found, number, lang):
        return False
    if not isinstance(reverting, Revert):
        typer.echo(_why_not(reverting, lang))
        return False
    if as_json:
        command = msgspec.to_builtins(reverting.command)
        typer.echo(json.dumps({"is_again": reverting.is_again, "booked": install, "command": command}, indent=2, default=str))
        return True
    for line in _entry(reverting, lang, install=install):
        typer.echo(line)
    return True


def learn(wish: Wish, number: str, lang: Language) -> bool:
    """Print the rule that would have booked as somebody moved it; return whether there is one."""

    async def look(seen: Seen) -> str | None:
        booking = await _booking(seen, number)
        if booking is None:
            return None
        reasons = await _reasons(seen, booking)
        place = f"{seen.file}, divisions.{seen.mapping.division}.revenue"
        return proposal(seen.of(number), reasons, await _product(seen, booking, reasons), place)

    rule = _look(wish, look)
    nothing = (
        "Nothing of it was moved to an account that a rule of revenue decides about.",
        "Er is niets van verplaatst naar een rekening waarover een regel van omzet gaat.",
    )
    typer.echo(rule if rule is not None else nothing[lang == "nl"])
    return rule is not None


def _look(wish: Wish, what: Callable[[Seen], Awaitable[Found]]) -> Found:
    settings = Settings()
    configuration = load_configuration(settings.config)
    mapping = chosen(mappings_of(configuration), wish.division)

    today = SystemClock().now().date()

    async def look() -> Found:
        with Scratch() as scratch:
            async with open_sources(settings) as sources:
                sources.check_ingest()
                if wish.patience_seconds:
                    await sources.ledger.refresh(mapping.division, wish.patience_seconds)
                first, last = wish.first or today - YEAR, wish.last or today + YEAR
                span = Range(division=mapping.division, first=first, last=last, by="day")
                await Reconciler(span, configuration, mapping, sources, scratch, lambda _: None).run()
                findings = tuple(each for each in scratch.findings(explained=False) if is_drift(each))
                strangers = (each.number for each in scratch.findings(explained=True) if each.name == "entry_not_ours")
                reversals = frozenset(each for each in strangers if f"/{REVERSAL}" in each)
                seen = Seen(findings, mapping, sources, str(settings.config), reversals)
                return await what(seen)

    return run_command(look(), "The databases cannot be used", "check their address, then try again")


async def _take_back(
    seen: Seen, number: str, said: tuple[str, str], *, install: bool
) -> tuple[list[Finding], Revert | Rejection | str]:
    """Find out what takes the changes of a reference back, and issue it where that is wished; `said`: who decides so, and why."""
    found = seen.of(number)
    booking = await _booking(seen, number) if found else None
    if booking is None:
        return found, "other"
    if any(each.startswith(reference(booking.row.key.number, REVERSAL)) for each in seen.reversals):
        return found, "rebooked"
    async with seen.sources.mapper.transaction() as connection:
        store = Store(seen.sources.mapper, connection)
        if install:
            await store.share(alone=True)
        made = [each for each in await decisions(connection, seen.mapping.division) if isinstance(each, Countered)]
        before = [each.command_id for each in made if each.reference == number]
        # What was found may be taken back already by the same command, given a moment ago.
        if await store.document(booking.row.key) != booking.row or await _is_under_way(seen, before):
            return found, "under_way"
        reverting = revert_of(booking, found, seen.mapping, len(before))
        placed = await in_open_period(store, reverting, seen.mapping) if isinstance(reverting, Revert) else reverting
        if install and isinstance(placed, Revert):
            await carry_out(store, booking, placed, *said, SystemClock().now())
    return found, placed


async def _booking(seen: Seen, number: str) -> Booking | None:
    """Find what was booked under a reference, with what Exact's ledger has of it, entries that took a change back included."""
    owner = (await seen.sources.ledger.booked_under(seen.mapping.division, [number])).get(number)
    if owner is None or any((each.details.get("entry") or 0) != owner.entry_number for each in seen.of(number)):
        return None  # another site's document has the same number: which of them is meant, nobody said
    rows = await seen.sources.rows_of_commands([owner.command_id])
    booking = next(iter(bookings_of(rows.values(), seen.mapping.receivable_account).values()), None)
    if booking is None:
        return None
    ledger, division = seen.sources.ledger, seen.mapping.division
    facts = {fact.command_id: fact for fact, _ in await ledger.posted([owner.command_id, *await _counters(seen, number)])}
    posted = facts.pop(owner.command_id, None)
    if posted is None:
        return booking
    lines = lines_of(booking.command, posted, await ledger.of_entries(division, [posted.entry_id]))
    mended = await ledger.of_entries(division, [fact.entry_id for fact in facts.values()])
    return replace(booking, posted=posted, lines=(*lines, *mended))


async def _counters(seen: Seen, number: str) -> list[str]:
    """Return the commands that took changes of a reference back so far."""
    async with seen.sources.mapper.reading() as connection:
        made = await decisions(connection, seen.mapping.division)
    return [each.command_id for each in made if isinstance(each, Countered) and each.reference == number]


async def _is_under_way(seen: Seen, command_ids: Sequence[str]) -> bool:
    """Tell whether an entry that takes a change back does not show in the ledger yet; what Exact refused is under way no more."""
    ledger = seen.sources.ledger
    read_at = (await ledger.state(seen.mapping.division)).read_at or 0.0
    seen_there = {fact.command_id for fact, at in await ledger.posted(command_ids) if at < read_at}
    return bool(set(command_ids) - seen_there - await ledger.refused(command_ids))


async def _reasons(seen: Seen, booking: Booking) -> Sequence[ReasonOfLine]:
    """Return why each line of a booking went where it went, as it was told then."""
    key = booking.row.key
    async with seen.sources.mapper.reading() as connection:
        told = await event_log.read_stream(connection, f"document/{key.site}/{key.kind}/{key.number}")
    planned = [message for message in (unseal(each.envelope) for each in told) if isinstance(message, DocumentPlanned)]
    mine = [each for each in planned if each.command_id == booking.command.command_id]
    return mine[-1].reasons if mine else ()


async def _product(seen: Seen, booking: Booking, reasons: Sequence[ReasonOfLine]) -> str | None:
    """Return the price point of the line that was moved, where the document has it under the same description."""
    column, key = tables.resources.c, booking.row.key
    statement = tables.resources.select().where(column.site == key.site, column.kind == key.kind, column.id == key.number)
    async with seen.sources.mapper.reading() as connection:
        row = (await connection.execute(statement)).one_or_none()
    lines: list[dict[str, Any]] = msgspec.json.decode(row.body).get("line_items") or [] if row is not None else []
    moved = {str(each.details.get("place")) for each in seen.of(booking.command.your_ref)}
    wanted = {each.description for each in reasons if each.account in moved}
    found = {str(line["entity_id"]) for line in lines if line.get("description") in wanted and line.get("entity_id")}
    return found.pop() if len(found) == 1 else None


def _told(found: Sequence[Finding], number: str, lang: Language) -> bool:
    if not found:
        words = (f"Nothing under {number} was changed in Exact.", f"Onder {number} is in Exact niets gewijzigd.")
        typer.echo(words[lang == "nl"])
    return bool(found)


def _why_not(reason: Rejection | str, lang: Language) -> str:
    if isinstance(reason, str):
        return CANNOT[reason][lang == "nl"]
    told = (reason.sentence_nl, reason.action_nl) if lang == "nl" else (reason.sentence, reason.action)
    return " ".join(told)


def _entry(reverting: Revert, lang: Language, *, install: bool) -> list[str]:
    command, dutch = reverting.command, lang == "nl"
    if reverting.is_again:
        head = f"{command.your_ref} wordt opnieuw geboekt" if dutch else f"{command.your_ref} is booked again as it was"
    else:
        head = f"Boeking {command.your_ref}" if dutch else f"Entry {command.your_ref}"
    period = f" ({command.reporting_year}/{command.reporting_period})" if command.reporting_period is not None else ""
    lines = [f"{head}, {command.entry_date}{period}, {command.journal}:"]
    sign = -1 if command.kind == "sales" else 1
    lines += [f"  {each.gl_account:<10}{format_minor(sign * each.amount_minor, command.currency):>16}" for each in command.lines]
    if install:
        lines.append("Het gaat naar Exact." if dutch else "It goes to Exact.")
    else:
        lines.append("Niets is gewijzigd; herhaal dit met --yes." if dutch else "Nothing was changed; run this again with --yes.")
    return lines
