"""The calendar of bad debts: the VAT of every write-off, when it comes back, and whether it did. Pure: rows in, rows out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, Literal

DUE_SOON = timedelta(days=30)
KIND = "vat_reclaim"
Standing = Literal[
    "open", "due soon", "waiting", "held", "by hand", "under way", "reclaimed", "booked back", "nothing to reclaim"
]


def calendar(rows: Iterable[dict[str, Any]], today: date) -> list[dict[str, Any]]:
    """Return the write-offs' VAT in the order in which it comes back.

    `vat_minor` is in the currency's smallest unit, None where Chargebee does not say how much VAT is in what was written off.
    """
    taken_back = {(row["site"], row["number"]) for row in rows if row["suffix"].rpartition("/")[2].startswith("R")}
    found = [
        {
            "site": row["site"],
            "number": row["number"],
            "customer_id": row["customer_id"],
            "division": row["division"],
            "reclaim_on": row["document_date"],
            "currency": row["currency"],
            "decimals": row["decimals"],
            "vat_minor": _vat(row, today),
            "state": "booked back" if (row["site"], row["number"]) in taken_back else _standing(row, today),
            "sentence": row["sentence"],
            "sentence_nl": row.get("sentence_nl", ""),
        }
        for row in rows
        if not row["suffix"]
    ]
    return sorted(found, key=lambda row: (row["reclaim_on"] or "9999", row["site"], row["number"]))


def _vat(row: dict[str, Any], today: date) -> int | None:
    if row["code"] == "write_off_without_vat":
        return None
    return 0 if _standing(row, today) == "nothing to reclaim" else int(row["total_minor"])


def _standing(row: dict[str, Any], today: date) -> Standing:
    match row["state"]:
        case "booked":
            return "reclaimed"
        case "planned":
            return "under way"
        case "set_aside":
            return "by hand" if row["code"] == "vat_reclaim_by_hand" else "nothing to reclaim"
        case "held":
            return "held"
        case _ if row["code"] != "vat_not_due" or row["document_date"] is None:
            return "waiting"
        case _:
            return "due soon" if date.fromisoformat(row["document_date"]) - today <= DUE_SOON else "open"
