"""What the company of the business month sells, and the taxes it charges."""

from dataclasses import dataclass
from typing import Literal

from simulators.chargebee.pricing import Coupon, Tax

TaxGroup = Literal["standard", "reduced"]


@dataclass(frozen=True)
class Product:
    """One item price with its item and family; `price_minor` includes VAT for `tax_inclusive` ones."""

    item_price_id: str
    item_id: str
    name: str
    item_type: Literal["plan", "addon", "charge"]
    family_id: str
    price_minor: int
    currency: str = "EUR"
    period_unit: Literal["month", "year"] | None = "month"
    tax_group: TaxGroup = "standard"
    inclusive: bool = False

    @property
    def entity_type(self) -> str:
        """The entity_type of an invoice line that sells it."""
        return f"{self.item_type}_item_price"


FAMILIES = {"platform": "Platform", "services": "Services", "academy": "Academy", "labs": "Labs"}

PRODUCTS = (
    Product("Starter-EUR-Monthly", "starter", "Starter", "plan", "platform", 2_900),
    Product("Team-EUR-Monthly", "team", "Team", "plan", "platform", 9_900),
    Product("Business-EUR-Monthly", "business", "Business", "plan", "platform", 24_900),
    Product("Team-EUR-Yearly", "team", "Team", "plan", "platform", 99_000, period_unit="year"),
    Product("Business-EUR-Yearly", "business", "Business", "plan", "platform", 249_000, period_unit="year"),
    Product("Team-USD-Monthly", "team", "Team", "plan", "platform", 10_900, "USD"),
    Product("Business-USD-Yearly", "business", "Business", "plan", "platform", 274_500, "USD", "year"),
    Product("Home-EUR-Monthly", "home", "Home", "plan", "platform", 349, inclusive=True),
    Product("Family-EUR-Monthly", "family", "Family", "plan", "platform", 1_299, inclusive=True),
    Product("Home-EUR-Yearly", "home", "Home", "plan", "platform", 3_795, period_unit="year", inclusive=True),
    Product("ExtraUser-EUR-Monthly", "extra-user", "Extra user", "addon", "services", 1_250),
    Product("Storage-EUR-Monthly", "storage", "Storage 100 GB", "addon", "services", 795),
    Product("Storage-USD-Monthly", "storage", "Storage 100 GB", "addon", "services", 875, "USD"),
    Product("Onboarding-EUR", "onboarding", "Onboarding", "charge", "services", 45_000, period_unit=None),
    Product("Audit-EUR", "audit", "Security audit", "charge", "services", 3_750, period_unit=None),
    Product("Workshop-EUR", "workshop", "Workshop", "charge", "academy", 32_500, period_unit=None),
    Product("Handbook-EUR", "handbook", "Handbook", "charge", "academy", 4_250, period_unit=None, tax_group="reduced"),
    Product("Magazine-EUR-Monthly", "magazine", "Magazine", "addon", "academy", 1_495, tax_group="reduced"),
    Product("Prototype-EUR-Monthly", "prototype", "Prototype access", "plan", "labs", 7_500),
)
BY_ID = {product.item_price_id: product for product in PRODUCTS}
UNMAPPED_ITEM_PRICE = "Prototype-EUR-Monthly"
"""The product that came up during the month, before anybody told the connector where to book it."""

NL_STANDARD = Tax("BTW", "21", "NL", "Netherlands")
NL_REDUCED = Tax("BTW laag", "9", "NL", "Netherlands")
DE_STANDARD = Tax("MwSt", "19", "DE", "Germany")
FR_STANDARD = Tax("TVA", "20", "FR", "France")

AUTUMN = Coupon("AUTUMN10", "10% off in autumn", percentage=10)
WELCOME = Coupon("WELCOME25", "25 euro welcome", amount_minor=2_500)
USERS = Coupon("USERS20", "20% off extra users", 20, apply_on="each_specified_item", item_price_ids=("ExtraUser-EUR-Monthly",))
COUPONS = (AUTUMN, WELCOME, USERS)

STRIPE_EUR = "gw_AzZlAcmeStripeEUR1"
STRIPE_USD = "gw_AzZlAcmeStripeUSD1"
SELLER_VAT_NUMBER = "NL123456782B90"
TAX_ORIGIN = {"country": "NL", "registration_number": SELLER_VAT_NUMBER}


def tax_for(country: str, *, business: bool, group: TaxGroup) -> tuple[Tax | None, str | None]:
    """The tax of a line and, when there is none, its exemption: the seller is Dutch and registered for OSS."""
    if country == "NL":
        return (NL_STANDARD if group == "standard" else NL_REDUCED), None
    if country == "US":
        return None, "export"
    if business:
        return None, "reverse_charge"
    return (DE_STANDARD if country == "DE" else FR_STANDARD), None
