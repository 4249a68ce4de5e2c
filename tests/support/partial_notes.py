"""Credit notes made up from a seed, each of a part of what earlier ones left of an invoice."""

from __future__ import annotations

import random
from typing import Any

from bookkeeping.money import allocate

DAY = 86_400
Left = list[list[int]]
"""Amount, tax and discount of each line."""


def make_note(luck: random.Random, number: str, invoice: dict[str, Any], left: Left, *, is_first: bool) -> dict[str, Any] | None:
    """Credit a part of each line, or all that is left, and take it off `left`; None where that comes to nothing."""
    whole, lines, taken = luck.random() < 0.3, [], []
    for line, rest in zip(invoice["line_items"], left, strict=True):
        share = 100 if whole else luck.choice([0, 100, luck.randint(1, 99)])
        part = [allocate(each, [share, 100 - share])[0] for each in rest]
        taken.append(part)
        if any(part):
            lines.append(_line(luck, number, invoice, line, part))
    tax, is_inclusive = sum(part[1] for part in taken), invoice["price_type"] == "tax_inclusive"
    sums = {"round_off_amount": 0, "tax": tax}
    sums["total"] = sum(part[0] - part[2] for part in taken) + (0 if is_inclusive else tax)
    if whole and is_first:
        sums = {name: invoice[name] for name in sums}
    if sums["total"] <= 0:
        return None
    for rest, part in zip(left, taken, strict=True):
        rest[:] = [one - other for one, other in zip(rest, part, strict=True)]
    reason = luck.choice(["Subscription Change", "Other", None, None, "Write Off"])
    kind = "adjustment" if reason == "Write Off" else luck.choice(["adjustment", "refundable"])
    return {
        **{name: invoice[name] for name in ("customer_id", "currency_code", "base_currency_code", "price_type")},
        **sums,
        **_rows(invoice, lines, taken),
        "exchange_rate": luck.choice(["0.9217", "0.9413"]),
        "id": number,
        "type": kind,
        "status": "adjusted" if kind == "adjustment" else luck.choice(["refund_due", "refunded"]),
        "create_reason_code": reason,
        "reference_invoice_id": invoice["id"],
        "date": invoice["date"] + luck.randint(0, 200) * DAY,
        "line_items": lines,
        "_taken": taken,
    }


def _line(luck: random.Random, number: str, invoice: dict[str, Any], line: dict[str, Any], part: list[int]) -> dict[str, Any]:
    """The line of a note: with the invoice's days, a part of them, or a day that says nothing."""
    own = {
        **line,
        "id": f"{number}-{line['id']}",
        "reference_line_item_id": line["id"],
        "amount": part[0],
        "tax_amount": part[1],
    }
    when = luck.random()
    if when < 0.4:
        own["date_from"] = own["date_to"] = invoice["date"]
    elif when < 0.6 and line["date_to"] - line["date_from"] > 60 * DAY:
        own["date_from"] = line["date_from"] + luck.randint(1, 50) * DAY
    return own


def _rows(invoice: dict[str, Any], lines: list[dict[str, Any]], taken: Left) -> dict[str, list[dict[str, Any]]]:
    """The taxes and discounts of a note's lines, as those of its invoice."""
    parts = dict(zip((line["id"] for line in invoice["line_items"]), taken, strict=True))
    names = {line["reference_line_item_id"]: line["id"] for line in lines}
    taxes, discounts = (
        [row for row in invoice[name] if row["line_item_id"] in names] for name in ("line_item_taxes", "line_item_discounts")
    )
    return {
        "line_item_taxes": [
            {
                **row,
                "line_item_id": names[row["line_item_id"]],
                "tax_amount": parts[row["line_item_id"]][1],
                "taxable_amount": parts[row["line_item_id"]][0] - parts[row["line_item_id"]][2],
            }
            for row in taxes
        ],
        "line_item_discounts": [
            {**row, "line_item_id": names[row["line_item_id"]], "discount_amount": parts[row["line_item_id"]][2]}
            for row in discounts
            if parts[row["line_item_id"]][2]
        ],
    }
