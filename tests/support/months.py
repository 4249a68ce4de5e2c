"""Business months made up from a seed: Chargebee's own resources with cents that add up, and what they must come to in the books.

The sums are computed here, from the numbers that were made up, and share nothing with the connector.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from support.facts import observed

from contracts import facts

DIVISION = 100001
# price: (ledger account, rate of VAT in percent, whether its revenue is spread over the service period)
PRODUCTS = {
    "seat-EUR": ("8000", 21, False),
    "year-EUR": ("8001", 21, True),
    "book-EUR": ("8010", 9, False),
    "course-EUR": ("8015", 0, False),
    "support-EUR": ("8020", 21, True),
}
VAT_CODES = {21: "2", 9: "1", 0: "00"}
ROUNDING = "4900"
EPOCH = date(2026, 3, 1)
Key = tuple[str, str, str]
"""Currency, ledger account and VAT code; the VAT itself stands on the account `VAT`, by its code."""

DIVISION_SECTION: dict[str, Any] = {
    "name": "Test",
    "journals": {"invoices": "70", "credit_notes": "71", "payments": "90"},
    "receivable_account": "1300",
    "rounding": {"account": ROUNDING, "vat_code": "N"},
    "exchange_differences": {"account": "4910"},
    "revenue": [
        {"when": {"item_price": price}, "account": account, "defer": defer} for price, (account, _, defer) in PRODUCTS.items()
    ],
    "vat": [
        {"when": {"country": "NL", "rate": 21}, "code": "2"},
        {"when": {"country": "NL", "rate": 9}, "code": "1"},
        {"when": {"country": "NL", "rate": 0, "reason": "product_exempt"}, "code": "00"},
    ],
    "control_accounts": [{"account": "1290"}],
}


@dataclass
class Month:
    """One customer's month on a site of its own.

    `booked` is what every account must get, debit positive, in the documents' currencies; `credited` names the invoices that are
    credited whole, by their credit notes. `taxes` is each document's own VAT.
    """

    site: str
    facts: list[facts.Observed] = field(default_factory=list)
    booked: Counter[Key] = field(default_factory=Counter)
    credited: dict[str, str] = field(default_factory=dict)
    taxes: dict[str, int] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)


def make_month(seed: int, documents: int = 3) -> Month:
    """Make up a month: the same seed gives the same month."""
    luck, month = random.Random(seed), Month(site=f"month{seed}")
    address = {"country": "NL"}
    customer = {"id": "C", "company": f"Klant {seed}", "billing_address": address}
    month.facts.append(observed(facts.CustomerObserved, customer, site=month.site))
    for number in range(luck.randint(1, documents)):
        invoice = make_invoice(luck, f"INV-{number}")
        _book(month, invoice, sign=1)
        if luck.random() < 0.4 and invoice["total"] > 0:
            _credit(luck, month, invoice)
        month.facts.append(observed(facts.InvoiceObserved, invoice, site=month.site))
        if luck.random() < 0.4 and invoice["total"] > 0:
            _pay(luck, month, invoice)
    return month


def _instant(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, 11, tzinfo=UTC).timestamp())


def make_invoice(luck: random.Random, number: str) -> dict[str, Any]:
    """Make up an invoice whose cents add up."""
    inclusive = luck.random() < 0.3
    lines = [_line(luck, index) for index in range(40 if luck.random() < 0.02 else luck.randint(1, 5))]
    prices = [luck.choice(list(PRODUCTS)) for _ in lines]
    by_document = not inclusive and luck.random() < 0.4
    invoice: dict[str, Any] = {
        "id": number,
        "customer_id": "C",
        "status": luck.choice(["posted", "payment_due", "not_paid", "paid"]),
        "date": _instant(EPOCH + timedelta(days=luck.randint(0, 27))),
        "currency_code": luck.choice(["EUR", "EUR", "EUR", "USD", "JPY"]),
        "base_currency_code": "EUR",
        "exchange_rate": "0.9217",
        "price_type": "tax_inclusive" if inclusive else "tax_exclusive",
        "billing_address": {"country": "NL"},
        "line_items": [],
        "line_item_taxes": [],
        "line_item_discounts": [],
        "round_off_amount": 0,
    }
    for line, price in zip(lines, prices, strict=True):
        _add_line(luck, invoice, line, price, inclusive=inclusive)
    _add_up(luck, invoice, inclusive=inclusive, by_document=by_document)
    return invoice


def _line(luck: random.Random, index: int) -> dict[str, Any]:
    first = EPOCH + timedelta(days=luck.randint(-40, 40))
    return {
        "id": f"li_{index}",
        "amount": luck.choice([luck.randint(1, 300), luck.randint(300, 90_000), luck.randint(300, 90_000)]),
        "date_from": _instant(first),
        "date_to": _instant(first + timedelta(days=luck.choice([0, 30, 31, 90, 365]))),
    }


def _add_line(luck: random.Random, invoice: dict[str, Any], line: dict[str, Any], price: str, *, inclusive: bool) -> None:
    rate = PRODUCTS[price][1]
    if invoice["line_items"] and luck.random() < 0.1:
        line["amount"] = -luck.randint(1, max(1, invoice["line_items"][0]["amount"]))  # time that was not used
    discount = luck.randint(0, line["amount"]) if line["amount"] > 0 and luck.random() < 0.3 else 0
    if discount:
        kind = luck.choice(["item_level_coupon", "document_level_coupon", "promotional_credits"])
        invoice["line_item_discounts"].append({"line_item_id": line["id"], "discount_amount": discount, "discount_type": kind})
    value = line["amount"] - discount
    tax = _half_up(Decimal(value) * rate / (100 + rate if inclusive else 100))
    line |= {
        "entity_type": "plan_item_price",
        "entity_id": price,
        "description": price,
        "is_taxed": bool(rate),
        "tax_amount": tax,
    }
    if not rate:
        line["tax_exempt_reason"] = "product_exempt"
    else:
        row = {"line_item_id": line["id"], "tax_rate": rate, "tax_amount": tax, "taxable_amount": value - tax * inclusive}
        invoice["line_item_taxes"].append({**row, "tax_juris_type": "country", "tax_juris_code": "NL"})
    invoice["line_items"].append(line)


def _add_up(luck: random.Random, invoice: dict[str, Any], *, inclusive: bool, by_document: bool) -> None:
    """Compute the totals; VAT that is rounded on the document may differ from the sum of its lines by a few cents."""
    values = _values(invoice)
    tax = sum(line["tax_amount"] for line in invoice["line_items"])
    if by_document:
        bases: Counter[int] = Counter()
        for line in invoice["line_items"]:
            bases[PRODUCTS[line["entity_id"]][1]] += values[line["id"]]
        tax = sum(_half_up(Decimal(base) * rate / 100) for rate, base in bases.items())
    total = sum(values.values()) + (0 if inclusive else tax)
    if luck.random() < 0.15 and invoice["currency_code"] != "JPY":
        invoice["round_off_amount"] = _half_up(Decimal(total) / 100) * 100 - total
    invoice |= {"tax": tax, "total": total + invoice["round_off_amount"]}


def _values(document: dict[str, Any]) -> dict[str, int]:
    values = {line["id"]: line["amount"] for line in document["line_items"]}
    for row in document["line_item_discounts"]:
        values[row["line_item_id"]] -= row["discount_amount"]
    return values


def _vat_of_rates(document: dict[str, Any]) -> Counter[int]:
    """What each rate's VAT is: that of its lines, or where it is rounded on the document, that of their sum."""
    of_lines, bases, values = Counter[int](), Counter[int](), _values(document)
    for line in document["line_items"]:
        rate = PRODUCTS[line["entity_id"]][1]
        of_lines[rate] += line["tax_amount"]
        bases[rate] += values[line["id"]]
    if of_lines.total() == document["tax"]:
        return of_lines
    return Counter({rate: _half_up(Decimal(base) * rate / 100) for rate, base in bases.items()})


def _half_up(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def _credit(luck: random.Random, month: Month, invoice: dict[str, Any]) -> None:
    """Credit an invoice whole."""
    names = {line["id"]: f"cn_{line['id']}" for line in invoice["line_items"]}
    note = {
        **invoice,
        "id": invoice["id"].replace("INV", "CN"),
        "status": luck.choice(["adjusted", "refund_due", "refunded"]),
        "type": luck.choice(["adjustment", "refundable"]),
        "create_reason_code": luck.choice(["Subscription Change", "Other", None]),
        "reference_invoice_id": invoice["id"],
        "date": invoice["date"] + luck.randint(0, 200) * 86_400,
        "line_items": [{**line, "id": names[line["id"]], "reference_line_item_id": line["id"]} for line in invoice["line_items"]],
        "line_item_taxes": [{**row, "line_item_id": names[row["line_item_id"]]} for row in invoice["line_item_taxes"]],
        "line_item_discounts": [{**row, "line_item_id": names[row["line_item_id"]]} for row in invoice["line_item_discounts"]],
    }
    _book(month, note, sign=-1)
    month.credited[invoice["id"]] = note["id"]
    listed = {"cn_id": note["id"], "cn_date": note["date"], "cn_total": note["total"], "cn_status": note["status"]}
    invoice["adjustment_credit_notes" if note["type"] == "adjustment" else "issued_credit_notes"] = [listed]
    month.facts.append(observed(facts.CreditNoteObserved, note, site=month.site))


def _pay(luck: random.Random, month: Month, invoice: dict[str, Any]) -> None:
    """Pay an invoice by card, whole or in two parts."""
    first = luck.choice([invoice["total"], luck.randint(1, invoice["total"])])
    for part, amount in enumerate(each for each in (first, invoice["total"] - first) if each):
        payment = {
            "id": f"{invoice['id']}-paid-{part}",
            "customer_id": "C",
            "type": "payment",
            "status": "success",
            "date": invoice["date"] + 86_400,
            "amount": amount,
            "gateway": "stripe",
            "gateway_account_id": "gw_1",
            "linked_invoices": [{"invoice_id": invoice["id"], "applied_amount": amount}],
            **{name: invoice[name] for name in ("currency_code", "base_currency_code", "exchange_rate")},
        }
        month.facts.append(observed(facts.TransactionObserved, payment, site=month.site))
        month.totals[payment["id"]] = amount
        month.booked[invoice["currency_code"], "1290", ""] += amount
        month.booked[invoice["currency_code"], "1300", ""] -= amount


def _book(month: Month, document: dict[str, Any], *, sign: int) -> None:
    """Note what a sale, or with sign -1 its credit, must come to; a document of zeros only is not booked."""
    currency, tax = document["currency_code"], document["tax"]
    values = _values(document)
    inclusive = document["price_type"] == "tax_inclusive"
    month.taxes[document["id"]] = tax
    month.totals[document["id"]] = document["total"]
    month.booked[currency, "1300", ""] += sign * document["total"]
    for rate, amount in _vat_of_rates(document).items():
        month.booked[currency, "VAT", VAT_CODES[rate]] -= sign * amount
    month.booked[currency, ROUNDING, "N"] -= sign * document["round_off_amount"]
    for line in document["line_items"]:
        account, rate, _ = PRODUCTS[line["entity_id"]]
        net = values[line["id"]] - (line["tax_amount"] if inclusive else 0)
        month.booked[currency, account, VAT_CODES[rate]] -= sign * net
