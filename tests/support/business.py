"""What happens in a company's days: a few customers, and everything that the years of `payment_years` know, and some more."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from support.chargebee_shop import VAT_21
from support.payment_years import Year
from support.virtual_time import WorldClock

from simulators.chargebee import catalogue, invoices
from simulators.chargebee.errors import ApiError
from simulators.chargebee.pricing import LineSpec, Tax
from simulators.chargebee.site import Resource
from simulators.exact.periods import is_open, period_of
from simulators.exact.world import Division

if TYPE_CHECKING:
    from support.simulation import World

DAY_SECONDS = 86_400
DIVISION = 100002
VAT_9 = Tax("BTW laag", "9", "NL", "Netherlands")


class _Seen:
    """The world as `payment_years` knows it."""

    def __init__(self, world: World) -> None:
        self.site = world.shop
        self.clock: WorldClock = world.clock
        self.writer = self  # it asks the writer's stage for the server
        self.server = world.exact

    @property
    def exact(self) -> Division:
        """The administration."""
        return self.server.simulator.world.divisions[DIVISION]


class Customer(Year):
    """One customer, with what the years do not know."""

    def __init__(self, seed: int, world: World) -> None:
        super().__init__(seed, _Seen(world))  # type: ignore[arg-type]  # what is used of it

    async def happens(self) -> str:
        """Let one thing happen and name it; what Chargebee refuses did not happen."""
        more: list[Callable[[], Any]] = [
            self.backdate,
            self.void,
            self.delete,
            self.pend,
            self.rename,
            self.bill_unmapped,
            self.bill,
            self.pay_by_card,
        ]
        chosen = self.luck.choice([self.step, self.step, *more])
        try:
            happening = chosen()
            if happening is not None and asyncio.iscoroutine(happening):
                await happening
        except ApiError as refusal:
            return f"{chosen.__name__} refused: {refusal}"
        return chosen.__name__

    async def receive(self, amount_minor: int, text: str, account: str = "1300") -> None:
        """Money comes in at the bank; a bookkeeper waits with it while its period is closed."""
        try:
            await super().receive(amount_minor, text, account)
        except AssertionError as refused:
            if "afgesloten" not in str(refused):
                raise

    def _untouched(self) -> list[dict[str, Any]]:
        return [each for each in self.due() if each["amount_due"] == each["total"] and not each["linked_payments"]]

    def backdate(self) -> None:
        """Invoice something with a date up to two months ago, in a closed period perhaps."""
        line = LineSpec("plan_item_price", "Plan", self.luck.choice((1_999, 7_250)), "Plan-EUR-Monthly", tax=VAT_21)
        date = self.world.site.clock.now() - self.luck.randint(1, 60) * DAY_SECONDS
        invoices.create_invoice(self.world.site, invoices.InvoiceSpec(self.customer_id, (line,), date=date, net_term_days=14))

    def bill_unmapped(self) -> None:
        """Invoice something at a rate of VAT that no rule is there for."""
        if self.luck.random() < 0.6:
            return
        line = LineSpec("plan_item_price", "Plan", 3_000, "Plan-EUR-Monthly", tax=VAT_9)
        invoices.create_invoice(self.world.site, invoices.InvoiceSpec(self.customer_id, (line,), net_term_days=14))

    def void(self) -> None:
        """Void an invoice of which nothing was paid."""
        if found := self._untouched():
            invoices.void_invoice(self.world.site, self.luck.choice(found)["id"], reason="Other")

    def delete(self) -> None:
        """Delete an invoice of which nothing was paid."""
        if found := self._untouched():
            invoices.delete_invoice(self.world.site, self.luck.choice(found)["id"])

    def pend(self) -> None:
        """Close the invoice that is pending, or make one."""
        site = self.world.site
        for each in self.invoices():
            if each["status"] == "pending" and not each["deleted"]:
                invoices.close_pending(site, each["id"])
                return
        line = LineSpec("plan_item_price", "Plan", 12_345, "Plan-EUR-Monthly", tax=VAT_21, quantity=2)
        invoices.create_invoice(site, invoices.InvoiceSpec(self.customer_id, (line,), pending=True, net_term_days=14))

    def rename(self) -> None:
        """Move to another street."""
        street = f"Kerkstraat {self.luck.randint(2, 900)}"
        address = {"line1": street, "city": "Utrecht", "zip": "3511 AB", "country": "NL"}
        catalogue.update_customer(self.world.site, self.customer_id, {"billing_address": address})


class Knowledge:
    """What the world itself knows of why a document may be held."""

    def __init__(self, world: World, *, holds_closed_periods: bool) -> None:
        self._site, self._holds = world.shop, holds_closed_periods
        self._division: Division = world.exact.simulator.world.divisions[DIVISION]

    def reasons(self, source: Resource, at: int) -> frozenset[str]:
        """The reasons that a booking of this invoice, credit note or transaction may be held for which is dated then."""
        found = set()
        if self._is_unmapped(source):
            found.add("no_vat_code")
        if self._holds and self._is_closed(at):
            found.add("period_closed")
        return frozenset(found)

    def _is_unmapped(self, source: Resource) -> bool:
        rates = {line["tax_rate"] for line in source.get("line_items", ())}
        return not rates <= {0, 21, None}

    def _is_closed(self, at: int) -> bool:
        day = datetime.fromtimestamp(at, ZoneInfo("Europe/Amsterdam"))
        found = period_of(self._division, datetime(day.year, day.month, day.day))  # noqa: DTZ001 - as Exact has them
        return found is None or not is_open(self._division, "70", *found)


class Business:
    """Customers to whom something happens now and then."""

    def __init__(self, world: World, customers: int) -> None:
        self.world = world
        self.luck = random.Random(f"business {world.seed}")
        self.customers = [Customer(world.seed * 1_000 + number, world) for number in range(customers)]

    async def run(self, days: float, happenings: int) -> None:
        """Let so much happen within so many days, in bursts and at night as well."""
        instants = sorted(self.luck.random() * days * DAY_SECONDS for _ in range(happenings))
        for instant in instants:
            if self.luck.random() < 0.7:  # otherwise at once with the one before
                await asyncio.sleep(max(0.0, instant - self.world.clock.monotonic()))
            customer = self.luck.choice(self.customers)
            name = await customer.happens()
            self.world.note(f"{customer.customer_id} {name}")
