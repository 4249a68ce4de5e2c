"""`kruispost reconcile` calls equal only what it compared; what is missing, or changed at an equal total, has its name."""

from __future__ import annotations

import copy
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from integration.test_reconcile import DOCUMENTS, lines_of, named, open_invoices
from support.whole_month import DIVISION, Month, events_of_month, whole_month

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
NOVEMBER = ("--from", "2026-11-01", "--to", "2026-11-30", "--json")
NAMED = ("INV-13", "INV-21", "INV-27", "INV-32", "INV-41")


def copied(source: Path, target: Path) -> None:
    """Copy a SQLite database that is open elsewhere, as a backup or its restore does."""
    with sqlite3.connect(source) as one, sqlite3.connect(target) as other:
        one.backup(other)


def with_other_vat(event: Any) -> Any:
    """The same invoice, of which a euro of the first line became VAT afterwards."""
    changed = copy.deepcopy(event)
    invoice = changed["content"]["invoice"]
    changed["id"] += "-again"
    invoice["resource_version"] += 10**9
    invoice["updated_at"] += 10**6
    invoice["tax"] += 100
    invoice["line_items"][0]["amount"] -= 100
    invoice["line_items"][0]["tax_amount"] += 100
    return changed


def naming_others(event: Any) -> Any:
    """The same event; lines of an invoice name some others, as corrections do."""
    invoice = event["content"].get("invoice")
    if invoice is None:
        return event
    lines = [{**line, "description": f"For {' '.join(NAMED)}"} for line in invoice["line_items"]]
    return {**event, "content": {**event["content"], "invoice": {**invoice, "line_items": lines}}}


def differing(told: Any) -> dict[str, tuple[int, int, int]]:
    rows = {row["key"]: (row["chargebee_minor"], row["logs_minor"], row["exact_minor"]) for row in told["rows"]}
    return {key: amounts for key, amounts in rows.items() if len(set(amounts)) > 1}


async def test_all_is_equal_only_of_what_was_compared(tmp_path: Path) -> None:
    async with whole_month(tmp_path) as month:
        ingest, backup = month.writer.settings.data_dir / "ingest.sqlite", tmp_path / "backup.sqlite"
        events = events_of_month(documents=DOCUMENTS)
        await month.receive(events[: len(events) // 2])
        copied(ingest, backup)
        await month.receive(events[len(events) // 2 :])
        await month.book()
        days = ("--from", "2026-09-01", "--to", "2026-10-31")
        unread = await month.run("reconcile", *days, "--wait", "0")
        assert (unread.returncode, "was never read" in unread.stderr) == (2, True)
        code, told = await month.reconcile()
        assert (code, told["findings"]) == (0, [])

        changed = (await open_invoices(month))[0].document.number
        newest = [event for event in events if event["content"].get("invoice", {}).get("id") == changed][-1]
        await month.receive([with_other_vat(newest)])
        await month.book()
        code, told = await month.reconcile("--by", "vat", "--all")
        assert code == 0
        (finding,) = (each for each in told["findings"] if each["number"] == changed)
        assert (finding["kind"], finding["code"], finding["amount_minor"]) == ("held", "changed_after_booking", 0)
        assert differing(told)

        copied(backup, ingest)
        code, told = await month.reconcile()
        assert code == 1
        lost = {number for number, names in named(told).items() if names == ["document_not_shown"]}
        others = {name for names in named(told).values() for name in names} - {"document_not_shown"}
        assert others <= {"document_differs", "number_missing"}, "the backup has some in an older state"
        half = {each["content"]["invoice"]["id"] for each in events[: len(events) // 2] if "invoice" in each["content"]}
        booked = {fact.document.number for fact in (await month.posted()).values() if fact.document.kind == "invoice"}
        assert booked - half <= lost
        assert lost.isdisjoint(half)

        ingest.rename(tmp_path / "gone.sqlite")
        without = await month.run("reconcile", *days)
        assert (without.returncode, "no database of ingest" in without.stderr) == (2, True)


async def test_what_a_hand_did_has_its_own_name_in_the_month_where_it_stands(tmp_path: Path) -> None:
    async with whole_month(tmp_path) as month:
        await month.receive(events_of_month(documents=DOCUMENTS))
        await month.book()
        taken, moved, corrected = (await open_invoices(month))[:3]
        nobody = (await month.in_exact("POST", "crm/Accounts", {"Name": "Somebody else", "Status": "C"}))["d"]["ID"]
        await month.in_exact("PUT", f"salesentry/SalesEntries(guid'{taken.entry_id}')", {"Customer": nobody})
        await month.in_exact("PUT", f"salesentry/SalesEntries(guid'{moved.entry_id}')", {"EntryDate": "2026-11-20"})
        await correct_by_hand(month, corrected.entry_id)

        code, told = await month.reconcile("--by", "customer")
        assert code == 1
        found = named(told)
        assert found.pop(taken.your_ref) == ["entry_edited_customer"]
        assert found.pop(corrected.your_ref) == ["entry_by_hand"]
        assert "entry_edited_date" in found.pop(moved.your_ref)
        assert found == {}
        _, _, stands_with_nobody = differing(told)["?"]
        assert stands_with_nobody == debt_of(month, taken.entry_id)
        words = {each["number"]: (each["sentence"], each["action"], each["amount_minor"]) for each in told["findings"]}
        assert "no customer of Chargebee's" in words[taken.your_ref][0]
        sentence, action, amount = words[corrected.your_ref]
        assert (amount, f"our entry {corrected.entry_number}" in sentence, "elete" in action) == (-100, True, False)

        done = await month.run("reconcile", *NOVEMBER)
        assert done.returncode == 1, done.stderr
        assert f'"number": "{moved.your_ref}"' in done.stdout
        assert '"name": "entry_edited_date"' in done.stdout


async def correct_by_hand(month: Month, entry_id: str) -> None:
    """Type an entry of one euro less, under the same reference."""
    original = (await month.in_exact("GET", f"salesentry/SalesEntries(guid'{entry_id}')"))["d"]
    account = (await lines_of(month, entry_id))[0]["GLAccount"]
    body = {name: original[name] for name in ("Customer", "Journal", "YourRef")} | {"EntryDate": "2026-10-20"}
    line = {"GLAccount": account, "AmountFC": -1, "VATAmountFC": 0}
    await month.in_exact("POST", "salesentry/SalesEntries", {**body, "SalesEntryLines": [line]})


def debt_of(month: Month, entry_id: str) -> int:
    """What an entry put on debtors, in cents."""
    ledger = month.server.simulator.world.divisions[DIVISION].table("financialtransaction/TransactionLines")
    lines = [line for line in ledger if str(line["EntryID"]) == entry_id and line["GLAccountCode"].strip() == "1300"]
    return int(sum(line["AmountFC"] for line in lines) * 100)


async def test_in_mode_ledger_each_document_has_its_own_lines_of_the_shared_entries(tmp_path: Path) -> None:
    journals = {"invoices": "70", "credit_notes": "70", "payments": "90", "ledger": "91"}
    async with whole_month(tmp_path, changes={"mode": "ledger", "journals": journals}) as month:
        await month.receive(map(naming_others, events_of_month(documents=20)))
        await month.book()
        posted = await month.posted()
        entries = {posted[number].entry_id for number in NAMED if number in posted and posted[number].booked_as == "ledger"}
        assert len(entries) == 1, "these share an entry, so that its lines name other documents of it"
        code, told = await month.reconcile()
        assert (code, told["findings"]) == (0, [])
