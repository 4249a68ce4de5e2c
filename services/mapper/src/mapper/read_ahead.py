"""What deciding about facts will ask of the store, as far as the facts themselves say, so that it can be read in one go.

Nothing hangs on its being complete: what is not named here is read when it is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from contracts import chargebee, facts
from contracts.commands import PostEntry, SaveAccount
from contracts.coupon_codes import CouponCode
from contracts.envelope import Message
from mapper.subjects import kind_of


@dataclass(slots=True)
class Wanted:
    """Names, by site and kind; `documents` are those whose bookings are asked for, `commands` the ids of posted entries."""

    resources: defaultdict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    documents: defaultdict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    waited_for: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    customers: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    account_refs: set[str] = field(default_factory=set)
    commands: set[str] = field(default_factory=set)


def wanted_by(messages: Iterable[Message]) -> Wanted:
    """Return what some messages will ask for."""
    wanted = Wanted()
    for message in messages:
        if isinstance(message, facts.Observed):
            _of_observed(message, wanted)
        elif isinstance(message, facts.EntryPosted | facts.EntryRefused):
            wanted.commands.add(message.command_id)
            wanted.waited_for[message.document.site].add(f"booked:{message.document.number}")
        elif isinstance(message, PostEntry | facts.DocumentPlanned):
            wanted.documents[message.document.site, message.document.kind].add(message.document.number)
        elif isinstance(message, SaveAccount | facts.AccountSaved | facts.AccountRefused):
            wanted.account_refs.add(message.customer_ref)
    return wanted


def _of_observed(fact: facts.Observed, wanted: Wanted) -> None:
    resource = getattr(fact, "resource", None)
    if not isinstance(resource, chargebee.Wire):
        return
    site, stored_as = fact.site, fact.TYPE.split(".")[1]
    identity: str = getattr(resource, "id", "")
    wanted.resources[site, stored_as].add(identity)
    if isinstance(resource, chargebee.Document):
        wanted.documents[site, stored_as].add(identity)
        wanted.waited_for[site].add(f"{stored_as}:{identity}")
        _of_payer(site, resource.customer_id, wanted)
        wanted.resources[site, "coupon_code"].update(each.coupon_set_code for each in resource.discounts if each.coupon_set_code)
        wanted.resources[site, "item_price"].update(line.entity_id for line in resource.line_items if line.entity_id)
    elif isinstance(resource, chargebee.Transaction):
        wanted.documents[site, kind_of(resource)].add(identity)
        wanted.documents[site, "exchange_difference"].add(identity)
        _of_payer(site, resource.customer_id, wanted)
        _name(wanted, site, "invoice", [linked.invoice_id for linked in resource.linked_invoices])
        _name(wanted, site, "credit_note", [linked.cn_id for linked in resource.linked_credit_notes])
    elif isinstance(resource, chargebee.Customer):
        wanted.customers[site].add(identity)
        wanted.account_refs.add(f"{site}/{identity}")
    elif isinstance(resource, chargebee.ItemPrice | chargebee.CatalogProduct):
        wanted.waited_for[site].add(f"product:{identity}")
    elif isinstance(resource, CouponCode):
        wanted.waited_for[site].add(f"coupon_code:{identity}")
    elif isinstance(resource, chargebee.Subscription):
        wanted.waited_for[site].add(f"subscription:{identity}")
    if isinstance(resource, chargebee.CreditNote):
        wanted.resources[site, stored_as].add(resource.number)
        _name(wanted, site, "invoice", [resource.reference_invoice_id])


def _of_payer(site: str, customer_id: str | None, wanted: Wanted) -> None:
    if customer_id:
        wanted.resources[site, "customer"].add(customer_id)
        wanted.account_refs.add(f"{site}/{customer_id}")


def _name(wanted: Wanted, site: str, kind: str, identities: list[str | None]) -> None:
    """Name documents of which both the resource and the bookings are asked for."""
    known = {identity for identity in identities if identity}
    wanted.resources[site, kind] |= known
    wanted.documents[site, kind] |= known
