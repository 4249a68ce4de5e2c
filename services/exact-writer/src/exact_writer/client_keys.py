"""Keys of records that we choose ourselves, where a trial in Exact proved that it keeps them (`kruispost doctor --probe`).

Exact's reference lists the key of a record among what a POST may carry, and does not say what becomes of one. Where it is kept,
a record is found by it after a lost answer, and a call that arrives however late makes no second one. Where that was not proved
no key is sent. Whatever was proved, a lost answer is looked up by our reference as well, and not before it is final.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import sqlalchemy as sa

from backbone.clock import Clock
from backbone.database import Database
from backbone.telemetry import log
from exact_writer import odata, payloads
from exact_writer.client import Answer, Request
from exact_writer.tables import client_keys

# What a trial found: kept, and never given to a second record; replaced by a key of Exact's; not taken at all; given twice.
Trait = Literal["honoured", "ignored", "refused", "doubled"]
# The property that is the key of what a POST makes. Items are not among them: their code is unique.
KEYS: Final[Mapping[str, str]] = {
    "crm/Accounts": "ID",
    "salesentry/SalesEntries": "EntryID",
    "generaljournalentry/GeneralJournalEntries": "EntryID",
    "salesinvoice/SalesInvoices": "InvoiceID",
    "documents/Documents": "ID",
    "documents/DocumentAttachments": "ID",
}
_NAMESPACE: Final = uuid.UUID("b7d9a3f0-4c1e-5b8a-9a52-2f6c1d0e7a34")


class ClientKeys:
    """The keys of what is made in Exact. What was proved holds for all divisions, and until an answer shows another key."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._proved: frozenset[str] = frozenset()

    async def load(self) -> None:
        """Take up what was proved."""
        async with self._database.reading() as connection:
            found = await connection.execute(sa.select(client_keys.c.endpoint).where(client_keys.c.trait == "honoured"))
            self._proved = frozenset(found.scalars())

    async def learn(self, traits: Mapping[str, Trait], division: int) -> None:
        """Keep what was found of each endpoint, and the division that it was found in."""
        async with self._database.transaction() as connection:
            for endpoint, trait in traits.items():
                values = {"trait": trait, "division": division, "tried_at": self._clock.now().timestamp()}
                insert = self._database.insert(client_keys).values(endpoint=endpoint, **values)
                await connection.execute(insert.on_conflict_do_update(index_elements=["endpoint"], set_=values))

    def of(self, endpoint: str, cause: str) -> str | None:
        """The key of what `cause` makes there, the same at each try; None where Exact is not known to keep one."""
        return str(uuid.uuid5(_NAMESPACE, f"{endpoint}/{cause}")) if endpoint in self._proved else None

    def post(self, endpoint: str, cause: str, body: Mapping[str, Any]) -> Request:
        """The POST of a body, with the key of what it makes where there is one."""
        key = self.of(endpoint, cause)
        named = {KEYS[endpoint]: key} if key is not None else {}
        return Request(method="POST", endpoint=endpoint, path=endpoint, body=payloads.encode({**named, **body}), key=key)

    async def compare(self, request: Request, answer: Answer) -> None:
        """Trust no key of an endpoint any more whose answer shows another one than was sent."""
        try:
            shown = odata.entity(answer.body).get(KEYS.get(request.endpoint, ""))
        except odata.UnreadableAnswerError:
            return
        if request.key is None or not shown or is_key(request.key, shown):
            return
        log.warning("Exact does not keep the keys that it was proved to keep", endpoint=request.endpoint)
        self._proved -= {request.endpoint}
        async with self._database.transaction() as connection:
            where = client_keys.c.endpoint == request.endpoint
            await connection.execute(sa.update(client_keys).where(where).values(trait="ignored"))


def or_by_key(name: str, key: str | None, otherwise: str) -> str:
    """A $filter that also finds what has this key, if there is one."""
    return otherwise if key is None else f"{name} eq {odata.guid(key)} or ({otherwise})"


def is_key(key: str | None, shown: Any) -> bool:
    """Whether Exact shows this key; it may write its letters otherwise."""
    return key is not None and str(shown or "").lower() == key


def same_id(one: str, other: str) -> bool:
    """Whether two ids of Exact's are the same; it may write their letters otherwise."""
    return one.strip("{}").lower() == other.strip("{}").lower()


def cause_of(commands: Iterable[str]) -> str:
    """The cause of a call that several commands share: another one as soon as one of them is missing, whatever their order."""
    return "+".join(sorted(commands))
