"""`kruispost matches`: what a controller reads of bank lines that nobody matched, and what becomes of a decision."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.chargebee_shop import bill
from support.deadly_commits import killed_at_each_commit
from support.engines import DATABASES
from support.facts import customer
from support.matcher_stage import bank_line, matcher_stage, matching, receivable
from support.matches_desk import LINK, SETTINGS, Desk
from typer.testing import CliRunner

from backbone.clock import SystemClock
from console.cli import app, main
from payment_matcher import judging, matches_words
from simulators.chargebee.payments import Money, pay_invoice

ENTRY = LINK.format(division=123456, entry_id="bank-entry-1")
REASONS = ("its number stands in the text;", "Exact has the line on the account of this customer")


@pytest.fixture(params=DATABASES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    async with matcher_stage(request.param, tmp_path, configuration=matching(**SETTINGS)) as stage:
        await stage.see(customer("cust-1", company="Voorbeeld B.V."))
        yield Desk(stage, tmp_path)


async def test_a_line_is_listed_with_invoices_evidence_and_what_to_type(desk: Desk) -> None:
    invoice = bill(desk.stage.chargebee.app)
    await desk.stage.show_invoice(invoice)
    await desk.stage.see(bank_line(13_000, f"factuur {invoice['id']}", account_name="Voorbeeld B.V."))
    await desk.stage.line()
    code, text = await desk.run()
    assert code == 1
    assert text.splitlines() == [
        "11111111  2026-09-25  EUR 130.00  Voorbeeld B.V.: a person has to judge",
        f"  text: factuur {invoice['id']}",
        f"  1. {invoice['id']} (121.00 due), 9.00 more received: {' '.join(REASONS)}",
        f"     kruispost matches accept 11111111 {invoice['id']}",
        "  entry 26200001 in journal 20  https://exact.example/entry?d=123456&id=bank-entry-1",
        "",
        "1 open, 0 to be matched in Exact",
    ]
    code, text = await desk.run("--lang", "nl", "--customer", "voorbeeld", "--amount", "130,00", "--text", "FACTUUR")
    assert "het nummer staat in de omschrijving; Exact heeft de regel op de rekening van deze klant" in text
    assert "9.00 meer ontvangen" in text
    for nothing in (
        ("--amount", "121"),
        ("--text", "other"),
        ("--customer", "nobody"),
        ("--state", "dismissed"),
        ("--reason", "unknown_customer"),
    ):
        assert (await desk.run(*nothing))[0] == 0


async def test_accepting_records_the_invoice_and_keeps_the_rest_and_says_what_to_match_in_exact(desk: Desk) -> None:
    invoice = bill(desk.stage.chargebee.app)
    await desk.stage.show_invoice(invoice)
    await desk.stage.see(bank_line(13_000, "zonder nummer"))
    await desk.stage.line()
    code, text = await desk.run("accept", "1111")
    assert code == 0
    assert text.splitlines() == [
        f"{invoice['id']}: EUR 121.00 is recorded in Chargebee",
        "EUR 9.00 is kept in Chargebee as an excess payment of customer cust-1",
        f"In Exact, match entry 26200001 in journal 20  {ENTRY} with the same invoices.",
    ]
    await desk.work()
    assert [payment["amount"] for payment in desk.stage.transactions()] == [12_100, 900]
    assert (await desk.run())[0] == 0
    code, found = await desk.json("--state", "to_match")
    assert (code, found["to_match"]) == (0, 1)
    assert found["lines"][0]["entry"]["link"] == "https://exact.example/entry?d=123456&id=bank-entry-1"
    code, text = await desk.run("undo", "1111")
    first, second = (payment["id"] for payment in desk.stage.transactions())
    assert code == 1
    assert text.splitlines() == [
        f"In Chargebee, remove payment {first} (EUR 121.00) from invoice {invoice['id']}, then delete that transaction.",
        f"In Chargebee, delete the excess payment {second} (EUR 9.00) of customer cust-1.",
        "Once Chargebee shows that, line 11111111 is open again by itself.",
    ]


async def test_a_decision_is_carried_out_once_although_its_command_died(desk: Desk) -> None:
    invoice = bill(desk.stage.chargebee.app)
    await desk.stage.show_invoice(invoice)
    await desk.stage.see(bank_line(13_000, "zonder nummer"))
    await desk.stage.line()

    async def accept() -> None:
        await asyncio.to_thread(CliRunner().invoke, app, ["matches", "accept", "1111"], env=desk.environment)

    assert await killed_at_each_commit(accept) > 1
    await desk.work()
    assert [payment["amount"] for payment in desk.stage.transactions()] == [12_100, 900]


async def test_several_likely_invoices_have_to_be_named(desk: Desk) -> None:
    one, other = bill(desk.stage.chargebee.app), bill(desk.stage.chargebee.app)
    for invoice in (one, other):
        await desk.stage.show_invoice(invoice)
    await desk.stage.see(bank_line(12_100))
    await desk.stage.line()
    code, told = await desk.json("accept", "11111111")
    assert (code, told["code"], told["done"]) == (1, "name_invoices", False)
    code, told = await desk.json("accept", "11111111", other["id"])
    assert (code, told["code"], told["done"]) == (0, "accepted", True)
    code, told = await desk.json("accept", "11111111", one["id"])
    assert (code, told["code"]) == (1, "not_open")
    await desk.work()
    assert (one["status"], other["status"]) == ("posted", "paid")


async def test_a_split_records_what_was_named_and_leaves_the_rest(desk: Desk) -> None:
    one, other = bill(desk.stage.chargebee.app), bill(desk.stage.chargebee.app)
    for invoice in (one, other):
        await desk.stage.show_invoice(invoice)
    await desk.stage.see(bank_line(12_100))
    await desk.stage.line()
    wrong = [
        ("nothing",),
        (f"{one['id']}=1.234",),
        (f"{one['id']}=0",),
        (f"{one['id']}=121.01",),
        (f"{one['id']}=100", f"{other['id']}=21.01"),
        ("INV-0=1",),
    ]
    codes = [(await desk.json("split", "1111", *amounts))[1]["code"] for amounts in wrong]
    assert codes == ["no_amount_in", "no_amount_in", "more_than_left", "more_than_due", "more_than_left", "unknown_invoice"]
    code, text = await desk.run("split", "1111", f"{one['id']}=100.00", f"{other['id']}=11", "excess=3,50")
    assert (code, "EUR 6.60 stays in the inbox" not in text, "EUR 6.50 stays in the inbox" in text) == (0, True, True)
    await desk.work()
    assert [payment["amount"] for payment in desk.stage.transactions()] == [10_000, 1_100, 350]
    assert (await desk.stage.line()).left_minor == 650


async def test_a_dismissed_line_keeps_its_reason_and_can_be_opened_again(desk: Desk) -> None:
    await desk.stage.see(bank_line(12_100, "huur"))
    await desk.stage.line()
    assert (await desk.run("dismiss", "1111", "--why", "rent of the garage"))[0] == 0
    code, text = await desk.run("--state", "dismissed")
    assert (code, "  dismissed: rent of the garage" in text) == (0, True)
    assert (await desk.run("undo", "1111"))[0] == 0
    assert (await desk.stage.line()).state == "open"
    assert (await desk.json("undo", "1111"))[1]["code"] == "nothing_to_undo"


async def test_a_payment_in_advance_is_kept_for_its_customer(desk: Desk) -> None:
    await desk.stage.see(bank_line(12_100, "aanbetaling", account_id="", gl_account="2090"))
    await desk.stage.line()
    assert (await desk.json("accept", "1111", "--excess"))[1]["code"] == "whose"
    code, _ = await desk.run("accept", "1111", "--excess", "--customer", "acme-test/cust-1")
    await desk.work()
    (payment,) = desk.stage.transactions()
    assert (code, payment["amount_unused"]) == (0, 12_100)
    # The line itself still says nothing of the customer.
    _, text = await desk.run("undo", "1111")
    assert text.startswith(f"In Chargebee, delete the excess payment {payment['id']} (EUR 121.00) of customer cust-1.\n")


async def test_a_customer_of_a_site_that_the_configuration_does_not_have_is_refused_at_once(desk: Desk) -> None:
    """A payment-matcher could never record it, and would say so until somebody takes it back."""
    await desk.stage.see(bank_line(12_100, "aanbetaling", account_id="", gl_account="2090"))
    await desk.stage.line()
    code, answer = await desk.json("accept", "1111", "--excess", "--customer", "acme-tset/cust-1")
    assert (code, answer["code"]) == (1, "unknown_site")
    assert answer["sentences"] == ["The configuration has no site acme-tset, so nothing can be recorded there; it has acme-test."]
    assert ((await desk.stage.line()).state, await desk.stage.open_intents()) == ("open", 0)


async def test_what_cannot_be_done_is_said_with_exit_code_2(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await desk.stage.see(bank_line(12_100))
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    for arguments, sentence in (
        (["accept", "9999"], "No bank line begins with 9999"),
        (["--amount", "much"], "much is no amount"),
        (["--amount", "much", "--lang", "nl"], "much is geen bedrag"),
        (["--reason", "unknown_custmer"], "No line waits for a reason named unknown_custmer; the reasons are amount_not_whole, "),
    ):
        monkeypatch.setattr("sys.argv", ["kruispost", "matches", *arguments])
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(main)
        assert ended.value.code == 2
        assert sentence in capsys.readouterr().err


def test_every_reason_and_piece_of_evidence_is_told_in_both_languages() -> None:
    assert {*judging.Reason.__args__} | {""} == {*matches_words.REASONS}  # type: ignore[attr-defined]  # a Literal's values
    for told in (matches_words.REASONS, matches_words.STATES):
        assert all(english and dutch for english, dutch in told.values())


async def test_money_that_stays_too_long_is_named_with_its_age_whatever_was_decided(desk: Desk) -> None:
    today = SystemClock().now().date()
    old, recent = today - timedelta(days=47), today - timedelta(days=3)
    on_suspense: dict[str, Any] = {"gl_account": "1660", "account_id": ""}
    lines = (
        bank_line(5_000, "voorschot", line_id="aaaaaaaa", day=old, **on_suspense),
        bank_line(700, "weggelegd", line_id="bbbbbbbb", day=old, **on_suspense),
        bank_line(900, "afgeletterd", line_id="cccccccc", day=old, is_matched=True),
        bank_line(1_100, "net binnen", line_id="dddddddd", day=recent, **on_suspense),
    )
    for line in lines:
        await desk.stage.see(line)
    await desk.stage.proposer.step()
    assert (await desk.run("dismiss", "bbbbbbbb", "--why", "van de buren"))[0] == 0
    code, text = await desk.run("--days", "30", "--lang", "nl")
    assert code == 1
    assert [row[:8] for row in text.splitlines() if "EUR" in row] == ["aaaaaaaa", "bbbbbbbb", "EUR 57.0"]
    assert "  staat al 47 dagen op 1660" in text.splitlines()
    assert text.splitlines()[-1] == "EUR 57.00 staat al 30 dagen of langer op 1660"
    assert (await desk.run("--days", "60"))[0] == 0


async def test_a_line_on_a_suspense_account_is_found_by_the_customer_whose_its_money_is(desk: Desk) -> None:
    """By id or name, kept for the customer or on an invoice; the line itself names nobody."""
    invoice = bill(desk.stage.chargebee.app)
    await desk.stage.show_invoice(invoice)
    suspense: dict[str, Any] = {"account_id": "", "gl_account": "2090"}
    await desk.stage.see(bank_line(5_555, "x", line_id="aaaaaaaa-1", **suspense))
    await desk.stage.see(bank_line(12_100, "y", line_id="bbbbbbbb-1", **suspense))
    await desk.stage.see(bank_line(777, "z", line_id="cccccccc-1", **suspense))
    await desk.stage.proposer.step()
    for accepted in (("aaaaaaaa", "--excess", "--customer", "acme-test/cust-1"), ("bbbbbbbb", invoice["id"])):
        code, text = await desk.run("accept", *accepted)
        assert (code, "to the customer's account, and match it there" in text.splitlines()[-1]) == (0, True)
    await desk.work()
    assert (await desk.run("--state", "to_match", "--lang", "nl"))[1].count("nog op de rekening van de klant te zetten") == 2
    for customer_ in ("cust-1", "VOORBEELD"):
        _, found = await desk.json("--state", "all", "--customer", customer_)
        assert {each["id"] for each in found["lines"]} >= {"aaaaaaaa", "bbbbbbbb"}
        assert "cccccccc" not in {each["id"] for each in found["lines"]}
    for nobody in ("cust-2", "%"):
        assert (await desk.json("--state", "all", "--customer", nobody))[1]["found"] == 0


async def test_invoices_with_another_amount_open_in_exact_are_listed_with_their_entry(desk: Desk) -> None:
    same, more, less = (bill(desk.stage.chargebee.app) for _ in range(3))
    for each in (same, more, less):
        await desk.stage.show_invoice(each)
    all_equal = "Of every invoice Exact has as much open as Chargebee has due, and of no credit note less than is to be given.\n"
    assert await desk.run("unequal") == (0, all_equal)
    known: dict[str, Any] = {"account_id": "account-1", "timestamp": 2, "entry_number": 26700002}
    await desk.stage.see(receivable(less["id"], 12_100, term=f"term-{less['id']}", **known))
    code, text = await desk.run("unequal", "--days", "0")
    assert (code, text.splitlines()[1]) == (0, "  a payment of it is being recorded in Chargebee")
    await desk.work()
    pay_invoice(desk.stage.chargebee.app.site, more["id"], Money("card", 5_000))
    for each in (more, less):
        await desk.stage.show_invoice(each)
    await desk.stage.see(receivable(less["id"], 12_100, term=f"term-{less['id']}", **known))
    link = "https://exact.example/entry?d=123456&id=entry-1"
    code, text = await desk.run("unequal", "--days", "0")
    assert (code, text.splitlines()) == (
        1,
        [
            f"{more['id']}  cust-1: EUR 121.00 open in Exact, 71.00 due in Chargebee",
            f"  {matches_words.say('more_in_exact', 'en').strip()}",
            matches_words.say("no_open_items", "en"),
            "",
            "1 with another amount open in Exact than is due in Chargebee",
        ],
    )
    is_matched: dict[str, Any] = {"term": f"term-{more['id']}", "whole_minor": 12_100, "is_fully_paid": False}
    await desk.stage.see(receivable(more["id"], 7_000, **known, **is_matched, status=20))
    code, found = await desk.json("unequal", "--days", "0", "--division", "123456")
    (only,) = found["invoices"]
    assert (code, only["open_in_exact_hundredths"], only["due_in_chargebee_hundredths"]) == (1, 7_000, 7_100)
    assert only["entry"] == {"id": "entry-1", "number": 26700002, "link": link}
    assert "draai dat terug" in (await desk.run("unequal", "--days", "0", "--lang", "nl"))[1]
    assert (await desk.run("unequal", "--division", "1"))[0] == 0
    assert (await desk.run("unequal", "--days", "9000"))[0] == 0
