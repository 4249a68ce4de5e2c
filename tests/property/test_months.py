"""The laws of bookkeeping over generated months, from Chargebee's resources to the commands that Exact gets."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from support.engines import database_for
from support.facts import envelope
from support.mapper_stage import Stage, posted
from support.months import DIVISION, DIVISION_SECTION, Key, Month, make_month

from backbone.configuration import Configuration
from backbone.tables import event_log
from contracts import commands, facts
from contracts.envelope import Envelope, Message, decode
from contracts.messages import unseal
from mapper.batched_store import BatchedStore

MONTHS_A_BATCH = 250
MONTHS_IN_TWO_ORDERS = 100
BATCHES = 8
BATCHES_ONE_BY_ONE = 1
PAGE = 500


def configuration(months: list[Month]) -> Configuration:
    sites = {month.site: {"time_zone": "Europe/Amsterdam", "division": DIVISION} for month in months}
    return Configuration.model_validate({"version": 1, "sites": sites, "divisions": {DIVISION: DIVISION_SECTION}})


async def planned(
    messages: list[facts.Observed], months: list[Month], directory: Path, *, in_pages: bool = False
) -> dict[str, list[commands.PostEntry]]:
    """Let a new mapper hear these facts, and return the entries of each site; nothing may be held.

    But for the differences of applications in other currencies, which wait until Exact has both sides.

    Exact takes the invoices that are credited: a credit note of deferred revenue waits to see how its invoice was booked. With
    `in_pages` the facts are taken as a replay takes them, which is faster and must come to the same.
    """
    credited = {(month.site, invoice) for month in months for invoice in month.credited}
    async with database_for("sqlite", directory, "mapper", one_at_a_time=True) as database:
        stage = Stage(database, configuration(months))
        await hear(stage, messages, in_pages=in_pages)
        booked = [entry for entry in await stage.entries() if (entry.document.site, entry.document.number) in credited]
        await hear(stage, [posted(entry) for entry in booked], in_pages=in_pages)
        async with database.reading() as connection:
            rows = await connection.execute(sa.select(event_log.c.body).order_by(event_log.c.sequence))
        said = [unseal(decode(row.body)) for row in rows]
    entries: dict[str, list[commands.PostEntry]] = defaultdict(list)
    held: dict[str, facts.DocumentHeld] = {}
    for decided in said:
        if isinstance(decided, commands.PostEntry):
            entries[decided.document.site].append(decided)
            held.pop(f"{decided.document.site} {decided.document.number}", None)
        elif isinstance(decided, facts.DocumentHeld) and decided.document.kind != "application":
            held[f"{decided.document.site} {decided.document.number}"] = decided
    assert not held, held
    return entries


async def hear(stage: Stage, messages: Sequence[Message], *, in_pages: bool) -> None:
    sealed = [(envelope(message), message) for message in messages]
    async with stage.database.transaction() as connection:
        if not in_pages:
            for each, message in sealed:
                await stage.mapper.handle(connection, each, message)
            return
        for page in batched(sealed, PAGE):
            store = BatchedStore(stage.database, connection)
            await store.read_ahead(message for _, message in page)
            for each, message in page:
                await stage.mapper.take(store, each, message)
            await store.flush()


def batched(sealed: list[tuple[Envelope, Message]], size: int) -> Iterator[list[tuple[Envelope, Message]]]:
    return (sealed[start : start + size] for start in range(0, len(sealed), size))


def months_of(batch: int, count: int) -> list[Month]:
    return [make_month(seed) for seed in range(batch * count, (batch + 1) * count)]


def shuffled(months: list[Month], seed: int) -> list[facts.Observed]:
    arriving = [fact for month in months for fact in month.facts]
    return random.Random(seed).sample(arriving, len(arriving))


@pytest.mark.parametrize("batch", range(BATCHES))
async def test_the_laws_hold_in_every_month_in_whatever_order_it_arrives(batch: int, tmp_path: Path):
    months = months_of(batch, MONTHS_A_BATCH)
    entries = await planned(shuffled(months, batch), months, tmp_path, in_pages=batch >= BATCHES_ONE_BY_ONE)
    for month in months:
        booked = entries[month.site]
        sums: Counter[Key] = Counter()
        for entry in booked:
            balances(month, entry)
            sums.update(effect(entry))
        assert nonzero(sums) == nonzero(month.booked), f"{month.site}: other amounts than were invoiced"
        cancels(month, booked)


async def test_the_order_of_arrival_changes_no_line(tmp_path: Path):
    months = months_of(0, MONTHS_IN_TWO_ORDERS)
    entries = []
    for seed in (1, 2):
        directory = tmp_path / str(seed)
        directory.mkdir()
        entries.append(await planned(shuffled(months, seed), months, directory, in_pages=seed == 2))
    for month in months:
        one, other = (contents(each[month.site]) for each in entries)
        assert one == other, month.site


def contents(entries: list[commands.PostEntry]) -> list[bytes]:
    return sorted(msgspec.json.encode(entry) for entry in entries)


def balances(month: Month, entry: commands.PostEntry) -> None:
    """The sides are equal in both currencies, the debtor is the total in both, and the VAT of the lines is the document's."""
    number = entry.document.number
    in_euros = [each for line in entry.lines for each in (euros(entry, line.amount_minor), euros(entry, line.vat_amount_minor))]
    debt = 0 if entry.kind == "general" else euros(entry, entry.document.total_minor)
    assert abs(sum(in_euros)) == abs(debt), f"{month.site} {number}: Exact rounds each amount by itself"
    amounts = sum(line.amount_minor + (line.vat_amount_minor or 0) for line in entry.lines)
    if entry.kind == "general":
        assert amounts == 0, f"{month.site} {number}"
        return
    sign = -1 if entry.document.kind == "credit_note" else 1
    assert amounts == sign * month.totals[number], f"{month.site} {number}"
    assert sum(line.vat_amount_minor or 0 for line in entry.lines) == sign * month.taxes[number], f"{month.site} {number}"


def effect(entry: commands.PostEntry) -> Counter[Key]:
    """What an entry does to the accounts, debit positive."""
    sums: Counter[Key] = Counter()
    sales = entry.kind == "sales"
    for line in entry.lines:
        sign = -1 if sales else 1
        sums[entry.currency, line.gl_account, line.vat_code or ""] += sign * line.amount_minor
        sums[entry.currency, "VAT", line.vat_code or ""] += sign * (line.vat_amount_minor or 0)
        if sales:
            sums[entry.currency, "1300", ""] += line.amount_minor + (line.vat_amount_minor or 0)
    return sums


def euros(entry: commands.PostEntry, amount_minor: int | None) -> int:
    """An amount of an entry in cents of the division's currency, as Exact makes it of each line."""
    rate = (entry.exchange_rate or Decimal(1)).scaleb(2 - entry.decimals)
    return int(((amount_minor or 0) * rate).quantize(Decimal(1), ROUND_HALF_UP))


def effect_in_euros(entry: commands.PostEntry) -> Counter[Key]:
    """What an entry does to the accounts in the division's currency, but for the debtor."""
    sums: Counter[Key] = Counter()
    for line in entry.lines:
        sums["EUR", line.gl_account, line.vat_code or ""] += euros(entry, line.amount_minor)
        sums["EUR", "VAT", line.vat_code or ""] += euros(entry, line.vat_amount_minor)
    return sums


def nonzero(sums: Counter[Key]) -> dict[Key, int]:
    return {key: amount for key, amount in sums.items() if amount}


def cancels(month: Month, entries: list[commands.PostEntry]) -> None:
    """An invoice and its whole credit come to zero on every account, and nothing stays deferred or is released twice."""
    by_number = {entry.document.number: entry for entry in entries}
    for invoice, note in month.credited.items():
        if invoice not in by_number:
            assert note not in by_number, f"{month.site} {note}"
            continue
        both = [by_number[invoice], by_number[note]]
        sums = effect(both[0])
        sums.update(effect(both[1]))
        assert not nonzero(sums), f"{month.site} {note}"
        sums = effect_in_euros(both[0])
        sums.update(effect_in_euros(both[1]))
        assert not nonzero(sums), f"{month.site} {note} in euros"
        deferral_ends_at_zero(month, *both)


def deferral_ends_at_zero(month: Month, invoice: commands.PostEntry, note: commands.PostEntry) -> None:
    """From the credit on, what is left to be released never turns round (but for cents), and the invoice's range ends at zero."""
    released: Counter[int] = Counter()
    lines = [line for line in (*invoice.lines, *note.lines) if line.from_date is not None]
    for line in lines:
        released.update(schedule(line))
    last = max((of_day(line.to_date) for line in invoice.lines if line.to_date is not None), default=0)
    assert max(released, default=0) <= last, f"{month.site} {note.document.number}: released after the invoice's service ended"
    left = sum(line.amount_minor for line in lines) - sum(part for at, part in released.items() if at < of_day(note.entry_date))
    # Each part is rounded by at most half a cent, which its last part makes good.
    cents = sum(len(schedule(line)) for line in lines)
    for at in range(of_day(note.entry_date), last + 1):
        left -= released[at]
        assert 2 * abs(left) <= cents, f"{month.site} {note.document.number}: {left} is deferred though all was credited"


def of_day(day: date) -> int:
    return day.year * 12 + day.month


def schedule(line: commands.EntryLine) -> dict[int, int]:
    """What is released in each month: equal parts, the rest in the last one."""
    assert line.from_date is not None
    assert line.to_date is not None
    months = range(of_day(line.from_date), of_day(line.to_date) + 1)
    parts = dict.fromkeys(months, int((Decimal(line.amount_minor) / len(months)).quantize(Decimal(1), ROUND_HALF_UP)))
    parts[months[-1]] += line.amount_minor - sum(parts.values())
    return parts
