"""Sequences of faults at random, with deaths and take-overs in between: each document ends in the books exactly once."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from support.faults import CALLS, FAULTS
from support.faulty_exact import Rehearsal, check, rehearsal, told
from support.writer_stage import SITE, save_account

from contracts.commands import PostEntry, SaveAccount
from exact_writer.payloads import search_code

SEQUENCES = int(os.environ.get("KRUISPOST_FAULT_SEQUENCES", "100"))  # `make chaos` tries a thousand
IN_A_DIVISION = 25  # more than there are faults, so that each strikes at least once
MOST_FAULTS = 4  # after five failures of one command it ends as a rejection
# What is asked for, and the calls that each costs at least.
DOCUMENTS = {
    "sales entry": ("sales entry",),
    "general entry": ("general entry",),
    "ledger batch": ("ledger batch", "list", "file of a list"),
    "payments of a day": ("payments of a day", "list", "file of a list"),
    "draft": ("draft",),
    "attachment of a final invoice": ("draft",),
    "attachment": ("sales entry", "document", "attachment"),
}


async def play(stage: Rehearsal, seed: int) -> None:
    """One sequence: customers and documents of any kind, faults at any calls, and writers that come and go."""
    chance = random.Random(seed)
    customers = [f"S{seed}-{place}" for place in range(chance.randint(1, 2))]
    accounts: list[SaveAccount] = [save_account(customer) for customer in customers]
    entries: list[PostEntry] = []
    made = ["account"]
    for place in range(chance.randint(2, 4)):
        kind = chance.choice(list(DOCUMENTS))
        made += DOCUMENTS[kind]
        entries += told(kind, f"{seed}-{place}", chance.choice(customers))
    if chance.random() < 0.5:
        accounts.append(save_account(customers[0], "2", name=f"Klant {customers[0]} B.V."))
    code = stage.vat_code()
    percentage = code["Percentage"]
    if chance.random() < 0.2:
        code["Percentage"] = percentage / 3  # a draft with other cents is taken away
    stage.exact.planned.append((FAULTS[seed % len(FAULTS)], *CALLS[chance.choice(made)]))
    for _ in range(chance.randint(0, MOST_FAULTS - 1)):
        stage.exact.planned.append((chance.choice(FAULTS), *CALLS[chance.choice(list(CALLS))]))
    await stage.plan(*accounts[: len(customers)])
    if chance.random() < 0.5:
        await stage.act(chance.randint(1, 6))
    await stage.plan(*entries, *accounts[len(customers) :])
    for _ in range(chance.randint(0, 2)):
        await stage.act(chance.randint(1, 8))
        await stage.replace_in_passing()
    await stage.work()
    code["Percentage"] = percentage
    stage.exact.planned.clear()
    check(stage, f"sequence {seed}", entries)
    ends = await stage.ends()
    assert {ends[entry.command_id] for entry in entries} == {"posted"}, f"sequence {seed}"
    names = [
        row["Name"] for customer in customers for row in stage.rows("crm/Accounts", SearchCode=search_code(f"{SITE}/{customer}"))
    ]
    renamed = [f"Klant {customers[0]} B.V."] if len(accounts) > len(customers) else [f"Klant {customers[0]}"]
    assert sorted(names) == sorted([*renamed, *(f"Klant {customer}" for customer in customers[1:])]), f"sequence {seed}"
    subjects, names = stage.filed()
    assert len(subjects) == len(set(subjects)), f"sequence {seed}"
    assert len(names) == len(set(names)), f"sequence {seed}"
    assert {f"{entry.your_ref}.pdf" for entry in entries if entry.pdf} <= set(names), f"sequence {seed}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, SEQUENCES, IN_A_DIVISION))
async def test_any_sequence_of_faults_ends_with_each_document_booked_once(tmp_path: Path, first: int) -> None:
    """So many sequences one after the other in one division, each of which follows from its number alone."""
    async with rehearsal(tmp_path) as stage:
        await stage.work()
        for seed in range(first, min(first + IN_A_DIVISION, SEQUENCES)):
            await play(stage, seed)
        assert stage.simulator.traffic.concurrent_max <= 2  # two only where a take-over is made to happen in the middle of a call
        assert all(row["Status"] == 50 for row in stage.rows("salesinvoice/SalesInvoices"))
        assert set(stage.exact.struck) == set(FAULTS)
