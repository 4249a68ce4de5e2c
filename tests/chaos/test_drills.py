"""The drills of docs/operating.md: something is lost or wrong, the commands there are given, and the books are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.deadly_commits import EVERYWHERE, killed_at_each_commit
from support.drills import Drill, drill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


async def go_on(stage: Drill) -> None:
    """Start everything, and let the rest of the month come in."""
    async with stage.running():
        await stage.receive(stage.later)
        await stage.settle()


async def test_the_brokers_data_is_lost(tmp_path: Path) -> None:
    async with drill(tmp_path) as stage:
        async with stage.running("ingest", "mapper"):
            await stage.receive(stage.later[:-5])
            await stage.settle()
        stage.lose("broker")  # with all that the writer and the matcher were to hear
        await stage.run("republish", "all")
        await go_on(stage)
        await stage.reconcile()
        assert max((await stage.books()).references.values()) == 1


async def test_the_mappers_database_is_lost(tmp_path: Path) -> None:
    async with drill(tmp_path) as stage:
        before = await stage.books()
        stage.lose("mapper")
        await stage.run("replay", "mapper", "--yes")
        async with stage.running():
            await stage.settle()
        assert await stage.books() == before
        await go_on(stage)
        await stage.reconcile()


async def test_the_writers_database_is_lost(tmp_path: Path) -> None:
    async with drill(tmp_path) as stage:
        async with stage.running("ingest", "mapper"):
            await stage.receive(stage.later)
            await stage.settle()
        stage.lose("exact-writer", "broker")
        await stage.run("migrate")
        await stage.run("restored", "--wait", "0")
        async with stage.running("ingest", "exact-writer"):
            pass  # `kruispost login`
        written = (await stage.exact.calls())["writes"]
        done = json.loads(await stage.run("replay", "exact-writer", "--json"))
        # The dead keep their lock, being in this process, and are waited for; a process that is killed gives it back.
        if EVERYWHERE:
            assert await killed_at_each_commit(lambda: stage.run("replay", "exact-writer", "--yes")) > 1
        else:
            await stage.run("replay", "exact-writer", "--yes")
        taken_back = done["entries"] + done["customers"]
        async with stage.running():
            await stage.settle()
        await stage.reconcile()
        assert max((await stage.books()).references.values()) == 1
        writes = (await stage.exact.calls())["writes"] - written
        assert writes < taken_back, "what was lost is adopted, and only what came later is written"


async def test_the_matchers_database_is_lost(tmp_path: Path) -> None:
    async with drill(tmp_path) as stage:
        paid = await pay_by_bank(stage, 2)
        async with stage.running():
            await stage.until_paid(paid)
            await stage.settle()
        before = await stage.books()
        recorded = stage.recorded()
        stage.lose("payment-matcher")
        for service in ("ingest", "exact-writer"):
            await stage.run("republish", service, "--to", "payment-matcher")
        more = await pay_by_bank(stage, 1)
        async with stage.running():
            await stage.until_paid(more)
            await stage.settle()
        assert stage.recorded() == recorded + 1, "what was recorded is not recorded again"
        await stage.reconcile()
        after = await stage.books()
        assert after.references == before.references | after.references


async def test_ingests_database_is_lost(tmp_path: Path) -> None:
    async with drill(tmp_path) as stage:
        stage.lose("ingest")
        async with stage.running("ingest"):
            pass  # its tables are made when it starts
        await stage.run("backfill", "--from", "2026-08-01", "--yes")
        async with stage.running():
            await stage.settle()
        await stage.reconcile()
        assert max((await stage.books()).references.values()) == 1


async def test_an_hour_old_backup_is_restored(tmp_path: Path) -> None:
    """What was booked in the lost hour is adopted by its reference, whether its webhook comes again or catch-up brings it."""
    async with drill(tmp_path) as stage:
        backup = stage.back_up()
        await go_on(stage)
        before = await stage.books()
        stage.restore(backup)
        await stage.run("restored", "--wait", "0")
        async with stage.running("ingest", "exact-writer"):
            pass  # `kruispost login`
        await stage.run("restored")
        await go_on(stage)
        await stage.reconcile()
        assert await stage.books() == before


async def test_what_was_rebooked_in_the_lost_hour_is_accepted_and_not_taken_back(tmp_path: Path) -> None:
    """Entry, reversal and new entry stand in Exact and are right together; here nobody knows the last two any more."""

    def book_revenue_on(account: str) -> None:
        def change(section: dict[str, Any]) -> None:
            for each in section["revenue"]:
                each["account"] = account if each["account"] in ("8000", "8020") else each["account"]

        stage.change_division(change)

    async def hear() -> None:
        async with stage.running():
            await stage.receive(stage.later[:12])
            await stage.settle()

    async with drill(tmp_path) as stage:
        book_revenue_on("8000")
        backup = stage.back_up()
        book_revenue_on("8020")
        await hear()
        book_revenue_on("8000")
        await stage.run("rebook", "--yes", "--from", "2026-01-01")
        async with stage.running():
            await stage.settle()
        before = await stage.books()
        stage.restore(backup)
        await stage.run("restored", "--wait", "0")
        async with stage.running("ingest", "exact-writer"):
            pass  # `kruispost login`
        await stage.run("restored")
        await hear()
        numbers = sorted({each["number"] for each in json.loads(await stage.run("drift", "list", "--json", code=1))["drift"]})
        assert numbers
        by = ("--wait", "0", "--who", "an engineer", "--why", "rebooked in the lost hour")
        told = await stage.run("drift", "revert", numbers[0], "--yes", *by, code=1)
        assert "Exact has our entry that takes it back (/R)" in told
        for number in numbers:
            await stage.run("drift", "accept", number, *by)
        await stage.reconcile()
        assert await stage.books() == before


async def test_what_was_under_way_when_the_backup_was_made_is_sent_again(tmp_path: Path) -> None:
    """The broker is not restored: what it had then was handled since, by databases that are gone."""
    async with drill(tmp_path) as stage:
        async with stage.running("ingest"):
            await stage.receive(stage.later)
            await stage.settle()
        backup = stage.back_up()
        async with stage.running():
            await stage.settle()
        before = await stage.books()
        stage.restore(backup, keep="broker")
        await stage.run("restored", "--wait", "0")
        async with stage.running("exact-writer"):
            pass  # `kruispost login`
        await stage.run("restored")
        await stage.run("republish", "all")
        async with stage.running():
            await stage.settle()
        told = await stage.reconcile()
        assert {each["kind"] for each in told["explained"]} <= {"held", "set_aside"}, "nothing waits for what will not come"
        assert await stage.books() == before


async def test_a_wrong_mapping_was_live_for_a_day(tmp_path: Path) -> None:
    """Booked back and anew where it differs and nowhere else, after a preview; the balances are those of the right mapping."""
    async with drill(tmp_path) as stage:
        wrong, right = await stage.books(), "8020"

        def mend(section: dict[str, Any]) -> None:
            section["revenue"][0]["account"] = right

        stage.change_division(mend)
        preview = json.loads(await stage.run("rebook", "--json", code=1))
        found = [each["number"] for each in preview["documents"]]
        assert (preview["rebooked"], preview["entries_to_post"]) == (0, 2 * len(found))
        assert found
        assert await stage.books() == wrong
        one = json.loads(await stage.run("rebook", "--yes", "--most", "1", "--json", code=1 if len(found) > 1 else 0))
        assert one["rebooked"] == 1
        async with stage.running():
            await stage.settle()
        assert await killed_at_each_commit(lambda: stage.run("rebook", "--yes")) > 1
        async with stage.running():
            await stage.settle()
        await stage.run("rebook", code=0)
        await stage.reconcile()
        books = await stage.books()
        assert max(books.references.values()) == 1
        assert {f"{number}/{step}" for number in found for step in ("R", "2")} <= books.references.keys()
        assert not any(f"{number}/" in name for name in books.references for number in set(wrong.references) - set(found))
        moved = sum(each["differences_minor"].get(right, 0) for each in preview["documents"])
        assert books.balances[right] == wrong.balances.get(right, 0) + moved
        # The state is the same when it is made anew from the logs.
        await stage.run("replay", "mapper")


async def pay_by_bank(stage: Drill, count: int) -> list[str]:
    """The bookkeeper enters receipts for open invoices in Exact; their numbers."""
    terms = (await stage.exact.ledger(100001))["receivables"]
    site = stage.chargebee.app.site
    # Open in Chargebee too: else nothing is left to record there.
    chosen = [
        each
        for each in terms
        if each["open_minor"] > 0
        and (each["your_ref"] or "").startswith("INV-")
        and site.get("invoice", each["your_ref"])["amount_due"] == each["open_minor"]
    ][:count]
    assert len(chosen) == count
    for each in chosen:
        await stage.exact.control(
            "bank-receipts",
            division=100001,
            your_ref=each["your_ref"],
            amount_minor=each["open_minor"],
            date="2026-10-20",
            journal="20",
            match=True,
        )
    return [each["your_ref"] for each in chosen]
