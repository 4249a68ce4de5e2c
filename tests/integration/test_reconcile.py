"""`kruispost reconcile`: an undamaged month is equal to the cent, and each kind of damage is named with its document."""

from __future__ import annotations

import csv
import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.engines import DATABASES
from support.whole_month import DIVISION, Month, events_of_month, whole_month

from contracts import facts
from contracts.ledger import DEFERRED_REVENUE
from exact_writer.tables import ledger_lines
from simulators.exact import receivables

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
DOCUMENTS = 40


def named(told: Any) -> dict[str, list[str]]:
    """What was found that is not explained, by the number of its document."""
    found: dict[str, list[str]] = {}
    for finding in told["findings"]:
        found.setdefault(finding["number"], []).append(finding["name"])
    return {number: sorted(names) for number, names in found.items()}


async def open_invoices(month: Month) -> list[facts.EntryPosted]:
    """Booked invoices in euros that nobody paid, so that Exact lets a person change them; none of them moved in time."""
    division = month.server.simulator.world.divisions[DIVISION]
    entries = {str(row["EntryID"]): row for row in division.table("salesentry/SalesEntries")}
    return [
        fact
        for reference, fact in sorted((await month.posted()).items())
        if fact.document.kind == "invoice"
        and reference == fact.document.number
        and fact.document.currency == "EUR"
        and not receivables.is_matched(division, entries[fact.entry_id]["EntryID"])
    ]


async def lines_of(month: Month, entry_id: str) -> list[Any]:
    answer = await month.in_exact("GET", f"salesentry/SalesEntries(guid'{entry_id}')/SalesEntryLines")
    rows: list[Any] = answer["d"]["results"]
    return rows


@pytest.mark.parametrize("dialect", DATABASES)
async def test_an_undamaged_month_is_equal_in_all_three_columns(tmp_path: Path, dialect: str) -> None:
    async with whole_month(tmp_path, dialect) as month:
        await month.receive(events_of_month(documents=DOCUMENTS))
        await month.book()
        code, told = await month.reconcile("--by", "account", "--csv", str(tmp_path / "documents.csv"))
        assert told["findings"] == []
        assert code == 0
        explained = {"?", "1300"}  # what is held stands in Chargebee's column only, undivided
        rows = {
            row["key"]: (row["chargebee_minor"], row["logs_minor"], row["exact_minor"])
            for row in told["rows"]
            if row["currency"] == "EUR"
        }
        assert {key for key, amounts in rows.items() if len(set(amounts)) > 1} <= explained
        assert sum(logs for _, logs, _ in rows.values()) == 0
        assert {"1290", "1300", "8000", "VAT 2"} <= rows.keys()
        assert all(series["missing"] == [] for series in told["series"])
        with (tmp_path / "documents.csv").open(encoding="utf-8") as file:
            documents = list(csv.DictReader(file))
        different = {row["number"]: row["classes"] for row in documents if len({row["chargebee"], row["logs"], row["exact"]}) > 1}
        assert set(different.values()) <= {"held", "set_aside", "waiting"}
        assert sum(entry["documents"] for entry in told["explained"]) == len(different)
        division = month.server.simulator.world.divisions[DIVISION]
        ledger = division.table("financialtransaction/TransactionLines")
        debts = [line for line in ledger if line["GLAccountCode"].strip() == "1300" and line["Date"].date() < date(2026, 11, 1)]
        assert sum(Decimal(row["exact"]) for row in documents) == sum(line["AmountFC"] for line in debts)


async def test_each_damage_is_named_with_its_document(tmp_path: Path) -> None:
    async with whole_month(tmp_path) as month:
        events = events_of_month(documents=DOCUMENTS)
        await month.receive(events)
        await month.book()
        code, told = await month.reconcile()
        assert (code, told["findings"]) == (0, [])
        cent, gone, double, moved, account, renamed, redated = (await open_invoices(month))[:7]
        # By a cent, on a line of a sales entry.
        line = (await lines_of(month, cent.entry_id))[0]
        changed = {"AmountFC": line["AmountFC"] + 0.01, "VATAmountFC": line["VATAmountFC"]}
        await month.in_exact("PUT", f"salesentry/SalesEntryLines(guid'{line['ID']}')", changed)
        # Deleted, typed a second time, moved to the next period.
        await month.in_exact("DELETE", f"salesentry/SalesEntries(guid'{gone.entry_id}')")
        original = (await month.in_exact("GET", f"salesentry/SalesEntries(guid'{double.entry_id}')"))["d"]
        copy = {name: original[name] for name in ("Customer", "Journal", "YourRef")} | {"EntryDate": "2026-10-20"}
        copied = [
            {name: each[name] for name in ("GLAccount", "AmountFC", "VATCode", "VATAmountFC") if each.get(name) is not None}
            for each in await lines_of(month, double.entry_id)
        ]
        await month.in_exact("POST", "salesentry/SalesEntries", {**copy, "SalesEntryLines": copied})
        await month.in_exact("PUT", f"salesentry/SalesEntries(guid'{moved.entry_id}')", {"ReportingPeriod": 11})
        # To another account, under another reference, on another day.
        line = (await lines_of(month, account.entry_id))[0]
        division = month.server.simulator.world.divisions[DIVISION]
        other = division.by_code("financial/GLAccounts", "8020" if line["GLAccountCode"].strip() != "8020" else "8010")
        assert other is not None
        elsewhere = {"GLAccount": str(other["ID"]), "VATAmountFC": line["VATAmountFC"]}
        await month.in_exact("PUT", f"salesentry/SalesEntryLines(guid'{line['ID']}')", elsewhere)
        await month.in_exact("PUT", f"salesentry/SalesEntries(guid'{renamed.entry_id}')", {"YourRef": "anders"})
        await month.in_exact("PUT", f"salesentry/SalesEntries(guid'{redated.entry_id}')", {"EntryDate": "2026-10-30"})
        # What a bookkeeper typed of his own into our journal is his.
        await month.in_exact("POST", "salesentry/SalesEntries", {**copy, "YourRef": "hand-1", "SalesEntryLines": copied})

        code, told = await month.reconcile()
        assert code == 1
        assert named(told) == {
            cent.your_ref: ["entry_edited_amount", "entry_edited_amount"],
            gone.your_ref: ["entry_missing"],
            double.your_ref: ["entry_doubled"],
            moved.your_ref: ["entry_period_moved"],
            account.your_ref: ["entry_edited_account", "entry_edited_account"],
            renamed.your_ref: ["entry_edited_reference"],
            redated.your_ref: ["entry_edited_date"],
        }
        of_cent = {
            (each["details"]["place"], each["amount_minor"]) for each in told["findings"] if each["number"] == cent.your_ref
        }
        assert {amount for _, amount in of_cent} == {1, -1}
        assert ("1300", 1) in of_cent
        assert all(each["sentence"] and each["action"] for each in told["findings"])
        assert {each["kind"]: each["documents"] for each in told["explained"]}["not_ours"] == 1
        text = (await month.run("reconcile", "--from", "2026-09-01", "--to", "2026-10-31", "--lang", "nl", "--wait", "0")).stdout
        assert f"factuur {gone.your_ref} was geboekt als {gone.entry_number}" in text


async def test_revenue_that_exact_releases_otherwise_than_by_the_schedule_is_named(tmp_path: Path) -> None:
    async with whole_month(tmp_path) as month:
        await month.receive(events_of_month(documents=DOCUMENTS)[:100])
        await month.book()
        code, told = await month.reconcile()
        assert (code, told["findings"]) == (0, [])
        column = ledger_lines.c
        moved_on = column.type == DEFERRED_REVENUE, column.period == 12, column.dc_hundredths != 0
        async with month.writer.database.transaction() as connection:
            row = (await connection.execute(sa.select(ledger_lines).where(*moved_on).order_by(column.entry_number))).first()
            assert row is not None
            of_entry = (column.entry_id == row.entry_id, *moved_on)
            await connection.execute(sa.update(ledger_lines).where(*of_entry).values(period=11))
        code, told = await month.reconcile("--wait", "0")
        number = next(reference for reference, fact in (await month.posted()).items() if fact.entry_id == row.entry_id)
        names = named(told)
        assert (code, list(names), set(names[number])) == (1, [number], {"entry_edited_deferral"})
        places = {each["details"]["place"][-7:] for each in told["findings"]}
        assert places == {"2026-11", "2026-12"}


def numbered_with_zeros(event: Any) -> Any:
    """The same event of a site whose invoices are numbered INV-0001 and on."""
    return json.loads(re.sub(r"INV-(\d+)", lambda found: f"INV-{int(found[1]):04d}", json.dumps(event)))


async def test_what_did_not_come_or_was_not_handled_is_named(tmp_path: Path) -> None:
    async with whole_month(tmp_path) as month:
        events = [numbered_with_zeros(event) for event in events_of_month(documents=DOCUMENTS)]
        numbers = [number for event in events if (number := event["content"].get("invoice", {}).get("id")) is not None]
        lost, late = sorted(set(numbers), key=lambda number: int(number.removeprefix("INV-")))[9:11]

        def mentions(event: Any, number: str) -> bool:
            return bool(event["content"].get("invoice", {}).get("id") == number)

        await month.receive(event for event in events if not mentions(event, lost) and not mentions(event, late))
        await month.book()
        await month.receive(event for event in events if mentions(event, late))
        code, told = await month.reconcile("--all")
        assert code == 1
        found = named(told)
        assert (lost[:5], found[lost]) == ("INV-0", ["number_missing"])
        (series,) = (each for each in told["series"] if each["first"].startswith("INV-"))
        assert series["missing"] == [{"first": lost, "last": lost, "count": 1}]
        assert found[late] == ["document_unhandled"]
        await month.book()
        await month.receive(event for event in events if mentions(event, lost))
        await month.book()
        code, told = await month.reconcile()
        assert (code, told["findings"]) == (0, [])


async def test_it_cannot_be_done_without_a_reading_of_exact(tmp_path: Path) -> None:
    async with whole_month(tmp_path) as month:
        await month.server.fault("status", method="GET", path_contains="TransactionLines", times=100, status=503)
        done = await month.run("reconcile", "--from", "2026-09-01", "--to", "2026-10-31", "--wait", "2")
        assert done.returncode == 2
        assert "could not be read up to now" in done.stderr
