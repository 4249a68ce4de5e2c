"""Short ways to say what Chargebee shows, for tests of everything behind the door."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import msgspec

from contracts import facts
from contracts.envelope import Envelope, Message, seal

SITE = "acme-test"
OCTOBER_5 = 1_791_194_400  # 2026-10-05 12:00 in Amsterdam
_numbers = itertools.count(1)


def observed(fact: type[facts.Observed], resource: dict[str, Any], version: int = 1, **more: Any) -> facts.Observed:
    """Say that Chargebee showed a resource."""
    data = {
        "site": SITE,
        "event_id": f"ev_{next(_numbers)}",
        "event_type": "test",
        "occurred_at": OCTOBER_5,
        "resource_version": version,
        "resource": resource,
        **more,
    }
    return msgspec.convert(data, fact)


def customer(identity: str = "CUST1", **more: Any) -> facts.Observed:
    """A Dutch company."""
    version = more.pop("version", 1)
    resource = {
        "id": identity,
        "company": "Voorbeeld B.V.",
        "email": "boekhouding@voorbeeld.example",
        "vat_number": "NL123456782B01",
        "billing_address": {"line1": "Kerkstraat 1", "city": "Utrecht", "zip": "3511 AB", "country": "NL"},
        **more,
    }
    return observed(facts.CustomerObserved, resource, version)


def line(
    amount: int, tax: int, rate: int = 21, *, entity: str = "Team-EUR", kind: str = "plan_item_price", **more: Any
) -> dict[str, Any]:
    """A taxed line."""
    number = f"li_{next(_numbers)}"
    return {
        "id": number,
        "amount": amount,
        "tax_amount": tax,
        "tax_rate": rate,
        "is_taxed": bool(rate),
        "entity_type": kind,
        "entity_id": entity,
        "description": entity,
        "date_from": OCTOBER_5,
        "date_to": OCTOBER_5,
        **more,
    }


def invoice(number: str = "INV-1", *, lines: list[dict[str, Any]] | None = None, version: int = 1, **more: Any) -> facts.Observed:
    """An invoice of 100.00 and 21.00 VAT, or of these lines."""
    items = lines if lines is not None else [line(10_000, 2_100)]
    tax = sum(item["tax_amount"] for item in items)
    net = sum(item["amount"] - item.get("discount_amount", 0) for item in items)
    resource = {
        "id": number,
        "customer_id": "CUST1",
        "status": "payment_due",
        "date": OCTOBER_5,
        "due_date": OCTOBER_5,
        "currency_code": "EUR",
        "base_currency_code": "EUR",
        "price_type": "tax_exclusive",
        "total": net + tax,
        "tax": tax,
        "amount_due": net + tax,
        "line_items": items,
        "line_item_taxes": [
            {
                "line_item_id": item["id"],
                "tax_rate": item["tax_rate"],
                "taxable_amount": item["amount"],
                "tax_amount": item["tax_amount"],
                "tax_juris_type": "country",
                "tax_juris_code": "NL",
            }
            for item in items
            if item["is_taxed"]
        ],
        "billing_address": {"country": "NL"},
        **more,
    }
    return observed(facts.InvoiceObserved, resource, version)


def envelope(message: Message, key: str = f"{SITE}/CUST1") -> Envelope:
    """Put a message in an envelope of its own."""
    now = datetime(2026, 10, 5, 10, tzinfo=UTC)
    return seal(message, source="test", subject="test", key=key, time=now, distinguisher=f"{next(_numbers)}")
