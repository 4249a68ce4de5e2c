"""The next step for a customer that is to be saved: which account it is, and the one call that makes or changes it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from contracts.commands import SaveAccount
from exact_writer import account_book, odata, payloads
from exact_writer.account_book import Known
from exact_writer.account_matching import NEW, AccountMatcher, Match, Unmatched
from exact_writer.client import Request
from exact_writer.client_keys import ClientKeys
from exact_writer.master_records import Kind
from exact_writer.mirror import Mirror
from exact_writer.precheck import DEBTORS
from exact_writer.schedule import ENDPOINTS
from exact_writer.words import say

# A new customer may have been entered in Exact by hand since the mirror was read: at most so often, one call finds out.
LOOK_AGAIN_SECONDS: Final = 3_600.0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What to do: the call, or none when Exact has everything; and what is known once it is done.

    `saved` has an empty account id while the account is yet to be made.
    """

    saved: Known
    request: Request | None = None


class Accounts:
    """Decides how the customers of one division are saved."""

    def __init__(self, division: int, database: Database, mirror: Mirror, matcher: AccountMatcher, keys: ClientKeys) -> None:
        self._keys = keys
        self._division = division
        self._database = database
        self._mirror = mirror
        self._matcher = matcher

    async def next_step(self, command: SaveAccount, cause: str) -> Step | Unmatched:
        """What to do about a customer, because of the command with the id `cause`.

        Raises what DivisionCalls.read raises when the mirror is read again.
        """
        missing = await self._missing(command)
        if missing is not None:
            return missing
        async with self._database.reading() as connection:
            known = await account_book.find(connection, self._division, command.customer_ref)
        if known is None or _names_another(command, known) or await self._is_gone(known):
            return await self._begin(command, cause)
        if known.fingerprint == command.fingerprint:
            return Step(saved=known)
        body = await self._whole_body(command)
        changes = _own(payloads.changes(body, known.sent), known)
        saved = msgspec.structs.replace(known, fingerprint=command.fingerprint, sent=body)
        if not changes:
            return Step(saved=saved)
        return Step(saved=saved, request=_put(known.account_id, changes))

    async def _is_gone(self, known: Known) -> bool:
        """Whether the account was deleted in Exact, or merged into another, as far as the mirror knows."""
        return any(record.is_gone for record in await self._mirror.accounts.get([known.account_id]))

    async def is_in_mirror(self, command: SaveAccount) -> bool:
        """Whether the mirror has an account that was made for this customer."""
        return bool(await self._mirror.accounts.find("search_code", payloads.search_code(command.customer_ref)))

    def created(self, command: SaveAccount, account_id: str) -> Known:
        """What is known of an account that was made for a customer; its id is empty until then."""
        return Known(
            account_id=account_id,
            fingerprint=command.fingerprint,
            link=command.account_code,
            sent=self._body(command),
        )

    async def forget(self, connection: AsyncConnection, account_id: str) -> None:
        """Note that Exact has no such account any more."""
        await account_book.forget(connection, self._division, account_id)
        await self._mirror.accounts.forget(connection, account_id)

    def _body(self, command: SaveAccount) -> dict[str, Any]:
        ledger = self._mirror.find("ledger", command.receivable_account or "")
        return payloads.account(command, ledger.id if ledger is not None else None)

    async def _whole_body(self, command: SaveAccount) -> dict[str, Any]:
        """The body with the accounts of the customers above this one, as far as they have one; who has none yet is left out."""
        body = self._body(command)
        async with self._database.reading() as connection:
            for name, ref in (("Parent", command.parent_ref), ("InvoiceAccount", command.invoice_account_ref)):
                above = await account_book.find(connection, self._division, ref) if ref is not None else None
                if above is not None:
                    body[name] = above.account_id
        return body

    async def _missing(self, command: SaveAccount) -> Unmatched | None:
        """What the mapping names for the customer and Exact does not have, after one look whether it is there by now."""
        named: tuple[tuple[Kind, str | None, str], ...] = (
            ("ledger", command.receivable_account, "unknown_gl_account"),
            ("payment_condition", command.payment_condition, "unknown_payment_condition"),
        )
        for kind, code, refusal in named:
            if code is None or self._mirror.find(kind, code) is not None:
                continue
            if self._mirror.is_older_than(kind, LOOK_AGAIN_SECONDS):
                await self._mirror.refresh(kind)
            if self._mirror.find(kind, code) is None:
                return Unmatched(code=refusal, told=say(refusal, code=code))
        debtors = self._mirror.find("ledger", command.receivable_account or "")
        if debtors is not None and debtors.type != DEBTORS:
            told = say("no_debtors_account", code=command.receivable_account, type=DEBTORS)
            return Unmatched(code="wrong_gl_account_type", told=told)
        return None

    async def _begin(self, command: SaveAccount, cause: str) -> Step | Unmatched:
        """Find the account of a customer that has none, or that a person linked to another one; else make one."""
        await self._read_contacts(seconds=float("inf"))
        found = await self._matcher.find(command)
        if not isinstance(found, Match) and self._mirror.is_older_than("account", LOOK_AGAIN_SECONDS):
            await self._mirror.refresh("account")
            await self._read_contacts(LOOK_AGAIN_SECONDS)
            found = await self._matcher.find(command)
        if isinstance(found, Unmatched):
            return found
        body = await self._whole_body(command)
        created = msgspec.structs.replace(self.created(command, ""), sent=body)
        if found is None:
            return Step(saved=created, request=self._keys.post(ENDPOINTS["account"], cause, payloads.new_account(body)))
        record = found.record
        saved = msgspec.structs.replace(created, account_id=record.account_id, origin=found.origin)
        return Step(saved=saved, request=_put(record.account_id, _own(payloads.adoption(body, record.values), saved)))

    async def _read_contacts(self, seconds: float) -> None:
        """Read contacts when they were never read or are older than this; they only matter where others made accounts."""
        is_old = self._matcher.asks_contacts and self._mirror.is_older_than("contact", seconds)
        if is_old and await self._mirror.accounts.has_strangers():
            await self._mirror.refresh("contact")


def _names_another(command: SaveAccount, known: Known) -> bool:
    """Whether a person named another account than the one that the customer has."""
    if command.account_code == NEW and known.origin == "created":
        return False
    return command.account_code not in (None, known.link)


def _own(changes: dict[str, Any], known: Known) -> dict[str, Any]:
    """Changes without our search code and the free fields where the account is not ours: what a person typed there stays."""
    if known.origin == "created":
        return changes
    return {name: value for name, value in changes.items() if name != "SearchCode" and name not in payloads.FREE_FIELDS.values()}


def _put(account_id: str, changes: dict[str, Any]) -> Request:
    endpoint = ENDPOINTS["account"]
    path = f"{endpoint}({odata.guid(account_id)})"
    return Request(method="PUT", endpoint=endpoint, path=path, body=payloads.encode(changes))
