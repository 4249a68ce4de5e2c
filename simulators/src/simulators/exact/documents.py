import base64
import binascii
from decimal import Decimal

from simulators.exact import references
from simulators.exact.refusals import ApiError, Findings
from simulators.exact.wire import Row
from simulators.exact.world import Division

DOCUMENTS = "documents/Documents"
ATTACHMENTS = "documents/DocumentAttachments"
TYPES = {10: "Verkoopfactuur", 20: "Inkoopfactuur", 55: "Diversen"}
ENTITY_ATTACHMENTS, ENTITY_DOCUMENTS = 4, 6
_ENTRIES = (
    "salesentry/SalesEntries",
    "generaljournalentry/GeneralJournalEntries",
    "financialtransaction/BankEntries",
)


def create_document(division: Division, body: Row) -> Row:
    """Creates a document; `FinancialTransactionEntryID` links it to an entry, `HID` is a unique number."""
    findings = Findings()
    row = dict(body)
    row["ID"] = references.client_key(division, findings, row, DOCUMENTS, "ID")
    if not row.get("Subject"):
        findings.add("mandatory", "subject")
    if row.get("Type") is None:
        findings.add("mandatory", "document_type")
    elif row["Type"] not in TYPES:
        findings.add("reference", "document_type")
    account = references.account(division, findings, row.get("Account"))
    entry_id = row.get("FinancialTransactionEntryID")
    entry_table = next((table for table in _ENTRIES if division.table(table).get(entry_id) is not None), None)
    if entry_id is not None and entry_table is None:
        findings.add("reference", "entry")
    if row.get("HID") is not None and (row["HID"] == 0 or division.table(DOCUMENTS).where("HID", row["HID"])):
        findings.add("data_exists")
    findings.raise_if_any()
    row.setdefault("HID", division.highest.get(DOCUMENTS, 0) + 1)
    division.highest[DOCUMENTS] = max(division.highest.get(DOCUMENTS, 0), row["HID"])
    row.setdefault("DocumentDate", division.world.today())
    row |= {"TypeDescription": TYPES[row["Type"]]}
    if account is not None:
        row |= {"AccountCode": account["Code"], "AccountName": account["Name"]}
    stored = division.create(DOCUMENTS, references.without_empty(row))
    if entry_table == _ENTRIES[0]:
        linked = {"Document": stored["ID"], "DocumentNumber": stored["HID"], "DocumentSubject": stored["Subject"]}
        division.update(entry_table, entry_id, linked)
    division.notify("Documents", stored["ID"])
    return stored


def create_attachment(division: Division, body: Row) -> Row:
    """Adds a file to a document; the content arrives as base64 and its size is that of the raw bytes.

    Raises `ApiError` 400 when the content is no base64, `Refusal` when the document or a name is missing.
    """
    findings = Findings()
    row = dict(body)
    row["ID"] = references.client_key(division, findings, row, ATTACHMENTS, "ID")
    if row.get("Document") is None:
        findings.add("mandatory", "document")
    elif division.table(DOCUMENTS).get(row["Document"]) is None:
        findings.add("reference", "document")
    if not row.get("FileName"):
        findings.add("mandatory", "file_name")
    if not row.get("Attachment"):
        findings.add("mandatory", "attachment")
    findings.raise_if_any()
    try:
        content = base64.b64decode(row["Attachment"], validate=True)
    except binascii.Error as problem:
        raise ApiError(400, "Error processing request stream. The attachment is not valid base64.") from problem
    row["FileSize"] = Decimal(len(content))
    row["Url"] = f"/docs/SysAttachment.aspx?ID={row['ID']}&_Division_={division.code}"
    stored = division.create(ATTACHMENTS, references.without_empty(row))
    division.notify("DocumentAttachments", stored["ID"])
    return stored


def delete_document(division: Division, document: Row) -> None:
    """Deletes a document with its attachments."""
    for attachment in division.table(ATTACHMENTS).where("Document", document["ID"]):
        division.delete(ATTACHMENTS, attachment["ID"], ENTITY_ATTACHMENTS)
    division.delete(DOCUMENTS, document["ID"], ENTITY_DOCUMENTS)
    division.notify("Documents", document["ID"], "Delete")
