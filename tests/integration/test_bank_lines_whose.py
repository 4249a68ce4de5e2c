"""Whose a bank line is: of one customer, of several who share an account in Exact, of a site that is not there any more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import SITE
from support.matcher_stage import DIVISION, Stage, bank_line, matcher_stage, matching, receivable

from backbone.migrations import migrate
from contracts import facts
from payment_matcher import decisions, lines
from payment_matcher.decisions import Recording

IBAN = "NL91ABNA0417164300"


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with matcher_stage(request.param, tmp_path, configuration=matching()) as made:
        yield made


async def link(stage: Stage, customer_id: str) -> None:
    """Exact shows an open invoice of this customer on the account that the bank lines stand with."""
    shown = receivable(f"INV-{customer_id}", 500, term=f"t-{customer_id}", is_fully_paid=False, status=20, account_id="account-1")
    assert shown.document is not None
    await stage.see(msgspec.structs.replace(shown, document=msgspec.structs.replace(shown.document, customer_id=customer_id)))


@pytest.mark.parametrize("last", ["cust-1", "cust-2"])
async def test_a_line_on_an_account_that_customers_share_is_nobodys_until_a_person_says_whose(stage: Stage, last: str) -> None:
    """A person linked two customers to one account; whoever was seen last does not get the other's money."""
    for customer_id in ("cust-1", "cust-2", last):
        await link(stage, customer_id)
    await stage.see(facts.AccountSaved(division=DIVISION, customer_ref=f"{SITE}/{last}", account_id="account-1", created=False))
    await stage.see(bank_line(12_100, "aanbetaling"))
    line = await stage.line()
    assert (line.customer_id, line.site, line.reason) == ("", "", "unknown_customer")


async def test_an_invoice_number_on_a_shared_account_still_proposes_the_invoice(stage: Stage) -> None:
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    await link(stage, "cust-2")
    await stage.see(bank_line(12_100, f"factuur {invoice['id']}"))
    line = await stage.line()
    assert (line.reason, line.proposals[0].numbers) == ("to_judge", (invoice["id"],))
    assert set(line.proposals[0].evidence) == {"number", "amount"}


async def test_the_iban_of_a_line_on_a_shared_account_is_no_evidence_for_one_of_its_customers(stage: Stage) -> None:
    invoice, other = bill(stage.chargebee.app), bill(stage.chargebee.app)
    for each in (invoice, other):
        await stage.show_invoice(each)
    await link(stage, "cust-2")
    await stage.see(bank_line(6_050, f"{IBAN} x", is_matched=True))
    await stage.see(bank_line(12_100, f"SEPA {IBAN}", line_id="22222222-aaaa", account_id="", gl_account="2090"))
    await stage.proposer.step()
    line = (await stage.lines())[1]
    assert not any("iban" in proposal.evidence for proposal in line.proposals)


async def test_a_decision_for_a_site_that_was_taken_out_troubles_nobody_once_it_is_taken_back(stage: Stage) -> None:
    await stage.see(bank_line(12_100))
    line = await stage.line()
    async with stage.database.transaction() as connection:
        recording = Recording(parts=(), excess_minor=12_100, site="gone-site", customer_id="cust-1")
        await decisions.record(stage.database, connection, line, recording, by="a person", now=stage.clock.now())
    await stage.recorder.step()
    assert "gone-site is not in the configuration" in (await stage.recorder.ready() or "")
    await stage.recorder.step()
    assert await stage.recorder.ready() is not None
    (accepted,) = await stage.lines()
    async with stage.database.transaction() as connection:
        await decisions.undo(connection, accepted, by="a person", now=stage.clock.now())
    await stage.recorder.step()
    assert await stage.recorder.ready() is None


async def test_an_older_database_learns_who_else_shares_an_account_from_the_invoices_on_it(stage: Stage) -> None:
    """The table before kept only the customer who was seen last."""
    invoice = bill(stage.chargebee.app)
    await stage.show_invoice(invoice)
    async with stage.database.transaction() as connection:
        for statement in (
            "DROP TABLE account_owners",
            "DROP TABLE own_payments",
            "DROP TABLE credit_notes",
            "DROP TABLE hand_payments",
            "DROP TABLE write_offs",
            "ALTER TABLE terms DROP COLUMN entry_id",
            "ALTER TABLE terms DROP COLUMN entry_number",
            "ALTER TABLE intents DROP COLUMN customer_id",
            "ALTER TABLE intents DROP COLUMN doubt",
            "ALTER TABLE terms DROP COLUMN paid_on",
            "ALTER TABLE bank_lines DROP COLUMN matched_account",
            "ALTER TABLE bank_lines DROP COLUMN was_matched",
            *(f"ALTER TABLE bank_line_parts DROP COLUMN {name}" for name in ("your_ref", "settled_on")),
            *(f"ALTER TABLE bank_line_parts DROP COLUMN first_{name}" for name in ("your_ref", "settled_on")),
            "CREATE TABLE credit_notes (site TEXT, number TEXT)",
            "CREATE TABLE accounts (division INTEGER, account_id TEXT, site TEXT, customer_id TEXT)",
            "UPDATE schema_version SET version_num = '0004'",
        ):
            await connection.execute(sa.text(statement))
        insert = sa.text("INSERT INTO accounts VALUES (:division, :account, :site, :customer)")
        for account, customer_id in (("account-1", "cust-2"), ("account-2", "cust-3")):
            row = {"division": DIVISION, "account": account, "site": SITE, "customer": customer_id}
            await connection.execute(insert, row)
    await migrate(stage.database, "payment-matcher")
    async with stage.database.reading() as connection:
        assert await lines.owner_of(connection, DIVISION, "account-1") is None
        assert await lines.owner_of(connection, DIVISION, "account-2") == (SITE, "cust-3")
