"""Debtor accounts, payment conditions, notes, discounts and rates as Exact takes them from the writer."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.exact_server import DIVISION, ExactServer, exact_server
from support.writer_stage import sale, save_account, writer_stage

from contracts import commands, facts


def rows(server: ExactServer, table: str) -> list[dict[str, Any]]:
    """What stands in a table of Exact, in the order in which it came."""
    return list(server.simulator.world.divisions[DIVISION].table(table))


def ledger_of(server: ExactServer, code: str) -> Any:
    (row,) = [row for row in rows(server, "financial/GLAccounts") if row["Code"].strip() == code]
    return row["ID"]


async def test_the_debtor_account_and_terms_stand_with_the_customer_and_the_entry_follows_them(tmp_path: Path) -> None:
    discount = commands.EntryLine(
        gl_account="8090", amount_minor=-2_000, vat_code="2", vat_amount_minor=-420, description="Discount TEN"
    )
    full = commands.EntryLine(gl_account="8000", amount_minor=10_000, vat_code="2", vat_amount_minor=2_100, notes="PO-9")
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(
            save_account(receivable_account="1310", payment_condition="30"),
            sale("INV-1", lines=(full, discount), payment_condition="14"),
        )
        await stage.until(facts.EntryPosted)
        (account,) = [row for row in rows(server, "crm/Accounts") if row["Name"] == "Klant CUST1"]
        (entry,) = rows(server, "salesentry/SalesEntries")
        lines = rows(server, "salesentry/SalesEntryLines")
        transactions = rows(server, "financialtransaction/TransactionLines")
        calls = (await server.calls())["by_endpoint"]
    assert (account["GLAR"], account["PaymentConditionSales"]) == (ledger_of(server, "1310"), "30")
    assert (entry["PaymentCondition"], entry["AmountFC"]) == ("14", Decimal("96.80"))
    assert [(line["AmountFC"], line["VATAmountFC"], line.get("Notes")) for line in lines] == [
        (Decimal("100.00"), Decimal("21.00"), "PO-9"),
        (Decimal("-20.00"), Decimal("-4.20"), None),
    ]
    debts = [line["AmountDC"] for line in transactions if line["GLAccount"] == ledger_of(server, "1310")]
    assert debts == [Decimal("96.80")]
    assert (calls["POST salesentry/SalesEntries"], calls["GET cashflow/PaymentConditions"]) == (1, 1)


async def test_a_customer_that_comes_under_another_rule_changes_only_that(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(receivable_account="1310", payment_condition="30"))
        await stage.until(facts.AccountSaved)
        await stage.tell(save_account(fingerprint="2", receivable_account="1300", payment_condition="30"))
        await stage.until(facts.AccountSaved, 2)
        # Without a rule nothing is emptied: what stands in Exact may be a person's.
        await stage.tell(save_account(fingerprint="3"))
        await stage.until(facts.AccountSaved, 3)
        (account,) = [row for row in rows(server, "crm/Accounts") if row["Name"] == "Klant CUST1"]
    assert (account["GLAR"], account["PaymentConditionSales"]) == (ledger_of(server, "1300"), "30")


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"receivable_account": "1399"}, "unknown_gl_account", "Exact has no ledger 1399."),
        ({"payment_condition": "99"}, "unknown_payment_condition", "Exact has no payment condition 99."),
    ],
)
async def test_what_exact_does_not_have_is_refused_before_a_call(
    tmp_path: Path, given: dict[str, Any], code: str, words: str
) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(**given))
        (refused,) = await stage.until(facts.AccountRefused)
        calls = (await server.calls())["by_endpoint"]
    assert refused.code == code
    assert words in refused.message
    assert "POST crm/Accounts" not in calls


async def test_an_entry_with_an_unknown_payment_condition_is_refused_before_a_call(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-1", payment_condition="99"))
        (refused,) = await stage.until(facts.EntryRefused)
        calls = (await server.calls())["by_endpoint"]
    assert refused.code == "unknown_payment_condition"
    assert "POST salesentry/SalesEntries" not in calls


@pytest.mark.parametrize(
    ("currency", "sent", "told"), [("USD", "0.9123", "0.9123"), ("USD", None, "0.9175"), ("EUR", None, None)]
)
async def test_the_rate_that_was_used_is_told(tmp_path: Path, currency: str, sent: str | None, told: str | None) -> None:
    rate = Decimal(sent) if sent is not None else None
    entry = commands.PostEntry(**{**fields_of(sale("INV-1")), "currency": currency, "exchange_rate": rate})
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), entry)
        (posted,) = await stage.until(facts.EntryPosted)
        (booked,) = rows(server, "salesentry/SalesEntries")
    assert posted.exchange_rate == (Decimal(told) if told is not None else None)
    assert booked["Rate"] == Decimal(told or 1)


async def test_the_rate_that_exact_took_is_told_of_a_sale_whose_answer_was_lost(tmp_path: Path) -> None:
    """Its credit notes are booked at that rate, which nothing else tells."""
    entry = commands.PostEntry(**{**fields_of(sale("INV-1")), "currency": "USD", "exchange_rate": None})
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await server.fault("cut_answer", method="POST", path_contains="salesentry/SalesEntries")
        await stage.tell(save_account(), entry)
        (posted,) = await stage.until(facts.EntryPosted)
    assert (posted.found, posted.exchange_rate) == (True, Decimal("0.9175"))


def fields_of(command: commands.PostEntry) -> dict[str, Any]:
    return {name: getattr(command, name) for name in command.__struct_fields__}
