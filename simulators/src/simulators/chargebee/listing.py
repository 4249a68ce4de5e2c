"""List calls: filters, order and opaque offsets as Chargebee's lists have them."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from .coupon_sets import shown
from .errors import wrong_value
from .long_documents import first_lines
from .site import Resource, Site

SORTABLE = {
    "invoice": ("date", "updated_at"),
    "credit_note": ("date",),
    "transaction": ("date", "updated_at"),
    "customer": ("created_at", "updated_at"),
    "subscription": ("created_at", "updated_at"),
    "item_price": ("name", "id", "updated_at"),
    "item": ("name", "id", "updated_at"),
    "item_family": ("name", "id", "updated_at"),
    "event": ("occurred_at",),
}
_DATES = ("updated_at", "date", "occurred_at", "created_at", "paid_at", "voided_at", "due_date")
FILTERABLE = {
    "invoice": (
        *("id", "customer_id", "subscription_id", "status", "price_type", "recurring", "currency_code"),
        *("total", "amount_paid", "amount_due", "amount_adjusted", "credits_applied", "dunning_status"),
        *("date", "paid_at", "updated_at", "voided_at", "due_date"),
    ),
    "credit_note": (
        *("id", "customer_id", "subscription_id", "reference_invoice_id", "type", "reason_code", "status"),
        *("create_reason_code", "date", "total", "price_type", "amount_allocated", "amount_refunded"),
        *("amount_available", "voided_at", "updated_at", "currency_code"),
    ),
    "transaction": (
        *("id", "customer_id", "subscription_id", "payment_method", "gateway", "gateway_account_id"),
        *("id_at_gateway", "reference_number", "type", "date", "amount", "status", "updated_at"),
    ),
    "customer": (
        *("id", "first_name", "last_name", "email", "company", "phone", "auto_collection", "taxability"),
        *("created_at", "updated_at"),
    ),
    "subscription": (
        *("id", "customer_id", "plan_id", "status", "created_at", "activated_at", "cancelled_at", "next_billing_at"),
        *("has_scheduled_changes", "remaining_billing_cycles", "business_entity_id", "channel", "updated_at"),
    ),
    "item_price": (
        *("id", "name", "pricing_model", "item_id", "item_family_id", "item_type", "currency_code", "status"),
        *("updated_at",),
    ),
    "item": ("id", "item_family_id", "type", "name", "status", "updated_at"),
    "item_family": ("id", "name", "status", "updated_at"),
    "plan": ("id", "name", "status", "price", "period", "period_unit", "updated_at"),
    "addon": ("id", "name", "status", "price", "period", "period_unit", "updated_at"),
    "coupon": ("id", "name", "status", "updated_at"),
    "coupon_set": ("id", "name", "coupon_id", "total_count", "redeemed_count", "archived_count"),
    "coupon_code": ("code", "coupon_id", "coupon_set_name", "status"),
    "event": ("id", "event_type", "source", "occurred_at", "webhook_status"),
}
_FILTER = re.compile(r"^(\w+)\[(\w+)\]$")
Test = Callable[[Any], bool]


def list_page(site: Site, kind: str, resources: list[Resource], query: Mapping[str, str]) -> dict[str, Any]:
    """One page: {"list": [{kind: resource}], "next_offset": text}; without next_offset it is the last page.

    Default order is newest first; a sort or filter that Chargebee does not understand changes nothing and is no error.
    """
    limit = _limit(query.get("limit", "10"))
    wanted = [each for each in resources if _visible(each, query) and _matches(site, kind, each, query)]
    field, ascending = _order(kind, query)

    def key(resource: Resource) -> tuple[Any, int]:
        return (resource.get(field, 0) if field else 0, site.internal_ids[(kind, resource["id"])])

    wanted.sort(key=key, reverse=not ascending)
    if "offset" in query:
        start = _parse_offset(query["offset"])
        wanted = [each for each in wanted if (key(each) > start if ascending else key(each) < start)]
    page = wanted[:limit]
    answer: dict[str, Any] = {"list": [shown_with(site, kind, each) for each in page]}
    if len(wanted) > limit:
        value, internal_id = key(page[-1])
        shown = str(value * 1000) if isinstance(value, int) else value
        answer["next_offset"] = json.dumps([shown, str(internal_id)], separators=(",", ":"))
    return answer


def shown_with(site: Site, kind: str, resource: Resource) -> dict[str, Any]:
    """A resource as lists and retrievals answer it: a subscription comes with its customer (SDK 3, ListSubscriptionResponse)."""
    if kind in ("coupon_set", "coupon_code"):
        return {kind: shown(kind, resource)}
    if kind in ("invoice", "credit_note"):
        return {kind: first_lines(site.settings, resource)}
    if kind == "subscription":
        return {kind: resource, "customer": site.get("customer", resource["customer_id"])}
    return {kind: resource}


def _limit(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise wrong_value("limit", "should be a number between 1 and 100")
    return int(text)


def _parse_offset(text: str) -> tuple[Any, int]:
    try:
        value, internal_id = json.loads(text)
        return (int(value) // 1000 if value.lstrip("-").isdigit() else value, int(internal_id))
    except (ValueError, TypeError, AttributeError):
        raise wrong_value("offset", "invalid value") from None


def _order(kind: str, query: Mapping[str, str]) -> tuple[str | None, bool]:
    for name, value in query.items():
        if name in ("sort_by[asc]", "sort_by[desc]") and value in SORTABLE.get(kind, ()):
            return value, name == "sort_by[asc]"
    return ("occurred_at" if kind == "event" else None), False


def _visible(resource: Resource, query: Mapping[str, str]) -> bool:
    return not resource.get("deleted") or query.get("include_deleted") == "true"


def _matches(site: Site, kind: str, resource: Resource, query: Mapping[str, str]) -> bool:
    for name, value in query.items():
        found = _FILTER.match(name)
        if found is None or found.group(1) not in FILTERABLE.get(kind, ()):
            continue
        test = _test(site, found.group(1), found.group(2), value)
        if test is not None and not test(resource.get(found.group(1))):
            return False
    return True


def parse_list(text: str) -> list[str]:
    """A list as filters carry it: JSON, or the Python SDK's single-quoted form, or bare values."""
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1]
    quoted = re.findall(r"\"([^\"]*)\"|'([^']*)'|([^\s,\"']+)", inner)
    return ["".join(parts) for parts in quoted]


def _number(field: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise wrong_value(field, "should be a number") from None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _test(site: Site, field: str, operator: str, value: str) -> Test | None:
    """What a resource's member must satisfy; None for an operator Chargebee does not know, which it ignores.

    Comparisons leave out resources that have no such member, as rows without updated_at are left out.
    """
    words: dict[str, Test] = {
        "is": lambda actual: actual is not None and _text(actual) == value,
        "is_not": lambda actual: actual is None or _text(actual) != value,
        "starts_with": lambda actual: actual is not None and _text(actual).startswith(value),
        "in": lambda actual: actual is not None and _text(actual) in parse_list(value),
        "not_in": lambda actual: actual is None or _text(actual) not in parse_list(value),
        "is_present": lambda actual: (actual is not None) == (value == "true"),
    }
    if operator in words:
        return words[operator]
    if operator == "between":
        bounds = [_number(field, each) for each in parse_list(value)]
        if len(bounds) != 2:
            raise wrong_value(f"{field}[between]", "should have two values")
        return lambda actual: actual is not None and bounds[0] <= actual <= bounds[1]
    if operator not in ("lt", "lte", "gt", "gte", "before", "after", "on"):
        return None
    bound = _number(field, value)
    numbers: dict[str, Test] = {
        "lt": lambda actual: actual < bound,
        "before": lambda actual: actual < bound,
        "lte": lambda actual: actual <= bound,
        "gt": lambda actual: actual > bound,
        "after": lambda actual: actual > bound,
        "gte": lambda actual: actual >= bound,
        "on": lambda actual: site.local_date(actual) == site.local_date(bound),
    }
    compare = numbers[operator]
    return lambda actual: actual is not None and compare(actual)
