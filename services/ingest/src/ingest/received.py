"""What the door reads of a webhook's body before it is stored: whose event it is, and that later readers can read it."""

from __future__ import annotations

import re

import msgspec

LONGEST_NAME = 100
DEEPEST_NESTING = 64

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"{}", b"[]")


class UnusableEventError(Exception):
    """The body is not an event of Chargebee; `code` is stable, `sentence` says to the sender what is wrong with it."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class ReceivedEvent(msgspec.Struct, frozen=True):
    """An event that can be stored: `body` is what came in, byte for byte, except where no reader could have read it."""

    event_id: str
    event_type: str
    body: bytes


class _Object(msgspec.Struct, frozen=True):
    """Any JSON object; its members are passed over."""


class _Head(msgspec.Struct, frozen=True):
    id: str
    event_type: str
    content: _Object


class _Parts(msgspec.Struct, frozen=True):
    id: msgspec.Raw = msgspec.Raw()
    event_type: msgspec.Raw = msgspec.Raw()
    content: msgspec.Raw = msgspec.Raw()


_heads = msgspec.json.Decoder(_Head)
_parts = msgspec.json.Decoder(_Parts)
_strings = msgspec.json.Decoder(str)
_objects = msgspec.json.Decoder(_Object)


def read_event(body: bytes) -> ReceivedEvent:
    """Read id and type of an event; raises UnusableEventError for whatever could not be stored and read again."""
    if not body.isascii():
        _check_utf8(body)
    try:
        head = _heads.decode(body)
    except msgspec.ValidationError:
        raise _diagnosis(body) from None
    except msgspec.DecodeError as error:
        mended = _without_lone_surrogates(body)
        if mended == body:
            raise _not_json(error) from None
        return read_event(mended)
    except RecursionError:
        raise _too_deep() from None
    _check_name("id", head.id)
    _check_name("event_type", head.event_type)
    if body.count(b"[") + body.count(b"{") > DEEPEST_NESTING and _is_deep(body):
        raise _too_deep()
    return ReceivedEvent(head.id, head.event_type, body)


def _check_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise UnusableEventError("not_utf8", f"The body is not UTF-8: byte {error.start} cannot stand there.") from None


def _check_name(member: str, value: str) -> None:
    # NUL and other control characters cannot be stored as text by every database; Chargebee's ids are letters and digits.
    if not value:
        raise UnusableEventError(f"event_{_short(member)}_missing", f"The event has an empty {member}.")
    if len(value) > LONGEST_NAME or not value.isprintable():
        raise UnusableEventError(
            f"event_{_short(member)}_unusable",
            f"The event's {member} must have at most {LONGEST_NAME} printable characters; it has {len(value)}.",
        )


def _short(member: str) -> str:
    return member.removeprefix("event_")


def _diagnosis(body: bytes) -> UnusableEventError:
    """Say what is wrong with JSON that is not an event; off the fast path, because it reads the body again."""
    try:
        parts = _parts.decode(body)
    except msgspec.DecodeError as error:
        if not isinstance(error, msgspec.ValidationError):
            return _not_json(error)  # the fast path had stopped before the place where it breaks
        return UnusableEventError("not_an_object", "The body is JSON but not an object; an event of Chargebee is one.")
    except RecursionError:
        return _too_deep()
    for member, value in (("id", parts.id), ("event_type", parts.event_type)):
        problem = _string_problem(member, value)
        if problem is not None:
            return problem
    if not bytes(parts.content):
        return UnusableEventError("content_missing", "The event has no content.")
    return UnusableEventError("content_not_an_object", "The event's content is not an object of resources.")


def _string_problem(member: str, value: msgspec.Raw) -> UnusableEventError | None:
    if bytes(value) in {b"", b"null"}:
        return UnusableEventError(f"event_{_short(member)}_missing", f"The event has no {member}.")
    try:
        _strings.decode(value)
    except msgspec.MsgspecError:
        return UnusableEventError(f"event_{_short(member)}_unusable", f"The event's {member} is not a string.")
    return None


def _not_json(error: msgspec.DecodeError) -> UnusableEventError:
    return UnusableEventError("not_json", f"The body is not JSON: {error}.")


def _too_deep() -> UnusableEventError:
    return UnusableEventError("nested_too_deep", f"The body nests more than {DEEPEST_NESTING} levels deep.")


def _is_deep(body: bytes) -> bool:
    """Tell whether brackets nest deeper than allowed, by taking the innermost pairs away level by level."""
    brackets = _STRING.sub(b"", body).translate(_ONE_KIND_OF_BRACKET, _NO_BRACKETS)
    for _ in range(DEEPEST_NESTING):
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _without_lone_surrogates(body: bytes) -> bytes:
    """Replace escaped halves of a character, which a text cut off in the middle of an emoji leaves, by U+FFFD.

    JSON readers refuse them, Chargebee would deliver the same bytes again and again, and the document would be lost.
    """
    return _ESCAPE.sub(lambda found: b"\\ufffd" if found.group(1) else found.group(0), body)
