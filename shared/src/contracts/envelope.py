"""The envelope around everything that crosses the broker or enters an event log, shaped like a CloudEvent."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import ClassVar

import msgspec

NAMESPACE = uuid.UUID("6f0d2a52-5f6e-5b0a-9d53-5c1d9f4c7a11")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What every fact and command derives from: the name and the version under which it travels."""

    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message with its origin.

    `id` is unique and derives from the cause, so a repeated cause repeats the id and the inbox drops it. `subject` names the
    document or thing (`acme-test/invoice/INV-1`). `key` decides the order: messages of one key keep their order (a customer
    for facts, a division for commands). `correlation` is the id of the first message of the chain, `causation` of the direct
    cause. `data` is kept as the bytes it came in, so that what we do not read survives.
    """

    id: str
    type: str
    version: int
    source: str
    subject: str
    time: datetime
    key: str
    correlation: str
    data: msgspec.Raw
    causation: str | None = None
    traceparent: str | None = None
    specversion: str = "1.0"
    datacontenttype: str = "application/json"


_envelope_decoder = msgspec.json.Decoder(Envelope)
_encoder = msgspec.json.Encoder()
_NAMESPACE_BYTES = NAMESPACE.bytes
# A UUID's 17th digit has two bits of its own, whatever was hashed: 8, 9, a or b.
_VARIANTS = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


def derived_id(*parts: str) -> str:
    """Return the id that follows from its cause: the same parts always give the same id."""
    # A UUID of version 5, written out: the library's own takes three times as long, and each message has one or more of them.
    text = hashlib.sha1(_NAMESPACE_BYTES + "\x1f".join(parts).encode(), usedforsecurity=False).hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANTS[text[16]]}{text[17:20]}-{text[20:32]}"


def seal(
    message: Message,
    *,
    source: str,
    subject: str,
    key: str,
    time: datetime,
    cause: Envelope | None = None,
    distinguisher: str = "",
    traceparent: str | None = None,
) -> Envelope:
    """Wrap a message that `cause` led to.

    The id derives from the cause's id, the type and the subject; `distinguisher` tells several messages of one type and
    subject with one cause apart, and must be unique where there is no cause.
    """
    root = cause.id if cause is not None else ""
    identity = derived_id(source, root, message.TYPE, subject, distinguisher)
    return Envelope(
        id=identity,
        type=message.TYPE,
        version=message.VERSION,
        source=source,
        subject=subject,
        time=time,
        key=key,
        correlation=cause.correlation if cause is not None else identity,
        causation=cause.id if cause is not None else None,
        traceparent=traceparent or (cause.traceparent if cause is not None else None),
        data=msgspec.Raw(_encoder.encode(message)),
    )


def encode(envelope: Envelope) -> bytes:
    """Return the bytes that travel and are stored."""
    return _encoder.encode(envelope)


def decode(body: bytes) -> Envelope:
    """Read an envelope; raises msgspec.DecodeError (or its ValidationError) when the bytes are not one."""
    return _envelope_decoder.decode(body)
