from collections import defaultdict
from decimal import Decimal
from typing import Any

from simulators.exact import sales_entries
from simulators.exact.ledger import LINES, TYPE_DEFERRED_REVENUE
from simulators.exact.receivables import OPEN, TERMS
from simulators.exact.wire import Row
from simulators.exact.world import Division


def minor(amount: Decimal) -> int:
    """Cents of an amount that has no more than two decimals."""
    return int(amount * 100)


def ledger(division: Division) -> dict[str, Any]:
    """All entries in order of booking, the balance of each ledger account, and the receivables; all amounts in cents."""
    grouped: dict[Any, list[Row]] = defaultdict(list)
    balances: dict[str, int] = defaultdict(int)
    by_period: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for line in division.table(LINES):
        grouped[line["EntryID"]].append(line)
        amount = minor(line["AmountDC"])
        balances[line["GLAccountCode"]] += amount
        by_period[f"{line['FinancialYear']}/{line['FinancialPeriod']}"][line["GLAccountCode"]] += amount
    return {
        "entries": [_entry(division, lines) for lines in grouped.values()],
        "balances_minor": dict(sorted(balances.items())),
        "balances_by_period_minor": {period: dict(sorted(codes.items())) for period, codes in by_period.items()},
        "receivables": _receivables(division),
    }


def _entry(division: Division, lines: list[Row]) -> dict[str, Any]:
    first = lines[0]
    account = next((line["AccountCode"].strip() for line in lines if line.get("AccountCode")), None)
    own = [line for line in lines if line["Type"] != TYPE_DEFERRED_REVENUE]
    return {
        "entry_id": str(first["EntryID"]),
        "journal": first["JournalCode"],
        "entry_number": first["EntryNumber"],
        "your_ref": first.get("YourRef"),
        "date": f"{first['Date']:%Y-%m-%d}",
        "due_date": f"{first['DueDate']:%Y-%m-%d}" if first.get("DueDate") else None,
        "type": first["Type"],
        "year": first["FinancialYear"],
        "period": first["FinancialPeriod"],
        "currency": first["Currency"],
        "account_code": account,
        "lines": [_line(division, line) for line in own],
        "deferral": [
            {
                "gl_account": line["GLAccountCode"],
                "amount_minor": minor(line["AmountDC"]),
                "year": line["FinancialYear"],
                "period": line["FinancialPeriod"],
            }
            for line in lines
            if line["Type"] == TYPE_DEFERRED_REVENUE
        ],
    }


def _line(division: Division, line: Row) -> dict[str, Any]:
    document_line = division.table(sales_entries.LINES).get(line["ID"]) or {}
    first, last = document_line.get("From"), document_line.get("To")
    return {
        "gl_account": line["GLAccountCode"],
        "description": line.get("Description"),
        "account_code": line["AccountCode"].strip() if line.get("AccountCode") else None,
        "amount_minor": minor(line["AmountDC"]),
        "amount_fc_minor": minor(line["AmountFC"]),
        "vat_code": line["VATCode"].strip() if line.get("VATCode") else None,
        "cost_center": line.get("CostCenter"),
        "cost_unit": line.get("CostUnit"),
        "from": f"{first:%Y-%m-%d}" if first else None,
        "to": f"{last:%Y-%m-%d}" if last else None,
    }


def _receivables(division: Division) -> list[dict[str, Any]]:
    grouped: dict[Any, list[Row]] = defaultdict(list)
    for term in division.table(TERMS):
        grouped[term["TransactionID"]].append(term)
    sign = division.settings.receivable_sign
    rows = []
    for terms in grouped.values():
        still_open = sum((term["AmountDC"] for term in terms if term["Status"] == OPEN), Decimal(0))
        rows.append(
            {
                "your_ref": terms[0].get("YourRef"),
                "description": terms[0].get("Description"),
                "journal": terms[0]["Journal"],
                "entry_number": terms[0]["EntryNumber"],
                "account": terms[0]["AccountCode"].strip(),
                "amount_minor": minor(terms[0]["TransactionAmountDC"] * sign),
                "open_minor": minor(still_open * sign),
                "matched": all(term["Status"] != OPEN for term in terms),
            }
        )
    return rows
