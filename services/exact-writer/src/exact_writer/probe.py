"""`kruispost doctor --probe`: whether Exact keeps the keys that a POST gives, tried with records that are taken away again.

Each kind of record is made with a key of ours, made again with the same key, and looked for. What is made bears a mark, by which
all of it is found and deleted at the end, and at the beginning what an earlier trial left that was broken off. No balance changes
meanwhile: the entries have a line of 1.00 and one of -1.00 on one ledger account, and the invoice stays a draft.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from backbone.clock import Clock
from exact_writer import odata, payloads
from exact_writer.calls import DivisionCalls
from exact_writer.client import CallError, ForbiddenError, NotFoundError, RefusedError, Request, UnknownError
from exact_writer.client_keys import KEYS, Trait, is_key
from exact_writer.looking import LookError

MARK: Final = "KRUISPOST-PROBE"
ITEMS: Final = "logistics/Items"
ACCOUNTS, SALES, GENERAL = "crm/Accounts", "salesentry/SalesEntries", "generaljournalentry/GeneralJournalEntries"
DRAFTS, DOCUMENTS, ATTACHMENTS = "salesinvoice/SalesInvoices", "documents/Documents", "documents/DocumentAttachments"
# In the order in which they are made; they go in the other one. An item is made since a draft needs one: its code is its key.
ORDER: Final = (ACCOUNTS, ITEMS, SALES, GENERAL, DRAFTS, DOCUMENTS, ATTACHMENTS)
MOST_CALLS: Final = 65  # with everything made twice, and as much to be taken away that an earlier trial left
_SALES_JOURNAL, _GENERAL_JOURNAL, _REVENUE = 20, 90, 110  # types of financial/Journals and financial/GLAccounts
# The endpoint, the property that is the key, and the condition by which what bears the mark is found.
_FOUND: Final[Mapping[str, tuple[str, str, str]]] = {
    ACCOUNTS: (ACCOUNTS, "ID", f"SearchCode eq '{MARK}'"),
    ITEMS: (ITEMS, "ID", f"Code eq '{MARK}'"),
    SALES: (SALES, "EntryID", f"YourRef eq '{MARK}'"),
    GENERAL: ("generaljournalentry/GeneralJournalEntryLines", "EntryID", f"Description eq '{MARK}'"),
    DRAFTS: (DRAFTS, "InvoiceID", f"YourRef eq '{MARK}'"),
    DOCUMENTS: (DOCUMENTS, "ID", f"Subject eq '{MARK}'"),
    ATTACHMENTS: (ATTACHMENTS, "ID", f"FileName eq '{MARK}.txt'"),
}
_FILE: Final = base64.b64encode(b"Made by kruispost doctor --probe").decode()


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a trial takes place: the division's name, and the journals and the revenue account that its entries use."""

    name: str
    sales_journal: str
    general_journal: str
    ledger_code: str
    ledger_id: str


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one endpoint; `trait` is None when it could not be found out, and then `reason` says why."""

    endpoint: str
    trait: Trait | None
    reason: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial found, the calls it made, and what it could not take away: (endpoint, key, Exact's words)."""

    trials: tuple[Trial, ...]
    calls: int
    left: tuple[tuple[str, str, str], ...]


class Probe:
    """A trial in one division. Who has it holds the division's lock."""

    def __init__(self, division: int, calls: DivisionCalls, clock: Clock) -> None:
        self._division = division
        self._source = calls
        self._clock = clock
        self._made: dict[str, str] = {}
        self.calls = 0

    async def look(self) -> Place:
        """Read what the trial needs to know, without writing; raises LookError, and what calls raise."""
        named = await self._rows("system/Divisions", ("Code", "Description"), f"Code eq {self._division}")
        if not named:
            raise LookError("Exact shows this app no such division")
        journals = await self._rows("financial/Journals", ("Code", "Type", "IsBlocked"))
        of_type = {row["Type"]: odata.code(row["Code"]) for row in reversed(journals) if not row.get("IsBlocked")}
        revenue = await self._rows("financial/GLAccounts", ("ID", "Code", "IsBlocked"), f"Type eq {_REVENUE}")
        ledger = next((row for row in revenue if not row.get("IsBlocked")), None)
        if ledger is None or not {_SALES_JOURNAL, _GENERAL_JOURNAL} <= of_type.keys():
            raise LookError("it has no open revenue account, or no sales journal and general journal")
        return Place(
            name=str(named[0].get("Description") or ""),
            sales_journal=of_type[_SALES_JOURNAL],
            general_journal=of_type[_GENERAL_JOURNAL],
            ledger_code=odata.code(ledger["Code"]),
            ledger_id=str(ledger["ID"]),
        )

    async def run(self, place: Place) -> Report:
        """Try each kind of record, and take away all that was made, whatever happens; raises what calls raise."""
        trials: list[Trial] = []
        await self._take_away()
        try:
            trials = [await self._try(endpoint, place) for endpoint in ORDER]
        finally:
            left = await self._take_away()
        return Report(trials=tuple(each for each in trials if each.endpoint in KEYS), calls=self.calls, left=left)

    async def _try(self, endpoint: str, place: Place) -> Trial:
        try:
            return await self._tried(endpoint, self._body(endpoint, place))
        except KeyError as error:
            return Trial(endpoint=endpoint, trait=None, reason=f"{error.args[0]} took nothing that it needs")
        except ForbiddenError as error:
            return Trial(endpoint=endpoint, trait=None, reason=error.message)

    async def _tried(self, endpoint: str, body: Mapping[str, Any]) -> Trial:
        key = str(uuid.UUID(self._clock.random_id()))
        if endpoint not in KEYS:
            made = await self._post(endpoint, body)
            return Trial(endpoint=endpoint, trait=None, reason="" if isinstance(made, str) else str(made))
        first = await self._post(endpoint, {KEYS[endpoint]: key, **body})
        if not isinstance(first, str):
            plain = await self._post(endpoint, body)
            return Trial(endpoint=endpoint, trait="refused" if isinstance(plain, str) else None, reason=str(first))
        if not is_key(key, first):
            return Trial(endpoint=endpoint, trait="ignored")
        await self._post(endpoint, {KEYS[endpoint]: key, **body})
        standing = await self._standing(endpoint)
        if not any(is_key(key, each) for each in standing):
            return Trial(endpoint=endpoint, trait="ignored")
        return Trial(endpoint=endpoint, trait="honoured" if len(standing) == 1 else "doubled")

    def _body(self, endpoint: str, place: Place) -> dict[str, Any]:
        """What is sent beside the key; raises KeyError with the endpoint of something that it needs and that is not there."""
        amounts = (1, -1)
        line = {"GLAccount": place.ledger_id, "Description": MARK}
        day = odata.day_out(self._clock.now().date())
        bodies: dict[str, Callable[[], dict[str, Any]]] = {
            ACCOUNTS: lambda: {"Name": MARK, "SearchCode": MARK, "Status": payloads.CUSTOMER},
            ITEMS: lambda: {"Code": MARK, "Description": MARK, "IsSalesItem": True, "GLRevenue": place.ledger_id},
            SALES: lambda: {
                "Customer": self._made[ACCOUNTS],
                "Journal": place.sales_journal,
                "YourRef": MARK,
                "EntryDate": day,
                "SalesEntryLines": [{**line, "AmountFC": amount} for amount in amounts],
            },
            GENERAL: lambda: {
                "JournalCode": place.general_journal,
                "GeneralJournalEntryLines": [{**line, "AmountFC": amount, "Date": day} for amount in amounts],
            },
            DRAFTS: lambda: {
                "OrderedBy": self._made[ACCOUNTS],
                "Journal": place.sales_journal,
                "YourRef": MARK,
                "SalesInvoiceLines": [{"Item": self._made[ITEMS], "Quantity": 1, "NetPrice": 1}],
            },
            DOCUMENTS: lambda: {"Subject": MARK, "Type": 55},
            ATTACHMENTS: lambda: {"Document": self._made[DOCUMENTS], "FileName": f"{MARK}.txt", "Attachment": _FILE},
        }
        return bodies[endpoint]()

    async def _post(self, endpoint: str, body: Mapping[str, Any]) -> str | CallError:
        """The key of what was made, or why nothing was made; raises what says nothing of the body, such as a time-out."""
        request = Request(method="POST", endpoint=endpoint, path=endpoint, body=payloads.encode(body))
        self.calls += 1
        try:
            answer = await self._source.read(request)
        except RefusedError as error:
            return error
        except UnknownError as error:
            if error.status is None or await self._standing(endpoint):
                raise
            return error  # Exact failed at what it was asked, and nothing came of it
        entity = odata.entity(answer.body)
        key = str(entity.get(KEYS.get(endpoint, "ID")) or "")
        if not key:
            raise UnknownError("Exact made a record and did not name it", status=answer.status, headers=answer.headers)
        self._made[endpoint] = key
        return key

    async def _standing(self, endpoint: str) -> list[str]:
        """The keys of what bears the mark."""
        shown, name, condition = _FOUND[endpoint]
        try:
            rows = await self._rows(shown, (name,), condition)
        except ForbiddenError:
            return []  # then nothing was made there either
        return list(dict.fromkeys(str(row[name]) for row in rows))

    async def _take_away(self) -> tuple[tuple[str, str, str], ...]:
        """Delete all that bears the mark; what cannot be deleted is returned with Exact's words."""
        left = []
        for endpoint in reversed(ORDER):
            for key in await self._standing(endpoint):
                self.calls += 1
                path = f"{endpoint}({odata.guid(key)})"
                try:
                    await self._source.read(Request(method="DELETE", endpoint=endpoint, path=path))
                except (RefusedError, UnknownError, NotFoundError, ForbiddenError) as error:
                    left.append((endpoint, key, error.message))
        return tuple(left)

    async def _rows(self, endpoint: str, select: Sequence[str], condition: str | None = None) -> list[dict[str, Any]]:
        self.calls += 1
        path = odata.query(endpoint, select=select, filter_by=condition)
        return await self._source.read_all(endpoint, path)
