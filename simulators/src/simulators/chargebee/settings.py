"""Everything that can be switched about the stand-in of Chargebee."""

from dataclasses import dataclass
from typing import Literal

RETRY_SCHEDULE_SECONDS = (120, 360, 1_800, 3_600, 18_000, 86_400, 172_800)
"""Waits before each of the seven re-deliveries of a webhook, counted from the attempt before."""


@dataclass(frozen=True)
class WebhookEndpoint:
    """Where events are posted to; Chargebee knows no signature, only optional Basic auth."""

    url: str
    username: str = ""
    password: str = ""
    id: str = "whv2_AzZlAiTestEndpoint01"
    enabled_events: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChargebeeSettings:
    """Switches of one Chargebee site; the defaults are those of a real test site."""

    site: str = "acme-test"
    api_key: str = "test_key"
    read_only_keys: tuple[str, ...] = ()
    timezone: str = "Europe/Amsterdam"
    base_currency: str = "EUR"
    product_catalog: Literal["1.0", "2.0"] = "2.0"
    seed: int = 42
    started_at: int | None = None
    """First second of the site's clock, which then moves only when told; None follows the wall clock."""

    notify_pending_invoices: bool = True
    enterprise_invoicing: bool = False
    """Enterprise-scale Invoicing (private beta): documents come with their first 100 lines, the rest is retrieved by offset."""

    requests_per_minute: int = 150
    minute_seconds: float = 60.0
    concurrent_requests: int = 100
    idempotency_seconds: float = 1_800.0
    pdf_seconds: float = 3_600.0

    webhooks: tuple[WebhookEndpoint, ...] = ()
    webhook_workers: int = 1
    webhook_delay_seconds: float = 0.0
    webhook_disorder_seconds: float = 0.0
    """Window over which a delayed event may be overtaken by later ones."""

    webhook_disordered_per_mille: int = 0
    webhook_duplicated_per_mille: int = 0
    webhook_dropped_per_mille: int = 0
    webhook_connect_seconds: float = 20.0
    webhook_read_seconds: float = 20.0
    webhook_total_seconds: float = 60.0
    retry_scale: float = 1.0
    """Factor on RETRY_SCHEDULE_SECONDS: 0.001 makes the two minutes before the first retry 0.12 s."""
