"""The mirror of Exact's accounts and contacts in one division: what an account can be recognised by.

It stays in the database, since there may be very many, and is looked up only when a customer comes that has no account yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from exact_writer import odata, payloads
from exact_writer.tables import account_marks, exact_accounts
from exact_writer.tables import accounts as customers

Item = TypeVar("Item")
MarkKind = Literal["code", "search_code", "code_at_supplier", "vat_number", "email", "contact_email"]
_MarksBySource = dict[str, tuple[str, set[tuple[MarkKind, str]]]]  # contact or account to its account and marks

ACCOUNT_SELECT: Final = ("ID", "Code", "Status", "Blocked", "CodeAtSupplier", *payloads.ACCOUNT_PROPERTIES)
CONTACT_SELECT: Final = ("ID", "Account", "Email", "BusinessEmail")
_ROWS_A_STATEMENT: Final = 500
_NOT_OF_THE_NUMBER = re.compile(r"[^A-Z0-9]")


class AccountRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An account as Exact showed it; `values` has the properties that are filled, of those that are sent.

    One that is gone was deleted in Exact, or merged into another.
    """

    account_id: str
    code: str
    status: str = ""
    is_blocked: bool = False
    is_gone: bool = False
    values: dict[str, str] = {}

    @property
    def label(self) -> str:
        """How a person recognises it."""
        blocked = ", blocked" if self.is_blocked else ""
        return f"{self.code} {self.values.get('Name', '')}{blocked}"


class AccountMirror:
    """Accounts by their marks."""

    def __init__(self, division: int, database: Database) -> None:
        self._division = division
        self._database = database
        self._has_strangers: bool | None = None

    async def store_accounts(self, connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take up accounts as sync/CRM/Accounts showed them."""
        self._has_strangers = None
        records = [_record(row) for row in rows]
        await self._store_records(connection, records)
        marks: _MarksBySource = {
            record.account_id: (record.account_id, _marks_of(row)) for record, row in zip(records, rows, strict=True)
        }
        await self._store_marks(connection, marks)

    async def store_contacts(self, connection: AsyncConnection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take up contacts as sync/CRM/Contacts showed them: their e-mail addresses are marks of their account."""
        marks: _MarksBySource = {}
        for row in rows:
            addresses = {normalised("email", row.get(name)) for name in ("Email", "BusinessEmail")}
            if row.get("Account"):
                marks[str(row["ID"])] = (str(row["Account"]), {("contact_email", value) for value in addresses if value})
        await self._store_marks(connection, marks)

    async def find(self, kind: MarkKind, value: str | None) -> list[AccountRecord]:
        """The accounts that have a mark, in the order of their codes; none for an empty value."""
        key = normalised(kind, value)
        if key is None:
            return []
        marked = sa.select(account_marks.c.account_id).where(
            account_marks.c.division == self._division, account_marks.c.kind == kind, account_marks.c.value == key
        )
        statement = sa.select(exact_accounts.c.record).where(
            exact_accounts.c.division == self._division, exact_accounts.c.account_id.in_(marked)
        )
        async with self._database.reading() as connection:
            records = [_decoder.decode(bytes(row.record)) for row in await connection.execute(statement)]
        return sorted(records, key=lambda record: (len(record.code), record.code))

    async def get(self, account_ids: Sequence[str]) -> list[AccountRecord]:
        """Those of these accounts that the mirror knows; one that was made after it was read is missing."""
        statement = sa.select(exact_accounts.c.record).where(
            exact_accounts.c.division == self._division, exact_accounts.c.account_id.in_(account_ids)
        )
        async with self._database.reading() as connection:
            return [_decoder.decode(bytes(row.record)) for row in await connection.execute(statement)]

    async def note_customer(self, connection: AsyncConnection, account_id: str) -> None:
        """Note that an account was saved as a customer: the mirror may have seen it as something else before."""
        where = (exact_accounts.c.division == self._division, exact_accounts.c.account_id == account_id)
        kept = await connection.scalar(sa.select(exact_accounts.c.record).where(*where))
        if kept is not None:
            known = msgspec.structs.replace(_decoder.decode(bytes(kept)), status=payloads.CUSTOMER)
            await connection.execute(sa.update(exact_accounts).where(*where).values(record=msgspec.json.encode(known)))

    async def note_gone(self, connection: AsyncConnection, account_ids: Sequence[str]) -> None:
        """Note that accounts were deleted in Exact or merged into others; nothing finds them any more."""
        for part in _parts(list(account_ids)):
            by_id: dict[str, AccountRecord] = {}
            for table in (exact_accounts, customers):
                where = (table.c.division == self._division, table.c.account_id.in_(part))
                column = table.c.record if table is exact_accounts else sa.null().label("record")
                for row in await connection.execute(sa.select(table.c.account_id, column).where(*where)):
                    known = _decoder.decode(bytes(row.record)) if row.record is not None else None
                    by_id.setdefault(row.account_id, known or AccountRecord(account_id=row.account_id, code=""))
            await self._store_records(connection, [msgspec.structs.replace(each, is_gone=True) for each in by_id.values()])
            marks = (account_marks.c.division == self._division, account_marks.c.account_id.in_(part))
            await connection.execute(sa.delete(account_marks).where(*marks))

    async def note_missing(self, connection: AsyncConnection) -> None:
        """Note that the accounts of customers are gone that the whole list did not have."""
        listed = sa.select(exact_accounts.c.account_id).where(exact_accounts.c.division == self._division)
        statement = sa.select(customers.c.account_id).where(
            customers.c.division == self._division, customers.c.account_id.is_not(None), customers.c.account_id.not_in(listed)
        )
        await self.note_gone(connection, [row.account_id for row in await connection.execute(statement)])

    async def drop_contacts(self, connection: AsyncConnection, contact_ids: Sequence[str]) -> None:
        """Note that contacts are gone."""
        for part in _parts(list(contact_ids)):
            where = (account_marks.c.division == self._division, account_marks.c.source_id.in_(part))
            await connection.execute(sa.delete(account_marks).where(*where))

    async def clear(self, connection: AsyncConnection) -> None:
        """Forget everything, before all of it is read anew."""
        self._has_strangers = None
        for table in (account_marks, exact_accounts):
            await connection.execute(sa.delete(table).where(table.c.division == self._division))

    async def has_strangers(self) -> bool:
        """Whether Exact has accounts that this connector did not make: only those can have contacts that matter."""
        if self._has_strangers is not None:
            return self._has_strangers
        ours = sa.select(account_marks.c.account_id).where(
            account_marks.c.division == self._division,
            account_marks.c.kind == "search_code",
            account_marks.c.value.startswith(normalised("search_code", payloads.SEARCH_CODE_PREFIX)),
        )
        statement = sa.select(exact_accounts.c.account_id).where(
            exact_accounts.c.division == self._division, exact_accounts.c.account_id.not_in(ours)
        )
        async with self._database.reading() as connection:
            self._has_strangers = (await connection.execute(statement.limit(1))).first() is not None
        return self._has_strangers

    async def forget(self, connection: AsyncConnection, account_id: str) -> None:
        """Note that an account is gone, and its contacts with it."""
        for table in (account_marks, exact_accounts):
            await connection.execute(sa.delete(table).where(table.c.division == self._division, table.c.account_id == account_id))

    async def _store_records(self, connection: AsyncConnection, records: list[AccountRecord]) -> None:
        for part in _parts(records):
            insert = self._database.insert(exact_accounts)
            statement = insert.on_conflict_do_update(
                index_elements=["division", "account_id"], set_={"record": insert.excluded.record}
            )
            values = [
                {"division": self._division, "account_id": record.account_id, "record": msgspec.json.encode(record)}
                for record in part
            ]
            await connection.execute(statement, values)

    async def _store_marks(self, connection: AsyncConnection, marks: Mapping[str, tuple[str, set[tuple[MarkKind, str]]]]) -> None:
        """Replace the marks of each source."""
        for part in _parts(list(marks)):
            await connection.execute(
                sa.delete(account_marks).where(account_marks.c.division == self._division, account_marks.c.source_id.in_(part))
            )
            values = [
                {"division": self._division, "source_id": source, "kind": kind, "value": value, "account_id": marks[source][0]}
                for source in part
                for kind, value in sorted(marks[source][1])
            ]
            if values:
                await connection.execute(sa.insert(account_marks), values)


_decoder = msgspec.json.Decoder(AccountRecord)


def normalised(kind: MarkKind, value: Any) -> str | None:
    """A mark as it is compared: without case and padding, VAT numbers also without separators and with EL for Greece."""
    text = str(value or "").strip().casefold()
    if kind != "vat_number":
        return text or None
    number = _NOT_OF_THE_NUMBER.sub("", text.upper())
    return (f"EL{number[2:]}" if number.startswith("GR") else number) or None


def _record(row: Mapping[str, Any]) -> AccountRecord:
    values = {name: str(row[name]).strip() for name in payloads.ACCOUNT_PROPERTIES if row.get(name) not in (None, "")}
    return AccountRecord(
        account_id=str(row["ID"]),
        code=odata.code(row["Code"]),
        status=odata.code(row.get("Status")),
        is_blocked=bool(row.get("Blocked", False)),
        values=values,
    )


def _marks_of(row: Mapping[str, Any]) -> set[tuple[MarkKind, str]]:
    sources: dict[MarkKind, str] = {
        "code": "Code",
        "search_code": "SearchCode",
        "code_at_supplier": "CodeAtSupplier",
        "vat_number": "VATNumber",
        "email": "Email",
    }
    found = ((kind, normalised(kind, row.get(name))) for kind, name in sources.items())
    return {(kind, value) for kind, value in found if value is not None}


def _parts(items: list[Item]) -> Iterable[list[Item]]:
    for start in range(0, len(items), _ROWS_A_STATEMENT):
        yield items[start : start + _ROWS_A_STATEMENT]
