"""All kinds of documents, every two of their properties together: booked to the cent, or held with a reason that is true."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from support import kinds
from support.engines import database_for
from support.facts import envelope, observed
from support.mapper_stage import Stage, posted

from backbone.configuration import Configuration
from contracts import commands, facts

SITE = "kinds"
CONFIGURATION = Configuration.model_validate(
    {
        "version": 1,
        "sites": {SITE: {"time_zone": "Europe/Amsterdam", "division": 100001, "business_entities": {"BE-1": 100001}}},
        "divisions": {
            100001: {
                "name": "Test",
                "journals": {"invoices": "70", "credit_notes": "71", "payments": "90", "write_offs": "95"},
                "receivable_account": "1300",
                "rounding": {"account": "4900", "vat_code": "N"},
                "exchange_differences": {"account": "4910"},
                "write_offs": {"account": "4700", "vat_code": "N"},
                "revenue": [
                    *({"when": {"item_price": f"{name}-EUR"}, "account": "8000"} for name in ("plan", "addon", "charge")),
                    *({"when": {"item_price": f"old-{name}"}, "account": "8000"} for name in ("plan", "addon")),
                    {"when": {"type": "plan_setup"}, "account": "8020"},
                    {"when": {"type": "adhoc"}, "account": "8020"},
                ],
                "vat": [
                    {"when": {"country": "NL", "rate": 21}, "code": "2"},
                    {"when": {"country": "NL", "rate": 9}, "code": "1"},
                    {"when": {"country": "DE", "rate": 19}, "code": "DE"},
                    {"when": {"country": "EU", "rate": 0, "reason": "reverse_charge"}, "code": "7"},
                    {"when": {"country": "NL", "rate": 0, "reason": "product_exempt"}, "code": "00"},
                    {"when": {"country": "NL", "rate": 0, "reason": "tax_not_configured"}, "code": "N"},
                ],
                "control_accounts": [{"account": "1290"}],
            }
        },
    }
)
# What hangs on a document is a document of its own, with tests of its own.
OF_THEIR_OWN = frozenset(("vat_reclaim", "tax_withheld", "exchange_difference", "application"))
LATER = "a_later_release_has_it"
Outcome = commands.PostEntry | facts.DocumentHeld | facts.DocumentSetAside


@pytest.fixture
async def stage(tmp_path: Path):
    async with database_for("sqlite", tmp_path, "mapper", one_at_a_time=True) as database:
        made = Stage(database, CONFIGURATION)
        customer = {
            "id": "CUST1",
            "company": "Voorbeeld B.V.",
            "vat_number": "NL123456782B01",
            "billing_address": {"country": "NL"},
        }
        known = [observed(facts.CustomerObserved, customer, site=SITE)]
        for name in ("plan", "addon", "charge", "unmapped"):
            price = {"id": f"{name}-EUR", "item_id": name, "item_family_id": "all"}
            known.append(observed(facts.ItemPriceObserved, price, site=SITE))
        known.append(observed(facts.PlanObserved, {"id": "old-plan"}, site=SITE))
        known.append(observed(facts.AddonObserved, {"id": "old-addon"}, site=SITE))
        await tell(made, known)
        yield made


async def tell(stage: Stage, said: list[facts.Observed]) -> None:
    async with stage.database.transaction() as connection:
        for fact in said:
            await stage.mapper.handle_alone(connection, envelope(fact), fact)


async def outcomes(stage: Stage) -> dict[str, list[Outcome]]:
    """What became of each document; of a hold that was told again only the last."""
    found: dict[str, list[Outcome]] = defaultdict(list)
    for message in await stage.said(commands.PostEntry, facts.DocumentHeld, facts.DocumentSetAside):
        if message.document.kind not in OF_THEIR_OWN:
            found[message.document.number].append(message)
    return found


async def judge(stage: Stage, resources: dict[str, dict[str, Any]], reasons: dict[str, set[str]], sign: int = 1) -> None:
    """Every document has an entry that balances, or one of the reasons that are true of it."""
    found, wrong = await outcomes(stage), {}
    for number, resource in resources.items():
        said = found[number]
        entries = [each for each in said if isinstance(each, commands.PostEntry) and not each.document.suffix]
        codes = {each.code for each in said if not isinstance(each, commands.PostEntry)}
        if reasons[number]:
            if entries or len(codes) != 1 or not codes <= reasons[number]:
                wrong[number] = f"must be held or set aside for {reasons[number]}: {len(entries)} entries, {codes}"
        elif len(entries) != 1 or codes:
            wrong[number] = f"must be booked once: {len(entries)} entries, {codes}"
        elif faults := faults_of(entries[0], resource, sign):
            wrong[number] = faults
    assert not wrong, wrong


def faults_of(entry: commands.PostEntry, resource: dict[str, Any], sign: int) -> str | None:
    """The entry has the document's total and its VAT, in its currency and at its rate; money balances."""
    amounts = sum(line.amount_minor for line in entry.lines)
    vat = sum(line.vat_amount_minor or 0 for line in entry.lines)
    if entry.kind == "general":
        total = sum(line.amount_minor for line in entry.lines if line.amount_minor > 0)
        return None if (amounts + vat, total) == (0, resource.get("total", resource.get("amount"))) else f"{amounts} {total}"
    rate = None if resource["currency_code"] == "EUR" else kinds.RATE
    wanted = (sign * resource["total"], sign * resource["tax"], resource["currency_code"], rate)
    made = (amounts + vat, vat, entry.currency, str(entry.exchange_rate) if entry.exchange_rate is not None else None)
    return None if made == wanted else f"booked {made}, wanted {wanted}"


async def test_every_kind_of_invoice(stage: Stage):
    rows = {f"INV-{number}": row for number, row in enumerate(kinds.rows(kinds.INVOICES))}
    resources = {number: kinds.invoice(row, number) for number, row in rows.items()}
    await tell(stage, [observed(facts.InvoiceObserved, resource, site=SITE) for resource in resources.values()])
    await judge(stage, resources, {number: reasons_of_invoice(row, resources[number]) for number, row in rows.items()})


def reasons_of_invoice(row: dict[str, Any], resource: dict[str, Any]) -> set[str]:
    """Return every reason why the invoice of a row is not to be booked."""
    true_of_it = {
        "pending": row["status"] == "pending",
        "unknown_status": row["status"] == LATER,
        "unknown_business_entity": row["entity"] == "BE-unknown",
        "incomplete_lines": row["further"] == "cut_off",
        "no_revenue_account": row["product"] == "unmapped" and not nothing_left(resource),
        "no_vat_code": row["tax"] == "a_rate_without_code" and not nothing_left(resource),
        "no_exchange_rate": row["currency"] == "USD_without_rate",
        "zero_total": nothing_left(resource),
    }
    return {reason for reason, is_true in true_of_it.items() if is_true}


def nothing_left(resource: dict[str, Any]) -> bool:
    """Whether every line was given away."""
    left = {line["id"]: line["amount"] for line in resource["line_items"]}
    for discount in resource["line_item_discounts"]:
        left[discount["line_item_id"]] -= discount["discount_amount"]
    return not any(left.values())


async def test_every_kind_of_credit_note(stage: Stage):
    rows = {f"CN-{number}": row for number, row in enumerate(kinds.rows(kinds.CREDIT_NOTES))}
    resources = {number: kinds.credit_note(row, number, f"for-{number}") for number, row in rows.items()}
    plain = {"origin": "recurring", "status": "paid", "product": "plan", "pricing": "flat", "discount": "none"}
    for number, row in rows.items():
        if row["refers"] in ("whole", "part"):
            kind = {**plain, "further": "none", "entity": None, "tax": row["tax"], "currency": row["currency"]}
            note = resources[number]
            listed = {"cn_id": number, "cn_date": note["date"], "cn_total": note["total"], "cn_status": note["status"]}
            where = "adjustment_credit_notes" if row["type"] == "adjustment" else "issued_credit_notes"
            invoice = {**kinds.invoice(kind, f"for-{number}"), where: [listed]}  # as Chargebee shows it once the note is made
            await tell(stage, [observed(facts.InvoiceObserved, invoice, site=SITE)])
    await stage.post_all()
    await tell(stage, [observed(facts.CreditNoteObserved, resource, site=SITE) for resource in resources.values()])
    await judge(stage, resources, {number: reasons_of_note(row) for number, row in rows.items()}, sign=-1)


def reasons_of_note(row: dict[str, Any]) -> set[str]:
    true_of_it = {
        "unknown_status": row["status"] == LATER,
        "waiting_for_invoice": row["refers"] == "unknown" and row["reason"] != "write_off",
        "no_exchange_rate": row["currency"] == "USD_without_rate",
        # A credit note is booked at the rate of its invoice, which could not be booked without one.
        "waiting_for_booked_invoice": row["currency"] == "USD_without_rate" and row["refers"] in ("whole", "part"),
    }
    return {reason for reason, is_true in true_of_it.items() if is_true}


async def test_every_kind_of_transaction(stage: Stage):
    rows = {f"TXN-{number}": row for number, row in enumerate(kinds.rows(kinds.TRANSACTIONS))}
    resources = {number: kinds.transaction(row, number) for number, row in rows.items()}
    paid = {"origin": "recurring", "status": "paid", "product": "plan", "pricing": "flat", "discount": "none", "further": "none"}
    invoice = kinds.invoice({**paid, "entity": None, "tax": "none", "currency": "USD"}, "paid") | {"id": "INV-paid"}
    row = {"type": "refundable", "status": "refunded", "reason": None, "refers": "alone", "allocated": "not", "fractional": False}
    note = kinds.credit_note({**row, "tax": "none", "currency": "USD"}, "0", "") | {"id": "CN-refunded"}
    settled = [observed(facts.InvoiceObserved, invoice, site=SITE), observed(facts.CreditNoteObserved, note, site=SITE)]
    await tell(stage, settled)
    await tell(stage, [observed(facts.TransactionObserved, resource, site=SITE) for resource in resources.values()])
    await judge(stage, resources, {number: reasons_of_money(row) for number, row in rows.items()})


def reasons_of_money(row: dict[str, Any]) -> set[str]:
    true_of_it = {
        "authorization": row["type"] == "authorization",
        "unknown_status": LATER in (row["type"], row["status"]),
        "offline_payment": row["gateway"] in ("not_applicable", None),
        "payment_failed": row["status"] in ("voided", "failure", "timeout", "late_failure"),
        "payment_in_progress": row["status"] in ("in_progress", "needs_attention"),
        "no_exchange_rate": row["currency"] == "USD_without_rate",
    }
    return {reason for reason, is_true in true_of_it.items() if is_true}


async def test_a_voided_invoice_of_every_kind_comes_to_nothing(stage: Stage):
    """The entry of a voided document and its reversal cancel on every account."""
    rows = {f"INV-{number}": {**row, "status": "voided"} for number, row in enumerate(kinds.rows(kinds.INVOICES))}
    resources = {number: kinds.invoice(row, number) for number, row in rows.items()}
    await tell(stage, [observed(facts.InvoiceObserved, resource, site=SITE) for resource in resources.values()])
    for entry in await stage.entries():
        await stage.hear(posted(entry))
    sums: dict[tuple[str, str], int] = defaultdict(int)
    kinds_of_entries = defaultdict(set)
    for entry in [each for each in await stage.entries() if each.document.kind not in OF_THEIR_OWN]:
        kinds_of_entries[entry.document.number].add(entry.document.suffix)
        for line in entry.lines:
            sums[entry.document.number, line.gl_account] += line.amount_minor + (line.vat_amount_minor or 0)
    assert all(suffixes == {"", "R"} for suffixes in kinds_of_entries.values()), kinds_of_entries
    assert kinds_of_entries
    assert not any(sums.values())
