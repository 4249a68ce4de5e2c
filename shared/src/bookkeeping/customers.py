"""What decides about a customer's account in the ledger, beyond the customer's own details."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

NEW_ACCOUNT: Final = "new"
# How much the free fields of an account take at most, as far as is safe: Exact tells no lengths, and refuses what is too long.
ACCOUNT_FIELD_LENGTHS: Final[Mapping[str, int]] = {"remarks": 250, "trade_name": 50, "website": 100, "code_at_supplier": 30}
# The same for what Chargebee knows of a customer; an address is cut there, and anything else is left out.
CONTACT_LENGTHS: Final[Mapping[str, int]] = {
    "address_line1": 100,
    "address_line2": 100,
    "address_line3": 100,
    "city": 100,
    "postcode": 20,
    "phone": 25,
    "email": 128,
}
_MAY_BE_CUT: Final = frozenset(("address_line1", "address_line2", "address_line3", "city"))
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_CHAMBER_OF_COMMERCE = re.compile(r"\d{8}")
_SEPARATORS = re.compile(r"[\s.\-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRules:
    """How a division keeps its customers.

    `links` is a person's answer to which account a customer is: Chargebee's customer id, alone or as `site/id`, to the code of
    the account, or `new` for one of its own. `languages` is Chargebee's locale to Exact's language code. `account_fields` are
    free fields of an account, each with the custom field that it shows; `custom_fields` the same for fields that are Exact's own.
    """

    links: Mapping[str, str] = field(default_factory=dict)
    chamber_of_commerce: str | None = None
    languages: Mapping[str, str] = field(default_factory=dict)
    hierarchy: Literal["none", "parent", "invoice_account"] = "none"
    account_fields: Mapping[str, str] = field(default_factory=dict)
    custom_fields: Mapping[str, str] = field(default_factory=dict)

    def link(self, site: str, customer_id: str) -> str | None:
        """Return the code of the account that a person named for a customer, `new`, or None."""
        return self.links.get(f"{site}/{customer_id}") or self.links.get(customer_id)

    def shown_fields(self, custom_fields: Mapping[str, str]) -> dict[str, str | None]:
        """Return the free fields of an account with their values; one that is empty or does not fit in is None."""
        found = {name: custom_fields.get(source) for name, source in self.account_fields.items()}
        return {name: value if value and len(value) <= ACCOUNT_FIELD_LENGTHS[name] else None for name, value in found.items()}

    def own_fields(self, custom_fields: Mapping[str, str]) -> dict[str, str]:
        """Return the values of Exact's own custom fields; one that is empty is left out, since Exact takes no empty value."""
        found = {name: custom_fields.get(source) for name, source in self.custom_fields.items()}
        return {name: value for name, value in found.items() if value}

    def too_long(self, custom_fields: Mapping[str, str]) -> list[str]:
        """Return the custom fields whose values do not fit in the field that is to show them."""
        shown = self.shown_fields(custom_fields)
        return [source for name, source in self.account_fields.items() if custom_fields.get(source) and shown[name] is None]

    def language(self, locale: str | None) -> str | None:
        """Return Exact's language code of a locale such as nl or nl-BE, the exact one before its language, or None."""
        if locale is None:
            return None
        return self.languages.get(locale) or self.languages.get(re.split(r"[-_]", locale, maxsplit=1)[0])


def usable_contact(contact: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the contact details that Exact takes; what is no e-mail address, or too long and not to be cut, is None."""
    found: dict[str, str | None] = {}
    for name, value in contact.items():
        given = (value or "").strip() or None
        longest = CONTACT_LENGTHS[name]
        if given is not None and len(given) > longest:
            given = given[:longest].rstrip() if name in _MAY_BE_CUT else None
        if name == "email" and given is not None and _EMAIL.fullmatch(given) is None:
            given = None
        found[name] = given
    return found


def chamber_of_commerce_of(raw: str | None) -> str | None:
    """Return a number of the Dutch chamber of commerce (KvK): eight digits, without separators; None for anything else."""
    number = _SEPARATORS.sub("", raw or "")
    return number if _CHAMBER_OF_COMMERCE.fullmatch(number) else None
