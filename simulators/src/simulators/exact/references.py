import re
import uuid
from decimal import Decimal
from typing import Any

from simulators.exact.refusals import ApiError, Findings
from simulators.exact.wire import Row
from simulators.exact.world import Division

JOURNAL_CASH, JOURNAL_BANK, JOURNAL_PSP, JOURNAL_SALES, JOURNAL_RETURNS, JOURNAL_GENERAL = 10, 12, 16, 20, 21, 90
GL_RECEIVABLE = 20
COST_MANDATORY, COST_REFUSED = 1, 2
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def gl_account(division: Division, findings: Findings, key: uuid.UUID | None) -> Row | None:
    """The ledger account a line names; mandatory, known and not blocked."""
    if key is None:
        findings.add("mandatory", "gl_account")
        return None
    row = division.table("financial/GLAccounts").get(key)
    if row is None:
        findings.add("reference", "gl_account")
    elif row.get("IsBlocked"):
        findings.add("blocked", "gl_account")
    return row


def journal(division: Division, findings: Findings, code: str | None, types: tuple[int, ...]) -> Row | None:
    """The journal with this code (a code, never a GUID), of one of the allowed types and not blocked."""
    if not code:
        findings.add("mandatory", "journal")
        return None
    row = division.by_code("financial/Journals", code)
    if row is None:
        findings.add("reference", "journal")
    elif row["Type"] not in types:
        findings.add("invalid", "journal_type")
    elif row.get("IsBlocked"):
        findings.add("blocked", "journal")
    return row


def account(division: Division, findings: Findings, key: uuid.UUID | None, field: str = "account") -> Row | None:
    """The account a document names, known and not blocked; None is fine when no key was given."""
    if key is None:
        return None
    row = division.table("crm/Accounts").get(key)
    if row is None:
        findings.add("reference", field)
    elif row.get("Blocked"):
        findings.add("blocked", field)
    return row


def customer(division: Division, findings: Findings, key: uuid.UUID | None) -> Row | None:
    """The account of a sales entry: mandatory and of status C, else `Ongeldig: Klant (Type)`."""
    if key is None:
        findings.add("mandatory", "customer")
        return None
    row = account(division, findings, key, "customer")
    if row is not None and row.get("Status") != "C":
        findings.add("invalid", "customer_type")
    return row


def vat_code(division: Division, findings: Findings, code: str | None, *, for_sales: bool = True) -> Row | None:
    """The VAT code with this text, padding aside; it must not be blocked, and allow sales where it is for them."""
    if not code or not code.strip():
        return None
    row = division.by_code("vat/VATCodes", code)
    if row is None:
        findings.add("reference", "vat_code")
    elif row.get("IsBlocked"):
        findings.add("blocked", "vat_code")
    elif for_sales and row.get("VATTransactionType") == "P":
        findings.add("not_allowed", "vat_code")
    return row


def cost_analysis(division: Division, findings: Findings, line: Row, gl: Row | None) -> None:
    """Checks cost centre and cost unit of a line: by code, and mandatory or refused as its ledger account says."""
    for name, table, rule, field in (
        ("CostCenter", "hrm/Costcenters", "UseCostcenter", "cost_center"),
        ("CostUnit", "hrm/Costunits", "UseCostunit", "cost_unit"),
    ):
        code = line.get(name)
        use = gl.get(rule, 0) if gl is not None else 0
        if code and division.by_code(table, code) is None:
            findings.add("reference", field)
        elif code and use == COST_REFUSED:
            findings.add("not_allowed", field)
        elif not code and use == COST_MANDATORY:
            findings.add("mandatory", field)


def currency(division: Division, findings: Findings, code: str | None, rate: Decimal | None) -> tuple[str, Decimal]:
    """Currency and rate of an entry. Without a rate the last one of the rate table is taken; without any, it is mandatory."""
    chosen = (code or division.currency).strip()
    if division.table("general/Currencies").get(chosen) is None:
        findings.add("reference", "currency")
        return chosen, Decimal(1)
    if chosen == division.currency:
        if rate is not None and rate != 1:
            findings.add("not_allowed", "rate")
        return chosen, Decimal(1)
    if rate is not None:
        if rate <= 0:
            findings.add("invalid", "rate")
        return chosen, rate
    known = [row for row in division.table("financial/ExchangeRates") if row["SourceCurrency"] == chosen]
    if not known:
        findings.add("mandatory", "rate")
        return chosen, Decimal(1)
    latest: Decimal = max(known, key=lambda row: row["StartDate"])["Rate"]
    return chosen, latest


def journal_currency(findings: Findings, journal: Row | None, currency: str) -> None:
    """Holds an entry to its journal's currency, unless the journal allows any (AllowVariableCurrency)."""
    if journal is not None and journal.get("AllowVariableCurrency") is False and journal.get("Currency") not in (None, currency):
        findings.add("not_allowed", "currency")


def text(division: Division, findings: Findings, row: Row, name: str) -> None:
    """Holds YourRef or Description to its length: refused or cut off, as the division's switch says."""
    settings = division.settings
    field, length = {
        "YourRef": ("your_ref", settings.your_ref_length),
        "Description": ("description", settings.description_length),
    }[name]
    value = row.get(name)
    if value is None or len(value) <= length:
        return
    if settings.too_long_text == "truncated":
        row[name] = value[:length]
    else:
        findings.add("too_long", field)


def client_key(division: Division, findings: Findings, body: Row, table: str, name: str) -> uuid.UUID:
    """The key of a new row: the client's own one, or a new one, by the switch for what Exact does with a sent key."""
    given: uuid.UUID | None = body.get(name)
    choice = division.settings.client_guid
    if given is None or choice == "ignored":
        return division.world.next_id()
    if choice == "refused_400":
        raise ApiError(400, f"Error processing request stream. The property '{name}' cannot be set.")
    if choice == "refused":
        findings.add("blank")
    elif division.table(table).get(given) is not None:
        findings.add("data_exists")
    return given


def is_email(value: str) -> bool:
    """Whether Exact takes this as an e-mail address."""
    return _EMAIL.fullmatch(value) is not None


def without_empty(row: Row) -> dict[str, Any]:
    """Only the properties that are filled: that is how rows are stored."""
    return {name: value for name, value in row.items() if value is not None}
