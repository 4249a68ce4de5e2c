"""Every kind of invoice, credit note, product and transaction that Chargebee has, as rows in which every two of them meet."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from allpairspy import AllPairs

DAY = 86_400
NOON = 1_772_535_600  # 2026-03-03 12:00 in Amsterdam
RATE = "0.9217"
_numbers = count(1)

INVOICES: dict[str, list[Any]] = {
    "origin": ["recurring", "one_off", "consolidated", "advance", "backdated", "imported", "gift", "first_part", "arrears"],
    "status": ["pending", "posted", "payment_due", "not_paid", "paid", "voided", "deleted", "a_later_release_has_it"],
    "product": ["plan", "addon", "charge", "setup", "adhoc", "plan_of_old", "addon_of_old", "unmapped"],
    "pricing": ["flat", "per_unit", "tiered", "volume", "stairstep", "package", "percentage", "multi_decimal"],
    "tax": ["21", "9_and_21", "inclusive", "reverse_charge", "exempt", "one_stop_shop", "a_rate_without_code"],
    "discount": ["none", "line", "document", "promotional", "whole"],
    "currency": ["EUR", "USD", "USD_with_local_rate", "USD_without_rate", "JPY"],
    "further": ["none", "proration", "rounded", "withheld", "payer", "einvoice", "long", "cut_off", "written_off"],
    "entity": [None, "BE-1", "BE-unknown"],
}
CREDIT_NOTES: dict[str, list[Any]] = {
    "type": ["adjustment", "refundable", "store"],
    "status": ["adjusted", "refund_due", "refunded", "voided", "a_later_release_has_it"],
    "reason": ["write_off", "chargeback", "subscription_change", "subscription_cancellation", "Other", None],
    "refers": ["whole", "part", "alone", "unknown"],
    "allocated": ["not", "partly", "whole"],
    "fractional": [False, True],
    "tax": ["21", "inclusive", "exempt", "none"],
    "currency": ["EUR", "USD", "USD_without_rate"],
}
TRANSACTIONS: dict[str, list[Any]] = {
    "type": ["payment", "refund", "payment_reversal", "authorization", "a_later_release_has_it"],
    "status": [
        *("in_progress", "success", "voided", "failure", "timeout", "needs_attention", "late_failure"),
        "a_later_release_has_it",
    ],
    "gateway": ["stripe", "mollie", "not_applicable", None],
    "method": ["card", "direct_debit", "bank_transfer", "chargeback", "a_later_release_has_it"],
    "currency": ["EUR", "USD", "USD_without_rate"],
    "applied": ["whole", "part", "nothing"],
}


def rows(kinds: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Return rows in which every value meets every value of every other name at least once."""
    for row in AllPairs(list(kinds.values())):
        yield dict(zip(kinds, row, strict=True))


_ENTITIES = {
    "plan": ("plan_item_price", "plan-EUR"),
    "addon": ("addon_item_price", "addon-EUR"),
    "charge": ("charge_item_price", "charge-EUR"),
    "setup": ("plan_setup", "old-plan"),
    "adhoc": ("adhoc", None),
    "plan_of_old": ("plan", "old-plan"),
    "addon_of_old": ("addon", "old-addon"),
    "unmapped": ("plan_item_price", "unmapped-EUR"),
}
_TAXES = {
    # rates by line, country whose tax it is, reason
    "21": ([21], "NL", None),
    "9_and_21": ([21, 9], "NL", None),
    "inclusive": ([21], "NL", None),
    "reverse_charge": ([0], "DE", "reverse_charge"),
    "exempt": ([0], "NL", "product_exempt"),
    "one_stop_shop": ([19], "DE", None),
    "a_rate_without_code": ([23], "PT", None),
    "none": ([0], "NL", "tax_not_configured"),
}


def money(currency: str) -> dict[str, Any]:
    """Return the currency of a document, with Chargebee's rate when it gives one."""
    code = currency[:3]
    rate = {} if currency.endswith("without_rate") or code == "EUR" else {"exchange_rate": RATE}
    # What the VAT is to be shown at where the customer is; no entry is booked at it.
    local = {"local_currency_code": "PLN", "local_currency_exchange_rate": "4.2513"} if currency.endswith("local_rate") else {}
    return {"currency_code": code, "base_currency_code": None if currency.endswith("without_rate") else "EUR", **rate, **local}


def invoice(row: dict[str, Any], number: str) -> dict[str, Any]:
    """Return the invoice of a row, with totals that add up."""
    rates, country, reason = _TAXES[row["tax"]]
    inclusive = row["tax"] == "inclusive"
    entity_type, entity = _ENTITIES[row["product"]]
    start, end = _service(row["origin"])
    lines: list[dict[str, Any]] = []
    extra = {"proration": 1, "long": 300}.get(row["further"], 0)
    for index in range(len(rates) + extra + (row["origin"] == "consolidated")):
        rate = rates[index % len(rates)]
        value = 9_999 + 37 * index
        if row["further"] == "proration" and index == 1:
            value = -3_548
        lines.append(
            {
                "id": f"li_{index}",
                "amount": value,
                "entity_type": entity_type,
                "entity_id": entity,
                "description": f"{row['product']} {index}",
                "date_from": start,
                "date_to": end,
                "pricing_model": row["pricing"],
                "quantity": 3,
                "unit_amount_in_decimal": "33.333333" if row["pricing"] == "multi_decimal" else None,
                "tax_exempt_reason": reason,
                "subscription_id": f"sub_{index % 2}",
                "customer_id": "CHILD" if row["further"] == "payer" else "CUST1",
                "metered": row["origin"] == "arrears",
                "_rate": rate,
            }
        )
    discounts = _discounts(row["discount"], lines)
    document = _totals(lines, discounts, country, inclusive=inclusive)
    if row["further"] == "rounded" and row["currency"] != "JPY":
        off = -(document["total"] % 100)
        document |= {"round_off_amount": off, "total": document["total"] + off}
    resource = {
        "id": number,
        "customer_id": "CUST1",
        "status": "payment_due" if row["status"] == "deleted" else row["status"],
        "deleted": row["status"] == "deleted",
        "voided_at": NOON + 5 * DAY if row["status"] == "voided" else None,
        "date": NOON - 30 * DAY if row["origin"] in ("backdated", "imported") else NOON,
        "due_date": NOON + 14 * DAY,
        "recurring": row["origin"] == "recurring",
        "is_gifted": row["origin"] == "gift",
        "has_advance_charges": row["origin"] == "advance",
        "business_entity_id": row["entity"],
        "billing_address": {"country": "NL" if country == "NL" else country},
        "vat_number": "DE136695976" if row["tax"] == "reverse_charge" else None,
        "line_items_next_offset": "more" if row["further"] == "cut_off" else None,
        "payment_owner": "PAYER" if row["further"] == "payer" else None,
        "einvoice": {"status": "success"} if row["further"] == "einvoice" else None,
        "write_off_amount": document["total"] if row["further"] == "written_off" else 0,
        "linked_taxes_withheld": [{"id": "tax_wh_1", "amount": 100, "date": NOON}] if row["further"] == "withheld" else [],
        **money(row["currency"]),
        **document,
    }
    return given(resource)


def given(resource: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not set, as Chargebee does."""
    return {name: value for name, value in resource.items() if value is not None}


def _service(origin: str) -> tuple[int, int]:
    if origin == "one_off":
        return NOON, NOON
    if origin == "arrears":
        return NOON - 31 * DAY, NOON
    return NOON, NOON + {"advance": 1_095, "gift": 365, "first_part": 12}.get(origin, 31) * DAY


def _discounts(kind: str, lines: list[dict[str, Any]]) -> dict[str, tuple[int, str]]:
    kinds = {"line": "item_level_coupon", "document": "document_level_coupon", "promotional": "promotional_credits"}
    if kind == "none":
        return {}
    if kind == "whole":
        return {line["id"]: (line["amount"], "item_level_coupon") for line in lines if line["amount"] > 0}
    return {line["id"]: (line["amount"] // 7, kinds[kind]) for line in lines if line["amount"] > 0}


def _totals(
    lines: list[dict[str, Any]], discounts: dict[str, tuple[int, str]], country: str, *, inclusive: bool
) -> dict[str, Any]:
    """Compute each line's tax in whole cents, and the totals."""
    taxes, tax, total = [], 0, 0
    for line in lines:
        rate = line.pop("_rate")
        value = line["amount"] - discounts.get(line["id"], (0, ""))[0]
        # Half-up in integers, away from zero as Chargebee rounds credits like sales.
        base, divisor = abs(value) * rate, 100 + rate if inclusive else 100
        own = (2 * base + divisor) // (2 * divisor) * (1 if value >= 0 else -1)
        line |= {"is_taxed": bool(rate), "tax_amount": own}
        tax, total = tax + own, total + value + (0 if inclusive else own)
        if rate:
            row = {"line_item_id": line["id"], "tax_rate": rate, "tax_amount": own, "taxable_amount": value - own * inclusive}
            taxes.append({**row, "tax_juris_type": "country", "tax_juris_code": country})
    given = [
        {"line_item_id": line, "discount_amount": amount, "discount_type": kind, "coupon_id": "TEN"}
        for line, (amount, kind) in discounts.items()
    ]
    return {
        "price_type": "tax_inclusive" if inclusive else "tax_exclusive",
        "line_items": lines,
        "line_item_taxes": taxes,
        "line_item_discounts": given,
        "tax": tax,
        "total": total,
        "round_off_amount": 0,
    }


def credit_note(row: dict[str, Any], number: str, invoice_number: str) -> dict[str, Any]:
    """Return the credit note of a row; its invoice must be shown, but for those that stand alone or whose invoice is unknown."""
    rates, country, reason = _TAXES[row["tax"]]
    line = {
        "id": f"cn_{next(_numbers)}",
        "amount": 10_000 if row["refers"] == "whole" else 4_321,
        "entity_type": "plan_item_price",
        "entity_id": "plan-EUR",
        "description": "plan",
        "date_from": NOON,
        "date_to": NOON,
        "tax_exempt_reason": reason,
        "reference_line_item_id": "li_0" if row["refers"] in ("whole", "part") else None,
        "_rate": rates[0],
    }
    document = _totals([line], {}, country, inclusive=row["tax"] == "inclusive")
    if row["fractional"]:
        document["total"] += 1  # what Chargebee rounded away when it cut the note out of its invoice
    allocated = {"not": 0, "partly": 100, "whole": document["total"]}[row["allocated"]]
    resource = {
        "id": number,
        "customer_id": "CUST1",
        "type": row["type"],
        "status": row["status"],
        "voided_at": NOON + 5 * DAY if row["status"] == "voided" else None,
        "date": NOON + DAY,
        "reference_invoice_id": None if row["refers"] == "alone" else invoice_number,
        "create_reason_code": row["reason"],
        "fractional_correction": 1 if row["fractional"] else None,
        "allocations": [{"invoice_id": "INV-other", "allocated_amount": allocated}] if allocated else [],
        **money(row["currency"]),
        **document,
    }
    return given(resource)


def transaction(row: dict[str, Any], number: str) -> dict[str, Any]:
    """Return the transaction of a row."""
    applied = {"whole": 12_100, "part": 5_000, "nothing": 0}[row["applied"]]
    links: dict[str, Any] = {}
    if applied:
        links = {"linked_invoices": [{"invoice_id": "INV-paid", "applied_amount": applied}]}
        if row["type"] == "refund":
            links = {"linked_credit_notes": [{"cn_id": "CN-refunded", "applied_amount": applied}]}
    resource = {
        "id": number,
        "customer_id": "CUST1",
        "type": row["type"],
        "status": row["status"],
        "date": NOON + DAY,
        "amount": 12_100,
        "amount_unused": 12_100 - applied,
        "gateway": row["gateway"],
        "gateway_account_id": "gw_1" if row["gateway"] in ("stripe", "mollie") else None,
        "payment_method": row["method"],
        **money(row["currency"]),
        **links,
    }
    return given(resource)
