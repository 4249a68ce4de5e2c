"""Keys of our own: what a trial finds by each way that Exact may deal with them, and one booking after each lost answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.exact_server import DIVISION
from support.faults import CALLS, DiedError
from support.faulty_exact import Rehearsal, check, rehearsal, told
from support.writer_stage import sale, save_account

from exact_writer.client_keys import KEYS
from exact_writer.probe import MOST_CALLS, ORDER

KINDS = ("account", "sales entry", "general entry", "ledger batch", "draft", "document", "attachment")
FAULTS = ("timeout_before", "timeout_after")
TRAITS = {"ignored": "ignored", "honoured": "honoured", "refused": "refused", "refused_400": "refused"}


def standing(stage: Rehearsal) -> dict[str, int]:
    """How many rows stand in each table that a trial writes to, and the ledger lines that came of it."""
    tables = (*ORDER, "financialtransaction/TransactionLines", "generaljournalentry/GeneralJournalEntryLines", "terms")
    return {table: len(stage.rows(table)) for table in tables}


async def book(stage: Rehearsal, fault: str, *kinds: str) -> None:
    """Book something with a call of each kind, each struck by the fault, and see all of it stand there once."""
    customers = {kind: f"{fault[-6:]}-{place}" for place, kind in enumerate(kinds)}
    accounts = [save_account(customers[kind]) for kind in kinds]
    entries = [entry for kind in kinds for entry in told(kind, customers[kind], customers[kind])]
    await stage.plan(*(each for kind, each in zip(kinds, accounts, strict=True) if kind != "account"))
    await stage.work()
    stage.exact.planned += [(fault, *CALLS[kind]) for kind in kinds]
    await stage.plan(*(each for kind, each in zip(kinds, accounts, strict=True) if kind == "account"), *entries)
    await stage.work()
    assert stage.exact.struck == [fault] * len(kinds)
    stage.exact.struck.clear()
    check(stage, (kinds, fault), entries)
    assert [len(stage.rows("crm/Accounts", Name=each.name)) for each in accounts] == [1] * len(kinds), (kinds, fault)
    assert (await stage.ends()).items() >= {entry.command_id: "posted" for entry in entries}.items(), (kinds, fault)


@pytest.mark.parametrize("switch", TRAITS)
async def test_a_trial_leaves_nothing_behind_and_each_lost_answer_after_it_ends_as_one_booking(
    tmp_path: Path, switch: str
) -> None:
    async with rehearsal(tmp_path, client_guid=switch) as stage:
        before, calls = standing(stage), stage.simulator.traffic.total
        report = await stage.probe()
        assert {each.endpoint: each.trait for each in report.trials} == dict.fromkeys(KEYS, TRAITS[switch])
        assert standing(stage) == before
        assert report.left == ()
        assert report.calls == stage.simulator.traffic.total - calls < MOST_CALLS
        # Without keys the calls are those of test_writer_unknown_outcomes.py, which tries every kind and fault.
        kinds, faults = (KINDS, FAULTS) if switch == "honoured" else (("sales entry",), FAULTS[1:])
        for fault in faults:
            await book(stage, fault, *kinds)
        subjects, files = stage.filed()
        assert len(files) == len(set(files)) == len(subjects)
        assert sum(name.endswith(".pdf") for name in files) == sum(kind in ("document", "attachment") for kind in kinds) * len(
            faults
        )
        assert stage.simulator.traffic.concurrent_max == 1


async def test_with_keys_a_call_may_arrive_however_late(tmp_path: Path) -> None:
    """Later than twice the time-out, when the call was made again: Exact refuses what it has already."""
    async with rehearsal(tmp_path, client_guid="honoured") as stage:
        await stage.probe()
        await book(stage, "unexpectedly_late", "account", "sales entry", "general entry", "ledger batch")


async def test_exact_keeping_no_keys_any_more_is_noticed_and_books_nothing_twice(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, client_guid="honoured") as stage:
        await stage.probe()
        await stage.plan(save_account("FIRST"))
        await stage.work()
        let_exact(stage, "ignored")
        await book(stage, "timeout_after", "sales entry")
        await book(stage, "late", "sales entry")
        await stage.plan(sale("ANSWERED", "FIRST"))
        await stage.work()
        let_exact(stage, "refused")  # what that answer showed keeps the writer from sending any more of them
        await book(stage, "timeout_before", "sales entry")


async def test_a_trial_that_broke_off_is_cleared_up_by_the_next_one(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, client_guid="honoured") as stage:
        before = standing(stage)
        stage.exact.planned.append(("dies_before", "DELETE", "salesentry/SalesEntries"))
        with pytest.raises(DiedError):
            await stage.probe()
        assert len(stage.rows("salesentry/SalesEntries")) == 1
        await stage.probe()
        assert standing(stage) == before


def let_exact(stage: Rehearsal, client_guid: str) -> None:
    """Let Exact deal with keys in another way from now on."""
    division: Any = stage.simulator.world.divisions[DIVISION]
    object.__setattr__(division.settings, "client_guid", client_guid)
