"""Why a receipt seen in Exact is not recorded in Chargebee: every code, what it says, and what a person can do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from string import Formatter


@dataclass(frozen=True)
class Refusal:
    """One reason: `sentence` is filled with the number and the details, `action` is empty when nothing is to be done."""

    sentence: str
    action: str
    sentence_nl: str
    action_nl: str


REFUSALS: dict[str, Refusal] = {
    "already_paid": Refusal(
        "Invoice {number} has nothing due in Chargebee any more (status {status}), so the receipt seen in Exact is not recorded.",
        "",
        "Op factuur {number} staat in Chargebee niets meer open (status {status}), dus de ontvangst uit Exact wordt"
        " niet vastgelegd.",
        "",
    ),
    "money_without_debt": Refusal(
        "Exact matched {amount} with invoice {number}, which has nothing due in Chargebee any more (status {status}): this money"
        " is on no invoice and in no excess payment there.",
        "Where it was written off, void that credit note in Chargebee, and the receipt is recorded by itself. Else take that"
        " match back in Exact, and match what settled the invoice there; the receipt then comes to `kruispost matches`.",
        "Exact letterde {amount} af met factuur {number}, waarop in Chargebee niets meer openstaat (status {status}): dit geld"
        " staat daar op geen factuur en in geen te veel betaald bedrag.",
        "Is zij afgeboekt, annuleer dan die creditnota in Chargebee; de ontvangst wordt dan vanzelf vastgelegd. Maak anders die"
        " aflettering in Exact ongedaan, en letter af wat de factuur voldeed; de ontvangst komt dan bij `kruispost matches`.",
    ),
    "money_resolved": Refusal(
        "What Exact had matched with invoice {number}, which has nothing due in Chargebee, was matched anew or is in Chargebee.",
        "",
        "Wat Exact met factuur {number} had afgeletterd, waarop in Chargebee niets openstaat, is opnieuw afgeletterd of staat in"
        " Chargebee.",
        "",
    ),
    "already_counted": Refusal(
        "What Exact matched with invoice {number} is in Chargebee already, is a credit note that Chargebee still has to give, or"
        " is recorded once Exact has matched with the invoice, too, what Chargebee has on it (`kruispost matches unequal` names"
        " it).",
        "Match what that list names, or allocate the credit note in Chargebee as Exact did; where there is neither, nothing is to"
        " be done.",
        "Wat Exact met factuur {number} heeft afgeletterd staat al in Chargebee, is een creditnota die Chargebee nog moet"
        " verrekenen, of wordt vastgelegd zodra Exact ook heeft afgeletterd wat Chargebee op de factuur heeft (`kruispost matches"
        " unequal` noemt het).",
        "Letter af wat die lijst noemt, of verreken de creditnota in Chargebee zoals Exact deed; is er geen van beide, dan is er"
        " niets te doen.",
    ),
    "taken_back": Refusal(
        "Exact does not show the receipt of {amount} on invoice {number} any more, which Chargebee has as {transaction}.",
        "Match it again in Exact, or remove that payment from the invoice in Chargebee when the money was not for it.",
        "Exact toont de ontvangst van {amount} op factuur {number} niet meer, die in Chargebee staat als {transaction}.",
        "Letter haar in Exact opnieuw af, of haal die betaling in Chargebee van de factuur als het geld er niet voor was.",
    ),
    "matched_anew": Refusal(
        "Exact has invoice {number} matched anew (paid on {now} instead of {then}), and the receipt of {amount} that Chargebee"
        " has as {transaction} seems to be matched with something else, such as money that went out.",
        "Look in Exact what the invoice and the receipt are matched with; match them again, or remove that payment in Chargebee.",
        "Exact heeft factuur {number} opnieuw afgeletterd (betaald op {now} in plaats van {then}), en de ontvangst van {amount}"
        " die in Chargebee staat als {transaction} lijkt met iets anders afgeletterd, zoals geld dat wegging.",
        "Kijk in Exact waarmee factuur en ontvangst zijn afgeletterd; letter ze weer af, of haal die betaling in Chargebee weg.",
    ),
    "receipt_matched_anew": Refusal(
        "Exact has the receipt of {amount} on invoice {number}, which Chargebee has as {transaction}, matched anew, and it seems"
        " to be matched with something else now, such as money that went out.",
        "Look in Exact what the invoice and the receipt are matched with; match them again, or remove that payment in Chargebee.",
        "Exact heeft de ontvangst van {amount} op factuur {number}, die in Chargebee staat als {transaction}, opnieuw"
        " afgeletterd, en ze lijkt nu met iets anders afgeletterd, zoals geld dat wegging.",
        "Kijk in Exact waarmee factuur en ontvangst zijn afgeletterd; letter ze weer af, of haal die betaling in Chargebee weg.",
    ),
    "voided": Refusal(
        "Invoice {number} is voided in Chargebee, so the receipt seen in Exact cannot be recorded.",
        "Check in Exact whether the customer paid an invoice that no longer exists, and refund it or book it elsewhere.",
        "Factuur {number} is in Chargebee vervallen, dus de ontvangst uit Exact kan niet worden vastgelegd.",
        "Kijk in Exact of de klant een vervallen factuur betaalde, en stort terug of boek het ergens anders.",
    ),
    "not_payable": Refusal(
        "Invoice {number} has the status {status} in Chargebee, which takes no payments, so the receipt is not recorded.",
        "Close or correct the invoice in Chargebee and record the payment there by hand.",
        "Factuur {number} heeft in Chargebee de status {status}, die geen betaling toelaat, dus de ontvangst wordt"
        " niet vastgelegd.",
        "Sluit of verbeter de factuur in Chargebee en leg de betaling daar met de hand vast.",
    ),
    "not_found": Refusal(
        "Invoice {number} does not exist in Chargebee (any more), so the receipt seen in Exact cannot be recorded.",
        "Look up in Exact which entry has this reference, and correct it there when the invoice was deleted.",
        "Factuur {number} staat niet (meer) in Chargebee, dus de ontvangst uit Exact kan niet worden vastgelegd.",
        "Zoek in Exact welke boeking dit kenmerk heeft, en verbeter het daar als de factuur verwijderd is.",
    ),
    "currency_differs": Refusal(
        "The receivable of invoice {number} is in {receivable_currency} in Exact but the invoice is in {currency},"
        " so the receipt is not recorded.",
        "Record the payment in Chargebee by hand with the amount in {currency}.",
        "De vordering van factuur {number} is in Exact in {receivable_currency} maar de factuur in {currency}, dus de"
        " ontvangst wordt niet vastgelegd.",
        "Leg de betaling in Chargebee met de hand vast, in {currency}.",
    ),
    "amount_not_whole": Refusal(
        "The receivable of invoice {number} in Exact ({amount} hundredths of {currency}) is not a whole amount in a currency"
        " without cents, so the receipt is not recorded.",
        "Correct the amount in Exact and record the payment in Chargebee by hand.",
        "De vordering van factuur {number} in Exact ({amount} honderdsten {currency}) is geen heel bedrag in een"
        " valuta zonder centen, dus de ontvangst wordt niet vastgelegd.",
        "Verbeter het bedrag in Exact en leg de betaling in Chargebee met de hand vast.",
    ),
    "customer_missing": Refusal(
        "Customer {customer} does not exist in Chargebee (any more), so the excess payment is not recorded.",
        "Name the right customer with --customer, or book the money elsewhere in Exact and dismiss the line.",
        "Klant {customer} staat niet (meer) in Chargebee, dus het te veel betaalde wordt niet vastgelegd.",
        "Noem de juiste klant met --customer, of boek het geld in Exact ergens anders en leg de regel terzijde.",
    ),
    "shortage_changed": Refusal(
        "Invoice {number} has {due} due in Chargebee by now (in its smallest unit) instead of the {short} that the receipt fell"
        " short, so nothing is written off.",
        "Look at the invoice in Chargebee, and write the rest off there by hand if it should be.",
        "Op factuur {number} staat in Chargebee nu {due} open (in de kleinste eenheid) in plaats van de {short} die de ontvangst"
        " tekortkwam, dus er wordt niets afgeboekt.",
        "Bekijk de factuur in Chargebee, en boek de rest daar met de hand af als dat moet.",
    ),
    "write_off_differs": Refusal(
        "Chargebee wrote {written} off on invoice {number} instead of the {short} that the receipt fell short,"
        " since that was due at that moment.",
        "Void that credit note in Chargebee, and see what became of the payment; write the rest off there by hand if it"
        " should be.",
        "Chargebee boekte {written} af op factuur {number} in plaats van de {short} die de ontvangst tekortkwam,"
        " want dat stond op dat moment open.",
        "Annuleer die creditnota in Chargebee, en kijk wat er met de betaling is gebeurd; boek de rest daar met de hand af"
        " als dat moet.",
    ),
    "refused": Refusal(
        "Chargebee refused the payment of invoice {number}: {message}",
        "Mend what Chargebee names and record the payment there by hand.",
        "Chargebee weigerde de betaling van factuur {number}: {message}",
        "Verhelp wat Chargebee noemt en leg de betaling daar met de hand vast.",
    ),
}


def sentence(code: str, **details: object) -> str:
    """Return the sentence of a code, filled in; raises KeyError for an unknown code or a missing detail."""
    return REFUSALS[code].sentence.format_map(details)


def action(code: str, **details: object) -> str:
    """Return what a person can do about a code; raises KeyError for an unknown code or a missing detail."""
    return REFUSALS[code].action.format_map(details)


def sentence_nl(code: str, **details: object) -> str:
    """Return the sentence of a code in Dutch, filled in."""
    return REFUSALS[code].sentence_nl.format_map(details)


def action_nl(code: str, **details: object) -> str:
    """Return in Dutch what a person can do about a code."""
    return REFUSALS[code].action_nl.format_map(details)


def in_dutch(sentence: str) -> str:
    """Return a sentence of this table in Dutch, since a bank line keeps it as it was said; another one stays as it is."""
    for refusal in REFUSALS.values():
        found = _pattern(refusal.sentence).fullmatch(sentence)
        if found is not None:
            return refusal.sentence_nl.format_map(found.groupdict())
    return sentence


@cache
def _pattern(english: str) -> re.Pattern[str]:
    pattern, seen = "", set[str]()
    for text, hole, _, _ in Formatter().parse(english):
        pattern += re.escape(text)
        if hole:
            pattern += f"(?P={hole})" if hole in seen else f"(?P<{hole}>.+?)"
            seen.add(hole)
    return re.compile(pattern, re.DOTALL)
