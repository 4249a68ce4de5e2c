"""The audit file cuts what is too long, leaves out what is empty, and keeps what XML cannot have out of the file."""

from __future__ import annotations

import io
from xml.etree import ElementTree as ET

import pytest
from support.audit_file_example import GUID, line, write, write_example
from support.audit_file_rules import COUNTRIES, NAMESPACE, wrong_in

from contracts.ledger import LedgerLine
from mapper.audit_file import country_code, percentage


async def written(*lines: LedgerLine, name: str) -> ET.Element:
    stream = io.StringIO()
    await write(stream, *lines, name=name)
    return ET.fromstring(stream.getvalue())  # noqa: S314 - we wrote it


async def test_what_is_too_long_is_cut_and_what_xml_cannot_have_is_left_out() -> None:
    debt = line(12_100, "1300", relation_id=GUID, description="a\x00\x0bb <c> " + "d" * 20_000, your_ref="R" * 2_000)
    root = await written(debt, line(-12_100, "8000", description=""), name="Müller & Söhne \u2028" + "x" * 90)
    assert wrong_in(root) == []
    ids = [each.text for each in root.iter(f"{NAMESPACE}custSupID")]
    assert ids == [GUID.replace("-", "")] * 2
    (name,) = [each.text or "" for each in root.iter(f"{NAMESPACE}custSupName")]
    assert (len(name), name.startswith("Müller & Söhne x")) == (50, True)
    texts = [each.text or "" for each in root.iter(f"{NAMESPACE}desc")]
    assert any(text.startswith("ab <c> d") and len(text) == 9_999 for text in texts)


async def test_what_the_schema_does_not_list_or_would_miss_is_written_so_that_it_takes_it() -> None:
    """It lists the currencies of about 2004, with ZZZ for others; docRef, accDesc and the like may not lack."""
    leu = line(12_100, "1300", currency="RON", fc_hundredths=60_000, your_ref=" \x00 ", description=" ", vat_code="2")
    root = await written(leu, line(-12_100, "8000", currency="USD", fc_hundredths=-13_000), name=" ")
    assert wrong_in(root) == []
    assert [each.text for each in root.iter(f"{NAMESPACE}curCode")] == ["EUR", "ZZZ", "USD"]
    assert [each.text for each in root.iter(f"{NAMESPACE}docRef")] == ["42", "42"]
    assert [each.text for each in root.iter(f"{NAMESPACE}accDesc")] == ["1300", "8000"]
    assert [percentage(each) for each in ("21", "9.0000", "0", "", "2.125")] == ["21.00", "9.00", "0.00", "0.00", "2.125"]


# Codes that ISO gave since the schema was made, and what the VAT and Kosovo have; then those of the schema itself.
SINCE = {"BQ": "AN", "CW": "AN", "SX": "AN", "ME": "CS", "XK": "CS", "BL": "GP", "MF": "GP", "GG": "GB", "SS": "SD"}
OTHERWISE = {"EL": "GR", "XI": "GB", "UK": "GB"}


def test_a_country_is_written_by_the_code_that_the_schema_has_for_it() -> None:
    assert {code: country_code(code) for code in {**SINCE, **OTHERWISE}} == {**SINCE, **OTHERWISE}
    listed = [*COUNTRIES.split(), *SINCE.values(), *OTHERWISE.values()]
    assert {country_code(code) for code in [*listed, *SINCE]} <= set(listed)
    assert {code for code in COUNTRIES.split() if country_code(code) != code} == {"UK"}
    assert [country_code(code) for code in ("XX", "ZZ", "EU", "")] == [None] * 4


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("amntTp", "B"), ("accTp", "X"), ("jrnTp", "Q"), ("periodNumber", "1000"), ("periodNumber", "4"), ("trDt", "2-3-2026")),
        *(("amnt", "1.234"), ("amnt", "0.02"), ("curCode", "RON"), ("taxRegistrationCountry", "XX"), ("vatPerc", "-1")),
        *(("linesCount", "3"), ("totalDebit", "0.02"), ("totalCredit", "0.00"), ("linesCount", "12345678901")),
        *(("jrnID", "7" * 36), ("accID", "8" * 36), ("nr", "9" * 36), ("custSupName", "x" * 51), ("taxRegIdent", "x" * 31)),
        *(("docRef", "x" * 1000), ("accDesc", "x" * 1000), ("companyName", "x" * 1000), ("fiscalYear", "x" * 10)),
    ],
)
async def test_the_rules_find_each_text_that_the_schema_refuses(name: str, text: str) -> None:
    root = await whole()
    next(root.iter(f"{NAMESPACE}{name}")).text = text
    assert wrong_in(root), name


OBLIGATORY = (
    *("header", "company", "fiscalYear", "startDate", "endDate", "curCode", "dateCreated", "companyName", "taxRegIdent"),
    *("taxRegistrationCountry", "custSupID", "ledgerAccount", "accID", "accDesc", "accTp", "vatID", "vatDesc", "periodNumber"),
    *("startDatePeriod", "endDatePeriod", "linesCount", "totalDebit", "totalCredit", "jrnID", "nr", "trDt", "docRef", "effDate"),
    *("amnt", "amntTp", "vatPerc", "vatAmnt", "vatAmntTp"),
)


@pytest.mark.parametrize("name", OBLIGATORY)
async def test_the_rules_find_each_element_that_lacks_or_stands_elsewhere(name: str) -> None:
    lacking, moved = await whole(), await whole()
    for root, is_moved in ((lacking, False), (moved, True)):
        for parent in [each for each in root.iter() if each.find(f"{NAMESPACE}{name}") is not None]:
            for child in parent.findall(f"{NAMESPACE}{name}"):
                place = 0 if parent[-1].tag == child.tag else len(parent) - 1  # the last goes in front, others to the end
                parent.remove(child)
                if is_moved:
                    parent.insert(place, child)
    assert wrong_in(lacking), name
    if name != "ledgerAccount":  # it has no others beside it
        assert wrong_in(moved), name


async def whole() -> ET.Element:
    """A file that has every element that we write for a sale."""
    stream = io.StringIO()
    await write_example(stream)
    return ET.fromstring(stream.getvalue())  # noqa: S314 - we wrote it


async def test_the_rules_of_the_test_itself_find_what_is_wrong() -> None:
    root = await written(line(1, "1300"), line(-1, "8000"), name="Jansen")
    assert wrong_in(root) == []
    for change in ("taxRegIdent", "amntTp", "periodNumber", "accID"):
        broken = ET.fromstring(ET.tostring(root))  # noqa: S314 - we wrote it
        element = next(broken.iter(f"{NAMESPACE}{change}"))
        element.text = "x" * 40
        assert wrong_in(broken), change
