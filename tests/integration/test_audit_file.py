"""`kruispost export --xaf`: the Dutch audit file is what its schema asks, and every figure is that of Exact's ledger."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy as sa
import yaml
from integration.test_reconcile import DOCUMENTS
from support.audit_file_rules import NAMESPACE, wrong_in
from support.engines import DATABASES
from support.other_books import run
from support.whole_month import DIVISION, events_of_month, whole_month

from exact_writer.tables import ledger_lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def text(element: ET.Element, name: str) -> str:
    return element.findtext(f"{NAMESPACE}{name}") or ""


def cents(amount: str) -> int:
    return int(Decimal(amount) * 100)


def sums_of(root: ET.Element) -> Counter[tuple[str, str]]:
    """What each account has in each period, debit positive."""
    sums: Counter[tuple[str, str]] = Counter()
    for transaction in root.iter(f"{NAMESPACE}transaction"):
        balance = 0
        for line in transaction.iter(f"{NAMESPACE}trLine"):
            signed = cents(text(line, "amnt")) * (1 if text(line, "amntTp") == "D" else -1)
            sums[text(line, "accID"), text(transaction, "periodNumber")] += signed
            balance += signed
        assert balance == 0, text(transaction, "nr")
    return Counter({place: amount for place, amount in sums.items() if amount})


def opening_of(company: ET.Element) -> dict[str, int]:
    """What the opening balance has of each account, debit positive; its own totals must be those of its lines."""
    opening = company.find(f"{NAMESPACE}openingBalance")
    if opening is None:
        return {}
    sides: Counter[str] = Counter()
    found = {}
    for line in opening.iter(f"{NAMESPACE}obLine"):
        sides[text(line, "amntTp")] += cents(text(line, "amnt"))
        found[text(line, "accID")] = cents(text(line, "amnt")) * (1 if text(line, "amntTp") == "D" else -1)
    told = (int(text(opening, "linesCount")), cents(text(opening, "totalDebit")), cents(text(opening, "totalCredit")))
    assert told == (len(found), sides["D"], sides["C"])
    return found


def ledger_of(month: Any, year: int) -> list[Any]:
    lines = month.server.simulator.world.divisions[DIVISION].table("financialtransaction/TransactionLines")
    return [line for line in lines if line["FinancialYear"] == year]


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_year_is_a_file_that_the_schema_takes_and_equal_to_the_ledger(tmp_path: Path, dialect: str) -> None:
    async with whole_month(tmp_path, dialect, changes={"vat_number": "NL123456782B01"}) as month:
        await month.receive(events_of_month(documents=DOCUMENTS)[:120])
        await month.book()
        years = sorted({line["FinancialYear"] for line in ledger_of(month, 2026)} | {2027})
        assert years == [2026, 2027]
        for year in years:  # revenue of 2026 is released in 2027
            file = tmp_path / f"{year}.xaf"
            done = await run(month, "export", "--xaf", str(year), "--out", str(file), *(("--wait", "0") if year > 2026 else ()))
            assert done.returncode == 0, done.stderr
            verified = await run(month, "export", "--verify", str(file))
            assert (verified.returncode, verified.stdout.split()[-1]) == (0, done.stdout.split()[-1])
            root = ET.parse(file).getroot()  # noqa: S314 - we wrote it
            assert wrong_in(root) == []
            header, company = root[0], root[1]
            assert (text(header, "fiscalYear"), text(header, "curCode")) == (str(year), "EUR")
            assert text(company, "taxRegIdent") == "NL123456782B01"
            booked = ledger_of(month, year)
            expected: Counter[tuple[str, str]] = Counter()
            for line in booked:
                expected[line["GLAccountCode"].strip(), str(line["FinancialPeriod"])] += int(line["AmountDC"] * 100)
            assert sums_of(root) == Counter({place: amount for place, amount in expected.items() if amount})
            before = [line for line in ledger_of(month, 2026) if year > 2026]
            left: Counter[str] = Counter()
            for line in before:
                left[line["GLAccountCode"].strip()] += int(line["AmountDC"] * 100)
            assert opening_of(company) == {account: balance for account, balance in left.items() if balance}
            assert sum(opening_of(company).values()) == 0
            totals = company.find(f"{NAMESPACE}transactions")
            assert totals is not None
            debit = sum(int(line["AmountDC"] * 100) for line in booked if line["AmountDC"] > 0)
            shown = (int(text(totals, "linesCount")), cents(text(totals, "totalDebit")), cents(text(totals, "totalCredit")))
            assert shown == (len(booked), debit, debit)
        first_year = ET.parse(tmp_path / "2026.xaf")  # noqa: S314 - we wrote it
        vat = Counter(text(each, "vatPerc") for each in first_year.iter(f"{NAMESPACE}vat"))
        assert vat["21.00"] > vat["9.00"] >= 0
        assert len(list(first_year.iter(f"{NAMESPACE}custSupName"))) > 10

        async with month.writer.database.transaction() as connection:
            one = sa.select(sa.func.min(ledger_lines.c.line_id)).where(
                ledger_lines.c.year == 2026, ledger_lines.c.account == "1300"
            )
            await connection.execute(sa.delete(ledger_lines).where(ledger_lines.c.line_id == one.scalar_subquery()))
        lacking = await run(month, "export", "--xaf", "2027", "--out", str(tmp_path / "lacking.xaf"), "--wait", "0")
        assert (lacking.returncode, "left on the accounts is off by" in lacking.stderr) == (2, True)
        nothing = await run(month, "export", "--xaf", "2019", "--out", str(tmp_path / "2019.xaf"), "--wait", "0")
        assert nothing.returncode == 2
        assert "no lines of financial year 2019" in nothing.stderr
        assert not (tmp_path / "2019.xaf").exists()
        assert not (tmp_path / "2019.xaf.sha256.csv").exists()


async def test_without_the_companys_vat_number_or_in_a_country_of_no_list_there_is_no_file(tmp_path: Path) -> None:
    async with whole_month(tmp_path) as month:
        done = await run(month, "export", "--xaf", "2026", "--out", str(tmp_path / "2026.xaf"), "--wait", "0")
        assert done.returncode == 2
        assert f"add divisions.{DIVISION}.vat_number" in done.stderr
        file = tmp_path / "kruispost.yaml"
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        data["divisions"][DIVISION] |= {"vat_number": "NL123456782B01", "country": "QQ"}
        file.write_text(yaml.safe_dump(data), encoding="utf-8")
        done = await run(month, "export", "--xaf", "2026", "--out", str(tmp_path / "2026.xaf"), "--wait", "0")
        assert (done.returncode, f"no country QQ: correct divisions.{DIVISION}.country" in done.stderr) == (2, True)
