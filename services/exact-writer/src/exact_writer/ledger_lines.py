"""The lines of Exact's ledger as the writer keeps them, and how far it has read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from exact_writer import odata
from exact_writer.odata import UnreadableAnswerError
from exact_writer.tables import ledger_lines, ledger_readings

ENDPOINT: Final = "sync/Financial/TransactionLines"
FIRST_TIMESTAMP: Final = 1
SELECT: Final = (
    *("Timestamp", "ID", "EntryID", "EntryNumber", "LineNumber", "LineType", "Type", "JournalCode", "Date"),
    *("FinancialYear", "FinancialPeriod", "GLAccountCode", "Account", "AmountDC", "Currency", "AmountFC"),
    *("VATCode", "AmountVATFC", "CostCenter", "CostUnit", "YourRef", "Description", "PaymentReference", "InvoiceNumber"),
)
_IDS_A_STATEMENT: Final = 500


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of Exact's ledger; the columns of `ledger_lines` say what each is."""

    line_id: str
    timestamp: int
    entry_id: str
    entry_number: int
    line_number: int
    line_type: int
    type: int
    journal: str
    day: date
    year: int
    period: int
    account: str
    relation_id: str | None
    dc_hundredths: int
    currency: str
    fc_hundredths: int
    vat_code: str | None
    vat_fc_hundredths: int | None
    cost_center: str | None
    cost_unit: str | None
    your_ref: str | None
    description: str | None
    payment_reference: str | None
    invoice_number: int | None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How far the reading of a division is; the columns of `ledger_readings` say what each is."""

    timestamp: int = FIRST_TIMESTAMP
    highest: int = FIRST_TIMESTAMP
    next_page: str | None = None
    asks: int = 0
    answering: int = 0
    answered: int = 0
    begun_at: float | None = None
    read_at: float | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for fresh lines, or a reading has begun and has pages left."""
        return self.answered < self.asks or self.next_page is not None

    @property
    def page(self) -> str:
        """The address of the page to ask for now."""
        if self.next_page is not None:
            return self.next_page
        return odata.query(ENDPOINT, select=SELECT, filter_by=f"Timestamp gt {odata.big(self.timestamp)}")

    def after(self, highest: int, next_page: str | None, now: float) -> Reading:
        """Where the reading is once a page with this highest row version, and that one behind it, is stored."""
        is_first = self.next_page is None
        answering = self.asks if is_first else self.answering
        begun_at = now if is_first or self.begun_at is None else self.begun_at
        highest = max(highest, self.highest, self.timestamp)
        going_on = msgspec.structs.replace(self, highest=highest, next_page=next_page, answering=answering, begun_at=begun_at)
        if next_page is not None:
            return going_on
        return msgspec.structs.replace(going_on, timestamp=highest, answered=answering, read_at=begun_at)


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
        )
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise UnreadableAnswerError(f"Exact answered a ledger line that cannot be read: {error!r}") from error


def _hundredths(amount: Any) -> int:
    # A double of Exact's is a number of two decimals in its shortest notation; the fraction beyond is noise of its sums.
    return int((Decimal(str(amount or 0)) * 100).to_integral_value())
