"""Documents that somebody else booked in Exact, from the command line to the ledger: linked, asked, named by a file."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.deadly_commits import killed_at_each_commit
from support.engines import DATABASES
from support.exact_server import exact_server
from support.other_books import Others, customers_of, first_days, run
from support.whole_month import Month, whole_month

from contracts import facts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
SAME, CENT, WHOSE, UNNAMED = "INV-5", "INV-7", "INV-13", "INV-14"
WHO = ("--who", "M. de Vries")
DAYS = ("--from", "2026-09-01", "--to", "2026-10-31")


async def reconcile(month: Month) -> tuple[int, Any]:
    done = await run(month, "reconcile", *DAYS, "--json", "--all")
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("dialect", DATABASES)
async def test_what_another_connector_booked_is_known_everywhere_and_not_booked_again(tmp_path: Path, dialect: str) -> None:
    events = first_days()
    customers = customers_of(events)
    codes = {customers[number]: str(500 + place) for place, number in enumerate((SAME, CENT, WHOSE, UNNAMED))}
    changes = {"link_before": "2026-12-01", "customers": {"links": codes}}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(exact_server())
        others = Others(server)
        accounts = {code: await others.account(code) for code in codes.values()}
        month = await stack.enter_async_context(whole_month(tmp_path, dialect, changes=changes, behind=server))
        entries = {
            SAME: await others.sale(accounts["500"], 99.00, 20.79, "2026-10-03", YourRef=SAME),
            CENT: await others.sale(accounts["501"], 99.01, 20.79, "2026-10-04", YourRef=CENT),
            WHOSE: await others.sale(accounts["501"], 13.47, 2.83, "2026-10-06", YourRef=WHOSE),
            UNNAMED: await others.sale(accounts["503"], 111.50, 23.42, "2026-10-06"),
        }
        paid = await others.money(accounts["500"], 119.79, "2026-10-03", f"{SAME} ideal")
        await month.receive(events)
        await month.book()

        linked = {fact.your_ref: fact for fact in await month.writer.said(facts.EntryPosted) if fact.is_linked}
        payment = next(name for name in linked if name.startswith("txn_"))
        assert {name: fact.entry_number for name, fact in linked.items()} == {SAME: entries[SAME], payment: paid}
        references = others.references()
        assert [references.count(number) for number in entries] == [1, 1, 1, 0]
        assert references.count("CN-1") == 1  # credits what is linked

        listed = (await run(month, "links", "list", "--lang", "nl")).stdout
        for number in (CENT, WHOSE, UNNAMED):
            assert f"factuur {number} wordt niet geboekt, want Exact heeft het misschien al".casefold() in listed.casefold()
            assert f"boeking {entries[number]} in dagboek 70" in listed
        receivables = await month.writer.said(facts.ReceivableObserved)
        assert SAME in {fact.document.number for fact in receivables if fact.document is not None}  # its payments are seen
        code, told = await reconcile(month)
        assert (code, {each["number"] for each in told["findings"] if each["kind"] == "linked"}) == (0, {SAME, payment})
        explained = (await run(month, "explain", SAME)).stdout
        assert f"It is entry {entries[SAME]} in journal 70 of Exact, which somebody else booked" in explained

        # A person decides: one it is in spite of the cent, one is another document, and one stands in a file.
        why = (*WHO, "--why", "agreed with the accountant")
        for decision in (("accept", CENT, "--entry", str(entries[CENT])), ("book", WHOSE)):
            assert await killed_at_each_commit(partial(run, month, "links", *decision, *why)) > 1
        await check_files(month, tmp_path, entries)
        await month.book()
        assert [others.references().count(number) for number in entries] == [1, 1, 2, 0]
        again = await run(month, "links", "import", str(tmp_path / "links.csv"), *WHO, "--wait", "0")
        assert "2 lines: 0 are linked" in again.stdout
        await month.book()
        code, told = await reconcile(month)
        found = {(each["number"], each["kind"]) for each in told["findings"]}
        assert {(UNNAMED, "linked"), (CENT, "linked"), (CENT, "accepted"), (SAME, "linked")} <= found
        assert [each["name"] for each in told["findings"] if not each["is_explained"]] == ["entry_doubled"]  # as was asked for
        assert (await run(month, "links", "list")).returncode == 0
        exported = tmp_path / "booked.csv"
        await run(month, "export", *DAYS, "--out", str(exported))
        assert not {f",{number}," for number in (SAME, CENT, UNNAMED) if f",{number}," in exported.read_text()}  # not ours


async def check_files(month: Month, directory: Path, entries: dict[str, int]) -> None:
    """A file that is wrong in any line links nothing and says each line; the right one is taken as Dutch Excel writes it."""
    rows = [f"{SAME};{entries[SAME]};119,79", f"{UNNAMED};{entries[UNNAMED]};134,92"]
    wrong = {
        "INV-999;1;10,00": "line 2: no document INV-999 is known here",
        f"{UNNAMED};{entries[UNNAMED]};134,91": f"line 2: invoice {UNNAMED} is EUR 134.92 in Chargebee, and not 134.91",
        f"{UNNAMED};77;134,92": f"line 2: invoice {UNNAMED}: Exact has no entry 77",
        f"{UNNAMED};{entries[SAME]};134,92": f"entry {entries[SAME]} has EUR 119.79 on debtors in Exact",
        f"{SAME};{entries[UNNAMED]};119,79": f"entry {entries[UNNAMED]} has EUR 134.92 on debtors in Exact",
    }
    file = directory / "links.csv"
    for line, sentence in wrong.items():
        file.write_text(f"document;entry;amount\n{line}\n", encoding="utf-8")
        done = await run(month, "links", "import", str(file), *WHO, "--wait", "0")
        assert done.returncode == 2
        assert "nothing was linked" in done.stderr
        assert sentence in done.stderr
    file.write_bytes("\r\n".join(["document;entry;amount", *rows, ""]).encode("utf-8-sig"))
    done = await run(month, "links", "import", str(file), *WHO, "--dry-run", "--lang", "nl", "--wait", "0")
    assert "2 regels kloppen: 1 zouden worden verbonden, 1 zijn dat al" in done.stdout
    assert await killed_at_each_commit(lambda: run(month, "links", "import", str(file), *WHO, "--wait", "0")) > 1
