"""Chargebee's own Python SDK talks to the stand-in as it does to Chargebee."""

import asyncio

import pytest
from chargebee import Chargebee
from chargebee.api_error import InvalidRequestError
from support.chargebee_shop import bill, stock
from support.chargebee_sim import running_chargebee


def _client(url: str) -> Chargebee:
    Chargebee.verify_ca_certs = False  # with certificates to check, the SDK insists on https
    client = Chargebee(api_key="test_key", site="acme-test")
    client.env.api_endpoint = f"{url}/api/v2"
    client.env.protocol = "http"
    return client


def _conversation(client: Chargebee, number: str) -> None:
    listed = client.Invoice.list({"limit": 1, "status": {"in": ["posted", "paid"]}, "sort_by": {"asc": "date"}})
    invoice = listed.list[0].invoice
    assert (invoice.id, invoice.total, invoice.tax, invoice.amount_due) == (number, 12_100, 2_100, 12_100)
    assert invoice.line_item_taxes[0].tax_juris_code == "NL"

    params = {"transaction": {"payment_method": "bank_transfer", "date": 1_790_000_000, "reference_number": "R1"}}
    headers = {"chargebee-idempotency-key": "sdk-1"}
    paid = client.Invoice.record_payment(number, params, headers)
    assert (paid.invoice.status, paid.is_idempotency_replayed) == ("paid", False)
    again = client.Invoice.record_payment(number, params, headers)
    assert (again.transaction.id, again.is_idempotency_replayed) == (paid.transaction.id, True)
    with pytest.raises(InvalidRequestError) as refused:
        client.Invoice.record_payment(number, params)
    assert (refused.value.http_status_code, refused.value.api_error_code) == (409, "invalid_state_for_request")

    found = client.Transaction.list({"reference_number": {"is": "R1"}, "customer_id": {"is": "cust-1"}})
    assert [row.transaction.id for row in found.list] == [paid.transaction.id]
    window = {"between": [1_700_000_000, 1_900_000_000]}
    events = client.Event.list({"limit": 100, "sort_by": {"asc": "occurred_at"}, "occurred_at": window})
    assert [row.event.event_type for row in events.list][-3:] == [
        "invoice_generated",
        "payment_succeeded",
        "invoice_updated",
    ]
    assert client.ItemPrice.retrieve("Plan-EUR-Monthly").item_price.item_id == "plan"
    assert client.Invoice.pdf(number).download.download_url.endswith(f"{number}.pdf")


async def test_the_official_sdk_reads_and_writes():
    async with running_chargebee() as running:
        number = bill(stock(running.app))["id"]
        await asyncio.to_thread(_conversation, _client(running.url), number)
