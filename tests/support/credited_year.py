"""An invoice of a year's subscription that credit notes take back bit by bit, over the months that are still to be released."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from support import golden_chargebee, golden_stage
from support.golden_chargebee import instant
from support.mapper_stage import Stage

from backbone.configuration import Configuration
from contracts import chargebee, facts

SITE = "site0"
YEAR = {"product": "team-yearly-EUR", "from": date(2026, 1, 1), "to": date(2026, 12, 31)}


def sale(kind: str, number: str, day: date, net: str, tax: str, total: str, **line: Any) -> dict[str, Any]:
    """A document of one line over the year, in the words of the worked cases."""
    taxes = [{"rate": 21, "base": net, "tax": tax, "country": "NL"}]
    lines = [{**YEAR, "amount": net, "taxes": taxes, **line}]
    head = {"kind": kind, "number": number, "date": day, "country": "NL", "tax": tax, "total": total, "lines": lines}
    return head if kind == "invoice" else {**head, "credits": "INV-1"}


INVOICE = sale("invoice", "INV-1", date(2026, 1, 20), "1000.00", "210.00", "1210.00")


def listing(*notes: dict[str, Any], version: int) -> facts.Observed:
    """The invoice, which lists its credit notes."""
    fact = golden_chargebee.document(SITE, INVOICE)
    assert isinstance(fact, facts.InvoiceObserved)
    listed = tuple(
        chargebee.CreatedCreditNote(cn_id=note["number"], cn_date=instant(note["date"]), cn_status="adjusted") for note in notes
    )
    resource = msgspec.structs.replace(fact.resource, adjustment_credit_notes=listed)
    return msgspec.structs.replace(fact, resource_version=version, event_id=f"ev_{version}", resource=resource)


def configuration(**settings: Any) -> Configuration:
    """The chart of the worked cases with deferral."""
    return golden_stage.configured({"deferral": {"account": "1650"}, **settings}, {SITE: {}})


async def deferred_lines(stage: Stage) -> dict[str, list[tuple[int, date | None, date | None]]]:
    """What each document's lines come to, and over which days they are released."""
    return {
        entry.your_ref: [(line.amount_minor, line.from_date, line.to_date) for line in entry.lines]
        for entry in await stage.entries()
    }
