"""The documents of tests/golden as Chargebee's own resources, with the customer, products and invoices that they hang on."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from support.facts import observed
from support.golden import MONEY, chart, minor

from bookkeeping.money import half_up
from contracts import facts
from contracts.coupon_codes import CouponCodeObserved

ZONE = ZoneInfo("Europe/Amsterdam")
CUSTOMER = "CUST1"
BEFORE = timedelta(days=3)


def instant(day: date) -> int:
    """Return the beginning of a day where the site is."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp())


def surroundings(site: str, data: dict[str, Any]) -> list[facts.Observed]:
    """Return the customer, the products, and the invoice that the document credits."""
    debtor = data.get("debtor", {})
    customer: dict[str, Any] = {
        "id": CUSTOMER,
        "last_name" if debtor.get("kind") == "consumer" else "company": data.get("customer", "Voorbeeld B.V."),
        "preferred_currency_code": debtor.get("currency", "EUR"),
        "billing_address": {"country": data["country"]} if "country" in data else {},
    }
    if "vat_number" in data:
        customer["vat_number"] = data["vat_number"]
    known: list[facts.Observed] = [observed(facts.CustomerObserved, customer, site=site)]
    named = {line.get("product") for line in data.get("lines", ())}
    if data["kind"] in ("tax_withheld", "application"):
        named = {"team-EUR"}
    for product in [each for price, each in chart().products.items() if price in named]:
        item = {"id": product.item_id, "item_family_id": product.family_id}
        price = {"id": product.price_id, "item_id": product.item_id, "item_family_id": product.family_id}
        known += [observed(facts.ItemObserved, item, site=site), observed(facts.ItemPriceObserved, price, site=site)]
    for identity, fields in data.get("subscriptions", {}).items():
        subscription = {"id": identity, "customer_id": CUSTOMER, "custom_field_texts": fields}
        known.append(observed(facts.SubscriptionObserved, subscription, site=site))
    known += [
        observed(CouponCodeObserved, {"id": each["code"], "coupon_id": each["coupon"], "coupon_set_id": each["set"]}, site=site)
        for line in data.get("lines", ())
        for each in line.get("discounts", ())
        if "set" in each
    ]
    known += [_settled(site, data, number, rate) for number, rate in data.get("booked_at", {}).items()]
    for number, charge in data.get("charges", {}).items():
        paid = {**charge, "kind": "payment", "number": number, "gateway": data["gateway"]}
        known.append(observed(facts.TransactionObserved, _transaction(paid), site=site))
    if data.get("beside"):
        known += _credited_by_several(site, data)
    elif data.get("credits"):
        known.append(observed(facts.InvoiceObserved, _credited_invoice(data), site=site))
    return known


def document(site: str, data: dict[str, Any], *, voided_on: date | None = None) -> facts.Observed:
    """Return the document itself, or its later version that was voided on a day."""
    version = 1 if voided_on is None else 2
    if data["kind"] == "application":
        whole = f"{sum(minor(amount) for amount in data['settles'].values()) / 100:.2f}"
        paid = {**data, "kind": "payment", "number": data["number"].split("/")[0], "amount": whole}
        return observed(facts.TransactionObserved, _transaction(paid), version, site=site)
    if data["kind"] in MONEY:
        return observed(facts.TransactionObserved, _transaction(data), version, site=site)
    if data["kind"] == "payout":
        return observed(facts.PayoutImported, _payout(data), version, site=site)
    if data["kind"] == "tax_withheld":
        return observed(facts.InvoiceObserved, _with_tax_withheld(data), version, site=site)
    resource = _sales(data)
    if voided_on is not None:
        resource |= {"status": "voided", "voided_at": instant(voided_on)}
    if data["kind"] == "invoice":
        return observed(facts.InvoiceObserved, resource, version, site=site)
    resource |= {
        "type": data.get("type", "adjustment"),
        "reference_invoice_id": data.get("credits"),
        "create_reason_code": data.get("because"),
    }
    return observed(facts.CreditNoteObserved, resource, version, site=site)


def _sales(data: dict[str, Any]) -> dict[str, Any]:
    resource = _head(data, data["number"], data["date"])
    lines = [_line(line, number, data["date"]) for number, line in enumerate(data["lines"])]
    return resource | {
        "status": "payment_due" if data["kind"] == "invoice" else "adjusted",
        "total": minor(data["total"]),
        "tax": minor(data["tax"]),
        "round_off_amount": minor(data.get("round_off", "0")),
        "line_items": lines,
        "line_item_taxes": _taxes(data["lines"]),
        "line_item_discounts": _discounts(data["lines"]),
        "discounts": _discounts_of_document(data["lines"]),
        **data.get("custom_fields", {}),
    }


def _head(data: dict[str, Any], number: str, day: date) -> dict[str, Any]:
    head: dict[str, Any] = {
        "id": number,
        "customer_id": CUSTOMER,
        "date": instant(day),
        "due_date": instant(data.get("due", day)),
        "currency_code": data.get("currency", "EUR"),
        "base_currency_code": "EUR",
        "price_type": "tax_inclusive" if data.get("inclusive") else "tax_exclusive",
        "po_number": data.get("po_number"),
        "net_term_days": data.get("terms", {}).get("net_term_days", 0),
    }
    if data["kind"] == "invoice" and "country" in data:
        head["billing_address"] = {"country": data["country"]}
    if "entity" in data:
        head["business_entity_id"] = data["entity"]
    if "rate" in data:
        head["exchange_rate"] = data["rate"]
    if "tax_origin" in data:
        head["tax_origin"] = {"country": data["tax_origin"]}
    if data["kind"] == "invoice" and "vat_number" in data:
        head["vat_number"] = data["vat_number"]
    return head


def _line(line: dict[str, Any], number: int, day: date) -> dict[str, Any]:
    first, last = line.get("from"), line.get("to")
    amount = minor(line["amount"])
    return {
        "id": f"li_{number}",
        "amount": amount,
        "description": line.get("product", "Charge"),
        "entity_type": line.get("type", "plan_item_price"),
        "entity_id": line.get("product"),
        "subscription_id": line.get("subscription"),
        "tax_exempt_reason": line.get("reason"),
        "is_taxed": bool(line.get("taxes")),
        "tax_amount": sum(minor(tax["tax"]) for tax in line.get("taxes", ())),
        "date_from": instant(first or day),
        # The end of a term is the instant at which the next one starts.
        "date_to": instant(last + timedelta(days=1)) if last else instant(day),
        "reference_line_item_id": f"credited_{number}" if "credited" in line else None,
    }


def _taxes(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(lines):
        for tax in line.get("taxes", ()):
            row = {
                "line_item_id": f"li_{number}",
                "tax_rate": tax["rate"],
                "tax_amount": minor(tax["tax"]),
                "taxable_amount": minor(tax["base"]),
            }
            if "country" in tax:
                row |= {"tax_juris_type": "country", "tax_juris_code": tax["country"]}
            rows.append(row)
    return rows


def _discounts(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(lines):
        given = line.get("discounts", [{"amount": line["discount"]}] if "discount" in line else [])
        for discount in given:
            kind = discount.get("type", "item_level_discount")
            row = {"line_item_id": f"li_{number}", "discount_amount": minor(discount["amount"]), "discount_type": kind}
            if "coupon" in discount:
                row |= {"coupon_id": discount["coupon"], "entity_id": discount["coupon"]}
            rows.append(row)
    return rows


def _discounts_of_document(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the document's own list of discounts, the only place that has the codes which coupons were given by."""
    given = [each for line in lines for each in line.get("discounts", ()) if "coupon" in each]
    listed = {(each["type"], each["coupon"], each.get("code")): each for each in given}
    return [
        {"entity_type": kind, "entity_id": coupon, **({"coupon_set_code": code} if code else {})} for kind, coupon, code in listed
    ]


def _credited_by_several(site: str, data: dict[str, Any]) -> list[facts.Observed]:
    """Return the invoice that several notes credit, which it lists, and the notes before the case's own."""
    sale, *others = data["beside"]
    listed = [
        {"cn_id": each["number"], "cn_date": instant(each["date"]), "cn_total": minor(each["total"]), "cn_status": "adjusted"}
        for each in (*others, data)
    ]
    shown = observed(facts.InvoiceObserved, _sales(sale) | {"adjustment_credit_notes": listed}, site=site)
    return [shown, *(document(site, each) for each in others)]


def _credited_invoice(data: dict[str, Any]) -> dict[str, Any]:
    """Return the invoice that a credit note takes back: what the case says of its lines, else the note's own lines."""
    invoice = {**data, "kind": "invoice", "number": data["credits"]}
    credited = {number: line["credited"] for number, line in enumerate(data["lines"]) if "credited" in line}
    day = min((each["from"] for each in credited.values()), default=data["date"] - BEFORE)
    listed = {
        "cn_id": data["number"],
        "cn_date": instant(data["date"]),
        "cn_total": minor(data["total"]),
        "cn_status": "adjusted",
    }
    resource = _head(invoice, data["credits"], day) | {"adjustment_credit_notes": [listed]}
    lines = [_line(line, number, day) for number, line in enumerate(data["lines"])]
    taxes = _taxes(data["lines"])
    for number, whole in credited.items():
        net = minor(whole["net"])
        own = [row for row in taxes if row["line_item_id"] == f"li_{number}"]
        for row in own:
            tax = half_up(Fraction(net) * Fraction(str(row["tax_rate"])) / 100)
            row |= {"line_item_id": f"credited_{number}", "taxable_amount": net, "tax_amount": tax}
        lines[number] |= {
            "id": f"credited_{number}",
            "amount": net,
            "date_from": instant(whole["from"]),
            "date_to": instant(whole["to"] + timedelta(days=1)),
            "tax_amount": sum(row["tax_amount"] for row in own),
        }
    if not credited:
        return _sales(invoice) | {"date": instant(day), "adjustment_credit_notes": [listed]}
    tax = sum(line["tax_amount"] for line in lines)
    return resource | {
        "status": "payment_due",
        "price_type": "tax_exclusive",
        "total": sum(line["amount"] for line in lines) + tax,
        "tax": tax,
        "line_items": [line | {"reference_line_item_id": None} for line in lines],
        "line_item_taxes": taxes,
    }


def _with_tax_withheld(data: dict[str, Any]) -> dict[str, Any]:
    """Return the invoice that the customer held tax back from."""
    line = {"product": "team-EUR", "amount": "100.00", "reason": "tax_not_configured"}
    invoice = {
        **data,
        "kind": "invoice",
        "number": data["of"],
        "country": "NL",
        "tax": "0.00",
        "total": "100.00",
        "lines": [line],
    }
    withheld = {"id": data["number"], "amount": minor(data["amount"]), "date": instant(data["date"]), "type": "payment"}
    return _sales(invoice) | {"linked_taxes_withheld": [withheld]}


def _settled(site: str, data: dict[str, Any], number: str, rate: str) -> facts.Observed:
    """Return the invoice or credit note in another currency that money settled."""
    kind = "credit_note" if "refund" in (data["kind"], data.get("of")) else "invoice"
    amount = data["settles"][number]
    line = {"product": "team-EUR", "amount": amount, "reason": "export"}
    shown = {"kind": kind, "number": number, "country": "US", "tax": "0.00", "total": amount, "lines": [line]}
    resource = _sales({**shown, "date": data["date"] - BEFORE, "currency": data["currency"], "rate": rate})
    if kind == "invoice":
        return observed(facts.InvoiceObserved, resource, site=site)
    return observed(facts.CreditNoteObserved, resource | {"type": "refundable", "status": "refunded"}, site=site)


def _payout(data: dict[str, Any]) -> dict[str, Any]:
    """Return what a gateway's settlement file says of a payout."""
    fees = {name: minor(data.get(name, "0.00")) for name in ("fees", "fees_tax", "chargeback_fees")}
    named = {"id": data["number"], "currency_code": "EUR", "date": instant(data["date"]), "gateway_account_id": data["gateway"]}
    charges = data.get("charges", {}).items()
    lines = [{"kind": "charge", "ids": [number], "amount": minor(charge["amount"])} for number, charge in charges]
    return {**named, **fees, "amount": minor(data["paid"]), "lines": lines}


def _transaction(data: dict[str, Any]) -> dict[str, Any]:
    is_payment = "refund" not in (data["kind"], data.get("of"))
    resource = {
        "id": data["number"],
        "customer_id": CUSTOMER,
        "type": "payment" if is_payment else "refund",
        "status": "success",
        "date": instant(data["date"]),
        "amount": minor(data["amount"]),
        "currency_code": data.get("currency", "EUR"),
        "base_currency_code": "EUR",
        "gateway": "stripe",
        "gateway_account_id": data["gateway"],
        "id_at_gateway": data["number"],
    }
    if "rate" in data:
        resource["exchange_rate"] = data["rate"]
    settled = [{"applied_amount": minor(amount), "number": number} for number, amount in data.get("settles", {}).items()]
    if is_payment:
        links = [{"invoice_id": each["number"], "applied_amount": each["applied_amount"]} for each in settled]
        return resource | {"linked_invoices": links}
    return resource | {
        "linked_credit_notes": [{"cn_id": each["number"], "applied_amount": each["applied_amount"]} for each in settled]
    }
