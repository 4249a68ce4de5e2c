from decimal import Decimal

from simulators.exact import references, vat_numbers
from simulators.exact.refusals import Findings
from simulators.exact.wire import Row
from simulators.exact.world import Division

ACCOUNTS = "crm/Accounts"
ENTITY_ACCOUNTS, ENTITY_CONTACTS, ENTITY_GL_ACCOUNTS = 2, 5, 7
_STATUSES = frozenset({"A", "S", "P", "C", "N"})
_ACCOUNT_LENGTH = 18
# The catalogue of countries stops where the stand-in's own customers stop; anything else is an invalid reference.
_COUNTRY_CODES = (
    "AD AE AL AM AR AT AU BA BE BG BR BY CA CH CL CN CO CY CZ DE DK EE ES FI FR GB GE GI GR HK HR HU ID IE IL IN IS IT JP KE "
    "KR LI LT LU LV MA MC MD ME MK MT MX MY NG NL NO NZ PH PL PT RO RS RU SA SE SG SI SK SM TH TN TR TW UA US VN ZA"
)
_AMERICAN_STATES = frozenset(
    [
        "AL",
        "AK",
        "AZ",
        "AR",
        "CA",
        "CO",
        "CT",
        "DC",
        "DE",
        "FL",
        "GA",
        "HI",
        "ID",
        "IL",
        "IN",
        "IA",
        "KS",
        "KY",
        "LA",
        "ME",
        "MD",
        "MA",
        "MI",
        "MN",
        "MS",
        "MO",
        "MT",
        "NE",
        "NV",
        "NH",
        "NJ",
        "NM",
        "NY",
        "NC",
        "ND",
        "OH",
        "OK",
        "OR",
        "PA",
        "RI",
        "SC",
        "SD",
        "TN",
        "TX",
        "UT",
        "VT",
        "VA",
        "WA",
        "WV",
        "WI",
        "WY",
    ]
)
_COUNTRIES = frozenset(_COUNTRY_CODES.split())


def create_account(division: Division, body: Row) -> Row:
    """Creates an account; its Code is the next number unless one is sent, padded with spaces on the left to 18."""
    findings = Findings()
    row = dict(body)
    row["ID"] = references.client_key(division, findings, row, ACCOUNTS, "ID")
    row.setdefault("Status", "A")
    _check_account(division, findings, row, None)
    if row.get("Code") is None:
        row["Code"] = _next_code(division)
    findings.raise_if_any()
    row.setdefault("Country", "NL ")
    row.setdefault("StartDate", division.world.today())
    row.setdefault("Type", "A")
    row.update({"IsSales": row["Status"] == "C", "Blocked": row.get("Blocked", False)})
    if row["Status"] == "C":
        row.setdefault("CustomerSince", division.world.today())
    division.highest[ACCOUNTS] = max(division.highest.get(ACCOUNTS, 0), int(row["Code"]))
    stored = division.create(ACCOUNTS, references.without_empty(row))
    division.notify("Accounts", stored["ID"])
    return stored


def change_account(division: Division, account: Row, body: Row) -> None:
    """Changes what was sent of an account; status C makes it a customer."""
    findings = Findings()
    changes = {name: value for name, value in body.items() if name != "ID"}
    if "Name" in changes and not changes["Name"]:
        findings.add("mandatory", "name")
    _check_account(division, findings, changes, account)
    findings.raise_if_any()
    if "Status" in changes:
        changes["IsSales"] = changes["Status"] == "C"
    division.update(ACCOUNTS, account["ID"], changes)
    division.notify("Accounts", account["ID"])


def delete_account(division: Division, account: Row) -> None:
    """Deletes an account that no entry and no document uses."""
    findings = Findings()
    used = division.table("terms").where("Account", account["ID"])
    documents = [row for row in division.table("documents/Documents") if row.get("Account") == account["ID"]]
    for rows, words in ((used, ("Financiële transacties", "Transactions")), (documents, ("Documenten", "Documents"))):
        if rows:
            dutch = division.settings.language.startswith("nl")
            label = "Relatie - Gebruikt in: " + words[0] if dutch else "Account - Used in: " + words[1]
            findings.add("cannot_delete", label)
    findings.raise_if_any()
    division.delete(ACCOUNTS, account["ID"], ENTITY_ACCOUNTS)
    division.notify("Accounts", account["ID"], "Delete")


# Exact's lengths are not documented; the strictest guess.
_LONGEST = {
    "Name": 50,
    "Remarks": 250,
    "TradeName": 50,
    "Website": 100,
    "CodeAtSupplier": 30,
    "AddressLine1": 100,
    "AddressLine2": 100,
    "AddressLine3": 100,
    "City": 100,
    "Postcode": 20,
    "Phone": 25,
    "Email": 128,
}


def _check_account(division: Division, findings: Findings, row: Row, stored: Row | None) -> None:
    if stored is None and not (row.get("Name") or "").strip():
        findings.add("mandatory", "name")
    _check_code(division, findings, row, stored)
    if "Status" in row and row["Status"] not in _STATUSES:
        findings.add("invalid", "status")
    country = row.get("Country")
    if country:
        row["Country"] = country.strip().upper().ljust(3)
        if country.strip().upper() not in _COUNTRIES:
            findings.add("reference", "country")
    _check_state(findings, row, stored)
    for name, longest in _LONGEST.items():
        if len(row.get(name) or "") > longest:
            findings.add("too_long", name)
    if row.get("VATNumber") and not vat_numbers.is_valid(row["VATNumber"]):
        findings.add("invalid", "vat_number")
    if row.get("Email") and not references.is_email(row["Email"]):
        findings.add("invalid", "email")
    currency = row.get("SalesCurrency")
    if currency and division.table("general/Currencies").get(currency.strip()) is None:
        row["SalesCurrency"] = None  # Exact empties a currency that is not active, without a word
    _check_references(division, findings, row)


def _check_state(findings: Findings, row: Row, stored: Row | None) -> None:
    """A state must be a valid code of the account's country; only the American ones are known here, so others are refused."""
    state = row.get("State")
    country = (row.get("Country") or (stored or {}).get("Country") or "NL").strip()
    if state and (country != "US" or state.strip() not in _AMERICAN_STATES):
        findings.add("reference", "state")


def _check_code(division: Division, findings: Findings, row: Row, stored: Row | None) -> None:
    code = row.get("Code")
    if code is None:
        return
    text = code.strip()
    if not text.isdigit() or len(text) > _ACCOUNT_LENGTH:
        findings.add("invalid", "code")
        return
    row["Code"] = text.rjust(_ACCOUNT_LENGTH)
    found = division.by_code(ACCOUNTS, text)
    if found is not None and (stored is None or found["ID"] != stored["ID"]):
        findings.add("data_exists")


def _check_references(division: Division, findings: Findings, row: Row) -> None:
    for name, table, field in (
        ("PaymentConditionSales", "cashflow/PaymentConditions", "payment_condition"),
        ("SalesVATCode", "vat/VATCodes", "vat_code"),
    ):
        if row.get(name):
            found = division.by_code(table, row[name])
            if found is None:
                findings.add("reference", field)
            else:
                row |= {name: found["Code"], f"{name}Description": found["Description"]}
    for name, field in (("GLAR", "gl_account"), ("GLAccountSales", "gl_account")):
        gl = division.table("financial/GLAccounts").get(row.get(name))
        if row.get(name) is None:
            continue
        if gl is None:
            findings.add("reference", field)
        elif name == "GLAR" and gl["Type"] != references.GL_RECEIVABLE:
            findings.add("invalid", "gl_account_type")
    for name in ("InvoiceAccount", "Parent"):
        if row.get(name) is not None and division.table(ACCOUNTS).get(row[name]) is None:
            findings.add("reference", "account")


def _next_code(division: Division) -> str:
    return str(division.highest.get(ACCOUNTS, 0) + 1).rjust(_ACCOUNT_LENGTH)


def create_contact(division: Division, body: Row) -> Row:
    """Creates a contact of an account; first or last name is mandatory."""
    findings = Findings()
    row = dict(body)
    row["ID"] = references.client_key(division, findings, row, "crm/Contacts", "ID")
    if row.get("Account") is None:
        findings.add("mandatory", "account")
    account = references.account(division, findings, row.get("Account"))
    if not row.get("FirstName") and not row.get("LastName"):
        findings.add("mandatory", "last_name")
    if row.get("Email") and not references.is_email(row["Email"]):
        findings.add("invalid", "email")
    findings.raise_if_any()
    names = [row.get("FirstName"), row.get("MiddleName"), row.get("LastName")]
    row |= {"FullName": " ".join(name for name in names if name), "AccountName": (account or {}).get("Name")}
    stored = division.create("crm/Contacts", references.without_empty(row))
    division.notify("Contacts", stored["ID"])
    return stored


def create_coded(division: Division, table: str, body: Row) -> Row:
    """Creates a row that is known by its Code: ledger accounts, journals, conditions, cost centres, cost units, VAT codes."""
    findings = Findings()
    row = dict(body)
    row["ID"] = references.client_key(division, findings, row, table, "ID")
    for name, field in (("Code", "code"), ("Description", "description")):
        if not (row.get(name) or "").strip():
            findings.add("mandatory", field)
    if row.get("Code") and division.by_code(table, row["Code"]) is not None:
        findings.add("data_exists")
    if table == "financial/Journals" and row.get("Type") is None:
        findings.add("mandatory", "journal_type")
    findings.raise_if_any()
    if table == "vat/VATCodes":
        row["Code"] = row["Code"].ljust(3)
    if table == "financial/GLAccounts":
        row = {"Type": 90, "UseCostcenter": 0, "UseCostunit": 0, "IsBlocked": False, "Matching": False, **row}
    stored = division.create(table, references.without_empty(row))
    if table == "financial/Journals":
        open_periods(division, stored)
    if table == "financial/GLAccounts":
        division.notify("GLAccounts", stored["ID"])
    return stored


def change_coded(division: Division, table: str, row: Row, body: Row) -> None:
    """Changes what was sent; the code itself can only be changed by recoding in Exact, so another one is refused."""
    findings = Findings()
    if "Code" in body and (body["Code"] or "").strip() != row["Code"].strip():
        findings.add("not_allowed", "code")
    findings.raise_if_any()
    changes = {name: value for name, value in body.items() if name not in ("ID", "Code")}
    division.update(table, row["ID"], changes)


def create_exchange_rate(division: Division, body: Row) -> Row:
    """Creates a rate from a foreign currency to the division's."""
    findings = Findings()
    source = (body.get("SourceCurrency") or "").strip()
    if division.table("general/Currencies").get(source) is None:
        findings.add("reference", "currency")
    rate: Decimal | None = body.get("Rate")
    if rate is None or rate <= 0:
        findings.add("invalid", "rate")
    if body.get("StartDate") is None:
        findings.add("mandatory", "date")
    findings.raise_if_any()
    row = {**body, "SourceCurrency": source, "TargetCurrency": division.currency, "ID": division.world.next_id()}
    return division.create("financial/ExchangeRates", row)


def open_periods(division: Division, journal: Row) -> None:
    """Gives a journal an open status in every period that exists."""
    for period in division.table("financial/FinancialPeriods"):
        division.table("read/financial/JournalStatusList").add(
            {
                "Journal": journal["Code"],
                "JournalDescription": journal["Description"],
                "JournalType": journal["Type"],
                "Year": period["FinYear"],
                "Period": period["FinPeriod"],
                "Status": 0,
                "StatusDescription": "Open",
            }
        )
