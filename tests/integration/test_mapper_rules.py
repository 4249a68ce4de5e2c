"""Rules that ask for more than a product: routes to divisions, custom fields, dimensions, dates, and the version of them all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.engines import DATABASES, database_for
from support.facts import OCTOBER_5, SITE, customer, invoice, line, observed
from support.mapper_stage import CONFIGURATION, Stage, payment, posted

from backbone.configuration import Configuration
from contracts import commands, facts

SECOND = 200002
AUDIT = {"id": "Audit-EUR", "item_id": "audit", "item_family_id": "services"}


def configured(*, routes: list[dict[str, Any]] | None = None, **division: Any) -> Configuration:
    """Return the stage's configuration with a second division, these routes and these settings."""
    dump = CONFIGURATION.model_dump(exclude_defaults=True)
    first = {**dump["divisions"][100001], **division}
    dump["divisions"] = {100001: first, SECOND: {**first, "name": "Second"}}
    dump["sites"][SITE]["routes"] = routes or []
    return Configuration.model_validate(dump)


@pytest.fixture(params=DATABASES)
async def database(request, tmp_path: Path):
    async with database_for(request.param, tmp_path, "mapper") as database:
        yield database


async def booked_in(stage: Stage) -> dict[str, int]:
    return {entry.your_ref: entry.division for entry in await stage.entries()}


async def test_routes_send_documents_to_their_division_and_the_rest_to_the_sites_own(database):
    routes = [
        {"when": {"family": "services"}, "division": SECOND},
        {"when": {"business_entity": "BE-3"}, "division": SECOND},
        {"when": {"field": {"name": "cf_label", "value": "Second"}, "currency": "EUR", "country": "NL"}, "division": SECOND},
    ]
    stage = Stage(database, configured(routes=routes))
    await stage.hear(customer(), observed(facts.ItemPriceObserved, AUDIT))
    await stage.hear(observed(facts.ItemPriceObserved, {"id": "Team-EUR", "item_id": "team", "item_family_id": "plans"}))
    await stage.hear(invoice("INV-1"))
    await stage.hear(invoice("INV-2", lines=[line(5_000, 1_050, entity="Audit-EUR", kind="charge_item_price")]))
    await stage.hear(invoice("INV-3", business_entity_id="BE-3"), invoice("INV-4", business_entity_id="BE-2"))
    await stage.hear_with(invoice("INV-5"), cf_label="Second")
    assert await booked_in(stage) == {
        "INV-1": 100001,
        "INV-2": SECOND,
        "INV-3": SECOND,
        "INV-4": 100001,
        "INV-5": SECOND,
    }


async def test_an_entity_that_nobody_named_is_held_even_where_a_route_would_take_the_document(database):
    stage = Stage(database, configured(routes=[{"when": {"currency": "EUR"}, "division": SECOND}]))
    await stage.hear(customer(), invoice(business_entity_id="BE-9"))
    assert await stage.reasons() == ["unknown_business_entity"]


async def test_lines_that_go_to_different_divisions_are_held(database):
    stage = Stage(database, configured(routes=[{"when": {"family": "services"}, "division": SECOND}]))
    mixed = [line(10_000, 2_100), line(5_000, 1_050, entity="Audit-EUR", kind="charge_item_price")]
    await stage.hear(customer(), observed(facts.ItemPriceObserved, AUDIT))
    await stage.hear(observed(facts.ItemPriceObserved, {"id": "Team-EUR", "item_id": "team", "item_family_id": "plans"}))
    await stage.hear(invoice(lines=mixed))
    [held] = await stage.said(facts.DocumentHeld)
    assert held.code == "routes_disagree"
    assert "100001, 200002" in held.sentence


async def test_a_payment_goes_where_its_invoice_goes_and_waits_for_it(database):
    stage = Stage(database, configured(routes=[{"when": {"family": "services"}, "division": SECOND}]))
    await stage.hear(customer(), observed(facts.ItemPriceObserved, AUDIT), payment())
    assert await stage.reasons() == ["route_unknown"]
    await stage.hear(invoice("INV-1", lines=[line(10_000, 2_100, entity="Audit-EUR", kind="charge_item_price")]))
    assert {entry.division for entry in await stage.entries()} == {SECOND}
    assert len(await stage.entries()) == 2


async def test_money_that_settles_nothing_is_held_where_routes_go_by_products(database):
    stage = Stage(database, configured(routes=[{"when": {"family": "services"}, "division": SECOND}]))
    await stage.hear(customer(), payment(linked_invoices=[]))
    assert await stage.reasons() == ["route_undecided"]


async def test_custom_fields_of_product_document_and_customer_decide(database):
    revenue = [
        {"when": {"family": "hosts", "field": {"name": "cf_stream", "value": "hosting"}}, "account": "8001"},
        {"when": {"family": "codes", "field": {"name": "accounting_code", "value": "8777"}}, "account": "8002"},
        {"when": {"field": [{"name": "cf_vip", "value": True}, {"name": "cf_deal", "value": "D1"}]}, "account": "8003"},
        {"account": "8000"},
    ]
    stage = Stage(database, configured(revenue=revenue))
    await stage.hear(customer())
    host = {"id": "Host-EUR", "item_id": "h", "item_family_id": "hosts"}
    await stage.hear_with(observed(facts.ItemPriceObserved, host), cf_stream="hosting")
    coded = {"id": "Code-EUR", "item_id": "c", "item_family_id": "codes", "accounting_detail": {"accounting_code": "8777"}}
    await stage.hear(observed(facts.ItemPriceObserved, coded))
    await stage.hear(observed(facts.ItemPriceObserved, {"id": "Team-EUR", "item_id": "team", "item_family_id": "f"}))
    for number, entity in (("INV-1", "Host-EUR"), ("INV-2", "Code-EUR"), ("INV-3", "Team-EUR")):
        await stage.hear(invoice(number, lines=[line(10_000, 2_100, entity=entity)]))
    await stage.hear_with(customer("CUST2"), cf_vip=True)
    await stage.hear_with(invoice("INV-4", customer_id="CUST2"), cf_deal="D1")
    accounts = {entry.your_ref: entry.lines[0].gl_account for entry in await stage.entries()}
    assert accounts == {"INV-1": "8001", "INV-2": "8002", "INV-3": "8000", "INV-4": "8003"}


async def test_a_business_without_a_number_is_a_business_when_that_was_confirmed(database):
    revenue = [{"when": {"customer": "business"}, "account": "8001"}, {"when": {"customer": "consumer"}, "account": "8002"}]
    stage = Stage(database, configured(revenue=revenue))
    await stage.hear(
        customer("CUST1", vat_number=None), customer("CUST2", vat_number=None, business_customer_without_vat_number=True)
    )
    await stage.hear(invoice("INV-1", vat_number=None), invoice("INV-2", customer_id="CUST2", vat_number=None))
    await stage.hear(invoice("INV-3", vat_number="NL123456782B01"))
    accounts = {entry.your_ref: entry.lines[0].gl_account for entry in await stage.entries()}
    assert accounts == {"INV-1": "8002", "INV-2": "8001", "INV-3": "8001"}


async def test_dimensions_have_rules_of_their_own_behind_those_of_revenue(database):
    division: dict[str, Any] = {
        "cost_centers": [{"when": {"country": "NL"}, "code": "BNL"}, {"code": "ROW"}],
        "cost_units": [{"when": {"year": 2026}, "code": "2026"}, {"when": {"year": 2027}, "code": "2027"}],
        "revenue": [{"when": {"item_price": "Team-EUR"}, "account": "8000"}, {"account": "8020", "cost_center": "OWN"}],
    }
    stage = Stage(database, configured(**division))
    await stage.hear(customer(), invoice(lines=[line(10_000, 2_100), line(5_000, 1_050, kind="adhoc", entity="x")]))
    [entry] = await stage.entries()
    assert [(each.cost_center, each.cost_unit) for each in entry.lines] == [("BNL", "2026"), ("OWN", "2026")]
    [planned] = await stage.said(facts.DocumentPlanned)
    assert "cost centre BNL by rule (country: NL)" in planned.explanation[0]


async def test_a_new_vat_code_holds_from_its_day_of_supply_and_a_credit_takes_the_invoices(database):
    when = {"country": "NL", "rate": 21}
    vat = [{"when": when, "code": "OLD", "until": "2026-10-31"}, {"when": when, "code": "NEW", "from": "2026-11-01"}]
    stage = Stage(database, configured(vat=vat))
    november = OCTOBER_5 + 30 * 86_400
    served = line(10_000, 2_100, date_from=november, date_to=november + 30 * 86_400)
    await stage.hear(customer(), invoice("INV-1"), invoice("INV-2", lines=[served]), invoice("INV-3", date=november))
    members = msgspec.to_builtins(invoice("CN-1", status="adjusted", date=november))["resource"]
    await stage.hear(observed(facts.CreditNoteObserved, {**members, "reference_invoice_id": "INV-1"}))
    codes = {entry.your_ref: entry.lines[0].vat_code for entry in await stage.entries()}
    assert codes == {"INV-1": "OLD", "INV-2": "NEW", "INV-3": "NEW", "CN-1": "OLD"}


async def test_a_credit_takes_the_account_and_the_dimensions_of_its_invoices_day(database):
    """Else an invoice and its full credit would leave an amount on each of two accounts; alone, a credit goes by its own day."""
    revenue = [{"account": "8000", "until": "2026-10-31"}, {"account": "8001", "from": "2026-11-01"}]
    units = [{"code": "OLD", "until": "2026-10-31"}, {"code": "NEW", "from": "2026-11-01"}]
    stage = Stage(database, configured(revenue=revenue, cost_units=units))
    november = OCTOBER_5 + 30 * 86_400
    await stage.hear(customer(), invoice("INV-1"), invoice("INV-2", date=november))
    for number, of_invoice in (("CN-1", {"reference_invoice_id": "INV-1"}), ("CN-2", {})):
        members = msgspec.to_builtins(invoice(number, status="adjusted", date=november))["resource"]
        await stage.hear(observed(facts.CreditNoteObserved, {**members, **of_invoice}))
    booked = {entry.your_ref: (entry.lines[0].gl_account, entry.lines[0].cost_unit) for entry in await stage.entries()}
    assert booked == {"INV-1": ("8000", "OLD"), "INV-2": ("8001", "NEW"), "CN-1": ("8000", "OLD"), "CN-2": ("8001", "NEW")}


async def test_each_booking_and_its_reversal_know_the_version_of_the_rules(database):
    stage = Stage(database, configured(mapping_version="2026 autumn"))
    await stage.hear(customer(), invoice())
    [entry] = await stage.entries()
    assert entry.mapping_version.startswith("2026 autumn (")
    changed = Stage(database, configured(mapping_version="2027"))
    changed.posted = stage.posted
    await changed.hear(posted(entry), invoice(version=9, status="voided", voided_at=OCTOBER_5))
    versions = [(each.document.suffix, each.mapping_version.split(" (")[0]) for each in await changed.entries()]
    assert versions == [("", "2026 autumn"), ("R", "2027")]
    planned = [each.mapping_version for each in await changed.said(facts.DocumentPlanned)]
    assert planned == [each.mapping_version for each in await changed.said(commands.PostEntry)]


def test_a_mapper_does_not_start_on_rules_that_contradict_each_other(tmp_path: Path):
    file = tmp_path / "kruispost.yaml"
    dump = configured(revenue=[{"account": "8000"}, {"account": "8001"}]).model_dump(mode="json", exclude_defaults=True)
    file.write_text(json.dumps({**dump, "divisions": {int(number): each for number, each in dump["divisions"].items()}}))
    environment = {**os.environ, "KRUISPOST_CONFIG": str(file), "KRUISPOST_DATA_DIR": str(tmp_path / "var")}
    done = subprocess.run(
        [sys.executable, "-m", "mapper"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert f"{file}:1: divisions.100001.revenue[0]: two revenue rules are equally specific" in done.stderr
    assert "remove one of them" in done.stderr
