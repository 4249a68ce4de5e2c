"""What somebody changed or deleted in Exact of an entry of ours, and what can be done about it.

Nothing is deleted or changed in Exact: an entry that is gone is booked again under its reference, and an amount that was moved
to another account is moved back by an entry of ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone import event_log
from bookkeeping.mapping import Mapping
from bookkeeping.placement import place_in_period
from bookkeeping.reconciliation import VAT
from bookkeeping.rejections import Rejection
from contracts.commands import EntryLine, PostEntry
from contracts.envelope import derived_id, seal
from contracts.facts import DocumentPlanned, ReasonOfLine
from mapper.drift_decisions import GONE, SOURCE, Accepted, Countered, decide, id_of_counter, signature_of
from mapper.issue import booked_entry, your_ref
from mapper.reconcile_judging import Booking, minor
from mapper.reconcile_scratch import Finding
from mapper.store import Store

MOVED = ("entry_edited_account", "entry_edited_amount")
OF_ENTRIES = "entry_"  # how findings about Exact's entries are called; those of documents are not drift
Why = Literal["debt", "vat", "deferral", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revert:
    """The command that takes a change in Exact back; `is_again` where the entry was deleted and is booked again as it was."""

    command: PostEntry
    is_again: bool


def is_drift(finding: Finding) -> bool:
    """Tell whether a finding is about what somebody did in Exact, and waits for a decision."""
    return (
        not finding.is_explained and finding.name.startswith(OF_ENTRIES) and finding.name not in ("entry_untold", "entry_unknown")
    )


def acceptance(finding: Finding, who: str, why: str, now: datetime, command_id: str | None) -> Accepted:
    """Return the decision that a difference stands in what a command booked."""
    reference, name, place, booked, found, entry = signature_of(finding.number, finding.name, finding.details)
    told = {"place": place, "booked": booked, "found": found, "entry": entry}
    return Accepted(reference=reference, name=name, who=who, why=why, at=now, command_id=command_id, **told)


def revert_of(booking: Booking, findings: Sequence[Finding], mapping: Mapping, count: int) -> Revert | Why:
    """Return what would take the findings about one booking back, or why no entry of ours can. `count` numbers its entries."""
    row, command = booking.row, booking.command
    if command.linked is not None:
        return "other"  # somebody else booked it
    names = {finding.name for finding in findings}
    if names == {GONE}:
        document, attempt = command.document, str(row.attempt + 1)
        key = (str(command.division), document.site, document.kind, document.number, document.suffix)
        again = msgspec.structs.replace(command, command_id=derived_id("entry", *key, attempt))
        return Revert(command=again, is_again=True)
    if not names or not names <= set(MOVED):
        return "other"
    missing = Counter[str]()
    for finding in findings:
        missing[str(finding.details["place"])] -= finding.amount_minor
    if any(place.startswith(VAT) for place in missing):
        return "vat"
    if booking.debtor_accounts & missing.keys() or sum(missing.values()):
        return "debt"
    if any(line.from_date is not None for line in command.lines if line.gl_account in missing):
        return "deferral"
    reference = your_ref(f"{command.your_ref}/C{count + 1}")
    lines = tuple(
        EntryLine(
            gl_account=place,
            amount_minor=part,
            description=mapping.texts.word("back_to_booking", reference=reference),
            cost_center=cost_center,
            cost_unit=cost_unit,
        )
        for place, amount in sorted(missing.items())
        for (cost_center, cost_unit), part in _by_dimension(booking, place, amount).items()
    )
    counter = msgspec.structs.replace(
        command,
        command_id=id_of_counter(command.division, reference),
        kind="general",
        mode="entry",
        journal=mapping.journals.code("payments", command.currency, command.entry_date),
        customer_ref="",
        your_ref=reference,
        lines=lines if command.currency == mapping.currency else _in_pairs(lines),
        description=reference,
        due_date=None,
        payment_condition=None,
        receivable_account=None,
        reporting_year=None,
        reporting_period=None,
        pdf=False,
    )
    return Revert(command=counter, is_again=False)


def _in_pairs(lines: Sequence[EntryLine]) -> tuple[EntryLine, ...]:
    """Return lines as pairs of equal amounts on both sides: Exact rounds each to the division's currency by itself."""
    debits, credits_ = ([line for line in lines if line.amount_minor * sign > 0] for sign in (1, -1))
    pairs: list[EntryLine] = []
    while debits and credits_:
        debit, credit = debits.pop(), credits_.pop()
        amount = min(debit.amount_minor, -credit.amount_minor)
        pairs += [msgspec.structs.replace(debit, amount_minor=amount), msgspec.structs.replace(credit, amount_minor=-amount)]
        if debit.amount_minor > amount:
            debits.append(msgspec.structs.replace(debit, amount_minor=debit.amount_minor - amount))
        if -credit.amount_minor > amount:
            credits_.append(msgspec.structs.replace(credit, amount_minor=credit.amount_minor + amount))
    return tuple(pairs)


def _by_dimension(booking: Booking, account: str, amount_minor: int) -> dict[tuple[str | None, str | None], int]:
    """Share what an account lacks among cost centres and units: as each was booked, less what stands on it in Exact now."""
    sums: Counter[tuple[str | None, str | None]] = Counter()
    for line in booking.entry.lines:
        if line.account == account:
            sums[line.cost_center or None, line.cost_unit or None] += line.amount_minor
    booked = next(iter(sums), None)
    for shown in booking.lines:
        if shown.account == account and not shown.is_vat and not shown.is_deferral:
            sums[shown.cost_center or None, shown.cost_unit or None] -= minor(shown.fc_hundredths, shown.currency)
    if sum(sums.values()) == amount_minor:
        return {place: part for place, part in sums.items() if part}
    return {booked or next(iter(sums), (None, None)): amount_minor} if amount_minor else {}


async def in_open_period(store: Store, revert: Revert, mapping: Mapping) -> Revert | Rejection:
    """Report an entry that takes a change back in an open period of its journal, as the division's policy is.

    What is booked again as it was goes as it was; should its period be closed now, Exact's refusal lets it be planned anew.
    """
    if revert.is_again:
        return revert
    command = revert.command
    periods = await store.periods(command.division, command.journal)
    entry = booked_entry(command, command.your_ref, mapping.receivable_account)
    placed = place_in_period(entry, command.your_ref, periods, mapping)
    if isinstance(placed, Rejection):
        return placed
    year, period = placed.reporting_year, placed.reporting_period
    return replace(revert, command=msgspec.structs.replace(command, reporting_year=year, reporting_period=period))


async def carry_out(store: Store, booking: Booking, revert: Revert, who: str, why: str, now: datetime) -> None:
    """Issue the command, and note who asked for it; all in the transaction of the store."""
    connection, command = store.connection, revert.command
    if revert.is_again:
        row = booking.row
        encoded = msgspec.json.encode(command)
        again = replace(row, state="planned", attempt=row.attempt + 1, command_id=command.command_id, command=encoded)
        await store.save(again)
        planned = DocumentPlanned(
            document=command.document,
            division=command.division,
            command_id=command.command_id,
            mapping_version=command.mapping_version,
            explanation=(f"It was deleted in Exact and is booked again, by {who}: {why}",),
        )
        await _append(connection, command, planned, now)
    else:
        made = Countered(reference=booking.command.your_ref, command_id=command.command_id, who=who, why=why, at=now)
        await decide(connection, command.division, [made], now)
    await _append(connection, command, command, now)


async def _append(connection: AsyncConnection, command: PostEntry, message: PostEntry | DocumentPlanned, now: datetime) -> None:
    document = command.document
    subject = f"{document.site}/{document.kind}/{document.number}"
    stream = f"document/{subject}"
    version = await event_log.stream_version(connection, stream)
    key = str(command.division) if isinstance(message, PostEntry) else f"{document.site}/{document.customer_id}"
    envelope = seal(message, source=SOURCE, subject=subject, key=key, time=now, distinguisher=command.command_id)
    await event_log.append(connection, stream, version, [envelope])


def proposal(findings: Sequence[Finding], reasons: Sequence[ReasonOfLine], product: str | None, place: str) -> str | None:
    """Return the rule that would have booked as somebody moved it, as YAML with its place; None where no rule decides that.

    `reasons` are those of the booking's lines, `product` is the price point of the one that was moved, `place` names the list.
    """
    known = {each.account: each for each in reasons if each.revenue_index is not None}
    moved = [each.details for each in findings if each.name in MOVED and not str(each.details["place"]).startswith(VAT)]
    source = next(
        (str(each["place"]) for each in moved if abs(each["found"]) < abs(each["booked"]) and each["place"] in known), None
    )
    target = next((str(each["place"]) for each in moved if abs(each["found"]) > abs(each["booked"])), None)
    if source is None or target is None:
        return None
    reason = known[source]
    when = f"item_price: {product}" if product is not None else reason.revenue_rule
    where = f"# {place}: beside rule {(reason.revenue_index or 0) + 1} ({reason.revenue_rule}), which books {reason.description}"
    return f'{where}\n- {{ when: {{ {when} }}, account: "{target}" }}'
