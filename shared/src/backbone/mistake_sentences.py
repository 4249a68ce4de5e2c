"""What a mistake in the configuration is called: what is wrong and what to write instead, in a controller's words."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel

from backbone.configuration_types import COUNTRY, CURRENCY, OWN_COUNTRY, PlacedError
from backbone.customer_configuration import ACCOUNT_CODE, CUSTOM_FIELD_NAME, EXACT_NAME
from backbone.mapping_configuration import CURRENCY_OR_ANY, PERCENT
from backbone.period_configuration import PERIOD_NAME
from backbone.rule_configuration import FIELD_NAME, SUBSCRIPTION_FIELD_NAME

KEY: Final = "[key]"  # pydantic's name for what is wrong with a key instead of its value
LONGEST_SHOWN = 40
# What to write where a pattern is asked for; a test wants every pattern of the schema here.
SHAPES: Final[dict[str, str]] = {
    COUNTRY: "a country's code in two capitals such as NL, or EU or non-EU",
    OWN_COUNTRY: "a country's code in two capitals such as NL",
    CURRENCY: "a currency's code in three capitals such as EUR",
    CURRENCY_OR_ANY: "a currency's code in three capitals such as EUR, or *",
    FIELD_NAME: "a custom field such as cf_project, sku, accounting_code, or accounting_category1 to accounting_category4",
    SUBSCRIPTION_FIELD_NAME: "a custom field of subscriptions, such as cf_project",
    CUSTOM_FIELD_NAME: "the name of a custom field in Chargebee, such as cf_kvk",
    ACCOUNT_CODE: "the code of an account in Exact, in digits, or new",
    EXACT_NAME: "a name as Exact shows it, without blanks around it",
    PERIOD_NAME: "a year and a period, such as 2026-03",
    PERCENT: "a percentage with a point and without a sign, such as 21 or 5.5",
}
_DAY = "write a day of the calendar as 2026-01-31"
_LIST = "write a list here, as in [...] or in lines that begin with a dash"
_KEYS = "write keys with values here, as in {{key: value}}"
_WHOLE = "write a whole number"
# pydantic's kinds of error; the values are those of its context.
_SENTENCES: Final[dict[str, str]] = {
    "missing": "this is required and missing; add it",
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "decimal_parsing": "write a number with a point and without a sign, such as 5.5",
    "decimal_type": "write a number with a point and without a sign, such as 5.5",
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "date_parsing": _DAY,
    "date_type": _DAY,
    "date_from_datetime_parsing": _DAY,
    "date_from_datetime_inexact": _DAY,
    "tuple_type": _LIST,
    "dict_type": _KEYS,
    "string_too_short": "this is empty; write what is meant",
    "string_too_long": "this is too long; write at most {max_length} characters",
    "string_type": "write one word, code or text here",
    "too_short": "this list is empty; write at least {min_length}, or leave the key out",
    "greater_than": "write more than {gt}",
    "greater_than_equal": "write {ge} or more",
    "less_than_equal": "write {le} or less",
}


def sentence_of(item: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Return the sentence of one of pydantic's errors in a document of `model`."""
    kind, place, context = item["type"], item["loc"], item.get("ctx", {})
    if kind == "value_error" and not isinstance(context.get("error"), PlacedError):
        return str(item["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return _about_unknown_key(str(place[-1]), sorted(_keys_at(model, place[:-1])))
    if kind == "literal_error" and place[-1] == KEY:
        return _about_unknown_key(str(item["input"]), _expected(context))
    prefix = "for the key " if place and place[-1] == KEY else ""
    return f"{prefix}{_wanted(kind, item, model)}{_given(item['input']) if kind not in _SHOWS_NOTHING else ''}"


# Of these the value is not there, or says nothing.
_SHOWS_NOTHING = frozenset(("missing", "too_short", "string_too_short"))


def _wanted(kind: str, item: Mapping[str, Any], model: type[BaseModel]) -> str:
    context = item.get("ctx", {})
    made: dict[str, Callable[[], str]] = {
        "literal_error": lambda: f"write {_one_of(_expected(context))}",
        "string_pattern_mismatch": lambda: f"write {SHAPES.get(context['pattern'], context['pattern'])}",
        "model_type": lambda: f"write keys with values here (known are {', '.join(sorted(_keys_at(model, item['loc'])))})",
    }
    if kind in made:
        return made[kind]()
    template = _SENTENCES.get(kind)
    if template is None:
        message = str(item["msg"])
        return f"{message[:1].lower()}{message[1:]}"
    return template.format_map(context)


def _given(value: Any) -> str:
    if value is None:
        return "; nothing is written here"
    if isinstance(value, bool):
        return f", not {str(value).lower()}"
    if isinstance(value, (list, dict)):
        return ", not a list" if isinstance(value, list) else ", not keys with values"
    text = str(value)
    return f", not {text if len(text) <= LONGEST_SHOWN else f'{text[:LONGEST_SHOWN]}...'}"


def _expected(context: Mapping[str, Any]) -> list[str]:
    return [part.strip("' ") for part in str(context["expected"]).replace(" or ", ", ").split(", ")]


def _one_of(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _about_unknown_key(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if near:
        return f"there is no key {key}; did you mean {near[0]}?"
    return f"there is no key {key}; " + (f"known are {', '.join(known)}" if known else "remove it")


def _keys_at(model: type[BaseModel], place: Iterable[int | str]) -> set[str]:
    models: set[type[BaseModel]] = {model}
    for part in place:
        annotations = [
            field.annotation for each in models for name, field in each.model_fields.items() if part in (name, field.alias)
        ]
        # A number in a list or the name of a section leads to what the annotation holds, which was unfolded already.
        models = {found for annotation in annotations for found in _models_in(annotation)} if annotations else models
    return {field.alias or name for each in models for name, field in each.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
