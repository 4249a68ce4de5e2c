import calendar
import uuid
from datetime import datetime
from decimal import Decimal

from simulators.exact.master_data import open_periods
from simulators.exact.wire import Row
from simulators.exact.world import Division, World

DEMO_DIVISION, TEST_DIVISION = 100001, 100002

# (code, description, type, balance type)
_LEDGER_ACCOUNTS = (
    ("1100", "Bank", 12),
    ("1290", "Kruisposten betaaldienst", 90),
    ("1300", "Debiteuren", 20),
    ("1310", "Debiteuren buitenland", 20),
    ("1500", "Af te dragen btw hoog", 24),
    ("1501", "Af te dragen btw laag", 24),
    ("1505", "Btw verlegd naar ons", 24),
    ("1510", "Af te dragen OSS-btw Duitsland", 24),
    ("1511", "Af te dragen OSS-btw Frankrijk", 24),
    ("1520", "Te vorderen btw", 24),
    ("1650", "Vooruitontvangen omzet", 90),
    ("1660", "Vooruitontvangen bedragen klanten", 90),
    ("4600", "Betaalkosten betaaldienst", 121),
    ("4650", "Storneringskosten", 121),
    ("4700", "Afboeking oninbare debiteuren", 121),
    ("4900", "Afrondings- en betalingsverschillen", 121),
    ("4910", "Koersverschillen", 121),
    ("8000", "Omzet abonnementen NL hoog", 110),
    ("8010", "Omzet abonnementen NL laag", 110),
    ("8020", "Omzet add-ons", 110),
    ("8030", "Omzet EU B2B verlegd", 110),
    ("8040", "Omzet EU B2C (OSS)", 110),
    ("8050", "Omzet buiten EU", 110),
    ("8090", "Verleende kortingen", 110),
    ("8091", "Welkomstkortingen", 110),
    ("8092", "Gebruikt tegoed", 110),
)
_MATCHED_BY_HAND = frozenset({"1290", "1660"})  # entries on these may be matched on the ledger card
# (code, description, type, ledger account, AllowVAT)
_JOURNALS = (
    ("20", "Bank", 12, "1100", True),
    ("25", "Betaaldienst", 16, "1290", True),
    ("70", "Verkoop", 20, None, True),
    ("71", "Verkoop creditnota's", 21, None, True),
    ("90", "Memoriaal", 90, None, False),
    ("91", "Memoriaal met btw", 90, None, True),
)
# (code, description, type, percentage, VAT to pay, further properties)
_VAT_CODES: tuple[tuple[str, str, str, str, str, Row], ...] = (
    ("1", "Btw laag, exclusief", "E", "0.09", "1501", {}),
    ("2", "Btw hoog, exclusief", "E", "0.21", "1500", {}),
    ("4", "Btw hoog, inclusief", "I", "0.21", "1500", {}),
    ("0", "Btw nultarief", "B", "0", "1500", {}),
    ("00", "Vrijgesteld van btw", "B", "0", "1500", {}),
    ("6", "Btw verlegd binnenland", "B", "0", "1500", {"Charged": True}),
    ("7", "Diensten binnen de EU, btw verlegd", "B", "0", "1500", {"EUSalesListing": "S"}),
    ("8", "Goederen binnen de EU, intracommunautair", "B", "0", "1500", {"EUSalesListing": "L"}),
    ("9", "Buiten de EU", "B", "0", "1500", {}),
    ("DE", "OSS Duitsland 19%", "E", "0.19", "1510", {"OssCountry": "DE"}),
    ("FR", "OSS Frankrijk 20%", "E", "0.20", "1511", {"OssCountry": "FR"}),
    ("N", "Geen btw", "N", "0", "1500", {}),
    ("I2", "Inkoop hoog", "E", "0.21", "1520", {"VATTransactionType": "P"}),
    ("IV", "Inkoop diensten uit de EU, btw verlegd", "E", "0.21", "1505", {"VATTransactionType": "P", "Charged": True}),
)
# (code, description, days, ends of months, method)
_CONDITIONS = (
    ("00", "Contant", 0, 0, "K"),
    ("14", "14 dagen", 14, 0, "B"),
    ("30", "30 dagen", 30, 0, "B"),
    ("EM", "Einde maand", 0, 1, "B"),
    ("IN", "Incasso", 7, 0, "I"),
    ("PS", "Betaaldienst", 0, 0, "Q"),
)
_COST_CENTERS = (("NL", "Nederland"), ("EU", "Europese Unie"), ("ROW", "Rest van de wereld"), ("SALES", "Verkoop"))
_COST_UNITS = (("SAAS", "Abonnementen"), ("ADDON", "Add-ons"))
_CURRENCIES = (("EUR", "Euro"), ("USD", "US dollar"), ("GBP", "Brits pond"))
_RATES = (("USD", "0.9175"), ("GBP", "1.1650"))


def seed(world: World) -> None:
    """Fills the world with the demo administration, a second one for tests, and more if wanted, all periods open."""
    more = ((code, f"Kruispost {code} B.V.") for code in world.settings.more_divisions)
    for code, description in ((DEMO_DIVISION, "Kruispost Demo B.V."), (TEST_DIVISION, "Kruispost Test B.V."), *more):
        division = Division(world, code, description)
        _periods(division)
        accounts = _ledger_accounts(division)
        _journals(division, accounts)
        _vat_codes(division, accounts)
        _small_tables(division)
        group = {"ID": division.world.next_id(), "Code": "ALG", "Description": "Algemeen", "IsDefault": 1}
        division.create("logistics/ItemGroups", {**group, "GLRevenue": accounts["8000"]})


def _periods(division: Division) -> None:
    for year in division.settings.years:
        for month in range(1, 13):
            last = calendar.monthrange(year, month)[1]
            division.create(
                "financial/FinancialPeriods",
                {
                    "ID": division.world.next_id(),
                    "FinYear": year,
                    "FinPeriod": month,
                    "StartDate": datetime(year, month, 1),  # noqa: DTZ001  Exact's dates have no zone
                    "EndDate": datetime(year, month, last),  # noqa: DTZ001  Exact's dates have no zone
                },
            )


def _ledger_accounts(division: Division) -> dict[str, uuid.UUID]:
    accounts = {}
    for code, description, kind in _LEDGER_ACCOUNTS:
        row = division.create(
            "financial/GLAccounts",
            {
                "ID": division.world.next_id(),
                "Code": code,
                "Description": description,
                "SearchCode": description.upper()[:20],
                "Type": kind,
                "BalanceType": "W" if kind >= 110 else "B",
                "BalanceSide": "C" if kind in (24, 110) else "D",
                "IsBlocked": False,
                "Matching": code in _MATCHED_BY_HAND,
                "Compress": False,
                "UseCostcenter": 0,
                "UseCostunit": 0,
            },
        )
        accounts[code] = row["ID"]
    return accounts


def _journals(division: Division, accounts: dict[str, uuid.UUID]) -> None:
    for code, description, kind, account, allow_vat in _JOURNALS:
        row: Row = {
            "ID": division.world.next_id(),
            "Code": code,
            "Description": description,
            "Type": kind,
            "AllowVAT": allow_vat,
            "AllowVariableCurrency": True,
            "AllowVariableExchangeRate": True,
            "Currency": division.currency,
            "IsBlocked": False,
        }
        if account is not None:
            row |= {"GLAccount": accounts[account], "GLAccountCode": account}
        open_periods(division, division.create("financial/Journals", row))


def _vat_codes(division: Division, accounts: dict[str, uuid.UUID]) -> None:
    for code, description, kind, percentage, to_pay, further in _VAT_CODES:
        row = division.create(
            "vat/VATCodes",
            {
                "ID": division.world.next_id(),
                "Code": code.ljust(3),
                "Description": description,
                "Type": kind,
                "Percentage": Decimal(percentage),
                "VATTransactionType": "B",
                "IsBlocked": False,
                "Charged": False,
                "EUSalesListing": "N",
                "GLToPay": accounts[to_pay],
                "GLToPayCode": to_pay,
                "GLToClaim": accounts["1520"],
                "GLToClaimCode": "1520",
                **further,
            },
        )
        division.create(
            "vat/VatPercentages",
            {
                "ID": division.world.next_id(),
                "VATCodeID": row["ID"],
                "LineNumber": 1,
                "Percentage": row["Percentage"],
                "StartDate": datetime(2012, 10, 1),  # noqa: DTZ001  Exact's dates have no zone
                "Type": 0,
            },
        )


def _small_tables(division: Division) -> None:
    for code, description, days, months, method in _CONDITIONS:
        division.create(
            "cashflow/PaymentConditions",
            {
                "ID": division.world.next_id(),
                "Code": code,
                "Description": description,
                "PaymentDays": days,
                "PaymentEndOfMonths": months,
                "PaymentMethod": method,
                "Percentage": Decimal(1),
            },
        )
    for table, rows in (("hrm/Costcenters", _COST_CENTERS), ("hrm/Costunits", _COST_UNITS)):
        for code, description in rows:
            division.create(table, {"ID": division.world.next_id(), "Code": code, "Description": description})
    for code, description in _CURRENCIES:
        division.create("general/Currencies", {"Code": code, "Description": description, "AmountPrecision": Decimal(2)})
    for source, rate in _RATES:
        division.create(
            "financial/ExchangeRates",
            {
                "ID": division.world.next_id(),
                "SourceCurrency": source,
                "TargetCurrency": division.currency,
                "Rate": Decimal(rate),
                "StartDate": datetime(2025, 1, 1),  # noqa: DTZ001  Exact's dates have no zone
            },
        )
