"""The lines of Exact's ledger as the writer keeps them, and how far it has read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from contracts.ledger import LedgerLine
from exact_writer import odata
from exact_writer.odata import UnreadableAnswerError
from exact_writer.row_versions import FIRST_TIMESTAMP, Position, Rows
from exact_writer.tables import ledger_lines, ledger_readings

ENDPOINT: Final = "sync/Financial/TransactionLines"
DELETED: Final = "sync/Deleted"
TRANSACTION_LINES: Final = 1  # sync/Deleted EntityType
SELECT: Final = (
    *("Timestamp", "ID", "EntryID", "EntryNumber", "LineNumber", "LineType", "Type", "JournalCode", "Date"),
    *("FinancialYear", "FinancialPeriod", "GLAccountCode", "Account", "AmountDC", "Currency", "AmountFC"),
    *("VATCode", "AmountVATFC", "CostCenter", "CostUnit", "YourRef", "Description", "PaymentReference", "InvoiceNumber"),
    *("Modified", "ModifierFullName"),
)
_IDS_A_STATEMENT: Final = 500
_FROM_START: Final[dict[str, Any]] = {
    "timestamp": FIRST_TIMESTAMP,
    "deleted_timestamp": FIRST_TIMESTAMP,
    "next_page": None,
    "in_deletions": False,
    "read_at": None,
}


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How far the reading of a division is; the columns of `ledger_readings` say what each is."""

    timestamp: int = FIRST_TIMESTAMP
    highest: int = FIRST_TIMESTAMP
    until: int = FIRST_TIMESTAMP
    in_order: bool = True
    next_page: str | None = None
    deleted_timestamp: int = FIRST_TIMESTAMP
    in_deletions: bool = False
    sees_deletions: bool = True
    asks: int = 0
    answering: int = 0
    answered: int = 0
    begun_at: float | None = None
    read_at: float | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for fresh lines, or a reading has begun and has pages left."""
        return self.answered < self.asks or self.next_page is not None or self.in_deletions

    @property
    def begins_for_somebody(self) -> bool:
        """Whether the next page is the first one of a reading that somebody asked for, and only of what changed."""
        is_first = self.next_page is None and not self.in_deletions
        return is_first and self.answered < self.asks and max(self.timestamp, self.deleted_timestamp) > FIRST_TIMESTAMP

    @property
    def endpoint(self) -> str:
        """What is read now: lines, or what was deleted."""
        return DELETED if self.in_deletions else ENDPOINT

    @property
    def page(self) -> str:
        """The address of the page to ask for now."""
        if self.next_page is not None:
            return self.next_page
        if self.in_deletions:
            filter_by = f"Timestamp gt {odata.big(self.deleted_timestamp)} and EntityType eq {TRANSACTION_LINES}"
            return odata.query(DELETED, select=("Timestamp", "EntityKey"), filter_by=filter_by)
        return odata.query(ENDPOINT, select=SELECT, filter_by=f"Timestamp gt {odata.big(self.timestamp)}")

    @property
    def position(self) -> Position:
        """How far the list is read that is read now: lines, or what was deleted."""
        at = self.deleted_timestamp if self.in_deletions else self.timestamp
        if self.next_page is None:
            return Position.behind(at)
        return Position(at=at, until=self.until, in_order=self.in_order)

    def after(self, rows: Rows, next_page: str | None, now: float) -> Reading:
        """Where the reading is once a page of these rows, with that one behind it, is stored."""
        position = self.position.after(rows)
        at = position.at if next_page is not None else position.until
        found = msgspec.structs.replace(
            self,
            **{"deleted_timestamp" if self.in_deletions else "timestamp": at},
            until=position.until,
            in_order=position.in_order,
            highest=max(self.highest, *(int(row["Timestamp"]) for row in rows)) if rows else self.highest,
            next_page=next_page,
        )
        if not self.in_deletions and self.next_page is None:
            found = msgspec.structs.replace(found, answering=self.asks, begun_at=now)
        if next_page is not None:
            return found
        if not self.in_deletions:
            return msgspec.structs.replace(found, in_deletions=True, sees_deletions=True)
        return found.ended()

    def ended(self, *, sees_deletions: bool = True) -> Reading:
        """Where the reading is once there is nothing left to read."""
        done = {"answered": self.answering, "read_at": self.begun_at, "in_deletions": False, "next_page": None}
        return msgspec.structs.replace(self, **done, sees_deletions=sees_deletions)


async def ask(database: Database, connection: AsyncConnection, division: int) -> int:
    """Ask for fresh lines, once there is nothing to book. The answer is there when `reading(...).answered` has reached this."""
    insert = database.insert(ledger_readings).values(division=division, asks=1)
    upsert = insert.on_conflict_do_update(index_elements=["division"], set_={"asks": ledger_readings.c.asks + 1})
    return int((await connection.execute(upsert.returning(ledger_readings.c.asks))).scalar_one())


async def reading(connection: AsyncConnection, division: int) -> Reading:
    """How far the reading of a division is."""
    columns = [ledger_readings.c[name] for name in Reading.__struct_fields__]
    row = (await connection.execute(sa.select(*columns).where(ledger_readings.c.division == division))).one_or_none()
    return Reading(**row._asdict()) if row is not None else Reading()


async def keep(
    database: Database, connection: AsyncConnection, division: int, lines: Sequence[LedgerLine], found: Reading
) -> None:
    """Store a page and how far the reading is with it. A line that is kept in a newer version already stays as it is."""
    if lines:
        newest = {line.line_id: line for line in sorted(lines, key=lambda line: line.timestamp)}
        insert = database.insert(ledger_lines)
        changes = {column.name: insert.excluded[column.name] for column in ledger_lines.c if not column.primary_key}
        statement = insert.on_conflict_do_update(
            index_elements=["division", "line_id"],
            set_=changes,
            where=insert.excluded.timestamp > ledger_lines.c.timestamp,
        )
        await connection.execute(statement, [{"division": division, **msgspec.structs.asdict(line)} for line in newest.values()])
    # Who asks meanwhile raises `asks`, so that is not written back.
    values = {name: value for name, value in msgspec.structs.asdict(found).items() if name != "asks"}
    insert = database.insert(ledger_readings).values(division=division, **values)
    await connection.execute(insert.on_conflict_do_update(index_elements=["division"], set_=values))


async def forget(connection: AsyncConnection, division: int, line_ids: Iterable[str]) -> int:
    """Take out lines that Exact says are deleted (EntityType 1 of sync/Deleted); returns how many were kept here."""
    ids, gone = sorted(set(line_ids)), 0
    for start in range(0, len(ids), _IDS_A_STATEMENT):
        some = ids[start : start + _IDS_A_STATEMENT]
        statement = sa.delete(ledger_lines).where(ledger_lines.c.division == division, ledger_lines.c.line_id.in_(some))
        gone += (await connection.execute(statement)).rowcount
    return gone


async def start_anew(database: Database, connection: AsyncConnection, division: int) -> None:
    """Forget what was read, so that all of it is read again: row versions started anew, or deletions were missed."""
    await connection.execute(sa.delete(ledger_lines).where(ledger_lines.c.division == division))
    await keep(database, connection, division, [], msgspec.structs.replace(await reading(connection, division), **_FROM_START))


def line_of(row: Mapping[str, Any]) -> LedgerLine:
    """One row as Exact sends it; raises UnreadableAnswerError for a row without what every ledger line has."""
    try:
        day = odata.day_in(row["Date"])
        if day is None:
            raise UnreadableAnswerError("Exact answered a ledger line without a date")
        return LedgerLine(
            line_id=str(row["ID"]),
            timestamp=int(row["Timestamp"]),
            entry_id=str(row["EntryID"]),
            entry_number=int(row["EntryNumber"]),
            line_number=int(row["LineNumber"]),
            line_type=int(row["LineType"] or 0),
            type=int(row["Type"] or 0),
            journal=odata.code(row["JournalCode"]),
            day=day,
            year=int(row["FinancialYear"]),
            period=int(row["FinancialPeriod"]),
            account=odata.code(row["GLAccountCode"]),
            relation_id=str(row["Account"]) if row["Account"] else None,
            dc_hundredths=_hundredths(row["AmountDC"]),
            currency=odata.code(row["Currency"]) or "EUR",
            fc_hundredths=_hundredths(row["AmountFC"]),
            vat_code=odata.code(row["VATCode"]) or None,
            vat_fc_hundredths=_hundredths(row["AmountVATFC"]) if row["AmountVATFC"] is not None else None,
            cost_center=odata.code(row["CostCenter"]) or None,
            cost_unit=odata.code(row["CostUnit"]) or None,
            your_ref=row["YourRef"] or None,
            description=row["Description"] or None,
            payment_reference=row["PaymentReference"] or None,
            invoice_number=int(row["InvoiceNumber"]) if row["InvoiceNumber"] is not None else None,
            modified_at=odata.instant_in(row["Modified"]),
            modifier=row["ModifierFullName"] or None,
        )
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise UnreadableAnswerError(f"Exact answered a ledger line that cannot be read: {error!r}") from error


def _hundredths(amount: Any) -> int:
    # A double of Exact's is a number of two decimals in its shortest notation; the fraction beyond is noise of its sums.
    return int((Decimal(str(amount or 0)) * 100).to_integral_value())
