"""How many invoices a second one core turns from the bytes of a fact into a command, beside parsing the same bytes alone."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from backbone.configuration import load_configuration
from bookkeeping.documents import Product
from bookkeeping.entries import make_entry
from bookkeeping.journal import Entry
from contracts.facts import DocumentRef, InvoiceObserved
from mapper.configuration import mappings_of
from mapper.issue import post_entry
from mapper.translate import invoice_of
from simulators.chargebee.app import create_app
from simulators.chargebee.settings import ChargebeeSettings
from simulators.chargebee.site import Site
from simulators.world.actions import Ledger, perform
from simulators.world.month import make_month, set_up_catalogue

ROUNDS = 9
TIMES = 5
ZONE = ZoneInfo("Europe/Amsterdam")
DEMO = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"


def month() -> Site:
    """Play the seeded business month, whose invoices have all the members that Chargebee's have."""
    plan = make_month(42, 300)
    site = create_app(ChargebeeSettings(started_at=int(datetime(2026, 9, 1, tzinfo=UTC).timestamp()), seed=42)).site
    set_up_catalogue(site)
    ledger = Ledger()
    for step in plan.in_order():
        site.clock.advance_to(step.at)
        perform(site, step.action, ledger)
    return site


def bodies(site: Site) -> list[bytes]:
    """Return the month's bookable invoices as facts."""
    head = {"site": "acme-test", "event_id": "ev", "event_type": "invoice_generated", "occurred_at": 0, "resource_version": 1}
    booked = [one for one in site.all("invoice") if one["status"] != "pending" and one["total"]]
    return [json.dumps({**head, "resource": one}, separators=(",", ":")).encode() for one in booked]


def measure() -> dict[str, dict[str, Any]]:
    """Measure parsing, typed decoding and decoding with mapping in turns; the figures are medians of the rounds."""
    site = month()
    facts = bodies(site)
    generic, typed = msgspec.json.Decoder(), msgspec.json.Decoder(InvoiceObserved)
    mapping = mappings_of(load_configuration(DEMO))[100001]
    families = {item["id"]: item["item_family_id"] for item in site.all("item")}
    products = {
        price["id"]: Product(price_id=price["id"], item_id=price["item_id"], family_id=families[price["item_id"]])
        for price in site.all("item_price")
    }
    made = 0

    def decode_and_map() -> None:
        nonlocal made
        for body in facts:
            resource = typed.decode(body).resource
            document = invoice_of(resource, None, ZONE)
            entry = make_entry(document, mapping, products)  # type: ignore[arg-type]  # all of these are bookable documents
            if isinstance(entry, Entry):
                ref = DocumentRef(
                    site="acme-test",
                    kind="invoice",
                    number=resource.id,
                    customer_id=resource.customer_id or "",
                    currency=resource.currency_code or "",
                    total_minor=resource.total,
                )
                msgspec.json.encode(post_entry(entry, ref, mapping, 0))
                made += 1

    runs: dict[str, Callable[[], None]] = {
        "parse": lambda: _all(generic.decode, facts),
        "decode": lambda: _all(typed.decode, facts),
        "map": decode_and_map,
    }
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            gc.collect()
            started = time.process_time()  # of one core, whatever else runs: a short run is interrupted less often
            for _ in range(TIMES):
                run()
            rates[name].append(TIMES * len(facts) / (time.process_time() - started))
    if made < ROUNDS * TIMES * len(facts) * 9 // 10:
        raise RuntimeError("most invoices of the month were not booked, so this measured something else")
    return {
        "mapping_against_parsing": _row(rates["map"], rates["parse"]),
        "mapping_against_typed_decoding": _row(rates["map"], rates["decode"]),
    }


def _all(decode: Callable[[bytes], object], bodies_: list[bytes]) -> None:
    for body in bodies_:
        decode(body)


def _row(values: list[float], ceilings: list[float]) -> dict[str, Any]:
    ratios = [value / ceiling for value, ceiling in zip(values, ceilings, strict=True)]
    return {
        "value": statistics.median(values),
        "unit": "events/s",
        "ceiling": statistics.median(ceilings),
        "ratio": statistics.median(ratios),
    }
