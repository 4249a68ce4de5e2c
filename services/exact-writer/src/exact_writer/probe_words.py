"""What `kruispost doctor --probe` says before and after a trial, in English and Dutch."""

from __future__ import annotations

from typing import Any, Final

from exact_writer.probe import MARK, MOST_CALLS, Place, Report

_PLAN: Final = (
    (
        "Division {division}, {name!r}, is going to be written to:",
        "In administratie {division}, {name!r}, wordt geschreven:",
    ),
    (
        "  a customer, an item, a draft invoice, and a document with a small file, each named {mark};",
        "  een klant, een artikel, een conceptfactuur en een document met een klein bestand, elk met de naam {mark};",
    ),
    (
        "  entries named {mark} in journals {sales_journal} and {general_journal}, of 1.00 and -1.00 on ledger {ledger_code}.",
        "  boekingen {mark} in dagboek {sales_journal} en {general_journal}, van 1,00 en -1,00 op rekening {ledger_code}.",
    ),
    (
        "Each may be made twice. All of it is deleted at the end; meanwhile no balance changes.",
        "Elk kan tweemaal gemaakt worden. Aan het eind wordt alles verwijderd; ondertussen verandert geen saldo.",
    ),
    (
        "Numbers that Exact gave out may be missing in its series afterwards. It takes at most {calls} calls.",
        "Nummers die Exact uitgaf kunnen daarna in de reeks ontbreken. Het kost ten hoogste {calls} aanroepen.",
    ),
)
_TRAITS: Final[dict[str | None, tuple[str, str]]] = {
    "honoured": (
        "Exact keeps our key and gives it to one record only; the writer sends one from its next start.",
        "Exact bewaart onze sleutel en geeft hem aan maar één record; de writer stuurt er een vanaf de volgende start.",
    ),
    "ignored": (
        "Exact gives a key of its own instead; the writer sends none.",
        "Exact geeft zelf een andere sleutel; de writer stuurt er geen.",
    ),
    "refused": (
        "Exact refuses a key of ours; the writer sends none.",
        "Exact weigert een sleutel van ons; de writer stuurt er geen.",
    ),
    "doubled": (
        "Exact made a second record at the second try; the writer sends no key.",
        "Exact maakte bij de tweede poging een tweede record; de writer stuurt geen sleutel.",
    ),
    None: ("It could not be found out: {reason}.", "Het kon niet worden vastgesteld: {reason}."),
}
_CALLS: Final = (
    "{calls} calls were made, and all that was made has been deleted.",
    "Er zijn {calls} aanroepen gedaan, en alles wat gemaakt is, is verwijderd.",
)
_LEFT: Final = (
    "{calls} calls were made. Delete by hand what Exact did not let us delete:",
    "Er zijn {calls} aanroepen gedaan. Verwijder met de hand wat Exact ons niet liet verwijderen:",
)
_NOTHING: Final = ("Nothing was written.", "Er is niets geschreven.")


def plan(division: int, place: Place, lang: str) -> list[str]:
    """What is going to be written, line by line."""
    values = {
        "name": place.name,
        "sales_journal": place.sales_journal,
        "general_journal": place.general_journal,
        "ledger_code": place.ledger_code,
    }
    return [each[lang == "nl"].format(division=division, mark=MARK, calls=MOST_CALLS, **values) for each in _PLAN]


def nothing_done(division: int, lang: str) -> dict[str, Any]:
    """The report of a trial that nobody agreed to."""
    return {"division": division, "agreed": False, "trials": [], "calls": 0, "left": [], "sentence": _NOTHING[lang == "nl"]}


def told(division: int, report: Report, lang: str) -> dict[str, Any]:
    """The report of a trial: each endpoint with what was found, the calls, and what is left behind."""
    column = lang == "nl"
    return {
        "division": division,
        "agreed": True,
        "trials": [
            {
                "endpoint": each.endpoint,
                "outcome": each.trait or "unclear",
                "sentence": _TRAITS[each.trait][column].format(reason=each.reason),
            }
            for each in report.trials
        ],
        "calls": report.calls,
        "left": [{"endpoint": endpoint, "key": key, "reason": reason} for endpoint, key, reason in report.left],
        "sentence": (_LEFT if report.left else _CALLS)[column].format(calls=report.calls),
    }
