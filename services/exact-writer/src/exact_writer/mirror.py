"""The mirror of Exact's master data in one division: what is there, what is blocked, which periods are open.

Read at the start, once a day, and when a command names something that is not there. Ledgers and accounts come by their sync
endpoints, which send only what changed; the others have none and come page by page.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.database import Database
from backbone.mapping_configuration import DivisionConfiguration
from contracts.commands import EntryLine, PostEntry
from contracts.facts import PeriodObserved
from exact_writer import announce, odata
from exact_writer.account_mirror import ACCOUNT_SELECT, CONTACT_SELECT, AccountMirror
from exact_writer.calls import DivisionCalls
from exact_writer.tables import master_data, mirror_state

Kind = Literal["ledger", "journal", "vat_code", "cost_center", "cost_unit", "account", "contact", "payment_condition", "period"]

DAY_SECONDS: Final = 86_400.0
PERIODS_SECONDS: Final = 3_600.0  # a period that was opened again is seen within the hour; a closed one by the first refusal
AGAIN_SECONDS: Final = 60.0  # how old a part must be before something missing in it is worth a call
FIRST_TIMESTAMP: Final = 1
CLOSED: Final = 1


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing of Exact's master data; `type` is a ledger's or journal's, `allows_vat` a general journal's.

    `percentage` is the fraction that a VAT code adds to an amount without VAT; None for a code that works otherwise.
    """

    id: str = ""
    type: int = 0
    is_blocked: bool = False
    allows_vat: bool = True
    percentage: Decimal | None = None
    starts: date | None = None
    ends: date | None = None
    is_open: bool = True


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a part of the mirror comes from; `is_sync` endpoints take a Timestamp and send what changed since."""

    endpoint: str
    select: tuple[str, ...]
    is_sync: bool = False


SOURCES: Final[dict[Kind, Source]] = {
    "ledger": Source(endpoint="sync/Financial/GLAccounts", select=("ID", "Code", "Type", "IsBlocked"), is_sync=True),
    "journal": Source(endpoint="financial/Journals", select=("ID", "Code", "Type", "IsBlocked", "AllowVAT")),
    "vat_code": Source(endpoint="vat/VATCodes", select=("ID", "Code", "IsBlocked", "Type", "Percentage")),
    "cost_center": Source(endpoint="hrm/Costcenters", select=("ID", "Code")),
    "cost_unit": Source(endpoint="hrm/Costunits", select=("ID", "Code")),
    "payment_condition": Source(endpoint="cashflow/PaymentConditions", select=("ID", "Code")),
    "account": Source(endpoint="sync/CRM/Accounts", select=ACCOUNT_SELECT, is_sync=True),
    "contact": Source(endpoint="sync/CRM/Contacts", select=CONTACT_SELECT, is_sync=True),
    "period": Source(endpoint="financial/FinancialPeriods", select=("FinYear", "FinPeriod", "StartDate", "EndDate")),
}
AT_START: Final[tuple[Kind, ...]] = ("ledger", "journal", "vat_code", "account", "period")
_STATUSES: Final = "read/financial/JournalStatusList"


class Mirror:
    """The mirror of one division, in memory for looking things up and in the database across restarts."""

    def __init__(
        self, division: int, configuration: DivisionConfiguration, *, database: Database, clock: Clock, calls: DivisionCalls
    ) -> None:
        self._division = division
        self._database = database
        self._clock = clock
        self._calls = calls
        self._journals = sorted(configuration.journals.codes())
        self.accounts = AccountMirror(division, database)
        self._records: dict[Kind, dict[str, Record]] = {}
        self._read_at: dict[Kind, float] = {}
        self._timestamps: dict[Kind, int] = {}

    async def load(self) -> None:
        """Take up what was read before. Accounts stay in the database: there may be very many."""
        self._records = {kind: {} for kind in SOURCES}
        async with self._database.reading() as connection:
            rows = await connection.execute(sa.select(master_data).where(master_data.c.division == self._division))
            for row in rows:
                self._records[row.kind][row.code] = msgspec.json.decode(bytes(row.record), type=Record)
            for row in await connection.execute(sa.select(mirror_state).where(mirror_state.c.division == self._division)):
                self._read_at[row.kind] = row.read_at
                self._timestamps[row.kind] = row.timestamp

    def find(self, kind: Kind, code: str) -> Record | None:
        """One thing by its code."""
        return self._records[kind].get(code)

    def ledgers(self) -> dict[str, str]:
        """The GUID of every ledger by its code."""
        return {code: record.id for code, record in self._records["ledger"].items()}

    def period_of(self, journal: str, day: date) -> tuple[int, int] | None:
        """The year and the period of a day, as the division divides its years."""
        for code, record in self._records["period"].items():
            if record.starts and record.ends and record.starts <= day <= record.ends and code.startswith(f"{journal}/"):
                _, year, period = code.rsplit("/", 2)
                return int(year), int(period)
        return None

    def is_period_closed(self, journal: str, year: int, period: int) -> bool:
        """Whether the mirror knows that a journal takes no entries in a period."""
        record = self._records["period"].get(f"{journal}/{year}/{period}")
        return record is not None and not record.is_open

    def stale(self) -> Kind | None:
        """A part that has to be read: never read yet, or not for long."""
        now = self._now()
        for kind in (*AT_START, *(kind for kind in self._read_at if kind not in AT_START)):
            if kind in SOURCES and now >= self._read_at.get(kind, float("-inf")) + _fresh_seconds(kind):
                return kind
        return None

    def is_worth_reading(self, kind: Kind, planned_at: float) -> bool:
        """Whether something missing may have come to Exact since this part was read: then one call may find it."""
        read_at = self._read_at.get(kind)
        return read_at is None or (planned_at > read_at and self._now() > read_at + AGAIN_SECONDS)

    def is_older_than(self, kind: Kind, seconds: float) -> bool:
        """Whether a part was read longer ago than that, or never."""
        read_at = self._read_at.get(kind)
        return read_at is None or self._now() > read_at + seconds

    async def refresh(self, kind: Kind) -> None:
        """Read one part; raises what DivisionCalls.read raises, and then nothing was changed."""
        if kind == "period":
            await self._refresh_periods()
            return
        source = SOURCES[kind]
        timestamp = self._timestamps.get(kind, FIRST_TIMESTAMP) if source.is_sync else 0
        filter_by = f"Timestamp gt {odata.big(max(timestamp, FIRST_TIMESTAMP))}" if source.is_sync else None
        select = ("Timestamp", *source.select) if source.is_sync else source.select
        rows = await self.read_all(source.endpoint, odata.query(source.endpoint, select=select, filter_by=filter_by))
        highest = max((int(row["Timestamp"]) for row in rows if source.is_sync), default=timestamp)
        if kind in ("account", "contact"):
            store = self.accounts.store_accounts if kind == "account" else self.accounts.store_contacts
            async with self._database.transaction() as connection:
                await store(connection, rows)
                await self._note_read(connection, kind, highest)
            return
        records = dict(_records(kind, rows))
        async with self._database.transaction() as connection:
            if not source.is_sync:
                await self._clear(connection, kind)
            await self._store(connection, kind, records)
            await self._note_read(connection, kind, highest)
        self._records[kind] = {**self._records[kind], **records} if source.is_sync else records

    async def read_all(self, endpoint: str, path: str) -> list[dict[str, Any]]:
        """All rows of a list, page after page."""
        return await self._calls.read_all(endpoint, path)

    async def observe_closed(self, connection: AsyncConnection, command: PostEntry, year: int, period: int) -> None:
        """Note that Exact refused a period as closed, and tell it; the next look at the periods will correct what is wrong.

        Where the entry defers revenue into other periods Exact does not say which one is closed: then only the look is hastened.
        """
        code = f"{command.journal}/{year}/{period}"
        known = self._records["period"].get(code)
        if known is None or not known.is_open:
            return
        if not any(_reaches_beyond(line, known) for line in command.lines):
            await self._tell_periods(connection, {code: msgspec.structs.replace(known, is_open=False)})
        self._read_at["period"] = min(self._read_at.get("period", 0.0), self._now() - PERIODS_SECONDS + AGAIN_SECONDS)

    async def _refresh_periods(self) -> None:
        source = SOURCES["period"]
        periods = await self.read_all(source.endpoint, odata.query(source.endpoint, select=source.select))
        which = " or ".join(f"Journal eq {odata.text(journal)}" for journal in self._journals)
        select = ("Journal", "Year", "Period", "Status")
        statuses = await self.read_all(_STATUSES, odata.query(_STATUSES, select=select, filter_by=which))
        closed = {
            (odata.code(row["Journal"]), int(row["Year"]), int(row["Period"])) for row in statuses if int(row["Status"]) == CLOSED
        }
        records = {}
        for row in periods:
            year, period = int(row["FinYear"]), int(row["FinPeriod"])
            starts, ends = odata.day_in(row["StartDate"]), odata.day_in(row["EndDate"])
            for journal in self._journals:
                is_open = (journal, year, period) not in closed
                records[f"{journal}/{year}/{period}"] = Record(starts=starts, ends=ends, is_open=is_open)
        changed = {code: record for code, record in records.items() if self._records["period"].get(code) != record}
        async with self._database.transaction() as connection:
            await self._tell_periods(connection, changed)
            await self._note_read(connection, "period", 0)

    async def _tell_periods(self, connection: AsyncConnection, changed: dict[str, Record]) -> None:
        reach: dict[str, date] = {}
        for code, record in {**self._records["period"], **changed}.items():
            journal = code.rsplit("/", 2)[0]
            reach[journal] = max(reach.get(journal, date.min), record.ends or date.min)
        # In the order of time, so that the first open period after a closed one is told before later ones.
        for code, record in sorted(changed.items(), key=lambda item: item[1].starts or date.min):
            journal, year, period = code.rsplit("/", 2)
            if record.starts is None or record.ends is None:
                continue
            fact = PeriodObserved(
                division=self._division,
                journal=journal,
                year=int(year),
                period=int(period),
                starts=record.starts,
                ends=record.ends,
                is_open=record.is_open,
                known_until=reach[journal],
            )
            await announce.period(connection, fact, self._clock.now())
        await self._store(connection, "period", changed)
        self._records["period"].update(changed)

    async def _clear(self, connection: AsyncConnection, kind: Kind) -> None:
        await connection.execute(
            sa.delete(master_data).where(master_data.c.division == self._division, master_data.c.kind == kind)
        )

    async def _store(self, connection: AsyncConnection, kind: Kind, records: dict[str, Record]) -> None:
        for code, record in records.items():
            body = msgspec.json.encode(record)
            insert = self._database.insert(master_data).values(division=self._division, kind=kind, code=code, record=body)
            await connection.execute(
                insert.on_conflict_do_update(index_elements=["division", "kind", "code"], set_={"record": body})
            )

    async def _note_read(self, connection: AsyncConnection, kind: Kind, timestamp: int) -> None:
        values = {"timestamp": timestamp, "read_at": self._now()}
        insert = self._database.insert(mirror_state).values(division=self._division, kind=kind, **values)
        await connection.execute(insert.on_conflict_do_update(index_elements=["division", "kind"], set_=values))
        self._timestamps[kind] = timestamp
        self._read_at[kind] = self._now()

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _fresh_seconds(kind: Kind) -> float:
    return PERIODS_SECONDS if kind == "period" else DAY_SECONDS


def _records(kind: Kind, rows: Iterable[dict[str, Any]]) -> Iterable[tuple[str, Record]]:
    for row in rows:
        code = odata.code(row["Code"])
        record = Record(id=str(row["ID"]), type=int(row.get("Type") or 0) if kind in {"ledger", "journal"} else 0)
        allows_vat = row.get("AllowVAT") is not False
        percentage = _percentage(row) if kind == "vat_code" else None
        is_blocked = bool(row.get("IsBlocked", False))
        yield code, msgspec.structs.replace(record, is_blocked=is_blocked, allows_vat=allows_vat, percentage=percentage)


def _percentage(row: dict[str, Any]) -> Decimal | None:
    """Types of VAT codes: E adds the percentage to an amount without VAT; B has a base only, N nothing; I is included."""
    kind = odata.code(row["Type"])
    if kind == "E":
        return Decimal(str(row["Percentage"] or 0))
    return Decimal(0) if kind in {"B", "N"} else None


def _reaches_beyond(line: EntryLine, period: Record) -> bool:
    if line.from_date is None or line.to_date is None or period.starts is None or period.ends is None:
        return False
    return line.from_date < period.starts or line.to_date > period.ends
