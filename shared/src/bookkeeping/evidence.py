"""What a bank line says about who pays what: numbers, structured references and names read from what people typed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from difflib import SequenceMatcher
from enum import StrEnum

from stdnum import iban, iso11649
from stdnum.be import ogm_vcs

from bookkeeping.texts import Language


class Evidence(StrEnum):
    """One reason to hold that a bank line pays an invoice, in the order of how much it proves."""

    STRUCTURED_REFERENCE = "structured_reference"
    NUMBER = "number"
    DIGITS = "digits"
    SLIP = "slip"
    PART_OF_NUMBER = "part_of_number"
    AMOUNT = "amount"
    SUM = "sum"
    WITHIN_TOLERANCE = "within_tolerance"
    ACCOUNT = "account"
    IBAN = "iban"
    NAME = "name"
    SIMILAR_NAME = "similar_name"


_WORDS: dict[Language, dict[Evidence, str]] = {
    "en": {
        Evidence.STRUCTURED_REFERENCE: "a structured reference with right check digits names it",
        Evidence.NUMBER: "its number stands in the text",
        Evidence.DIGITS: "the digits of its number stand in the text",
        Evidence.SLIP: "a number one typing slip away stands in the text",
        Evidence.PART_OF_NUMBER: "the beginning or the end of its number stands in the text",
        Evidence.AMOUNT: "exactly the amount due",
        Evidence.SUM: "exactly the sum of these invoices, and of no others of this customer",
        Evidence.WITHIN_TOLERANCE: "the amount due but for the tolerance",
        Evidence.ACCOUNT: "Exact has the line on the account of this customer",
        Evidence.IBAN: "this customer paid from this IBAN before",
        Evidence.NAME: "the name of the payer is that of the customer",
        Evidence.SIMILAR_NAME: "the name of the payer is like that of the customer",
    },
    "nl": {
        Evidence.STRUCTURED_REFERENCE: "een gestructureerde mededeling met kloppend controlegetal noemt hem",
        Evidence.NUMBER: "het nummer staat in de omschrijving",
        Evidence.DIGITS: "de cijfers van het nummer staan in de omschrijving",
        Evidence.SLIP: "een nummer dat één typefout scheelt staat in de omschrijving",
        Evidence.PART_OF_NUMBER: "het begin of het eind van het nummer staat in de omschrijving",
        Evidence.AMOUNT: "precies het openstaande bedrag",
        Evidence.SUM: "precies de som van deze facturen, en van geen andere van deze klant",
        Evidence.WITHIN_TOLERANCE: "het openstaande bedrag op het toegestane verschil na",
        Evidence.ACCOUNT: "Exact heeft de regel op de rekening van deze klant",
        Evidence.IBAN: "deze klant betaalde eerder vanaf dit IBAN",
        Evidence.NAME: "de naam van de betaler is die van de klant",
        Evidence.SIMILAR_NAME: "de naam van de betaler lijkt op die van de klant",
    },
}

# People type the letters O, I and L for the digits 0 and 1; a letter counts only after a digit, so that words stay words.
_DIGITS = re.compile(r"\d[\dOIL]*")
_TYPED = str.maketrans("OIL", "011")
_SEPARATORS = re.compile(r"[ .\-/_]{1,2}")
_RF = re.compile(r"\bRF\d{2}(?: ?[A-Z0-9]){1,21}")
_OGM = re.compile(r"(?<!\d)[+*]{0,3}\d{3}[ /]?\d{4}[ /]?\d{5}[+*]{0,3}(?!\d)")
_NO_ALPHANUMERIC = re.compile(r"[^A-Z0-9]+")
_LEGAL_FORMS = frozenset(
    ("BV", "NV", "VOF", "CV", "GMBH", "AG", "BVBA", "SRL", "SARL", "SAS", "LTD", "LLC", "INC", "HOLDING", "STICHTING")
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{1,4}){3,8}")
LIKE_PERCENT = 80


def describe(evidence: Evidence, language: Language) -> str:
    """Return one piece of evidence in words for the controller."""
    return _WORDS[language][evidence]


def compact(text: str) -> str:
    """Return the letters and digits of a text in capitals, without anything between them."""
    return _NO_ALPHANUMERIC.sub("", text.upper())


def digits_of(number: str) -> str:
    """Return the digits of an invoice number in their order."""
    return "".join(letter for letter in number if letter.isdecimal() and letter.isascii())


def typed_digits(text: str, longest: int) -> Iterator[str]:
    """Give every run of digits in a text, O, I and L taken for digits, and neighbouring runs joined, up to `longest` digits."""
    found = [(match.start(), match.end(), match.group().translate(_TYPED)) for match in _DIGITS.finditer(text.upper())]
    for first in range(len(found)):
        joined, previous = "", 0
        for start, end, run in found[first : first + 4]:
            if joined and not _SEPARATORS.fullmatch(text[previous:start]):
                break
            joined += run
            if len(joined) > longest:
                break
            previous = end
            yield joined


def windows(text: str) -> set[str]:
    """Return the letters and digits of each word in a text, and of each two and three words that stand together."""
    words = [compact(word) for word in text.split()]
    return {"".join(words[at : at + count]) for at in range(len(words)) for count in (1, 2, 3)}


def structured_references(text: str) -> Iterator[str]:
    """Give the contents of ISO 11649 (RF) and Belgian OGM references whose check digits are right, without leading zeros."""
    capitals = text.upper()
    for match in _RF.finditer(capitals):
        words = match.group().split(" ")
        # What follows a reference may look like its last group, so its shorter forms are tried too.
        for count in range(len(words), 0, -1):
            reference = "".join(words[:count])
            if iso11649.is_valid(reference):
                yield reference[4:].lstrip("0")
                break
    for match in _OGM.finditer(capitals):
        digits = digits_of(match.group())
        if ogm_vcs.is_valid(digits):
            yield digits[:10].lstrip("0")


def iban_in(text: str) -> str:
    """Return the first IBAN with right check digits that a text has, without spaces; empty where there is none."""
    for match in _IBAN.finditer(text.upper()):
        words = match.group().split(" ")
        # What follows an IBAN may look like its last group, so its shorter forms are tried too.
        for count in range(len(words), 0, -1):
            found = "".join(words[:count])
            if iban.is_valid(found):
                return found
    return ""


def slips_of(digits: str) -> Iterator[str]:
    """Give each number that one wrong, missing, additional or swapped digit makes of `digits`."""
    for at in range(len(digits)):
        before, digit, after = digits[:at], digits[at], digits[at + 1 :]
        yield before + after
        if after and after[0] != digit:
            yield before + after[0] + digit + after[1:]
        for other in "0123456789":
            if other != digit:
                yield before + other + after
            yield before + other + digit + after
    for other in "0123456789":
        yield digits + other


def one_slip_apart(one: str, other: str) -> bool:
    """Tell whether two numbers are the same, one slip apart, or one is the beginning or the end of the other."""
    return (
        one == other
        or one.startswith(other)
        or other.startswith(one)
        or one.endswith(other)
        or other.endswith(one)
        or other in slips_of(one)
    )


def plain_name(name: str) -> str:
    """Return a name in capitals without accents, punctuation and legal form, its words in alphabetical order."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name.upper()) if not unicodedata.combining(letter))
    words = _NO_ALPHANUMERIC.sub(" ", plain.replace(".", "")).split()
    return " ".join(sorted(word for word in words if word not in _LEGAL_FORMS))


def alike(one: str, other: str) -> bool:
    """Tell whether two plain names are nearly the same, by the share of letters that they have in common and in order."""
    if not one or not other:
        return False
    compared = SequenceMatcher(None, one, other, autojunk=False)
    return all(100 * ratio() >= LIKE_PERCENT for ratio in (compared.real_quick_ratio, compared.quick_ratio, compared.ratio))
