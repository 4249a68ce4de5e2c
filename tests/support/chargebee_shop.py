"""A small Chargebee site for tests: one customer, one product, and invoices of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from simulators.chargebee import catalogue, invoices
from simulators.chargebee.app import ChargebeeSimulator, create_app
from simulators.chargebee.pricing import LineSpec, Tax
from simulators.chargebee.settings import ChargebeeSettings
from simulators.chargebee.site import Resource

VAT_21 = Tax("BTW", "21", "NL", "Netherlands")
STARTED_AT = 1_790_000_000  # 2026-09-21 16:13:20 in Amsterdam


def shop(**settings: Any) -> ChargebeeSimulator:
    """A simulator with customer `cust-1` and item price `Plan-EUR-Monthly`, on a clock that stands still."""
    return stock(create_app(ChargebeeSettings(**{"started_at": STARTED_AT, **settings})))


def stock(app: ChargebeeSimulator) -> ChargebeeSimulator:
    """The same for an application that exists already."""
    site = app.site
    address = {"line1": "Kerkstraat 1", "city": "Utrecht", "zip": "3511 AB", "country": "NL"}
    catalogue.create_customer(site, "cust-1", {"company": "Voorbeeld B.V.", "billing_address": address})
    if site.settings.product_catalog == "2.0":
        catalogue.create_item_family(site, "platform", "Platform")
        catalogue.create_item(site, "plan", name="Plan", kind="plan", family_id="platform")
        price: dict[str, Any] = {"item_id": "plan", "price_minor": 10_000, "currency": "EUR", "period_unit": "month"}
        catalogue.create_item_price(site, "Plan-EUR-Monthly", **price)
    return app


def bill(app: ChargebeeSimulator, amount_minor: int = 10_000, **members: Any) -> Resource:
    """An invoice of one taxed line on `cust-1`, due in 14 days unless told otherwise."""
    line = LineSpec("plan_item_price", "Plan", amount_minor, "Plan-EUR-Monthly", tax=VAT_21)
    spec: dict[str, Any] = {"customer_id": "cust-1", "lines": (line,), "net_term_days": 14, **members}
    return invoices.create_invoice(app.site, invoices.InvoiceSpec(**spec))


def event_types(app: ChargebeeSimulator, after: int = 0) -> list[str]:
    """The types of the events after the first so many, oldest first."""
    return [event["event_type"] for event in app.site.events[after:]]


@asynccontextmanager
async def calling(app: ChargebeeSimulator, key: str = "test_key") -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API with the key as Basic user, without a socket."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://acme-test.example/api/v2", auth=(key, "")) as client:
        yield client
