"""The roll-forward of deferred revenue tells invoiced from credited by the document, not by the sign of a line."""

from datetime import date
from typing import Any

from support import golden

from bookkeeping.journal import Entry
from bookkeeping.roll_forward import RollForward, movements

SHOWN = {"discounts": {"posting": "gross", "rules": [{"account": "8090"}]}}


def sale(kind: str, number: str, day: str, **line: Any) -> dict[str, Any]:
    """A year of 1,200.00 with 120.00 off, and for an invoice 300.00 back for the rest of a cheaper one."""
    taxes = [{"rate": 21, "base": "1080.00", "tax": "226.80", "country": "NL"}]
    year = {"product": "team-yearly-EUR", "amount": "1200.00", "discounts": [{"amount": "120.00"}], "taxes": taxes, **line}
    back = {
        "product": "team-yearly-EUR",
        "amount": "-300.00",
        "from": date.fromisoformat("2026-01-01"),
        "to": date.fromisoformat("2026-06-30"),
    }
    back["taxes"] = [{"rate": 21, "base": "-300.00", "tax": "-63.00", "country": "NL"}]
    lines, tax, total = ([year, back], "163.80", "943.80") if kind == "invoice" else ([year], "226.80", "1306.80")
    head = {
        "kind": kind,
        "number": number,
        "date": date.fromisoformat(day),
        "country": "NL",
        "tax": tax,
        "total": total,
        "lines": lines,
    }
    return head if kind == "invoice" else {**head, "credits": "INV-1"}


def rows(account: str, *documents: dict[str, Any]) -> list[tuple[str, int, int, int, int]]:
    """The amounts of each period in which something was invoiced or credited, in whole euros."""
    total = RollForward()
    for document in documents:
        entry = golden.book({"document": document, "with": SHOWN}, [])
        assert isinstance(entry, Entry), entry
        total.add(movements(entry, golden.months([], last_year=2027), "per_period"))
    assert total.closing_minor() == 0
    return [
        (row.period, row.invoiced_minor // 100, row.released_minor // 100, row.credited_minor // 100, row.closing_minor // 100)
        for row in total.rows()
        if row.account == account and (row.invoiced_minor or row.credited_minor)
    ]


def test_a_discount_and_a_line_below_zero_of_an_invoice_are_invoiced_and_those_of_a_note_are_credited():
    served = {"from": date.fromisoformat("2026-01-01"), "to": date.fromisoformat("2026-12-31")}
    credited = {"credited": {"net": "1080.00", **served}}
    documents = (
        sale("invoice", "INV-1", "2026-01-01", **served),
        sale("credit_note", "CN-1", "2026-07-01", **served, **credited),
    )
    assert rows("8000", *documents) == [("2026-01", 900, 50, 0, 850), ("2026-07", 0, 0, 600, 0)]
    assert rows("8090", *documents) == [("2026-01", -120, -10, 0, -110), ("2026-07", 0, 0, -60, 0)]
