import base64
from decimal import Decimal

from simulators.exact import documents, items, ledger, references, sales_entries
from simulators.exact.ledger import cents
from simulators.exact.periods import reporting_period
from simulators.exact.refusals import Findings, Refusal
from simulators.exact.wire import Row
from simulators.exact.world import Division

INVOICES = "salesinvoice/SalesInvoices"
LINES = "salesinvoice/SalesInvoiceLines"
PRINTED = "salesinvoice/PrintedSalesInvoices"
TYPE_INVOICE, TYPE_CREDIT = 8020, 8021
OPEN, PROCESSED = 20, 50


def create(division: Division, body: Row) -> Row:
    """Drafts a sales invoice of items; nothing is booked before it is printed. Raises `Refusal` with everything wrong.

    Its number is Exact's, and there is no rate: a foreign currency takes the rate table's. What Exact does with VAT amounts
    and ledger accounts that differ from its own is not known: both are switches.
    """
    findings = Findings()
    invoice = dict(body)
    sent = invoice.pop("SalesInvoiceLines", None) or []
    invoice["InvoiceID"] = references.client_key(division, findings, invoice, INVOICES, "InvoiceID")
    customer = references.customer(division, findings, invoice.get("OrderedBy"))
    invoice.setdefault("InvoiceTo", invoice.get("OrderedBy"))
    references.customer(division, findings, invoice["InvoiceTo"])
    types = (references.JOURNAL_SALES, references.JOURNAL_RETURNS)
    journal = references.journal(division, findings, invoice.get("Journal"), types)
    if invoice.setdefault("Type", TYPE_INVOICE) not in (TYPE_INVOICE, TYPE_CREDIT):
        findings.add("invalid", "type")
    references.text(division, findings, invoice, "YourRef")
    references.text(division, findings, invoice, "Description")
    invoice["Currency"], rate = references.currency(division, findings, invoice.get("Currency"), None)
    references.journal_currency(findings, journal, invoice["Currency"])
    sales_entries.check_condition(division, findings, invoice | {"EntryDate": division.world.today()}, customer)
    if not sent:
        findings.add("mandatory", "lines")
    lines = [_check_line(division, findings, dict(line), rate) for line in sent]
    findings.raise_if_any()
    net = sum((line["AmountFC"] for line in lines), Decimal(0))
    tax = sum((line["VATAmountFC"] for line in lines), Decimal(0))
    if invoice["Type"] == TYPE_CREDIT and net + tax > 0:
        raise Refusal([("invalid", "amount")])
    invoice |= {"Status": OPEN, "AmountFCExclVat": net, "VATAmountFC": tax, "AmountFC": net + tax}
    invoice |= {"AmountDC": cents((net + tax) * rate), "VATAmountDC": cents(tax * rate)}
    stored = division.create(INVOICES, references.without_empty(invoice))
    for place, line in enumerate(lines, 1):
        line |= {"InvoiceID": invoice["InvoiceID"], "LineNumber": place}
        division.create(LINES, references.without_empty(line))
    division.notify("SalesInvoices", invoice["InvoiceID"])
    return stored


def _check_line(division: Division, findings: Findings, line: Row, rate: Decimal) -> Row:
    line["ID"] = references.client_key(division, findings, line, LINES, "ID")
    item = division.table(items.ITEMS).get(line["Item"]) if line.get("Item") is not None else None
    if item is None:
        findings.add("mandatory" if line.get("Item") is None else "reference", "item")
    elif not item.get("IsSalesItem"):
        findings.add("invalid", "item")
    if line.get("GLAccount") is None or division.settings.invoice_gl_account == "item":
        line["GLAccount"] = _revenue_of(division, item)
    gl = references.gl_account(division, findings, line["GLAccount"])
    references.text(division, findings, line, "Description")
    references.cost_analysis(division, findings, line, gl)
    if (line.get("StartTime") is None) != (line.get("EndTime") is None):
        findings.add("mandatory", "to" if line.get("EndTime") is None else "from")
    quantity = line.setdefault("Quantity", Decimal(1))
    price = next((line[name] for name in ("NetPrice", "UnitPrice") if line.get(name) is not None), None)
    if price is None:
        price = (line.get("AmountFC") or Decimal(0)) / quantity if quantity else Decimal(0)
    if price < 0:
        findings.add("invalid", "price")
    net = cents(quantity * price)
    vat = references.vat_code(division, findings, line.get("VATCode") or (item or {}).get("SalesVatCode"))
    percentage = vat.get("Percentage", Decimal(0)) if vat is not None and vat["Type"] in ("E", "I") else Decimal(0)
    given = line.get("VATAmountFC") if division.settings.invoice_vat == "given" else None
    tax = cents(given) if given is not None and percentage else cents(net * percentage)
    line |= {"NetPrice": price, "AmountFC": net, "AmountDC": cents(net * rate), "VATPercentage": percentage}
    line |= {"VATAmountFC": tax, "VATAmountDC": cents(tax * rate)}
    if vat is not None:
        line["VATCode"] = vat["Code"]
    return line


def _revenue_of(division: Division, item: Row | None) -> object:
    group = division.table(items.GROUPS).get((item or {}).get("ItemGroup"))
    return (item or {}).get("GLRevenue") or (group or {}).get("GLRevenue")


def print_invoice(division: Division, body: Row) -> Row:
    """Makes a draft final: its entry is booked under the invoice's own key, and it cannot be changed any more."""
    findings = Findings()
    invoice = division.table(INVOICES).get(body.get("InvoiceID"))
    if invoice is None:
        raise Refusal([("mandatory" if body.get("InvoiceID") is None else "reference", "invoice")])
    if invoice["Status"] == PROCESSED:
        raise Refusal([("processed", "")])
    day = (body.get("InvoiceDate") or division.world.today()).replace(hour=0, minute=0, second=0, microsecond=0)
    given = (body.get("ReportingYear"), body.get("ReportingPeriod"))
    period = reporting_period(division, findings, invoice["Journal"], day, given)
    lines = division.table(LINES).where("InvoiceID", invoice["InvoiceID"])
    for line in lines:
        sales_entries.check_range(division, findings, _as_entry_line(line), {"Journal": invoice["Journal"]})
    findings.raise_if_any()
    year, number_of_period = period or (day.year, day.month)
    number = ledger.entry_number(division, invoice["Journal"], year, None)
    _book(division, invoice, lines, {"EntryDate": day, "ReportingYear": year, "ReportingPeriod": number_of_period}, number)
    changes = {"Status": PROCESSED, "InvoiceNumber": number, "InvoiceDate": day}
    division.update(INVOICES, invoice["InvoiceID"], changes)
    division.notify("SalesInvoices", invoice["InvoiceID"])
    division.notify("FinancialTransactions", invoice["InvoiceID"])
    printed = {"InvoiceID": invoice["InvoiceID"], "InvoiceDate": day}
    if division.settings.printed_document == "none":
        return printed
    return printed | {"Document": _document_of(division, invoice, number), "DocumentCreationSuccess": "OK"}


def _document_of(division: Division, invoice: Row, number: int | None) -> object:
    """The document of Exact's own, with its own PDF of the invoice."""
    about = {"Subject": f"Verkoopfactuur: {number}", "Type": 10, "Account": invoice["InvoiceTo"]}
    document = documents.create_document(division, about | {"FinancialTransactionEntryID": invoice["InvoiceID"]})
    pdf = base64.b64encode(b"%PDF-1.7 by Exact").decode()
    documents.create_attachment(
        division, {"Document": document["ID"], "FileName": f"Verkoopfactuur {number}.pdf", "Attachment": pdf}
    )
    return document["ID"]


def _book(division: Division, invoice: Row, lines: list[Row], dated: Row, number: int | None) -> None:
    currency, rate = references.currency(division, Findings(), invoice["Currency"], None)
    customer = division.table("crm/Accounts").get(invoice["InvoiceTo"])
    entry: Row = {"EntryID": invoice["InvoiceID"], "Customer": invoice["InvoiceTo"], "Journal": invoice["Journal"], **dated}
    entry |= {"Currency": currency, "Rate": rate, "EntryNumber": number, "InvoiceNumber": number}
    for name in ("YourRef", "Description", "PaymentCondition", "DueDate", "Document", "PaymentReference"):
        entry[name] = invoice.get(name)
    sales_entries.check_condition(division, Findings(), entry, customer)
    division.create(sales_entries.ENTRIES, references.without_empty(entry))
    for line in lines:
        booked = _as_entry_line(line) | {"EntryID": invoice["InvoiceID"]}
        division.create(sales_entries.LINES, references.without_empty(booked))
    sales_entries.book(division, invoice["InvoiceID"])


def _as_entry_line(line: Row) -> Row:
    names = ("ID", "LineNumber", "GLAccount", "AmountFC", "AmountDC", "VATAmountFC", "VATAmountDC", "VATCode", "VATPercentage")
    more = ("Description", "CostCenter", "CostUnit", "Notes", "Quantity")
    row = {name: line.get(name) for name in (*names, *more)}
    base = line["AmountFC"] if line.get("VATCode") else Decimal(0)
    row |= {"VATBaseAmountFC": base, "VATBaseAmountDC": line["AmountDC"] if base else Decimal(0)}
    return references.without_empty(row | {"From": line.get("StartTime"), "To": line.get("EndTime")})


def change(division: Division, invoice: Row, body: Row) -> None:
    """Changes properties of a draft; a processed invoice is refused."""
    if invoice["Status"] == PROCESSED:
        raise Refusal([("processed", "")])
    division.update(INVOICES, invoice["InvoiceID"], {name: value for name, value in body.items() if name != "SalesInvoiceLines"})


def delete(division: Division, invoice: Row) -> None:
    """Takes a draft away; a processed invoice is refused."""
    if invoice["Status"] == PROCESSED:
        raise Refusal([("processed", "")])
    for line in division.table(LINES).where("InvoiceID", invoice["InvoiceID"]):
        division.delete(LINES, line["ID"], None)
    division.delete(INVOICES, invoice["InvoiceID"], None)
    division.notify("SalesInvoices", invoice["InvoiceID"], "Delete")
