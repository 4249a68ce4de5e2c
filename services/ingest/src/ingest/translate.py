"""From a stored event to facts: a pure fold, in which only a newer version of a resource is news."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping, Sequence
from typing import NamedTuple

import msgspec

from contracts import facts
from contracts.coupon_codes import CouponCodeObserved
from contracts.envelope import Envelope, derived_id
from contracts.messages import unseal

EVENT_RECEIVED = "chargebee.event.received"
ANSWERED = "answered"  # the type of the events that our own questions to Chargebee end in
SOURCE = "ingest"

# The resources that bookkeeping reads, in the order in which their facts leave: what a document refers to goes first.
OBSERVED: dict[str, type[facts.Observed]] = {
    "customer": facts.CustomerObserved,
    "item": facts.ItemObserved,
    "item_price": facts.ItemPriceObserved,
    "plan": facts.PlanObserved,
    "addon": facts.AddonObserved,
    "subscription": facts.SubscriptionObserved,
    "coupon_code": CouponCodeObserved,
    "invoice": facts.InvoiceObserved,
    "credit_note": facts.CreditNoteObserved,
    "transaction": facts.TransactionObserved,
}
NUMBERED = frozenset({"invoice", "credit_note"})
DATED = frozenset({"invoice", "credit_note", "transaction"})
PRODUCTS = frozenset({"item", "item_price", "plan", "addon"})
CODE = "coupon_code"
CODE_MEMBER, OFFSET_MEMBER = b'"coupon_set_code"', b'"line_items_next_offset"'

LONGEST_RESOURCE_ID = 200
LARGEST_VERSION = 2**63 - 1
LAST_SECOND = 253_402_300_799  # the end of the year 9999, the last that a timestamp in a message can carry


class ResourceKey(NamedTuple):
    """Which resource of which site; versions are compared only within one of these."""

    site: str
    kind: str
    resource_id: str

    @property
    def stream(self) -> str:
        """The stream of its facts, which is also how people name it (`acme/invoice/INV-1`)."""
        return f"{self.site}/{self.kind}/{self.resource_id}"


class Observation(msgspec.Struct, frozen=True):
    """A resource as one event shows it, with the fact that says so.

    `ends` tells that a document was deleted, `dated_at` is its date in unix seconds where it has one. `asks` is what has to be
    asked of Chargebee to read it: the whole of a document that came with some of its lines only, codes of coupon sets.
    """

    key: ResourceKey
    resource_version: int
    fact: Envelope
    ends: bool = False
    dated_at: int | None = None
    asks: tuple[ResourceKey, ...] = ()

    @property
    def end_key(self) -> ResourceKey:
        """Under which the end of a document is remembered that is heard of after its number was used again."""
        return self.key._replace(kind=f"deleted_{self.key.kind}")


class Unreadable(msgspec.Struct, frozen=True):
    """A part of a stored event that no fact could be made of: where in the event, and why."""

    site: str
    event_id: str
    event_type: str
    kind: str
    path: str
    reason: str


class _Event(msgspec.Struct, frozen=True):
    id: str
    event_type: str
    content: dict[str, msgspec.Raw]
    occurred_at: msgspec.Raw = msgspec.Raw()


class _Source(NamedTuple):
    """Where a resource comes from."""

    received: Envelope
    site: str
    event: _Event


class _Head(msgspec.Struct, frozen=True):
    id: str
    customer_id: str | None = None
    resource_version: int | None = None
    updated_at: int | None = None
    deleted: bool = False


class _Dated(msgspec.Struct, frozen=True):
    date: int | None = None


class _Discount(msgspec.Struct, frozen=True):
    coupon_set_code: str | None = None


class _Asking(msgspec.Struct, frozen=True):
    discounts: list[_Discount] | None = None
    line_items_next_offset: str | None = None


class _Observed(msgspec.Struct, frozen=True):
    """The data of a fact; the resource goes in as the bytes that came, so that fields we do not know yet survive."""

    site: str
    event_id: str
    event_type: str
    occurred_at: int
    resource_version: int
    deleted: bool
    resource: msgspec.Raw


_events = msgspec.json.Decoder(_Event)
_heads = msgspec.json.Decoder(_Head)
_dates = msgspec.json.Decoder(_Dated)
_askings = msgspec.json.Decoder(_Asking)
_lists = msgspec.json.Decoder(list[msgspec.Raw])
_integers = msgspec.json.Decoder(int)
_encoder = msgspec.json.Encoder()
_PATH = re.compile(r" - at `\$(?:\.resource(?=[.\[`]))?(?P<path>[^`]*)`$")


def observe(received: Envelope) -> Iterator[Observation | Unreadable]:
    """Read every accounting resource in a stored event; what cannot be read comes out as Unreadable, and nothing raises."""
    site, _, event_id = received.subject.partition("/event/")
    try:
        event = _events.decode(received.data)
    except (msgspec.MsgspecError, RecursionError) as error:
        yield Unreadable(site, event_id, "", "event", "$", str(error))
        return
    for kind in OBSERVED:
        if kind == CODE and event.event_type != ANSWERED:
            continue  # a code that no document has may be deleted and come back in another set; documents' own are asked for
        for path, raw in _resources(event, kind):
            yield _observation(_Source(received, site, event), kind, path, raw)


def news(seen: MutableMapping[ResourceKey, int], observations: Sequence[Observation]) -> Iterator[Observation]:
    """Let through what is newer than everything seen of that resource, and remember it in `seen`.

    Chargebee delivers out of order and more than once; its resource_version grows with every change of one resource. The number
    of a deleted document may be used again, so the end of the first one is news even after the second one was seen.
    """
    for observation in observations:
        newest = seen.get(observation.key, -1)
        if observation.ends and observation.resource_version < newest:
            observation = msgspec.structs.replace(observation, key=observation.end_key)  # noqa: PLW2901 - remembered elsewhere
            newest = seen.get(observation.key, -1)
        if observation.resource_version > newest:
            seen[observation.key] = observation.resource_version
            yield observation


def _resources(event: _Event, kind: str) -> Iterator[tuple[str, msgspec.Raw]]:
    """Find one kind in the content: under its name an object, under its plural an array (`credit_notes`)."""
    single = event.content.get(kind)
    if single is not None and bytes(single) != b"null":
        yield f"$.content.{kind}", single
    several = event.content.get(f"{kind}s")
    if several is None or bytes(several) == b"null":
        return
    try:
        members = _lists.decode(several)
    except (msgspec.MsgspecError, RecursionError):
        members = [several]  # not an array: read as one resource, which then says what is wrong
    for index, member in enumerate(members):
        yield f"$.content.{kind}s[{index}]", member


def _observation(source: _Source, kind: str, path: str, raw: msgspec.Raw) -> Observation | Unreadable:
    event = source.event
    try:
        head = _heads.decode(raw)
        _check_id(".id", head.id)
        if head.customer_id:
            _check_id(".customer_id", head.customer_id)
        occurred_at = _occurred_at(source)
        version = _version(head, occurred_at)
        # A deleted plan of Product Catalog 1.0 says so in its status and the event type only, without `deleted`.
        deleted = head.deleted or event.event_type == f"{kind}_deleted"
        key = ResourceKey(source.site, kind, head.id)
        asks = asked_by(key, raw) if kind in NUMBERED and not deleted else ()
        if key in asks:
            version -= 1  # so that the same version is news once the whole of it comes
        data = _Observed(source.site, event.id, event.event_type, occurred_at, version, deleted, raw)
        fact = _fact(source, kind, head, data)
        unseal(fact)
        dated_at = date_of(raw) if kind in DATED else None
    except _UnfitError as error:
        return Unreadable(source.site, event.id, event.event_type, kind, path + error.member, str(error))
    except (msgspec.MsgspecError, RecursionError) as error:
        return Unreadable(source.site, event.id, event.event_type, kind, *_where(path, error))
    return Observation(key, version, fact, ends=deleted and kind in NUMBERED, dated_at=dated_at, asks=asks)


def date_of(document: bytes | msgspec.Raw) -> int | None:
    """Return the date of a document that can be read, in unix seconds; None where it has none, or no point in time."""
    date = _dates.decode(document).date
    return date if date is not None and 0 <= date <= LAST_SECOND else None


def asked_by(key: ResourceKey, document: bytes | msgspec.Raw) -> tuple[ResourceKey, ...]:
    """Return what has to be asked of Chargebee to read a document that can be decoded."""
    body = bytes(document)
    if CODE_MEMBER not in body and OFFSET_MEMBER not in body:
        return ()  # most have neither
    asking = _askings.decode(body)
    codes = dict.fromkeys(each.coupon_set_code for each in asking.discounts or ())
    asks = [ResourceKey(key.site, CODE, code) for code in codes if code and is_id(code)]
    return (*asks, key) if asking.line_items_next_offset else tuple(asks)


class _UnfitError(Exception):
    def __init__(self, member: str, reason: str) -> None:
        super().__init__(reason)
        self.member = member


def is_id(text: str) -> bool:
    """Tell whether a text can be the id of a resource."""
    return 0 < len(text) <= LONGEST_RESOURCE_ID and text.isprintable()


def _check_id(member: str, resource_id: str) -> None:
    if not is_id(resource_id):
        raise _UnfitError(member, f"an id has 1 to {LONGEST_RESOURCE_ID} printable characters, this one {len(resource_id)}")


def _occurred_at(source: _Source) -> int:
    """Return the second at which it happened; the second of its arrival where the event does not say."""
    if not bytes(source.event.occurred_at):
        return int(source.received.time.timestamp())
    seconds = _integers.decode(source.event.occurred_at)
    if not 0 <= seconds <= LAST_SECOND:
        raise _UnfitError("", f"the event's occurred_at {seconds} is not a point in time")
    return seconds


def _version(head: _Head, occurred_at: int) -> int:
    """Return the version in milliseconds; resources that were not changed since 2016 have none of their own."""
    if head.resource_version is not None:
        version, member = head.resource_version, ".resource_version"
    elif head.updated_at is not None:
        version, member = head.updated_at * 1000, ".updated_at"
    else:
        return occurred_at * 1000
    if not 0 <= version <= LARGEST_VERSION:
        raise _UnfitError(member, f"{version} is not a version")
    return version


def _owner(kind: str, head: _Head) -> str:
    """Return what orders the facts: the customer for its documents, the thing itself for a customer or a product."""
    if kind == "customer" or kind in PRODUCTS or not head.customer_id:
        return head.id
    return head.customer_id


def _fact(source: _Source, kind: str, head: _Head, data: _Observed) -> Envelope:
    message = OBSERVED[kind]
    key = ResourceKey(source.site, kind, head.id)
    return Envelope(
        id=derived_id("chargebee.observed", *key, str(data.resource_version)),
        type=message.TYPE,
        version=message.VERSION,
        source=SOURCE,
        subject=key.stream,
        time=source.received.time,
        key=f"{source.site}/{_owner(kind, head)}",
        correlation=source.received.correlation,
        causation=source.received.id,
        traceparent=source.received.traceparent,
        data=msgspec.Raw(_encoder.encode(data)),
    )


def _where(path: str, error: Exception) -> tuple[str, str]:
    """Split msgspec's message into the place, as a path in the event, and the reason."""
    text = str(error)
    found = _PATH.search(text)
    if found is None:
        return path, text
    return path + found["path"], text[: found.start()]
