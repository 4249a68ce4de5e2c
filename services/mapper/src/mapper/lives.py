"""The documents that had one number after another: Chargebee lets the number of a deleted invoice be used again.

Versions of a resource grow, and a deletion ends a life: what comes after it is another document. Facts may come in any order,
so a deletion may be heard of when the next document has been seen already; lives are numbered as they are discovered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from bookkeeping.bookings import Booking, booking_of
from contracts import chargebee
from contracts.facts import Observed
from mapper.store import ISSUED, Key, Store

Document = TypeVar("Document", bound=chargebee.Document)
BETWEEN = "\x1f"  # no id has it: ingest lets only printable ones through


@dataclass(frozen=True, slots=True)
class Life:
    """One of the documents that had a number, at its newest known version."""

    number: int
    version: int
    deleted: bool


def resource_id(key: Key) -> str:
    """Return under which id the resource of a document is kept."""
    return _id(key.number, booking_of(key.suffix).life)


def _id(identity: str, life: int) -> str:
    return identity if life == 1 else f"{identity}{BETWEEN}{life}"


def waits_for(number: str) -> str:
    """Name the booking of a document, as what waits for it does."""
    return f"booked:{number}"


async def newest_life(store: Store, site: str, kind: str, identity: str | None, struct: type[Document]) -> Document | None:
    """Return the document that has a number now, or the last that had it; None when none was seen."""
    found = await store.resource(site, kind, identity, struct)
    if found is None or identity is None or not found.deleted:
        return found
    newest = await newest_number(store, site, kind, identity)
    return await store.resource(site, kind, _id(identity, newest), struct)


async def newest_number(store: Store, site: str, kind: str, identity: str) -> int:
    """Return which life of a number is the one that has it now, or had it last; they are numbered as they were heard of."""
    return max(await _lives(store, site, kind, identity), key=lambda life: life.version, default=Life(1, 0, deleted=False)).number


async def fold_document(store: Store, kind: str, fact: Observed, resource: chargebee.Document) -> list[Key]:
    """Keep a document when it is newer than what is kept of its life; return whose bookings that may change."""
    identity = await _own_id(store, kind, fact.site, resource)
    key = Key(fact.site, kind, identity)
    if await store.fold(kind, fact, identity, resource, living_only=True):
        return [key]
    lives = await _lives(store, fact.site, kind, identity)
    newest = max(lives, key=lambda life: life.version)
    if any(life.version == fact.resource_version for life in lives):
        return []
    if fact.resource_version > newest.version:
        # The newest has ended, or is a later life, since the fold above took the first one's versions.
        number = newest.number if not newest.deleted else len(lives) + 1
        if newest.deleted and resource.deleted:
            return []  # told once more that it is gone
    elif not resource.deleted or any(life.deleted and life.version >= fact.resource_version for life in lives):
        return []
    else:
        return await _ended_before(store, key, kind, fact, resource, newest, len(lives) + 1)
    await store.fold(kind, fact, _id(identity, number), resource, living_only=True)
    return [_key(key, number)]


async def _ended_before(
    store: Store, key: Key, kind: str, fact: Observed, resource: chargebee.Document, living: Life, number: int
) -> list[Key]:
    """Take up the end of a document whose number another one has already; it may be what is booked under that one's name."""
    bookings = [row for row in await store.bookings(_key(key, living.number)) if row.state in ISSUED]
    of_ended = [row for row in bookings if row.resource_version <= fact.resource_version]
    if not of_ended:
        await store.fold(kind, fact, _id(key.number, number), resource, living_only=True)
        return [_key(key, number)]
    if bookings[-1] is not of_ended[-1]:
        return []  # already taken back in favour of the living one
    await store.rename(key.site, kind, _id(key.number, living.number), _id(key.number, number))
    await store.fold(kind, fact, _id(key.number, living.number), resource, living_only=True)
    return [_key(key, living.number), _key(key, number)]


async def _own_id(store: Store, kind: str, site: str, resource: chargebee.Document) -> str:
    """Return the number of a document; the event of a deleted credit note has it with an underscore and an instant behind it.

    The note itself must be known to be sure, by its invoice, date and total; a note that is not known is taken by that form.
    """
    if not isinstance(resource, chargebee.CreditNote) or resource.number == resource.id:
        return resource.id
    note = await store.resource(site, kind, resource.number, chargebee.CreditNote)
    return resource.number if note is None or _same_note(note, resource) else resource.id


def _same_note(one: chargebee.CreditNote, other: chargebee.CreditNote) -> bool:
    return (one.reference_invoice_id, one.date, one.total) == (other.reference_invoice_id, other.date, other.total)


async def _lives(store: Store, site: str, kind: str, identity: str) -> list[Life]:
    """Return the documents that had a number; there is at least one, and their numbers have no gaps."""
    found: list[Life] = []
    while (version := await store.version_of(site, kind, _id(identity, len(found) + 1))) is not None:
        found.append(Life(len(found) + 1, *version))
    return found


def _key(key: Key, life: int) -> Key:
    return replace(key, suffix=Booking(life).suffix)
