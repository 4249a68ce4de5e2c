"""Each case of tests/golden/receipts from a bank line in Exact to a payment in Chargebee and back, on both stand-ins."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import golden_stage
from support.chargebee_shop import bill
from support.exact_server import DIVISION, ExactServer, exact_server
from support.facts import SITE, customer
from support.facts import observed as seen_in_chargebee
from support.lines import eventually
from support.matcher_stage import Stage, matcher_stage
from support.writer_stage import WriterStage, configuration, sale, save_account, writer_stage

from backbone.clock import SystemClock
from contracts import facts
from contracts.bank_lines import BankLineObserved
from contracts.commands import EntryLine
from payment_matcher import decisions, lines, open_invoices
from payment_matcher.decisions import Recording
from payment_matcher.lines import Line
from payment_matcher.shares import share_out
from simulators.chargebee.payments import apply_payment

FOLDER = Path(__file__).parent.parent / "golden/receipts"
CASES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))}
NAME = "Voorbeeld B.V."
SUSPENSE = "1660"
TOLD = (facts.AccountSaved, facts.ReceivableObserved, BankLineObserved)


def cents(amount: str) -> int:
    return int(Decimal(amount) * 100)


class Both:
    """Exact with its writer, and Chargebee with its matcher, which hears what the writer says."""

    def __init__(self, case: dict[str, Any], exact: ExactServer, writer: WriterStage, matcher: Stage) -> None:
        self.case, self.exact, self.writer, self.matcher = case, exact, writer, matcher
        self._heard = 0

    async def hear(self) -> None:
        """Let the matcher hear what the writer said since the last time."""
        said = await self.writer.said(*TOLD)
        for message in said[self._heard :]:
            await self.matcher.see(message)
        self._heard = len(said)

    async def until_matched(self, left_minor: int) -> None:
        """Wait until Exact's matching, which leaves so much of the one line, has come through."""
        await eventually(lambda: self._is_left(left_minor))
        await asyncio.sleep(0.5)
        await self.hear()

    async def _is_left(self, left_minor: int) -> bool:
        await self.hear()
        (line,) = await self.matcher.lines()
        return line.total_hundredths - line.matched_hundredths == left_minor

    async def invoice(self, number: str, amount: str) -> dict[str, Any]:
        """Make an invoice in Chargebee, and book it in Exact."""
        net = cents(amount) * 100 // 121
        made = bill(self.matcher.chargebee.app, net)
        assert (made["id"], made["total"]) == (number, cents(amount))
        line = EntryLine(gl_account="8000", amount_minor=net, vat_code="2", vat_amount_minor=cents(amount) - net)
        await self.writer.tell(sale(number, "cust-1", lines=(line,)))
        await self.writer.until(facts.ReceivableObserved, your_ref=number)
        return made

    async def show(self, made: dict[str, Any]) -> None:
        """Let the matcher hear how an invoice stands in Chargebee."""
        version = int(made["resource_version"])
        await self.matcher.see(seen_in_chargebee(facts.InvoiceObserved, dict(made), version=version))

    async def receive(self) -> Any:
        """Book the case's bank line in Exact as a person does."""
        received = self.case["received"]
        account = {"account": NAME} if "account" not in received else {}
        return await self.exact.control(
            "bank-lines",
            division=DIVISION,
            amount_minor=cents(received["amount"]),
            description=received["text"],
            gl_account=received.get("account", "1300"),
            date=SystemClock().now().date().isoformat(),  # lines of long ago on suspense accounts are not told
            **account,
        )

    async def accept(self, line: Line) -> None:
        """Record the line on the invoices of the case, and the rest as an excess payment."""
        numbers, settings = self.case["accepted"], self.matcher.configuration.divisions[DIVISION].bank_matching
        async with self.matcher.database.transaction() as connection:
            dues = await open_invoices.dues(connection, numbers, None)
            found = [dues[number][0] for number in numbers]
            parts, excess = share_out(line.left_minor or 0, found, settings.tolerances.get("EUR", 0))
            recording = Recording(parts=parts, excess_minor=excess, site=SITE, customer_id="cust-1")
            database, now = self.matcher.database, self.matcher.clock.now()
            await decisions.record(database, connection, line, recording, by="a controller", now=now)
        await self.matcher.work()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_a_receipt_ends_as_its_case_says(case: dict[str, Any], tmp_path: Path) -> None:
    settings = {**case.get("settings", {}), "suspense_accounts": [SUSPENSE]}
    configured = configuration(bank_matching=settings)
    for name in ("writer", "matcher"):
        (tmp_path / name).mkdir()
    async with (
        exact_server() as exact,
        writer_stage(exact, tmp_path / "writer", configuration=configured, ledger_seconds=0.5) as writer,
        matcher_stage("sqlite", tmp_path / "matcher", configuration=configured) as matcher,
    ):
        both = Both(case, exact, writer, matcher)
        await writer.tell(save_account("cust-1", name=NAME))
        await writer.until(facts.AccountSaved)
        await matcher.see(customer("cust-1", company=NAME))
        made = {number: await both.invoice(number, amount) for number, amount in case.get("invoices", {}).items()}
        for each in made.values():
            await both.show(each)
        async with matcher.database.transaction() as connection:
            for iban in case.get("ibans", ()):
                await lines.learn_iban(matcher.database, connection, DIVISION, iban, SITE, "cust-1")
        booked = await both.receive()
        await writer.until(BankLineObserved, line_id=booked["line_id"])
        await both.hear()
        await is_judged(both)
        if "accepted" in case:
            await both.accept((await matcher.lines())[0])
        await is_recorded(both, made)
        for number, amount in case.get("invoiced_later", {}).items():
            later = await both.invoice(number, amount)
            apply_payment(matcher.chargebee.app.site, number, matcher.transactions()[0]["id"])
            await both.show(later)
        entry = next(each for each in (await exact.ledger())["entries"] if each["entry_id"] == booked["entry_id"])
        assert golden_stage.written(entry["lines"]) == golden_stage.expected(case["journal"])
        if "matched_with" in case:
            await is_matched(both, booked)


async def is_judged(both: Both) -> None:
    """The inbox shows the line with its reason, its proposals and their evidence."""
    line = await both.matcher.line()
    assert (line.state, line.reason) == ("open", both.case["reason"])
    assert [list(each.numbers) for each in line.proposals] == both.case["proposals"]
    assert not line.proposals or set(line.proposals[0].evidence) == {*both.case["evidence"]}


async def is_recorded(both: Both, made: dict[str, dict[str, Any]]) -> None:
    """Chargebee has these payments, and this is due."""
    case, site = both.case, both.matcher.chargebee.app.site
    assert [each["amount"] for each in both.matcher.transactions()] == [cents(each) for each in case.get("payments", ())]
    assert site.get("customer", "cust-1")["excess_payments"] == cents(case.get("excess", "0"))
    assert {number: each["amount_due"] for number, each in made.items()} == {
        number: cents(amount) for number, amount in case.get("due", {}).items()
    }
    written_off = {number: cents(amount) for number, amount in case.get("written_off", {}).items()}
    assert {number: each["write_off_amount"] for number, each in made.items() if each["write_off_amount"]} == written_off


async def is_matched(both: Both, booked: dict[str, Any]) -> None:
    """A person matches the line in Exact: no payment follows, and what is left on it is as the case says."""
    before = len(both.matcher.transactions())
    number = both.case["matched_with"]
    left = cents(both.case["open_on_line"])
    await both.exact.control("matches", division=DIVISION, your_ref=number, entry_number=booked["entry_number"])
    await both.until_matched(left)
    await both.matcher.work()
    (line,) = await both.matcher.lines()
    assert (len(both.matcher.transactions()), line.state) == (before, "recorded")
    assert line.total_hundredths - line.matched_hundredths == left
