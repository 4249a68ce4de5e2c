"""Chargebee's lists, of events and of resources, through the official SDK: one page a call, and what can go wrong.

Chargebee passes silently over a filter or a sort that it does not understand and answers newest first, so whoever reads a page
checks its order and its range.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from backbone.chargebee_sdk import is_missing_answer, open_client, retry_after_seconds
from backbone.telemetry import Telemetry

PAGE_EVENTS: Final = 100  # the most that Chargebee gives
DENIED: Final = frozenset((401, 403))
OTHER_CATALOG: Final = "configuration_incompatible"  # plans of Product Catalog 1.0 asked of a site on 2.0, or the reverse


class EventsError(Exception):
    """A list could not be had; `retry_after_seconds` is Chargebee's wish, if any, `is_denied` that the key is refused."""

    def __init__(
        self, message: str, *, code: str | None = None, retry_after_seconds: float | None = None, is_denied: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.retry_after_seconds = retry_after_seconds
        self.is_denied = is_denied


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event as a webhook would have brought it; `occurred_at` in unix seconds."""

    event_id: str
    occurred_at: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Events in the order in which Chargebee gave them; `following` asks for the next page, None on the last one."""

    events: tuple[ListedEvent, ...]
    following: str | None


class EventsApi(Protocol):
    """What catching up needs of Chargebee."""

    async def events(self, site: str, after: int, before: int, offset: str | None) -> Page:
        """Return a page of the events that occurred between the two (unix seconds, both left out); raises EventsError."""


class SdkCalls:
    """The SDK's clients of the sites, and what its failures mean."""

    def __init__(self, *, api_key: str, base_url: str | None) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._clients: dict[str, Any] = {}

    def client(self, site: str) -> Any:
        """Return the client of a site, made once."""
        if site not in self._clients:
            # Importing the SDK costs more than a second, so only a process that really calls Chargebee pays for it.
            from chargebee import Chargebee  # noqa: PLC0415 (see above)

            self._clients[site] = open_client(Chargebee, site=site, api_key=self._api_key, base_url=self._base_url)
        return self._clients[site]

    @contextmanager
    def failures(self, what: str) -> Iterator[None]:
        """Raise an EventsError for whatever goes wrong with a call; `what` names what is read, such as a list."""
        from chargebee import APIError  # noqa: PLC0415 (a second of import time, only where it is used)

        try:
            yield
        except APIError as error:
            status = int(error.http_status_code)
            raise EventsError(
                f"Chargebee answered {status} ({error.api_error_code})",
                code=error.api_error_code,
                retry_after_seconds=retry_after_seconds(error.http_headers),
                is_denied=status in DENIED or error.api_error_code == "site_not_found",
            ) from error
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise EventsError(f"Chargebee's {what} cannot be read: {error!r}") from error
        except Exception as error:
            if not is_missing_answer(error):
                raise
            raise EventsError(f"Chargebee gave no valid answer: {type(error).__name__}") from error


class ChargebeeEvents:
    """Lists events, each call in a thread: the SDK blocks."""

    def __init__(self, *, api_key: str, base_url: str | None, telemetry: Telemetry) -> None:
        self._sdk = SdkCalls(api_key=api_key, base_url=base_url)
        self._telemetry = telemetry

    async def events(self, site: str, after: int, before: int, offset: str | None) -> Page:
        """Return a page of the events that occurred between the two (unix seconds, both left out); raises EventsError."""
        try:
            page = await asyncio.to_thread(self._list, site, after, before, offset)
        except EventsError:
            self._telemetry.count("chargebee_calls", operation="list_events", outcome="failed")
            raise
        self._telemetry.count("chargebee_calls", operation="list_events", outcome="ok")
        return page

    def _list(self, site: str, after: int, before: int, offset: str | None) -> Page:
        params: dict[str, Any] = {
            "limit": PAGE_EVENTS,
            "sort_by": {"asc": "occurred_at"},
            # One filter with both ends: `after` and `before` on one member stand for two of them in Chargebee's own examples.
            "occurred_at": {"between": [after + 1, before - 1]},
        }
        rows, following = self._page(site, "event", params, offset)
        try:
            events = tuple(ListedEvent(str(row["id"]), int(row["occurred_at"]), msgspec.json.encode(row)) for row in rows)
        except (KeyError, TypeError, ValueError) as error:
            raise EventsError(f"Chargebee's list of events cannot be read: {error!r}") from error
        return Page(events, following)

    async def resources(
        self, site: str, kind: str, params: dict[str, Any], offset: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of resources of a kind (`credit_note`) and what asks for the next one; raises EventsError.

        None at all where the site's Product Catalog has no such kind.
        """
        outcome = "failed"
        try:
            page = await asyncio.to_thread(self._page, site, kind, {"limit": PAGE_EVENTS, **params}, offset)
            outcome = "ok"
        except EventsError as error:
            if error.code != OTHER_CATALOG:
                raise
            page = [], None
        finally:
            self._telemetry.count("chargebee_calls", operation=f"list_{kind}", outcome=outcome)
        return page

    def _page(self, site: str, kind: str, params: dict[str, Any], offset: str | None) -> tuple[list[dict[str, Any]], str | None]:
        if offset is not None:
            params = {**params, "offset": offset}
        with self._sdk.failures("list"):
            # The SDK names its resources in one word: CreditNote.
            answer = getattr(self._sdk.client(site), kind.title().replace("_", "")).list(params)
            return [getattr(entry, kind).raw_data for entry in answer.list], answer.next_offset or None
