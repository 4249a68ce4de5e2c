from simulators.exact import references
from simulators.exact.refusals import Findings
from simulators.exact.wire import Row
from simulators.exact.world import Division

ITEMS = "logistics/Items"
GROUPS = "logistics/ItemGroups"
DESCRIPTION_LENGTH = 60


def create(division: Division, body: Row) -> Row:
    """Creates an item: Code (unique) and Description are mandatory, and without a group it joins the default one."""
    findings = Findings()
    row = dict(body)
    row["ID"] = references.client_key(division, findings, row, ITEMS, "ID")
    for name, field in (("Code", "code"), ("Description", "description")):
        if not row.get(name):
            findings.add("mandatory", field)
    if row.get("Code") and division.by_code(ITEMS, row["Code"]) is not None:
        findings.add("data_exists")
    _check(division, findings, row)
    findings.raise_if_any()
    row.setdefault("ItemGroup", next(iter(division.table(GROUPS)))["ID"])
    row.setdefault("IsSalesItem", False)
    stored = division.create(ITEMS, references.without_empty(row))
    division.notify("Items", stored["ID"])
    return stored


def change(division: Division, row: Row, body: Row) -> None:
    """Changes an item, only what was sent."""
    findings = Findings()
    changes = {name: value for name, value in body.items() if name != "ID"}
    other = division.by_code(ITEMS, changes["Code"]) if changes.get("Code") else None
    if other is not None and other["ID"] != row["ID"]:
        findings.add("data_exists")
    _check(division, findings, changes)
    findings.raise_if_any()
    division.update(ITEMS, row["ID"], changes)
    division.notify("Items", row["ID"])


def delete(division: Division, item: Row) -> None:
    """Deletes an item that no line of an invoice names."""
    findings = Findings()
    if any(line.get("Item") == item["ID"] for line in division.table("salesinvoice/SalesInvoiceLines")):
        dutch = division.settings.language.startswith("nl")
        words = "Artikel - Gebruikt in: Facturen" if dutch else "Item - Used in: Invoices"
        findings.add("cannot_delete", words)
    findings.raise_if_any()
    division.delete(ITEMS, item["ID"], None)
    division.notify("Items", item["ID"], "Delete")


def _check(division: Division, findings: Findings, row: Row) -> None:
    if len(row.get("Description") or "") > DESCRIPTION_LENGTH:
        findings.add("too_long", "description")
    references.vat_code(division, findings, row.get("SalesVatCode"))
    if row.get("GLRevenue") is not None:
        references.gl_account(division, findings, row["GLRevenue"])
    if row.get("ItemGroup") is not None and division.table(GROUPS).get(row["ItemGroup"]) is None:
        findings.add("reference", "item_group")
