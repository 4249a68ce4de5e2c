"""Lives of documents made up from a seed: sales are credited, voided, changed and paid, while Exact posts and months close."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from support.facts import observed
from support.mapper_stage import Stage, posted
from support.months import DIVISION, DIVISION_SECTION, make_invoice
from support.partial_notes import make_note

from contracts import facts

DAY = 86_400
SITE = "lives"
JOURNALS = {"invoices": "70", "credit_notes": "71", "payments": "90", "write_offs": "95", "ledger": "91", "settlements": "91"}
FACTS: dict[str, type[facts.Observed]] = {
    "customer": facts.CustomerObserved,
    "invoice": facts.InvoiceObserved,
    "credit_note": facts.CreditNoteObserved,
    "transaction": facts.TransactionObserved,
}
Step = Callable[[Stage], Awaitable[None]]
BEGIN = date(2026, 1, 1)  # as the clock of a stage stands
END = date(2028, 12, 31)
OVER = date(2029, 1, 1)


def section(seed: int) -> dict[str, Any]:
    """The rules of a division, of which every seed has others."""
    luck = random.Random(f"rules {seed}")
    rules: dict[str, Any] = {
        **DIVISION_SECTION,
        "journals": JOURNALS,
        "write_offs": {"account": "4700"},
        "withheld_taxes": {"account": "1530"},
        "deferral": {"account": "1650", "schedule": luck.choice(["per_period", "per_day"])},
        "mode": luck.choice(["entry", "entry", "document", "ledger"]),
        "payments": luck.choice(["each", "each", "daily"]),
        "changes": luck.choice(["correct", "hold"]),
        "exchange_rates": {"policy": luck.choice(["chargebee", "chargebee", "exact"])},
        "period_policy": "move",
    }
    if luck.random() < 0.4:
        rules["discounts"] = {"posting": "gross", "rules": [{"account": "8090"}]}
    return rules


class Life:
    """What happens, step by step; what Chargebee shows of each document is its newest state.

    `names` says what happened, for one who reads of a failure. `_left` is what the lines of each invoice have left to credit:
    amount, tax and discount.
    """

    def __init__(self, seed: int, happenings: int = 14, *, closes: bool = True) -> None:
        self.luck = random.Random(f"life {seed}")
        self.steps: list[Step] = []
        self.names: list[str] = []
        self._versions: dict[tuple[str, str], int] = {}
        self._invoices: list[dict[str, Any]] = []
        self._notes: list[dict[str, Any]] = []
        self._paid: list[dict[str, Any]] = []
        self._left: dict[str, list[list[int]]] = {}
        self._numbers = 0
        self._closed = BEGIN
        if closes:
            self._periods(END, is_open=True)
        for name in ("C", "D"):
            self._show("customer", {"id": name, "company": f"Klant {name}", "billing_address": {"country": "NL"}})
        chances = [self.sell] * 3 + [self.credit] * 5 + [self.pay, self.pay, self.refund, self.void, self.void_note, self.change]
        chances += [self.delete, self.delete_note, self.withhold, self.post, self.post, self.apply]
        chances += [self.close] if closes else []
        self.sell()
        for _ in range(happenings):
            chosen = self.luck.choice(chances)
            chosen()
            if self.luck.random() < 0.3:
                self.post()

    async def play(self, stage: Stage) -> None:
        """Let a mapper hear all of it, and Exact post everything in the end."""
        for step in self.steps:
            await step(stage)
        await self.end(stage)

    async def end(self, stage: Stage) -> None:
        await _post_all(stage)
        await stage.days_pass(OVER)
        await _post_all(stage)

    def sell(self) -> None:
        self._numbers += 1
        invoice = make_invoice(self.luck, f"INV-{self._numbers}")
        invoice["customer_id"] = self.luck.choice("CD")
        invoice["status"] = "payment_due"
        invoice["due_date"] = invoice["date"] + 14 * DAY
        if self.luck.random() < 0.2:
            for line in invoice["line_items"]:
                line["description"] = "Een heel lange omschrijving van een dienst die langer is dan Exact neemt " * 2
        self._invoices.append(invoice)
        rows = invoice["line_item_discounts"]
        given = {row["line_item_id"]: row["discount_amount"] for row in rows}
        self._left[invoice["id"]] = [
            [line["amount"], line["tax_amount"], given.get(line["id"], 0)] for line in invoice["line_items"]
        ]
        self._show("invoice", invoice)

    def credit(self) -> None:
        open_ones = [each for each in self._invoices if self._creditable(each)]
        if not open_ones:
            return
        invoice = self.luck.choice(open_ones)
        note = self._note_of(invoice)
        if note is None:
            return
        self._notes.append(note)
        self._listed(invoice, note)
        if self.luck.random() < 0.5:
            self._show("invoice", invoice)
            self._show("credit_note", note)
        else:
            self._show("credit_note", note)
            self._show("invoice", invoice)

    def void_note(self) -> None:
        standing = [each for each in self._notes if each["status"] != "voided" and not each.get("deleted")]
        if standing:
            note = self.luck.choice(standing)
            note |= {"status": "voided", "voided_at": note["date"] + self.luck.randint(1, 90) * DAY}
            self._give_back(note)
            invoice = self._invoice_of(note)
            for name in ("adjustment_credit_notes", "issued_credit_notes"):
                for each in invoice.get(name, ()):
                    if each["cn_id"] == note["id"]:
                        each["cn_status"] = "voided"
            self._show("credit_note", note)
            self._show("invoice", invoice)

    def delete_note(self) -> None:
        standing = [each for each in self._notes if each["status"] != "voided" and not each.get("deleted")]
        if standing and self.luck.random() < 0.4:
            note = self.luck.choice(standing)
            note |= {"deleted": True, "updated_at": note["date"] + self.luck.randint(1, 90) * DAY}
            self._give_back(note)
            invoice = self._invoice_of(note)
            for name in ("adjustment_credit_notes", "issued_credit_notes"):
                invoice[name] = [each for each in invoice.get(name, ()) if each["cn_id"] != note["id"]]
            self._show("credit_note", note)
            self._show("invoice", invoice)

    def void(self) -> None:
        fresh = [each for each in self._invoices if self._is_untouched(each)]
        if fresh and self.luck.random() < 0.6:
            invoice = self.luck.choice(fresh)
            invoice |= {"status": "voided", "voided_at": invoice["date"] + self.luck.randint(1, 120) * DAY}
            self._show("invoice", invoice)

    def delete(self) -> None:
        alive = [each for each in self._invoices if each["status"] != "voided" and not each.get("deleted")]
        if alive and self.luck.random() < 0.4:
            invoice = self.luck.choice(alive)
            on = max([invoice["date"], *(each["date"] for each in self._notes if each["reference_invoice_id"] == invoice["id"])])
            gone = on + self.luck.randint(1, 120) * DAY
            for note in self._notes:
                if note["reference_invoice_id"] == invoice["id"] and not note.get("deleted") and note["status"] != "voided":
                    note |= {"deleted": True, "updated_at": gone}
                    self._show("credit_note", note)
            invoice |= {"deleted": True, "updated_at": gone}
            self._show("invoice", invoice)

    def change(self) -> None:
        fresh = [each for each in self._invoices if self._is_untouched(each)]
        if fresh:
            old = self.luck.choice(fresh)
            new = make_invoice(self.luck, old["id"])
            kept = {name: old[name] for name in ("customer_id", "status", "currency_code", "exchange_rate", "date", "due_date")}
            if (kept["currency_code"] == "JPY") != (new["currency_code"] == "JPY"):
                return
            old.clear()
            old |= {**new, **kept, "updated_at": kept["date"] + self.luck.randint(1, 60) * DAY}
            rows = {row["line_item_id"]: row["discount_amount"] for row in old["line_item_discounts"]}
            self._left[old["id"]] = [[line["amount"], line["tax_amount"], rows.get(line["id"], 0)] for line in old["line_items"]]
            self._show("invoice", old)

    def pay(self) -> None:
        owed = [each for each in self._invoices if each["status"] != "voided" and not each.get("deleted") and each["total"] > 0]
        if owed:
            invoice = self.luck.choice(owed)
            amount = self.luck.choice([invoice["total"], self.luck.randint(1, invoice["total"])])
            linked = [{"invoice_id": invoice["id"], "applied_amount": amount}] if self.luck.random() < 0.7 else []
            self._money("payment", invoice, amount, {"linked_invoices": linked})

    def apply(self) -> None:
        """Apply money that came in to another invoice, or take it off the one that it was applied to."""
        incoming = [each for each in self._paid if each["type"] == "payment"]
        if not incoming:
            return
        money = self.luck.choice(incoming)
        fitting = [each for each in self._invoices if each["currency_code"] == money["currency_code"] and each["total"] > 0]
        was_applied, money["linked_invoices"] = bool(money["linked_invoices"]), []
        if fitting and not (was_applied and self.luck.random() < 0.5):
            invoice = self.luck.choice(fitting)
            amount = min(money["amount"], invoice["total"])
            money["linked_invoices"] = [{"invoice_id": invoice["id"], "applied_amount": amount}]
        self._show("transaction", money)

    def refund(self) -> None:
        notes = [each for each in self._notes if each["type"] == "refundable" and not each.get("deleted") and each["total"] > 0]
        if notes and self.luck.random() < 0.6:
            note = self.luck.choice(notes)
            linked = {"linked_credit_notes": [{"cn_id": note["id"], "applied_amount": note["total"]}]}
            self._money("refund", note, note["total"], linked)

    def withhold(self) -> None:
        fresh = [each for each in self._invoices if self._is_untouched(each) and each["total"] > 100]
        if fresh and self.luck.random() < 0.5:
            invoice = self.luck.choice(fresh)
            tax = {"id": f"wh-{invoice['id']}", "amount": 50, "date": invoice["date"] + 5 * DAY}
            invoice["linked_taxes_withheld"] = [] if invoice.get("linked_taxes_withheld") else [tax]
            invoice["updated_at"] = invoice["date"] + 9 * DAY
            self._show("invoice", invoice)

    def post(self) -> None:
        """Exact takes what is under way."""
        self.names.append("post")
        self.steps.append(_post_all)

    def close(self) -> None:
        """A bookkeeper closes a few months more."""
        until = self._closed
        for _ in range(self.luck.randint(1, 3)):
            until = (until + timedelta(days=32)).replace(day=1)
        if until < date(2027, 1, 1):
            self._periods(until, is_open=False)
            self._closed = until

    def _money(self, kind: str, of: dict[str, Any], amount: int, links: dict[str, Any]) -> None:
        self._numbers += 1
        money = {
            "id": f"TX-{self._numbers}",
            "customer_id": of["customer_id"],
            "type": kind,
            "status": "success",
            "date": of["date"] + self.luck.randint(0, 40) * DAY,
            "amount": amount,
            "gateway": "stripe",
            "gateway_account_id": "gw_1",
            **links,
            **{name: of[name] for name in ("currency_code", "base_currency_code")},
            "exchange_rate": self.luck.choice(["0.9217", "0.9413"]),
        }
        self._paid.append(money)
        self._show("transaction", money)

    def _periods(self, until: date, *, is_open: bool) -> None:
        """Exact tells of every journal's months from the first that was open before `until`."""
        first = self._closed
        told: list[facts.PeriodObserved] = []
        while first < until:
            ends = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
            shared: dict[str, Any] = {
                "division": DIVISION,
                "year": first.year,
                "period": first.month,
                "starts": first,
                "ends": ends,
            }
            told += [
                facts.PeriodObserved(journal=each, **shared, is_open=is_open, known_until=END)
                for each in sorted({*JOURNALS.values()})
            ]
            first = ends + timedelta(days=1)
        self.names.append(f"until {until} open: {is_open}")

        async def tell(stage: Stage) -> None:
            await stage.hear_at_once(*told)

        self.steps.append(tell)

    def _show(self, kind: str, resource: dict[str, Any]) -> None:
        key = kind, resource["id"]
        self._versions[key] = version = self._versions.get(key, 0) + 1
        fact = observed(FACTS[kind], dict(resource), version, site=SITE, deleted=bool(resource.get("deleted")))
        self.names.append(
            f"{kind} {resource['id']} v{version} {resource.get('status')} {'deleted' if resource.get('deleted') else ''}"
        )

        async def hear(stage: Stage) -> None:
            await stage.hear(fact)

        self.steps.append(hear)

    def _creditable(self, invoice: dict[str, Any]) -> bool:
        alive = invoice["status"] != "voided" and not invoice.get("deleted") and invoice["total"] > 0
        return alive and any(amount > 0 for amount, *_ in self._left[invoice["id"]])

    def _is_untouched(self, invoice: dict[str, Any]) -> bool:
        credited = any(each["reference_invoice_id"] == invoice["id"] for each in self._notes)
        return invoice["status"] != "voided" and not invoice.get("deleted") and not credited

    def _invoice_of(self, note: dict[str, Any]) -> dict[str, Any]:
        return next(each for each in self._invoices if each["id"] == note["reference_invoice_id"])

    def _note_of(self, invoice: dict[str, Any]) -> dict[str, Any] | None:
        self._numbers += 1
        is_first = not any(each["reference_invoice_id"] == invoice["id"] for each in self._notes)
        return make_note(self.luck, f"CN-{self._numbers}", invoice, self._left[invoice["id"]], is_first=is_first)

    def _give_back(self, note: dict[str, Any]) -> None:
        for rest, part in zip(self._left[note["reference_invoice_id"]], note["_taken"], strict=True):
            rest[:] = [one + other for one, other in zip(rest, part, strict=True)]

    @staticmethod
    def _listed(invoice: dict[str, Any], note: dict[str, Any]) -> None:
        row = {"cn_id": note["id"], "cn_date": note["date"], "cn_total": note["total"], "cn_status": note["status"]}
        name = "adjustment_credit_notes" if note["type"] == "adjustment" else "issued_credit_notes"
        invoice[name] = [*invoice.get(name, ()), row]


async def _post_all(stage: Stage) -> None:
    """Let Exact take all that is under way, at a rate of its own where it got none."""
    while fresh := [each for each in await stage.entries() if each.command_id not in stage.posted]:
        for entry in fresh:
            stage.posted.add(entry.command_id)
            rate = {} if entry.currency == "EUR" else {"exchange_rate": entry.exchange_rate or Decimal("0.9333")}
            await stage.hear(posted(entry, **rate))
