"""Coupon sets and long documents of the Chargebee stand-in, as the real one has them: see the facts in its own modules."""

import json

import pytest
from support.chargebee_shop import bill, calling, event_types, shop

from simulators.chargebee import catalogue, coupon_sets
from simulators.chargebee.errors import ApiError
from simulators.chargebee.pricing import Coupon, LineSpec

TEN = {"name": "Ten", "discount_type": "percentage", "discount_percentage": 10.0}


def fair():
    app = shop()
    catalogue.create_coupon(app.site, "TEN", TEN)
    coupon_sets.create_coupon_set(app.site, "cs_fair", "TEN", "Spring fair")
    coupon_sets.add_coupon_codes(app.site, "cs_fair", ["FAIR-1", "FAIR-2"])
    return app


def given(code):
    return Coupon("TEN", "Ten", percentage=10, code=code)


async def test_a_code_tells_its_set_and_the_events_name_no_codes():
    app = fair()
    async with calling(app) as client:
        alone = (await client.get("/coupon_codes/FAIR-1")).json()["coupon_code"]
        listed = (await client.get("/coupon_codes", params={"code[in]": "['FAIR-2', 'NONE']"})).json()
        missing = await client.get("/coupon_codes/NONE")
    belongs = {"coupon_id": "TEN", "coupon_set_id": "cs_fair", "coupon_set_name": "Spring fair"}
    assert alone == {"code": "FAIR-1", **belongs, "status": "not_redeemed", "object": "coupon_code"}
    assert [each["coupon_code"]["code"] for each in listed["list"]] == ["FAIR-2"]
    assert (missing.status_code, missing.json()["api_error_code"]) == (404, "resource_not_found")
    assert event_types(app)[-2:] == ["coupon_set_created", "coupon_codes_added"]
    assert "FAIR-1" not in json.dumps(app.site.events)


async def test_a_document_names_the_code_in_its_own_list_of_discounts_only():
    app = fair()
    invoice = bill(app, coupons=(given("FAIR-1"),))
    assert [each["coupon_set_code"] for each in invoice["discounts"]] == ["FAIR-1"]
    assert all("coupon_set_code" not in each for each in invoice["line_item_discounts"])
    assert app.site.get("coupon_set", "cs_fair")["redeemed_count"] == 1


def test_a_code_is_good_once_and_only_for_its_own_coupon():
    app = fair()
    bill(app, coupons=(given("FAIR-1"),))
    for refused in (given("FAIR-1"), given("NONE"), Coupon("OTHER", "Other", percentage=5, code="FAIR-2")):
        with pytest.raises(ApiError):
            bill(app, coupons=(refused,))
    coupon_sets.delete_unused_codes(app.site, "cs_fair")
    assert list(app.site.collections["coupon_code"]) == ["FAIR-1"]
    with pytest.raises(ApiError):
        coupon_sets.add_coupon_codes(app.site, "cs_fair", ["FAIR-1"])


async def test_a_long_document_comes_a_part_at_a_time_where_the_site_has_that():
    lines = [LineSpec("adhoc", f"line {number}", 100) for number in range(250)]
    app = shop(enterprise_invoicing=True)
    number = bill(app, lines=lines)["id"]
    assert len(app.site.events[-1]["content"]["invoice"]["line_items"]) == 100
    async with calling(app) as client:
        first = (await client.get(f"/invoices/{number}", params={"line_items_limit": "150"})).json()["invoice"]
        offset = first["line_items_next_offset"]
        rest = (await client.get(f"/invoices/{number}", params={"line_items_offset": offset})).json()["invoice"]
        wrong = await client.get(f"/invoices/{number}", params={"line_items_limit": "301"})
    assert (len(first["line_items"]), len(rest["line_items"])) == (150, 100)
    assert "line_items_next_offset" not in rest
    assert wrong.status_code == 400
    plain = shop()
    assert "line_items_next_offset" not in bill(plain, lines=lines)
