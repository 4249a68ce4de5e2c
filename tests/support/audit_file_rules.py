"""What the published schema of the Dutch audit file (XAF 3.2) asks of the elements that we write.

Every fact is that of the published schema XAF 3.2 (XmlAuditfileFinancieel3.2.xsd, namespace http://www.auditfiles.nl/XAF/3.2):
order, obligation, maximum length, digits, enumerations, keys and references. That the totals in front are those of the lines
behind them is the meaning that it gives to linesCount, totalDebit and totalCredit; a schema cannot check it, an auditor does.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from xml.etree import ElementTree as ET

NAMESPACE = "{http://www.auditfiles.nl/XAF/3.2}"
# Each element's children in their order: a name, and `?` where it may lack, `+` where it may repeat, `*` where it may do both.
CHILDREN = {
    "auditfile": "header company",
    "header": "fiscalYear startDate endDate curCode dateCreated softwareDesc? softwareVersion?",
    "company": "companyIdent? companyName taxRegistrationCountry taxRegIdent customersSuppliers? generalLedger? vatCodes?"
    " periods? openingBalance? transactions?",
    "customersSuppliers": "customerSupplier*",
    "customerSupplier": "custSupID custSupName? taxRegIdent?",
    "generalLedger": "ledgerAccount+",
    "ledgerAccount": "accID accDesc accTp",
    "vatCodes": "vatCode*",
    "vatCode": "vatID vatDesc",
    "periods": "period*",
    "period": "periodNumber startDatePeriod endDatePeriod",
    "openingBalance": "opBalDate opBalDesc? linesCount totalDebit totalCredit obLine*",
    "obLine": "nr accID amnt amntTp",
    "transactions": "linesCount totalDebit totalCredit journal*",
    "journal": "jrnID desc jrnTp? transaction*",
    "transaction": "nr desc? periodNumber trDt trLine*",
    "trLine": "nr accID docRef effDate desc? amnt amntTp custSupID? invRef? costID? vat{0,99} currency?",
    "vat": "vatID vatPerc vatAmnt vatAmntTp",
    "currency": "curCode curAmnt",
}
CURRENCIES = (
    "AED AFA ALL AMD ANG AOA ARS AUD AWG AZM BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYR BZD CAD CDF CHF CLP CNY "
    "COP CRC CSD CUP CVE CYP CZK DJF DKK DOP DZD EEK EGP ERN ETB EUR FJD FKP GBP GEL GGP GHC GIP GMD GNF GTQ GYD HKD HNL HRK "
    "HTG HUF IDR ILS IMP INR IQD IRR ISK JEP JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LTL LVL LYD "
    "MAD MDL MGA MKD MMK MNT MOP MRO MTL MUR MVR MWK MXN MYR MZM NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR "
    "ROL RUB RUR RWF SAR SBD SCR SDD SEK SGD SHP SIT SKK SLL SOS SPL SRD STD SVC SYP SZL THB TJS TMM TND TOP TRL TTD TVD TWD "
    "TZS UAH UGX USD UYU UZS VEB VND VUV WST XAF XCD XOF XPF YER ZAR ZMK ZWD ZZZ"
)
COUNTRIES = (
    "AD AE AF AG AI AL AM AN AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BM BN BO BR BS BT BV BW BY BZ CA CC CD CF "
    "CG CH CI CK CL CM CN CO CR CS CU CV CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GH "
    "GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR "
    "KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG "
    "NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM "
    "SN SO SR ST SV SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UK UM US UY UZ VA VC VE VG VI VN VU WF WS YE "
    "YT ZA ZM ZW"
)
LENGTHS = {
    **dict.fromkeys(("companyIdent", "custSupID", "accID", "vatID", "jrnID", "nr", "costID"), 35),
    **dict.fromkeys(("custSupName", "softwareDesc"), 50),
    **dict.fromkeys(("companyName", "accDesc", "vatDesc", "docRef", "invRef"), 999),
    "taxRegIdent": 30,
    "softwareVersion": 20,
    "fiscalYear": 9,
    "desc": 9999,  # the type's name says so; the schema sets no length
}
FORMS = {
    **dict.fromkeys(("amnt", "vatAmnt", "curAmnt", "totalDebit", "totalCredit"), r"-?\d{1,18}\.\d{2}"),
    **dict.fromkeys(("amntTp", "vatAmntTp"), "[DC]"),
    **dict.fromkeys(("startDate", "endDate", "dateCreated", "startDatePeriod"), r"\d{4}-\d\d-\d\d"),
    **dict.fromkeys(("endDatePeriod", "trDt", "effDate", "opBalDate"), r"\d{4}-\d\d-\d\d"),
    "curCode": CURRENCIES.replace(" ", "|"),
    "taxRegistrationCountry": COUNTRIES.replace(" ", "|"),
    "accTp": "[BMP]",
    "jrnTp": "[BCGMOPSTYZ]",
    "periodNumber": r"\d{1,3}",
    "linesCount": r"\d{1,10}",
    "vatPerc": r"\d{1,5}(\.\d{1,3})?",  # eight digits, three of them behind the point, not below zero
}
# What names what: the path of the names, and the elements whose text must be one of them.
KEYS = {
    "generalLedger/ledgerAccount/accID": "transactions/journal/transaction/trLine/accID",
    "customersSuppliers/customerSupplier/custSupID": "transactions/journal/transaction/trLine/custSupID",
    "vatCodes/vatCode/vatID": "transactions/journal/transaction/trLine/vat/vatID",
    "periods/period/periodNumber": "transactions/journal/transaction/periodNumber",
}


def wrong_in(root: ET.Element) -> list[str]:
    """Return everything in a file that the schema would refuse."""
    wrong = [] if root.tag == f"{NAMESPACE}auditfile" else [f"the root is {root.tag}"]
    for element in root.iter():
        name, children = _name(element), [_name(child) for child in element]
        if name in CHILDREN:
            pattern = "".join(_one(each) for each in CHILDREN[name].split())
            if not re.fullmatch(pattern, "".join(f"{child} " for child in children)):
                wrong.append(f"{name} has {children}")
            continue
        text = element.text or ""
        if children or not text.strip():
            wrong.append(f"{name} is empty or has children")
        if len(text) > LENGTHS.get(name, len(text)):
            wrong.append(f"{name} is too long: {text}")
        if not re.fullmatch(FORMS.get(name, "(?s:.*)"), text):
            wrong.append(f"{name} is {text}")
        if name.endswith(("Date", "Dt", "DatePeriod")):
            wrong += _wrong_day(name, text)
    return wrong + _wrong_keys(root) + _wrong_totals(root)


def _one(child: str) -> str:
    """Return the pattern of a child: of one that may lack or repeat with its mark."""
    name, times = re.fullmatch(r"(\w+)(.*)", child).groups()  # type: ignore[union-attr]  # every child has a name
    return f"(?:{name} ){times}"


def _wrong_day(name: str, text: str) -> list[str]:
    try:
        date.fromisoformat(text)
    except ValueError:
        return [f"{name} is no day: {text}"]
    return []


def _wrong_totals(root: ET.Element) -> list[str]:
    wrong = []
    for place, of_lines in (("transactions", "journal/transaction/trLine"), ("openingBalance", "obLine")):
        for totals in root.findall(_path(place)):
            lines = [*totals.iterfind("/".join(f"{NAMESPACE}{part}" for part in of_lines.split("/")))]
            counted = {"linesCount": Decimal(len(lines)), "totalDebit": Decimal(0), "totalCredit": Decimal(0)}
            for line in lines:
                side = "totalDebit" if line.findtext(f"{NAMESPACE}amntTp") == "D" else "totalCredit"
                counted[side] += _number(line, "amnt")
            told = {name: _number(totals, name) for name in counted}
            wrong += [
                f"{place} tells {name} {told[name]}, not {counted[name]}" for name in counted if told[name] != counted[name]
            ]
    return wrong


def _number(element: ET.Element, name: str) -> Decimal:
    """Return an amount or count, -1 for what is none: that is told by its form."""
    text = element.findtext(f"{NAMESPACE}{name}") or ""
    return Decimal(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else Decimal(-1)


def _wrong_keys(root: ET.Element) -> list[str]:
    wrong = []
    for key, reference in KEYS.items():
        names = [element.text for element in root.findall(_path(key))]
        wrong += [f"{key} repeats {name}" for name in {name for name in names if names.count(name) > 1}]
        wrong += [f"{reference} names {each.text}" for each in root.findall(_path(reference)) if each.text not in names]
    journals = [element.text for element in root.findall(_path("transactions/journal/jrnID"))]
    accounts = {element.text for element in root.findall(_path("generalLedger/ledgerAccount/accID"))}
    brought = [element.text for element in root.findall(_path("openingBalance/obLine/accID"))]
    wrong += [f"the opening balance names {name}" for name in brought if name not in accounts or brought.count(name) > 1]
    return wrong + [f"journal {name} repeats" for name in set(journals) if journals.count(name) > 1]


def _path(path: str) -> str:
    return "/".join(f"{NAMESPACE}{part}" for part in ["company", *path.split("/")])


def _name(element: ET.Element) -> str:
    return element.tag.removeprefix(NAMESPACE)
