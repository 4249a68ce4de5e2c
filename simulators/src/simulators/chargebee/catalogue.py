"""Operations on what is sold and to whom: customers, items, item prices, plans, addons, coupons."""

from collections.abc import Mapping
from typing import Any

from .errors import ApiError, invalid_state
from .site import Resource, Site


def _require_new(site: Site, kind: str, resource_id: str) -> None:
    if resource_id in site.collections[kind]:
        raise ApiError(400, "duplicate_entry", f"The value {resource_id} is already present for the parameter id.", param="id")


def require_catalog(site: Site, version: str) -> None:
    """Raise ApiError 400 when the site has the other Product Catalog."""
    if site.settings.product_catalog != version:
        raise ApiError(
            400,
            "configuration_incompatible",
            "This operation is not supported by the Product Catalog version of this site.",
        )


def create_customer(site: Site, customer_id: str, members: Mapping[str, Any]) -> Resource:
    """Create a customer; sends customer_created. `members` are the fields that differ from an empty customer."""
    _require_new(site, "customer", customer_id)
    billing = members.get("billing_address")
    customer: Resource = {
        "id": customer_id,
        "auto_collection": "off",
        "net_term_days": 0,
        "allow_direct_debit": False,
        "created_at": site.clock.now(),
        "taxability": "taxable",
        "pii_cleared": "active",
        "channel": "web",
        "deleted": False,
        "object": "customer",
        "card_status": "no_card",
        "promotional_credits": 0,
        "refundable_credits": 0,
        "excess_payments": 0,
        "unbilled_charges": 0,
        "preferred_currency_code": site.settings.base_currency,
        "mrr": 0,
        **{key: value for key, value in members.items() if key != "billing_address"},
    }
    if billing is not None:
        customer["billing_address"] = address(billing)
    site.add("customer", customer)
    site.emit("customer_created", {"customer": customer})
    return customer


def address(members: Mapping[str, Any]) -> Resource:
    """A billing address as it stands on customers and is copied to documents."""
    return {"validation_status": "not_validated", **members, "object": "billing_address"}


def update_customer(site: Site, customer_id: str, members: Mapping[str, Any]) -> Resource:
    """Change a customer's own fields or its billing info; sends customer_changed. Documents keep their copies."""
    customer = site.get("customer", customer_id)
    if customer["deleted"]:
        raise invalid_state("The customer is deleted.")
    customer.update({key: value for key, value in members.items() if key != "billing_address"})
    if "billing_address" in members:
        customer["billing_address"] = address(members["billing_address"])
    site.touch(customer)
    site.emit("customer_changed", {"customer": customer})
    return customer


def delete_customer(site: Site, customer_id: str) -> Resource:
    """Delete a customer and its subscriptions; returns the resource as it was before, as the API answers it."""
    customer = site.get("customer", customer_id)
    before = dict(customer)
    content: dict[str, Any] = {"customer": customer}
    subscriptions = [each for each in site.all("subscription") if each["customer_id"] == customer_id and not each["deleted"]]
    for gone in (*subscriptions, customer):
        gone["deleted"] = True
        site.touch(gone)
    if subscriptions:
        content["subscriptions"] = subscriptions
    site.emit("customer_deleted", content)
    return before


def change_balance(site: Site, customer: Resource, currency: str, field: str, change_minor: int) -> None:
    """Add to one of the customer's balances; `balances` disappears when all are zero. Sends customer_changed."""
    balances: list[Resource] = customer.setdefault("balances", [])
    for balance in balances:
        if balance["currency_code"] == currency:
            break
    else:
        balance = {
            "promotional_credits": 0,
            "excess_payments": 0,
            "refundable_credits": 0,
            "unbilled_charges": 0,
            "object": "customer_balance",
            "currency_code": currency,
            "balance_currency_code": currency,
        }
        balances.append(balance)
    balance[field] += change_minor
    if currency == customer["preferred_currency_code"]:
        customer[field] += change_minor
    kinds = ("promotional_credits", "excess_payments", "refundable_credits", "unbilled_charges")
    if not any(each[kind] for each in balances for kind in kinds):
        del customer["balances"]
    site.touch(customer)
    site.emit("customer_changed", {"customer": customer})


def create_item_family(site: Site, family_id: str, name: str) -> Resource:
    """Create a product family (Product Catalog 2.0); sends item_family_created."""
    require_catalog(site, "2.0")
    _require_new(site, "item_family", family_id)
    family = site.add(
        "item_family", {"id": family_id, "name": name, "status": "active", "channel": "web", "object": "item_family"}
    )
    site.emit("item_family_created", {"item_family": family})
    return family


def create_item(site: Site, item_id: str, *, name: str, kind: str, family_id: str) -> Resource:
    """Create an item of type plan, addon or charge; sends item_created."""
    require_catalog(site, "2.0")
    site.get("item_family", family_id)
    _require_new(site, "item", item_id)
    item: Resource = {
        "id": item_id,
        "name": name,
        "external_name": name,
        "status": "active",
        "item_family_id": family_id,
        "type": kind,
        "is_shippable": False,
        "is_giftable": False,
        "enabled_for_checkout": True,
        "enabled_in_portal": True,
        "item_applicability": "all",
        "metered": False,
        "channel": "web",
        "deleted": False,
        "object": "item",
    }
    site.add("item", item)
    site.emit("item_created", {"item": item})
    return item


def create_item_price(
    site: Site,
    item_price_id: str,
    *,
    item_id: str,
    price_minor: int,
    currency: str,
    period_unit: str | None = None,
    pricing_model: str = "per_unit",
    accounting_detail: Mapping[str, str] | None = None,
) -> Resource:
    """Create the price of an item in one currency and period; sends item_price_created.

    `accounting_detail` (sku, accounting_code, accounting_category1..4) is left out when nobody filled it in.
    """
    item = site.get("item", item_id)
    _require_new(site, "item_price", item_price_id)
    item_price: Resource = {
        "id": item_price_id,
        "name": item_price_id,
        "item_family_id": item["item_family_id"],
        "item_id": item_id,
        "item_type": item["type"],
        "status": "active",
        "external_name": item["name"],
        "pricing_model": pricing_model,
        "price": price_minor,
        "currency_code": currency,
        "is_taxable": True,
        "free_quantity": 0,
        "channel": "web",
        "created_at": site.clock.now(),
        "deleted": False,
        "object": "item_price",
    }
    if period_unit is not None:
        item_price.update(period=1, period_unit=period_unit)
    if accounting_detail:
        item_price["accounting_detail"] = {**accounting_detail, "object": "accounting_detail"}
    site.add("item_price", item_price)
    site.emit("item_price_created", {"item_price": item_price})
    return item_price


def create_plan_or_addon(site: Site, kind: str, resource_id: str, members: Mapping[str, Any]) -> Resource:
    """Create a plan or an addon of a Product Catalog 1.0 site; sends plan_created or addon_created."""
    require_catalog(site, "1.0")
    _require_new(site, kind, resource_id)
    resource: Resource = {
        "id": resource_id,
        "name": resource_id,
        "status": "active",
        "pricing_model": "per_unit",
        "currency_code": site.settings.base_currency,
        "period": 1,
        "period_unit": "month",
        "taxable": True,
        "channel": "web",
        "object": kind,
        **members,
    }
    site.add(kind, resource)
    site.emit(f"{kind}_created", {kind: resource})
    return resource


def create_coupon(site: Site, coupon_id: str, members: Mapping[str, Any]) -> Resource:
    """Create a coupon; sends coupon_created. Coupons have no accounting fields."""
    _require_new(site, "coupon", coupon_id)
    coupon: Resource = {
        "id": coupon_id,
        "name": coupon_id,
        "apply_on": "invoice_amount",
        "duration_type": "forever",
        "status": "active",
        "redemptions": 0,
        "created_at": site.clock.now(),
        "object": "coupon",
        **members,
    }
    site.add("coupon", coupon)
    site.emit("coupon_created", {"coupon": coupon})
    return coupon


def create_subscription(
    site: Site, customer_id: str, subscription_id: str, members: Mapping[str, Any], *, announce: bool = True
) -> Resource:
    """Create a subscription without its invoice; the caller announces it together with the invoice when asked to.

    `members` may hold custom fields, which stand flat on the subscription (`cf_cost_center`).
    """
    site.get("customer", customer_id)
    _require_new(site, "subscription", subscription_id)
    now = site.clock.now()
    subscription: Resource = {
        "id": subscription_id,
        "billing_period": 1,
        "billing_period_unit": "month",
        "customer_id": customer_id,
        "status": "active",
        "created_at": now,
        "started_at": now,
        "activated_at": now,
        "has_scheduled_changes": False,
        "channel": "web",
        "deleted": False,
        "object": "subscription",
        "currency_code": site.settings.base_currency,
        "due_invoices_count": 0,
        "mrr": 0,
        **members,
    }
    site.add("subscription", subscription)
    if announce:
        site.emit("subscription_created", {"subscription": subscription, "customer": site.get("customer", customer_id)})
    return subscription


def update_subscription(site: Site, subscription_id: str, members: Mapping[str, Any]) -> Resource:
    """Change a subscription without billing anything; sends subscription_changed. A custom field of None is emptied."""
    subscription = site.get("subscription", subscription_id)
    if subscription["deleted"]:
        raise invalid_state("The subscription is deleted.")
    subscription.update(members)
    for emptied in [name for name, value in subscription.items() if value is None]:
        del subscription[emptied]
    site.touch(subscription)
    site.emit(
        "subscription_changed", {"subscription": subscription, "customer": site.get("customer", subscription["customer_id"])}
    )
    return subscription
