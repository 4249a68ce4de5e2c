"""The Dutch audit file (XML Auditfile Financieel 3.2) of one financial year, from Exact's ledger as the writer keeps it.

It is written as it is read: the totals stand in front, so that they are summed up first. The opening balance is what all years
before left on each account, since the writer reads the ledger from its first line; Exact tells none over its API. A result that
was not closed onto equity there stands on the accounts where Exact has it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape

from backbone.configuration_types import ISO_CODES
from contracts.ledger import LedgerLine, LedgerName, LedgerYear
from mapper.audit_file_hashes import Output

NAMESPACE: Final = "http://www.auditfiles.nl/XAF/3.2"
SOFTWARE: Final = "Kruispost"
# Lengths of the published schema XAF 3.2 (XmlAuditfileFinancieel3.2.xsd), and its currencies: a list of about 2004.
ID, NAME, TEXT, LONG, TAX_ID = 35, 50, 999, 9999, 30
OTHER_CURRENCY: Final = "ZZZ"  # what it has for the others, such as RON and TRY
_CURRENCIES: Final = (
    "AED AFA ALL AMD ANG AOA ARS AUD AWG AZM BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYR BZD CAD CDF CHF CLP CNY "
    "COP CRC CSD CUP CVE CYP CZK DJF DKK DOP DZD EEK EGP ERN ETB EUR FJD FKP GBP GEL GGP GHC GIP GMD GNF GTQ GYD HKD HNL HRK "
    "HTG HUF IDR ILS IMP INR IQD IRR ISK JEP JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LTL LVL LYD "
    "MAD MDL MGA MKD MMK MNT MOP MRO MTL MUR MVR MWK MXN MYR MZM NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR "
    "ROL RUB RUR RWF SAR SBD SCR SDD SEK SGD SHP SIT SKK SLL SOS SPL SRD STD SVC SYP SZL THB TJS TMM TND TOP TRL TTD TVD TWD "
    "TZS UAH UGX USD UYU UZS VEB VND VUV WST XAF XCD XOF XPF YER ZAR ZMK ZWD"
)
# Its countries, of the same time; and under which of these it had those that got a code of their own since.
_COUNTRIES: Final = (
    "AD AE AF AG AI AL AM AN AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BM BN BO BR BS BT BV BW BY BZ CA CC CD "
    "CF CG CH CI CK CL CM CN CO CR CS CU CV CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE "
    "GF GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM "
    "KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA "
    "NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH "
    "SI SJ SK SL SM SN SO SR ST SV SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UK UM US UY UZ VA VC VE VG "
    "VI VN VU WF WS YE YT ZA ZM ZW"
)
_FORMERLY: Final = {
    **dict.fromkeys(("BQ", "CW", "SX"), "AN"),  # the Netherlands Antilles
    **dict.fromkeys(("ME", "XK"), "CS"),  # Serbia and Montenegro
    **dict.fromkeys(("BL", "MF"), "GP"),
    "GG": "GB",
    "SS": "SD",
}
_PROFIT_AND_LOSS: Final = range(110, 161)  # types of Exact's ledger accounts
_JOURNAL_TYPES: Final = {10: "C", 12: "B", 20: "S", 21: "S", 22: "P", 90: "M"}
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Whose books these are; `vat_number` is always named, and `country` as the schema lists it."""

    division: int
    name: str
    vat_number: str
    country: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The financial year, and its periods with their days."""

    year: int
    first: date
    last: date
    periods: dict[int, tuple[date, date]]


@dataclass(slots=True)
class Written:
    """What was written, to be compared with the totals in front."""

    lines: int = 0
    debit_hundredths: int = 0
    credit_hundredths: int = 0


class AuditFile:
    """Writes the file to a stream."""

    def __init__(self, stream: Output, company: Company, span: Span, totals: LedgerYear, made_on: date) -> None:
        self._stream = stream
        self._company = company
        self._span = span
        self._totals = totals
        self._made_on = made_on
        self._percentages = {each.key: each.percentage for each in totals.vat_codes}
        self._customers = {each.key: customer_id(each) for each in totals.customers}

    async def write(self, lines: AsyncIterator[LedgerLine]) -> Written:
        """Write all of it; return what the lines came to."""
        self._stream.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<auditfile xmlns="{NAMESPACE}">\n')
        self._header()
        self._stream.write("<company>\n")
        self._company_itself()
        self._names()
        written = await self._transactions(lines)
        self._stream.write("</company>\n</auditfile>\n")
        return written

    def _header(self) -> None:
        self._open("header")
        self._put("fiscalYear", str(self._span.year), 9)
        self._put("startDate", self._span.first.isoformat())
        self._put("endDate", self._span.last.isoformat())
        self._put("curCode", currency_code(self._company.currency))
        self._put("dateCreated", self._made_on.isoformat())
        self._put("softwareDesc", SOFTWARE, NAME)
        self._close("header")

    def _company_itself(self) -> None:
        self._put("companyIdent", str(self._company.division), ID)
        self._put("companyName", self._company.name, TEXT, otherwise=str(self._company.division))
        self._put("taxRegistrationCountry", self._company.country)
        self._put("taxRegIdent", self._company.vat_number, TAX_ID)

    def _names(self) -> None:
        totals = self._totals
        if totals.customers:
            self._open("customersSuppliers")
            for each in totals.customers:
                self._open("customerSupplier")
                self._put("custSupID", self._customers[each.key], ID)
                self._put("custSupName", each.name, NAME)
                self._put("taxRegIdent", each.vat_number, TAX_ID)
                self._close("customerSupplier")
            self._close("customersSuppliers")
        if totals.accounts:
            self._open("generalLedger")
            for each in totals.accounts:
                self._open("ledgerAccount")
                self._put("accID", each.code, ID)
                self._put("accDesc", each.name, TEXT, otherwise=each.code)
                self._put("accTp", "P" if each.type in _PROFIT_AND_LOSS else "B")
                self._close("ledgerAccount")
            self._close("generalLedger")
        self._open("vatCodes")
        for each in totals.vat_codes:
            self._open("vatCode")
            self._put("vatID", each.code, ID)
            self._put("vatDesc", each.name, TEXT, otherwise=f"{each.code} ({each.percentage} %)")
            self._close("vatCode")
        self._close("vatCodes")
        self._open("periods")
        for number, (first, last) in sorted(self._span.periods.items()):
            self._open("period")
            self._put("periodNumber", str(number))
            self._put("startDatePeriod", first.isoformat())
            self._put("endDatePeriod", last.isoformat())
            self._close("period")
        self._close("periods")
        self._opening()

    def _opening(self) -> None:
        if not self._totals.opening:
            return
        self._open("openingBalance")
        self._put("opBalDate", self._span.first.isoformat())
        self._put("linesCount", str(len(self._totals.opening)))
        self._put("totalDebit", amount(sum(max(balance, 0) for _, balance in self._totals.opening)))
        self._put("totalCredit", amount(sum(max(-balance, 0) for _, balance in self._totals.opening)))
        for number, (account, balance) in enumerate(self._totals.opening, start=1):
            self._open("obLine")
            self._put("nr", str(number), ID)
            self._put("accID", account, ID)
            self._put("amnt", amount(abs(balance)))
            self._put("amntTp", side(balance))
            self._close("obLine")
        self._close("openingBalance")

    async def _transactions(self, lines: AsyncIterator[LedgerLine]) -> Written:
        self._open("transactions")
        self._put("linesCount", str(self._totals.lines))
        self._put("totalDebit", amount(self._totals.debit_hundredths))
        self._put("totalCredit", amount(self._totals.credit_hundredths))
        journals = {each.key: each for each in self._totals.journals}
        written, before = Written(), None
        async for line in lines:
            if before is None or line.journal != before.journal:
                self._end(before, journal=True)
                self._journal(journals.get(line.journal, LedgerName(key=line.journal, code=line.journal)))
                self._transaction(line)
            elif (line.entry_id, line.period) != (before.entry_id, before.period):
                self._end(before, journal=False)
                self._transaction(line)
            self._line(line, written)
            before = line
        self._end(before, journal=True)
        self._close("transactions")
        return written

    def _end(self, before: LedgerLine | None, *, journal: bool) -> None:
        if before is not None:
            self._close("transaction")
            if journal:
                self._close("journal")

    def _journal(self, journal: LedgerName) -> None:
        self._open("journal")
        self._put("jrnID", journal.code, ID)
        self._put("desc", journal.name, LONG, otherwise=journal.code)
        self._put("jrnTp", _JOURNAL_TYPES.get(journal.type, "Z"))

    def _transaction(self, line: LedgerLine) -> None:
        """Begin an entry; what of it stands in another period, as released revenue does, is a transaction of that period."""
        self._open("transaction")
        self._put("nr", f"{line.entry_number}/{line.period}" if line.is_deferral else str(line.entry_number), ID)
        self._put("desc", line.your_ref or line.description or "", LONG)
        self._put("periodNumber", str(line.period))
        self._put("trDt", line.day.isoformat())

    def _line(self, line: LedgerLine, written: Written) -> None:
        written.lines += 1
        written.debit_hundredths += max(line.dc_hundredths, 0)
        written.credit_hundredths += max(-line.dc_hundredths, 0)
        self._open("trLine")
        self._put("nr", str(written.lines), ID)
        self._put("accID", line.account, ID)
        self._put("docRef", line.your_ref or "", TEXT, otherwise=str(line.invoice_number or line.entry_number))
        self._put("effDate", line.day.isoformat())
        self._put("desc", line.description or "", LONG)
        self._put("amnt", amount(abs(line.dc_hundredths)))
        self._put("amntTp", side(line.dc_hundredths))
        if line.relation_id is not None:
            self._put("custSupID", self._customers[line.relation_id], ID)
        self._put("invRef", str(line.invoice_number) if line.invoice_number else "", TEXT)
        self._put("costID", line.cost_center or "", ID)
        if line.vat_code and (line.is_vat or not line.vat_fc_hundredths):
            # The VAT of a line is one of its own in the ledger; where there is none the code stands with the base.
            self._open("vat")
            self._put("vatID", line.vat_code, ID)
            self._put("vatPerc", percentage(self._percentages[line.vat_code]))
            self._put("vatAmnt", amount(abs(line.dc_hundredths) if line.is_vat else 0))
            self._put("vatAmntTp", side(line.dc_hundredths))
            self._close("vat")
        if line.currency != self._company.currency:
            self._open("currency")
            self._put("curCode", currency_code(line.currency))
            self._put("curAmnt", amount(abs(line.fc_hundredths)))
            self._close("currency")
        self._close("trLine")

    def _open(self, name: str) -> None:
        self._stream.write(f"<{name}>")

    def _close(self, name: str) -> None:
        self._stream.write(f"</{name}>\n")

    def _put(self, name: str, text: str, most: int | None = None, *, otherwise: str = "") -> None:
        """Write an element, cut to what the schema takes; of an empty one what it has `otherwise`, else it is left out."""
        shown = shown_text(text, most) or shown_text(otherwise, most)
        if shown:
            self._stream.write(f"<{name}>{escape(shown)}</{name}>")


def amount(hundredths: int) -> str:
    """Return an amount with two decimals."""
    whole, cents = divmod(abs(hundredths), 100)
    return f"{'-' if hundredths < 0 else ''}{whole}.{cents:02d}"


def percentage(written: str) -> str:
    """Return a percentage with two decimals, three where it has them."""
    rounded = Decimal(written or "0").quantize(Decimal("0.001"))
    return f"{rounded:f}" if rounded != rounded.quantize(Decimal("0.01")) else f"{rounded:.2f}"


def currency_code(currency: str) -> str:
    """Return a currency as the schema lists it."""
    return currency if currency in _CURRENCIES.split() else OTHER_CURRENCY


def country_code(country: str) -> str | None:
    """Return a country as the schema lists it, None for what is none there."""
    code = ISO_CODES.get(country, country)
    listed = _FORMERLY.get(code, code)
    return listed if listed in _COUNTRIES.split() else None


def shown_text(text: str, most: int | None = None) -> str:
    """Return a text as it is written: without what XML cannot have, on one line, cut to what the schema takes."""
    return " ".join(_NOT_IN_XML.sub("", text).split())[:most].strip()


def side(hundredths: int) -> str:
    """Return D for debit, C for credit."""
    return "C" if hundredths < 0 else "D"


def customer_id(customer: LedgerName) -> str:
    """Return what a customer is called in the file: Exact's code, else its id without the dashes, which would be too long."""
    return customer.code or customer.key.replace("-", "")[:ID]
