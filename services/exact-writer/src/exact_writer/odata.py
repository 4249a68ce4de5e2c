"""The part of OData v2 that Exact understands: literals, query options, envelopes, dates and padded codes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote

MILLISECONDS = re.compile(r"^/Date\((-?\d+)(?:[+-]\d{4})?\)/$")


class UnreadableAnswerError(Exception):
    """An answer that is neither a list nor an entity in OData v2's envelope."""


def text(value: str) -> str:
    """A string literal; quotes are doubled."""
    return "'" + value.replace("'", "''") + "'"


def guid(value: str) -> str:
    """A GUID literal."""
    return f"guid'{value}'"


def big(value: int) -> str:
    """An Int64 literal, as the Timestamp filters want it."""
    return f"{value}L"


def query(path: str, *, select: Sequence[str] = (), filter_by: str | None = None, top: int | None = None) -> str:
    """A path with its query options, encoded; Exact takes at most 6,000 characters."""
    options: Mapping[str, str | None] = {
        "$select": ",".join(select) or None,
        "$filter": filter_by,
        "$top": str(top) if top is not None else None,
    }
    unquoted = "(),'"
    given = "&".join(f"{name}={quote(value, safe=unquoted)}" for name, value in options.items() if value is not None)
    return f"{path}?{given}" if given else path


def rows(body: Any) -> list[dict[str, Any]]:
    """The entities of a list: Exact answers `{"d":{"results":[...]}}`, with $top or on older endpoints `{"d":[...]}`."""
    inner = body.get("d") if isinstance(body, dict) else None
    if isinstance(inner, dict):
        inner = inner.get("results")
    if not isinstance(inner, list):
        raise UnreadableAnswerError("Exact answered a list without d.results")
    return inner


def next_page(body: Any) -> str | None:
    """The path and query of the next page."""
    inner = body.get("d") if isinstance(body, dict) else None
    following = inner.get("__next") if isinstance(inner, dict) else None
    if not isinstance(following, str) or not following:
        return None
    return path_of(following)


def path_of(address: str) -> str:
    """The path and query of an address that Exact gives; the host is left out, so that a proxy may stand before it."""
    return re.sub(r"^https?://[^/]+", "", address)


def entity(body: Any) -> dict[str, Any]:
    """The one entity of an answer to a POST; raises UnreadableAnswerError when there is none."""
    inner = body.get("d") if isinstance(body, dict) else None
    if isinstance(inner, dict):
        return inner
    raise UnreadableAnswerError("Exact answered no entity")


def error_text(body: Any) -> str | None:
    """The message of Exact's error body, in the language of the connected user; None when the body is not one."""
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    if isinstance(message, dict):
        message = message.get("value")
    return message if isinstance(message, str) else None


def day_out(value: date) -> str:
    """A date as Exact takes it: midnight without a zone, since a `Z` shifts the day."""
    return f"{value.isoformat()}T00:00:00"


def day_in(value: str | None) -> date | None:
    """A date as Exact sends it: milliseconds of the local wall clock written as if it were UTC."""
    if not value:
        return None
    found = MILLISECONDS.match(value)
    if found is None:
        return date.fromisoformat(value[:10])
    return datetime.fromtimestamp(int(found.group(1)) / 1000, UTC).date()


def instant_in(value: str | None) -> float | None:
    """An instant in unix seconds, as Exact's clock has it; None for nothing and for what cannot be read."""
    found = MILLISECONDS.match(value or "")
    return int(found.group(1)) / 1000 if found is not None else None


def code(value: Any) -> str:
    """A code without Exact's padding (Account.Code is padded left, VATCode and Country right)."""
    return str(value).strip() if value is not None else ""
