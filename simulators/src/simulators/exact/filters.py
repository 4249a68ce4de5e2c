import operator
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from simulators.exact.model import Endpoint
from simulators.exact.refusals import ApiError
from simulators.exact.table import fold
from simulators.exact.wire import Row, parse_date, parse_guid

_TOKEN = re.compile(
    r"\s*(?:(?P<guid>guid'[^']*')|(?P<datetime>datetime'[^']*')|(?P<string>'(?:[^']|'')*')"
    r"|(?P<number>-?\d+(?:\.\d+)?[LlMmDdFf]?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:/[A-Za-z_][A-Za-z0-9_]*)*)"
    r"|(?P<symbol>[(),]))"
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_NUMBERS = frozenset({"Double", "Int16", "Int32", "Int64", "Byte"})
_CHANGES: dict[str, Callable[[str], str]] = {"trim": str.strip, "tolower": str.lower, "toupper": str.upper}
_TESTS: dict[str, Callable[[str, str], bool]] = {
    "substringof": lambda part, text: part in text,
    "startswith": lambda text, part: text.startswith(part),
    "endswith": lambda text, part: text.endswith(part),
}
_FUNCTIONS = {**dict.fromkeys(_CHANGES, 1), **dict.fromkeys(_TESTS, 2)}


@dataclass(frozen=True)
class Term:
    """A part of a filter: its type, how to evaluate it, and which equalities every matching row must satisfy."""

    type: str
    evaluate: Callable[[Row], Any]
    property: str | None = None
    constant: Any = None
    equalities: dict[str, Any] = field(default_factory=dict)


class _Parser:
    def __init__(self, text: str, endpoint: Endpoint, *, ignore_case: bool) -> None:
        self.endpoint = endpoint
        self.fold = fold if ignore_case else _as_it_is
        self.tokens: list[tuple[str, str, int]] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise ApiError(400, f"Syntax error at position {position}.")
            kind = found.lastgroup or "symbol"
            self.tokens.append((kind, found[kind], found.start(kind)))
            position = found.end()
        self.tokens.append(("end", "", len(text)))
        self.place = 0

    def parse(self) -> Term:
        term = self._or()
        kind, _, position = self.tokens[self.place]
        if kind != "end":
            raise ApiError(400, f"Syntax error at position {position}.")
        return _boolean(term, 0)

    def _word(self, *words: str) -> str | None:
        kind, text, _ = self.tokens[self.place]
        if kind == "name" and text in words:
            self.place += 1
            return text
        return None

    def _symbol(self, symbol: str) -> None:
        kind, text, position = self.tokens[self.place]
        if kind != "symbol" or text != symbol:
            raise ApiError(400, f"'{symbol}' expected at position {position}.")
        self.place += 1

    def _or(self) -> Term:
        left = self._and()
        while self._word("or"):
            right = _boolean(self._and(), self.tokens[self.place][2])
            left = _disjunction(_boolean(left, 0), right)
        return left

    def _and(self) -> Term:
        left = self._not()
        while self._word("and"):
            right = _boolean(self._not(), self.tokens[self.place][2])
            left = _conjunction(_boolean(left, 0), right)
        return left

    def _not(self) -> Term:
        if self._word("not"):
            inner = _boolean(self._not(), self.tokens[self.place][2]).evaluate
            return Term("Boolean", lambda row: not inner(row))
        return self._comparison()

    def _comparison(self) -> Term:
        left = self._primary()
        position = self.tokens[self.place][2]
        word = self._word(*_COMPARISONS)
        if word is None:
            return left
        return self._compare(word, left, self._primary(), position)

    def _compare(self, word: str, left: Term, right: Term, position: int) -> Term:
        _check_types(word, left, right, position)
        compare, folded = _COMPARISONS[word], self.fold
        first, second = left.evaluate, right.evaluate

        def evaluate(row: Row) -> bool:
            one, other = folded(first(row)), folded(second(row))
            if one is None or other is None:
                return compare(one is None, other is None) if word in ("eq", "ne") else False
            return bool(compare(one, other))

        equalities = {}
        if word == "eq" and left.property and right.property is None and right.type != "Null":
            equalities[left.property] = right.constant
        return Term("Boolean", evaluate, equalities=equalities)

    def _primary(self) -> Term:
        kind, text, position = self.tokens[self.place]
        self.place += 1
        if kind == "symbol" and text == "(":
            inner = self._or()
            self._symbol(")")
            return inner
        if kind == "name":
            return self._named(text, position)
        if kind in ("end", "symbol"):
            raise ApiError(400, f"Expression expected at position {position}.")
        return _literal(kind, text, position)

    def _named(self, name: str, position: int) -> Term:
        if name in ("true", "false", "null"):
            value = {"true": True, "false": False, "null": None}[name]
            return Term("Null" if name == "null" else "Boolean", lambda _row: value, constant=value)
        if self.tokens[self.place][1] == "(":
            return self._function(name, position)
        if "/" in name:
            raise ApiError(400, f"Filtering on a navigation property is not supported: '{name}' at position {position}.")
        prop = self.endpoint.properties.get(name)
        if prop is None:
            raise ApiError(400, f"No property '{name}' exists in type '{self.endpoint.model}' at position {position}.")
        if prop.is_collection:
            raise ApiError(400, f"Filtering on a navigation property is not supported: '{name}' at position {position}.")
        return Term(prop.type, lambda row: row.get(name), property=name)

    def _function(self, name: str, position: int) -> Term:
        count = _FUNCTIONS.get(name)
        if count is None:
            raise ApiError(400, f"Unknown function '{name}' at position {position}.")
        self._symbol("(")
        arguments = [self._or()]
        while len(arguments) < count:
            self._symbol(",")
            arguments.append(self._or())
        self._symbol(")")
        if any(argument.type != "String" for argument in arguments):
            raise ApiError(400, f"No applicable function found for '{name}' at position {position}.")
        return self._apply(name, [argument.evaluate for argument in arguments])

    def _apply(self, name: str, arguments: list[Callable[[Row], Any]]) -> Term:
        folded = self.fold
        change, test = _CHANGES.get(name), _TESTS.get(name)
        if change is not None:
            return Term("String", lambda row: None if (text := arguments[0](row)) is None else change(text))

        def evaluate(row: Row) -> bool:
            first, second = folded(arguments[0](row)), folded(arguments[1](row))
            return test is not None and first is not None and second is not None and test(first, second)

        return Term("Boolean", evaluate)


def _as_it_is(value: Any) -> Any:
    return value


def _boolean(term: Term, position: int) -> Term:
    if term.type != "Boolean":
        raise ApiError(400, f"Expression of type 'System.Boolean' expected at position {position}.")
    return term


def _conjunction(left: Term, right: Term) -> Term:
    return Term(
        "Boolean",
        lambda row: left.evaluate(row) and right.evaluate(row),
        equalities={**left.equalities, **right.equalities},
    )


def _disjunction(left: Term, right: Term) -> Term:
    return Term("Boolean", lambda row: left.evaluate(row) or right.evaluate(row))


def _literal(kind: str, text: str, position: int) -> Term:
    value: Any
    if kind == "guid":
        value, type_name = parse_guid(text[5:-1]), "Guid"
    elif kind == "datetime":
        try:
            value, type_name = parse_date(text[9:-1]), "DateTime"
        except ValueError as problem:
            raise ApiError(400, f"Unrecognized 'Edm.DateTime' literal '{text}' at '{position}'.") from problem
    elif kind == "string":
        value, type_name = text[1:-1].replace("''", "'"), "String"
    else:
        digits = text.rstrip("LlMmDdFf")
        value = Decimal(digits) if "." in digits or text[-1] in "MmDdFf" else int(digits)
        type_name = "Int64" if isinstance(value, int) else "Double"
    return Term(type_name, lambda _row: value, constant=value)


def _check_types(word: str, left: Term, right: Term, position: int) -> None:
    kinds = {("Number" if term.type in _NUMBERS else term.type) for term in (left, right)} - {"Null"}
    if len(kinds) > 1:
        raise ApiError(
            400,
            f"Operator '{word}' incompatible with operand types 'Edm.{left.type}' and 'Edm.{right.type}' at position {position}.",
        )


def parse_filter(text: str, endpoint: Endpoint, *, ignore_case: bool) -> Term:
    """Compiles `$filter`. Raises `ApiError` 400 in WCF's words for unknown properties, types that do not fit, bad syntax."""
    return _Parser(text, endpoint, ignore_case=ignore_case).parse()


def properties_used(text: str) -> set[str]:
    """The names in a filter that are neither operators, functions nor constants."""
    known = {*_COMPARISONS, *_FUNCTIONS, "and", "or", "not", "true", "false", "null"}
    return {found["name"] for found in _TOKEN.finditer(text) if found["name"]} - known


def parse_key(text: str, kinds: dict[str, str]) -> Any:
    """The key inside `Entity(...)`: `guid'…'`, a number, `'text'`, or `A='x',B=1` for keys of several parts.

    Raises `ApiError` 400 when it is malformed.
    """
    parts = [part.strip() for part in text.split(",")] if len(kinds) > 1 else [text.strip()]
    values: dict[str, Any] = {}
    for name, part in zip(kinds, parts, strict=False):
        literal = part.partition("=")[2] if len(kinds) > 1 else part
        found = _TOKEN.fullmatch(literal)
        if found is None or found.lastgroup in (None, "symbol", "name"):
            raise ApiError(400, "Bad Request - Error in query syntax.")
        term = _literal(found.lastgroup or "", found[found.lastgroup or 0], 0)
        expected = "Number" if kinds[name] in _NUMBERS else kinds[name]
        if expected != ("Number" if term.type in _NUMBERS else term.type):
            raise ApiError(400, "Bad Request - Error in query syntax.")
        values[part.partition("=")[0] if len(kinds) > 1 else name] = term.constant
    if set(values) != set(kinds):
        raise ApiError(400, "Bad Request - Error in query syntax.")
    return tuple(values[name] for name in kinds) if len(kinds) > 1 else next(iter(values.values()))


def key_text(key: Any, names: tuple[str, ...]) -> str:
    """A key as it stands between the parentheses of an address."""

    def one(value: Any) -> str:
        if isinstance(value, uuid.UUID):
            return f"guid'{value}'"
        return f"'{value}'" if isinstance(value, str) else f"{value}"

    if len(names) == 1:
        return one(key)
    return ",".join(f"{name}={one(value)}" for name, value in zip(names, key, strict=True))
