"""What the published schema of the Dutch audit file (XAF 3.2) asks of the elements that we write: order, need, form and keys."""

from __future__ import annotations

import re
from datetime import date
from xml.etree import ElementTree as ET

NAMESPACE = "{http://www.auditfiles.nl/XAF/3.2}"
# Each element's children in their order: a name, `?` for one that may lack, `*` for one that may repeat or lack.
CHILDREN = {
    "auditfile": "header company",
    "header": "fiscalYear startDate endDate curCode dateCreated softwareDesc? softwareVersion?",
    "company": "companyIdent? companyName taxRegistrationCountry taxRegIdent customersSuppliers? generalLedger? vatCodes?"
    " periods? openingBalance? transactions?",
    "customersSuppliers": "customerSupplier*",
    "customerSupplier": "custSupID custSupName? taxRegIdent?",
    "generalLedger": "ledgerAccount*",
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
    "trLine": "nr accID docRef effDate desc? amnt amntTp custSupID? invRef? costID? vat* currency?",
    "vat": "vatID vatPerc vatAmnt vatAmntTp",
    "currency": "curCode curAmnt",
}
LENGTHS = {
    **dict.fromkeys(("companyIdent", "custSupID", "accID", "vatID", "jrnID", "nr", "costID"), 35),
    **dict.fromkeys(("custSupName", "softwareDesc"), 50),
    **dict.fromkeys(("companyName", "accDesc", "vatDesc", "docRef", "invRef"), 999),
    "taxRegIdent": 30,
    "fiscalYear": 9,
    "desc": 9999,
}
FORMS = {
    **dict.fromkeys(("amnt", "vatAmnt", "curAmnt", "totalDebit", "totalCredit"), r"-?\d{1,18}\.\d{2}"),
    **dict.fromkeys(("amntTp", "vatAmntTp"), "[DC]"),
    **dict.fromkeys(("startDate", "endDate", "dateCreated", "startDatePeriod"), r"\d{4}-\d\d-\d\d"),
    **dict.fromkeys(("endDatePeriod", "trDt", "effDate", "opBalDate"), r"\d{4}-\d\d-\d\d"),
    "curCode": "[A-Z]{3}",
    "taxRegistrationCountry": "[A-Z]{2}",
    "accTp": "[BMP]",
    "jrnTp": "[BCGMOPSTYZ]",
    "periodNumber": r"\d{1,3}",
    "linesCount": r"\d{1,10}",
    "vatPerc": r"\d{1,3}\.\d{2}",
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
            date.fromisoformat(text)
    return wrong + _wrong_keys(root)


def _one(child: str) -> str:
    """Return the pattern of a child: of one that may lack or repeat with its mark."""
    return f"(?:{child[:-1]} ){child[-1]}" if child[-1] in "?*" else f"{child} "


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
