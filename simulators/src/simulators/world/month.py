"""A business month from one seed: the cases of `cases` and as many ordinary invoices as are asked for."""

import random
from zoneinfo import ZoneInfo

from simulators.chargebee import catalogue
from simulators.chargebee.pricing import Coupon, LineSpec
from simulators.chargebee.site import Site

from .cases import DAY, HOUR, write_cases
from .people import Person, make_people
from .plan import Plan
from .products import COUPONS, FAMILIES, PRODUCTS
from .scenario import Calendar, Scenario

DEFAULT_YEAR, DEFAULT_MONTH = 2026, 10


def make_month(
    seed: int,
    documents: int = 300,
    *,
    year: int = DEFAULT_YEAR,
    month: int = DEFAULT_MONTH,
    timezone: str = "Europe/Amsterdam",
) -> Plan:
    """Plan a month of at least that many Chargebee documents; the same arguments give the same plan."""
    rng = random.Random(f"month {seed}")
    scenario = Scenario(rng, Plan(year, month), Calendar(year, month, ZoneInfo(timezone)))
    write_cases(scenario)
    people = make_people(rng, max(20, documents // 4))
    turn = 0
    while scenario.plan.documents < documents:
        _ordinary_invoice(scenario, people[turn % len(people)], first=turn < len(people))
        turn += 1
    return scenario.plan


def _ordinary_invoice(scenario: Scenario, person: Person, *, first: bool) -> None:
    """A subscription term for a new customer, or something more for one that is there already."""
    at = scenario.moment(1, 14) if first else scenario.moment(15, scenario.calendar.days)
    lines = _lines(scenario, person, at, first=first)
    collect = person.channel == "online" and scenario.rng.random() < 0.6
    key = scenario.bill(person, at, lines, why="", collect=collect, subscribe=first)
    if person.channel == "online" and not collect:
        scenario.collect(person, key, at + scenario.rng.choice((60, 2 * HOUR, DAY, 2 * DAY)))
    elif person.channel == "bank" and scenario.rng.random() < 0.88:
        scenario.pay_by_bank(key, at + scenario.rng.randint(3, person.net_term_days + 4) * DAY)


def _lines(scenario: Scenario, person: Person, at: int, *, first: bool) -> list[LineSpec]:
    """Lines whose sum this customer has not been billed yet: a receipt of that amount then has one receivable only."""
    while True:
        basket = _basket(scenario.rng, person, first=first)
        lines = [scenario.line(person, item, at, quantity=quantity) for item, quantity in basket]
        net = sum(line.unit_amount_minor * line.quantity for line in lines)
        if person.channel == "online" or net not in scenario.sums.setdefault(person.id, set()):
            scenario.sums.setdefault(person.id, set()).add(net)
            return lines


def _basket(rng: random.Random, person: Person, *, first: bool) -> list[tuple[str, int]]:
    """What is bought: (item price id, quantity) each; quantities vary so that few totals of a customer are equal."""
    some = rng.randint(1, 9)
    if not person.business:
        basket = [(rng.choice(("Home-EUR-Monthly", "Family-EUR-Monthly", "Home-EUR-Yearly")), 1 if first else some)]
        if person.country == "NL" and rng.random() < 0.3:
            basket.append(("Magazine-EUR-Monthly", 1))
        return basket
    if person.currency == "USD":
        plan = rng.choice(("Team-USD-Monthly", "Business-USD-Yearly"))
        return [(plan, 1 if first else some), ("Storage-USD-Monthly", some)]
    if first:
        plan = rng.choice(
            ("Starter-EUR-Monthly", "Team-EUR-Monthly", "Business-EUR-Monthly", "Team-EUR-Yearly", "Business-EUR-Yearly")
        )
        basket = [(plan, 1)]
        if rng.random() < 0.5:
            basket.append(("ExtraUser-EUR-Monthly", some))
    else:
        basket = [(rng.choice(("Onboarding-EUR", "Workshop-EUR", "Audit-EUR", "Storage-EUR-Monthly")), some)]
    if person.country == "NL" and rng.random() < 0.35:
        basket.append((rng.choice(("Handbook-EUR", "Magazine-EUR-Monthly")), rng.randint(1, 5)))
    return basket


def set_up_catalogue(site: Site) -> None:
    """Create families, items, item prices and coupons on a new site."""
    for family_id, name in FAMILIES.items():
        catalogue.create_item_family(site, family_id, name)
    items: set[str] = set()
    for product in PRODUCTS:
        if product.item_id not in items:
            items.add(product.item_id)
            item_id, kind, family = product.item_id, product.item_type, product.family_id
            catalogue.create_item(site, item_id, name=product.name, kind=kind, family_id=family)
        catalogue.create_item_price(
            site,
            product.item_price_id,
            item_id=product.item_id,
            price_minor=product.price_minor,
            currency=product.currency,
            period_unit=product.period_unit,
            accounting_detail={"sku": product.item_id.upper()} if product.item_type == "charge" else None,
        )
    for coupon in COUPONS:
        catalogue.create_coupon(site, coupon.id, _coupon_members(coupon))


def _coupon_members(coupon: Coupon) -> dict[str, object]:
    members: dict[str, object] = {"name": coupon.name, "invoice_name": coupon.name, "apply_on": coupon.apply_on}
    if coupon.percentage is not None:
        members.update(discount_type="percentage", discount_percentage=float(coupon.percentage))
    else:
        members.update(discount_type="fixed_amount", discount_amount=coupon.amount_minor, currency_code="EUR")
    return members
