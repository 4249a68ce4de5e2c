import re

# Shapes of VAT numbers a country; only the Dutch one has its check digits tried, as Exact does.
_SHAPES = {
    "AT": r"U\d{8}",
    "BE": r"[01]\d{9}",
    "BG": r"\d{9,10}",
    "CY": r"\d{8}[A-Z]",
    "CZ": r"\d{8,10}",
    "DE": r"\d{9}",
    "DK": r"\d{8}",
    "EE": r"\d{9}",
    "EL": r"\d{9}",
    "ES": r"[A-Z0-9]\d{7}[A-Z0-9]",
    "FI": r"\d{8}",
    "FR": r"[A-HJ-NP-Z0-9]{2}\d{9}",
    "HR": r"\d{11}",
    "HU": r"\d{8}",
    "IE": r"\d[A-Z0-9+*]\d{5}[A-Z]{1,2}",
    "IT": r"\d{11}",
    "LT": r"(\d{9}|\d{12})",
    "LU": r"\d{8}",
    "LV": r"\d{11}",
    "MT": r"\d{8}",
    "NL": r"\d{9}B\d{2}",
    "PL": r"\d{10}",
    "PT": r"\d{9}",
    "RO": r"\d{2,10}",
    "SE": r"\d{12}",
    "SI": r"\d{8}",
    "SK": r"\d{10}",
}


def is_valid(number: str) -> bool:
    """Whether Exact takes a VAT number: its country's shape, and for the Netherlands one of the two check digits.

    Numbers of countries outside the EU are taken as they are.
    """
    text = re.sub(r"[\s.\-]", "", number).upper()
    shape = _SHAPES.get(text[:2])
    if shape is None:
        return True
    if re.fullmatch(shape, text[2:]) is None:
        return False
    return text[:2] != "NL" or _eleven(text[2:11]) or _ninety_seven(text)


def _eleven(digits: str) -> bool:
    total = sum(int(digit) * weight for digit, weight in zip(digits[:8], range(9, 1, -1), strict=True))
    return total % 11 == int(digits[8])


def _ninety_seven(text: str) -> bool:
    converted = "".join(str(int(letter, 36)) for letter in text)
    return int(converted) % 97 == 1
