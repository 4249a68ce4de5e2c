"""Coupon sets and their codes: each code is good for one subscription, and the events of both do not name the codes."""

from collections.abc import Sequence
from typing import Any

from .errors import ApiError, invalid_state, missing
from .site import Resource, Site


def create_coupon_set(site: Site, set_id: str, coupon_id: str, name: str) -> Resource:
    """Create a set without codes for a coupon; sends coupon_set_created with the coupon and the set."""
    if not name:
        raise missing("name")
    coupon = site.get("coupon", coupon_id)
    if set_id in site.collections["coupon_set"]:
        raise _duplicate("id", set_id)
    coupon_set: Resource = {
        "id": set_id,
        "coupon_id": coupon_id,
        "name": name,
        "total_count": 0,
        "redeemed_count": 0,
        "archived_count": 0,
        "object": "coupon_set",
    }
    site.add("coupon_set", coupon_set)
    site.emit("coupon_set_created", {"coupon": coupon, "coupon_set": shown("coupon_set", coupon_set)})
    return coupon_set


def add_coupon_codes(site: Site, set_id: str, codes: Sequence[str]) -> Resource:
    """Add codes, which no other set of the site may have; sends coupon_codes_added, which does not say which they are."""
    coupon_set = site.get("coupon_set", set_id)
    for code in codes:
        if not code or len(code) > 50:
            raise ApiError(400, "param_wrong_value", "code : has 1 to 50 characters", param="code")
        if code in site.collections["coupon_code"]:
            raise _duplicate("code", code)
    for code in codes:
        belongs = {"coupon_set_id": set_id, "coupon_id": coupon_set["coupon_id"], "coupon_set_name": coupon_set["name"]}
        site.add("coupon_code", {"id": code, "code": code, "status": "not_redeemed", **belongs})
    _announce(site, coupon_set, "coupon_codes_added")
    return coupon_set


def archive_code(site: Site, code: str) -> Resource:
    """Make a code that was not used inactive; sends coupon_codes_updated."""
    found = site.get("coupon_code", code)
    if found["status"] != "not_redeemed":
        raise invalid_state(f"The coupon code {code} is {found['status']}.")
    found["status"] = "archived"
    _announce(site, site.get("coupon_set", found["coupon_set_id"]), "coupon_codes_updated")
    return found


def delete_unused_codes(site: Site, set_id: str) -> Resource:
    """Delete the codes of a set that were not used; sends coupon_codes_deleted."""
    coupon_set = site.get("coupon_set", set_id)
    for each in [each for each in site.all("coupon_code") if each["coupon_set_id"] == set_id]:
        if each["status"] != "redeemed":
            del site.collections["coupon_code"][each["id"]]
    _announce(site, coupon_set, "coupon_codes_deleted")
    return coupon_set


def redeem(site: Site, code: str, coupon_id: str, subscription_id: str | None) -> None:
    """Use a code for a subscription, or for one invoice without one; refuses a code of another coupon, and one that is used."""
    found = site.get("coupon_code", code)
    coupon_set = site.get("coupon_set", found["coupon_set_id"])
    if coupon_set["coupon_id"] != coupon_id:
        raise ApiError(400, "param_wrong_value", f"The coupon code {code} does not belong to {coupon_id}", param="coupon_ids")
    if found["status"] == "redeemed" and subscription_id is not None and found.get("redeemed_by") == subscription_id:
        return
    if found["status"] != "not_redeemed":
        raise ApiError(400, "resource_limit_exhausted", f"The coupon code {code} is {found['status']}", param="coupon_ids")
    found["status"], found["redeemed_by"] = "redeemed", subscription_id
    _count(site, coupon_set)


def shown(kind: str, resource: Resource) -> dict[str, Any]:
    """A set or a code as Chargebee shows it: neither has a version, and a code has no id but itself."""
    if kind == "coupon_code":
        names = ("code", "coupon_id", "coupon_set_id", "coupon_set_name", "status")
        return {**{name: resource[name] for name in names}, "object": "coupon_code"}
    return {name: value for name, value in resource.items() if name not in ("resource_version", "updated_at")}


def _announce(site: Site, coupon_set: Resource, event_type: str) -> None:
    _count(site, coupon_set)
    coupon = site.get("coupon", coupon_set["coupon_id"])
    site.emit(event_type, {"coupon": coupon, "coupon_set": shown("coupon_set", coupon_set)})


def _count(site: Site, coupon_set: Resource) -> None:
    states = [each["status"] for each in site.all("coupon_code") if each["coupon_set_id"] == coupon_set["id"]]
    coupon_set.update(total_count=len(states), redeemed_count=states.count("redeemed"), archived_count=states.count("archived"))


def _duplicate(param: str, value: str) -> ApiError:
    return ApiError(400, "duplicate_entry", f"The value {value} is already present.", param=param)
