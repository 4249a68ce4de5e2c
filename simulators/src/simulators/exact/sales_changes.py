from simulators.exact import ledger, receivables, references, removal, sales_entries
from simulators.exact.periods import is_open
from simulators.exact.refusals import Findings, Refusal
from simulators.exact.sales_entries import ENTRIES, LINES
from simulators.exact.wire import Row
from simulators.exact.world import Division

_PLAIN = frozenset(
    {"YourRef", "Description", "Document", "PaymentReference", "ExternalLinkReference", "OrderNumber", "BatchNumber"}
)


def change(division: Division, entry: Row, body: Row) -> None:
    """Changes header properties of a sales entry, only those that were sent.

    Sending the whole model back is refused because its numbers exist already; another financial year, a closed period
    and a settled entry are refused too.
    """
    findings = Findings()
    changes = {name: value for name, value in body.items() if name != "SalesEntryLines"}
    if "EntryNumber" in changes or "EntryID" in changes:
        findings.add("data_exists")
    if changes.get("ReportingYear", entry["ReportingYear"]) != entry["ReportingYear"]:
        findings.add("year_fixed")
    for name, field in (("Journal", "journal"), ("Currency", "currency"), ("Rate", "rate")):
        if name in changes and changes[name] != entry[name]:
            findings.add("not_allowed", field)
    if not is_open(division, entry["Journal"], entry["ReportingYear"], entry["ReportingPeriod"]):
        findings.add("period_closed")
    references.text(division, findings, changes, "YourRef")
    references.text(division, findings, changes, "Description")
    document = changes.get("Document")
    if document is not None and division.table("documents/Documents").get(document) is None:
        findings.add("reference", "document")
    rebooked = {name for name, value in changes.items() if name not in _PLAIN and value != entry.get(name)}
    if rebooked:
        _check_rebooking(division, findings, entry, changes)
    findings.raise_if_any()
    division.update(ENTRIES, entry["EntryID"], changes)
    if rebooked:
        _rebook(division, entry)
    else:
        _relabel(division, entry, changes)
    division.notify("SalesEntries", entry["EntryID"])


def _check_rebooking(division: Division, findings: Findings, entry: Row, changes: Row) -> None:
    if receivables.is_matched(division, entry["EntryID"]):
        findings.add("processed")
    if "Customer" in changes:
        references.customer(division, findings, changes["Customer"])
    period: int = changes.get("ReportingPeriod") or entry["ReportingPeriod"]
    if not is_open(division, entry["Journal"], entry["ReportingYear"], period):
        findings.add("period_closed")


def _relabel(division: Division, entry: Row, changes: Row) -> None:
    """Carries texts into the ledger and the terms: each row that says something else now gets a new row version."""
    for table, reference, shared in (
        (ledger.LINES, "EntryID", {"YourRef", "PaymentReference", "ExternalLinkReference", "Document"}),
        (receivables.TERMS, "TransactionEntryID", {"YourRef"}),
    ):
        for row in list(division.table(table).where(reference, entry["EntryID"])):
            named = shared | ({"Description"} if row.get("LineNumber", 0) == 0 else set())
            texts = {name: value for name, value in changes.items() if name in named}
            if texts:
                division.update(table, row["ID"], texts)


def _rebook(division: Division, entry: Row) -> None:
    if receivables.is_matched(division, entry["EntryID"]):
        return
    replaced = removal.take_out(division, entry["EntryID"])
    sales_entries.book(division, entry["EntryID"])
    removal.log(division, replaced)


def delete(division: Division, entry: Row) -> None:
    """Deletes a sales entry; refused when it is settled, processed, or its period is closed."""
    period = (entry["ReportingYear"], entry["ReportingPeriod"])
    removal.check(division, entry, entry["Journal"], period)
    for line in division.table(LINES).where("EntryID", entry["EntryID"]):
        division.delete(LINES, line["ID"], None)
    removal.forget(division, entry["EntryID"])
    division.delete(ENTRIES, entry["EntryID"], None)
    division.used_numbers.discard((entry["Journal"], entry["ReportingYear"], entry["EntryNumber"]))
    division.notify("SalesEntries", entry["EntryID"], "Delete")


def _parent(division: Division, line: Row) -> Row:
    entry = division.table(ENTRIES).get(line.get("EntryID"))
    if entry is None:
        raise Refusal([("mandatory" if line.get("EntryID") is None else "reference", "entry")])
    removal.check(division, entry, entry["Journal"], (entry["ReportingYear"], entry["ReportingPeriod"]))
    return entry


def add_line(division: Division, body: Row) -> Row:
    """Adds a line to an entry that exists and books the entry anew."""
    entry = _parent(division, body)
    findings = Findings()
    line = sales_entries.check_line(division, findings, dict(body), entry)
    findings.raise_if_any()
    line["LineNumber"] = len(division.table(LINES).where("EntryID", entry["EntryID"])) + 1
    stored = division.create(LINES, references.without_empty(line))
    _rebook(division, entry)
    return stored


def change_line(division: Division, line: Row, body: Row) -> None:
    """Changes a line, only what was sent, and books the entry anew; VAT is computed again unless its amount is sent."""
    entry = _parent(division, line)
    changed = {**line, **{name: value for name, value in body.items() if name not in ("ID", "EntryID")}}
    if "VATAmountFC" not in body:
        changed.pop("VATAmountFC", None)
    findings = Findings()
    checked = sales_entries.check_line(division, findings, changed, entry)
    findings.raise_if_any()
    division.update(LINES, line["ID"], {**checked, "ID": line["ID"], "EntryID": line["EntryID"]})
    _rebook(division, entry)


def delete_line(division: Division, line: Row) -> None:
    """Deletes a line; with its last line the entry goes too."""
    entry = _parent(division, line)
    if len(division.table(LINES).where("EntryID", entry["EntryID"])) == 1:
        delete(division, entry)
        return
    division.delete(LINES, line["ID"], None)
    _rebook(division, entry)
