from decimal import Decimal

from simulators.exact import ledger, receivables, references, removal
from simulators.exact.ledger import Heading, Posting, cents
from simulators.exact.periods import reporting_period
from simulators.exact.refusals import Findings, Refusal
from simulators.exact.wire import Row
from simulators.exact.world import Division

ENTRIES = "financialtransaction/BankEntries"
LINES = "financialtransaction/BankEntryLines"
TYPE_CASH_FLOW = 40


def create(division: Division, body: Row) -> Row:
    """Books a bank statement. A positive line amount is money received: bank debit, the line's account credit.

    The opening balance must be the last closing balance of the journal, and opening plus lines the closing balance, as
    far as they are given. Raises `Refusal` with everything that is wrong.
    """
    findings = Findings()
    entry = dict(body)
    sent = entry.pop("BankEntryLines", None) or []
    entry["EntryID"] = references.client_key(division, findings, entry, ENTRIES, "EntryID")
    types = (references.JOURNAL_BANK, references.JOURNAL_PSP)
    journal = references.journal(division, findings, entry.get("JournalCode"), types)
    if not sent:
        findings.add("mandatory", "lines")
    entry["Currency"], rate = references.currency(
        division, findings, entry.get("Currency"), next((n["ExchangeRate"] for n in sent if n.get("ExchangeRate")), None)
    )
    day = next((line["Date"] for line in sent if line.get("Date")), None) or division.world.today()
    if journal is not None:
        given = (entry.get("FinancialYear"), entry.get("FinancialPeriod"))
        period = reporting_period(division, findings, journal["Code"], day, given)
        if period is not None:
            entry["FinancialYear"], entry["FinancialPeriod"] = period
    lines = []
    for item in sent:
        line = _check_line(division, findings, dict(item), rate)
        line["Date"] = line.get("Date") or day
        lines.append(line)
    _check_balances(division, findings, entry, lines)
    findings.raise_if_any()
    number = ledger.entry_number(division, entry["JournalCode"], entry["FinancialYear"], entry.get("EntryNumber"))
    if number is None:
        raise Refusal([("number_used", "")])
    entry |= {"EntryNumber": number, "Status": 20, "StatusDescription": "Open"}
    entry["JournalDescription"] = (journal or {}).get("Description")
    return _store(division, references.without_empty(entry), lines, rate)


def _check_line(division: Division, findings: Findings, line: Row, rate: Decimal) -> Row:
    line["ID"] = division.world.next_id()
    gl = references.gl_account(division, findings, line.get("GLAccount"))
    account = references.account(division, findings, line.get("Account"))
    references.text(division, findings, line, "Description")
    references.cost_analysis(division, findings, line, gl)
    references.vat_code(division, findings, line.get("VATCode"))
    if line.get("AmountFC") is None:
        findings.add("mandatory", "amount")
    amount = cents(line.get("AmountFC") or Decimal(0))
    line |= {"AmountFC": amount, "AmountDC": cents(amount * rate), "ExchangeRate": rate}
    if gl is not None:
        line |= {"GLAccountCode": gl["Code"], "GLAccountDescription": gl["Description"]}
        if gl["Type"] == references.GL_RECEIVABLE and line.get("Account") is None:
            findings.add("mandatory", "account")
    if account is not None:
        line |= {"AccountCode": account["Code"], "AccountName": account["Name"]}
    return line


def _check_balances(division: Division, findings: Findings, entry: Row, lines: list[Row]) -> None:
    last = division.bank_balances.get(entry.get("JournalCode") or "", Decimal(0))
    moved = sum((line["AmountFC"] for line in lines), Decimal(0))
    opening, closing = entry.get("OpeningBalanceFC"), entry.get("ClosingBalanceFC")
    if opening is None:
        opening = closing - moved if closing is not None else last
    if opening != last or (closing is not None and opening + moved != closing):
        findings.add("invalid", "balance")
    entry |= {"OpeningBalanceFC": opening, "ClosingBalanceFC": opening + moved}


def _store(division: Division, entry: Row, lines: list[Row], rate: Decimal) -> Row:
    division.create(ENTRIES, entry)
    division.bank_balances[entry["JournalCode"]] = entry["ClosingBalanceFC"]
    journal = division.by_code("financial/Journals", entry["JournalCode"])
    bank = division.table("financial/GLAccounts").get((journal or {}).get("GLAccount"))
    if journal is None or bank is None:
        raise LookupError(f"journal {entry['JournalCode']} has no ledger account")
    heading = Heading(
        entry_id=entry["EntryID"],
        number=entry["EntryNumber"],
        journal=journal,
        type=TYPE_CASH_FLOW,
        date=lines[0]["Date"],
        year=entry["FinancialYear"],
        period=entry["FinancialPeriod"],
        currency=entry["Currency"],
        rate=rate,
    )
    total_fc = sum((line["AmountFC"] for line in lines), Decimal(0))
    total_dc = sum((line["AmountDC"] for line in lines), Decimal(0))
    postings = [Posting(line_number=0, gl_account=bank, amount_fc=total_fc, amount_dc=total_dc)]
    for place, line in enumerate(lines, 1):
        line |= {"EntryID": entry["EntryID"], "EntryNumber": entry["EntryNumber"], "LineNumber": place}
        division.create(LINES, references.without_empty(line))
        postings.append(_posting(division, line))
    ledger.post(division, heading, postings)
    for posting in postings:
        if posting.account is not None and posting.gl_account["Type"] == references.GL_RECEIVABLE:
            term = receivables.open_term(division, heading, posting)
            receivables.match_automatically(division, term, posting.our_ref)
    division.notify("BankEntries", entry["EntryID"])
    division.notify("FinancialTransactions", entry["EntryID"])
    return entry


def _posting(division: Division, line: Row) -> Posting:
    gl = division.table("financial/GLAccounts").get(line["GLAccount"])
    if gl is None:
        raise LookupError(f"no ledger account {line['GLAccount']}")
    return Posting(
        line_number=line["LineNumber"],
        gl_account=gl,
        amount_fc=-line["AmountFC"],
        amount_dc=-line["AmountDC"],
        description=line.get("Description"),
        account=division.table("crm/Accounts").get(line.get("Account")),
        id=line["ID"],
        date=line["Date"],
        cost_center=line.get("CostCenter"),
        cost_unit=line.get("CostUnit"),
        notes=line.get("Notes"),
        our_ref=line.get("OurRef"),
    )


def delete(division: Division, entry: Row) -> None:
    """Deletes a statement that is not settled, whose period is open, and that is the last one of its journal."""
    removal.check(division, entry, entry["JournalCode"], (entry["FinancialYear"], entry["FinancialPeriod"]))
    if division.bank_balances.get(entry["JournalCode"]) != entry["ClosingBalanceFC"]:
        raise Refusal([("invalid", "balance")])
    division.bank_balances[entry["JournalCode"]] = entry["OpeningBalanceFC"]
    for line in division.table(LINES).where("EntryID", entry["EntryID"]):
        division.delete(LINES, line["ID"], None)
    removal.forget(division, entry["EntryID"])
    division.delete(ENTRIES, entry["EntryID"], None)
    division.notify("BankEntries", entry["EntryID"], "Delete")
