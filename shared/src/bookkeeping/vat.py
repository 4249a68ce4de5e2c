"""Which VAT code of Exact belongs to a line, and whether a VAT number can be one at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from stdnum.exceptions import ValidationError
from stdnum.util import get_cc_module

# Northern Ireland (XI) counts as the Union for goods only; services there are British, so it is not listed.
UNION = frozenset(
    (
        *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
        *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
    )
)
INSIDE_UNION = "EU"
OUTSIDE_UNION = "non-EU"
NO_REASON = "none"
REVERSE_CHARGE = "reverse_charge"
ZERO = Decimal(0)

_NUMBER_SHAPES: dict[str, re.Pattern[str]] = {
    prefix: re.compile(shape)
    for prefix, shape in {
        "AT": r"U\d{8}",
        "BE": r"[01]\d{9}",
        "BG": r"\d{9,10}",
        "CY": r"\d{8}[A-Z]",
        "CZ": r"\d{8,10}",
        "DE": r"\d{9}",
        "DK": r"\d{8}",
        "EE": r"\d{9}",
        "EL": r"\d{9}",
        "ES": r"[A-Z0-9]\d{7}[A-Z0-9]",
        "FI": r"\d{8}",
        "FR": r"[A-Z0-9]{2}\d{9}",
        "HR": r"\d{11}",
        "HU": r"\d{8}",
        "IE": r"(\d[A-Z0-9+*]\d{5}[A-Z]{1,2}|\d{7}WI)",
        "IT": r"\d{11}",
        "LT": r"(\d{9}|\d{12})",
        "LU": r"\d{8}",
        "LV": r"\d{11}",
        "MT": r"\d{8}",
        "NL": r"\d{9}B\d{2}",
        "PL": r"\d{10}",
        "PT": r"\d{9}",
        "RO": r"\d{2,10}",
        "SE": r"\d{12}",
        "SI": r"\d{8}",
        "SK": r"\d{10}",
        "XI": r"(\d{9}|\d{12}|GD\d{3}|HA\d{3})",
        "GB": r"(\d{9}|\d{12}|GD\d{3}|HA\d{3})",
    }.items()
}


# Whose check digits a prefix is tried by: Greece writes EL, Northern Ireland has British numbers.
_CHECKED_AS = {"EL": "gr", "XI": "gb"}


@lru_cache(maxsize=65_536)
def vat_number_of(raw: str | None, country: str | None) -> str | None:
    """Return a VAT number as its country writes it, with its prefix (EL for Greece), or None when it cannot be one.

    Shape and check digit decide, since Exact refuses a customer whose number fails them. Numbers of countries outside the Union
    and the United Kingdom are returned as they are, without spaces and dots.
    """
    if raw is None:
        return None
    number = re.sub(r"[\s.\-/]", "", raw).upper()
    if not number:
        return None
    prefix = "EL" if country == "GR" else (country or "")
    for known in ({number[:2], "EL"} if number.startswith("GR") else {number[:2]}) & _NUMBER_SHAPES.keys():
        if _is_number(known, number[2:]):
            return known + number[2:]
    if prefix not in _NUMBER_SHAPES:
        return number
    return prefix + number if _is_number(prefix, number) else None


def _is_number(prefix: str, number: str) -> bool:
    """Tell whether a number without its prefix has the shape and the check digit of its country."""
    if _NUMBER_SHAPES[prefix].fullmatch(number) is None:
        return False
    module = get_cc_module(_CHECKED_AS.get(prefix, prefix.lower()), "vat")
    if module is None:
        return True
    try:
        module.validate(number)
    except ValidationError:
        return False
    return True


def country_fits(wanted: str | None, country: str | None) -> bool:
    """Tell whether a rule's country (an ISO code, EU, non-EU, or None for any) covers a country; an unknown one only by any."""
    if wanted is None:
        return True
    if country is None:
        return False
    if wanted == INSIDE_UNION:
        return country in UNION
    if wanted == OUTSIDE_UNION:
        return country not in UNION
    return wanted == country


def describe_conditions(conditions: Mapping[str, object]) -> str:
    """Write conditions as they stand in the configuration, without those that are not set."""
    return ", ".join(f"{name}: {value}" for name, value in conditions.items() if value is not None)


class AmbiguousRulesError(ValueError):
    """Two rules are equally specific and can both cover one line, so that neither may decide."""
