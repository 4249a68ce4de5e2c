"""`kruispost reconcile` calls nothing equal while ingest holds events about those days that it has told nobody of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from integration.test_reconcile import DOCUMENTS
from support.engines import DATABASES
from support.whole_month import events_of_month, whole_month

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
THESE_DAYS = ("reconcile", "--from", "2026-09-01", "--to", "2026-10-31", "--wait", "0")
DAYS_BEFORE = ("reconcile", "--from", "2026-07-01", "--to", "2026-07-31", "--wait", "0")


def first_of_invoices(events: list[dict[str, Any]]) -> int:
    """The place of the first event of the last invoice that is heard of."""
    numbers = [event["content"].get("invoice", {}).get("id") for event in events]
    return numbers.index(next(number for number in reversed(numbers) if number))


@pytest.mark.parametrize("dialect", DATABASES)
async def test_events_that_are_not_translated_are_named(tmp_path: Path, dialect: str) -> None:
    async with whole_month(tmp_path, dialect) as month:
        events = events_of_month(documents=DOCUMENTS)[:70]
        cut = first_of_invoices(events)
        await month.receive(events[:cut])  # not booked: they wait, which is a reason
        code, told = await month.reconcile()
        assert (code, told["findings"]) == (0, [])

        await month.store(events[cut:])
        number = events[cut]["content"]["invoice"]["id"]
        done = await month.run(*THESE_DAYS, "--json")
        told = json.loads(done.stdout)
        assert (done.returncode, told["unexplained"]) == (1, 1)
        (finding,) = told["findings"]
        assert (finding["kind"], finding["name"]) == ("unread", "events_unread")
        assert finding["details"]["count"] >= 1
        assert f"invoice {number}" in finding["details"]["documents"]
        assert finding["details"]["oldest"].endswith("UTC")

        dutch = await month.run(*THESE_DAYS, "--lang", "nl")
        assert "Alles is gelijk" not in dutch.stdout
        assert "nog niet doorgegeven" in dutch.stdout
        assert f"factuur {number}" in dutch.stdout

        other = await month.run(*DAYS_BEFORE, "--json", "--all")
        told = json.loads(other.stdout)
        assert (other.returncode, told["unexplained"]) == (0, 0), "no document of those days is among them"
        (finding,) = (each for each in told["findings"] if each["name"] == "events_unread_of_others")
        assert (finding["kind"], finding["details"]["count"]) == ("waiting", len(events) - cut)
