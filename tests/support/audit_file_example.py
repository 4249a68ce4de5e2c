"""A small audit file, from lines of a ledger that a test makes up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

from contracts.ledger import LedgerLine, LedgerName, LedgerYear
from mapper.audit_file import AuditFile, Company, Span
from mapper.audit_file_hashes import Output

DAY = date(2026, 3, 2)
GUID = "0e2b9a34-7d1c-4d2e-9d55-0a5a1f6b7c8d"


def line(hundredths: int, account: str, **more: Any) -> LedgerLine:
    zeros: dict[str, Any] = dict.fromkeys(("timestamp", "line_number", "line_type", "fc_hundredths"), 0)
    names = ("vat_code", "vat_fc_hundredths", "cost_center", "cost_unit", "your_ref", "payment_reference", "relation_id")
    known: dict[str, Any] = {"line_id": account, "entry_id": "e", "entry_number": 42, "type": 20, "journal": "70", "day": DAY}
    known |= {"year": 2026, "period": 3, "currency": "EUR", "invoice_number": None, "description": "Omzet"}
    return LedgerLine(account=account, dc_hundredths=hundredths, **{**zeros, **dict.fromkeys(names), **known, **more})


async def write(stream: Output, *lines: LedgerLine, name: str) -> None:
    totals = LedgerYear(
        lines=len(lines),
        debit_hundredths=sum(max(each.dc_hundredths, 0) for each in lines),
        credit_hundredths=sum(max(-each.dc_hundredths, 0) for each in lines),
        accounts=tuple(LedgerName(key=each, code=each) for each in sorted({line.account for line in lines})),
        journals=(LedgerName(key="70", code="70", type=20),),
        vat_codes=(LedgerName(key="2", code="2", percentage="21"),),
        customers=(LedgerName(key=GUID, code="", name=name),),
        periods=((3, DAY, DAY),),
    )

    async def given() -> AsyncIterator[LedgerLine]:
        for each in lines:
            yield each

    company = Company(division=1, name="Jansen & Zn", vat_number="NL1", country="NL", currency="EUR")
    span = Span(year=2026, first=date(2026, 1, 1), last=date(2026, 12, 31), periods={3: (DAY, DAY)})
    await AuditFile(stream, company, span, totals, DAY).write(given())


async def write_example(stream: Output) -> None:
    """Write a file that has every element that we write for a sale."""
    await write(stream, line(1, "1300", relation_id=GUID), line(-1, "8000", vat_code="2"), name="Jansen")
