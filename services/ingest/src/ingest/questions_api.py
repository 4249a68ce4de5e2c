"""What is asked of Chargebee one by one, through the official SDK: the coupon sets of codes, and long documents as a whole.

Chargebee shows at most 300 lines of a document at a time where a site has invoicing of enterprise scale (a private beta of its
own), and with them the taxes, discounts and tiers of these lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from backbone.chargebee_sdk import escaped
from backbone.telemetry import Telemetry
from ingest.events_api import EventsError, SdkCalls

MOST_CODES: Final = 100  # as many as a page of Chargebee's lists has
MOST_LINES: Final = 300  # the most that Chargebee gives at a time
MOST_PAGES: Final = 1_000
NOT_FOUND: Final = "resource_not_found"
LINES, OFFSET = "line_items", "line_items_next_offset"
OF_LINES: Final = "line_item_"  # how the lists begin whose rows belong to lines: line_item_taxes, line_item_discounts ...


class QuestionsApi(Protocol):
    """What asking needs of Chargebee; both raise EventsError."""

    async def coupon_codes(self, site: str, codes: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return what Chargebee has of some codes, at most MOST_CODES; one that it has not is left out."""

    async def document(self, site: str, kind: str, number: str) -> dict[str, Any] | None:
        """Return an invoice or a credit note with all of its lines; None when there is none."""


class ChargebeeQuestions:
    """Asks, each call in a thread: the SDK blocks."""

    def __init__(self, *, api_key: str, base_url: str | None, telemetry: Telemetry) -> None:
        self._sdk = SdkCalls(api_key=api_key, base_url=base_url)
        self._telemetry = telemetry

    async def coupon_codes(self, site: str, codes: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return what Chargebee has of some codes, at most MOST_CODES; one that it has not is left out.

        Lists pass silently over a filter that they do not understand, so a code is only gone when asking for it alone says so.
        """
        found: dict[str, dict[str, Any]] = {}
        # The SDK puts the codes into one text between apostrophes, which a code may have itself.
        plain = [code for code in codes if "'" not in code]
        if len(plain) > 1:
            rows = await self._counted("list_coupon_codes", self._list, site, plain)
            found = {str(row["code"]): row for row in rows if row.get("code") in plain}
        for code in codes:
            if code not in found:
                alone = await self._counted("retrieve_coupon_code", self._retrieve, site, "coupon_code", code, None)
                if alone is not None:
                    found[code] = alone
        return found

    async def document(self, site: str, kind: str, number: str) -> dict[str, Any] | None:
        """Return an invoice or a credit note with all of its lines; None when there is none."""
        pages: list[dict[str, Any]] = []
        params: dict[str, Any] = {"line_items_limit": MOST_LINES}
        while len(pages) < MOST_PAGES:
            page = await self._counted(f"retrieve_{kind}", self._retrieve, site, kind, number, params)
            if page is None:
                return None
            if pages and page.get("resource_version") != pages[0].get("resource_version"):
                raise EventsError(f"{kind.replace('_', ' ')} {number} changed while its lines were read")
            pages.append(page)
            following = page.get(OFFSET)
            if not following:
                return whole(pages)
            if not page.get(LINES) or params.get("line_items_offset") == following:
                break
            params = {"line_items_limit": MOST_LINES, "line_items_offset": following}
        raise EventsError(f"Chargebee did not give all lines of {kind.replace('_', ' ')} {number}")

    async def _counted(self, operation: str, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            answer = await asyncio.to_thread(call, *arguments)
        except EventsError:
            self._telemetry.count("chargebee_calls", operation=operation, outcome="failed")
            raise
        self._telemetry.count("chargebee_calls", operation=operation, outcome="ok")
        return answer

    def _list(self, site: str, codes: Sequence[str]) -> list[dict[str, Any]]:
        params = {"limit": MOST_CODES, "code": {"in": list(codes)}}
        with self._sdk.failures("list"):
            answer = self._sdk.client(site).CouponCode.list(params)
            return [entry.coupon_code.raw_data for entry in answer.list]

    def _retrieve(self, site: str, kind: str, identity: str, params: dict[str, Any] | None) -> dict[str, Any] | None:
        try:
            with self._sdk.failures("answer"):
                resource = getattr(self._sdk.client(site), kind.title().replace("_", ""))
                arguments = () if params is None else (params,)
                answer = resource.retrieve(escaped(identity), *arguments)
                raw: dict[str, Any] = getattr(answer, kind).raw_data
                return raw
        except EventsError as error:
            if error.code == NOT_FOUND:
                return None
            raise


def whole(pages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put the pages of a document together: its lines in their order, and the rows that belong to the lines of each page."""
    document = {name: value for name, value in pages[0].items() if name != OFFSET}
    if len(pages) == 1:
        return document
    document[LINES] = [line for page in pages for line in page.get(LINES) or ()]
    names = {name for page in pages for name, rows in page.items() if name.startswith(OF_LINES) and isinstance(rows, list)}
    for name in sorted(names - {LINES}):
        # Whether a page has the rows of its own lines only or of all lines, each row is taken once: with its line.
        rows = [row for row in pages[0].get(name) or () if row.get("line_item_id") is None]
        for page in pages:
            lines = {line.get("id") for line in page.get(LINES) or ()}
            rows += [row for row in page.get(name) or () if row.get("line_item_id") in lines]
        document[name] = rows
    return document
