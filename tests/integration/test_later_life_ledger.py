"""The later life of documents through mapper and writer, in the stand-in's own ledger."""

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from support import golden_chargebee, golden_stage

from contracts import facts
from simulators.exact.seed import DEMO_DIVISION

SITE = "site0"
LINES: list[dict[str, Any]] = [
    {"product": "team-EUR", "amount": "100.00", "taxes": [{"rate": 21, "base": "100.00", "tax": "21.00", "country": "NL"}]}
]
INVOICE: dict[str, Any] = {
    "kind": "invoice",
    "number": "INV-46",
    "date": date(2026, 3, 1),
    "due": date(2026, 3, 31),
    "country": "NL",
    "tax": "21.00",
    "total": "121.00",
    "lines": LINES,
}
NOTE = {
    **INVOICE,
    "kind": "credit_note",
    "number": "CN-46",
    "date": date(2026, 9, 1),
    "credits": "INV-46",
    "because": "Write Off",
}


async def balances(chain: golden_stage.Chain) -> dict[str, int]:
    """Sum the whole ledger by account."""
    sums: Counter[str] = Counter()
    for entry in (await chain.exact.ledger(DEMO_DIVISION))["entries"]:
        for line in entry["lines"]:
            sums[line["gl_account"]] += line["amount_minor"]
    return {account: amount for account, amount in sums.items() if amount}


async def test_a_write_off_its_vat_and_a_payment_after_all_stand_in_exacts_ledger(tmp_path: Path):
    async with golden_stage.chain(golden_stage.configured({}, {SITE: {}}), [], tmp_path) as chain:
        await chain.hear(*golden_chargebee.surroundings(SITE, INVOICE))
        await chain.hear(golden_chargebee.document(SITE, INVOICE), golden_chargebee.document(SITE, NOTE))
        assert await balances(chain) == {"8000": -10_000, "1500": -2_100, "4700": 12_100}
        await chain.days_pass(date(2027, 3, 31))
        assert golden_stage.journal(await chain.entry(SITE, "CN-46", "vat_reclaim", "")) == ["D 1500 21.00", "C 4700 21.00"]
        assert await balances(chain) == {"8000": -10_000, "4700": 10_000}
        await chain.hear(golden_chargebee.document(SITE, NOTE, voided_on=date(2027, 5, 3)))
        assert await balances(chain) == {"1300": 12_100, "8000": -10_000, "1500": -2_100}
        assert await chain.refusals() == []


async def test_a_changed_invoice_and_a_number_used_again_stand_in_exacts_ledger_as_in_chargebee(tmp_path: Path):
    changed = {**INVOICE, "tax": "10.50", "total": "60.50", "lines": [{**LINES[0], "amount": "50.00"}]}
    changed["lines"][0]["taxes"] = [{"rate": 21, "base": "50.00", "tax": "10.50", "country": "NL"}]
    async with golden_stage.chain(golden_stage.configured({"changes": "correct"}, {SITE: {}}), [], tmp_path) as chain:
        await chain.hear(*golden_chargebee.surroundings(SITE, INVOICE), golden_chargebee.document(SITE, INVOICE))
        await chain.hear(later(changed, 2))
        assert await balances(chain) == {"1300": 6_050, "8000": -5_000, "1500": -1_050}
        await chain.hear(later(changed, 3, deleted=True))
        assert await balances(chain) == {}
        await chain.hear(later(INVOICE, 4))
        assert await balances(chain) == {"1300": 12_100, "8000": -10_000, "1500": -2_100}
        references = [each.your_ref for each in await chain.posted()]
        assert references == ["INV-46", "INV-46/R", "INV-46/2", "INV-46/R2", "INV-46#2"]


def later(data: dict[str, Any], version: int, **more: Any) -> facts.Observed:
    """Return a later version of an invoice."""
    fact = golden_chargebee.document(SITE, data)
    assert isinstance(fact, facts.InvoiceObserved)
    resource = msgspec.structs.replace(fact.resource, **more)
    return msgspec.structs.replace(fact, resource_version=version, event_id=f"ev_later_{version}", resource=resource)
