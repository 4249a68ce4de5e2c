"""Sales invoices of items in the Exact stand-in: a draft, then final; what is refused, and what is not known."""

from __future__ import annotations

from typing import Any

import pytest
from support.exact_simulator import ExactClient, exact, message


async def item(client: ExactClient, code: str = "8000-Team", **more: Any) -> str:
    """An item that can be sold."""
    body = {"Code": code, "Description": code, "IsSalesItem": True, "GLRevenue": await client.gl("8000"), **more}
    answer = await client.post("logistics/Items", body, Prefer="return=representation")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["d"]["ID"])


async def draft(client: ExactClient, *lines: dict[str, Any], **more: Any) -> Any:
    """A draft for a new customer."""
    body = {"OrderedBy": await client.customer(), "Journal": "70", "YourRef": "INV-1", "SalesInvoiceLines": list(lines), **more}
    return await client.post("salesinvoice/SalesInvoices", body, Prefer="return=representation")


async def test_a_draft_books_nothing_until_it_is_printed_and_then_cannot_change():
    async with exact() as client:
        line = {"Item": await item(client), "NetPrice": 100, "VATCode": "2"}
        invoice = (await draft(client, line)).json()["d"]
        assert (invoice["Status"], invoice["AmountFC"], invoice["InvoiceNumber"]) == (20, 121, None)
        assert (await client.ledger())["entries"] == []
        final = {"InvoiceID": invoice["InvoiceID"], "InvoiceDate": "2026-03-02"}
        assert (await client.post("salesinvoice/PrintedSalesInvoices", final)).status_code == 201
        (entry,) = (await client.ledger())["entries"]
        assert (entry["entry_id"], entry["your_ref"], entry["date"]) == (invoice["InvoiceID"], "INV-1", "2026-03-02")
        assert message(await client.post("salesinvoice/PrintedSalesInvoices", final)) == "Reeds verwerkt"
        path = f"salesinvoice/SalesInvoices(guid'{invoice['InvoiceID']}')"
        assert message(await client.delete(path)) == "Reeds verwerkt"
        assert message(await client.put(path, {"Description": "x"})) == "Reeds verwerkt"


async def test_a_draft_can_be_taken_away():
    async with exact() as client:
        invoice = (await draft(client, {"Item": await item(client), "NetPrice": 100})).json()["d"]
        assert (await client.delete(f"salesinvoice/SalesInvoices(guid'{invoice['InvoiceID']}')")).status_code == 204
        assert await client.rows("salesinvoice/SalesInvoices") == []


async def test_what_a_draft_may_not_hold():
    async with exact() as client:
        sold = await item(client)
        assert "Artikel" in message(await draft(client, {"NetPrice": 100}))
        assert message(await draft(client, {"Item": sold, "NetPrice": -100})) == "Ongeldig: Prijs"
        assert message(await draft(client, {"Item": sold, "NetPrice": 1}, Type=8023)) == "Ongeldig: Type"
        assert message(await draft(client, {"Item": sold, "NetPrice": 1}, Type=8021)) == "Ongeldig: Bedrag"
        assert (await draft(client, {"Item": sold, "Quantity": -1, "NetPrice": 1}, Type=8021)).status_code == 201
        assert "Regels" in message(await draft(client))


async def test_an_item_has_one_code_and_needs_a_description():
    async with exact() as client:
        await item(client)
        body = {"Code": "8000-Team", "Description": "again"}
        assert message(await client.post("logistics/Items", body)) == "Gegeven bestaat reeds."
        assert "Omschrijving" in message(await client.post("logistics/Items", {"Code": "x"}))


@pytest.mark.parametrize(("switch", "total"), [("given", "120.99"), ("computed", "121")])
async def test_whether_the_vat_of_a_line_is_taken_is_a_switch(switch: Any, total: str):
    async with exact(invoice_vat=switch) as client:
        line = {"Item": await item(client), "NetPrice": 100, "VATCode": "2", "VATAmountFC": 20.99}
        assert str((await draft(client, line)).json()["d"]["AmountFC"]).removesuffix(".0") == total


@pytest.mark.parametrize(("switch", "account"), [("given", "8010"), ("item", "8000")])
async def test_whether_the_ledger_account_of_a_line_is_taken_is_a_switch(switch: Any, account: str):
    async with exact(invoice_gl_account=switch) as client:
        line = {"Item": await item(client), "NetPrice": 100, "GLAccount": await client.gl("8010")}
        invoice = (await draft(client, line)).json()["d"]
        await client.post("salesinvoice/PrintedSalesInvoices", {"InvoiceID": invoice["InvoiceID"]})
        assert account in (await client.ledger())["balances_minor"]
