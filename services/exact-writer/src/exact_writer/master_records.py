"""What the mirror keeps of each thing in Exact's master data, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from exact_writer import odata
from exact_writer.account_mirror import ACCOUNT_SELECT, CONTACT_SELECT

Kind = Literal[
    "ledger",
    "journal",
    "vat_code",
    "cost_center",
    "cost_unit",
    "currency",
    "account",
    "contact",
    "payment_condition",
    "period",
    "division",
    "deleted",
]
STATUSES: Final = "read/financial/JournalStatusList"  # which periods are open, read beside those periods
MANDATORY, NOT_ALLOWED = 1, 2  # GLAccounts UseCostcenter and UseCostunit; 0 leaves it to whoever books


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing of Exact's master data; `type` is a ledger's or journal's, `allows_vat` a general journal's.

    `percentage` is the fraction that a VAT code adds to an amount without VAT; None for a code that works otherwise.
    `vat_type` is a VAT code's: E excluding, I including, B base only, N none; `is_purchase_only` says that it is for purchases.
    `cost_center_use` and `cost_unit_use` are a ledger's: 0 as one likes, 1 mandatory, 2 not allowed. `only_currency` is the one
    that a journal takes, empty when it takes any. `moved` are a division's dates of moves, after which row versions start anew.
    """

    id: str = ""
    type: int = 0
    is_blocked: bool = False
    allows_vat: bool = True
    percentage: Decimal | None = None
    vat_type: str = ""
    is_purchase_only: bool = False
    cost_center_use: int = 0
    cost_unit_use: int = 0
    only_currency: str = ""
    starts: date | None = None
    ends: date | None = None
    is_open: bool = True
    moved: tuple[date | None, date | None] | None = None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a part of the mirror comes from; `is_sync` endpoints take a Timestamp and send what changed since."""

    endpoint: str
    select: tuple[str, ...]
    is_sync: bool = False


SOURCES: Final[dict[Kind, Source]] = {
    "ledger": Source(
        endpoint="sync/Financial/GLAccounts",
        select=("ID", "Code", "Type", "IsBlocked", "UseCostcenter", "UseCostunit"),
        is_sync=True,
    ),
    "journal": Source(
        endpoint="financial/Journals",
        select=("ID", "Code", "Type", "IsBlocked", "AllowVAT", "Currency", "AllowVariableCurrency"),
    ),
    "vat_code": Source(endpoint="vat/VATCodes", select=("ID", "Code", "IsBlocked", "Type", "Percentage", "VATTransactionType")),
    "cost_center": Source(endpoint="hrm/Costcenters", select=("ID", "Code")),
    "cost_unit": Source(endpoint="hrm/Costunits", select=("ID", "Code")),
    "currency": Source(endpoint="general/Currencies", select=("Code",)),
    "payment_condition": Source(endpoint="cashflow/PaymentConditions", select=("ID", "Code")),
    "account": Source(endpoint="sync/CRM/Accounts", select=ACCOUNT_SELECT, is_sync=True),
    "contact": Source(endpoint="sync/CRM/Contacts", select=CONTACT_SELECT, is_sync=True),
    "period": Source(endpoint="financial/FinancialPeriods", select=("FinYear", "FinPeriod", "StartDate", "EndDate")),
    "division": Source(endpoint="system/Divisions", select=("Code", "DivisionMoveDate", "DivisionHRLinkUnlinkDate")),
    "deleted": Source(endpoint="sync/Deleted", select=("EntityType", "EntityKey"), is_sync=True),
}


def endpoints(kind: Kind) -> tuple[str, ...]:
    """Where a part is read."""
    return (SOURCES[kind].endpoint, STATUSES) if kind == "period" else (SOURCES[kind].endpoint,)


def records(kind: Kind, rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Record]]:
    """Rows of one part by their codes."""
    make = {"ledger": _ledger, "journal": _journal, "vat_code": _vat_code}.get(kind, _plain)
    for row in rows:
        yield odata.code(row["Code"]), make(row)


def moved(row: Mapping[str, Any]) -> tuple[date | None, date | None]:
    """When a division was moved to another database, and linked to or unlinked from an HR division."""
    return odata.day_in(row.get("DivisionMoveDate")), odata.day_in(row.get("DivisionHRLinkUnlinkDate"))


def _ledger(row: Mapping[str, Any]) -> Record:
    return Record(
        id=str(row["ID"]),
        type=int(row.get("Type") or 0),
        is_blocked=bool(row.get("IsBlocked")),
        cost_center_use=int(row.get("UseCostcenter") or 0),
        cost_unit_use=int(row.get("UseCostunit") or 0),
    )


def _journal(row: Mapping[str, Any]) -> Record:
    takes_any = row.get("AllowVariableCurrency") is not False
    return Record(
        id=str(row["ID"]),
        type=int(row.get("Type") or 0),
        is_blocked=bool(row.get("IsBlocked")),
        allows_vat=row.get("AllowVAT") is not False,
        only_currency="" if takes_any else odata.code(row.get("Currency")),
    )


def _vat_code(row: Mapping[str, Any]) -> Record:
    return Record(
        id=str(row["ID"]),
        is_blocked=bool(row.get("IsBlocked")),
        percentage=_percentage(row),
        vat_type=odata.code(row.get("Type")),
        is_purchase_only=odata.code(row.get("VATTransactionType")) == "P",
    )


def _plain(row: Mapping[str, Any]) -> Record:
    return Record(id=str(row.get("ID") or ""))


def _percentage(row: Mapping[str, Any]) -> Decimal | None:
    """Types of VAT codes: E adds the percentage to an amount without VAT; B has a base only, N nothing; I is included."""
    kind = odata.code(row["Type"])
    if kind == "E":
        return Decimal(str(row["Percentage"] or 0))
    return Decimal(0) if kind in {"B", "N"} else None
