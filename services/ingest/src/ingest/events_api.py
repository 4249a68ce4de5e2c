"""Chargebee's list of events through the official SDK: one page a call, oldest first, and what can go wrong.

Chargebee passes silently over a filter or a sort that it does not understand and answers newest first, so whoever reads a page
checks its order and its range.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from backbone.chargebee_sdk import is_missing_answer, open_client, retry_after_seconds
from backbone.telemetry import Telemetry

PAGE_EVENTS: Final = 100  # the most that Chargebee gives
DENIED: Final = frozenset((401, 403))


class EventsError(Exception):
    """The events could not be listed; `retry_after_seconds` is Chargebee's wish, if any, `is_denied` that the key is refused."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, is_denied: bool = False) -> None:
        super().__init__(message)
        self.message = message
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


class ChargebeeEvents:
    """Lists events, each call in a thread: the SDK blocks."""

    def __init__(self, *, api_key: str, base_url: str | None, telemetry: Telemetry) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._telemetry = telemetry
        self._clients: dict[str, Any] = {}

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
        # Importing the SDK costs more than a second, so only a process that really calls Chargebee pays for it.
        from chargebee import APIError  # noqa: PLC0415 (see above)

        params: dict[str, Any] = {
            "limit": PAGE_EVENTS,
            "sort_by": {"asc": "occurred_at"},
            # One filter with both ends: `after` and `before` on one member stand for two of them in Chargebee's own examples.
            "occurred_at": {"between": [after + 1, before - 1]},
        }
        if offset is not None:
            params["offset"] = offset
        try:
            answer = self._client(site).Event.list(params)
            rows = [entry.event.raw_data for entry in answer.list]
            events = tuple(ListedEvent(str(row["id"]), int(row["occurred_at"]), msgspec.json.encode(row)) for row in rows)
            return Page(events, answer.next_offset or None)
        except APIError as error:
            status = int(error.http_status_code)
            raise EventsError(
                f"Chargebee answered {status} ({error.api_error_code})",
                retry_after_seconds=retry_after_seconds(error.http_headers),
                is_denied=status in DENIED or error.api_error_code == "site_not_found",
            ) from error
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise EventsError(f"Chargebee's list of events cannot be read: {error!r}") from error
        except Exception as error:
            if not is_missing_answer(error):
                raise
            raise EventsError(f"Chargebee gave no valid answer: {type(error).__name__}") from error

    def _client(self, site: str) -> Any:
        if site not in self._clients:
            from chargebee import Chargebee  # noqa: PLC0415 (a second of import time, only where it is used)

            self._clients[site] = open_client(Chargebee, site=site, api_key=self._api_key, base_url=self._base_url)
        return self._clients[site]
