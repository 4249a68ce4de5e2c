"""What people ask of the projection: which documents stand how, the life of one, and how the connections are."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from console import tables
from console.folding import DocumentRow, customer_subject, moment_of
from console.projection import read_row

LIMIT = 100


async def summary(connection: AsyncConnection) -> dict[str, Any]:
    """Count documents by state, by kind and state, and documents and reversals by reason; say how Exact is connected.

    `reversals` counts the entries that take back an earlier one, or book a document anew after that, by state; they are in none
    of the other counts of states. A number that was used again counts as another document.
    `receipts` counts invoices by what became of their receipt in Chargebee: recorded, or the code why not. `pdfs` counts entries
    by what became of their PDF: wanted, attached, or the code why not.
    """
    table = tables.documents
    own = sa.or_(table.c.suffix == "", sa.and_(table.c.suffix.like("#%"), table.c.suffix.not_like("%/%")))
    rows = await connection.execute(
        sa.select(table.c.kind, table.c.state, sa.func.count()).where(own).group_by(table.c.kind, table.c.state)
    )
    states: dict[str, int] = {}
    kinds: dict[str, dict[str, int]] = {}
    for kind, state, count in rows:
        states[state] = states.get(state, 0) + count
        kinds.setdefault(kind, {})[state] = count
    reversals = await connection.execute(
        sa.select(table.c.state, sa.func.count().label("entries")).where(~own).group_by(table.c.state).order_by(table.c.state)
    )
    reasons = await connection.execute(
        sa.select(table.c.state, table.c.code, sa.func.count())
        .where(table.c.state.in_(("held", "waiting", "set_aside")))
        .group_by(table.c.state, table.c.code)
        .order_by(table.c.state, table.c.code)
    )
    receipts = await connection.execute(
        sa.select(table.c.receipt, sa.func.count().label("invoices"))
        .where(table.c.receipt != "")
        .group_by(table.c.receipt)
        .order_by(table.c.receipt)
    )
    pdfs = await connection.execute(
        sa.select(table.c.pdf, sa.func.count().label("entries"))
        .where(table.c.pdf != "")
        .group_by(table.c.pdf)
        .order_by(table.c.pdf)
    )
    connections = await connection.execute(sa.select(tables.connections).order_by(tables.connections.c.division))
    return {
        "states": states,
        "kinds": kinds,
        "reversals": {row.state: row.entries for row in reversals},
        "reasons": [{"state": state, "code": code, "count": count} for state, code, count in reasons],
        "pdfs": {row.pdf: row.entries for row in pdfs},
        "receipts": {row.receipt: row.invoices for row in receipts},
        "connections": [
            {
                **{name: getattr(row, name) for name in ("division", "state", "reason", "reason_nl")},
                "since": moment_of(row.stated_at_us).isoformat(),
            }
            for row in connections
        ],
    }


async def documents(
    connection: AsyncConnection,
    *,
    state: str | None = None,
    kind: str | None = None,
    code: str | None = None,
    customer: str | None = None,
    receipt: str | None = None,
    limit: int = LIMIT,
) -> list[dict[str, Any]]:
    """List documents that fit every filter given, the last changed first."""
    table = tables.documents
    statement = sa.select(table).order_by(table.c.updated_at_us.desc(), table.c.number).limit(limit)
    wanted = {"state": state, "kind": kind, "code": code, "customer_id": customer, "receipt": receipt}
    for column, value in ((table.c[name], value) for name, value in wanted.items()):
        if value is not None:
            statement = statement.where(column == value)
    return [present(read_row(row)) for row in await connection.execute(statement)]


async def life_of(connection: AsyncConnection, number: str) -> list[dict[str, Any]]:
    """Return every booking with this number and what happened to it, oldest first; empty when nobody knows it.

    A reversal is found by the document's number, and alone by what Exact shows as its reference (`INV-1/R`), as is the next
    document that got the number (`INV-1#2`).
    """
    table = tables.documents
    again = table.c.suffix.like("#%")
    reference = sa.case((again, table.c.number + table.c.suffix), else_=table.c.number + "/" + table.c.suffix)
    known = sa.or_(table.c.number == number, sa.and_(table.c.suffix != "", reference == number))
    rows = await connection.execute(sa.select(table).where(known).order_by(table.c.kind, table.c.suffix))
    found = []
    for row in [read_row(values) for values in rows]:
        subjects = [row.subject, customer_subject(f"{row.site}/{row.customer_id}")]
        steps = await connection.execute(
            sa.select(tables.timeline)
            .where(tables.timeline.c.subject.in_(subjects))
            .order_by(tables.timeline.c.time_us, tables.timeline.c.message_id)
        )
        timeline = [
            {
                "time": moment_of(step.time_us).isoformat(),
                "type": step.type,
                "subject": step.subject,
                "details": json.loads(step.details),
            }
            for step in steps
        ]
        found.append({**present(row), "timeline": timeline})
    return found


def present(row: DocumentRow) -> dict[str, Any]:
    """Return a row as JSON has it, times as ISO 8601."""
    values = asdict(row)
    values["updated_at"] = moment_of(values.pop("updated_at_us")).isoformat()
    values.pop("stated_at_us")
    values.pop("pdf_stated_at_us")
    values["document_date"] = row.document_date.isoformat() if row.document_date is not None else None
    return values
