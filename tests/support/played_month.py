"""The demo's business month as the facts that ingest says of it, without ingest or a door."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from contracts.envelope import Envelope
from contracts.messages import unseal
from ingest.translate import EVENT_RECEIVED, Observation, observe
from simulators.chargebee.app import create_app
from simulators.chargebee.invoices import run_scheduled_jobs
from simulators.chargebee.settings import ChargebeeSettings
from simulators.world.actions import Ledger, perform
from simulators.world.month import make_month, set_up_catalogue

SITE = "acme-test"


def heard_in_month(seed: int = 42, documents: int = 120) -> list[Any]:
    """Return the facts of a month in the order of its events; the same seed gives the same month."""
    plan = make_month(seed, documents)
    site = create_app(ChargebeeSettings(started_at=int(datetime(2026, 9, 1, tzinfo=UTC).timestamp()), seed=seed)).site
    set_up_catalogue(site)
    ledger = Ledger()
    for step in plan.in_order():
        site.clock.advance_to(step.at)
        run_scheduled_jobs(site)
        perform(site, step.action, ledger)
    return [unseal(seen.fact) for event in site.events for seen in observe(_received(event)) if isinstance(seen, Observation)]


def _received(event: dict[str, Any]) -> Envelope:
    identity = f"raw-{event.get('id')}"
    return Envelope(
        id=identity,
        type=EVENT_RECEIVED,
        version=1,
        source="ingest",
        subject=f"{SITE}/event/{event.get('id')}",
        time=datetime(2026, 10, 1, tzinfo=UTC),
        key=SITE,
        correlation=identity,
        data=msgspec.Raw(json.dumps(event).encode()),
    )
