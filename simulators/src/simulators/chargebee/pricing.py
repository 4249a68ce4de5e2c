"""Amounts of a document: lines, coupons, VAT and rounding, all in integers of minor units."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

PriceType = Literal["tax_exclusive", "tax_inclusive"]


@dataclass(frozen=True)
class Tax:
    """One tax of a jurisdiction; `rate` is a percentage as exact decimal text, like "21" or "8.875"."""

    name: str
    rate: str
    juris_code: str
    juris_name: str
    juris_type: str = "country"


@dataclass(frozen=True)
class Coupon:
    """A reduction; a percentage of what it applies to, or an amount in minor units on the whole document.

    `code` is the code of a coupon set that it is given by, if any.
    """

    id: str
    name: str
    percentage: int | None = None
    amount_minor: int | None = None
    apply_on: Literal["invoice_amount", "each_specified_item"] = "invoice_amount"
    item_price_ids: tuple[str, ...] = ()
    code: str | None = None


@dataclass(frozen=True)
class LineSpec:
    """What is sold on one line, before any amount is computed; `unit_amount_minor` may be negative (prorations)."""

    entity_type: str
    description: str
    unit_amount_minor: int
    entity_id: str | None = None
    quantity: int = 1
    date_from: int | None = None
    date_to: int | None = None
    tax: Tax | None = None
    tax_exempt_reason: str | None = None
    pricing_model: str = "per_unit"
    reference_line_item_id: str | None = None
    proration_mode: str | None = None


@dataclass(frozen=True)
class Priced:
    """The computed members of a document; `members` is merged into the resource as it is."""

    members: dict[str, Any]
    tax_minor: int
    total_minor: int


def divide_half_up(numerator: int, denominator: int) -> int:
    """Numerator / denominator rounded half away from zero, as Chargebee rounds amounts."""
    return int((Decimal(numerator) / Decimal(denominator)).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def tax_of(net_or_gross_minor: int, rate: str, price_type: PriceType) -> int:
    """Tax in minor units on an exclusive amount, or the tax contained in an inclusive one (the residual)."""
    percent = Decimal(rate)
    if price_type == "tax_exclusive":
        exact = Decimal(net_or_gross_minor) * percent / 100
        return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    net = (Decimal(net_or_gross_minor) * 100 / (100 + percent)).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return net_or_gross_minor - int(net)


def spread(amount_minor: int, weights: Sequence[int]) -> list[int]:
    """Divide an amount over weights without losing a cent: largest remainder, ties to the earlier part."""
    total = sum(weights)
    if total == 0:
        return [0 for _ in weights]
    parts = [amount_minor * weight // total for weight in weights]
    remainders = [(amount_minor * weight) % total for weight in weights]
    order = sorted(range(len(weights)), key=lambda index: (-remainders[index], index))
    for index in order[: amount_minor - sum(parts)]:
        parts[index] += 1
    return parts


def _discounts(lines: Sequence[LineSpec], amounts: list[int], coupons: Sequence[Coupon]) -> list[list[dict[str, Any]]]:
    """Per line its discounts: item-level coupons first, then document-level ones on what is left."""
    per_line: list[list[dict[str, Any]]] = [[] for _ in lines]
    left = [max(amount, 0) for amount in amounts]
    for coupon in sorted(coupons, key=lambda each: each.apply_on != "each_specified_item"):
        if coupon.apply_on == "each_specified_item":
            kind = "item_level_coupon"
            shares = [
                divide_half_up(left[index] * (coupon.percentage or 0), 100) if line.entity_id in coupon.item_price_ids else 0
                for index, line in enumerate(lines)
            ]
        else:
            kind = "document_level_coupon"
            whole = sum(left)
            wanted = coupon.amount_minor or divide_half_up(whole * (coupon.percentage or 0), 100)
            shares = spread(min(wanted, whole), left)
        for index, share in enumerate(shares):
            if share:
                left[index] -= share
                per_line[index].append(
                    {
                        "discount_type": kind,
                        "coupon_id": coupon.id,
                        "entity_id": coupon.id,
                        "discount_amount": share,
                        "coupon_set_code": coupon.code,
                    }
                )
    return per_line


def _line_item(line: LineSpec, line_id: str, discounts: list[dict[str, Any]], tax_minor: int) -> dict[str, Any]:
    item_level = sum(each["discount_amount"] for each in discounts if each["discount_type"] == "item_level_coupon")
    item: dict[str, Any] = {
        "id": line_id,
        "date_from": line.date_from,
        "date_to": line.date_to,
        "unit_amount": line.unit_amount_minor,
        "quantity": line.quantity,
        "amount": line.unit_amount_minor * line.quantity,
        "pricing_model": line.pricing_model,
        "is_taxed": line.tax is not None,
        "tax_amount": tax_minor,
        "object": "line_item",
        "description": line.description,
        "entity_type": line.entity_type,
        "discount_amount": sum(each["discount_amount"] for each in discounts),
        "item_level_discount_amount": item_level,
    }
    if line.tax is not None:
        item["tax_rate"] = float(line.tax.rate)
    elif line.tax_exempt_reason is not None:
        item["tax_exempt_reason"] = line.tax_exempt_reason
    optional = {
        "entity_id": line.entity_id,
        "reference_line_item_id": line.reference_line_item_id,
        "proration_mode": line.proration_mode,
    }
    item.update({key: value for key, value in optional.items() if value is not None})
    return item


def _line_item_tax(line_id: str, tax: Tax, taxable_minor: int, tax_minor: int) -> dict[str, Any]:
    return {
        "tax_name": tax.name,
        "tax_rate": float(tax.rate),
        "tax_juris_type": tax.juris_type,
        "tax_juris_name": tax.juris_name,
        "tax_juris_code": tax.juris_code,
        "object": "line_item_tax",
        "line_item_id": line_id,
        "tax_amount": tax_minor,
        "is_partial_tax_applied": False,
        "is_non_compliance_tax": False,
        "taxable_amount": taxable_minor,
    }


def _document_discounts(per_line: list[list[dict[str, Any]]], coupons: Sequence[Coupon]) -> list[dict[str, Any]]:
    totals: dict[tuple[str, str, str | None], int] = {}
    for each in (discount for discounts in per_line for discount in discounts):
        key = (each["discount_type"], each["coupon_id"], each["coupon_set_code"])
        totals[key] = totals.get(key, 0) + each["discount_amount"]
    names = {coupon.id: coupon.name for coupon in coupons}
    return [
        {
            "object": "discount",
            "entity_type": kind,
            "description": names[coupon_id],
            "amount": amount,
            "entity_id": coupon_id,
            **({"coupon_set_code": code} if code is not None else {}),
        }
        for (kind, coupon_id, code), amount in totals.items()
    ]


def price(
    lines: Sequence[LineSpec],
    *,
    price_type: PriceType,
    coupons: Sequence[Coupon] = (),
    round_to_minor: int | None = None,
    new_line_id: Callable[[], str],
) -> Priced:
    """Compute a document; the tax of the document is the sum of its lines' rounded taxes.

    `round_to_minor` (for example 100) rounds the total to whole units and shows the difference as round_off_amount.
    Credit notes are priced with the same positive amounts.
    """
    amounts = [line.unit_amount_minor * line.quantity for line in lines]
    per_line = _discounts(lines, amounts, coupons)
    line_items, item_taxes, line_discounts = [], [], []
    taxes: dict[tuple[str, str], int] = {}
    sub_total = tax_total = 0
    for line, amount, discounts in zip(lines, amounts, per_line, strict=True):
        line_id = new_line_id()
        net = amount - sum(each["discount_amount"] for each in discounts)
        tax_minor = tax_of(net, line.tax.rate, price_type) if line.tax else 0
        line_items.append(_line_item(line, line_id, discounts, tax_minor))
        # The code stands on the document's own list of discounts only.
        rows = [{name: value for name, value in each.items() if name != "coupon_set_code"} for each in discounts]
        line_discounts += [{"object": "line_item_discount", "line_item_id": line_id, **each} for each in rows]
        if line.tax is not None:
            taxable = net - tax_minor if price_type == "tax_inclusive" else net
            item_taxes.append(_line_item_tax(line_id, line.tax, taxable, tax_minor))
            label = (line.tax.name, f"{line.tax.name} @ {line.tax.rate}%")
            taxes[label] = taxes.get(label, 0) + tax_minor
        sub_total += net
        tax_total += tax_minor
    total = sub_total + (tax_total if price_type == "tax_exclusive" else 0)
    round_off = divide_half_up(total, round_to_minor) * round_to_minor - total if round_to_minor else 0
    members: dict[str, Any] = {
        "price_type": price_type,
        "line_items": line_items,
        "sub_total": sub_total,
        "tax": tax_total,
        "round_off_amount": round_off,
        "total": total + round_off,
    }
    if taxes:
        members["taxes"] = [
            {"object": "tax", "name": name, "description": text, "amount": amount} for (name, text), amount in taxes.items()
        ]
        members["line_item_taxes"] = item_taxes
    if line_discounts:
        members["line_item_discounts"] = line_discounts
        members["discounts"] = _document_discounts(per_line, coupons)
    return Priced(members, tax_total, total + round_off)
