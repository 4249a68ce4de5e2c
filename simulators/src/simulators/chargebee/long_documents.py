"""Enterprise-scale Invoicing: a document shows some of its lines at a time, with the offset that asks for the following ones."""

import json
from collections.abc import Mapping
from typing import Any

from .errors import wrong_value
from .settings import ChargebeeSettings

DEFAULT_LINES = 100
MOST_LINES = 300
_OF_LINES = ("line_item_taxes", "line_item_discounts", "line_item_tiers")


def first_lines(settings: ChargebeeSettings, resource: dict[str, Any]) -> dict[str, Any]:
    """A document as events and lists show it."""
    return _cut(resource, 0, DEFAULT_LINES) if settings.enterprise_invoicing and "line_items" in resource else resource


def lines_asked(settings: ChargebeeSettings, resource: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    """A document as a retrieval shows it; without the beta the two parameters are passed over. 400 for values out of range."""
    if not settings.enterprise_invoicing or "line_items" not in resource:
        return resource
    limit = query.get("line_items_limit", str(DEFAULT_LINES))
    if not limit.isdigit() or not 1 <= int(limit) <= MOST_LINES:
        raise wrong_value("line_items_limit", f"should be a number between 1 and {MOST_LINES}")
    start = 0
    if "line_items_offset" in query:
        try:
            start = int(json.loads(query["line_items_offset"])[0])
        except (ValueError, TypeError, IndexError):
            raise wrong_value("line_items_offset", "invalid value") from None
    return _cut(resource, start, int(limit))


def _cut(resource: dict[str, Any], start: int, limit: int) -> dict[str, Any]:
    lines = resource["line_items"]
    if start == 0 and len(lines) <= limit:
        return resource
    shown = lines[start : start + limit]
    names = {line["id"] for line in shown}
    cut = {**resource, "line_items": shown}
    for rows in _OF_LINES:
        if rows in resource:
            cut[rows] = [row for row in resource[rows] if row["line_item_id"] in names]
    if start + limit < len(lines):
        cut["line_items_next_offset"] = json.dumps([str(start + limit)])
    return cut
