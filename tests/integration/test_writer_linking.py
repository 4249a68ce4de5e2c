"""What somebody else booked in Exact is linked and not posted again, on both engines; what does not agree is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from support.engines import BROKER_BESIDE, DATABASES
from support.exact_server import DIVISION, ExactServer, exact_server
from support.faulty_exact import rehearsal
from support.forgotten import forget_bookings
from support.writer_stage import WriterStage, ledger_sale, sale, save_account, writer_stage

from contracts import facts
from contracts.commands import LinkedEntry, PostEntry

SALES = "salesentry/SalesEntries"


def looked_for(command: PostEntry, **more: Any) -> PostEntry:
    return msgspec.structs.replace(command, may_exist=True, command_id=f"ours-{command.your_ref}", **more)


async def as_another(server: ExactServer, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Another connector, or a person, writes something into Exact."""
    token = (await server.control("tokens", client_id="other-app"))["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        answer = await http.post(f"/api/v1/{DIVISION}/{path}", json=body)
    assert answer.is_success, answer.text
    made: dict[str, Any] = answer.json()["d"]
    return made


async def booked(server: ExactServer, account: str, net: float, **heading: Any) -> dict[str, Any]:
    """Somebody else's sales entry, on another revenue account than ours."""
    ledger = server.simulator.world.divisions[DIVISION].by_code("financial/GLAccounts", "8010")
    assert ledger is not None
    line = {"GLAccount": str(ledger["ID"]), "AmountFC": net, "VATCode": "2", "VATAmountFC": round(net * 0.21, 2)}
    body = {"Customer": account, "Journal": "70", "EntryDate": "2026-03-02", "SalesEntryLines": [line], **heading}
    return await as_another(server, SALES, body)


async def accounts_of(stage: WriterStage, *customers: str) -> list[str]:
    await stage.tell(*map(save_account, customers))
    await stage.until(facts.AccountSaved, len(customers))
    found = {fact.customer_ref.split("/")[1]: fact.account_id for fact in await stage.said(facts.AccountSaved)}
    return [found[each] for each in customers]


async def posts(server: ExactServer) -> int:
    found = (await server.calls())["by_endpoint"].get(f"POST {SALES}", 0)
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize("dialect", DATABASES)
async def test_it_is_linked_where_all_agrees_and_asked_where_something_does_not(tmp_path: Path, dialect: str) -> None:
    async with (
        exact_server() as server,
        writer_stage(server, tmp_path, dialect, ledger_seconds=0, engine=BROKER_BESIDE[dialect]) as stage,
    ):
        first, other = await accounts_of(stage, "FIRST", "OTHER")
        same = await booked(server, first, 100, YourRef="INV-1")
        cents = await booked(server, first, 101, YourRef="INV-2")
        whose = await booked(server, other, 100, YourRef="INV-3")
        typed = await booked(server, other, 100, Description="INV-4 met de hand")
        before = await posts(server)
        told = [sale("INV-1", "FIRST"), sale("INV-2", "FIRST"), sale("INV-3", "FIRST"), sale("INV-4", "OTHER")]
        await stage.tell(*map(looked_for, told), looked_for(sale("INV-5", "FIRST")))
        posted = {fact.your_ref: fact for fact in await stage.until(facts.EntryPosted, 3)}
        refused = {fact.document.number: fact for fact in await stage.until(facts.EntryRefused, 2)}
        assert {name: (fact.entry_id, fact.is_linked) for name, fact in posted.items() if name != "INV-5"} == {
            "INV-1": (same["EntryID"], True),
            "INV-4": (typed["EntryID"], True),
        }
        assert not posted["INV-5"].is_linked
        assert await posts(server) == before + 1
        assert {fact.code for fact in refused.values()} == {"exists_otherwise"}
        for number, entry, theirs in (("INV-2", cents, "EUR 122.21"), ("INV-3", whose, "EUR 121.00")):
            told_so = refused[number].message
            assert f"entry {entry['EntryNumber']} in journal 70 of 2026-03-02 with {theirs} for account" in told_so
            assert f"{number} is EUR 121.00 for account" in told_so
            assert "boeking" in refused[number].message_nl


async def test_what_a_person_named_is_linked_whatever_differs_and_refused_when_it_is_gone(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, ledger_seconds=0) as stage:
        (first,) = await accounts_of(stage, "FIRST")
        entry = await booked(server, first, 90, YourRef="OTHER-7")
        before = await posts(server)
        number = int(entry["EntryNumber"])
        named = LinkedEntry(entry_id=entry["EntryID"], entry_number=number, journal="70")
        gone = LinkedEntry(entry_id="00000000-0000-0000-0000-000000000001", entry_number=7, journal="70")
        await stage.tell(
            msgspec.structs.replace(sale("INV-1", "FIRST"), linked=named),
            msgspec.structs.replace(sale("INV-2", "FIRST"), linked=gone),
            # An entry is one document's; a line of it would have to name the other.
            msgspec.structs.replace(sale("INV-3", "FIRST"), linked=named),
        )
        (posted,) = await stage.until(facts.EntryPosted)
        assert (posted.your_ref, posted.entry_id, posted.is_linked) == ("INV-1", entry["EntryID"], True)
        assert {fact.code for fact in await stage.until(facts.EntryRefused, 2)} == {"linked_entry_gone"}
        assert await posts(server) == before


async def test_history_of_mode_ledger_is_looked_for_with_few_calls_and_goes_on_in_batches(tmp_path: Path) -> None:
    """A killed writer goes on where it was: what was found stays found, and nothing is posted twice."""
    async with rehearsal(tmp_path) as stage:
        customers = [f"C{place}" for place in range(5)]
        await stage.plan(*map(save_account, customers))
        await stage.work()
        theirs = [sale(f"INV-{place}", f"C{place % 5}") for place in range(10)]
        await stage.plan(*theirs)
        await stage.work()
        await forget_bookings(stage, [each.command_id for each in theirs])  # they are nobody's of ours now
        await stage.clock.sleep(60)
        await stage.plan(*(looked_for(ledger_sale(f"INV-{place}", f"C{place % 5}")) for place in range(30)))
        assert not await stage.act(3)
        await stage.start()
        await stage.work()
        ends = await stage.ends()
        assert {ends[f"ours-INV-{place}"] for place in range(30)} == {"posted"}
        assert len(stage.rows(SALES)) == 10
        lines = stage.rows("generaljournalentry/GeneralJournalEntryLines")
        assert len({row["Description"] for row in lines if row.get("Account")}) == 20
        calls = stage.simulator.traffic.by_endpoint
        assert calls["POST generaljournalentry/GeneralJournalEntries"] == 1
        assert calls["GET sync/Financial/TransactionLines"] == 1
