"""`kruispost matches`: whose invoices are proposed, which settled ones a line names, and on which ones it was recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.chargebee_shop import bill
from support.engines import DATABASES
from support.facts import customer
from support.matcher_stage import DIVISION, bank_line, matcher_stage, matching
from support.matches_desk import SETTINGS, Desk

from contracts import facts
from payment_matcher import refusals
from simulators.chargebee import catalogue
from simulators.chargebee.credit_notes import write_off_invoice
from simulators.chargebee.payments import Money, pay_invoice

ANOTHER = "     of customer cust-1 (Voorbeeld B.V.), although Exact has the line on the account of Wilg Bouw"


@pytest.fixture(params=DATABASES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    async with matcher_stage(request.param, tmp_path, configuration=matching(**SETTINGS)) as stage:
        await stage.see(customer("cust-1", company="Voorbeeld B.V."))
        await stage.see(customer("cust-2", company="Wilg Bouw"))
        address = {"line1": "Kerkstraat 1", "city": "Utrecht", "zip": "3511 AB", "country": "NL"}
        catalogue.create_customer(stage.chargebee.app.site, "cust-2", {"company": "Wilg Bouw", "billing_address": address})
        yield Desk(stage, tmp_path)


async def test_an_invoice_of_another_customer_is_told_as_such_and_paid_only_when_it_is_named(desk: Desk) -> None:
    """The same amount is no reason to pay the debt of somebody else with a customer's money."""
    invoice = bill(desk.stage.chargebee.app)
    await desk.stage.show_invoice(invoice)
    owner = {"customer_ref": "acme-test/cust-2", "account_id": "account-2"}
    await desk.stage.see(facts.AccountSaved(division=DIVISION, created=True, **owner))
    await desk.stage.see(bank_line(12_100, "betaling", account_id="account-2", account_name="Wilg Bouw"))
    await desk.stage.line()
    assert ANOTHER in (await desk.run())[1].splitlines()
    assert (await desk.json("accept", "1111"))[1]["code"] == "name_invoices"
    assert (await desk.json("accept", "1111", invoice["id"]))[1]["code"] == "accepted"


async def test_a_line_that_nobody_put_on_an_account_says_whose_invoices_it_may_pay(desk: Desk) -> None:
    invoice = bill(desk.stage.chargebee.app)
    await desk.stage.show_invoice(invoice)
    await desk.stage.see(bank_line(12_100, invoice["id"], account_id="", gl_account="1660"))
    await desk.stage.line()
    assert "     van klant cust-1 (Voorbeeld B.V.)" in (await desk.run("--lang", "nl"))[1].splitlines()
    assert (await desk.json("accept", "1111"))[1]["code"] == "accepted"


@pytest.mark.parametrize("how", ["paid", "written off"])
async def test_money_for_an_invoice_that_is_settled_already_says_so_and_how_it_is_kept(desk: Desk, how: str) -> None:
    invoice = bill(desk.stage.chargebee.app, customer_id="cust-2")
    if how == "paid":
        pay_invoice(desk.stage.chargebee.app.site, invoice["id"], Money("card"))
    else:
        write_off_invoice(desk.stage.chargebee.app.site, invoice["id"])
    await desk.stage.show_invoice(invoice)
    await desk.stage.see(bank_line(12_100, f"factuur {invoice['id'].lower()}.", account_id="", gl_account="1660"))
    await desk.stage.line()
    code, text = await desk.run("--reason", "names_settled")
    keep = "accept 11111111 --excess --customer acme-test/cust-2"
    assert (code, text.splitlines()[2:4]) == (
        1,
        [
            f"  names {invoice['id']} of customer cust-2 (Wilg Bouw): nothing is due on it in Chargebee any more",
            f"     kruispost matches {keep}    (kept for the customer)",
        ],
    )
    assert (await desk.json(*keep.split()))[0] == 0
    await desk.work()
    *_, kept = desk.stage.transactions()
    assert (kept["customer_id"], kept["amount_unused"]) == ("cust-2", 12_100)


async def test_what_is_still_to_be_matched_in_exact_says_with_which_invoice(desk: Desk) -> None:
    invoice = bill(desk.stage.chargebee.app)
    await desk.stage.show_invoice(invoice)
    await desk.stage.see(bank_line(13_000, "zonder nummer"))
    await desk.stage.line()
    assert (await desk.run("accept", "1111"))[0] == 0
    await desk.work()
    paid, kept = (payment["id"] for payment in desk.stage.transactions())
    _, text = await desk.run("--state", "to_match", "--lang", "nl")
    assert text.splitlines()[2:4] == [
        f"  vastgelegd in Chargebee: EUR 121.00 op factuur {invoice['id']} ({paid})",
        f"  bewaard in Chargebee: EUR 9.00 voor klant cust-1 ({kept}); letter af met wat dat later betaalt",
    ]
    _, found = await desk.json("--state", "to_match")
    assert [each["amount_minor"] for each in found["lines"][0]["recorded_payments"]] == [12_100, 900]


async def test_what_was_refused_the_last_time_is_told_in_the_language_that_is_asked_for(desk: Desk) -> None:
    await desk.stage.see(bank_line(12_100, "voorschot", account_id="", gl_account="1660"))
    await desk.stage.line()
    assert (await desk.run("accept", "1111", "--excess", "--customer", "acme-test/cust-9"))[0] == 0
    await desk.work()
    assert "  last time: Customer cust-9 does not exist in Chargebee (any more)" in (await desk.run())[1]
    (dutch,) = [row for row in (await desk.run("--lang", "nl"))[1].splitlines() if "vorige keer" in row]
    assert dutch == f"  vorige keer: {refusals.sentence_nl('customer_missing', customer='cust-9')}"
