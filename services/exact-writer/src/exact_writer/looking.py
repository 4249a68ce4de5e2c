"""Reading a division's master data for a person who checks a mapping: a few reading calls, nothing is kept or written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final

import msgspec

from contracts import master_data
from contracts.master_data import MasterData, Part, Unreadable
from exact_writer import odata
from exact_writer.client import ForbiddenError

Row = dict[str, Any]
ReadAll = Callable[[str, str], Awaitable[list[Row]]]
PERCENT: Final = 100
_OPEN: Final = (None, 0)  # system/Divisions BlockingStatus


class LookError(Exception):
    """The master data cannot be read now; the message says why, as a clause for a person."""


class _Source(msgspec.Struct, frozen=True, kw_only=True):
    endpoint: str
    select: tuple[str, ...]
    make: Callable[[Row], Any]
    filter_by: str | None = None


def _ledger(row: Row) -> master_data.Ledger:
    return master_data.Ledger(
        code=odata.code(row["Code"]),
        description=row.get("Description") or "",
        type=int(row.get("Type") or 0),
        is_blocked=bool(row.get("IsBlocked")),
        vat_code=odata.code(row.get("VATCode")) or None,
        cost_center_use=int(row.get("UseCostcenter") or 0),
        cost_unit_use=int(row.get("UseCostunit") or 0),
    )


def _vat_code(row: Row) -> master_data.VatCode:
    return master_data.VatCode(
        code=odata.code(row["Code"]),
        description=row.get("Description") or "",
        type=odata.code(row.get("Type")),
        # Exact gives a fraction as a double; its shortest notation is what was entered.
        percentage=Decimal(str(row.get("Percentage") or 0)) * PERCENT,
        is_blocked=bool(row.get("IsBlocked")),
        oss_country=odata.code(row.get("OssCountry")) or None,
        eu_sales_listing=odata.code(row.get("EUSalesListing")),
        is_reverse_charged=bool(row.get("Charged")),
        transaction_type=odata.code(row.get("VATTransactionType")),
    )


def _journal(row: Row) -> master_data.Journal:
    return master_data.Journal(
        code=odata.code(row["Code"]),
        description=row.get("Description") or "",
        type=int(row.get("Type") or 0),
        is_blocked=bool(row.get("IsBlocked")),
        allows_vat=bool(row.get("AllowVAT")),
        currency=odata.code(row.get("Currency")) or None,
        allows_other_currencies=row.get("AllowVariableCurrency") is not False,
    )


def _named(row: Row) -> master_data.Named:
    return master_data.Named(code=odata.code(row["Code"]), description=row.get("Description") or "")


def _condition(row: Row) -> master_data.PaymentCondition:
    return master_data.PaymentCondition(
        code=odata.code(row["Code"]), description=row.get("Description") or "", days=int(row.get("PaymentDays") or 0)
    )


def _period(row: Row) -> master_data.PeriodRange | None:
    starts, ends = odata.day_in(row["StartDate"]), odata.day_in(row["EndDate"])
    if starts is None or ends is None:
        return None
    return master_data.PeriodRange(year=int(row["FinYear"]), period=int(row["FinPeriod"]), starts=starts, ends=ends)


# The sync endpoint of ledgers gives 1,000 a page where the other gives 60, and all of them after the first row version.
_SOURCES: Final[dict[Part, _Source]] = {
    "ledgers": _Source(
        endpoint="sync/Financial/GLAccounts",
        select=("Timestamp", "Code", "Description", "Type", "IsBlocked", "VATCode", "UseCostcenter", "UseCostunit"),
        make=_ledger,
        filter_by=f"Timestamp gt {odata.big(1)}",
    ),
    "vat_codes": _Source(
        endpoint="vat/VATCodes",
        select=(
            *("Code", "Description", "Type", "Percentage", "IsBlocked", "OssCountry", "EUSalesListing", "Charged"),
            "VATTransactionType",
        ),
        make=_vat_code,
    ),
    "journals": _Source(
        endpoint="financial/Journals",
        select=("Code", "Description", "Type", "IsBlocked", "AllowVAT", "Currency", "AllowVariableCurrency"),
        make=_journal,
    ),
    "cost_centers": _Source(endpoint="hrm/Costcenters", select=("Code", "Description"), make=_named),
    "cost_units": _Source(endpoint="hrm/Costunits", select=("Code", "Description"), make=_named),
    "currencies": _Source(endpoint="general/Currencies", select=("Code", "Description"), make=_named),
    "payment_conditions": _Source(
        endpoint="cashflow/PaymentConditions", select=("Code", "Description", "PaymentDays"), make=_condition
    ),
    "periods": _Source(
        endpoint="financial/FinancialPeriods", select=("FinYear", "FinPeriod", "StartDate", "EndDate"), make=_period
    ),
}
# What the writer works with, each with its key: one row shows whether the app may. That it may also write, Exact tells only then.
_TRIED: Final[dict[Part, tuple[str, str]]] = {
    "accounts": ("crm/Accounts", "ID"),
    "contacts": ("crm/Contacts", "ID"),
    "sales_entries": ("salesentry/SalesEntries", "EntryID"),
    "general_entries": ("generaljournalentry/GeneralJournalEntries", "EntryID"),
    "sales_invoices": ("salesinvoice/SalesInvoices", "InvoiceID"),
    "items": ("logistics/Items", "ID"),
    "documents": ("documents/Documents", "ID"),
}
_DIVISIONS: Final = "system/Divisions"
_ME: Final = "current/Me"


async def read_master_data(division: int, read_all: ReadAll) -> MasterData:
    """Read every part; one that the app has no right to is told in `unreadable`. Raises what `read_all` raises otherwise."""
    found: dict[str, Any] = {}
    unreadable: list[Unreadable] = []
    for part, source in _SOURCES.items():
        path = odata.query(source.endpoint, select=source.select, filter_by=source.filter_by)
        rows = await _part(part, source.endpoint, path, read_all, unreadable)
        # A sync endpoint may give a row again that changed between two pages; the later one counts.
        made = [each for each in map(source.make, rows) if each is not None]
        found[part] = tuple({getattr(each, "code", each): each for each in made}.values())
    for part, (endpoint, key) in _TRIED.items():
        await _part(part, endpoint, odata.query(endpoint, select=(key,), top=1), read_all, unreadable)
    # It is of the user and not of a division, so its address has none.
    for row in await _part("division", _ME, odata.query(f"/api/v1/{_ME}", select=("PackageCode",)), read_all, []):
        found["package"] = odata.code(row.get("PackageCode"))
    select = ("Code", "Description", "Currency", "Country", "BlockingStatus")
    path = odata.query(_DIVISIONS, select=select, filter_by=f"Code eq {division}")
    for row in await _part("division", _DIVISIONS, path, read_all, unreadable):
        found |= {
            "name": row.get("Description") or "",
            "currency": odata.code(row.get("Currency")) or None,
            "country": odata.code(row.get("Country")) or None,
            "is_blocked": row.get("BlockingStatus") not in _OPEN,
        }
    return MasterData(division=division, unreadable=tuple(unreadable), **found)


async def _part(part: Part, endpoint: str, path: str, read_all: ReadAll, unreadable: list[Unreadable]) -> list[Row]:
    try:
        return await read_all(endpoint, path)
    except ForbiddenError as error:
        unreadable.append(Unreadable(part=part, endpoint=endpoint, reason=error.message))
        return []


class Desk:
    """Where others ask for the master data of a division, and whoever acts in it answers between two other calls."""

    def __init__(self, division: int, wake: Callable[[], None]) -> None:
        self._division = division
        self._wake = wake
        self._asked: asyncio.Future[MasterData] | None = None

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits for an answer."""
        return self._asked is not None and not self._asked.done()

    async def ask(self, patience_seconds: float) -> MasterData:
        """Wait for the answer; raises TimeoutError, and what stood in the way of the calls."""
        if not self.is_asked:
            self._asked = asyncio.get_running_loop().create_future()
            self._wake()
        if self._asked is None:
            raise TimeoutError
        return await asyncio.wait_for(asyncio.shield(self._asked), patience_seconds)

    async def answer(self, read_all: ReadAll) -> None:
        """Read and answer everybody who waits; what goes wrong is told to them and raised as well."""
        asked = self._asked
        if asked is None:
            return
        try:
            found = await read_master_data(self._division, read_all)
        except Exception as error:
            if not asked.done():
                asked.set_exception(error)
                asked.exception()  # those who wait have it; when nobody waits any more, it is no news
            raise
        if not asked.done():
            asked.set_result(found)
