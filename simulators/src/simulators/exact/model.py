import json
from dataclasses import dataclass
from pathlib import Path

_SCALARS = frozenset({"Guid", "String", "Double", "Int16", "Int32", "Int64", "Byte", "Boolean", "DateTime", "Binary"})

# Collections that can be read with their parent: the endpoint of the children, and their reference to the parent.
_CHILDREN = {
    "SalesEntryLines": ("salesentry/SalesEntryLines", "EntryID"),
    "GeneralJournalEntryLines": ("generaljournalentry/GeneralJournalEntryLines", "EntryID"),
    "SalesInvoiceLines": ("salesinvoice/SalesInvoiceLines", "InvoiceID"),
    "BankEntryLines": ("financialtransaction/BankEntryLines", "EntryID"),
    "VATPercentages": ("vat/VatPercentages", "VATCodeID"),
}

# Endpoints that show the rows of another one.
_TABLES = {
    "sync/CRM/Accounts": "crm/Accounts",
    "sync/CRM/Contacts": "crm/Contacts",
    "sync/Financial/GLAccounts": "financial/GLAccounts",
    "sync/Financial/TransactionLines": "financialtransaction/TransactionLines",
    "sync/Documents/Documents": "documents/Documents",
    "sync/Documents/DocumentAttachments": "documents/DocumentAttachments",
    "sync/Cashflow/PaymentTerms": "terms",
    "cashflow/Receivables": "terms",
}


@dataclass(frozen=True)
class Property:
    """A property as the reference lists it. `rights`: g read, p accepted on POST, u accepted on PUT."""

    name: str
    type: str
    rights: str

    @property
    def is_collection(self) -> bool:
        """A navigation to other rows, which cannot be filtered on."""
        return self.type not in _SCALARS


@dataclass(frozen=True)
class Endpoint:
    """One resource of the API: its path below the division, its key, what it allows, its scope, and its properties."""

    uri: str
    model: str
    key: tuple[str, ...]
    methods: frozenset[str]
    page: int
    scope: str
    properties: dict[str, Property]

    @property
    def table(self) -> str:
        """The name of the table whose rows this endpoint shows."""
        return _TABLES.get(self.uri, self.uri)

    @property
    def is_sync(self) -> bool:
        """Row-version endpoints: only Timestamp may be filtered on, and a page has 1,000 rows."""
        return self.uri.startswith("sync/")

    @property
    def set_name(self) -> str:
        """The last part of the path."""
        return self.uri.rsplit("/", 1)[-1]

    def children(self, name: str) -> tuple["Endpoint", str] | None:
        """The endpoint of a child collection and its reference to the parent; None where the stand-in keeps none."""
        found = _CHILDREN.get(name)
        return (ENDPOINTS[found[0]], found[1]) if found else None


def _load() -> dict[str, Endpoint]:
    raw = json.loads((Path(__file__).parent / "properties.json").read_text(encoding="utf-8"))
    endpoints = {}
    for uri, entry in raw.items():
        properties = {}
        for name, text in entry["properties"].items():
            kind, _, rights = text.rpartition(" ")
            properties[name] = Property(name, kind, rights)
        endpoints[uri] = Endpoint(
            uri, entry["model"], tuple(entry["key"]), frozenset(entry["methods"]), entry["page"], entry["scope"], properties
        )
    return endpoints


ENDPOINTS = _load()
