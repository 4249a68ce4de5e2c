import uuid
from decimal import Decimal
from typing import Any

from simulators.exact import ledger, receivables, references
from simulators.exact.ledger import Heading, Posting, cents
from simulators.exact.periods import is_open, reporting_period
from simulators.exact.refusals import Findings, Refusal
from simulators.exact.wire import Row
from simulators.exact.world import Division

ENTRIES = "salesentry/SalesEntries"
LINES = "salesentry/SalesEntryLines"
TYPE_SALE, TYPE_CREDIT = 20, 21
OPEN, PROCESSED = 20, 50


def create(division: Division, body: Row) -> Row:
    """Books a sales entry: lines, VAT, receivable, deferral. Raises `Refusal` with everything that is wrong with it."""
    findings = Findings()
    entry = _check_header(division, findings, dict(body))
    sent = body.get("SalesEntryLines") or []
    if not sent:
        findings.add("mandatory", "lines")
    lines = [check_line(division, findings, dict(line), entry) for line in sent]
    findings.raise_if_any()
    number = ledger.entry_number(division, entry["Journal"], entry["ReportingYear"], body.get("EntryNumber"))
    if number is None:
        raise Refusal([("number_used", "")])
    entry.update({"EntryNumber": number, "InvoiceNumber": body.get("InvoiceNumber") or number})
    division.create(ENTRIES, references.without_empty(entry))
    for place, line in enumerate(lines, 1):
        line.update({"EntryID": entry["EntryID"], "LineNumber": place})
        division.create(LINES, references.without_empty(line))
    stored = book(division, entry["EntryID"])
    division.notify("SalesEntries", entry["EntryID"])
    division.notify("FinancialTransactions", entry["EntryID"])
    return stored


def _check_header(division: Division, findings: Findings, entry: Row) -> Row:
    entry.pop("SalesEntryLines", None)
    entry["EntryID"] = references.client_key(division, findings, entry, ENTRIES, "EntryID")
    customer = references.customer(division, findings, entry.get("Customer"))
    journal = references.journal(division, findings, entry.get("Journal"), (references.JOURNAL_SALES, references.JOURNAL_RETURNS))
    day = (entry.get("EntryDate") or division.world.today()).replace(hour=0, minute=0, second=0, microsecond=0)
    entry["EntryDate"] = day
    if journal is not None:
        given = (entry.get("ReportingYear"), entry.get("ReportingPeriod"))
        period = reporting_period(division, findings, journal["Code"], day, given)
        if period is not None:
            entry["ReportingYear"], entry["ReportingPeriod"] = period
        entry["JournalDescription"] = journal["Description"]
    entry["Currency"], entry["Rate"] = references.currency(division, findings, entry.get("Currency"), entry.get("Rate"))
    references.journal_currency(findings, journal, entry["Currency"])
    references.text(division, findings, entry, "YourRef")
    references.text(division, findings, entry, "Description")
    if entry.get("Document") and division.table("documents/Documents").get(entry["Document"]) is None:
        findings.add("reference", "document")
    check_condition(division, findings, entry, customer)
    if customer is not None:
        entry["CustomerName"] = customer["Name"]
    return entry


def check_condition(division: Division, findings: Findings, entry: Row, customer: Row | None) -> None:
    """Fills in the payment condition and the due date; the customer's own condition comes before the division's."""
    code = entry.get("PaymentCondition") or (customer or {}).get("PaymentConditionSales")
    if not code:
        if division.settings.payment_condition_mandatory:
            findings.add("mandatory", "payment_condition")
            return
        code = division.default_payment_condition
    condition = division.by_code("cashflow/PaymentConditions", code)
    if condition is None:
        findings.add("reference", "payment_condition")
        return
    entry["PaymentCondition"] = condition["Code"]
    entry["PaymentConditionDescription"] = condition["Description"]
    entry["PaymentConditionPaymentMethod"] = condition["PaymentMethod"]
    if entry.get("DueDate") is None:
        entry["DueDate"] = receivables.due_date(condition, entry["EntryDate"])


def check_line(division: Division, findings: Findings, line: Row, entry: Row) -> Row:
    """Checks one line and fills in what Exact computes: net amount, VAT, names, amounts in the division's currency."""
    line["ID"] = references.client_key(division, findings, line, LINES, "ID")
    gl = references.gl_account(division, findings, line.get("GLAccount"))
    amount = line.get("AmountFC")
    if amount is None:
        findings.add("mandatory", "amount")
    references.text(division, findings, line, "Description")
    references.cost_analysis(division, findings, line, gl)
    code = line.get("VATCode") or (gl or {}).get("VATCode")
    vat = references.vat_code(division, findings, code)
    check_range(division, findings, line, entry)
    if gl is not None:
        if gl["Type"] == references.GL_RECEIVABLE:
            findings.add("invalid", "gl_account_type")
        line |= {"GLAccountCode": gl["Code"], "GLAccountDescription": gl["Description"]}
    _fill_amounts(findings, line, amount or Decimal(0), vat, entry["Rate"])
    return line


def _fill_amounts(findings: Findings, line: Row, amount: Decimal, vat: Row | None, rate: Decimal) -> None:
    amount = cents(amount)
    given = line.get("VATAmountFC")
    kind = vat["Type"] if vat is not None else "N"
    percentage = vat.get("Percentage", Decimal(0)) if vat is not None else Decimal(0)
    if kind in ("B", "N"):
        if given:
            findings.add("not_allowed", "vat_amount")
        net, tax = amount, Decimal(0)
    elif kind == "I":
        tax = cents(given) if given is not None else cents(amount * percentage / (1 + percentage))
        net = amount - tax
    else:
        tax = cents(given) if given is not None else cents(amount * percentage)
        net = amount
    line |= {
        "AmountFC": net,
        "AmountDC": cents(net * rate),
        "VATAmountFC": tax,
        "VATAmountDC": cents(tax * rate),
        "VATBaseAmountFC": net if kind != "N" else Decimal(0),
        "VATBaseAmountDC": cents(net * rate) if kind != "N" else Decimal(0),
        "VATPercentage": percentage,
    }
    if vat is not None:
        line |= {"VATCode": vat["Code"], "VATCodeDescription": vat["Description"]}


def check_range(division: Division, findings: Findings, line: Row, entry: Row) -> None:
    """Checks the range over which a line is deferred: both days, in their order, within the period-date table."""
    first, last = line.get("From"), line.get("To")
    if first is None and last is None:
        return
    if first is None or last is None:
        findings.add("mandatory", "from" if first is None else "to")
        return
    first, last = (day.replace(hour=0, minute=0, second=0, microsecond=0) for day in (first, last))
    line |= {"From": first, "To": last}
    if first > last:
        findings.add("invalid", "from")
        return
    if not ledger.covers(division, first, last):
        findings.add("unknown", "period_table")
        return
    if division.settings.deferral_into_closed_period == "refused" and entry.get("Journal"):
        for _, period, _ in ledger.spread(division, Decimal(1), first, last):
            if not is_open(division, entry["Journal"], *period):
                findings.add("period_closed")


def book(division: Division, entry_id: uuid.UUID) -> Row:
    """Writes totals, ledger lines and the receivable of an entry from its stored header and lines; returns the header."""
    entry = division.table(ENTRIES).get(entry_id)
    if entry is None:
        raise LookupError(f"no sales entry {entry_id}")
    lines = division.table(LINES).where("EntryID", entry_id)
    total_fc = sum((line["AmountFC"] + line["VATAmountFC"] for line in lines), Decimal(0))
    total_dc = sum((line["AmountDC"] + line["VATAmountDC"] for line in lines), Decimal(0))
    kind = TYPE_CREDIT if total_fc < 0 else TYPE_SALE
    totals = {
        "AmountFC": total_fc,
        "AmountDC": total_dc,
        "VATAmountFC": sum((line["VATAmountFC"] for line in lines), Decimal(0)),
        "VATAmountDC": sum((line["VATAmountDC"] for line in lines), Decimal(0)),
        "Type": kind,
        "TypeDescription": "Verkoopboeking" if kind == TYPE_SALE else "Verkoop-creditnota",
        "Status": OPEN,
        "StatusDescription": "Open",
        "Reversal": entry.get("Reversal", False),
        "OrderNumber": entry.get("OrderNumber", entry["EntryNumber"]),
    }
    division.update(ENTRIES, entry_id, totals)
    for line in lines:
        line["Type"] = kind
    heading = _heading(division, entry)
    header = _header_posting(division, entry, total_fc, total_dc)
    ledger.post(division, heading, [header, *_line_postings(division, lines), *_deferral(division, heading, lines)])
    if total_fc:
        terms = {
            "ID": entry.setdefault("term_id", division.world.next_id()),
            "PaymentCondition": entry["PaymentCondition"],
            "PaymentMethod": entry["PaymentConditionPaymentMethod"],
            "PaymentDays": (entry["DueDate"] - entry["EntryDate"]).days,
        }
        receivables.match_automatically(division, receivables.open_term(division, heading, header, terms))
    return entry


def _heading(division: Division, entry: Row) -> Heading:
    journal = division.by_code("financial/Journals", entry["Journal"])
    if journal is None:
        raise LookupError(f"no journal {entry['Journal']}")
    return Heading(
        entry_id=entry["EntryID"],
        number=entry["EntryNumber"],
        journal=journal,
        type=entry["Type"],
        date=entry["EntryDate"],
        year=entry["ReportingYear"],
        period=entry["ReportingPeriod"],
        currency=entry["Currency"],
        rate=entry["Rate"],
        your_ref=entry.get("YourRef"),
        invoice_number=entry["InvoiceNumber"],
        due_date=entry["DueDate"],
        payment_reference=entry.get("PaymentReference"),
        external_link=entry.get("ExternalLinkReference"),
        document=entry.get("Document"),
    )


def _header_posting(division: Division, entry: Row, total_fc: Decimal, total_dc: Decimal) -> Posting:
    customer = division.table("crm/Accounts").get(entry["Customer"])
    own = division.table("financial/GLAccounts").get((customer or {}).get("GLAR"))
    receivable = own or division.by_code("financial/GLAccounts", division.receivable_account_code)
    if customer is None or receivable is None:
        raise LookupError(f"entry {entry['EntryNumber']} lost its customer or its receivables account")
    return Posting(
        line_number=0,
        gl_account=receivable,
        amount_fc=total_fc,
        amount_dc=total_dc,
        description=entry.get("Description"),
        account=customer,
        id=entry.setdefault("header_id", division.world.next_id()),  # stays when the entry is booked anew
    )


def _line_postings(division: Division, lines: list[Row]) -> list[Posting]:
    postings: list[Posting] = []
    taxes: list[Posting] = []
    for line in lines:
        vat = division.by_code("vat/VATCodes", line.get("VATCode"))
        shared: dict[str, Any] = {"description": line.get("Description"), "vat_code": vat}
        postings.append(
            Posting(
                line_number=line["LineNumber"],
                gl_account=_gl(division, line["GLAccount"]),
                amount_fc=-line["AmountFC"],
                amount_dc=-line["AmountDC"],
                id=line["ID"],
                vat_fc=-line["VATAmountFC"],
                vat_base_fc=-line["VATBaseAmountFC"],
                cost_center=line.get("CostCenter"),
                cost_unit=line.get("CostUnit"),
                notes=line.get("Notes"),
                quantity=line.get("Quantity"),
                **shared,
            )
        )
        if line["VATAmountFC"] and vat is not None:
            taxes.append(
                Posting(
                    line_number=len(lines) + len(taxes) + 1,
                    gl_account=_gl(division, vat["GLToPay"]),
                    amount_fc=-line["VATAmountFC"],
                    amount_dc=-line["VATAmountDC"],
                    line_type=ledger.LINE_VAT,
                    offset_id=line["ID"],
                    **shared,
                )
            )
    return [*postings, *taxes]


def _gl(division: Division, key: uuid.UUID) -> Row:
    row = division.table("financial/GLAccounts").get(key)
    if row is None:
        raise LookupError(f"no ledger account {key}")
    return row


def _deferral(division: Division, heading: Heading, lines: list[Row]) -> list[Posting]:
    """Type 84: the revenue of a line with From and To is taken back at once and released period by period."""
    deferred = division.by_code("financial/GLAccounts", division.deferral_account_code)
    postings: list[Posting] = []
    for line in lines:
        if line.get("From") is None or deferred is None:
            continue
        revenue = _gl(division, line["GLAccount"])
        parts = ledger.spread(division, line["AmountDC"], line["From"], line["To"])
        moves = [(heading.date, (heading.year, heading.period), -line["AmountDC"])]
        for date, period, amount in [*moves, *parts]:
            for gl, value in ((deferred, amount), (revenue, -amount)):
                postings.append(
                    Posting(
                        line_number=line["LineNumber"],
                        gl_account=gl,
                        amount_fc=value,
                        amount_dc=value,
                        description=line.get("Description"),
                        type=ledger.TYPE_DEFERRED_REVENUE,
                        date=date,
                        period=period,
                        cost_center=line.get("CostCenter") if gl is revenue else None,
                        cost_unit=line.get("CostUnit") if gl is revenue else None,
                        offset_id=line["ID"],
                    )
                )
    return postings
