"""The pen the month is written with: dates, lines, invoices and payments, all drawn from one seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from simulators.chargebee.invoices import InvoiceSpec
from simulators.chargebee.pricing import Coupon, LineSpec

from .people import Channel, Person, Segment, make_person
from .plan import AddCustomer, Bill, Collect, PayByBank, Plan
from .products import BY_ID, TAX_ORIGIN, Product, tax_for

BANK_DAYS = 20
"""Days after the end of the month in which bank payments still come in."""


@dataclass(frozen=True)
class Calendar:
    """Instants of one month in the site's time zone."""

    year: int
    month: int
    zone: ZoneInfo

    @property
    def first(self) -> date:
        """The first day of the month."""
        return date(self.year, self.month, 1)

    @property
    def days(self) -> int:
        """The number of days in the month."""
        return (date(self.year + self.month // 12, self.month % 12 + 1, 1) - self.first).days

    def at(self, day: int, hour: int = 9, minute: int = 0, second: int = 0) -> int:
        """The instant of a local time; day 0 and below lie in the month before, days beyond the end in the next."""
        on = self.first + timedelta(days=day - 1)
        return int(datetime(on.year, on.month, on.day, hour, minute, second, tzinfo=self.zone).timestamp())

    def day_of(self, at: int) -> int:
        """The day number of an instant, counted from the first of this month."""
        return (datetime.fromtimestamp(at, self.zone).date() - self.first).days + 1

    def term_end(self, start: int, unit: str) -> int:
        """The instant at which the next term starts: the same local time a month or a year later."""
        local = datetime.fromtimestamp(start, self.zone)
        months = local.year * 12 + local.month - 1 + (1 if unit == "month" else 12)
        year, month = divmod(months, 12)
        last = (date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
        return int(local.replace(year=year, month=month + 1, day=min(local.day, last)).timestamp())


@dataclass
class Scenario:
    """A plan in the making together with what has to be remembered while it is made."""

    rng: random.Random
    plan: Plan
    calendar: Calendar
    people: int = 0
    bills: int = 0
    sums: dict[str, set[int]] = field(default_factory=dict)
    """Per customer the sums of lines that were billed, in minor units."""

    joined: set[str] = field(default_factory=set)
    _rates: list[str] = field(default_factory=list)

    def moment(self, first_day: int, last_day: int) -> int:
        """A drawn instant within office and evening hours of these days."""
        day = self.rng.randint(first_day, last_day)
        return self.calendar.at(day, self.rng.randint(7, 21), self.rng.randrange(60), self.rng.randrange(60))

    def person(self, segment: Segment, channel: Channel) -> Person:
        """A customer made for one case, so that nothing else happens on its account."""
        self.people += 1
        return make_person(self.rng, segment, 1_000 + self.people, channel)

    def usd_rate(self, at: int) -> str:
        """Euros for a dollar on the day of an instant: a drawn walk around 0.92 with four decimals."""
        if not self._rates:
            basis_points = 9_200
            for _ in range(self.calendar.days + 70):
                basis_points += self.rng.randint(-35, 35)
                self._rates.append(str(Decimal(basis_points) / 10_000))
        return self._rates[self.calendar.day_of(at) + 30]

    def line(
        self,
        person: Person,
        item_price_id: str,
        start: int,
        *,
        quantity: int = 1,
        unit_amount_minor: int | None = None,
        end: int | None = None,
        description: str | None = None,
    ) -> LineSpec:
        """A line that sells a product to a customer, with the tax that belongs to both."""
        product = BY_ID[item_price_id]
        tax, exemption = tax_for(person.country, business=person.business, group=product.tax_group)
        ends = end
        if ends is None and product.period_unit is not None:
            ends = self.calendar.term_end(start, product.period_unit)
        return LineSpec(
            entity_type=product.entity_type,
            entity_id=item_price_id,
            description=description or product.name,
            unit_amount_minor=product.price_minor if unit_amount_minor is None else unit_amount_minor,
            quantity=quantity,
            date_from=start,
            date_to=ends,
            tax=tax,
            tax_exempt_reason=exemption,
        )

    def bill(
        self,
        person: Person,
        at: int,
        lines: Sequence[LineSpec],
        *,
        why: str,
        collect: bool = False,
        coupons: Sequence[Coupon] = (),
        round_to_minor: int | None = None,
        pending: bool = False,
        date: int | None = None,
        unmapped: bool = False,
        subscribe: bool = False,
    ) -> str:
        """Plan an invoice and, before the first one, its customer; returns the key of the invoice in this plan."""
        self.join(person, at)
        self.bills += 1
        key = f"bill-{self.bills}"
        product = BY_ID.get(lines[0].entity_id or "")
        members: dict[str, Any] = {"tax_origin": TAX_ORIGIN}
        if person.business and self.rng.random() < 0.3:
            members["po_number"] = f"PO-{self.rng.randrange(10_000, 99_999)}"
        spec = InvoiceSpec(
            customer_id=person.id,
            lines=tuple(lines),
            date=date,
            currency=person.currency,
            exchange_rate=self.usd_rate(at) if person.currency == "USD" else "1",
            price_type="tax_inclusive" if product is not None and product.inclusive else "tax_exclusive",
            coupons=coupons,
            net_term_days=person.net_term_days,
            pending=pending,
            round_to_minor=round_to_minor,
            members=members,
            recurring=subscribe,
        )
        subscription = _subscription(product, person, key) if subscribe and product is not None else None
        if subscription is not None:
            spec = InvoiceSpec(**{**spec.__dict__, "subscription_id": subscription["id"]})
        self.plan.add(at, Bill(key, spec, collect=collect, subscription=subscription, why=why, unmapped=unmapped))
        return key

    def join(self, person: Person, at: int) -> None:
        """Plan the sign-up of a customer a minute before an instant, once."""
        if person.id not in self.joined:
            self.joined.add(person.id)
            self.plan.add(at - 60, AddCustomer(person.id, person.members))

    def collect(self, person: Person, key: str, at: int, *, declined: bool = False) -> None:
        """Plan a charge of the customer's card, at the day's own exchange rate."""
        rate = self.usd_rate(at) if person.currency == "USD" else None
        self.plan.add(at, Collect(key, declined=declined, exchange_rate=rate))

    def pay_by_bank(self, key: str, at: int) -> None:
        """Plan a bank payment; one that would come in too late for this play is not made."""
        if self.calendar.day_of(at) <= self.calendar.days + BANK_DAYS:
            self.plan.add(at, PayByBank(key))


def _subscription(product: Product, person: Person, key: str) -> dict[str, Any]:
    return {
        "id": f"{person.id[:10]}{key.removeprefix('bill-')}",
        "billing_period_unit": product.period_unit,
        "currency_code": person.currency,
        "subscription_items": [
            {
                "item_price_id": product.item_price_id,
                "item_type": product.item_type,
                "quantity": 1,
                "unit_price": product.price_minor,
                "amount": product.price_minor,
                "free_quantity": 0,
                "object": "subscription_item",
            }
        ],
    }
