"""Each fault at each kind of writing call, before and after Exact did it: one booking, as docs/unknown-outcomes.md says."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec
import pytest
import sqlalchemy as sa
from support.exact_server import DIVISION
from support.faults import CALLS, FAULTS
from support.faulty_exact import Rehearsal, check, rehearsal, told
from support.writer_stage import payment, sale, save_account

from backbone.tables import event_log
from contracts.commands import PostEntry
from contracts.envelope import decode
from contracts.facts import EntryPosted, EntryRefused
from contracts.messages import unseal
from exact_writer import adopting, ledger_lines
from exact_writer.tables import commands as journal_table
from exact_writer.tables import ledger_lines as ledger_table

WITH_DOCUMENTS = ("document", "attachment", "ledger batch", "payments of a day", "list", "file of a list")


@pytest.mark.parametrize("kind", CALLS)
async def test_every_fault_at_every_writing_call_ends_as_one_booking(tmp_path: Path, kind: str) -> None:
    customers = {fault: f"C{place}" for place, fault in enumerate(FAULTS)}
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"), *(save_account(each) for each in customers.values() if kind != "account"))
        await stage.work()
        for place, (fault, customer) in enumerate(customers.items(), 1):
            entries = told(kind, f"INV-{place}", customer)
            accounts = [save_account(customer)] if kind == "account" else []
            if kind == "account change":
                accounts = [save_account(customer, "2", name="Nieuwe naam")]
            code = stage.vat_code()
            percentage = code["Percentage"]
            if kind == "draft removal":
                code["Percentage"] = percentage / 3
            stage.exact.planned.append((fault, *CALLS[kind]))
            await stage.plan(*accounts, *entries)
            await stage.work()
            code["Percentage"] = percentage
            assert stage.exact.struck == [fault]
            stage.exact.struck.clear()
            check(stage, fault, entries)
            assert (await stage.ends()).items() >= {entry.command_id: "posted" for entry in entries}.items(), fault
            assert len(stage.rows("crm/Accounts", Name="Nieuwe naam")) == place * (kind == "account change"), fault
            assert len(stage.rows("crm/Accounts", Name=f"Klant {customer}")) == (kind != "account change"), fault
            assert len(stage.rows("logistics/Items", Code=f"I-{customer}")) <= 1, fault
            subjects, names = stage.filed()
            assert len(subjects) == len(set(subjects)) == place * (kind in WITH_DOCUMENTS), fault
            assert len(names) == len(set(names)) == place * (kind in (*WITH_DOCUMENTS, "attachment of a final invoice")), fault
        assert stage.simulator.traffic.concurrent_max == 1
        assert all(row["Status"] == 50 for row in stage.rows("salesinvoice/SalesInvoices"))


async def test_a_writer_that_was_paused_before_its_call_left_does_not_send_it(tmp_path: Path) -> None:
    """As by SIGSTOP: the call was noted, the process stood still for an hour, and another one has booked it meanwhile."""
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"))
        await stage.work()
        await stage.plan(sale("INV-1", "FIRST"))
        stage.database.paused_after_next = lambda: stage.clock.advance(3600)
        calls = stage.simulator.traffic.writes
        await stage.work()
        assert stage.simulator.traffic.writes == calls + 1
        check(stage, "paused", [sale("INV-1", "FIRST")])


async def test_while_exact_is_slow_a_new_holder_makes_no_call_beside_that_of_the_one_that_hangs(tmp_path: Path) -> None:
    """Ten seconds are enough where answers take less; what Exact took lately tells the next holder that they do not."""
    async with rehearsal(tmp_path) as stage:
        stage.exact.answer_seconds = 20.0
        await stage.plan(save_account("FIRST"))
        await stage.work()
        stage.exact.planned.append(("taken_over_for_a_while", *CALLS["sales entry"]))
        await stage.plan(sale("INV-1", "FIRST"), sale("INV-2", "FIRST"))
        await stage.work()
        check(stage, "slow", [sale("INV-1", "FIRST"), sale("INV-2", "FIRST")])
        assert stage.exact.struck == ["taken_over_for_a_while"]
        assert stage.exact.most_under_way == 1


async def lose(stage: Rehearsal, entry: PostEntry) -> None:
    """Lose what the journal knew of an entry that stands in Exact, after its ledger was read, and doubt the journal."""
    async with stage.database.transaction() as connection:
        await ledger_lines.ask(stage.database, connection, DIVISION)
    await stage.work()
    async with stage.database.transaction() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(ledger_table)), "it was read"
        await connection.execute(sa.delete(journal_table).where(journal_table.c.command_id == entry.command_id))
        await adopting.doubt(stage.database, connection, DIVISION, stage.clock.now().timestamp() + 3600)


async def said(stage: Rehearsal) -> list[object]:
    async with stage.database.reading() as connection:
        bodies = list((await connection.execute(sa.select(event_log.c.body).order_by(event_log.c.sequence))).scalars())
    return [unseal(decode(body)) for body in bodies]


@pytest.mark.parametrize("rate", [Decimal("0.9175"), Decimal(1)])
@pytest.mark.parametrize("made", [sale, payment])
async def test_what_a_lost_journal_had_booked_at_a_rate_of_exacts_is_found_again_with_that_rate(
    tmp_path: Path, made: Callable[[str, str], PostEntry], rate: Decimal
) -> None:
    """The ledger shows the entry at no call, but only the entry itself says its rate, which its credit notes are booked at."""
    async with rehearsal(tmp_path) as stage:
        for row in stage.rows("financial/ExchangeRates", SourceCurrency="USD"):
            row["Rate"] = rate
        entry = msgspec.structs.replace(made("TX-1", "FIRST"), currency="USD", exchange_rate=None)
        await stage.plan(save_account("FIRST"), entry)
        await stage.work()
        await lose(stage, entry)
        await stage.plan(msgspec.structs.replace(entry, command_id="again"))  # the stand-in of a log that was lost as well
        await stage.work()
        check(stage, "lost journal", [entry])
        posted = [each for each in await said(stage) if isinstance(each, EntryPosted)]
    assert [(each.found, each.exchange_rate) for each in posted] == [(False, rate), (True, rate)]


@pytest.mark.parametrize("mode", ["entry", "document"])
@pytest.mark.parametrize(
    ("cents_more", "customer", "words"),
    [
        (1, "FIRST", "of 121.00 EUR where the document has 121.01 EUR"),
        (0, "SECOND", "and the same amount, on another account"),
        (1, "SECOND", None),
    ],
)
async def test_an_entry_with_the_reference_of_a_document_and_other_cents_or_account_is_not_taken_for_it(
    tmp_path: Path, mode: Literal["entry", "document"], cents_more: int, customer: str, words: str | None
) -> None:
    """What agrees in neither is another site's document of that number; what agrees in one is a question for a person."""
    async with rehearsal(tmp_path) as stage:
        [there] = told("document" if mode == "document" else "sales entry", "INV-1", "FIRST")
        assert isinstance(there, PostEntry)
        await stage.plan(save_account("FIRST"), save_account("SECOND"), there)
        await stage.work()
        await lose(stage, there)
        line = msgspec.structs.replace(there.lines[0], amount_minor=there.lines[0].amount_minor + cents_more)
        document = msgspec.structs.replace(there.document, customer_id=customer)
        asked = msgspec.structs.replace(
            there,
            command_id="again",
            customer_ref=there.customer_ref.replace("FIRST", customer),
            document=document,
            lines=(line, *there.lines[1:]),
        )
        await stage.plan(asked)
        await stage.work()
        ends = await stage.ends()
        refused = [each for each in await said(stage) if isinstance(each, EntryRefused)]
        booked = stage.bookings(there)
    if words is None:
        assert (ends["again"], booked, refused) == ("posted", 2, [])
    else:
        assert (ends["again"], booked, [each.code for each in refused]) == ("reference_taken", 1, ["reference_taken"])
        assert words in refused[0].message
        assert "kruispost retry NUMBER" in refused[0].message
