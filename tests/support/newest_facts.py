"""A Chargebee site that lives for a while, and the newest state that facts tell of it."""

from typing import Any

import msgspec
from support.chargebee_shop import bill

from simulators.chargebee.catalogue import create_subscription, update_subscription
from simulators.chargebee.invoices import void_invoice
from simulators.chargebee.payments import Money, pay_invoice


def live(app: Any, number: int) -> None:
    """Let a site live for a while: invoices that are paid, voided or left open, and a subscription that changes at each tenth."""
    create_subscription(app.site, "cust-1", "sub-0", {"cf_cost_center": "North"})
    for count in range(number):
        if count % 10 == 0:
            update_subscription(app.site, "sub-0", {"cf_cost_center": f"South {count}"})
        invoice = bill(app)
        app.site.clock.advance_to(app.site.clock.now() + 37)
        if count % 3 == 0:
            pay_invoice(app.site, invoice["id"], Money("card", gateway="stripe"))
        elif count % 3 == 1:
            void_invoice(app.site, invoice["id"])
        app.site.clock.advance_to(app.site.clock.now() + 11)


def told(facts: list[Any]) -> dict[tuple[str, str], Any]:
    """The newest state of everything, as the mapper would fold it."""
    newest: dict[tuple[str, str], Any] = {}
    for fact in facts:
        key = (fact.TYPE, fact.resource.id)
        if key not in newest or newest[key].resource_version < fact.resource_version:
            newest[key] = fact
    return {key: msgspec.structs.replace(fact, event_id="", event_type="", occurred_at=0) for key, fact in newest.items()}
