import random
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from simulators.exact.model import ENDPOINTS
from simulators.exact.settings import ExactSettings
from simulators.exact.table import Table
from simulators.exact.wire import Row, local_time

_INDEXED = {
    "crm/Accounts": ("Code",),
    "financial/GLAccounts": ("Code",),
    "financial/Journals": ("Code",),
    "vat/VATCodes": ("Code",),
    "vat/VatPercentages": ("VATCodeID",),
    "cashflow/PaymentConditions": ("Code",),
    "hrm/Costcenters": ("Code",),
    "hrm/Costunits": ("Code",),
    "salesentry/SalesEntries": ("YourRef", "EntryNumber", "Customer"),
    "salesentry/SalesEntryLines": ("EntryID",),
    "generaljournalentry/GeneralJournalEntries": ("EntryNumber",),
    "generaljournalentry/GeneralJournalEntryLines": ("EntryID", "Description"),
    "financialtransaction/BankEntries": ("EntryNumber",),
    "financialtransaction/BankEntryLines": ("EntryID", "Description"),
    "financialtransaction/TransactionLines": ("EntryID", "YourRef"),
    "salesinvoice/SalesInvoices": ("YourRef",),
    "salesinvoice/SalesInvoiceLines": ("InvoiceID",),
    "logistics/Items": ("Code",),
    "documents/Documents": ("HID",),
    "documents/DocumentAttachments": ("Document",),
    "terms": ("YourRef", "Account", "TransactionEntryID", "TransactionID"),
}
_NAMESPACE = uuid.UUID("6f0d6c3a-54c1-5a5e-9d0e-3f5f0a3f1f10")
Notify = Callable[["Division", str, str, uuid.UUID], None]


class World:
    """Everything the stand-in remembers, in memory: divisions, row versions, ids. Nothing here is bound to a request."""

    def __init__(self, settings: ExactSettings) -> None:
        self.settings = settings
        self.divisions: dict[int, Division] = {}
        self.notify: Notify = lambda _division, _topic, _action, _key: None
        self._random = random.Random(settings.seed)
        self._version = 4_000_000 + self._random.randrange(1_000_000)
        self._ids = 0
        self.user_id = uuid.uuid5(_NAMESPACE, f"{settings.seed}/user/{settings.user_name}")

    def next_version(self) -> int:
        """A row version: strictly growing over all tables, with gaps, unrelated to time."""
        self._version += self._random.randrange(1, 8)
        return self._version

    def next_id(self) -> uuid.UUID:
        """A new GUID, the same ones in the same order for the same seed."""
        self._ids += 1
        return uuid.uuid5(_NAMESPACE, f"{self.settings.seed}/{self._ids}")

    def now(self) -> datetime:
        """The naive wall clock of Amsterdam."""
        return local_time(self.settings.clock())

    def today(self) -> datetime:
        """Midnight of the current day in Amsterdam."""
        return self.now().replace(hour=0, minute=0, second=0, microsecond=0)


class Division:
    """One administration: its tables and its numbering."""

    def __init__(self, world: World, code: int, description: str, currency: str = "EUR") -> None:
        self.world = world
        self.settings = world.settings
        self.code = code
        self.description = description
        self.currency = currency
        self.tables: dict[str, Table] = {}
        self.entry_numbers: dict[tuple[str, int], int] = {}
        self.used_numbers: set[tuple[str, int, int]] = set()
        self.bank_balances: dict[str, Any] = {}
        self.move_date: datetime | None = None
        self._versions_before = 0  # row versions start anew when the division is moved to another database
        self.highest: dict[str, int] = {}  # the highest number given out, by kind
        self.default_payment_condition = "30"
        self.receivable_account_code = "1300"
        self.deferral_account_code = "1650"
        world.divisions[code] = self

    def table(self, name: str) -> Table:
        """The table with this name, made on first use."""
        found = self.tables.get(name)
        if found is None:
            endpoint = ENDPOINTS.get(name)
            key = ("ID",) if name == "terms" or endpoint is None else endpoint.key
            key = ("ID",) if name.startswith("sync/") else key
            found = Table(key, self.next_version, _INDEXED.get(name, ()))
            self.tables[name] = found
        return found

    def next_version(self) -> int:
        """A row version of this division's database."""
        return self.world.next_version() - self._versions_before

    def move(self) -> None:
        """Moves the division to another database: all rows stay, and get new row versions, lower than the ones before."""
        self.move_date = self.world.today()
        self._versions_before += self.next_version() - 1
        for table in self.tables.values():
            table.stamp_anew()

    def create(self, name: str, row: Row) -> Row:
        """Stores a new row with its audit properties."""
        now = self.world.now().replace(microsecond=0)
        row.setdefault("Division", self.code)
        row.setdefault("Created", now)
        row.setdefault("Modified", now)
        row.setdefault("Creator", self.world.user_id)
        row.setdefault("CreatorFullName", "Kruispost Koppeling")
        row.setdefault("Modifier", self.world.user_id)
        row.setdefault("ModifierFullName", "Kruispost Koppeling")
        return self.table(name).add(row)

    def update(self, name: str, key: Any, changes: Row) -> Row:
        """Changes a row and its Modified time."""
        now = self.world.now().replace(microsecond=0)
        return self.table(name).change(key, {**changes, "Modified": now, "Modifier": self.world.user_id})

    def delete(self, name: str, key: Any, entity_type: int | None) -> None:
        """Takes a row out and, where Exact keeps a log of it, writes the deletion into sync/Deleted."""
        self.table(name).remove(key)
        if entity_type is not None:
            self.log_deletion(key, entity_type)

    def log_deletion(self, key: Any, entity_type: int) -> None:
        """Writes a deletion into sync/Deleted."""
        self.table("sync/Deleted").add(
            {
                "ID": self.world.next_id(),
                "EntityKey": key,
                "EntityType": entity_type,
                "DeletedDate": self.world.now().replace(microsecond=0),
                "DeletedBy": self.world.user_id,
                "Division": self.code,
            }
        )

    def by_code(self, name: str, code: str | None) -> Row | None:
        """The row whose Code is this text, padding aside."""
        if code is None:
            return None
        if name == "crm/Accounts":
            code = code.strip().rjust(18)
        found = self.table(name).where("Code", code)
        return found[0] if found else None

    def notify(self, topic: str, key: uuid.UUID, action: str = "Update") -> None:
        """Tells the subscribers of a topic."""
        self.world.notify(self, topic, action, key)
