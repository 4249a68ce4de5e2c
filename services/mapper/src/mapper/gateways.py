"""What each gateway's settlement file says: its rows to payouts. `docs/settlements.md` names the reports and their columns.

Whatever the gateway, a payout adds up: what is in it less the fees is what came to the bank. One that does not is refused.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Final

from bookkeeping.money import decimals_of, format_minor
from contracts.settlements import LineKind, SettledLine
from mapper.settlement_files import SettlementFileError, SettlementRow, day_of, minor_of, read_json, read_rows

_STRIPE: Final = ("automatic_payout_id", "automatic_payout_effective_at", "currency", "gross", "fee", "net", "reporting_category")
_STRIPE_IDS: Final = ("charge_id", "payment_intent_id", "source_id")
_STRIPE_KINDS: Final[Mapping[str, LineKind]] = {
    "charge": "charge",
    "refund": "refund",
    "partial_capture_reversal": "refund",
    "dispute": "chargeback",
    "dispute_reversal": "chargeback",
    "charge_failure": "chargeback",
    "refund_failure": "refund",
    "fee": "fee",
    "network_cost": "fee",
    "tax": "fee",
}
_ADYEN: Final = (
    "Merchant Account",
    "Psp Reference",
    "Creation Date",
    "Type",
    "Net Currency",
    "Net Debit (NC)",
    "Net Credit (NC)",
    "Batch Number",
)
_ADYEN_COSTS: Final = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")
_ADYEN_KINDS: Final[Mapping[str, LineKind]] = {
    "Settled": "charge",
    "Refunded": "refund",
    "Chargeback": "chargeback",
    "SecondChargeback": "chargeback",
    "ChargebackReversed": "chargeback",
    "Fee": "fee",
    "InvoiceDeduction": "fee",
}
_MOLLIE_KINDS: Final[Mapping[str, LineKind]] = {
    "payment": "charge",
    "capture": "charge",
    "refund": "refund",
    "chargeback": "chargeback",
}
_GOCARDLESS: Final = ("id", "amount", "currency", "arrival_date", "transaction_fee_debit")
_GOCARDLESS_MORE: Final = ("app_fee_debit", "transaction_fee_credit", "app_fee_credit")
LONGEST_NUMBER: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPayout:
    """A payout as a file shows it; amounts in minor units, `where` is the file and line that it begins at."""

    number: str
    day: date
    currency: str
    paid_minor: int
    fees_minor: int
    where: str
    fees_tax_minor: int = 0
    lines: tuple[SettledLine, ...] = ()


def stripe(path: Path) -> list[FoundPayout]:
    """Read Stripe's itemized payout reconciliation report: a row for each balance transaction, grouped by payout."""
    payouts: defaultdict[str, list[SettlementRow]] = defaultdict(list)
    rows = read_rows(path, _STRIPE, ("balance_transaction_id", *_STRIPE_IDS))
    _once(rows, "balance_transaction_id")
    # Without that column only a charge is known not to come twice; its refunds may well be of one amount.
    _once(
        [row for row in rows if row.text("reporting_category") == "charge" and not row.text("balance_transaction_id")],
        "charge_id",
    )
    for row in rows:
        number = row.text("automatic_payout_id")
        if number:  # what is not paid out yet has none
            payouts[number].append(row)
    return [_stripe_payout(number, rows) for number, rows in payouts.items()]


def _stripe_payout(number: str, rows: Sequence[SettlementRow]) -> FoundPayout:
    currency = _currency(rows, "currency")
    lines: list[SettledLine] = []
    paid = fees = 0
    told: int | None = None
    for row in rows:
        gross, fee, net = (row.amount_there(name, currency) for name in ("gross", "fee", "net"))
        if gross - fee != net:
            raise row.wrong(f"gross {row.values['gross']} less fee {row.values['fee']} is not net {row.values['net']}")
        category = row.text("reporting_category")
        if category in ("payout", "payout_reversal"):
            told = (told or 0) - net
            continue
        kind = _STRIPE_KINDS.get(category, "other")
        ids = tuple(filter(None, (row.values.get(name) for name in _STRIPE_IDS)))
        paid += net
        fees += fee - gross if kind == "fee" else fee
        if kind != "fee":
            lines.append(SettledLine(kind=kind, ids=ids, amount=gross, fee=fee))
    if told is not None and told != paid:
        sums = tuple(format_minor(amount, currency) for amount in (told, paid))
        raise rows[-1].wrong(f"payout {number} is of {sums[0]}, and its rows add up to {sums[1]}, so some are missing")
    day = rows[0].day("automatic_payout_effective_at")
    return FoundPayout(
        number=number,
        day=day,
        currency=currency,
        paid_minor=paid,
        fees_minor=fees,
        lines=tuple(lines),
        where=f"{rows[0].file}:{rows[0].line}",
    )


def adyen(path: Path) -> list[FoundPayout]:
    """Read Adyen's settlement details report: a batch of a merchant account ends in the row of its MerchantPayout."""
    batches: defaultdict[tuple[str, str], list[SettlementRow]] = defaultdict(list)
    for row in read_rows(path, _ADYEN, ("Modification Reference", *_ADYEN_COSTS)):
        batches[row.text("Merchant Account"), row.text("Batch Number")].append(row)
    return [_adyen_payout(account, batch, rows) for (account, batch), rows in batches.items()]


def _adyen_payout(account: str, batch: str, rows: Sequence[SettlementRow]) -> FoundPayout:
    currency = _currency(rows, "Net Currency")
    ends = [row for row in rows if row.text("Type") == "MerchantPayout"]
    if len(ends) != 1:
        raise rows[-1].wrong(f"batch {batch} has {len(ends)} rows MerchantPayout, and a batch that was paid out has one")
    lines: list[SettledLine] = []
    fees = kept = 0
    for row in rows:
        net = row.amount("Net Credit (NC)", currency) - row.amount("Net Debit (NC)", currency)
        if row is ends[0]:
            continue
        kept += net
        kind = _ADYEN_KINDS.get(row.text("Type"), "other")
        if kind == "fee":
            fees -= net
            continue
        fee = sum(row.amount(name, currency) for name in _ADYEN_COSTS)
        fees += fee
        ids = tuple(filter(None, (row.text("Psp Reference"), row.text("Modification Reference"))))
        lines.append(SettledLine(kind=kind, ids=ids, amount=net + fee, fee=fee))
    paid = ends[0].amount("Net Debit (NC)", currency) - ends[0].amount("Net Credit (NC)", currency)
    if paid != kept:
        told, sum_ = (format_minor(amount, currency) for amount in (paid, kept))
        raise ends[0].wrong(f"batch {batch} pays {told} out, and its rows add up to {sum_}")
    return FoundPayout(
        number=f"{account}-{batch}" if account and batch else "",
        day=ends[0].day("Creation Date"),
        currency=currency,
        paid_minor=paid,
        fees_minor=fees,
        lines=tuple(lines),
        where=f"{rows[0].file}:{rows[0].line}",
    )


def gocardless(path: Path) -> list[FoundPayout]:
    """Read GoCardless's export of payouts: a row for each; it does not say which payments are in them."""
    found = []
    rows = read_rows(path, _GOCARDLESS, _GOCARDLESS_MORE)
    _once(rows, "id")
    for row in rows:
        currency = row.text("currency").upper()
        debits, credited = ("transaction_fee_debit", "app_fee_debit"), ("transaction_fee_credit", "app_fee_credit")
        fees = sum(row.amount(name, currency) for name in debits) - sum(row.amount(name, currency) for name in credited)
        found.append(
            FoundPayout(
                number=row.text("id"),
                day=row.day("arrival_date"),
                currency=currency,
                paid_minor=row.amount_there("amount", currency),
                fees_minor=fees,
                where=f"{row.file}:{row.line}",
            )
        )
    return found


def mollie(path: Path) -> list[FoundPayout]:
    """Read settlements of Mollie's Settlements API as JSON, one or a list, with their payments and refunds beside them or not."""
    data = read_json(path)
    if isinstance(data, dict):
        embedded = data.get("_embedded")
        data = embedded.get("settlements", [data]) if isinstance(embedded, dict) else [data]
    if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
        raise SettlementFileError(f"{path.name} is neither a settlement of Mollie's nor a list of them; nothing was imported.")
    lines = _mollie_lines(data, path.name)
    found = [_mollie_payout(each, lines, path.name) for each in data if each.get("resource") == "settlement"]
    if not found:
        raise SettlementFileError(f"{path.name} has no settlement in it; export the settlement itself, too.")
    return found


def _mollie_lines(data: Sequence[dict[str, Any]], file: str) -> dict[str, list[SettledLine]]:
    """Return the movements beside the settlements, by settlement; raises SettlementFileError for one twice or one of none."""
    currencies = {str(each.get("id")): each.get("amount") for each in data if each.get("resource") == "settlement"}
    lines: defaultdict[str, list[SettledLine]] = defaultdict(list)
    seen: set[str] = set()
    for each in data:
        kind, of = _MOLLIE_KINDS.get(str(each.get("resource"))), str(each.get("settlementId"))
        if kind is None:
            continue
        where = f"{file}, {each.get('resource')} {each.get('id')}"
        if of not in currencies:
            raise SettlementFileError(f"{where}: its settlement {of} is not in the file; export both. Nothing was imported.")
        if str(each.get("id")) in seen:
            raise SettlementFileError(f"{where} stands in the file twice; export it again, nothing was imported.")
        seen.add(str(each.get("id")))
        money, paid = each.get("settlementAmount") or each.get("amount"), currencies[of]
        if not (isinstance(money, dict) and money.get("value") and isinstance(paid, dict)):
            raise SettlementFileError(f"{where} has no settlementAmount; export it again, nothing was imported.")
        if money.get("currency") != paid.get("currency"):
            told = f"is in {money.get('currency')}, and its settlement in {paid.get('currency')}"
            raise SettlementFileError(f"{where} {told}; nothing was imported.")
        lines[of].append(_mollie_line(each, kind, money, where))
    return lines


def _mollie_payout(data: dict[str, Any], lines: Mapping[str, list[SettledLine]], file: str) -> FoundPayout:
    number, where = str(data.get("id") or ""), f"{file}, settlement {data.get('reference') or data.get('id')}"
    try:
        currency, paid = data["amount"]["currency"], data["amount"]["value"]
        months = [month for year in data["periods"].values() for month in year.values()]
        costs = [cost for month in months for cost in month.get("costs") or ()]
        gross = _mollie_sum(costs, "amountGross")
        tax = _mollie_sum([cost for cost in costs if cost.get("amountVat")], "amountVat")
        turnover = [each for month in months for each in month.get("revenue") or ()]
        revenue = _cents(_mollie_sum(turnover, "amountGross"), currency) if turnover else None
        # Costs have four decimals and are paid in cents.
        fees, fees_tax = (_cents(amount, currency) for amount in (gross, tax))
        settled = str(data["settledAt"])
    except (KeyError, TypeError, AttributeError, ArithmeticError, ValueError) as error:
        what = error.args[0] if isinstance(error, KeyError) else "amount, periods, costs or revenue"
        raise SettlementFileError(
            f"{where}: {what} is missing or not as Mollie writes it; export the settlement once it was paid out."
        ) from error
    paid_minor = minor_of(str(paid), currency, where, "amount")
    moved = sum(line.amount for line in lines[number]) if number in lines else revenue
    if revenue is not None and moved != revenue:
        sums = tuple(format_minor(amount, currency) for amount in (moved or 0, revenue))
        raise SettlementFileError(
            f"{where}: the movements in the file add up to {sums[0]}, and its revenue is {sums[1]}, so it is not all of it; "
            "export all its payments, captures, refunds and chargebacks. Nothing was imported."
        )
    if moved is not None and abs(gross.scaleb(decimals_of(currency)) - (moved - paid_minor)) >= 1:
        sums = (*(format_minor(amount, currency) for amount in (paid_minor, moved)), f"{gross.normalize():f}")
        raise SettlementFileError(
            f"{where}: it pays {sums[0]} out, and what is in it is {sums[1]} less costs of {sums[2]}, which is another amount; "
            "export it with all its payments, captures, refunds and chargebacks. Nothing was imported."
        )
    if moved is not None:
        fees = moved - paid_minor  # a cent that the costs were rounded by is kept, too, so that nothing stays behind
    return FoundPayout(
        number=number,
        day=day_of(settled, where),
        currency=currency,
        paid_minor=paid_minor,
        fees_minor=fees,
        fees_tax_minor=fees_tax,
        lines=tuple(lines.get(number, ())),
        where=where,
    )


def _mollie_sum(entries: Sequence[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(each[name]["value"]) for each in entries), Decimal(0))


def _mollie_line(data: dict[str, Any], kind: LineKind, money: dict[str, Any], where: str) -> SettledLine:
    amount = minor_of(str(money["value"]), str(money["currency"]), where, "settlementAmount")
    ids = tuple(str(each) for each in (data.get("id"), data.get("paymentId")) if each)
    return SettledLine(kind=kind, ids=ids, amount=amount if kind == "charge" else -abs(amount))


def _cents(amount: Decimal, currency: str) -> int:
    return int(amount.scaleb(decimals_of(currency)).quantize(Decimal(1), ROUND_HALF_UP))


def _currency(rows: Sequence[SettlementRow], column: str) -> str:
    """Return the one currency of a payout's rows; raises SettlementFileError for several or none."""
    codes = {row.text(column).upper(): row for row in rows if row.text(column)}
    if len(codes) != 1:
        raise rows[0].wrong(f"the payout is in {' and '.join(sorted(codes)) or 'no currency'}, and one payout has one currency")
    return next(iter(codes))


def _once(rows: Sequence[SettlementRow], column: str) -> None:
    """Raise SettlementFileError when two rows are the same movement, which would be counted twice."""
    seen: dict[str, int] = {}
    for row in rows:
        identity = row.text(column)
        if identity and identity in seen:
            raise row.wrong(f"{column} {identity} stands on line {seen[identity]} already")
        seen[identity] = row.line


def read_payouts(gateway: str, path: Path) -> list[FoundPayout]:
    """Read a gateway's file; raises SettlementFileError for one that is not whole, and for a payout that cannot be told apart."""
    found, seen = READERS[gateway](path), set[str]()
    if not found:
        raise SettlementFileError(f"{path.name} has no payout in it; export a time in which the gateway paid out.")
    for each in found:
        if not each.number or len(each.number) > LONGEST_NUMBER or not each.number.isprintable():
            raise SettlementFileError(f"{each.where}: the payout has no usable id; export it again, nothing was imported.")
        if re.fullmatch("[A-Z]{3}", each.currency) is None:
            raise SettlementFileError(f"{each.where}: {each.currency!r} is no currency; export it again, nothing was imported.")
        if each.number in seen:
            raise SettlementFileError(f"{each.where}: payout {each.number} stands in the file twice; nothing was imported.")
        seen.add(each.number)
    return found


READERS: Final[Mapping[str, Callable[[Path], list[FoundPayout]]]] = {
    "stripe": stripe,
    "mollie": mollie,
    "adyen": adyen,
    "gocardless": gocardless,
}
