"""`kruispost drift`: a change in Exact is accepted, taken back by an entry, or learned as a rule; nothing is deleted there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from support.deadly_commits import killed_at_each_commit
from support.drills import Drill, drill
from support.whole_month import DIVISION

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
SALES = 20
BY = ("--who", "M. de Vries", "--why", "afgesproken met de accountant")


async def in_exact(stage: Drill, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """A person changes something in Exact."""
    token = (await stage.exact.control("tokens", client_id="other-app"))["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    async with httpx.AsyncClient(base_url=stage.exact.url, headers=headers) as http:
        answer = await http.request(method, f"/api/v1/{DIVISION}/{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


async def decisions_are_not_forgotten(stage: Drill, file: Path, reference: str, left: dict[str, Any]) -> None:
    """Their entries are in the auditor's file and come back into a journal that was lost; what stays deleted does not."""
    await in_exact(stage, "DELETE", f"salesentry/SalesEntries(guid'{left['entry_id']}')")
    await stage.run("drift", "accept", left["your_ref"], *BY)
    before = await stage.books()
    await stage.run("export", "--from", "2026-08-01", "--to", "2026-12-31", "--out", str(file))
    assert reference in await asyncio.to_thread(file.read_text, encoding="utf-8")
    stage.lose("exact-writer")
    async with stage.running("exact-writer"):
        pass  # `kruispost login`
    assert json.loads(await stage.run("replay", "exact-writer", "--yes", "--json"))["left"] == 1
    async with stage.running():
        await stage.settle()
    assert await stage.run("drift", "list") == "Nothing of ours was changed in Exact.\n"
    assert await stage.books() == before


async def test_what_was_changed_in_exact_is_decided_about(tmp_path: Path) -> None:
    async with drill(tmp_path) as stage:
        entries = (await stage.exact.ledger(DIVISION))["entries"]
        unpaid = {each["your_ref"] for each in (await stage.exact.ledger(DIVISION))["receivables"] if not each["matched"]}
        sold = [each for each in entries if each["your_ref"] in unpaid and each["type"] == SALES]
        # Not deferred: what Exact releases would go along.
        moved = next(each for each in sold if _at_once(each))
        place = _at_once(moved)
        gone, redated, left = [each for each in sold if each is not moved][:3]
        before = await stage.books()
        # Moved to another account, deleted, given another date.
        lines = (await in_exact(stage, "GET", f"salesentry/SalesEntries(guid'{moved['entry_id']}')/SalesEntryLines"))["d"][
            "results"
        ]
        line = next(each for each in lines if each["GLAccountCode"].strip() == place)
        division = stage.exact.simulator.world.divisions[DIVISION]
        other = division.by_code("financial/GLAccounts", "8020")
        assert other is not None
        change = {"GLAccount": str(other["ID"]), "VATAmountFC": line["VATAmountFC"]}
        await in_exact(stage, "PUT", f"salesentry/SalesEntryLines(guid'{line['ID']}')", change)
        await in_exact(stage, "DELETE", f"salesentry/SalesEntries(guid'{gone['entry_id']}')")
        await in_exact(stage, "PUT", f"salesentry/SalesEntries(guid'{redated['entry_id']}')", {"EntryDate": "2026-10-30"})

        listed = json.loads(await stage.run("drift", "list", "--json", code=1))["drift"]
        names = {(each["number"], each["name"]) for each in listed}
        assert names == {
            (moved["your_ref"], "entry_edited_account"),
            (gone["your_ref"], "entry_missing"),
            (redated["your_ref"], "entry_edited_date"),
        }
        # The date stands, by a person's word; it cannot be taken back by an entry.
        await stage.run("drift", "revert", redated["your_ref"], "--wait", "0", *BY, code=1)
        accept = ("drift", "accept", redated["your_ref"], "--wait", "0", *BY)
        assert await killed_at_each_commit(lambda: stage.try_(*accept)) > 1
        # What moved it would be a rule; nothing is written.
        rule = yaml.safe_load(await stage.run("drift", "learn", moved["your_ref"], "--wait", "0"))
        assert rule[0]["account"] == "8020"
        assert rule[0]["when"]
        # Both others are shown first, and then booked.
        for each in (moved, gone):
            await stage.run("drift", "revert", each["your_ref"], "--wait", "0", *BY)
        async with stage.running():
            await stage.settle()
        assert (await stage.books()).references[gone["your_ref"]] == 0, "a preview books nothing"
        for each in (moved, gone):
            revert = ("drift", "revert", each["your_ref"], "--wait", "0", "--yes", *BY)
            assert await killed_at_each_commit(lambda: stage.try_(*revert)) > 1  # noqa: B023 - it is over when this returns
            await stage.run(*revert, code=1)  # it is on its way
        async with stage.running():
            await stage.settle()
        # Booked, and not in the ledger that was read last: still not again.
        await stage.run("drift", "revert", moved["your_ref"], "--wait", "0", "--yes", *BY, code=1)
        told = await stage.reconcile()
        assert {each["kind"]: each["documents"] for each in told["explained"]}["accepted"] == 1
        after = await stage.books()
        assert after.balances == before.balances
        assert after.references - before.references == {f"{moved['your_ref']}/C1 back to the booking": 1}
        assert await stage.run("drift", "list") == "Nothing of ours was changed in Exact.\n"
        await decisions_are_not_forgotten(stage, tmp_path / "booked.csv", f"{moved['your_ref']}/C1", left)
        # Changed once more, it is no longer what was accepted.
        await in_exact(stage, "PUT", f"salesentry/SalesEntries(guid'{redated['entry_id']}')", {"EntryDate": "2026-10-29"})
        assert redated["your_ref"] in await stage.run("drift", "list", code=1)
        # The mapper's state follows from its logs, these decisions among them.
        await stage.run("replay", "mapper")


def _at_once(entry: dict[str, Any]) -> str | None:
    """The account of an amount that is revenue at once, or None."""
    accounts = (line["gl_account"].strip() for line in entry["lines"] if line["from"] is None)
    return next((account for account in accounts if account in ("8000", "8010")), None)
