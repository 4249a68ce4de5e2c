"""What can be wrong between a mapping and its division: a code, a sentence and what to write instead, in two languages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from backbone.configuration import Configuration
from backbone.configuration_mistakes import written_place
from mapper.wording import Language

Step = str | int
CANDIDATES = 6

_MEANT = "did you mean {candidates}? Else leave it, if it is still to be made; `kruispost backfill` reads the whole catalogue"
_MEANT_NL = (
    "bedoelt u {candidates}? Laat het anders staan, als het nog gemaakt wordt; `kruispost backfill` leest de hele catalogus"
)
# code: (English sentence, English advice, Dutch sentence, Dutch advice)
COMPLAINTS: dict[str, tuple[str, str, str, str]] = {
    "part_unreadable": (
        "Exact does not let this app read {endpoint}, which this needs: {reason}.",
        "give the app the scope in Exact's App Center and log in again; or do without, if the licence{package} lacks it",
        "Exact laat deze app {endpoint} niet lezen, en dat is hiervoor nodig: {reason}.",
        "geef de app de scope in Exact en log opnieuw in; of doe het zonder, als de licentie{package} dit niet heeft",
    ),
    "division_blocked": (
        "division {division} is blocked in Exact, so nothing can be booked.",
        "unblock it in Exact",
        "administratie {division} is geblokkeerd in Exact, dus er kan niets geboekt worden.",
        "deblokkeer haar in Exact",
    ),
    "wrong_division_currency": (
        "the division's currency is {actual} in Exact, not {code}.",
        "write currency: {actual}",
        "de valuta van de administratie is {actual} in Exact, niet {code}.",
        "schrijf currency: {actual}",
    ),
    "no_such_currency": (
        "currency {code} is not active in the division.",
        "activate it in Exact",
        "valuta {code} is niet actief in de administratie.",
        "activeer haar in Exact",
    ),
    "no_such_account": (
        "Exact has no ledger account {code}.",
        "write one of: {candidates}",
        "Exact heeft geen grootboekrekening {code}.",
        "schrijf een van: {candidates}",
    ),
    "account_blocked": (
        "ledger account {code} ({description}) is blocked in Exact.",
        "unblock it in Exact, or write one of: {candidates}",
        "grootboekrekening {code} ({description}) is geblokkeerd in Exact.",
        "deblokkeer haar in Exact, of schrijf een van: {candidates}",
    ),
    "not_a_debtor_account": (
        "ledger account {code} ({description}) is of type {type}, not of type 20 (debtors).",
        "write one of: {candidates}",
        "grootboekrekening {code} ({description}) is van type {type}, niet van type 20 (debiteuren).",
        "schrijf een van: {candidates}",
    ),
    "wrong_account_type": (
        "ledger account {code} ({description}) is of type {type}, which cannot take {purpose}.",
        "write one of: {candidates}",
        "grootboekrekening {code} ({description}) is van type {type}, waarop geen {purpose} geboekt kan worden.",
        "schrijf een van: {candidates}",
    ),
    "account_with_own_vat_code": (
        "ledger account {code} ({description}) has VAT code {actual} of its own, so Exact would add VAT to cents of rounding.",
        "write rounding.vat_code: one without VAT, of {candidates}; or take the code off the account in Exact",
        "grootboekrekening {code} ({description}) heeft zelf btw-code {actual}, dus Exact rekent btw over centen van afronding.",
        "schrijf rounding.vat_code: een zonder btw, van {candidates}; of haal de code in Exact van de rekening",
    ),
    "no_exchange_differences": (
        "documents in {code} are booked here, and there is no account for exchange differences: what has one is held.",
        "add exchange_differences with an account to the division",
        "hier worden documenten in {code} geboekt, en er is geen rekening voor koersverschillen: wat er een heeft, wacht.",
        "voeg exchange_differences met een rekening toe aan de administratie",
    ),
    "no_such_reason": (
        "Chargebee knows no reason {code} for a line without VAT, so the rule never fits.",
        "write {candidates}",
        "Chargebee kent geen reden {code} voor een regel zonder btw, dus de regel past nooit.",
        "schrijf {candidates}",
    ),
    "cost_center_mandatory": (
        "ledger account {code} ({description}) wants a cost centre, and none is given.",
        "add cost_center: one of {candidates}, or make it optional in Exact",
        "grootboekrekening {code} ({description}) vraagt een kostenplaats, en die is niet opgegeven.",
        "voeg cost_center toe: een van {candidates}, of maak haar optioneel in Exact",
    ),
    "cost_unit_mandatory": (
        "ledger account {code} ({description}) wants a cost unit, and none is given.",
        "add cost_unit: one of {candidates}, or make it optional in Exact",
        "grootboekrekening {code} ({description}) vraagt een kostendrager, en die is niet opgegeven.",
        "voeg cost_unit toe: een van {candidates}, of maak haar optioneel in Exact",
    ),
    "cost_center_not_used": (
        "ledger account {code} ({description}) takes no cost centre.",
        "leave cost_center out, or allow it in Exact",
        "grootboekrekening {code} ({description}) neemt geen kostenplaats aan.",
        "laat cost_center weg, of sta haar toe in Exact",
    ),
    "cost_unit_not_used": (
        "ledger account {code} ({description}) takes no cost unit.",
        "leave cost_unit out, or allow it in Exact",
        "grootboekrekening {code} ({description}) neemt geen kostendrager aan.",
        "laat cost_unit weg, of sta haar toe in Exact",
    ),
    "no_such_cost_center": (
        "Exact has no cost centre {code}.",
        "write one of: {candidates}",
        "Exact heeft geen kostenplaats {code}.",
        "schrijf een van: {candidates}",
    ),
    "no_such_cost_unit": (
        "Exact has no cost unit {code}.",
        "write one of: {candidates}",
        "Exact heeft geen kostendrager {code}.",
        "schrijf een van: {candidates}",
    ),
    "no_such_journal": (
        "Exact has no journal {code}.",
        "write one of: {candidates}",
        "Exact heeft geen dagboek {code}.",
        "schrijf een van: {candidates}",
    ),
    "journal_blocked": (
        "journal {code} ({description}) is blocked in Exact.",
        "unblock it in Exact, or write one of: {candidates}",
        "dagboek {code} ({description}) is geblokkeerd in Exact.",
        "deblokkeer het in Exact, of schrijf een van: {candidates}",
    ),
    "wrong_journal_type": (
        "journal {code} ({description}) is of type {type}; {purpose} go to a journal of type {wanted}.",
        "write one of: {candidates}",
        "dagboek {code} ({description}) is van type {type}; {purpose} gaan naar een dagboek van type {wanted}.",
        "schrijf een van: {candidates}",
    ),
    "payment_service_journal": (
        "journal {code} ({description}) belongs to a payment service (type {type}), and Exact has no call that books into one.",
        "write a general journal, one of: {candidates}; its ledger account may be a control account if nothing else fills it",
        "dagboek {code} ({description}) hoort bij een betaaldienst (type {type}), en Exact heeft geen aanroep die daarin boekt.",
        "schrijf een memoriaal, een van: {candidates}; zijn grootboekrekening mag tussenrekening zijn als niets anders haar vult",
    ),
    "journal_without_vat": (
        "journal {code} ({description}) does not allow VAT, so entries with VAT codes are refused.",
        "allow VAT on it in Exact, or write one of: {candidates}",
        "dagboek {code} ({description}) staat geen btw toe, dus boekingen met btw-codes worden geweigerd.",
        "sta btw toe in Exact, of schrijf een van: {candidates}",
    ),
    "journal_of_other_currency": (
        "journal {code} ({description}) is in {actual} only, and documents in {currency} go to it.",
        "allow other currencies on it in Exact, or write one of: {candidates}",
        "dagboek {code} ({description}) is alleen in {actual}, en er gaan documenten in {currency} naartoe.",
        "sta andere valuta's toe in Exact, of schrijf een van: {candidates}",
    ),
    "no_such_vat_code": (
        "Exact has no VAT code {code}.",
        "write one of: {candidates}",
        "Exact heeft geen btw-code {code}.",
        "schrijf een van: {candidates}",
    ),
    "vat_code_blocked": (
        "VAT code {code} ({description}) is blocked in Exact.",
        "unblock it in Exact, or write one of: {candidates}",
        "btw-code {code} ({description}) is geblokkeerd in Exact.",
        "deblokkeer haar in Exact, of schrijf een van: {candidates}",
    ),
    "vat_code_for_purchase": (
        "VAT code {code} ({description}) is for purchases only.",
        "write one of: {candidates}",
        "btw-code {code} ({description}) is alleen voor inkoop.",
        "schrijf een van: {candidates}",
    ),
    "vat_code_inclusive": (
        "VAT code {code} ({description}) is inclusive (type I); lines go to Exact without VAT, so it would take VAT off twice.",
        "write an exclusive one (type E): {candidates}",
        "btw-code {code} ({description}) is inclusief (type I); regels gaan zonder btw naar Exact, dat er nog eens btw afhaalt.",
        "schrijf een exclusieve (type E): {candidates}",
    ),
    "wrong_vat_percentage": (
        "the rule is for {rate} %, and VAT code {code} ({description}) is {actual} %.",
        "write one of: {candidates}",
        "de regel is voor {rate} %, en btw-code {code} ({description}) is {actual} %.",
        "schrijf een van: {candidates}",
    ),
    "wrong_oss_country": (
        "VAT code {code} ({description}) is the one-stop-shop code of {actual}, and the rule is for {country}.",
        "write one of: {candidates}",
        "btw-code {code} ({description}) is de OSS-code van {actual}, en de regel is voor {country}.",
        "schrijf een van: {candidates}",
    ),
    "not_an_oss_code": (
        "the rule is for VAT of {country}, and VAT code {code} ({description}) is not a one-stop-shop code of that country.",
        "write one of: {candidates}, or make it in Exact with OSS country {country}",
        "de regel is voor btw van {country}, en btw-code {code} ({description}) is geen OSS-code van dat land.",
        "schrijf een van: {candidates}, of maak haar in Exact met OSS-land {country}",
    ),
    "not_in_eu_listing": (
        "the rule shifts VAT within the Union, and VAT code {code} ({description}) is not in the EU sales listing.",
        "write one of: {candidates}",
        "de regel verlegt btw binnen de Unie, en btw-code {code} ({description}) staat niet in de opgaaf ICP.",
        "schrijf een van: {candidates}",
    ),
    "no_such_payment_condition": (
        "Exact has no payment condition {code}.",
        "write one of: {candidates}",
        "Exact heeft geen betalingsconditie {code}.",
        "schrijf een van: {candidates}",
    ),
    "unseen_item_price": (
        "Chargebee has shown no item price (or plan or addon) {code}, so this fits nothing.",
        _MEANT,
        "Chargebee heeft geen prijspunt (of plan of addon) {code} laten zien, dus dit past op niets.",
        _MEANT_NL,
    ),
    "unseen_item": (
        "Chargebee has shown no item {code}, so this fits nothing.",
        _MEANT,
        "Chargebee heeft geen item {code} laten zien, dus dit past op niets.",
        _MEANT_NL,
    ),
    "unseen_family": (
        "Chargebee has shown no product family {code}, so this fits nothing.",
        _MEANT,
        "Chargebee heeft geen productfamilie {code} laten zien, dus dit past op niets.",
        _MEANT_NL,
    ),
    "unseen_coupon": (
        "no document has had a coupon {code} yet, so this fits nothing so far.",
        _MEANT,
        "nog geen document had een coupon {code}, dus dit past tot nu toe op niets.",
        _MEANT_NL,
    ),
    "unseen_coupon_set": (
        "no document has had a code of coupon set {code} yet, so this fits nothing so far.",
        "did you mean {candidates}? Else leave it, if none of its codes was used yet",
        "nog geen document had een code van couponset {code}, dus dit past tot nu toe op niets.",
        "bedoelde u {candidates}? Laat het anders staan, als er nog geen code van gebruikt is",
    ),
    "unseen_coupon_code": (
        "no document has had the code {code} yet, so this fits nothing so far.",
        "did you mean {candidates}? Else leave it, if it was not used yet",
        "nog geen document had de code {code}, dus dit past tot nu toe op niets.",
        "bedoelde u {candidates}? Laat het anders staan, als hij nog niet gebruikt is",
    ),
    "unseen_field": (
        "no document, customer or product has had a value for {code} yet, so this fits nothing so far.",
        "did you mean {candidates}? Else leave it, if nobody filled it in yet",
        "nog geen document, klant of product had een waarde voor {code}, dus dit past tot nu toe op niets.",
        "bedoelde u {candidates}? Laat het anders staan, als nog niemand het heeft ingevuld",
    ),
    "unseen_subscription_field": (
        "no subscription has had a value for {code} yet, so this fits nothing so far.",
        "did you mean {candidates}? Else leave it, if nobody filled it in yet",
        "nog geen abonnement had een waarde voor {code}, dus dit past tot nu toe op niets.",
        "bedoelde u {candidates}? Laat het anders staan, als nog niemand het heeft ingevuld",
    ),
    "no_periods": (
        "the division has no financial periods for {year}, so documents of that year are refused.",
        "make the financial year in Exact",
        "de administratie heeft geen financiële perioden voor {year}, dus documenten van dat jaar worden geweigerd.",
        "maak het boekjaar aan in Exact",
    ),
}
PURPOSES: dict[str, tuple[str, str]] = {
    "revenue": ("revenue", "omzet"),
    "discounts": ("discounts", "kortingen"),
    "rounding": ("rounding differences", "afrondingsverschillen"),
    "control": ("payments on their way", "kruisposten"),
    "loss": ("written-off debts", "afgeboekte vorderingen"),
    "fees": ("fees of gateways", "kosten van betaaldiensten"),
    "exchange": ("exchange differences", "koersverschillen"),
    "withheld": ("taxes that customers hold back", "belasting die klanten inhouden"),
    "invoices": ("invoices", "facturen"),
    "credit_notes": ("credit notes", "creditnota's"),
    "payments": ("payments", "betalingen"),
    "write_offs": ("write-offs", "afboekingen"),
    "ledger": ("invoices in mode ledger", "facturen in modus ledger"),
    "settlements": ("payouts of gateways", "uitbetalingen van betaaldiensten"),
}


def sentence_and_advice(code: str, lang: Language, values: dict[str, object]) -> tuple[str, str]:
    """Fill in the words of a code; a list of candidates that is empty says so."""
    english, advice, dutch, dutch_advice = COMPLAINTS[code]
    none = "(none fits; make it in Exact)" if lang == "en" else "(er past er geen; maak die aan in Exact)"
    filled = {**values, "candidates": values.get("candidates") or none}
    if "purpose" in values:
        filled["purpose"] = PURPOSES[str(values["purpose"])][lang == "nl"]
    sentence, what_to_do = (english, advice) if lang == "en" else (dutch, dutch_advice)
    return sentence.format_map(filled), what_to_do.format_map(filled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What is wrong with what stands at `path` of the file; `code` never changes."""

    path: tuple[Step, ...]
    code: str
    values: dict[str, object] = field(default_factory=dict)

    def words(self, lang: Language) -> tuple[str, str]:
        """Return the sentence and what to write instead."""
        return sentence_and_advice(self.code, lang, self.values)


def placed(configuration: Configuration, complaint: Complaint, lang: Language) -> dict[str, Any]:
    """Return a complaint for JSON: code, line and path in the file, sentence and advice."""
    sentence, advice = complaint.words(lang)
    line, place = configuration.line(complaint.path), written_place(complaint.path)
    return {"code": complaint.code, "line": line, "path": place, "sentence": sentence, "advice": advice}


def named_things(things: Iterable[Any]) -> str:
    """Write the first few things with a code: 8000 Omzet, 8010 Omzet laag."""
    found = sorted(things, key=lambda each: str(each.code))
    words = [f"{each.code} {each.description}".strip() for each in found[:CANDIDATES]]
    return ", ".join(words) + (", ..." if len(found) > CANDIDATES else "")
