"""What is reported in another period than its date says, and the VAT that missed a return which was filed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from console import tables
from contracts.facts import DocumentPlanned

STANDING = ("planned", "booked")


@dataclass(frozen=True)
class Span:
    """Which moves are asked for: into periods from `first` to `last` (2026-03), of a division; None means any."""

    division: int | None
    first: str | None
    last: str | None


async def note(database: Database, connection: AsyncConnection, planned: DocumentPlanned) -> None:
    """Keep the moves of a document's newest entry instead of those of the entry before it."""
    table, ref = tables.moves, planned.document
    identity = {"site": ref.site, "kind": ref.kind, "number": ref.number, "suffix": ref.suffix}
    same = [table.c[name] == value for name, value in identity.items()]
    await connection.execute(sa.delete(table).where(*same, table.c.command_id != planned.command_id))
    for ordinal, move in enumerate(planned.moves):
        values = {
            **identity,
            "ordinal": ordinal,
            "command_id": planned.command_id,
            "division": planned.division,
            "what": move.kind,
            "journal": move.journal,
            "from_period": move.from_period,
            "to_period": move.to_period,
            "currency": move.currency,
            "decimals": move.decimals,
            "amount_minor": move.amount_minor,
            "vat": json.dumps({each.code: each.amount_minor for each in move.vat}),
            "filed_return": move.filed_return,
        }
        await connection.execute(database.insert(table).values(values).on_conflict_do_nothing())


async def moves(connection: AsyncConnection, span: Span) -> list[dict[str, Any]]:
    """List the moves of entries that are under way or booked, by the period they went to."""
    table, documents = tables.moves, tables.documents
    names = ("site", "kind", "number", "suffix")
    joined = sa.and_(*(table.c[name] == documents.c[name] for name in names))
    statement = (
        sa.select(table, documents.c.state, documents.c.document_date, documents.c.customer_id)
        .join(documents, joined)
        .where(documents.c.state.in_(STANDING))
        .order_by(table.c.division, table.c.to_period, table.c.from_period, table.c.number, table.c.suffix, table.c.ordinal)
    )
    if span.division is not None:
        statement = statement.where(table.c.division == span.division)
    if span.first is not None:
        statement = statement.where(table.c.to_period >= span.first)
    if span.last is not None:
        statement = statement.where(table.c.to_period <= span.last)
    return [_present(row) for row in await connection.execute(statement)]


def _present(row: Any) -> dict[str, Any]:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    for name in ("ordinal", "command_id"):
        values.pop(name)
    values["vat"] = json.loads(values["vat"])
    values["vat_minor"] = sum(values["vat"].values())
    values["document_date"] = row.document_date.isoformat() if row.document_date is not None else None
    return values


def missed_returns(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sum the VAT that missed a filed return, by division, return and code; amounts in the currency's smallest unit."""
    sums: dict[tuple[int, str, str, int], dict[str, int]] = {}
    counts: dict[tuple[int, str, str, int], int] = {}
    for row in rows:
        if row["filed_return"] is None:
            continue
        place = (row["division"], row["filed_return"], row["currency"], row["decimals"])
        counts[place] = counts.get(place, 0) + 1
        of_code = sums.setdefault(place, {})
        for code, amount in row["vat"].items():
            of_code[code] = of_code.get(code, 0) + amount
    return [
        {
            "code": "vat_after_filing",
            "division": division,
            "filed_return": filed_return,
            "currency": currency,
            "decimals": decimals,
            "documents": counts[division, filed_return, currency, decimals],
            "vat": dict(sorted(of_code.items())),
            "vat_minor": sum(of_code.values()),
        }
        for (division, filed_return, currency, decimals), of_code in sorted(sums.items())
    ]
