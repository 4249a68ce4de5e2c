"""What stands on an entry and its lines in words: templates that a controller writes, filled in for each document.

The document's number in YourRef is not a template: an entry whose answer was lost is found again by it, and Exact shows it on
what the customer has open.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

Language = Literal["en", "nl"]

# Exact's limits: it refuses or cuts what is longer.
DESCRIPTION_LENGTH = 60
NOTES_LENGTH = 2000
ELLIPSIS = "…"

CUSTOM_FIELD = "cf_"
SUBSCRIPTION_FIELD = "subscription.cf_"
OF_ENTRIES = {
    "kind": "Factuur or Creditnota, Invoice or Credit note",
    "number": "the number of the document",
    "invoice": "the number of the invoice that a credit note credits",
    "customer": "the name of the customer: company, else person",
    "customer_id": "the customer's id in Chargebee",
    "po_number": "the customer's own order number",
    "currency": "the currency of the document",
    "date": "the date of the document",
    "period": "the service period, from the first to the last day served",
}
OF_LINES = {
    **OF_ENTRIES,
    "line": "the description of the line in Chargebee",
    "product": "the id of the item price, plan or addon",
    "subscription": "the id of the subscription",
}

_WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "invoice": "Invoice",
        "credit_note": "Credit note",
        "rounding": "Rounding",
        "exchange_rounding": "Rounding of exchange",
        "discount": "Discount",
        "reversal": "Reversal of",
        "to": "to",
        "entry": "{kind} {number}[ for invoice {invoice}]",
        "payment": "Payment {number}",
        "refund": "Refund {number}",
        "payout": "Payout {number}",
        "exchange_difference": "Exchange difference {number}",
        "withheld_tax": "Tax withheld from invoice {invoice}",
        "write_off": "Write-off {number} for invoice {invoice}",
        "vat_of_write_off": "VAT of write-off {number} for invoice {invoice}",
        "base_of_vat_code": "Base of VAT code {code}",
        "base_taken_off": "Base taken off again",
        "back_to_booking": "{reference} back to the booking",
    },
    "nl": {
        "invoice": "Factuur",
        "credit_note": "Creditnota",
        "rounding": "Afronding",
        "exchange_rounding": "Koersafronding",
        "discount": "Korting",
        "reversal": "Terugboeking van",
        "to": "t/m",
        "entry": "{kind} {number}[ bij factuur {invoice}]",
        "payment": "Betaling {number}",
        "refund": "Terugbetaling {number}",
        "payout": "Uitbetaling {number}",
        "exchange_difference": "Koersverschil {number}",
        "withheld_tax": "Ingehouden belasting van factuur {invoice}",
        "write_off": "Afboeking {number} van factuur {invoice}",
        "vat_of_write_off": "Btw van afboeking {number} van factuur {invoice}",
        "base_of_vat_code": "Grondslag van btw-code {code}",
        "base_taken_off": "Grondslag er weer af",
        "back_to_booking": "{reference} terug naar de boeking",
    },
}
_TOKEN = re.compile(r"\{(?P<name>[^{}]*)\}|(?P<mark>[\[\]{}])|(?P<text>[^\[\]{}]+)")


class TemplateError(ValueError):
    """A template names something that there is not, or its brackets do not fit."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text with placeholders such as `{number}`; a part in square brackets is left out when a placeholder in it is empty.

    Raises TemplateError, by `parse`, when the text names a placeholder that is not among those allowed.
    """

    source: str
    parts: tuple[tuple[tuple[bool, str], ...], ...]

    @classmethod
    def parse(cls, source: str, allowed: MappingOf[str, str]) -> Template:
        """Read a template; `allowed` has the placeholders with their meaning.

        Custom fields (`{cf_x}`) and those of subscriptions (`{subscription.cf_x}`) always are.
        """
        parts: list[tuple[tuple[bool, str], ...]] = []
        current: list[tuple[bool, str]] = []
        inside = False
        for found in _TOKEN.finditer(source):
            name, mark = found["name"], found["mark"]
            if name is not None:
                if name not in allowed and not _is_field(name):
                    raise TemplateError(_about_placeholder(name, allowed))
                current.append((True, name))
            elif mark is None:
                current.append((False, found["text"]))
            elif mark in "{}" or inside == (mark == "["):
                raise TemplateError(f"the brackets in {source!r} do not fit; write {{number}} or [ for {{invoice}}]")
            else:
                inside = mark == "["
                parts.append(tuple(current))
                current = []
        if inside:
            raise TemplateError(f"a square bracket in {source!r} is not closed; write ] after what is left out when empty")
        parts.append(tuple(current))
        return cls(source, tuple(parts))

    @property
    def placeholders(self) -> frozenset[str]:
        """The names that the template asks for."""
        return frozenset(text for part in self.parts for is_name, text in part if is_name)

    def render(self, values: MappingOf[str, str]) -> str:
        """Fill in the values; what is empty leaves no double blanks behind."""
        written: list[str] = []
        in_brackets = True
        for part in self.parts:
            # Parts alternate: outside, in brackets, outside, and so on.
            in_brackets = not in_brackets
            found = [values.get(text, "") if is_name else text for is_name, text in part]
            if not in_brackets or "" not in found:
                written += found
        return " ".join("".join(written).split())


def _about_placeholder(name: str, allowed: MappingOf[str, str]) -> str:
    near = difflib.get_close_matches(name, allowed, n=1)
    if near:
        return f"{{{name}}} is no placeholder; did you mean {{{near[0]}}}?"
    known = ", ".join(allowed)
    return f"{{{name}}} is no placeholder; use one of {known}, or a custom field such as cf_project, or subscription.cf_project"


def _is_field(name: str) -> bool:
    """Tell whether a placeholder is a custom field, of a subscription or of another resource."""
    return any(name.startswith(prefix) and name != prefix for prefix in (CUSTOM_FIELD, SUBSCRIPTION_FIELD))


def cut(text: str, length: int, *, ellipsis: bool = False) -> str:
    """Shorten a text to a length, at the end of a word where that leaves at least half of it."""
    if len(text) <= length:
        return text
    room = length - len(ELLIPSIS) if ellipsis else length
    head = text[:room]
    if not text[room].isspace():
        at_word = head.rfind(" ")
        head = head[:at_word] if at_word >= room // 2 else head
    return head.rstrip() + (ELLIPSIS if ellipsis else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The templates of a division; None for a line's own description, and for no notes.

    `asked` are the placeholders of all templates that a document fills in, `asked_of_lines` all of lines and notes, and
    `custom_fields` those of both that are custom fields, `subscription_fields` those of subscriptions: nothing else need be
    worked out.
    """

    language: Language = "en"
    entry: Template | None = None
    line: Template | None = None
    notes: Template | None = None
    ellipsis: bool = False
    asked: frozenset[str] = field(init=False)
    asked_of_lines: frozenset[str] = field(init=False)
    custom_fields: frozenset[str] = field(init=False)
    subscription_fields: frozenset[str] = field(init=False)
    _default: Template = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_default", Template.parse(self.word("entry"), OF_ENTRIES))
        of_lines = [template.placeholders for template in (self.line, self.notes) if template is not None]
        asked = (self.entry or self._default).placeholders.union(*of_lines)
        object.__setattr__(self, "asked", asked & OF_ENTRIES.keys())
        object.__setattr__(self, "asked_of_lines", frozenset[str]().union(*of_lines))
        object.__setattr__(self, "custom_fields", frozenset(name for name in asked if name.startswith(CUSTOM_FIELD)))
        of_subscriptions = frozenset(name for name in asked if name.startswith(SUBSCRIPTION_FIELD))
        object.__setattr__(self, "subscription_fields", of_subscriptions)

    def word(self, name: str, **values: object) -> str:
        """Return a word or a fixed text in the division's language, with these values filled in."""
        return _WORDS[self.language][name].format_map(values) if values else _WORDS[self.language][name]

    def period(self, first: date | None, last: date | None) -> str:
        """Write a service period: days in the Dutch or the ISO order, or nothing."""
        if first is None or last is None:
            return ""
        return f"{self.day(first)} {self.word('to')} {self.day(last)}"

    def day(self, day: date) -> str:
        """Write a day as the language does."""
        return f"{day.day:02d}-{day.month:02d}-{day.year}" if self.language == "nl" else day.isoformat()

    def entry_description(self, values: MappingOf[str, str]) -> str:
        """Return the header's description, within Exact's length."""
        return cut((self.entry or self._default).render(values), DESCRIPTION_LENGTH, ellipsis=self.ellipsis)

    def reversal(self, description: str) -> str:
        """Return the description of the entry that takes another one back."""
        # An abbreviation that a template begins with stays as it is.
        of_what = description if description[1:2].isupper() else f"{description[:1].lower()}{description[1:]}"
        text = f"{self.word('reversal')} {of_what}"
        return cut(text, DESCRIPTION_LENGTH, ellipsis=self.ellipsis)

    def own_description(self, text: str) -> str:
        """Return a line's own description, within Exact's length."""
        return cut(text, DESCRIPTION_LENGTH, ellipsis=self.ellipsis)

    def line_description(self, values: MappingOf[str, str]) -> str:
        """Return a line's description, within Exact's length."""
        return self.own_description(self.line.render(values) if self.line is not None else values["line"])

    def line_notes(self, values: MappingOf[str, str]) -> str:
        """Return the notes of a line, empty where there are none."""
        return cut(self.notes.render(values), NOTES_LENGTH, ellipsis=self.ellipsis) if self.notes is not None else ""
