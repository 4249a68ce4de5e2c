from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import quote

from simulators.exact.filters import Term, key_text, parse_filter, parse_key, properties_used
from simulators.exact.model import Endpoint
from simulators.exact.refusals import ApiError
from simulators.exact.table import Table
from simulators.exact.wire import Row, render
from simulators.exact.world import Division

_OPTIONS = frozenset({"$select", "$filter", "$expand", "$top", "$orderby", "$inlinecount", "$skiptoken", "$skip", "$format"})
_NEEDS_SELECT = frozenset({"cashflow/Receivables"})


@dataclass
class Query:
    """The query options of one request, checked against the endpoint."""

    select: dict[str, set[str]] | None = None  # property -> selected properties of the expanded collection
    where: Term | None = None
    expand: set[str] = field(default_factory=set)
    top: int | None = None
    order: list[tuple[str, bool]] = field(default_factory=list)  # (property, descending)
    count: bool = False
    skip: int = 0
    skiptoken: str | None = None
    raw: dict[str, str] = field(default_factory=dict)


def parse_query(endpoint: Endpoint, parameters: Mapping[str, str], division: Division) -> Query:
    """Reads the `$` options; raises `ApiError` 400 for what the endpoint or the dialect does not know."""
    for name in parameters:
        if name.startswith("$") and name not in _OPTIONS:
            raise ApiError(
                400, f"The query parameter '{name}' begins with a system-reserved '$' character but is not recognized."
            )
    query = Query(raw={name: value for name, value in parameters.items() if name != "$skiptoken"})
    query.skiptoken = parameters.get("$skiptoken")
    query.expand = _parse_expand(endpoint, parameters.get("$expand", ""))
    query.select = _parse_select(endpoint, parameters.get("$select", ""), query.expand)
    query.order = _parse_order(endpoint, parameters.get("$orderby", ""))
    query.top = _whole_number("$top", parameters.get("$top"))
    query.skip = _whole_number("$skip", parameters.get("$skip")) or 0
    query.count = parameters.get("$inlinecount", "none") == "allpages"
    text = parameters.get("$filter", "")
    if endpoint.is_sync:
        _check_sync(endpoint, text, query)
    if text:
        query.where = parse_filter(text, endpoint, ignore_case=division.settings.ignore_case)
    if endpoint.uri in _NEEDS_SELECT and query.select is None and query.top != 1:
        raise ApiError(400, "Please add a $select or a $top=1 statement to the query string.")
    return query


def _check_sync(endpoint: Endpoint, text: str, query: Query) -> None:
    allowed = {"Timestamp", "EntityType"} if endpoint.uri == "sync/Deleted" else {"Timestamp"}
    used = properties_used(text)
    unknown = used - set(endpoint.properties)
    if unknown:
        raise ApiError(400, f"No property '{min(unknown)}' exists in type '{endpoint.model}' at position 0.")
    if used - allowed or query.order or query.skip:
        raise ApiError(400, "Only the timestamp field is allowed as parameter.")


def _whole_number(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit():
        raise ApiError(400, f"Incorrect format for {name} argument '{text}'.")
    return int(text)


def _property(endpoint: Endpoint, name: str) -> str:
    if name not in endpoint.properties:
        raise ApiError(400, f"No property '{name}' exists in type '{endpoint.model}' at position 0.")
    return name


def _parse_expand(endpoint: Endpoint, text: str) -> set[str]:
    names = {name.strip() for name in text.split(",") if name.strip()}
    for name in names:
        if "/" in name or not endpoint.properties[_property(endpoint, name)].is_collection:
            raise ApiError(400, f"The $expand of '{name}' on type '{endpoint.model}' is not supported.")
    return names


def _parse_select(endpoint: Endpoint, text: str, expand: set[str]) -> dict[str, set[str]] | None:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or "*" in names:
        return None
    selected: dict[str, set[str]] = {}
    for name in names:
        outer, slash, inner = name.partition("/")
        selected.setdefault(_property(endpoint, outer), set())
        if not slash:
            continue
        children = endpoint.children(outer)
        if outer not in expand or children is None:
            raise ApiError(400, f"Only navigation properties that are expanded can be selected from: '{name}'.")
        selected[outer].add(inner if inner == "*" else _property(children[0], inner))
    return selected


def _parse_order(endpoint: Endpoint, text: str) -> list[tuple[str, bool]]:
    order = []
    for part in text.split(","):
        words = part.split()
        if not words:
            continue
        if len(words) > 2 or (len(words) == 2 and words[1] not in ("asc", "desc")):
            raise ApiError(400, f"Syntax error in $orderby '{text}'.")
        order.append((_property(endpoint, words[0]), words[-1] == "desc"))
    return order


def find(endpoint: Endpoint, query: Query, division: Division, rows: Iterable[Row] | None = None) -> list[Row]:
    """All rows the query asks for, in their order, before paging. `rows` replaces the endpoint's table."""
    table = division.table(endpoint.table)
    found = _candidates(endpoint, query, table) if rows is None else rows
    where = query.where
    matching = [row for row in found if where is None or where.evaluate(row)]
    for name, descending in reversed(query.order):
        matching.sort(key=lambda row: _order_key(row.get(name)), reverse=descending)
    return matching[query.skip :]


def _order_key(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


def _candidates(endpoint: Endpoint, query: Query, table: Table) -> Iterable[Row]:
    if endpoint.is_sync:
        return table.after_version(-1)
    if query.where is not None:
        for name, value in query.where.equalities.items():
            if (name,) == table.key:
                row = table.get(value)
                return [row] if row is not None else []
            if table.has_index(name):
                return table.where(name, value)
    return table


def sync_page(endpoint: Endpoint, query: Query, division: Division, size: int) -> tuple[list[Row], int | None]:
    """One page of a sync endpoint and the row version after which the next one starts."""
    start = -1
    where = query.where
    if where is not None and set(query.raw.get("$filter", "").split()[:2]) == {"Timestamp", "gt"}:
        start = int(query.raw["$filter"].split()[2].rstrip("L)"))
    if query.skiptoken is not None:
        start = max(start, int(query.skiptoken.rstrip("L")))
    rows = (
        row
        for row in division.table(endpoint.table).after_version(start)
        if (where is None or where.evaluate(row)) and _is_visible(endpoint, row)
    )
    page = list(islice(rows, size + 1))
    if len(page) <= size:
        return page, None
    return page[:size], page[size - 1]["Timestamp"]


def _is_visible(endpoint: Endpoint, row: Row) -> bool:
    return endpoint.uri != "cashflow/Receivables" or row.get("LineType") == 20


def page_of(endpoint: Endpoint, query: Query, division: Division, rows: list[Row], size: int) -> tuple[list[Row], str | None]:
    """Cuts one page out of all rows; returns it with the token of the next page."""
    table = division.table(endpoint.table)
    start = 0
    if query.skiptoken is not None:
        kinds = {name: endpoint.properties[name].type for name in table.key}
        key = parse_key(query.skiptoken, kinds)
        keys = [table.key_of(row) for row in rows]
        if key in keys:
            start = keys.index(key) + 1
        else:
            place = table.place(key)
            start = next((at for at, other in enumerate(keys) if table.place(other) > place), len(keys))
    if query.top is not None:
        rows = rows[: query.top]
    page = rows[start : start + size]
    if not page or start + size >= len(rows):
        return page, None
    return page, key_text(table.key_of(page[-1]), table.key)


def next_address(address: str, query: Query, token: str) -> str:
    """The full `__next` address, with the options of the request and the token."""
    options = [f"{quote(name)}={quote(value)}" for name, value in query.raw.items()]
    return f"{address}?{'&'.join([*options, f'$skiptoken={quote(token)}'])}"


class Renderer:
    """Turns rows into the verbose JSON of OData v2. `root` is the address of the division."""

    def __init__(self, division: Division, root: str) -> None:
        self.division = division
        self.root = root
        self.as_text = division.settings.int64_as_text

    def entity(self, endpoint: Endpoint, row: Row, query: Query) -> dict[str, Any]:
        """One entity with its metadata; collections are deferred unless they are expanded."""
        key = tuple(row.get(name) for name in endpoint.key)
        uri = f"{self.root}/{endpoint.uri}({key_text(key[0] if len(key) == 1 else key, endpoint.key)})"
        entity: dict[str, Any] = {"__metadata": {"uri": uri, "type": endpoint.model}}
        for name, prop in endpoint.properties.items():
            if query.select is not None and name not in query.select:
                continue
            if prop.is_collection:
                entity[name] = self._collection(endpoint, name, row, query, uri)
            else:
                entity[name] = render(prop, row.get(name), int64_as_text=self.as_text)
        if "CustomField" in entity and endpoint.table == "crm/Accounts" and self.division.settings.custom_fields:
            entity["CustomField"] = f"{self.root}/customfield/CustomFields({key_text(row['ID'], ('ID',))})"
        return entity

    def _collection(self, endpoint: Endpoint, name: str, row: Row, query: Query, uri: str) -> dict[str, Any]:
        if name not in query.expand:
            return {"__deferred": {"uri": f"{uri}/{name}"}}
        found = endpoint.children(name)
        if found is None:
            return {"results": []}
        child, reference = found
        inner = (query.select or {}).get(name, set())
        sub = Query(select={part: set() for part in inner} if inner and "*" not in inner else None)
        rows = self.division.table(child.uri).where(reference, row[endpoint.key[0]])
        return {"results": [self.entity(child, item, sub) for item in rows]}
