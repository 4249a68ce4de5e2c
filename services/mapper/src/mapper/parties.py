"""A Chargebee customer as booking sees him: what decides on his debtor account, and how he is to pay."""

from __future__ import annotations

from bookkeeping.debtors import Debtor, Terms
from bookkeeping.vat import vat_number_of
from contracts import chargebee
from mapper.translate import country_of

AUTO_COLLECTION = {"on": True, "off": False}
NO_PREFERENCE = "no_preference"


def debtor_of(customer: chargebee.Customer) -> Debtor:
    """Return what a customer is to the rules for debtor accounts: as he stands now, not as one document has him.

    Exact books all documents of a customer on the one debtor account of his, so a customer with documents in two currencies has
    one of them, too: that of the currency he prefers.
    """
    country = country_of(customer.billing_address)
    number = vat_number_of(customer.vat_number, country) if customer.vat_number_status != "invalid" else None
    is_business = number is not None or customer.business_customer_without_vat_number
    return Debtor(
        currency=customer.preferred_currency_code,
        country=country,
        kind="business" if is_business else "consumer",
    )


def terms_of(customer: chargebee.Customer | None, net_term_days: int | None = None) -> Terms:
    """Return how a customer is to pay; the days are an invoice's own where it is given, as the customer's may have changed."""
    if customer is None:
        return Terms(net_term_days=net_term_days)
    method = customer.offline_payment_method
    return Terms(
        net_term_days=customer.net_term_days if net_term_days is None else net_term_days,
        auto_collection=AUTO_COLLECTION.get(customer.auto_collection or ""),
        method=None if method == NO_PREFERENCE else method,
    )
