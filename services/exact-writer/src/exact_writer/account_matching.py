"""Which account of Exact a customer is that has none yet: at no call, from the mirror.

In this order: the account that a person named, the one that carries our search code (an earlier installation made it), the one
that carries Chargebee's id, and the one with the customer's VAT number or e-mail. Exactly one must fit, or a person is asked.
"""

from __future__ import annotations

from typing import Final

import msgspec

from backbone.customer_configuration import CustomersConfiguration
from backbone.database import Database
from contracts.commands import SaveAccount
from exact_writer import account_book, payloads
from exact_writer.account_book import Origin
from exact_writer.account_mirror import AccountMirror, AccountRecord, MarkKind, normalised
from exact_writer.words import Told, say

NEW: Final = "new"


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """An account of Exact that a customer is, and why."""

    record: AccountRecord
    origin: Origin


class Unmatched(msgspec.Struct, frozen=True, kw_only=True):
    """Why a person has to say which account a customer is."""

    code: str
    told: Told


class AccountMatcher:
    """Finds the account of a customer in one division."""

    def __init__(self, division: int, configuration: CustomersConfiguration, database: Database, mirror: AccountMirror) -> None:
        self._division = division
        self._configuration = configuration
        self._database = database
        self._mirror = mirror

    @property
    def asks_contacts(self) -> bool:
        """Whether the contacts of accounts can decide."""
        return "email" in self._configuration.match

    async def find(self, command: SaveAccount) -> Match | Unmatched | None:
        """The account of a customer; None when it needs a new one."""
        found = await self._find(command)
        if isinstance(found, Match) and found.record.is_blocked:
            told = say("account_blocked_of", label=found.record.label, customer=_id_of(command.customer_ref))
            return Unmatched(code="account_blocked", told=told)
        return found

    async def _find(self, command: SaveAccount) -> Match | Unmatched | None:
        ours = await self._mirror.find("search_code", payloads.search_code(command.customer_ref))
        if command.account_code == NEW:
            return Match(record=ours[0], origin="created") if ours else None
        if command.account_code is not None:
            named = await self._mirror.find("code", command.account_code)
            if named:
                return Match(record=named[0], origin="linked")
            told = say("unknown_account", code=command.account_code, customer=_id_of(command.customer_ref))
            return Unmatched(code="unknown_account", told=told)
        if ours:
            return Match(record=ours[0], origin="created")
        customer_id = _id_of(command.customer_ref)
        if self._configuration.chargebee_id is not None:
            found = await self._one_of(self._configuration.chargebee_id, customer_id, say("mark_id", value=customer_id), command)
            if found is not None:
                return found
        for kind in self._configuration.match:
            value = command.vat_number if kind == "vat_number" else command.email
            found = await self._one_of(kind, value, say(f"mark_{kind}", value=value), command)
            if found is not None:
                return found
        return None

    async def _one_of(self, kind: MarkKind, value: str | None, mark: Told, command: SaveAccount) -> Match | Unmatched | None:
        hits = await self._mirror.find(kind, value)
        if kind == "email":
            by_id = {record.account_id: record for record in (*hits, *await self._mirror.find("contact_email", value))}
            hits = list(by_id.values())
        if not hits:
            return None
        async with self._database.reading() as connection:
            owners = await account_book.owners(connection, self._division, [record.account_id for record in hits])
        # An account that was made for another customer, or that a person gave to it, is not this one's.
        free = [record for record in hits if not _is_of_another(record, owners.get(record.account_id, []), command.customer_ref)]
        if not free:
            return None
        taken = [record for record in free if owners.get(record.account_id)]
        if len(free) == 1 and not taken and not _contradicts(free[0], command):
            return Match(record=free[0], origin="matched")
        return self._ask(free, owners, mark, command)

    def _ask(
        self, hits: list[AccountRecord], owners: dict[str, list[tuple[str, Origin]]], mark: Told, command: SaveAccount
    ) -> Unmatched:
        described = [_described(record, owners.get(record.account_id, []), command) for record in hits]
        listed = Told("; ".join(each.english for each in described), "; ".join(each.dutch for each in described))
        name = "customer_ambiguous_one" if len(hits) == 1 else "customer_ambiguous"
        customer = _id_of(command.customer_ref)
        told = say(name, count=len(hits), mark=mark, customer=customer, name=command.name, listed=listed)
        return Unmatched(code="customer_ambiguous", told=told)


def _is_of_another(record: AccountRecord, owners: list[tuple[str, Origin]], customer_ref: str) -> bool:
    if any(owner != customer_ref and origin != "matched" for owner, origin in owners):
        return True
    search_code = record.values.get("SearchCode", "")
    prefix = normalised("search_code", payloads.SEARCH_CODE_PREFIX) or ""
    made_by_us = len(search_code) == len(payloads.search_code(customer_ref)) and search_code.casefold().startswith(prefix)
    return made_by_us and not owners and search_code.casefold() != payloads.search_code(customer_ref).casefold()


def _contradicts(record: AccountRecord, command: SaveAccount) -> bool:
    """Whether both have a VAT number and it is not the same: then it is another company behind the same mailbox."""
    here, there = normalised("vat_number", command.vat_number), normalised("vat_number", record.values.get("VATNumber"))
    return here is not None and there is not None and here != there


def _described(record: AccountRecord, owners: list[tuple[str, Origin]], command: SaveAccount) -> Told:
    remarks = [say("already_customer", customer=_id_of(owner)) for owner, _ in owners if owner != command.customer_ref]
    if _contradicts(record, command):
        remarks.append(say("with_vat_number", number=record.values.get("VATNumber")))
    if not remarks:
        return Told(record.label, record.label)
    english, dutch = (", ".join(getattr(each, name) for each in remarks) for name in ("english", "dutch"))
    return Told(f"{record.label} ({english})", f"{record.label} ({dutch})")


def _id_of(customer_ref: str) -> str:
    return customer_ref.partition("/")[2]
