from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from simulators.exact import custom_fields, resources, webhooks
from simulators.exact.filters import parse_key
from simulators.exact.limits import Gate
from simulators.exact.model import ENDPOINTS, Endpoint
from simulators.exact.oauth import Authority
from simulators.exact.query import Query, Renderer, find, next_address, page_of, parse_query, sync_page
from simulators.exact.refusals import ApiError, Refusal, error_body, message
from simulators.exact.wire import Row, bind, decode, encode, parse_date
from simulators.exact.world import Division, World

WITHOUT_DIVISION = 0  # what such calls are counted under, where they are told of limits
_JSON = "application/json; charset=utf-8"
_ATOM = (
    b'<?xml version="1.0" encoding="utf-8"?><error xmlns="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">'
    b"<message>Without Accept: application/json the answer is application/atom+xml, which this stand-in does not write."
    b"</message></error>"
)
_NOT_FOUND = "Resource not found for the segment '{}'."
# What a POST answers without `Prefer: return=representation`, beside the key and what was sent: the rest is null.
_ASSIGNED = frozenset({"Code", "Division", "EntryNumber", "HID", "InvoiceNumber"})
_STAMPED = frozenset({"TransactionLines", "SalesInvoices"})


@dataclass(frozen=True)
class Address:
    """The part of the path below the division, taken apart."""

    uri: str
    key: str | None
    navigation: str
    count: bool

    @classmethod
    def of(cls, path: str) -> "Address":
        """Splits `salesentry/SalesEntries(guid'…')/SalesEntryLines` and `crm/Accounts/$count`."""
        path = path.strip("/")
        count = path.endswith("/$count")
        path = path.removesuffix("/$count")
        uri, bracket, rest = path.partition("(")
        key, _, navigation = rest.rpartition(")")
        return cls(uri, key if bracket else None, navigation.strip("/"), count)


@dataclass
class Api:
    """Answers everything below /api/v1: who asks, may they, how many calls are left, and then the resource."""

    world: World
    authority: Authority
    gate: Gate

    async def handle(self, request: Request, code: int | None, path: str) -> Response:
        """One call. Errors become OData bodies; 400, 401, 403 and 404 count against the error limit."""
        address = Address.of(path)
        client_id, valid = self.authority.client_of(request.headers.get("authorization"))
        language = self.world.settings.language
        headers: dict[str, str] = {}
        blocked = False
        try:
            app = _authorised(client_id, valid=valid)
            if code is not None:
                blocked = True
                self.gate.check_block(app, code, address.uri)
                blocked = False
                headers = self.gate.admit(app, code)
            elif self.world.settings.limits_without_division:
                headers = self.gate.admit(app, WITHOUT_DIVISION)
            response = await self._serve(request, code, address, app)
        except ApiError as problem:
            body = b"" if problem.text is None else error_body(problem.text, language)
            response = Response(body, problem.status, problem.headers, None if problem.text is None else _JSON)
        except Refusal as refusal:
            response = Response(error_body(refusal.text(language), language), 500, media_type=_JSON)
        except LookupError:
            response = Response(error_body(message("blank", "", language), language), 500, media_type=_JSON)
        if not blocked:
            self.gate.count_error(client_id, code or 0, address.uri, response.status_code)
        response.headers.update(headers)
        return response

    async def _serve(self, request: Request, code: int | None, address: Address, client_id: str) -> Response:
        if len(str(request.url)) > self.world.settings.url_limit_characters:
            raise ApiError(414, "The request URL is too long.")
        if code is None:
            if address.uri != "current/Me" or request.method != "GET":
                raise ApiError(404, _NOT_FOUND.format(address.uri))
            return self._me(request)
        division = self._division(code, address)
        if address.uri == "read/sync/Sync/SyncTimestamp":
            return _sync_timestamp(request, division)
        endpoint = _endpoint(address)
        _check_scope(endpoint, request.method, self.world.settings.missing_scopes)
        root = f"{request.base_url}api/v1/{code}"
        if request.method == "GET":
            return _read(request, division, endpoint, address, root)
        if request.method not in endpoint.methods:
            raise ApiError(405, "Method not allowed.")
        if request.method == "POST" and address.key is None:
            return await self._create(request, endpoint, Renderer(division, root), client_id)
        return await self._alter(request, division, endpoint, address)

    def _division(self, code: int, address: Address) -> Division:
        """The division of the address; system/Divisions works with any number."""
        granted = self.world.settings.granted_divisions
        division = self.world.divisions.get(code)
        if division is not None and (granted is None or code in granted):
            return division
        if address.uri != "system/Divisions":
            raise ApiError(403, "Forbidden", {"Reason": "NoDivisionAccess"})
        return next(iter(self.world.divisions.values()))

    def _me(self, request: Request) -> Response:
        endpoint = ENDPOINTS["current/Me"]
        division = next(iter(self.world.divisions.values()))
        _check_accept(request)
        query = parse_query(endpoint, request.query_params, division)
        entity = Renderer(division, f"{request.base_url}api/v1").entity(endpoint, resources.me(division), query)
        return Response(encode({"d": {"results": [entity]}}), media_type=_JSON)

    async def _create(self, request: Request, endpoint: Endpoint, renderer: Renderer, client_id: str) -> Response:
        _check_accept(request)
        bound = bind(endpoint, await self._body(request), "p")
        if endpoint.uri == webhooks.SUBSCRIPTIONS:
            row = await webhooks.subscribe(renderer.division, bound, client_id)
        elif endpoint.uri in resources.CREATE:
            row = resources.CREATE[endpoint.uri](renderer.division, bound)
        else:
            raise ApiError(405, "Method not allowed.")
        return _created(request, endpoint, row, bound, renderer)

    async def _alter(self, request: Request, division: Division, endpoint: Endpoint, address: Address) -> Response:
        if address.key is None:
            raise ApiError(405, "Method not allowed.")
        row = _by_key(division, endpoint, address.key)
        if request.method == "PUT" and endpoint.uri in resources.CHANGE:
            resources.CHANGE[endpoint.uri](division, row, bind(endpoint, await self._body(request), "u"))
        elif request.method == "DELETE" and endpoint.uri in resources.DELETE:
            resources.DELETE[endpoint.uri](division, row)
        else:
            raise ApiError(405, "Method not allowed.")
        return Response(status_code=204)

    async def _body(self, request: Request) -> Any:
        content = await request.body()
        if len(content) > self.world.settings.body_limit_bytes:
            raise ApiError(413, "The request is larger than 10 MB.")
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise ApiError(400, "Error processing request stream. The request should be a valid top-level resource object.")
        return decode(content)


def _authorised(client_id: str | None, *, valid: bool) -> str:
    if not valid or client_id is None:
        raise ApiError(401, "Unauthorized")
    return client_id


def _endpoint(address: Address) -> Endpoint:
    if address.uri.endswith("$batch"):
        raise ApiError(501, "The operation $batch is not supported for REST API's.")
    endpoint = ENDPOINTS.get(address.uri)
    if endpoint is None:
        raise ApiError(404, _NOT_FOUND.format(address.uri.rsplit("/", 1)[-1]))
    return endpoint


def _check_scope(endpoint: Endpoint, method: str, missing: tuple[str, ...]) -> None:
    if endpoint.scope in missing:
        verb = "read" if method == "GET" else "manage"
        scope = endpoint.scope.lower().replace(" ", ".")
        raise ApiError(403, f"Forbidden - Application Scope Violated. Cannot {verb} '{scope}' scope.")


def _check_accept(request: Request) -> None:
    if "application/json" not in request.headers.get("accept", ""):
        raise ApiError(406, _ATOM.decode(), {})


def _by_key(division: Division, endpoint: Endpoint, text: str) -> Row:
    key = parse_key(text, {name: endpoint.properties[name].type for name in endpoint.key})
    shown = resources.view(division, endpoint.uri)
    if shown is not None:
        row = next((row for row in shown if row.get(endpoint.key[0]) == key), None)
    else:
        row = None if endpoint.is_sync else division.table(endpoint.table).get(key)
    if row is None:
        raise ApiError(404, _NOT_FOUND.format(endpoint.set_name))
    return row


def _read(request: Request, division: Division, endpoint: Endpoint, address: Address, root: str) -> Response:
    if address.count:
        query = parse_query(endpoint, request.query_params, division)
        rows = find(endpoint, query, division, resources.view(division, endpoint.uri))
        return Response(str(len(rows)), media_type="text/plain")
    _check_accept(request)
    parent: Row | None = None
    if address.key is not None and address.navigation:
        parent = _by_key(division, endpoint, address.key)
        children = endpoint.children(address.navigation)
        if children is None:
            raise ApiError(404, _NOT_FOUND.format(address.navigation))
        rows = division.table(children[0].uri).where(children[1], parent[endpoint.key[0]])
        query = parse_query(children[0], request.query_params, division)
        return _collection(division, children[0], query, find(children[0], query, division, rows), root)
    query = parse_query(endpoint, request.query_params, division)
    renderer = Renderer(division, root)
    if endpoint.uri == custom_fields.FIELDS:
        key = parse_key(address.key or "", {"LinkId": "Guid"})
        return _collection(division, endpoint, query, custom_fields.of_record(division, key), root)
    if address.key is not None:
        row = _by_key(division, endpoint, address.key)
        return Response(encode({"d": renderer.entity(endpoint, row, query)}), media_type=_JSON)
    if endpoint.is_sync:
        return _sync(division, endpoint, query, renderer)
    found = find(endpoint, query, division, resources.view(division, endpoint.uri))
    return _collection(division, endpoint, query, found, root)


def _sync(division: Division, endpoint: Endpoint, query: Query, renderer: Renderer) -> Response:
    size = min(division.settings.sync_page_size, query.top or division.settings.sync_page_size)
    page, version = sync_page(endpoint, query, division, size)
    answer: dict[str, Any] = {"results": [renderer.entity(endpoint, row, query) for row in page]}
    if version is not None and query.top is None:
        answer["__next"] = next_address(f"{renderer.root}/{endpoint.uri}", query, f"{version}L")
    if query.count:
        answer["__count"] = str(len(find(endpoint, query, division)))
    return Response(encode({"d": answer}), media_type=_JSON)


def _collection(division: Division, endpoint: Endpoint, query: Query, rows: list[Row], root: str) -> Response:
    renderer = Renderer(division, root)
    page, token = page_of(endpoint, query, division, rows, division.settings.page_size)
    results = [renderer.entity(endpoint, row, query) for row in page]
    if query.top is not None and token is None and not query.count and division.settings.bare_list_with_top:
        return Response(encode({"d": results}), media_type=_JSON)
    answer: dict[str, Any] = {"results": results}
    if token is not None:
        answer["__next"] = next_address(f"{root}/{endpoint.uri}", query, token)
    if query.count:
        answer["__count"] = str(len(rows))
    return Response(encode({"d": answer}), media_type=_JSON)


def _created(request: Request, endpoint: Endpoint, row: Row, sent: Row, renderer: Renderer) -> Response:
    full = "return=representation" in request.headers.get("prefer", "")
    shown = row
    if not full:
        names = {*endpoint.key, *sent, *_ASSIGNED}
        shown = {name: value for name, value in row.items() if name in names}
    entity = renderer.entity(endpoint, shown, Query())
    headers = {"Location": entity["__metadata"]["uri"]}
    return Response(encode({"d": entity}), 201, headers, _JSON)


def _sync_timestamp(request: Request, division: Division) -> Response:
    """The row version from which changes since a moment can be read; only some endpoints are supported."""
    _check_accept(request)
    modified, name = request.query_params.get("modified", ""), request.query_params.get("endPoint", "").strip("'")
    if name not in _STAMPED or not modified.startswith("datetime'"):
        raise ApiError(400, "Bad Request - Error in query syntax.")
    try:
        moment = parse_date(modified[9:-1])
    except ValueError as problem:
        raise ApiError(400, "Bad Request - Error in query syntax.") from problem
    rows = division.table("financialtransaction/TransactionLines") if name == "TransactionLines" else ()
    version = max((row["Timestamp"] for row in rows if row["Modified"] < moment), default=1)
    as_text = division.settings.int64_as_text
    entity = {
        "__metadata": {"type": "Exact.Web.Api.Models.SyncTimestamp"},
        "Modified": modified[9:-1],
        "API": name,
        "TimeStampAsBigInt": str(version) if as_text else version,
    }
    return Response(encode({"d": entity}), media_type=_JSON)
