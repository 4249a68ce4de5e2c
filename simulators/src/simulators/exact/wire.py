import calendar
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from simulators.exact.model import Endpoint, Property
from simulators.exact.refusals import ApiError

Row = dict[str, Any]

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_EPOCH_FORM = re.compile(r"/Date\((-?\d+)\)/")
_US_FORM = re.compile(r"(\d{2})/(\d{2})/(\d{4})(?: (\d{2}):(\d{2}):(\d{2}))?")
_INTEGER_BITS = {"Byte": 8, "Int16": 16, "Int32": 32, "Int64": 64}
_CLR_NAMES = {"Double": "System.Double", "Boolean": "System.Boolean", "DateTime": "System.DateTime", "String": "System.String"}


def encode(value: object) -> bytes:
    """JSON text. Decimals become JSON numbers with exactly their digits; nothing passes through binary floating point."""
    return _ENCODER.encode(value)


def decode(body: bytes) -> Any:
    """Parses JSON with Decimals in place of floats. Raises `ApiError` 400 in Exact's words when it is not JSON."""
    try:
        return _DECODER.decode(body)
    except msgspec.DecodeError as problem:
        raise ApiError(
            400,
            "Error processing request stream. The request should be a valid top-level resource object.",
        ) from problem


def local_time(seconds: float) -> datetime:
    """Exact's clock: the naive wall clock of Amsterdam."""
    return datetime.fromtimestamp(seconds, UTC).astimezone(AMSTERDAM).replace(tzinfo=None)


def parse_guid(text: str) -> uuid.UUID:
    """Raises `ApiError` 400 for a text that is no GUID."""
    try:
        return uuid.UUID(text)
    except ValueError as problem:
        raise ApiError(400, "Unrecognized Guid format.") from problem


def parse_date(text: str) -> datetime:
    """Reads ISO 8601, `/Date(ms)/` and `MM/DD/YYYY hh:mm:ss`; raises ValueError for anything else.

    A time with a zone (also `Z`) is moved to Dutch time first, which may change its day: that is why clients send none.
    """
    epoch = _EPOCH_FORM.fullmatch(text)
    if epoch:
        return datetime.fromtimestamp(int(epoch[1]) // 1000, UTC).replace(tzinfo=None)
    american = _US_FORM.fullmatch(text)
    if american:
        month, day, year, hour, minute, second = (int(part or 0) for part in american.groups())
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  Exact's dates have no zone
    moment = datetime.fromisoformat(text)
    return moment.astimezone(AMSTERDAM).replace(tzinfo=None) if moment.tzinfo else moment


def _conversion_error(prop: Property) -> ApiError:
    clr = _CLR_NAMES.get(prop.type, f"System.{prop.type}")
    return ApiError(
        400,
        "Error processing request stream. Error encountered in converting the value from request payload for property "
        f"'{prop.name}' to type '{clr}', which is the property's expected type. See inner exception for more detail.",
    )


def _convert(prop: Property, value: Any) -> Any:
    kind = prop.type
    if kind in _INTEGER_BITS and isinstance(value, int) and not isinstance(value, bool):
        bits = _INTEGER_BITS[kind]
        low, high = (0, 255) if bits == 8 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if low <= value <= high:
            return value
    elif kind == "Double" and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    elif kind == "Boolean" and isinstance(value, bool):
        return value
    elif isinstance(value, str):
        if kind in ("String", "Binary"):
            return value
        if kind == "Guid":
            return parse_guid(value)
        if kind == "DateTime":
            try:
                return parse_date(value)
            except ValueError as problem:
                raise _conversion_error(prop) from problem
    raise _conversion_error(prop)


def bind(endpoint: Endpoint, body: Any, right: str) -> Row:
    """Checks a posted object against the endpoint's properties and returns those that may be written.

    Unknown properties and wrong types raise `ApiError` 400, as WCF does; read-only properties are dropped without a word.
    Collections are bound as lists of rows, on POST only: a PUT with nested lines is refused with 400.
    """
    if not isinstance(body, dict):
        raise ApiError(400, "Error processing request stream. The request should be a valid top-level resource object.")
    row: Row = {}
    for name, value in body.items():
        if name == "__metadata":
            continue
        prop = endpoint.properties.get(name)
        if prop is None:
            raise ApiError(
                400,
                f"Error processing request stream. The property name '{name}' specified for type "
                f"'{endpoint.model}' is not valid.",
            )
        bound: Any
        if prop.is_collection:
            bound = _bind_children(endpoint, prop, value, right)
        else:
            bound = None if value is None else _convert(prop, value)
        if right in prop.rights:
            row[name] = bound
    return row


def _bind_children(endpoint: Endpoint, prop: Property, value: Any, right: str) -> list[Row]:
    if right != "p":
        raise ApiError(
            400,
            "Error processing request stream. Binding to new entities is only supported for POST requests; "
            f"'{prop.name}' of '{endpoint.model}' cannot be updated with its parent.",
        )
    items = value.get("results") if isinstance(value, Mapping) else value
    child = endpoint.children(prop.name)
    if not isinstance(items, list) or child is None:
        raise ApiError(400, "Error processing request stream. The request should be a valid top-level resource object.")
    return [bind(child[0], item, right) for item in items]


def render(prop: Property, value: Any, *, int64_as_text: bool) -> Any:
    """One value as it stands in the JSON answer. Dates are the naive wall clock written as if it were UTC."""
    if isinstance(value, Decimal):
        whole = value.to_integral_value()
        return int(whole) if whole == value else value.normalize()
    if isinstance(value, uuid.UUID) or (prop.type == "Int64" and int64_as_text and value is not None):
        return str(value)
    if isinstance(value, datetime):
        return f"/Date({calendar.timegm(value.timetuple()) * 1000 + value.microsecond // 1000})/"
    return value
