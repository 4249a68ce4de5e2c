"""The cases that every month contains, each on a customer of its own."""

from simulators.chargebee.pricing import LineSpec

from .people import Channel, Person, Segment
from .plan import ChangeCustomer, ClosePending, Credit, Refund, UseCredit
from .products import AUTUMN, UNMAPPED_ITEM_PRICE, USERS, WELCOME
from .scenario import Scenario

HOUR, DAY = 3_600, 86_400


def write_cases(scenario: Scenario) -> None:
    """Write all of them into the plan; later drawn invoices only add to these."""
    _closed_period(scenario)
    _unmapped_product(scenario)
    _pending(scenario)
    _adjustments(scenario)
    _refundable(scenario)
    _credit_used_for_next_invoice(scenario)
    _coupons(scenario)
    _rounding(scenario)
    _proration(scenario)
    _midnight(scenario)
    _declined_cards(scenario)


def _settle(scenario: Scenario, person: Person, key: str, at: int) -> None:
    """Let the invoice be paid in the customer's own way."""
    if person.channel == "online":
        scenario.collect(person, key, at + 2 * HOUR)
    else:
        scenario.pay_by_bank(key, at + 11 * DAY)


def _closed_period(scenario: Scenario) -> None:
    person = scenario.person("nl-b2b", "bank")
    at = scenario.calendar.at(5, 10, 15)
    date = scenario.calendar.at(-2, 10, 15)
    lines = [scenario.line(person, "Team-EUR-Monthly", date, quantity=2)]
    why = "dated in the period that was closed before the month began"
    key = scenario.bill(person, at, lines, why=why, date=date)
    scenario.pay_by_bank(key, scenario.calendar.at(21, 8))


def _unmapped_product(scenario: Scenario) -> None:
    person = scenario.person("nl-b2b", "bank")
    at = scenario.calendar.at(13, 11, 30)
    lines = [scenario.line(person, "Starter-EUR-Monthly", at), scenario.line(person, UNMAPPED_ITEM_PRICE, at)]
    scenario.bill(person, at, lines, why=f"no rule says where {UNMAPPED_ITEM_PRICE} is booked", unmapped=True)


def _pending(scenario: Scenario) -> None:
    for number, segment in enumerate(_segments("nl-b2b", "nl-b2b", "de-b2b", "fr-b2b", "nl-b2b")):
        person = scenario.person(segment, "bank")
        at = scenario.calendar.at(4 + 2 * number, 9, 20)
        lines = [scenario.line(person, "Business-EUR-Monthly", at)]
        why = "still pending at the end" if number == 4 else "was pending and closed later"
        key = scenario.bill(person, at, lines, why=why, pending=True)
        if number == 4:
            continue
        closes = at + 8 * DAY
        extra = [scenario.line(person, "ExtraUser-EUR-Monthly", closes, quantity=3 + number)] if number < 2 else []
        scenario.plan.add(closes, ClosePending(key, extra))
        if number > 0:
            scenario.pay_by_bank(key, closes + 9 * DAY)


def _segments(*segments: Segment) -> tuple[Segment, ...]:
    return segments


def _adjustments(scenario: Scenario) -> None:
    shares = (1_000, 1_000, 1_000, 333, 500)
    for number, segment in enumerate(_segments("nl-b2b", "de-b2b", "us-eur", "nl-b2b", "fr-b2b")):
        person = scenario.person(segment, "bank")
        at = scenario.calendar.at(6 + 3 * number, 14, 5)
        lines = [
            scenario.line(person, "Team-EUR-Monthly", at),
            scenario.line(person, "ExtraUser-EUR-Monthly", at, quantity=number + 1),
        ]
        key = scenario.bill(person, at, lines, why="credited while unpaid")
        credit = Credit(f"credit-a{number}", key, "adjustment", shares[number], "Order Cancellation")
        scenario.plan.add(at + 5 * DAY, credit)


def _refundable(scenario: Scenario) -> None:
    cases: tuple[tuple[Segment, str, int, bool], ...] = (
        ("nl-b2b", "Business-EUR-Monthly", 1_000, True),
        ("nl-b2c", "Family-EUR-Monthly", 1_000, True),
        ("de-b2c", "Home-EUR-Yearly", 1_000, True),
        ("fr-b2c", "Home-EUR-Monthly", 1_000, True),
        ("us-usd", "Team-USD-Monthly", 1_000, True),
        ("nl-b2b", "Team-EUR-Yearly", 750, True),
        ("fr-b2b", "Business-EUR-Monthly", 400, True),
        ("nl-b2c", "Family-EUR-Monthly", 500, False),
        ("nl-b2b", "Team-EUR-Monthly", 1_000, False),
    )
    for number, (segment, product, per_mille, refunded) in enumerate(cases):
        person = scenario.person(segment, "online")
        at = scenario.calendar.at(2 + 2 * number, 16, 40)
        key = scenario.bill(
            person, at, [scenario.line(person, product, at)], why="paid and credited later", collect=True, subscribe=True
        )
        credit_key = f"credit-r{number}"
        credited = at + 4 * DAY
        scenario.plan.add(credited, Credit(credit_key, key, "refundable", per_mille))
        if refunded:
            scenario.plan.add(credited + HOUR, Refund(credit_key))


def _credit_used_for_next_invoice(scenario: Scenario) -> None:
    person = scenario.person("nl-b2b", "online")
    at = scenario.calendar.at(3, 12, 10)
    first = scenario.bill(
        person, at, [scenario.line(person, "Team-EUR-Monthly", at)], why="paid and partly credited", collect=True
    )
    scenario.plan.add(at + 3 * DAY, Credit("credit-u0", first, "refundable", 250))
    later = at + 14 * DAY
    lines = [scenario.line(person, "Workshop-EUR", later)]
    second = scenario.bill(person, later, lines, why="partly paid with an earlier credit note")
    scenario.plan.add(later + 60, UseCredit("credit-u0", second))
    scenario.collect(person, second, later + HOUR)


def _coupons(scenario: Scenario) -> None:
    handbook, users = "Handbook-EUR", "ExtraUser-EUR-Monthly"
    cases = (
        (("Team-EUR-Monthly", 1), (handbook, 3), (AUTUMN,)),
        (("Business-EUR-Monthly", 1), (handbook, 1), (AUTUMN,)),
        (("Starter-EUR-Monthly", 1), (handbook, 1), (WELCOME,)),
        (("Team-EUR-Monthly", 1), (users, 7), (WELCOME,)),
        (("Team-EUR-Monthly", 1), (users, 3), (USERS,)),
        (("Team-EUR-Monthly", 2), (users, 11), (USERS, AUTUMN)),
    )
    for number, (first, second, coupons) in enumerate(cases):
        channel: Channel = "online" if number % 2 else "bank"
        person = scenario.person("nl-b2b", channel)
        at = scenario.calendar.at(5 + 3 * number, 10, 50)
        lines = [scenario.line(person, item, at, quantity=quantity) for item, quantity in (first, second)]
        key = scenario.bill(person, at, lines, why="with a coupon", coupons=coupons)
        _settle(scenario, person, key, at)


def _rounding(scenario: Scenario) -> None:
    """Totals rounded to whole euros, and lines whose taxes do not add up to the tax on their sum."""
    for number, quantity in enumerate((1, 2, 3)):
        person = scenario.person("nl-b2b", "bank")
        at = scenario.calendar.at(8 + 4 * number, 13, 30)
        lines = [scenario.line(person, "Storage-EUR-Monthly", at, quantity=quantity)]
        key = scenario.bill(person, at, lines, why="total rounded to whole euros", round_to_minor=100)
        _settle(scenario, person, key, at)
    for number, country in enumerate(_segments("nl-b2b", "nl-b2b")):
        person = scenario.person(country, "online")
        at = scenario.calendar.at(9 + 5 * number, 9, 45)
        lines = [scenario.line(person, "Audit-EUR", at), scenario.line(person, "ExtraUser-EUR-Monthly", at)]
        key = scenario.bill(person, at, lines, why="line taxes add up to a cent more than the tax on the sum")
        _settle(scenario, person, key, at)


def _proration(scenario: Scenario) -> None:
    """An upgrade in the middle of a term: the new plan, less the unused part of the old one; once at another rate."""
    for number, old in enumerate(("Starter-EUR-Monthly", "Team-EUR-Monthly", "Team-EUR-Monthly", "Magazine-EUR-Monthly")):
        channel: Channel = "bank" if number % 2 else "online"
        person = scenario.person("nl-b2b", channel)
        start = scenario.calendar.at(3 + number, 11)
        first = scenario.bill(person, start, [scenario.line(person, old, start)], why="before an upgrade", subscribe=True)
        _settle(scenario, person, first, start)
        at = scenario.calendar.at(17 + number, 11)
        end = scenario.calendar.term_end(start, "month")
        old_line = scenario.line(person, old, at, end=end)
        unused = -(old_line.unit_amount_minor * (end - at) // (end - start))
        lines = [
            scenario.line(person, "Business-EUR-Monthly", at, end=end),
            LineSpec(
                **{
                    **old_line.__dict__,
                    "unit_amount_minor": unused,
                    "description": f"{old_line.description} - Prorated Credits",
                    "proration_mode": "delta",
                }
            ),
        ]
        key = scenario.bill(person, at, lines, why="upgrade with a negative line for unused time")
        _settle(scenario, person, key, at)


def _midnight(scenario: Scenario) -> None:
    """Documents whose day, and once whose month, is another one in UTC than in the site's time zone."""
    last = scenario.calendar.days
    moments = (
        (scenario.calendar.at(1, 0, 30), "half past midnight on the first day: the month before in UTC"),
        (scenario.calendar.at(1, 1, 59, 59), "just before midnight UTC ended the month before"),
        (scenario.calendar.at(last - 6, 2, 30), "in the hour that the clock is put back"),
        (scenario.calendar.at(15, 23, 45), "late in the evening"),
        (scenario.calendar.at(last, 23, 30), "half an hour before the month ends"),
        (scenario.calendar.at(last, 23, 59, 59), "the last second of the month"),
    )
    for number, (at, why) in enumerate(moments):
        person = scenario.person("nl-b2c", "online")
        item = ("Home-EUR-Monthly", "Family-EUR-Monthly")[number % 2]
        key = scenario.bill(person, at, [scenario.line(person, item, at)], why=why, collect=number % 3 == 0, subscribe=True)
        if number % 3:
            scenario.collect(person, key, at + 20 * 60)


def _declined_cards(scenario: Scenario) -> None:
    for number, segment in enumerate(_segments("nl-b2c", "de-b2c", "us-usd")):
        person = scenario.person(segment, "online")
        at = scenario.calendar.at(7 + 5 * number, 18, 15)
        item = "Team-USD-Monthly" if person.currency == "USD" else "Family-EUR-Monthly"
        key = scenario.bill(person, at, [scenario.line(person, item, at)], why="card declined at first", subscribe=True)
        scenario.collect(person, key, at + 60, declined=True)
        moved = {**person.members["billing_address"], "line1": "Nieuwe Gracht 7"}
        scenario.plan.add(at + DAY, ChangeCustomer(person.id, {"billing_address": moved}))
        scenario.collect(person, key, at + 2 * DAY)
