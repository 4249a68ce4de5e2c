"""The Chargebee stand-in's API: keys, lists, filters, paging, limits and refusals as Chargebee has them."""

import json
from typing import Any

import httpx
import pytest
from support.chargebee_shop import STARTED_AT, bill, calling, shop

from simulators.chargebee import catalogue, invoices


async def _ids(client: httpx.AsyncClient, path: str, kind: str, **query: Any) -> list[str]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [row[kind]["id"] for row in answer.json()["list"]]


async def test_a_wrong_key_is_refused_in_chargebees_words():
    async with calling(shop(), key="wrong") as client:
        answer = await client.get("/invoices")
    assert answer.status_code == 401
    assert answer.json()["api_error_code"] == "api_authentication_failed"
    assert "Are you sure you're using the right API key?" in answer.json()["message"]


async def test_a_read_only_key_reads_and_fetches_pdfs_but_writes_nothing():
    app = shop(read_only_keys=("reader",))
    invoice = bill(app)
    async with calling(app, key="reader") as client:
        assert (await client.get(f"/invoices/{invoice['id']}")).status_code == 200
        assert (await client.post(f"/invoices/{invoice['id']}/pdf")).status_code == 200
        refused = await client.post(f"/invoices/{invoice['id']}/record_payment", data={"transaction[payment_method]": "cash"})
    assert (refused.status_code, refused.json()["api_error_code"]) == (403, "api_authorization_failed")


async def test_lists_come_newest_first_ten_at_a_time_and_the_offset_leads_through_all_of_them():
    app = shop()
    numbers = [bill(app)["id"] for _ in range(23)]
    seen: list[str] = []
    query: dict[str, str] = {}
    pages = 0
    async with calling(app) as client:
        while True:
            page = (await client.get("/invoices", params=query)).json()
            seen += [row["invoice"]["id"] for row in page["list"]]
            pages += 1
            if "next_offset" not in page:
                break
            assert len(json.loads(page["next_offset"])) == 2
            query = {"offset": page["next_offset"]}
    assert seen == numbers[::-1]
    assert pages == 3


async def test_paging_upwards_by_update_misses_nothing_that_changes_meanwhile():
    app = shop()
    numbers = [bill(app)["id"] for _ in range(4)]
    query: dict[str, str | int] = {"sort_by[asc]": "updated_at", "limit": 2}
    async with calling(app) as client:
        first = (await client.get("/invoices", params=query)).json()
        app.site.clock.skip(5)
        invoices.update_details(app.site, numbers[0], {"po_number": "PO-1"})
        rest = (await client.get("/invoices", params={**query, "limit": 100, "offset": first["next_offset"]})).json()
    later = [row["invoice"]["id"] for row in rest["list"]]
    assert later == [numbers[2], numbers[3], numbers[0]]


@pytest.mark.parametrize("form", ['["posted","paid"]', "['posted', 'paid']"])
async def test_both_quote_styles_of_lists_are_understood(form):
    app = shop()
    posted = bill(app)["id"]
    bill(app, net_term_days=0)
    async with calling(app) as client:
        assert await _ids(client, "/invoices", "invoice", **{"status[in]": form}) == [posted]


@pytest.mark.parametrize(
    "ignored",
    [{"customer_id": "nobody"}, {"sort_by": "date[asc]"}, {"sort": "date"}, {"cf_x[is]": "y"}, {"status[nonsense]": "paid"}],
)
async def test_what_chargebee_does_not_understand_changes_nothing_and_is_no_error(ignored):
    app = shop()
    numbers = [bill(app)["id"] for _ in range(2)]
    async with calling(app) as client:
        assert await _ids(client, "/invoices", "invoice", **ignored) == numbers[::-1]


async def test_filters_narrow_a_list():
    app = shop()
    small, large = bill(app, 1_000)["id"], bill(app, 50_000)["id"]
    catalogue.create_customer(app.site, "cust-2", {})
    other = bill(app, 1_000, customer_id="cust-2")["id"]
    async with calling(app) as client:
        assert await _ids(client, "/invoices", "invoice", **{"customer_id[is]": "cust-2"}) == [other]
        assert await _ids(client, "/invoices", "invoice", **{"total[gt]": 10_000}) == [large]
        assert await _ids(client, "/invoices", "invoice", **{"id[starts_with]": small}) == [small]
        between = f"[{STARTED_AT - 5},{STARTED_AT}]"
        assert len(await _ids(client, "/invoices", "invoice", **{"date[between]": between})) == 3
        assert await _ids(client, "/invoices", "invoice", **{"date[after]": STARTED_AT}) == []
        assert len(await _ids(client, "/invoices", "invoice", **{"date[on]": STARTED_AT + 3_600})) == 3


async def test_deleted_documents_show_only_when_asked_for():
    app = shop()
    number = bill(app)["id"]
    async with calling(app) as client:
        before = (await client.post(f"/invoices/{number}/delete")).json()["invoice"]
        assert before["deleted"] is False  # the answer shows the invoice as it was
        assert await _ids(client, "/invoices", "invoice") == []
        assert await _ids(client, "/invoices", "invoice", include_deleted="true") == [number]


@pytest.mark.parametrize("limit", ["0", "101", "many"])
async def test_a_limit_out_of_range_is_refused(limit):
    async with calling(shop()) as client:
        answer = await client.get("/events", params={"limit": limit})
    assert (answer.status_code, answer.json()["param"]) == (400, "limit")


async def test_unknown_ids_paths_and_methods_are_told_apart():
    async with calling(shop()) as client:
        unknown = await client.get("/invoices/none")
        assert (unknown.status_code, unknown.json()["api_error_code"]) == (404, "resource_not_found")
        assert (await client.get("/nonsense")).status_code == 404
        wrong = await client.post("/invoices")
        assert (wrong.status_code, wrong.json()["api_error_code"]) == (405, "http_method_not_supported")


async def test_ids_with_spaces_and_slashes_are_percent_encoded():
    app = shop()
    catalogue.create_item_price(app.site, "Gold / EUR yearly", item_id="plan", price_minor=1, currency="EUR")
    async with calling(app) as client:
        answer = await client.get("/item_prices/Gold%20%2F%20EUR%20yearly")
    assert answer.json()["item_price"]["id"] == "Gold / EUR yearly"


async def test_the_other_product_catalog_is_incompatible():
    async with calling(shop()) as client:
        new = await client.get("/plans")
    async with calling(shop(product_catalog="1.0")) as client:
        old = await client.get("/item_prices")
        assert (await client.get("/plans")).status_code == 200
    for answer in (new, old):
        assert (answer.status_code, answer.json()["api_error_code"]) == (400, "configuration_incompatible")


async def test_absent_values_are_left_out_and_never_null():
    app = shop()
    bill(app)
    async with calling(app) as client:
        invoice = (await client.get("/invoices")).json()["list"][0]["invoice"]
    assert "paid_at" not in invoice
    assert "null" not in json.dumps(invoice)
    assert invoice["linked_payments"] == []
    assert invoice["site_details_at_creation"] == {"timezone": "Europe/Amsterdam"}


async def test_too_many_calls_in_a_minute_are_refused_until_it_is_over():
    app = shop(requests_per_minute=3)
    async with calling(app) as client:
        answers = [await client.get("/customers") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[3].json()["api_error_code"] == "api_request_limit_exceeded"
        assert 1 <= int(answers[3].headers["retry-after"]) <= 60
        app.site.clock.skip(60)
        assert (await client.get("/customers")).status_code == 200


async def test_events_are_kept_for_90_days():
    app = shop()
    async with calling(app) as client:
        first = (await client.get("/events", params={"sort_by[asc]": "occurred_at"})).json()["list"][0]["event"]
        assert (await client.get(f"/events/{first['id']}")).json()["event"] == first
        app.site.clock.skip(91 * 86_400)
        assert (await client.get("/events")).json()["list"] == []
        assert (await client.get(f"/events/{first['id']}")).status_code == 404


async def test_a_pdf_is_fetched_without_a_key_and_for_an_hour_only():
    app = shop()
    number = bill(app)["id"]
    async with calling(app) as client:
        download = (await client.post(f"/invoices/{number}/pdf")).json()["download"]
        assert download["valid_till"] == STARTED_AT + 3_600
        fetched = await client.get(download["download_url"], auth=None)
        assert fetched.content.startswith(b"%PDF")
        app.site.clock.skip(3_601)
        assert (await client.get(download["download_url"], auth=None)).status_code == 403


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"fault": "lock_timeout"}, 429, "lock_timeout"),
        ({"fault": "rate_limit", "seconds": 7}, 429, "api_request_limit_exceeded"),
        ({"fault": "status", "status": 503}, 503, "internal_temporary_error"),
    ],
)
async def test_disturbances_strike_once_and_are_over(fault, status, code):
    async with calling(shop()) as client:
        await client.post("http://acme-test.example/_simulator/faults", json={**fault, "path_contains": "customers"})
        assert (await client.get("/invoices")).status_code == 200
        hit = await client.get("/customers")
        assert (hit.status_code, hit.json()["api_error_code"]) == (status, code)
        assert (await client.get("/customers")).status_code == 200


async def test_a_proxy_answers_in_html():
    async with calling(shop()) as client:
        await client.post("http://acme-test.example/_simulator/faults", json={"fault": "html_502"})
        answer = await client.get("/customers")
    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")
