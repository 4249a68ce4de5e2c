"""One financial year of the ledger as the writer keeps it: its totals, what its lines name, and the lines in their order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from contracts.ledger import LedgerLine, LedgerName, LedgerYear
from exact_writer.account_mirror import AccountRecord
from exact_writer.master_records import Record
from exact_writer.tables import accounts, exact_accounts, master_data
from exact_writer.tables import ledger_lines as table

PAGE_LINES: Final = 2_000
# Within a journal. It begins as an index does, so that a page is found without sorting the year for it.
_ORDER: Final = (table.c.entry_number, table.c.entry_id, table.c.period, table.c.line_number, table.c.line_id)
_COLUMNS: Final = tuple(table.c[name] for name in LedgerLine.__struct_fields__)
_AT_ONCE: Final = 500


async def year_of(connection: AsyncConnection, division: int, year: int) -> LedgerYear:
    """Return the totals of a year and the names of what its lines name, as far as the mirror knows them."""
    where = (table.c.division == division, table.c.year == year)
    debit = sa.func.sum(sa.case((table.c.dc_hundredths > 0, table.c.dc_hundredths), else_=0))
    credit = sa.func.sum(sa.case((table.c.dc_hundredths < 0, -table.c.dc_hundredths), else_=0))
    totals = (await connection.execute(sa.select(sa.func.count(), debit, credit).where(*where))).one()

    async def distinct(column: sa.Column[Any]) -> list[str]:
        named = sa.select(column).distinct().where(*where, column.is_not(None)).order_by(column)
        return [str(each) for each in (await connection.execute(named)).scalars() if each]

    brought = sa.func.sum(table.c.dc_hundredths)
    before = sa.select(table.c.account, brought).where(table.c.division == division, table.c.year < year)
    before = before.group_by(table.c.account).having(brought != 0).order_by(table.c.account)
    opening = tuple((str(account), int(balance)) for account, balance in await connection.execute(before))
    accounts_of_year = sorted({*await distinct(table.c.account), *(account for account, _ in opening)})
    days = (table.c.period, sa.func.min(table.c.day), sa.func.max(table.c.day))
    periods = await connection.execute(sa.select(*days).where(*where).group_by(table.c.period).order_by(table.c.period))
    return LedgerYear(
        lines=int(totals[0]),
        debit_hundredths=int(totals[1] or 0),
        credit_hundredths=int(totals[2] or 0),
        accounts=await _named(connection, division, "ledger", accounts_of_year),
        journals=await _named(connection, division, "journal", await distinct(table.c.journal)),
        vat_codes=await _named(connection, division, "vat_code", await distinct(table.c.vat_code)),
        customers=await _customers(connection, division, await distinct(table.c.relation_id)),
        periods=tuple((int(number), first, last) for number, first, last in periods),
        opening=opening,
    )


async def lines_of_year(database: Database, division: int, year: int) -> AsyncIterator[LedgerLine]:
    """Give the lines of a year by journal, entry, period and line; a page is in memory."""
    where = (table.c.division == division, table.c.year == year)
    async with database.reading() as connection:
        journals = sa.select(table.c.journal).distinct().where(*where).order_by(table.c.journal)
        found = list((await connection.execute(journals)).scalars())
    for journal in found:
        statement = sa.select(*_COLUMNS).where(*where, table.c.journal == journal).order_by(*_ORDER).limit(PAGE_LINES)
        after: tuple[Any, ...] | None = None
        while True:
            page = statement
            if after is not None:
                page = statement.where(sa.tuple_(*_ORDER) > sa.tuple_(*(sa.literal(value) for value in after)))
            async with database.reading() as connection:
                rows = list(await connection.execute(page))
            for row in rows:
                yield LedgerLine(**row._asdict())
            if len(rows) < PAGE_LINES:
                break
            last = rows[-1]
            after = (last.entry_number, last.entry_id, last.period, last.line_number, last.line_id)


async def _named(connection: AsyncConnection, division: int, kind: str, codes: Sequence[str]) -> tuple[LedgerName, ...]:
    where = (master_data.c.division == division, master_data.c.kind == kind)
    rows = await connection.execute(sa.select(master_data.c.code, master_data.c.record).where(*where))
    known = {row.code: msgspec.json.decode(bytes(row.record), type=Record) for row in rows}
    found = []
    for code in codes:
        record = known.get(code)
        percentage = str(record.percentage * 100) if record is not None and record.percentage is not None else "0"
        found.append(LedgerName(key=code, code=code, type=record.type if record is not None else 0, percentage=percentage))
    return tuple(found)


async def _customers(connection: AsyncConnection, division: int, account_ids: Sequence[str]) -> tuple[LedgerName, ...]:
    known: dict[str, AccountRecord] = {}
    for start in range(0, len(account_ids), _AT_ONCE):
        some = account_ids[start : start + _AT_ONCE]
        # One that we made after the mirror was read is known by what was sent.
        sent = sa.select(accounts.c.account_id, accounts.c.sent).where(
            accounts.c.division == division, accounts.c.account_id.in_(some), accounts.c.sent.is_not(None)
        )
        for row in await connection.execute(sent):
            values = {name: str(value) for name, value in msgspec.json.decode(bytes(row.sent)).items() if value is not None}
            known[row.account_id] = AccountRecord(account_id=row.account_id, code="", values=values)
        where = (exact_accounts.c.division == division, exact_accounts.c.account_id.in_(some))
        for row in await connection.execute(sa.select(exact_accounts.c.record).where(*where)):
            record = msgspec.json.decode(bytes(row.record), type=AccountRecord)
            known[record.account_id] = record
    found = []
    for account_id in account_ids:
        one = known.get(account_id, AccountRecord(account_id=account_id, code=""))
        name, vat_number = one.values.get("Name", ""), one.values.get("VATNumber", "")
        found.append(LedgerName(key=account_id, code=one.code, name=name, vat_number=vat_number))
    return tuple(found)
