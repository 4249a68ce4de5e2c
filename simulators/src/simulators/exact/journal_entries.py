from decimal import Decimal

from simulators.exact import ledger, receivables, references, removal
from simulators.exact.ledger import Heading, Posting, cents
from simulators.exact.periods import reporting_period
from simulators.exact.refusals import Findings, Refusal
from simulators.exact.wire import Row
from simulators.exact.world import Division

ENTRIES = "generaljournalentry/GeneralJournalEntries"
LINES = "generaljournalentry/GeneralJournalEntryLines"
TYPE_GENERAL = 90


def create(division: Division, body: Row) -> Row:
    """Books a general journal entry; debit amounts are positive and all lines must add up to zero.

    A line on a receivables account with an account becomes a term, and is settled when its amount fits exactly.
    Raises `Refusal` with everything that is wrong.
    """
    findings = Findings()
    entry = dict(body)
    sent = entry.pop("GeneralJournalEntryLines", None) or []
    entry["EntryID"] = references.client_key(division, findings, entry, ENTRIES, "EntryID")
    journal = references.journal(division, findings, entry.get("JournalCode"), (references.JOURNAL_GENERAL,))
    if not sent:
        findings.add("mandatory", "lines")
    entry["Currency"], entry["ExchangeRate"] = references.currency(
        division, findings, entry.get("Currency"), entry.get("ExchangeRate")
    )
    references.journal_currency(findings, journal, entry["Currency"])
    day = next((line["Date"] for line in sent if line.get("Date")), None) or division.world.today()
    if journal is not None:
        given = (entry.get("FinancialYear"), entry.get("FinancialPeriod"))
        period = reporting_period(division, findings, journal["Code"], day, given)
        if period is not None:
            entry["FinancialYear"], entry["FinancialPeriod"] = period
    lines = [_check_line(division, findings, {"Date": day, **line}, journal, entry["ExchangeRate"]) for line in sent]
    findings.raise_if_any()
    _check_balance(division, entry, lines)
    number = ledger.entry_number(division, entry["JournalCode"], entry["FinancialYear"], entry.get("EntryNumber"))
    if number is None:
        raise Refusal([("number_used", "")])
    entry |= {"EntryNumber": number, "Status": 20, "StatusDescription": "Open", "Type": TYPE_GENERAL}
    entry |= {"TypeDescription": "Memoriaal", "JournalDescription": (journal or {}).get("Description")}
    return _store(division, references.without_empty(entry), lines)


def _check_line(division: Division, findings: Findings, line: Row, journal: Row | None, rate: Decimal) -> Row:
    line["ID"] = references.client_key(division, findings, line, LINES, "ID")
    gl = references.gl_account(division, findings, line.get("GLAccount"))
    account = references.account(division, findings, line.get("Account"))
    references.text(division, findings, line, "Description")
    references.cost_analysis(division, findings, line, gl)
    if gl is not None:
        line |= {"GLAccountCode": gl["Code"], "GLAccountDescription": gl["Description"]}
        if gl["Type"] == references.GL_RECEIVABLE and line.get("Account") is None:
            findings.add("mandatory", "account")
    if account is not None:
        line |= {"AccountCode": account["Code"], "AccountName": account["Name"]}
    if line.get("VATCode") and journal is not None and not journal.get("AllowVAT"):
        findings.add("not_allowed", "vat_code")
    vat = references.vat_code(division, findings, line.get("VATCode"), for_sales=False)
    _fill_amounts(division, line, vat, rate)
    return line


def _fill_amounts(division: Division, line: Row, vat: Row | None, rate: Decimal) -> None:
    # Which of the two amounts Exact reads on this line is not known (the reference calls AmountDC read-only, users post it);
    # the one that is not read counts as absent.
    choice = division.settings.journal_amount
    amount = line.get("AmountFC") if choice in ("AmountFC", "both") else None
    if amount is None and choice in ("AmountDC", "both") and line.get("AmountDC") is not None:
        amount = line["AmountDC"] / rate
    amount = cents(amount or Decimal(0))
    percentage = vat.get("Percentage", Decimal(0)) if vat is not None else Decimal(0)
    given = line.get("AmountVATFC")
    tax = Decimal(0)
    if vat is not None and vat["Type"] in ("E", "I"):
        included = percentage if vat["Type"] == "E" else percentage / (1 + percentage)
        tax = cents(given) if given is not None else cents(amount * included)
        if vat["Type"] == "I":
            amount -= tax
    if vat is not None and _is_shifted(vat):
        line["shifted"] = tax  # to pay and to claim at once, so that the line carries none
        tax = Decimal(0)
    line |= {
        "AmountFC": amount,
        "AmountDC": cents(amount * rate),
        "AmountVATFC": tax,
        "AmountVATDC": cents(tax * rate),
    }
    if vat is not None:
        line |= {"VATCode": vat["Code"], "VATCodeDescription": vat["Description"], "VATPercentage": percentage}


def _check_balance(division: Division, entry: Row, lines: list[Row]) -> None:
    rest = sum((line["AmountFC"] + line["AmountVATFC"] for line in lines), Decimal(0))
    rest_dc = sum((line["AmountDC"] + line["AmountVATDC"] for line in lines), Decimal(0))
    if rest == 0 and rest_dc == 0:
        return
    shown = f"{rest or rest_dc:.2f}".replace(".", ",")
    difference = "Verschil" if division.settings.language.startswith("nl") else "Difference"
    where = f"{entry['FinancialYear']} / {entry['FinancialPeriod']} (Type {TYPE_GENERAL})"
    raise Refusal([("unbalanced", f"{where} - {difference}: {entry['Currency']} {shown}")])


def _store(division: Division, entry: Row, lines: list[Row]) -> Row:
    division.create(ENTRIES, entry)
    journal = division.by_code("financial/Journals", entry["JournalCode"])
    if journal is None:
        raise LookupError(f"no journal {entry['JournalCode']}")
    heading = Heading(
        entry_id=entry["EntryID"],
        number=entry["EntryNumber"],
        journal=journal,
        type=TYPE_GENERAL,
        date=lines[0]["Date"],
        year=entry["FinancialYear"],
        period=entry["FinancialPeriod"],
        currency=entry["Currency"],
        rate=entry["ExchangeRate"],
    )
    postings: list[Posting] = []
    for place, line in enumerate(lines, 1):
        line |= {"EntryID": entry["EntryID"], "EntryNumber": entry["EntryNumber"], "LineNumber": place}
        division.create(LINES, references.without_empty(line))
        postings.extend(_postings(division, line, len(lines) + len(postings) + 1))
    ledger.post(division, heading, postings)
    for posting in postings:
        if posting.account is not None and posting.gl_account["Type"] == references.GL_RECEIVABLE:
            term = receivables.open_term(division, heading, posting)
            receivables.match_automatically(division, term, posting.our_ref)
    division.notify("GeneralJournalEntries", entry["EntryID"])
    division.notify("FinancialTransactions", entry["EntryID"])
    return entry


def _postings(division: Division, line: Row, tax_line_number: int) -> list[Posting]:
    gl = division.table("financial/GLAccounts").get(line["GLAccount"])
    vat = division.by_code("vat/VATCodes", line.get("VATCode"))
    if gl is None:
        raise LookupError(f"no ledger account {line['GLAccount']}")
    postings = [
        Posting(
            line_number=line["LineNumber"],
            gl_account=gl,
            amount_fc=line["AmountFC"],
            amount_dc=line["AmountDC"],
            description=line.get("Description"),
            account=division.table("crm/Accounts").get(line.get("Account")),
            id=line["ID"],
            date=line["Date"],
            vat_code=vat,
            vat_fc=line["AmountVATFC"] if vat is not None else None,
            cost_center=line.get("CostCenter"),
            cost_unit=line.get("CostUnit"),
            notes=line.get("Notes"),
            our_ref=line.get("OurRef"),
        )
    ]
    for account, tax_fc, tax_dc in _taxes(division, line, vat):
        postings.append(
            Posting(
                line_number=tax_line_number + len(postings) - 1,
                gl_account=account,
                amount_fc=tax_fc,
                amount_dc=tax_dc,
                description=line.get("Description"),
                date=line["Date"],
                line_type=ledger.LINE_VAT,
                vat_code=vat,
                offset_id=line["ID"],
            )
        )
    return postings


def _is_shifted(vat: Row) -> bool:
    # The reference says this of purchase invoices ("both a line for the VAT to pay and a line for the VAT to claim"); that a
    # general journal does the same is not known.
    return bool(vat.get("Charged")) and vat.get("VATTransactionType") == "P"


def _taxes(division: Division, line: Row, vat: Row | None) -> list[tuple[Row, Decimal, Decimal]]:
    """The VAT accounts that a line reaches beside its own, with their amounts: of a purchase the one to claim."""
    if vat is None:
        return []
    accounts = division.table("financial/GLAccounts")
    to_pay, to_claim = accounts.get(vat.get("GLToPay")), accounts.get(vat.get("GLToClaim"))
    shifted = line.get("shifted") or Decimal(0)
    if shifted and to_pay is not None and to_claim is not None:
        rate = line["AmountDC"] / line["AmountFC"] if line["AmountFC"] else Decimal(1)
        return [(to_claim, shifted, cents(shifted * rate)), (to_pay, -shifted, cents(-shifted * rate))]
    account = to_claim if vat.get("VATTransactionType") == "P" else to_pay
    if not line["AmountVATFC"] or account is None:
        return []
    return [(account, line["AmountVATFC"], line["AmountVATDC"])]


def delete(division: Division, entry: Row) -> None:
    """Deletes an entry that is not settled and whose period is open; raises `Refusal` otherwise."""
    removal.check(division, entry, entry["JournalCode"], (entry["FinancialYear"], entry["FinancialPeriod"]))
    for line in division.table(LINES).where("EntryID", entry["EntryID"]):
        division.delete(LINES, line["ID"], None)
    removal.forget(division, entry["EntryID"])
    division.delete(ENTRIES, entry["EntryID"], None)
    division.notify("GeneralJournalEntries", entry["EntryID"], "Delete")
