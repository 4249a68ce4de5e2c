"""Random years of payments of one customer each: what happens in Chargebee, at the gateway, at the bank, and what people do."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

from support.chargebee_shop import VAT_21
from support.exact_server import DIVISION
from support.facts import SITE
from support.facts import observed as shown
from support.payment_world import World

from contracts import facts
from payment_matcher import decisions, open_invoices
from payment_matcher.decisions import Recording
from payment_matcher.lines import Line
from payment_matcher.shares import CannotShareError, share_out
from payment_matcher.standing import PaymentStandsError
from payment_matcher.tables import bank_lines
from simulators.chargebee import catalogue, credit_notes, invoices, late_money, payments
from simulators.chargebee.pricing import LineSpec
from simulators.chargebee.site import Resource
from simulators.exact import receivables

PRICES = (1_000, 1_000, 2_500, 4_132, 10_000, 10_000, 33_333)  # equal ones are what Exact may match wrongly
RATES = ("0.9200", "0.9217", "0.9310")
TOLERANCE_MINOR = 2


class Year:
    """One customer's year; `received` is every bank line by its id, in cents."""

    def __init__(self, seed: int, world: World) -> None:
        self.luck, self.world = random.Random(seed), world
        self.customer_id, self.name = f"C{seed}", f"Klant {seed}"
        self.received: dict[str, int] = {}
        self.unmatched: list[dict[str, Any]] = []
        self.paid_out: set[str] = set()
        self.paid_out_minor = 0
        self._payouts = 0
        address = {"line1": "Kerkstraat 1", "city": "Utrecht", "zip": "3511 AB", "country": "NL"}
        catalogue.create_customer(world.site, self.customer_id, {"company": self.name, "billing_address": address})

    # what is there

    def invoices(self) -> list[Resource]:
        """All invoices of the customer."""
        return [each for each in self.world.site.all("invoice") if each["customer_id"] == self.customer_id]

    def due(self) -> list[Resource]:
        """Those on which something is due, in euros."""
        payable = invoices.PAYABLE
        return [
            each
            for each in self.invoices()
            if each["status"] in payable and each["amount_due"] > 0 and each["currency_code"] == "EUR"
        ]

    def money(self) -> list[Resource]:
        """All transactions of the customer."""
        return [each for each in self.world.site.all("transaction") if each["customer_id"] == self.customer_id]

    def online(self, status: str = "success") -> list[Resource]:
        """Payments through the gateway."""
        mine = (each for each in self.money() if each["gateway"] == "stripe" and each["type"] == "payment")
        return [each for each in mine if each["status"] == status]

    def notes(self) -> list[Resource]:
        """All credit notes of the customer."""
        return [each for each in self.world.site.all("credit_note") if each["customer_id"] == self.customer_id]

    # what happens

    async def step(self) -> None:
        """Let one thing happen, of what can happen now."""
        if not self.due() or self.luck.random() < 0.25:
            self.bill()
        acts: list[Callable[[], Any]] = [
            *(self.pay_by_card, self.pay_a_part, self.pay_several, self.decline, self.debit, self.end_debit),
            *(self.fail_late, self.take_back, self.refund, self.charge_back, self.use_credit, self.adjust, self.write_off),
            *(self.use_excess, self.transfer, self.transfer, self.transfer_a_part, self.transfer_too_much, self.transfer_short),
            *(self.transfer_for_several, self.transfer_in_advance, self.transfer_unknown, self.take_money_out, self.unmatch),
            *(self.dollars, self.dollars_and_credit, self.dollars_in_advance, self.use_dollars, self.nothing),
        ]
        happening = self.luck.choice(acts)()
        if happening is not None:
            await happening

    def bill(self, currency: str = "EUR") -> Resource:
        """Invoice something."""
        price = self.luck.choice(PRICES)
        lines = [LineSpec("plan_item_price", "Plan", price, "Plan-EUR-Monthly", tax=VAT_21)]
        rate = "1"
        if currency != "EUR":
            rate, lines = self.luck.choice(RATES), lines * self.luck.randint(1, 3)
        spec = invoices.InvoiceSpec(self.customer_id, tuple(lines), net_term_days=14, currency=currency, exchange_rate=rate)
        return invoices.create_invoice(self.world.site, spec)

    def _card(self, amount_minor: int | None = None, **more: Any) -> payments.Money:
        identity = self.world.site.new_id("ch_")
        known = {"gateway": "stripe", "gateway_account_id": "gw_1", "id_at_gateway": identity}
        return payments.Money("card", amount_minor, **{**known, **more})

    def _any_due(self) -> Resource | None:
        return self.luck.choice(self.due()) if self.due() else None

    def pay_by_card(self) -> None:
        """Pay one invoice."""
        if invoice := self._any_due():
            payments.pay_invoice(self.world.site, invoice["id"], self._card())

    def pay_a_part(self) -> None:
        """Pay some of one invoice."""
        if (invoice := self._any_due()) and invoice["amount_due"] > 1:
            amount = self.luck.randint(1, invoice["amount_due"] - 1)
            payments.pay_invoice(self.world.site, invoice["id"], self._card(amount))

    def pay_several(self) -> None:
        """Pay several invoices with one card payment, and perhaps too much."""
        first, *others = self.luck.sample(self.due(), min(3, len(self.due()))) or [self.bill()]
        more = sum(each["amount_due"] for each in others) + self.luck.choice([0, 0, 500])
        _, money = payments.pay_invoice(self.world.site, first["id"], self._card(first["amount_due"] + more))
        for each in others:
            payments.apply_payment(self.world.site, each["id"], money["id"], each["amount_due"])

    def decline(self) -> None:
        """Fail to pay."""
        if invoice := self._any_due():
            payments.pay_invoice(self.world.site, invoice["id"], self._card(status="failure"))

    def debit(self) -> None:
        """Begin a direct debit."""
        if invoice := self._any_due():
            late_money.start_debit(self.world.site, invoice["id"], self._card())

    def end_debit(self) -> None:
        """Learn how a direct debit ended."""
        for each in self.online("in_progress"):
            late_money.end_debit(self.world.site, each["id"], succeeded=self.luck.random() < 0.6)

    def _whole(self) -> list[Resource]:
        """Online payments of which nothing was given back."""
        credited = {link["cn_id"] for each in self.invoices() for link in each["issued_credit_notes"]}
        if credited:
            return []
        return [each for each in self.online() if each["amount_unused"] == 0 and each["currency_code"] == "EUR"]

    def _kept(self) -> list[Resource]:
        """Those of which the bank took nothing back either."""
        taken_back = {each.get("reference_transaction_id") for each in self.money()}
        return [each for each in self._whole() if each["id"] not in taken_back]

    def fail_late(self) -> None:
        """Let a debit fail that had succeeded."""
        if found := self._kept():
            late_money.fail_late(self.world.site, self.luck.choice(found)["id"])

    def take_back(self) -> None:
        """Let the bank take a payment back, for good."""
        found = [each for each in self._kept() if each["linked_invoices"]]
        if found:
            late_money.take_back(self.world.site, self.luck.choice(found)["id"], self._card())

    def _credit(self, reason: str) -> Resource | None:
        paid = [each for each in self.invoices() if each["status"] == "paid" and not each["issued_credit_notes"]]
        paid = [each for each in paid if each["amount_paid"] == each["total"] and each["currency_code"] == "EUR"]
        if not paid:
            return None
        site = self.world.site
        return credit_notes.create_credit_note(site, self.luck.choice(paid)["id"], kind="refundable", reason=reason)

    def refund(self) -> None:
        """Give the money of an invoice back, in whole or in part."""
        if note := self._credit("Product Unsatisfactory"):
            amount = self.luck.choice([note["total"], self.luck.randint(1, note["total"])])
            credit_notes.refund_credit_note(self.world.site, note["id"], self._card(amount))

    def charge_back(self) -> None:
        """Lose a chargeback: Chargebee makes a credit note and a refund of it."""
        if note := self._credit("Chargeback"):
            credit_notes.refund_credit_note(self.world.site, note["id"], self._card())

    def use_credit(self) -> None:
        """Use what is left of a credit note for an invoice."""
        note = next((each for each in self.notes() if each["status"] == "refund_due" and each["amount_available"]), None)
        note = note or self._credit("Order Change")
        if note is not None and (invoice := self._any_due()):
            credit_notes.apply_credit(self.world.site, invoice["id"], note["id"])

    def adjust(self) -> None:
        """Credit an invoice of which nothing was paid."""
        for invoice in self.due():
            if invoice["amount_due"] == invoice["total"]:
                credit_notes.create_credit_note(self.world.site, invoice["id"], kind="adjustment")
                return

    def write_off(self) -> None:
        """Give an invoice up."""
        for invoice in self.due():
            if invoice["amount_due"] == invoice["total"] and self.luck.random() < 0.5:
                credit_notes.write_off_invoice(self.world.site, invoice["id"])
                return

    def use_excess(self) -> None:
        """Apply money that was kept for the customer."""
        kept = [
            each for each in self.money() if each.get("amount_unused") and each["status"] == "success" and not each["deleted"]
        ]
        kept = [each for each in kept if each["currency_code"] == "EUR"]
        if kept and (invoice := self._any_due()):
            payments.apply_payment(self.world.site, invoice["id"], self.luck.choice(kept)["id"])

    def dollars(self) -> None:
        """Invoice and collect in another currency, at another rate."""
        invoice = self.bill("USD")
        whole = invoice["amount_due"]
        amount = self.luck.choice([whole, whole + 1_234, self.luck.randint(1, whole)])
        payments.pay_invoice(self.world.site, invoice["id"], self._card(amount, exchange_rate=self.luck.choice(RATES)))

    def dollars_in_advance(self) -> None:
        """Collect in another currency what nobody was invoiced for yet."""
        money = self._card(self.luck.randint(1_000, 20_000), exchange_rate=self.luck.choice(RATES))
        payments.record_excess_payment(self.world.site, self.customer_id, "USD", money)

    def use_dollars(self) -> None:
        """Apply what is kept in another currency to an invoice of another rate, and collect the rest of it at a third one."""
        if not any(each["amount_unused"] for each in self.online() if each["currency_code"] == "USD"):
            self.dollars_in_advance()
        invoice = self.bill("USD")
        for kept in [each for each in self.online() if each["currency_code"] == "USD" and each["amount_unused"]]:
            if invoice["amount_due"]:
                payments.apply_payment(self.world.site, invoice["id"], kept["id"])
        if invoice["amount_due"]:
            payments.pay_invoice(self.world.site, invoice["id"], self._card(exchange_rate=self.luck.choice(RATES)))

    def dollars_and_credit(self) -> None:
        """Credit an invoice in another currency, and pay the next one by that and in two parts, or the credit out in two."""
        paid, site = self.bill("USD"), self.world.site
        payments.pay_invoice(site, paid["id"], self._card(exchange_rate=self.luck.choice(RATES)))
        note = credit_notes.create_credit_note(site, paid["id"], kind="refundable", reason="Order Change")
        parts = [self.luck.randint(1, note["total"] - 2)]
        if self.luck.random() < 0.5:
            next_one = self.bill("USD")
            if next_one["amount_due"] > note["total"] + 1:
                credit_notes.apply_credit(site, next_one["id"], note["id"])
            parts = [self.luck.randint(1, next_one["amount_due"] - 1)]
            for amount in (*parts, None):
                card = self._card(amount, exchange_rate=self.luck.choice(RATES))
                payments.pay_invoice(site, next_one["id"], card)
        for amount in (*parts, None) if note["amount_available"] > parts[0] else ():
            credit_notes.refund_credit_note(site, note["id"], self._card(amount, exchange_rate=self.luck.choice(RATES)))

    # what comes in at the bank

    async def receive(self, amount_minor: int, text: str, account: str = "1300") -> None:
        body = {"account": self.name} if account == "1300" else {}
        day = self.world.clock.now().date().isoformat()
        known = [row for row in self.world.exact.table("crm/Accounts") if row["Name"] == self.name]
        if account == "1300" and not known:
            return  # nobody can book on an account that is not there yet
        booked = await self.world.writer.server.control(
            "bank-lines",
            division=DIVISION,
            amount_minor=amount_minor,
            description=text,
            gl_account=account,
            date=day,
            **body,
        )
        self.received[booked["line_id"]] = amount_minor
        if booked["matched"]:
            self.unmatched.append(booked)

    async def transfer(self) -> None:
        """Receive exactly what is due on an invoice."""
        if invoice := self._any_due():
            await self.receive(invoice["amount_due"], self.luck.choice([f"factuur {invoice['id']}", "abonnement"]))

    async def transfer_a_part(self) -> None:
        """Receive less than is due."""
        if (invoice := self._any_due()) and invoice["amount_due"] > 100:
            await self.receive(self.luck.randint(50, invoice["amount_due"] - 50), f"deel {invoice['id']}")

    async def transfer_too_much(self) -> None:
        """Receive more than is due."""
        if invoice := self._any_due():
            await self.receive(invoice["amount_due"] + self.luck.randint(1, 2_000), invoice["id"])

    async def transfer_short(self) -> None:
        """Receive a cent or two less, within the tolerance."""
        if (invoice := self._any_due()) and invoice["amount_due"] > 10:
            await self.receive(invoice["amount_due"] - self.luck.randint(1, TOLERANCE_MINOR), invoice["id"])

    async def transfer_for_several(self) -> None:
        """Receive what is due on several invoices at once."""
        chosen = self.luck.sample(self.due(), min(2, len(self.due())))
        if chosen:
            text = " ".join(each["id"] for each in chosen)
            await self.receive(sum(each["amount_due"] for each in chosen), text)

    async def transfer_in_advance(self) -> None:
        """Receive what nobody was invoiced for yet."""
        await self.receive(self.luck.randint(100, 20_000), "voorschot")

    async def transfer_unknown(self) -> None:
        """Receive money on the suspense account, with or without a hint."""
        invoice = self._any_due()
        text = invoice["id"] if invoice and self.luck.random() < 0.5 else "spoedbetaling"
        await self.receive(invoice["amount_due"] if invoice else 777, text, account="1660")

    async def take_money_out(self) -> None:
        """Pay something to the customer by bank, or nothing at all."""
        await self.receive(self.luck.choice([-777, -1_210]), "terugbetaling")

    # what people do

    def unmatch(self) -> None:
        """Take a match back in Exact that it made by itself."""
        if not self.unmatched:
            return
        booked = self.unmatched.pop()
        division = self.world.exact
        for term in [each for each in division.table(receivables.TERMS) if each["EntryNumber"] == booked["entry_number"]]:
            receivables.unmatch(division, term["TransactionEntryID"])

    def nothing(self) -> None:
        """Let a month pass quietly."""

    def payout(self) -> facts.PayoutImported | None:
        """Let the gateway pay out what it has of the customer, less its fees."""
        booked = [
            each
            for each in self.money()
            if each["gateway"] == "stripe" and each["currency_code"] == "EUR" and each["status"] == "success"
        ]
        booked = [each for each in booked if each["id"] not in self.paid_out and self.luck.random() < 0.7]
        if not booked:
            return None
        self._payouts += 1
        made = []
        for each in booked:
            incoming = each["type"] == "payment"
            fee = 25 + each["amount"] // 100 if incoming else 0
            amount = each["amount"] if incoming else -each["amount"]
            kind = "charge" if incoming else "refund"
            made.append({"kind": kind, "ids": [each["id_at_gateway"]], "amount": amount, "fee": fee})
        self.paid_out |= {each["id"] for each in booked}
        fees = sum(each["fee"] for each in made)
        self.paid_out_minor += sum(each["amount"] for each in made)
        payout = {
            "id": f"po_{self.customer_id}_{self._payouts}",
            "currency_code": "EUR",
            "date": int((self.world.clock.now() + timedelta(days=1)).timestamp()),
            "amount": sum(each["amount"] for each in made) - fees,
            "gateway_account_id": "gw_1",
            "fees": fees,
            "lines": made,
        }
        made_fact = shown(facts.PayoutImported, payout)
        assert isinstance(made_fact, facts.PayoutImported)
        return made_fact

    async def look_at_inbox(self) -> None:
        """Decide about some of what is in the inbox: what has a proposal is accepted, the rest kept as excess or left."""
        for line in await self.world.lines(bank_lines.c.state == "open"):
            if line.line_id in self.received and self.luck.random() < 0.6:
                await self._decide(line)

    async def _decide(self, line: Line) -> None:
        world = self.world
        if line.reason in {"no_money", "money_left", "over_recorded", "amount_not_whole", "other_currency"}:
            return
        numbers = list(line.proposals[0].numbers) if line.proposals else []
        if not numbers and line.customer_id != self.customer_id:
            return
        async with world.matcher.transaction() as connection:
            dues = await open_invoices.dues(connection, numbers, SITE)
            try:
                found = [dues[number][0] for number in numbers]
                parts, excess = share_out(line.left_minor or 0, found, TOLERANCE_MINOR)
            except (CannotShareError, IndexError):
                return
            recording = Recording(parts=parts, excess_minor=excess, site=SITE, customer_id=self.customer_id)
            with suppress(PaymentStandsError):  # it says which payment, and that has to be dealt with first
                await decisions.record(world.matcher, connection, line, recording, by="a person", now=world.clock.now())


def cents(amount: Decimal) -> int:
    """Cents of what Exact shows."""
    return int(amount * 100)
