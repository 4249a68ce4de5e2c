"""The words around what the command line shows, in Dutch; in the code they stand in English."""

from __future__ import annotations

from typing import Any

from console.sentences import Language

DUTCH: dict[str, str] = {
    "invoice": "factuur",
    "credit note": "creditnota",
    "payment": "betaling",
    "refund": "terugbetaling",
    "vat reclaim": "btw van afboeking",
    "tax withheld": "ingehouden belasting",
    "exchange difference": "koersverschil",
    "application": "koersverschil debiteur",
    "payout": "uitbetaling",
    "received": "ontvangen",
    "waiting": "wacht",
    "held": "vastgehouden",
    "set aside": "terzijde gelegd",
    "planned": "onderweg",
    "booked": "geboekt",
    "Documents": "Documenten",
    "Held, and what to do": "Vastgehouden, en wat te doen",
    "kind": "soort",
    "document": "document",
    "date": "datum",
    "amount": "bedrag",
    "state": "stand",
    "why": "waarom",
    "what to do": "wat te doen",
    "reversals": "tegenboekingen",
    "receipts": "ontvangsten",
    "PDFs": "pdf's",
    "recorded in Chargebee": "vastgelegd in Chargebee",
    "not recorded in Chargebee: {code}": "niet vastgelegd in Chargebee: {code}",
    "attached": "bijgevoegd",
    "wanted": "opgevraagd",
    "not attached: {code}": "niet bijgevoegd: {code}",
    "division {division}": "administratie {division}",
    "connected": "verbonden",
    "Type the division's number to agree": "Typ het nummer van de administratie om akkoord te gaan",
    "consent_needed": "toestemming nodig",
    "blocked": "geblokkeerd",
    "nothing is held": "er wordt niets vastgehouden",
    "no document fits": "geen document voldoet",
    "entry {number}, journal {journal}": "boekstuk {number}, dagboek {journal}",
    "no debt was written off": "er is niets afgeboekt",
    "VAT of written-off debts": "Btw van afgeboekte vorderingen",
    "write-off": "afboeking",
    "customer": "klant",
    "reclaim on": "terug te vragen op",
    "VAT": "btw",
    "what is known": "wat bekend is",
    "open": "open",
    "due soon": "binnenkort",
    "by hand": "met de hand",
    "under way": "onderweg",
    "reclaimed": "teruggevraagd",
    "booked back": "teruggeboekt",
    "nothing to reclaim": "niets terug te vragen",
    "everything is reported in the period of its date": "alles staat in de periode van zijn datum",
    "Reported in another period than their date says": "In een andere periode dan de datum zegt",
    "from": "van",
    "to": "naar",
    "what": "wat",
    "filed return": "ingediende aangifte",
    "entry": "boeking",
    "deferral": "uitgestelde omzet",
    "VAT after filing: {amount} of {documents} documents is of return {filed}, which {division} filed without it.": (
        "Btw na aangifte: {amount} van {documents} documenten hoort bij aangifte {filed}, die {division} zonder"
        " die btw heeft ingediend."
    ),
    "{name}: {state}": "{name}: {state}",
    "{name}: {amount}, customer {customer}, {state}": "{name}: {amount}, klant {customer}, {state}",
    "No document has the number {number}; it has not come in, or its number is written differently.": (
        "Geen document heeft het nummer {number}; het is niet binnengekomen, of het nummer wordt anders geschreven."
    ),
}


def say(english: str, lang: Language, /, **values: object) -> str:
    """Return a word or sentence in a language; raises KeyError for one that has no Dutch."""
    text = english if lang == "en" else DUTCH[english]
    return text.format_map(values) if values else text


def named(word: str, lang: Language) -> str:
    """Return a state or kind as people write it; one that this release does not know stays as it is."""
    plain = word.replace("_", " ")
    return plain if lang == "en" else DUTCH.get(word, DUTCH.get(plain, plain))


def told(row: dict[str, Any], name: str, lang: Language) -> str:
    """Return a sentence or action of a row; what was told before there was Dutch is told in English."""
    return str((row.get(f"{name}_nl") if lang == "nl" else "") or row[name])
