"""The customers of the business month: names, addresses and VAT numbers whose check digits are right."""

import random
import string
from dataclasses import dataclass
from typing import Any, Literal

Segment = Literal["nl-b2b", "nl-b2c", "de-b2b", "de-b2c", "fr-b2b", "fr-b2c", "us-usd", "us-eur"]
Channel = Literal["online", "bank"]

SHARES: dict[Segment, int] = {
    "nl-b2b": 34,
    "nl-b2c": 18,
    "de-b2b": 11,
    "de-b2c": 9,
    "fr-b2b": 8,
    "fr-b2c": 8,
    "us-usd": 7,
    "us-eur": 5,
}
_FIRST = {
    "NL": ["Anouk", "Bram", "Daan", "Eva", "Fleur", "Gijs", "Hanna", "Lotte", "Maarten", "Sanne", "Thijs", "Willemijn", "Yara"],
    "DE": ["Anke", "Bernd", "Clara", "Dieter", "Erika", "Friedrich", "Greta", "Hannes", "Jürgen", "Lukas", "Otto", "Ulrike"],
    "FR": ["Agnès", "Benoît", "Chloé", "Didier", "Élise", "François", "Gaëlle", "Henri", "Inès", "Léa", "Noémie", "Olivier"],
    "US": ["Ashley", "Brandon", "Cheryl", "Derek", "Emily", "Frank", "Grace", "Howard", "Jenna", "Kyle", "Nora", "Tyler"],
}
_LAST = {
    "NL": ["de Vries", "Jansen", "van den Berg", "Bakker", "Visser", "Smit", "Meijer", "Mulder", "Bos", "Vos"],
    "DE": ["Müller", "Schmidt", "Schneider", "Fischer", "Weber", "Wagner", "Becker", "Schäfer", "Groß", "Köhler"],
    "FR": ["Martin", "Bernard", "Dubois", "Lefèvre", "Moreau", "Girard", "Roux", "Fontaine", "Chevalier"],
    "US": ["Johnson", "Williams", "Brown", "Miller", "Davis", "O'Brien", "Wilson", "Anderson", "Taylor"],
}
_TRADE = {
    "NL": ["Logistiek", "Bouw", "Techniek", "Advies", "Tuinen", "Media", "Zorg", "Installaties"],
    "DE": ["Maschinenbau", "Handels", "Beratung", "Elektro", "Druck", "Software", "Möbel"],
    "FR": ["Conseil", "Énergie", "Transports", "Édition", "Chimie", "Textile", "Vins & Cie"],
    "US": ["Foods", "Analytics", "Supply", "Robotics", "Outdoor", "Health", "Freight"],
}
_FORM = {"NL": "B.V.", "DE": "GmbH", "FR": "SARL", "US": "Inc."}
_CITY = {
    "NL": [("Utrecht", "3511 AB"), ("Eindhoven", "5611 CD"), ("'s-Hertogenbosch", "5211 EF"), ("Zwolle", "8011 GH")],
    "DE": [("Köln", "50667"), ("München", "80331"), ("Leipzig", "04109"), ("Düsseldorf", "40213")],
    "FR": [("Lyon", "69002"), ("Besançon", "25000"), ("Orléans", "45000"), ("Nîmes", "30000")],
    "US": [("Boston", "02108"), ("Denver", "80202"), ("Austin", "78701"), ("Portland", "97204")],
}
_STREET = {"NL": "Kerkstraat", "DE": "Hauptstraße", "FR": "rue de l'Église", "US": "Main Street"}


@dataclass(frozen=True)
class Person:
    """A customer to be; `members` is what Chargebee gets, the rest decides what is sold and how it is paid."""

    id: str
    segment: Segment
    country: str
    business: bool
    currency: str
    channel: Channel
    net_term_days: int
    members: dict[str, Any]


def make_people(rng: random.Random, count: int) -> list[Person]:
    """That many customers, spread over the segments by their shares; the same for the same state of `rng`."""
    segments: list[Segment] = []
    for segment, share in SHARES.items():
        segments += [segment] * max(1, round(count * share / 100))
    segments = segments[:count] + ["nl-b2b"] * (count - len(segments))
    people = [make_person(rng, segment, number) for number, segment in enumerate(segments)]
    rng.shuffle(people)
    return people


def make_person(rng: random.Random, segment: Segment, number: int, channel: Channel | None = None) -> Person:
    """One customer of a segment; `number` makes its name unique. Consumers and dollars pay online, others either way."""
    country = segment[:2].upper()
    business = segment.endswith("b2b") or country == "US"
    currency = "USD" if segment == "us-usd" else "EUR"
    drawn: Channel = "bank" if business and currency == "EUR" and rng.random() < 0.72 else "online"
    paid = channel or drawn
    term = rng.choice((14, 30)) if paid == "bank" else 0
    first, last = rng.choice(_FIRST[country]), rng.choice(_LAST[country])
    city, postcode = rng.choice(_CITY[country])
    customer_id = "".join(rng.choices(string.ascii_letters + string.digits, k=16))
    members: dict[str, Any] = {
        "first_name": first,
        "last_name": last,
        "email": f"customer{number}@{country.lower()}.example",
        "auto_collection": "on" if paid == "online" else "off",
        "net_term_days": term,
        "preferred_currency_code": currency,
        "locale": {"NL": "nl-NL", "DE": "de-DE", "FR": "fr-FR", "US": "en-US"}[country],
    }
    address: dict[str, Any] = {
        "first_name": first,
        "last_name": last,
        "line1": f"{_STREET[country]} {rng.randrange(1, 240)}",
        "city": city,
        "country": country,
        "zip": postcode,
    }
    if business:
        company = f"{last} {rng.choice(_TRADE[country])} {number} {_FORM[country]}"
        members["company"] = address["company"] = company
        if country != "US":
            members["vat_number"] = vat_number(country, rng)
            members["vat_number_status"] = "valid"
    if paid == "online":
        members["card_status"] = "valid"
    members["billing_address"] = address
    return Person(customer_id, segment, country, business, currency, paid, term, members)


def vat_number(country: str, rng: random.Random) -> str:
    """A VAT number of NL, DE or FR with its country prefix and a right check digit."""
    if country == "NL":
        return _dutch(rng)
    if country == "DE":
        return _german(rng)
    return _french(rng)


def _dutch(rng: random.Random) -> str:
    """Nine digits that pass the 11-proof (the ninth is the weighted sum of the others modulo 11), B and two digits."""
    while True:
        digits = [rng.randrange(1, 10), *(rng.randrange(10) for _ in range(7))]
        check = sum(weight * digit for weight, digit in zip(range(9, 1, -1), digits, strict=True)) % 11
        if check < 10:
            return "NL" + "".join(map(str, digits)) + f"{check}B0{rng.randrange(1, 4)}"


def _german(rng: random.Random) -> str:
    """Eight digits and a check digit by ISO 7064, MOD 11,10."""
    digits = [rng.randrange(1, 10), *(rng.randrange(10) for _ in range(7))]
    product = 10
    for digit in digits:
        product = 2 * ((digit + product) % 10 or 10) % 11
    return "DE" + "".join(map(str, digits)) + str((11 - product) % 10)


def _french(rng: random.Random) -> str:
    """A SIREN that passes Luhn, preceded by its two-digit key modulo 97."""
    digits = [rng.randrange(1, 10), *(rng.randrange(10) for _ in range(7))]
    total = 0
    for position, digit in enumerate(digits):
        doubled = digit * 2 if position % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    siren = int("".join(map(str, digits)) + str(-total % 10))
    return f"FR{(12 + 3 * (siren % 97)) % 97:02d}{siren}"
