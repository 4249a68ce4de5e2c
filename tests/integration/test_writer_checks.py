"""What Exact would refuse is found before the call is spent, once the mirror has seen it; and Exact does refuse it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from support.exact_server import DIVISION, ExactServer, exact_server
from support.writer_stage import document, ledger_sale, payment, sale, save_account, writer_stage

from backbone.database import Database
from backbone.settings import Settings
from contracts import facts
from contracts.commands import EntryLine, PostEntry
from exact_writer.refusals import ACTIONS
from exact_writer.tables import mirror_state
from simulators.exact.world import Division

GL, JOURNALS, VAT = "financial/GLAccounts", "financial/Journals", "vat/VATCodes"
ACCOUNTS, WRITES = "crm/Accounts", ("POST salesentry/SalesEntries", "POST generaljournalentry/GeneralJournalEntries")
REVENUE = EntryLine(gl_account="8000", amount_minor=10_000, vat_code="2", vat_amount_minor=2_100)

Change = Callable[[Division], object]


def changed(endpoint: str, code: str, **values: Any) -> Change:
    """A person changes master data in Exact."""

    def change(division: Division) -> None:
        row = division.by_code(endpoint, code)
        assert row is not None
        division.update(endpoint, row["ID"], values)

    return change


def account_changed(**values: Any) -> Change:
    """A person changes the customer's account."""
    return lambda division: [division.update(ACCOUNTS, row["ID"], values) for row in list(division.table(ACCOUNTS))]


def with_line(**values: Any) -> PostEntry:
    """The invoice with something else on its line."""
    return sale(
        "INV-2", lines=(EntryLine(gl_account="8000", amount_minor=10_000, vat_code="2", vat_amount_minor=2_100, **values),)
    )


def in_dollars() -> PostEntry:
    """The invoice in a foreign currency."""
    return msgspec.structs.replace(sale("INV-2"), currency="USD", document=document("INV-2", currency="USD"))


def _without_year(division: Division) -> None:
    for table in ("financial/FinancialPeriods", "read/financial/JournalStatusList"):
        rows = division.table(table)
        for row in [row for row in rows if 2027 in (row.get("FinYear"), row.get("Year"))]:
            rows.remove(rows.key_of(row))


def numbered(command: PostEntry, number: str) -> PostEntry:
    """The same entry of another document."""
    ref = msgspec.structs.replace(command.document, number=number)
    return msgspec.structs.replace(command, command_id=f"command-{number}", your_ref=number, document=ref)


async def forget_what_was_read(database: Database, _: Settings) -> None:
    """Let the writer read everything again, as it does once a day."""
    async with database.transaction() as connection:
        await connection.execute(sa.delete(mirror_state))


async def written(server: ExactServer) -> int:
    """How many calls were spent on entries."""
    calls = (await server.calls())["by_endpoint"]
    return sum(calls.get(name, 0) for name in WRITES)


CASES = [
    (changed(GL, "8000", IsBlocked=True), sale("INV-2"), "blocked_gl_account", "8000"),
    (changed(GL, "8000", Type=20), sale("INV-2"), "wrong_gl_account_type", "8000"),
    (changed(GL, "8000", UseCostcenter=1), sale("INV-2"), "cost_center_missing", "8000"),
    (changed(GL, "8000", UseCostcenter=2), with_line(cost_center="NL"), "cost_center_not_allowed", "8000"),
    (changed(GL, "8000", UseCostunit=1), sale("INV-2"), "cost_unit_missing", "8000"),
    (changed(GL, "8000", UseCostunit=2), with_line(cost_unit="SAAS"), "cost_unit_not_allowed", "8000"),
    (changed(GL, "1290", Type=20), payment("INV-2"), "customer_missing", "1290"),
    (changed(JOURNALS, "70", IsBlocked=True), sale("INV-2"), "blocked_journal", "70"),
    (changed(JOURNALS, "70", Type=12), sale("INV-2"), "wrong_journal_type", "70"),
    (changed(JOURNALS, "70", AllowVariableCurrency=False), in_dollars(), "currency_not_allowed", "USD"),
    (lambda division: division.table("general/Currencies").remove("USD"), in_dollars(), "unknown_currency", "USD"),
    (changed(JOURNALS, "91", AllowVAT=False), ledger_sale("INV-2"), "vat_not_allowed", "91"),
    (changed(VAT, "2", IsBlocked=True), sale("INV-2"), "blocked_vat_code", "code 2"),
    (changed(VAT, "2", VATTransactionType="P"), sale("INV-2"), "vat_code_for_purchases", "code 2"),
    (changed(VAT, "2", Type="B"), sale("INV-2"), "vat_amount_not_allowed", "code 2"),
    (account_changed(Blocked=True), sale("INV-2"), "account_blocked", "Klant CUST1"),
    (account_changed(Blocked=True), payment("INV-2"), "account_blocked", "Klant CUST1"),
    (account_changed(Blocked=True), ledger_sale("INV-2"), "account_blocked", "Klant CUST1"),
    (account_changed(Status="P"), sale("INV-2"), "not_a_customer", "Klant CUST1"),
    (
        _without_year,
        sale("INV-2", reporting_year=2027, reporting_period=1),
        "no_financial_year",
        "2027",
    ),
]


@pytest.mark.parametrize(("change", "command", "code", "named"), CASES, ids=[f"{case[2]}-{case[1].kind}" for case in CASES])
async def test_what_the_mirror_has_seen_costs_no_call_and_what_it_has_not_is_refused_by_exact(
    tmp_path: Path, change: Change, command: PostEntry, code: str, named: str
) -> None:
    async with exact_server() as server:
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account(), sale("INV-1"))
            await stage.until(facts.EntryPosted)
            change(server.simulator.world.divisions[DIVISION])
            before = await written(server)
            await stage.tell(numbered(command, "INV-3"))
            await stage.until(facts.EntryRefused)
            # The list of currencies is read when the first foreign one comes, so this change was seen.
            assert await written(server) - before == (0 if code == "unknown_currency" else 1)
        before = await written(server)
        async with writer_stage(server, tmp_path, before=forget_what_was_read) as stage:
            await stage.tell(command)
            refused = (await stage.until(facts.EntryRefused, 2))[-1]
        assert refused.document.number == "INV-2"
        assert await written(server) == before
        assert (refused.code, named in refused.message) == (code, True), refused.message
        assert refused.message.endswith(ACTIONS[code])


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (sale("INV-2", lines=(EntryLine(gl_account="8000", amount_minor=100, vat_code="4"),)), "vat_code_inclusive"),
        (sale("I" * 31), "reference_too_long"),
        (sale("INV-2", payment_condition="XX"), "unknown_payment_condition"),
        (payment("INV-2"), "unbalanced"),
    ],
)
async def test_what_is_wrong_with_the_entry_itself_costs_no_call(tmp_path: Path, command: PostEntry, code: str) -> None:
    if code == "unbalanced":
        command = msgspec.structs.replace(command, lines=(*command.lines, EntryLine(gl_account="1290", amount_minor=1)))
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), command)
        (refused,) = await stage.until(facts.EntryRefused)
        assert refused.code == code
        assert await written(server) == 0


async def test_a_debtor_account_of_another_type_is_named_before_the_customer_is_saved(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(receivable_account="8000"))
        (refused,) = await stage.until(facts.AccountRefused)
        assert (refused.code, "8000" in refused.message) == ("wrong_gl_account_type", True)
        assert (await server.calls())["writes"] == 0


async def test_a_prospect_that_was_made_a_customer_is_one_at_once(tmp_path: Path) -> None:
    async with exact_server() as server:
        division = server.simulator.world.divisions[DIVISION]
        division.create(
            ACCOUNTS,
            {"ID": division.world.next_id(), "Code": "7".rjust(18), "Name": "P", "Status": "P", "Email": "p@voorbeeld.example"},
        )
        async with writer_stage(server, tmp_path) as stage:
            await stage.tell(save_account(email="p@voorbeeld.example"), sale("INV-1"))
            await stage.until(facts.EntryPosted)
            assert (await server.calls())["by_endpoint"].get("POST crm/Accounts", 0) == 0
