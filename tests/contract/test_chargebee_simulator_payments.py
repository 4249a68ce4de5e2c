"""Recording money in the Chargebee stand-in: states, refusals, idempotency keys and lost answers."""

import httpx
import pytest
from support.chargebee_shop import bill, calling, event_types, shop, stock
from support.chargebee_sim import running_chargebee

from simulators.chargebee import invoices

CASH = {"transaction[payment_method]": "bank_transfer", "transaction[date]": "1790000000"}


async def _record(client: httpx.AsyncClient, number: str, *, key: str | None = None, **members: str) -> httpx.Response:
    headers = {"chargebee-idempotency-key": key} if key else {}
    return await client.post(f"/invoices/{number}/record_payment", data={**CASH, **members}, headers=headers)


async def test_a_partial_payment_keeps_the_status_and_the_last_one_pays():
    app = shop()
    number = bill(app)["id"]
    async with calling(app) as client:
        first = (await _record(client, number, **{"transaction[amount]": "2100"})).json()
        assert (first["invoice"]["status"], first["invoice"]["amount_due"]) == ("posted", 10_000)
        assert first["transaction"]["gateway"] == "not_applicable"
        second = (await _record(client, number)).json()
    assert second["transaction"]["amount"] == 10_000
    assert (second["invoice"]["status"], second["invoice"]["amount_due"]) == ("paid", 0)
    assert second["invoice"]["paid_at"] == 1_790_000_000
    assert first["transaction"]["resource_version"] < first["invoice"]["resource_version"]


@pytest.mark.parametrize("paid", [0, 12_099])
async def test_a_write_off_is_an_adjustment_of_what_is_due_and_the_invoice_is_paid(paid: int):
    app = shop()
    invoice = bill(app)
    async with calling(app) as client:
        if paid:
            await _record(client, invoice["id"], **{"transaction[amount]": str(paid)})
        answer = (await client.post(f"/invoices/{invoice['id']}/write_off", data={"comment": "a cent"})).json()
        again = await client.post(f"/invoices/{invoice['id']}/write_off")
    assert (answer["invoice"]["status"], answer["invoice"]["write_off_amount"]) == ("paid", 12_100 - paid)
    note = answer["credit_note"]
    assert (note["total"], note["type"], note["create_reason_code"]) == (12_100 - paid, "adjustment", "write_off")
    assert (again.status_code, again.json()["api_error_code"]) == (409, "invalid_state_for_request")


async def test_a_write_off_that_is_voided_leaves_its_invoice_due_again():
    app = shop()
    invoice = bill(app)
    async with calling(app) as client:
        note = (await client.post(f"/invoices/{invoice['id']}/write_off")).json()["credit_note"]
        seen = len(app.site.events)
        voided = (await client.post(f"/credit_notes/{note['id']}/void")).json()["credit_note"]
        again = await client.post(f"/credit_notes/{note['id']}/void")
    assert (voided["status"], again.status_code) == ("voided", 409)
    assert [invoice[each] for each in ("status", "amount_due", "amount_adjusted", "write_off_amount")] == [
        "not_paid",
        12_100,
        0,
        0,
    ]
    assert event_types(app, seen) == ["invoice_updated", "credit_note_updated"]


@pytest.mark.parametrize("state", ["paid", "voided", "pending"])
async def test_an_invoice_that_takes_no_payment_is_a_conflict(state):
    app = shop()
    number = bill(app, pending=state == "pending")["id"]
    if state == "voided":
        invoices.void_invoice(app.site, number)
    async with calling(app) as client:
        if state == "paid":
            await _record(client, number)
        answer = await _record(client, number)
    assert (answer.status_code, answer.json()["api_error_code"]) == (409, "invalid_state_for_request")
    assert len(app.site.all("transaction")) == (1 if state == "paid" else 0)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"transaction[payment_method]": ""}, "transaction[payment_method]"),
        ({"transaction[payment_method]": "gold"}, "transaction[payment_method]"),
        ({"transaction[payment_method]": "custom"}, "transaction[custom_payment_method_id]"),
        ({"transaction[amount]": "0"}, "transaction[amount]"),
        ({"transaction[amount]": "12.50"}, "transaction[amount]"),
        ({"transaction[reference_number]": "x" * 101}, "transaction[reference_number]"),
        ({"comment": "x" * 301}, "comment"),
        ({"transaction[status]": "maybe"}, "transaction[status]"),
    ],
)
async def test_wrong_parameters_are_named(members, param):
    app = shop()
    number = bill(app)["id"]
    async with calling(app) as client:
        answer = await _record(client, number, **members)
    assert (answer.status_code, answer.json()["param"]) == (400, param)
    assert app.site.get("invoice", number)["amount_paid"] == 0


async def test_what_is_paid_too_much_becomes_an_excess_payment():
    app = shop()
    number = bill(app)["id"]
    async with calling(app) as client:
        answer = (await _record(client, number, **{"transaction[amount]": "13000"})).json()
    assert answer["invoice"]["status"] == "paid"
    assert answer["transaction"]["amount_unused"] == 900
    assert app.site.get("customer", "cust-1")["excess_payments"] == 900


async def test_the_same_reference_can_be_recorded_twice_but_is_found_by_a_look_up():
    app = shop()
    number = bill(app)["id"]
    part = {"transaction[amount]": "100", "transaction[reference_number]": "26200017"}
    async with calling(app) as client:
        await _record(client, number, **part)
        await _record(client, number, **part)
        query = {"reference_number[is]": "26200017", "customer_id[is]": "cust-1"}
        found = (await client.get("/transactions", params=query)).json()["list"]
    assert len(found) == 2


async def test_an_idempotency_key_answers_again_without_recording_again():
    app = shop()
    number = bill(app)["id"]
    async with calling(app) as client:
        first = await _record(client, number, key="k-1")
        again = await _record(client, number, key="k-1")
        assert again.json() == first.json()
        assert "chargebee-idempotency-replayed" not in first.headers
        assert again.headers["chargebee-idempotency-replayed"] == "true"
        other = await _record(client, number, key="k-1", **{"transaction[amount]": "5"})
        assert (other.status_code, other.json()["api_error_code"]) == (422, "unable_to_process_request")
        app.site.clock.skip(1_801)
        forgotten = await _record(client, number, key="k-1")
    assert forgotten.status_code == 409  # forgotten after half an hour: a second attempt on a paid invoice
    assert len(app.site.all("transaction")) == 1


async def test_a_key_whose_first_call_still_runs_is_a_conflict():
    app = shop()
    assert app.keys.begin("k-2", "/api/v2/invoices/1/record_payment", b"") is None
    async with calling(app) as client:
        headers = {"chargebee-idempotency-key": "k-2"}
        answer = await client.post("/invoices/1/record_payment", headers=headers)
    assert answer.status_code == 409
    assert "still in progress" in answer.json()["message"]


async def test_a_lost_answer_was_a_recorded_payment():
    async with running_chargebee() as running:
        app = stock(running.app)
        number = bill(app)["id"]
        async with httpx.AsyncClient(base_url=f"{running.url}/api/v2", auth=("test_key", ""), trust_env=False) as client:
            fault = {"fault": "lose_answer", "method": "POST", "path_contains": "record_payment"}
            await client.post(f"{running.url}/_simulator/faults", json=fault)
            with pytest.raises(httpx.RemoteProtocolError):
                await _record(client, number, key="k-3")
            assert app.site.get("invoice", number)["status"] == "paid"
            replayed = await _record(client, number, key="k-3")
    assert replayed.headers["chargebee-idempotency-replayed"] == "true"
    assert len(app.site.all("transaction")) == 1


async def test_an_excess_payment_with_an_id_of_ones_own_is_recorded_once():
    app = shop()
    members = {**CASH, "transaction[amount]": "900", "transaction[id]": "txn_own_1"}
    before = len(app.site.events)
    async with calling(app) as client:
        first = await client.post("/customers/cust-1/record_excess_payment", data=members)
        again = await client.post("/customers/cust-1/record_excess_payment", data=members)
    assert first.json()["transaction"]["amount_unused"] == 900
    assert first.json()["customer"]["balances"][0]["excess_payments"] == 900
    assert (again.status_code, again.json()["api_error_code"]) == (400, "duplicate_entry")
    assert event_types(app, before) == ["transaction_created", "customer_changed"]
