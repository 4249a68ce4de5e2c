"""`kruispost deferred`: the roll-forward of deferred revenue from what the mapper had booked, and the documents behind it."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
import typer
from msgspec.structs import replace

from backbone.configuration import load_configuration
from backbone.settings import Settings
from bookkeeping.journal import Entry
from bookkeeping.mapping import Mapping
from bookkeeping.money import format_minor
from bookkeeping.roll_forward import Movement, RollForward, Row, movements
from contracts.commands import PostEntry
from mapper import tables
from mapper.configuration import mappings_of
from mapper.history import PagedStore
from mapper.issue import booked_entry
from mapper.reading import ask, chosen
from mapper.store import ISSUED
from mapper.wording import Language, say

PAGE_ENTRIES = 1_000
_WIDTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for: periods such as 2026-03, and the documents behind one of them."""

    division: int | None
    first: str | None
    last: str | None
    with_documents: bool


@dataclass(frozen=True, slots=True)
class Behind:
    """A document's movement."""

    document: str
    movement: Movement

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        moved = self.movement
        shown = {"period": moved.period, "account": moved.account, "kind": moved.kind, "amount_minor": moved.amount_minor}
        return {"document": self.document, **shown}


def show_deferred(wish: Wish, lang: Language, *, form: str) -> None:
    """Print the roll-forward as text, json or csv. Raises UnreadableError and ConfigurationError."""
    settings = Settings()
    mappings = mappings_of(load_configuration(settings.config))
    mapping = chosen(mappings, wish.division)

    async def question(store: PagedStore) -> tuple[RollForward, list[Behind], list[str]]:
        total, behind, without_rate = RollForward(), list[Behind](), list[str]()
        async for name, entry in deferred_entries(store, mapping):
            if entry.currency != mapping.currency:
                without_rate.append(name)
                continue
            moved = list(movements(entry, await store.periods(mapping.division, entry.journal), mapping.deferral_method))
            total.add(moved)
            if wish.with_documents:
                behind += [Behind(name, each) for each in moved if _within(each.period, wish)]
        return total, behind, without_rate

    total, behind, without_rate = ask(settings, question)
    rows, left = total.rows(wish.first, wish.last), total.closing_minor(wish.last)
    if form == "json":
        head = {"division": mapping.division, "currency": mapping.currency, "balance_account": mapping.deferral_account}
        answer = {**head, "rows": [_as_dict(row) for row in rows], "closing_minor": left, "without_rate": without_rate}
        if wish.with_documents:
            answer["documents"] = [each.as_dict() for each in behind]
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    elif form == "csv":
        _write_csv(rows, behind, mapping, with_documents=wish.with_documents)
    else:
        typer.echo("\n".join(_lines(rows, behind, left, mapping, lang)))
    if without_rate and form != "json":
        # Beside a table or a file that a program reads, so that nobody takes the figures for whole.
        typer.echo(say("deferred_without_rate", lang, documents=", ".join(without_rate)), err=True)


async def deferred_entries(store: PagedStore, mapping: Mapping) -> AsyncIterator[tuple[str, Entry]]:
    """Give every entry with deferred lines that is under way or booked, in the division's currency, with its reference.

    One whose rate Exact has not told stays in its own currency.
    """
    table = tables.documents.c
    order = (table.site, table.kind, table.number, table.suffix)
    after: tuple[Any, ...] | None = None
    where = (table.division == mapping.division, table.state.in_(sorted(ISSUED)), table.command.is_not(None))
    while True:
        statement = sa.select(*order, table.command, table.exchange_rate).where(*where).order_by(*order).limit(PAGE_ENTRIES)
        if after is not None:
            statement = statement.where(sa.tuple_(*order) > sa.tuple_(*(sa.literal(value) for value in after)))
        rows = list(await store.connection.execute(statement))
        if not rows:
            return
        for row in rows:
            command = msgspec.json.decode(row.command, type=PostEntry)
            if all(line.from_date is None for line in command.lines):
                continue
            entry = booked_entry(command, command.your_ref, mapping.receivable_account, row.exchange_rate)
            placed = replace(entry, reporting_year=command.reporting_year, reporting_period=command.reporting_period)
            yield command.your_ref, placed.in_currency(mapping.currency)
        after = tuple(rows[-1])[: len(order)]


def _within(period: str, wish: Wish) -> bool:
    return (wish.first is None or period >= wish.first) and (wish.last is None or period <= wish.last)


def _as_dict(row: Row) -> dict[str, Any]:
    amounts = {
        "opening_minor": row.opening_minor,
        "invoiced_minor": row.invoiced_minor,
        "released_minor": row.released_minor,
        "credited_minor": row.credited_minor,
        "closing_minor": row.closing_minor,
    }
    return {"account": row.account, "period": row.period, **amounts}


def _amounts(row: Row) -> tuple[int, ...]:
    return (row.opening_minor, row.invoiced_minor, row.released_minor, row.credited_minor, row.closing_minor)


def _write_csv(rows: list[Row], behind: list[Behind], mapping: Mapping, *, with_documents: bool) -> None:
    """Write amounts as a spreadsheet reads them: a point before the cents, no separators."""
    writer = csv.writer(sys.stdout, lineterminator="\n")

    def plain(amount_minor: int) -> str:
        return format_minor(amount_minor, mapping.currency).replace(",", "")

    if with_documents:
        writer.writerow(("document", "period", "account", "kind", "amount"))
        for each in behind:
            moved = each.movement
            writer.writerow((each.document, moved.period, moved.account, moved.kind, plain(moved.amount_minor)))
        return
    writer.writerow(("account", "period", "opening", "invoiced", "released", "credited", "closing"))
    for row in rows:
        writer.writerow((row.account, row.period, *map(plain, _amounts(row))))


def _lines(rows: list[Row], behind: list[Behind], left: int, mapping: Mapping, lang: Language) -> list[str]:
    if not rows:
        return [say("nothing_deferred", lang, division=mapping.division)]

    def written(amount_minor: int) -> str:
        return f"{format_minor(amount_minor, mapping.currency) if amount_minor else '-':>{_WIDTH}}"

    account, balance = None, mapping.deferral_account or "?"
    lines = [say("deferred_heading", lang, division=mapping.division, currency=mapping.currency, account=balance)]
    head = "".join(f"{say(name, lang):>{_WIDTH}}" for name in ("opening", "invoiced", "released", "credited", "closing"))
    for row in rows:
        if row.account != account:
            account = row.account
            lines += ["", f"{account:<10}{head}"]
        lines.append(f"{row.period:<10}" + "".join(map(written, _amounts(row))))
    for each in behind:
        moved = each.movement
        words = f"{moved.period}  {moved.account}  {say(moved.kind, lang):<12}{each.document:<32}"
        lines.append(words + written(moved.amount_minor))
    return [*lines, "", say("deferred_left", lang, amount=format_minor(left, mapping.currency))]
