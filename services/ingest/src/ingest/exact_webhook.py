"""The door for Exact's webhooks: 200 for what is signed with the app's secret, 4xx with a reason for everything else.

The signature stands in the body: upper-case hex of HMAC-SHA256, keyed with the app's webhook secret, over the very bytes of
`Content`. Exact tries again after any answer but 200 and 201, ten times in 34 hours. When somebody subscribes it first posts an
empty body, to be answered with 200. Events come twice and in any order; an entry gives one of its own and one of its lines.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from typing import Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from backbone.telemetry import Telemetry
from ingest.hints import Hints
from ingest.webhook import JSON, Refusal, read_body

PATH: Final = "/webhooks/exact"
HEARD: Final = b'{"status":"heard"}'
IGNORED: Final = b'{"status":"ignored"}'
VALIDATED: Final = b'{"status":"validated"}'
LONGEST_WORD: Final = 100


class _Signed(msgspec.Struct, frozen=True):
    content: msgspec.Raw = msgspec.field(name="Content")
    hash_code: str = msgspec.field(name="HashCode", default="")


class _Content(msgspec.Struct, frozen=True):
    topic: str = msgspec.field(name="Topic")
    division: int = msgspec.field(name="Division")
    key: str = msgspec.field(name="Key", default="")
    action: str = msgspec.field(name="Action", default="")


_bodies = msgspec.json.Decoder(_Signed)
_contents = msgspec.json.Decoder(_Content)


class ExactDoor:
    """Answers one webhook of Exact."""

    def __init__(
        self, hints: Hints, secret: str | None, divisions: Collection[int], *, max_body_bytes: int, telemetry: Telemetry
    ) -> None:
        """Let in what `secret` signed, about these divisions, with at most `max_body_bytes`; without a secret nothing."""
        self._hints = hints
        self._secret = secret.encode() if secret else None
        self._divisions = frozenset(divisions)
        self._max_body_bytes = max_body_bytes
        self._telemetry = telemetry

    def router(self) -> APIRouter:
        """Return the door's route."""
        routes = APIRouter()
        routes.add_route(PATH, self.receive, methods=["POST"])
        return routes

    async def receive(self, request: Request) -> Response:
        """Take a hint and answer 200; 401, 404, 413 and 422 say what to mend."""
        try:
            answer = await self._take(request)
        except Refusal as refusal:
            self._telemetry.count("exact_webhooks_received", outcome="refused")
            return refusal.answer()
        self._telemetry.count("exact_webhooks_received", outcome=_OUTCOMES[answer])
        return Response(answer, media_type=JSON)

    async def _take(self, request: Request) -> bytes:
        if self._secret is None:
            sentence = (
                "Webhooks of Exact are not switched on here: set KRUISPOST_EXACT_WEBHOOK_SECRET to the app's webhook secret."
            )
            raise Refusal(404, "exact_webhooks_off", sentence)
        body = await read_body(request, self._max_body_bytes)
        if not body:
            return VALIDATED
        content = _checked(body, self._secret)
        try:
            event = _contents.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _unreadable(f"its Content does not name a topic and a division: {error}") from None
        if not all(len(word) <= LONGEST_WORD and word.isprintable() for word in (event.topic, event.key)):
            raise _unreadable(f"its Topic and Key must have at most {LONGEST_WORD} printable characters")
        if event.division not in self._divisions:
            # Signed, so the subscription is ours and stands in a division that this installation does not book into.
            return IGNORED
        is_taken = self._hints.hear(event.division, event.topic, event.key, is_deleted=event.action.casefold() == "delete")
        return HEARD if is_taken else IGNORED


_OUTCOMES: Final = {HEARD: "heard", IGNORED: "ignored", VALIDATED: "validated"}


def _checked(body: bytes, secret: bytes) -> msgspec.Raw:
    """Return the Content of a body whose HashCode signs exactly these bytes of it; raises Refusal."""
    try:
        signed = _bodies.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(f"it is no object with Content and HashCode: {error}") from None
    expected = hmac.new(secret, bytes(signed.content), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signed.hash_code.lower().encode()):
        sentence = (
            "The HashCode does not sign this Content with our secret: compare KRUISPOST_EXACT_WEBHOOK_SECRET with Exact's app."
        )
        raise Refusal(401, "signature_wrong", sentence)
    return signed.content


def _unreadable(why: str) -> Refusal:
    return Refusal(422, "exact_webhook_unreadable", f"The body is no webhook of Exact, {why}.")
