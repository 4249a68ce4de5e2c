"""Shadow mode: another connector books, we only read, and the report says of each document what ours would be otherwise."""

from __future__ import annotations

import asyncio
import csv
import itertools
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.engines import DATABASES
from support.exact_server import exact_server
from support.faulty_exact import rehearsal
from support.forgotten import forget_accounts, forget_bookings
from support.other_books import Others, customers_of, first_days, run
from support.whole_month import DIVISION, Month, whole_month
from support.writer_stage import configuration, sale, save_account

from contracts import facts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
DAYS = ("--from", "2026-10-01", "--to", "2026-10-06")


async def hear(month: Month, ends: int) -> None:
    """Let each hear the others until so many commands ended; in shadow mode some never do."""
    async with asyncio.timeout(60):
        while len(await month.writer.said(facts.EntryPosted, facts.EntryRefused)) < ends:
            await month._hear_ingest()
            await month._send_commands()
            await asyncio.sleep(0.1)
        while not await month._writer_log.is_read():  # on PostgreSQL it shows what is older than every open transaction
            await month._hear_writer()
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("dialect", DATABASES)
async def test_each_document_is_told_apart_and_nothing_is_written(tmp_path: Path, dialect: str) -> None:
    events = first_days()
    customers = customers_of(events)
    shown = {event["content"]["invoice"]["id"]: event["content"]["invoice"] for event in events if "invoice" in event["content"]}
    simple = (
        number for number, each in shown.items() if each["status"] != "pending" and len(each["line_items"]) == 1 and each["tax"]
    )
    as_ours, account, amount, vat, period, customer, missing = names = tuple(itertools.islice(simple, 7))
    codes = {customers[number]: str(500 + place) for place, number in enumerate(names)}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(exact_server())
        others = Others(server)
        accounts = [await others.account(code) for code in codes.values()]
        changes = {"shadow": True, "customers": {"links": codes}}
        month = await stack.enter_async_context(whole_month(tmp_path, dialect, changes=changes, behind=server))
        await month.receive(events)
        await month.hear_facts()
        ours = {entry.your_ref: entry for entry in await month.mapper.entries()}

        async def book(number: str, account: str, *, cents: int = 0, **more: Any) -> int:
            (line,) = ours[number].lines
            net, vat = (line.amount_minor + cents) / 100, (line.vat_amount_minor or 0) / 100
            known = {
                "ledger": line.gl_account,
                "code": line.vat_code or "",
                "of": (line.cost_center, line.cost_unit),
                "YourRef": number,
                **more,
            }
            return await others.sale(account, net, vat, more.pop("day", ours[number].entry_date.isoformat()), **known)

        await book(as_ours, accounts[0])
        await book(account, accounts[1], ledger="8050")
        await book(amount, accounts[2], cents=1)
        await book(vat, accounts[3], code="1 ")
        await book(period, accounts[4], ReportingYear=2026, ReportingPeriod=11)
        await book(customer, accounts[0])
        stray = await others.sale(accounts[0], 10.00, 2.10, "2026-10-02", YourRef="OTHER-1")
        before = (await month.server.calls())["writes"]
        await hear(month, 6)
        assert (await month.server.calls())["writes"] == before, "it wrote something"

        file = tmp_path / "shadow.csv"
        done = await run(month, "shadow", *DAYS, "--json", "--all", "--csv", str(file))
        assert done.returncode == 1, done.stderr
        told = json.loads(done.stdout)
        found = {each["number"]: each for each in told["documents"]}
        assert {number: (found[number]["verdict"], found[number]["parts"]) for number in names[:-1]} == {
            as_ours: ("same", []),
            account: ("differs", ["account"]),
            amount: ("differs", ["amount_or_customer"]),
            vat: ("differs", ["vat"]),
            period: ("differs", ["period"]),
            customer: ("differs", ["amount_or_customer"]),
        }
        assert found[missing]["verdict"] == "missing_there"
        assert (found["OTHER-1"]["verdict"], found["OTHER-1"]["entry"]) == ("only_there", stray)
        with file.open(encoding="utf-8") as rows:
            assert {row["number"]: row["verdict"] for row in csv.DictReader(rows)} == {
                number: each["verdict"] for number, each in found.items()
            }
        connected = (await month.writer.said(facts.ConnectionChanged))[-1]
        assert connected.reason.startswith("Exact answers; in shadow: nothing is written there")
        assert "schaduw" in connected.reason_nl
        await _changed_rules_are_compared(month, as_ours, account)

        text = (await run(month, "shadow", *DAYS, "--wait", "0", "--lang", "nl")).stdout
        assert "rekening 8050:" in text
        assert "periode 2026-11 daar, 2026-10 hier" in text
        assert f"OTHER-1, 2026-10-02, EUR 12.10 (boeking {stray}): alleen daar" in text


async def _changed_rules_are_compared(month: Month, as_ours: str, on_another_account: str) -> None:
    """Put all revenue on the account that the other connector took once: what was linked already is judged anew."""
    path = month.directory / "kruispost.yaml"
    before = path.read_text(encoding="utf-8")
    data = yaml.safe_load(before)
    for rule in data["divisions"][DIVISION]["revenue"]:
        rule["account"] = "8050"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    told = json.loads((await run(month, "shadow", *DAYS, "--wait", "0", "--json", "--all")).stdout)
    found = {each["number"]: (each["verdict"], each["parts"]) for each in told["documents"]}
    assert (found[on_another_account], found[as_ours]) == (("same", []), ("differs", ["account"]))
    path.write_text(before, encoding="utf-8")


@pytest.mark.parametrize("dialect", DATABASES)
async def test_on_the_day_on_which_we_write_only_what_is_missing_there_is_booked(tmp_path: Path, dialect: str) -> None:
    async with rehearsal(tmp_path, dialect=dialect) as stage:
        await stage.plan(save_account("FIRST"), sale("INV-1", "FIRST"))
        await stage.work()
        await forget_bookings(stage, ["command-INV-1"])
        await forget_accounts(stage)
        stage.configure(configuration(shadow=True, customers={"match": ["email"]}))
        await stage.start()
        await stage.clock.sleep(60)
        writes = stage.simulator.traffic.writes
        customer = save_account("FIRST", "2")
        entries = [sale(number, "FIRST", may_exist=True, command_id=f"ours-{number}") for number in ("INV-1", "INV-2")]
        await stage.plan(customer, *entries)
        assert not await stage.act(60)
        assert stage.simulator.traffic.writes == writes
        ends = await stage.ends()
        assert (ends["ours-INV-1"], ends["ours-INV-2"]) == ("posted", "unknown")
        stage.configure(configuration())
        await stage.start()
        await stage.clock.sleep(3_600)
        await stage.work()
        assert (await stage.ends())["ours-INV-2"] == "posted"
        assert sorted(row["YourRef"] for row in stage.rows("salesentry/SalesEntries")) == ["INV-1", "INV-2"]
