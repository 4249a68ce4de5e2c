"""Reads the cases in tests/golden and books them: a document above, its journal below."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from yaml import CSafeLoader

from backbone.configuration import Configuration
from backbone.mapping_configuration import DivisionConfiguration
from bookkeeping.debtors import Debtor, Terms
from bookkeeping.documents import (
    Application,
    CouponUse,
    CreditedLine,
    CreditNote,
    Document,
    DocumentLine,
    Invoice,
    LineDiscount,
    LineTax,
    Payment,
    Payout,
    Product,
    Refund,
    Settlement,
    VatReclaim,
    WithheldTax,
)
from bookkeeping.entries import make_entry, reverse
from bookkeeping.exchange_differences import difference_of
from bookkeeping.journal import Entry, Role
from bookkeeping.mapping import Mapping
from bookkeeping.money import format_minor
from bookkeeping.periods import Period, Periods, month_end
from bookkeeping.placement import place_in_period
from bookkeeping.rejections import Rejection, SetAside, reject
from bookkeeping.roll_forward import movements
from bookkeeping.write_offs import normal_reason, reclaim_day
from mapper.configuration import mapping_of
from mapper.routing import Routing
from mapper.store import Key, Store
from mapper.subjects import Subject

FOLDER = Path(__file__).parent.parent / "golden"
DIVISION = 100001
MONEY = ("payment", "refund", "exchange_difference")


@dataclass(frozen=True)
class Chart:
    """The accounts, the rules and the products of every case."""

    accounts: dict[str, str]
    vat_accounts: dict[str, str]
    mapping: Mapping
    products: dict[str, Product]


@cache
def chart() -> Chart:
    """Read the chart of accounts."""
    data = yaml.load((FOLDER / "chart.yaml").read_text(), CSafeLoader)
    products = [Product(price_id=row["price"], item_id=row["item"], family_id=row["family"]) for row in data["products"]]
    return Chart(
        accounts=data["accounts"],
        vat_accounts=data["vat_accounts"],
        mapping=mapping_of(DIVISION, DivisionConfiguration.model_validate(data["division"])),
        products={product.price_id: product for product in products},
    )


def cases() -> list[tuple[str, dict[str, Any], list[str]]]:
    """Return every booking of every case with its name and the periods that are closed."""
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        if path.name == "chart.yaml":
            continue
        data = yaml.load(path.read_text(), CSafeLoader)
        site = {"site": data["site"]} if "site" in data else {}
        for booking in data["bookings"]:
            _repeat_lines(booking["document"])
        found += [
            (f"{path.stem}-{booking['document']['number']}", {**site, **booking}, data.get("closed", []))
            for booking in data["bookings"]
        ]
    return found


def _repeat_lines(document: dict[str, Any]) -> None:
    """Write out a line that a document has so many `times`."""
    if "lines" in document:
        document["lines"] = [line for line in document["lines"] for _ in range(line.get("times", 1))]


def book(booking: dict[str, Any], closed: list[str]) -> Entry | Rejection | SetAside:
    """Book a case, in the years 2026 and 2027 of which some months are closed."""
    mapping = mapping_with(yaml.safe_dump(booking["with"])) if "with" in booking else chart().mapping
    mapping = replace(mapping, period_policy=booking.get("period_policy", mapping.period_policy))
    document = document_of(booking["document"])
    division = division_of(booking, document) if "site" in booking else DIVISION
    if isinstance(division, Rejection):
        return division
    assert division == booking.get("division", DIVISION)
    made = make_entry(document, mapping, chart().products)
    if not isinstance(made, Entry):
        return made
    if "reversed_on" in booking:
        made = reverse(made, booking["reversed_on"], mapping)
    return place_in_period(made, booking["document"]["number"], months(closed, last_year=2027), mapping)


def division_of(booking: dict[str, Any], document: Document) -> int | Rejection:
    """Return the division that the site of a case sends a document to, or why it has none."""
    data = booking["document"]
    configuration = Configuration.model_validate(
        {"version": 1, "sites": {"acme": site_of(booking)}, "divisions": dict.fromkeys(divisions_of(booking), _section())}
    )

    async def load(_store: Store, _key: Key) -> Subject | None:
        return None

    routing = Routing(configuration, load)
    if data.get("credits"):
        # It follows its invoice, which has the same entity; in tests/integration the invoice is there.
        division = routing.by_entity("acme", data.get("entity"))
        return division if division is not None else reject("route_unknown", document=data["number"], other=data["credits"])
    asked = routing.division_of(cast("Store", _Products()), "acme", document, data.get("entity"), f"invoice {data['number']}")
    return asyncio.run(asked)


class _Products:
    """A store that knows the products of the chart."""

    async def products(self, _site: str, _ids: set[str]) -> dict[str, Product]:
        return chart().products


def site_of(booking: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the Chargebee site that a case comes from."""
    return {"time_zone": "Europe/Amsterdam", "division": DIVISION, **booking.get("site", {})}


def divisions_of(booking: dict[str, Any]) -> set[int]:
    """Return the divisions that the site of a case sends documents to."""
    site = site_of(booking)
    routes = (route["division"] for route in site.get("routes", ()))
    return {site["division"], *site.get("business_entities", {}).values(), *routes}


@cache
def _section() -> dict[str, Any]:
    section: dict[str, Any] = yaml.safe_load((FOLDER / "chart.yaml").read_text())["division"]
    return section


@cache
def mapping_with(settings: str) -> Mapping:
    """Return the mapping of the chart with some of the division's settings as a case has them (YAML)."""
    division = yaml.safe_load((FOLDER / "chart.yaml").read_text())["division"]
    return mapping_of(DIVISION, DivisionConfiguration.model_validate({**division, **yaml.safe_load(settings)}))


def months(closed: list[str], last_year: int = 2026) -> Periods:
    """Return the months from 2026 on."""
    starts = [date(year, month, 1) for year in range(2026, last_year + 1) for month in range(1, 13)]
    return Periods(
        Period(
            year=start.year,
            number=start.month,
            starts=start,
            ends=month_end(start),
            is_open=f"{start.year}-{start.month:02d}" not in closed,
        )
        for start in starts
    )


def minor(amount: str) -> int:
    """Return hundredths, or whole units for an amount without a point, as yens are."""
    return int(Decimal(amount) * 100) if "." in amount else int(amount)


def document_of(data: dict[str, Any]) -> Document:
    """Return the document that a case describes."""
    if data["kind"] in (*MONEY, "payout"):
        return _money_of(data)
    if data["kind"] == "application":
        return _application_of(data)
    if data["kind"] == "tax_withheld":
        return WithheldTax(
            number=data["number"],
            customer_id="CUST1",
            document_date=data["date"],
            currency="EUR",
            amount_minor=minor(data["amount"]),
            invoice=data["of"],
        )
    shared: dict[str, Any] = {
        "number": data["number"],
        "customer_id": "CUST1",
        "document_date": data["date"],
        "currency": data.get("currency", "EUR"),
        "total_minor": minor(data["total"]),
        "tax_minor": minor(data["tax"]),
        "lines": tuple(_line(line, data.get("subscriptions", {})) for line in data["lines"]),
        "round_off_minor": minor(data.get("round_off", "0")),
        "tax_inclusive": data.get("inclusive", False),
        "base_currency": "EUR",
        "exchange_rate": Decimal(data["rate"]) if "rate" in data else None,
        "tax_origin": data.get("tax_origin"),
        "customer_country": data.get("country"),
        "vat_number": data.get("vat_number"),
        "customer_name": data.get("customer", ""),
        "po_number": data.get("po_number"),
        "custom_fields": data.get("custom_fields", {}),
        "debtor": _debtor(data),
    }
    if data["kind"] in ("credit_note", "vat_reclaim"):
        note = CreditNote(
            **shared,
            reference_invoice=data.get("credits"),
            reason=normal_reason(data.get("because")),
            is_adjustment=data.get("type", "adjustment") == "adjustment",
            beside=tuple(_booked(each) for each in data.get("beside", ())),
        )
        if data["kind"] == "credit_note":
            return note
        return VatReclaim(note=note, document_date=reclaim_day(data["due"], note.document_date))
    return Invoice(**shared, due_date=data["date"], terms=Terms(**data.get("terms", {})))


def _booked(data: dict[str, Any]) -> Entry:
    made = make_entry(document_of(data), chart().mapping, chart().products)
    assert isinstance(made, Entry), made
    return made


def _money_of(data: dict[str, Any]) -> Document:
    if data["kind"] == "payout":
        return Payout(
            number=data["number"],
            customer_id="",
            document_date=data["date"],
            currency="EUR",
            amount_minor=minor(data["paid"]),
            gateway_account=data["gateway"],
            fees_minor=minor(data.get("fees", "0.00")),
            fees_tax_minor=minor(data.get("fees_tax", "0.00")),
            chargeback_fees_minor=minor(data.get("chargeback_fees", "0.00")),
            elsewhere=tuple((account, minor(amount)) for account, amount in data.get("elsewhere", {}).items()),
        )
    booked_at = {number: Decimal(rate) for number, rate in data.get("booked_at", {}).items()}
    made = Refund if "refund" in (data["kind"], data.get("of")) else Payment
    money = made(
        number=data["number"],
        customer_id="CUST1",
        document_date=data["date"],
        currency=data.get("currency", "EUR"),
        amount_minor=minor(data["amount"]),
        base_currency="EUR",
        exchange_rate=Decimal(data["rate"]) if "rate" in data else None,
        debtor=_debtor(data),
        gateway_account=data["gateway"],
        settlements=tuple(
            Settlement(number=number, amount_minor=minor(amount), exchange_rate=booked_at.get(number))
            for number, amount in data.get("settles", {}).items()
        ),
    )
    return difference_of(money) if data["kind"] == "exchange_difference" else money


def _application_of(data: dict[str, Any]) -> Document:
    source, target = data["number"].split("/")
    booked_at, own = Decimal(data["booked_at"][target]), Decimal(data["rate"])
    amount_minor = minor(data["amount"])
    return Application(
        number=data["number"],
        customer_id="CUST1",
        document_date=data["date"],
        currency=data["currency"],
        amount_minor=amount_minor,
        source_kind="payment",
        source=source,
        target_kind="invoice",
        target=target,
        debit_minor=int((amount_minor * booked_at).quantize(Decimal(1))),
        credit_minor=int((amount_minor * own).quantize(Decimal(1))),
        debit_rate=booked_at,
        credit_rate=own,
    )


def _debtor(data: dict[str, Any]) -> Debtor | None:
    return Debtor(**data["debtor"]) if "debtor" in data else None


def _line(data: dict[str, Any], subscriptions: dict[str, dict[str, str]]) -> DocumentLine:
    credited = data.get("credited")
    return DocumentLine(
        description=data.get("product", "Charge"),
        entity_type=data.get("type", "plan_item_price"),
        product_id=data.get("product"),
        amount_minor=minor(data["amount"]),
        discounts=_discounts(data),
        taxes=tuple(
            LineTax(
                rate=Decimal(tax["rate"]),
                amount_minor=minor(tax["tax"]),
                taxable_minor=minor(tax["base"]),
                country=tax.get("country"),
            )
            for tax in data.get("taxes", ())
        ),
        exempt_reason=data.get("reason"),
        service_from=data.get("from"),
        service_to=data.get("to"),
        credited=CreditedLine(
            net_minor=minor(credited["net"]),
            service_from=credited["from"],
            service_to=credited["to"],
            released_from=credited.get("released_from"),
            at_once=credited.get("at_once", False),
        )
        if credited
        else None,
        subscription_id=data.get("subscription"),
        subscription_fields=subscriptions.get(data.get("subscription", "")),
    )


def _discounts(data: dict[str, Any]) -> tuple[LineDiscount, ...]:
    """Return the discounts of a line: one of an amount only, or several with their type, coupon, code and its coupon set."""
    if "discount" in data:
        return (LineDiscount(amount_minor=minor(data["discount"])),)
    return tuple(
        LineDiscount(
            amount_minor=minor(each["amount"]),
            type=each.get("type"),
            coupon=each.get("coupon"),
            uses=(CouponUse(code=each.get("code", ""), coupon_set=each.get("set"), is_asked="set" in each),),
        )
        for each in data.get("discounts", ())
    )


def journal(entry: Entry) -> str:
    """Write an entry as a bookkeeper does: debit above credit, VAT on the account that its code stands for."""
    rows = []
    for posting in entry.postings():
        account = posting.account
        if account.startswith("VAT "):
            account = chart().vat_accounts[account.removeprefix("VAT ")]
        side, amount = ("D", posting.debit_minor) if posting.debit_minor else ("C", posting.credit_minor)
        rows.append((side, f"{side}  {account} {chart().accounts[account]:<40}{format_minor(amount, entry.currency):>13}"))
    return "\n".join(row for wanted in "DC" for side, row in rows if side == wanted) + "\n"


def tidy(text: str) -> list[str]:
    """Return the lines of a journal with single blanks."""
    return [" ".join(line.split()) for line in text.strip().splitlines()]


def discount_lines(entry: Entry) -> list[str]:
    """Return the account, amount, VAT code and VAT of each discount line, and how it is released."""
    lines = []
    for line in entry.lines:
        if line.role is Role.DISCOUNT:
            amount, vat = (format_minor(abs(minor), entry.currency) for minor in (line.amount_minor, line.vat_minor))
            period = f" from {line.first} to {line.last}" if line.first is not None else ""
            lines.append(f"{line.account} {amount} VAT {line.vat_code} {vat}{period}")
    return lines


def deferrals(entry: Entry) -> list[str]:
    """Return how each revenue line is released."""
    return [
        f"{format_minor(abs(line.amount_minor), entry.currency)} "
        + (f"from {line.first} to {line.last}" if line.first is not None else "at once")
        for line in entry.lines
        if line.role is Role.REVENUE
    ]


def releases(entry: Entry, booking: dict[str, Any]) -> list[str]:
    """Return what Exact releases of an entry's deferred revenue in each period."""
    method = booking.get("with", {}).get("deferral", {}).get("schedule", "per_period")
    moved = movements(entry, months([], last_year=2027), method)
    return [f"{each.period} {format_minor(each.amount_minor, entry.currency)}" for each in moved if each.kind == "released"]
