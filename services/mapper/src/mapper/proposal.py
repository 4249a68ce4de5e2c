"""A first mapping for a division, from what stands there: everything that can be known is filled in, the rest is undecided.

An undecided place makes the file unusable until a person fills it in, so that nothing is ever booked by a guess.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from backbone.configuration_types import UNDECIDED
from contracts.master_data import MasterData, VatCode

DEBTORS, REVENUE, GENERAL = 20, 110, 90
SALES, RETURNS = 20, 21
EXCLUSIVE, BASE_ONLY, NONE = "E", "B", "N"
ROUNDING_WORDS = ("afronding", "rounding", "betalingsverschil")
CONTROL_WORDS = ("kruispost", "betaaldienst", "psp", "clearing", "onderweg", "in transit")
EXPORT_WORDS = ("buiten de eu", "buiten eu", "export", "outside the eu", "non-eu")
EXCHANGE_WORDS = ("koersverschil", "exchange diff", "currency diff")
DEFERRAL_WORDS = ("vooruitontvangen omzet", "uitgestelde omzet", "deferred revenue")
EXEMPT_WORDS = ("vrijgesteld", "exempt")


def propose(data: MasterData, families: Mapping[str, str]) -> str:
    """Return the text of a kruispost.yaml for a division; `families` are Chargebee's product families that were seen, by id."""
    lines = [
        f"# A first mapping for division {data.division}, {data.name or 'without a name'}, from what stands in Exact.",
        f"# Replace every {UNDECIDED}: until then the file is unusable. Check the rest, too, and run `kruispost doctor --live`.",
        "version: 1",
        "",
        "sites:",
        f"  {UNDECIDED}: # the name of your Chargebee site, as in https://NAME.chargebee.com",
        "    time_zone: Europe/Amsterdam # dates are cut in it",
        f"    division: {data.division}",
        "",
        "divisions:",
        f"  {data.division}:",
        f"    name: {_text(data.name or str(data.division))}",
        f"    currency: {data.currency or UNDECIDED}",
        *_journals(data),
        f"    receivable_account: {_choice(data.ledgers, lambda each: each.type == DEBTORS)}",
        *_rounding(data),
        *_optional(data, "exchange_differences", EXCHANGE_WORDS, "cents and differences of what is in another currency"),
        *_optional(data, "deferral", DEFERRAL_WORDS, "where Exact keeps deferred revenue, for `kruispost deferred`"),
        "",
        "    # Revenue: one rule for each product family; add defer: true where Exact is to spread it over the service period.",
        f"    # Revenue accounts: {_listed(each for each in data.ledgers if each.type == REVENUE and not each.is_blocked)}",
        *_revenue(data, families),
        "",
        "    # VAT: by the country whose tax it is, the rate, or the reason why there is none.",
        *_vat(data),
        "",
        "    # Online payments: a clearing account for each gateway and currency, or book_payments: false.",
        "    control_accounts:",
        _control(data),
    ]
    return "\n".join(lines) + "\n"


def _control(data: MasterData) -> str:
    choice = _choice(data.ledgers, lambda each: each.type == GENERAL and _says(each, CONTROL_WORDS))
    account, _, comment = choice.partition(" # ")
    return f"      - {{ account: {account} }} # {comment}"


def _journals(data: MasterData) -> list[str]:
    def of(*types: int) -> str:
        return _choice(data.journals, lambda each: each.type in types)

    credit = RETURNS if any(each.type == RETURNS and not each.is_blocked for each in data.journals) else SALES
    plain = _choice(data.journals, lambda each: each.type == GENERAL and not each.allows_vat)
    return [
        "    journals:",
        f"      invoices: {of(SALES)}",
        f"      credit_notes: {of(credit)}",
        f"      payments: {plain if UNDECIDED not in plain else of(GENERAL)}",
    ]


def _rounding(data: MasterData) -> list[str]:
    account = _choice(data.ledgers, lambda each: _says(each, ROUNDING_WORDS))
    code = _choice(data.vat_codes, lambda each: each.type == NONE)
    return ["    rounding:", f"      account: {account}", f"      vat_code: {code}"]


def _optional(data: MasterData, section: str, words: tuple[str, ...], purpose: str) -> list[str]:
    """Write a section that a division can do without, where one account is clearly for it."""
    choice = _choice(data.ledgers, lambda each: _says(each, words))
    account, _, comment = choice.partition(" # ")
    return [] if UNDECIDED in account else [f"    {section}: {{ account: {account} }} # {comment}: {purpose}"]


def _revenue(data: MasterData, families: Mapping[str, str]) -> list[str]:
    accounts = [each for each in data.ledgers if each.type == REVENUE and not each.is_blocked]
    account = _text(accounts[0].code) if len(accounts) == 1 else UNDECIDED
    rules = [
        f"      - {{ when: {{ family: {_text(family)} }}, account: {account} }}"
        + (f" # {name}" if name and name != family else "")
        for family, name in sorted(families.items())
    ]
    rules = rules or [
        f"      - {{ when: {{ family: {UNDECIDED} }}, account: {account} }} # no product has come in from Chargebee yet"
    ]
    return ["    revenue:", *rules, f"      - {{ when: {{ type: adhoc }}, account: {account} }} # charges without a product"]


def _vat(data: MasterData) -> list[str]:
    home = data.country or "NL"
    usable = [each for each in data.vat_codes if not each.is_blocked and each.transaction_type != "P"]
    rules: list[tuple[str, str]] = []
    domestic = [each for each in usable if _is_domestic(each)]
    for rate in sorted({each.percentage for each in domestic}, reverse=True):
        of_rate = [each for each in domestic if each.percentage == rate]
        rules.append((f"country: {home}, rate: {rate.normalize():f}", _choice(of_rate, lambda _: True)))
    abroad = [each for each in usable if each.oss_country and each.type == EXCLUSIVE]
    rules += [
        (f"country: {code.oss_country}, rate: {code.percentage.normalize():f}", _code(code))
        for code in sorted(abroad, key=lambda each: (str(each.oss_country), each.code))
    ]
    zero = [each for each in usable if each.type == BASE_ONLY and each.percentage == Decimal(0)]
    rules += [
        ("country: EU, rate: 0, reason: reverse_charge", _choice(zero, lambda each: each.eu_sales_listing == "S")),
        (f"country: {home}, rate: 0, reason: reverse_charge", _choice(zero, lambda each: each.is_reverse_charged)),
        ("rate: 0, reason: export", _choice(zero, lambda each: _says(each, EXPORT_WORDS))),
        ("rate: 0, reason: product_exempt", _choice(zero, lambda each: _says(each, EXEMPT_WORDS))),
    ]
    return ["    vat:", *(_rule(conditions, code) for conditions, code in rules)]


def _is_domestic(code: VatCode) -> bool:
    return code.type == EXCLUSIVE and code.oss_country is None and code.percentage > 0


def _rule(conditions: str, choice: str) -> str:
    code, _, comment = choice.partition(" # ")
    return f"      - {{ when: {{ {conditions} }}, code: {code} }}" + (f" # {comment}" if comment else "")


def _code(code: VatCode) -> str:
    return f"{_text(code.code)} # {code.description}"


def _choice(things: Iterable[Any], fits: Callable[[Any], bool]) -> str:
    """Write the one thing that fits, else that it is undecided, with what there is to choose from."""
    found = [each for each in things if not getattr(each, "is_blocked", False) and fits(each)]
    if len(found) == 1:
        return f"{_text(found[0].code)} # {found[0].description}"
    return f"{UNDECIDED} # {'one of ' + _listed(found) if found else 'none was found'}"


def _listed(things: Iterable[Any]) -> str:
    return ", ".join(f"{each.code} {each.description}".strip() for each in sorted(things, key=lambda each: str(each.code)))


def _says(thing: Any, words: tuple[str, ...]) -> bool:
    return any(word in thing.description.casefold() for word in words)


def _text(text: str) -> str:
    """Write a text so that YAML reads it as one, whatever is in it."""
    return json.dumps(text, ensure_ascii=False)
