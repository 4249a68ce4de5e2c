"""`kruispost reconcile` calls nothing equal while ingest holds events about those days that it has told nobody of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from integration.test_reconcile import DOCUMENTS
from support.engines import DATABASES
from support.other_books import run
from support.whole_month import events_of_month, whole_month

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
THESE_DAYS = ("reconcile", "--from", "2026-09-01", "--to", "2026-10-31", "--wait", "0")
AMONG_THEM = "INV-4"  # neither the first nor the last of its series
DAYS_BEFORE = ("reconcile", "--from", "2026-07-01", "--to", "2026-07-31", "--wait", "0")


def of_invoice(event: dict[str, Any]) -> str | None:
    number = event["content"].get("invoice", {}).get("id")
    return number if isinstance(number, str) else None


def first_of_invoices(events: list[dict[str, Any]]) -> int:
    """The place of the first event of the last invoice that is heard of."""
    numbers = [*map(of_invoice, events)]
    return numbers.index(next(number for number in reversed(numbers) if number))


@pytest.mark.parametrize("dialect", DATABASES)
async def test_events_that_are_not_translated_are_named(tmp_path: Path, dialect: str) -> None:
    async with whole_month(tmp_path, dialect) as month:
        events = events_of_month(documents=DOCUMENTS)[:70]
        cut = first_of_invoices(events)
        late = [event for event in events[:cut] if of_invoice(event) == AMONG_THEM]
        await month.receive(event for event in events[:cut] if event not in late)  # not booked: they wait, which is a reason
        done = await run(month, *THESE_DAYS[:-2], "--json")
        code, told = done.returncode, json.loads(done.stdout)
        assert (code, [each["number"] for each in told["findings"]]) == (1, [AMONG_THEM])
        assert told["findings"][0]["name"] == "number_missing"

        late += events[cut:]
        await month.store(late)
        number = events[cut]["content"]["invoice"]["id"]
        done = await run(month, *THESE_DAYS, "--json")
        told = json.loads(done.stdout)
        assert (done.returncode, told["unexplained"]) == (1, 1)
        (finding,) = told["findings"]
        assert (finding["kind"], finding["name"]) == ("unread", "events_unread")
        assert finding["details"]["count"] >= 1
        assert {f"invoice {AMONG_THEM}", f"invoice {number}"} <= {*finding["details"]["documents"]}
        (series,) = (each for each in told["series"] if each["first"].startswith("INV-"))
        assert (series["missing"], series["not_booked"]["not_read_yet"]) == ([], 2)
        assert finding["details"]["oldest"].endswith("UTC")

        dutch = await run(month, *THESE_DAYS, "--lang", "nl")
        assert "Alles is gelijk" not in dutch.stdout
        assert "nog niet doorgegeven" in dutch.stdout
        assert f"factuur {number}" in dutch.stdout

        other = await run(month, *DAYS_BEFORE, "--json", "--all")
        told = json.loads(other.stdout)
        assert (other.returncode, told["unexplained"]) == (0, 0), "no document of those days is among them"
        (finding,) = (each for each in told["findings"] if each["name"] == "events_unread_of_others")
        assert (finding["kind"], finding["details"]["count"]) == ("waiting", len(late))
