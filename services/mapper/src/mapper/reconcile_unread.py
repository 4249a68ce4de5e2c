"""Events of Chargebee's that ingest holds and told nobody of: what they say stands in no column, so it is named."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from bookkeeping.reconciliation import Kind
from mapper.reconcile_scratch import Finding, Scratch
from mapper.reconcile_sources import Shown, Sources, Unread
from mapper.reconciling import SERIES, Reconciler

MOST_NAMED = 10
NOT_READ_YET = "not_read_yet"  # why a number of a series is not booked


class _Events:
    """Events of one kind of finding: how many there are, since when, and the first documents."""

    def __init__(self) -> None:
        self.count = 0
        self._oldest: datetime | None = None
        self._documents: dict[str, None] = {}

    def add(self, event: Unread, documents: list[str]) -> None:
        self.count += 1
        self._oldest = event.at if self._oldest is None else min(self._oldest, event.at)
        for name in documents:
            if len(self._documents) < MOST_NAMED:
                self._documents[name] = None

    def finding(self, kind: Kind, name: str) -> Finding:
        oldest = self._oldest.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if self._oldest else ""
        details = {"count": self.count, "oldest": oldest, "documents": list(self._documents)}
        return Finding(kind=kind, name=name, document="event", number="", code=name, details=details)


async def note_unread(sources: Sources, reconciler: Reconciler, scratch: Scratch) -> None:
    """Note events that could say something else of these days, and those that say nothing of them.

    To be called before documents are read: what is translated in between is then compared as well.
    """
    unsure, others = _Events(), _Events()
    async for page in sources.unread():
        for event in page:
            documents = await reconciler.of_these_days(event.shown) if event.shown else []
            before = await sources.shown_of([_stream(each) for each in event.shown])
            _number(event.shown, before, scratch, in_range=bool(documents))
            if before and not documents:
                # A document may have had a day of these, and have another one now.
                documents = await reconciler.of_these_days(before)
            if documents or not event.is_readable:
                unsure.add(event, documents or [event.event])
            else:
                others.add(event, [])
    if unsure.count:
        scratch.note(unsure.finding("unread", "events_unread"))
    if others.count:
        scratch.note(others.finding("waiting", "events_unread_of_others"))


def _number(shown: Sequence[Shown], before: Sequence[Shown], scratch: Scratch, *, in_range: bool) -> None:
    """Let numbers that came only with this event stand in their series with that reason, rather than as missing there."""
    known = {_stream(each) for each in before}
    for each in shown:
        if each.kind in SERIES and _stream(each) not in known:
            scratch.number(each.fact.site, each.kind, each.number, in_range=in_range, reason=NOT_READ_YET)


def _stream(shown: Shown) -> str:
    _, kind, _ = shown.fact.TYPE.split(".")  # chargebee.invoice.observed
    return f"{shown.fact.site}/{kind}/{shown.resource.id}"
