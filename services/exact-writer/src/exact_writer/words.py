"""What the writer itself says about commands and files, in English and Dutch; Exact's own words stand as Exact says them."""

from __future__ import annotations

import re
from string import Formatter
from typing import Final

import msgspec

# The sentences that say how a division is connected.
CONNECTION: Final = (
    "exact_answers",
    "exact_answers_shadow",
    "nobody_logged_in",
    "token_not_renewed",
    "renewal_refused",
    "not_let_in",
    "endpoint_closed",
    "endpoint_failing",
    "away_since",
)


class Told(msgspec.Struct, frozen=True):
    """Words for people in English and Dutch."""

    english: str
    dutch: str

    def and_then(self, other: Told) -> Told:
        """Add a sentence."""
        return Told(f"{self.english} {other.english}", f"{self.dutch} {other.dutch}")


# name: (English, Dutch)
SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "reference_taken": (
        "Exact has entry {number} with the reference {reference}, of {found} where the document has {wanted}.",
        "Exact heeft boeking {number} met de referentie {reference}, van {found} waar het document {wanted} heeft.",
    ),
    "reference_taken_by_another": (
        "Exact has entry {number} with the reference {reference} and the same amount, on another account than the customer's.",
        "Exact heeft boeking {number} met de referentie {reference} en dat bedrag, op een andere relatie dan die van de klant.",
    ),
    "account_gone": (
        "The account{label} of its customer was deleted in Exact, or merged into another.",
        "De relatie{label} van de klant is in Exact verwijderd, of samengevoegd met een andere.",
    ),
    "account_blocked": (
        "Account {label} is blocked in Exact.",
        "Relatie {label} is geblokkeerd in Exact.",
    ),
    "account_blocked_of": (
        "Account {label} in Exact is customer {customer}, and it is blocked there.",
        "Relatie {label} in Exact is klant {customer}, en is daar geblokkeerd.",
    ),
    "not_a_customer": (
        "Account {label} has the status {status} in Exact; an invoice needs a customer (C).",
        "Relatie {label} heeft de status {status} in Exact; een factuur heeft een klant nodig (C).",
    ),
    "unknown_account": (
        "Exact has no account {code}, which customer {customer} is linked to.",
        "Exact heeft geen relatie {code}, waar klant {customer} mee verbonden is.",
    ),
    "customer_ambiguous_one": (
        "One account in Exact has the {mark} of customer {customer} ({name}): {listed}. Is it one of these?",
        "Eén relatie in Exact heeft {mark} van klant {customer} ({name}): {listed}. Is dat hem?",
    ),
    "customer_ambiguous": (
        "{count} accounts in Exact have the {mark} of customer {customer} ({name}): {listed}. Is it one of these?",
        "{count} relaties in Exact hebben {mark} van klant {customer} ({name}): {listed}. Is hij een van deze?",
    ),
    # How a division is connected; `connection_in_dutch` reads them back, since a reason is kept as it was said.
    "exact_answers": ("Exact answers", "Exact antwoordt"),
    "exact_answers_shadow": (
        "Exact answers; in shadow: nothing is written there, see `kruispost shadow`",
        "Exact antwoordt; schaduw: er wordt daar niets geschreven, zie `kruispost shadow`",
    ),
    "nobody_logged_in": ("nobody has logged in at Exact yet", "er heeft nog niemand bij Exact ingelogd"),
    "token_not_renewed": ("Exact did not renew the token ({said})", "Exact heeft het token niet vernieuwd ({said})"),
    "renewal_refused": (
        "Exact refused to renew the token ({said})",
        "Exact weigerde het token te vernieuwen ({said})",
    ),
    "not_let_in": (
        "Exact does not let this app work here: {said}",
        "Exact laat deze app hier niet werken: {said}",
    ),
    "endpoint_closed": (
        "{endpoint} answered with errors {count} times within an hour; no more calls go there until the hour is over",
        "{endpoint} antwoordde binnen een uur {count} keer met fouten; tot dat uur om is gaan er geen aanroepen meer heen",
    ),
    "endpoint_failing": (
        "Exact fails at whatever is written to {endpoint}; what waits there is tried every few minutes until it works",
        "Exact faalt bij alles wat naar {endpoint} wordt geschreven; wat daar wacht, wordt af en toe geprobeerd tot het lukt",
    ),
    "away_since": (
        "Exact has not worked since {moment} UTC; what waits goes out by itself once it does",
        "Exact werkt sinds {moment} UTC niet; wat wacht, gaat vanzelf uit zodra het weer werkt",
    ),
    "mark_vat_number": ("VAT number {value}", "btw-nummer {value}"),
    "mark_email": ("e-mail address {value}", "e-mailadres {value}"),
    "mark_id": ("Chargebee's id {value}", "Chargebee-id {value}"),
    "already_customer": ("already customer {customer}", "al klant {customer}"),
    "with_vat_number": ("with VAT number {number}", "met btw-nummer {number}"),
    "reference_too_long": (
        "The reference {reference} has more than the {most} characters that Exact takes.",
        "De referentie {reference} heeft meer dan de {most} tekens die Exact aanneemt.",
    ),
    "unbalanced": (
        "Debit and credit of the entry differ by {rest} minor units.",
        "Debet en credit van de boeking verschillen {rest} (in de kleinste eenheid).",
    ),
    "unknown_journal": ("Exact has no journal {code}.", "Exact heeft geen dagboek {code}."),
    "no_sales_journal": ("Journal {code} is not a sales journal in Exact.", "Dagboek {code} is geen verkoopboek in Exact."),
    "no_general_journal": ("Journal {code} is not a general journal in Exact.", "Dagboek {code} is geen memoriaal in Exact."),
    "blocked_journal": ("Journal {code} is blocked in Exact.", "Dagboek {code} is geblokkeerd in Exact."),
    "vat_not_allowed": ("Journal {code} takes no VAT in Exact.", "Dagboek {code} staat in Exact geen btw toe."),
    "currency_not_allowed": (
        "Journal {code} takes only {only} in Exact; the entry is in {currency}.",
        "Dagboek {code} is in Exact alleen voor {only}; de boeking is in {currency}.",
    ),
    "unknown_currency": ("The currency {code} is not active in Exact.", "De valuta {code} is niet actief in Exact."),
    "unknown_payment_condition": ("Exact has no payment condition {code}.", "Exact heeft geen betalingsconditie {code}."),
    "unknown_gl_account": ("Exact has no ledger {code}.", "Exact heeft geen grootboekrekening {code}."),
    "blocked_gl_account": ("Ledger {code} is blocked in Exact.", "Grootboekrekening {code} is geblokkeerd in Exact."),
    "debtors_on_sale": (
        "Ledger {code} is a debtors account in Exact; a line of an invoice needs another one.",
        "Grootboekrekening {code} is in Exact een debiteurenrekening; een factuurregel heeft een andere nodig.",
    ),
    "no_debtors_account": (
        "Ledger {code} is no debtors account in Exact (type {type}).",
        "Grootboekrekening {code} is geen debiteurenrekening in Exact (type {type}).",
    ),
    "customer_missing": (
        "Ledger {code} is a debtors account in Exact, and a line on it names no customer.",
        "Grootboekrekening {code} is in Exact een debiteurenrekening, en een regel daarop noemt geen klant.",
    ),
    "unknown_vat_code": ("Exact has no VAT code {code}.", "Exact heeft geen btw-code {code}."),
    "blocked_vat_code": ("VAT code {code} is blocked in Exact.", "Btw-code {code} is geblokkeerd in Exact."),
    "vat_code_for_purchases": (
        "VAT code {code} is for purchases only in Exact.",
        "Btw-code {code} is in Exact alleen voor inkoop.",
    ),
    "vat_code_inclusive": (
        "VAT code {code} is inclusive (type I) in Exact, which would take VAT off amounts that have none.",
        "Btw-code {code} is inclusief (type I) in Exact, dat dan btw afhaalt van bedragen waar geen btw in zit.",
    ),
    "vat_amount_not_allowed": (
        "VAT code {code} carries no VAT in Exact (type {type}), and a line of the document has VAT.",
        "Btw-code {code} draagt in Exact geen btw (type {type}), en een regel van het document heeft btw.",
    ),
    "cost_center_missing": (
        "Ledger {ledger} wants a cost centre in Exact.",
        "Grootboekrekening {ledger} vraagt in Exact een kostenplaats.",
    ),
    "cost_unit_missing": (
        "Ledger {ledger} wants a cost unit in Exact.",
        "Grootboekrekening {ledger} vraagt in Exact een kostendrager.",
    ),
    "unknown_cost_center": ("Exact has no cost centre {code}.", "Exact heeft geen kostenplaats {code}."),
    "unknown_cost_unit": ("Exact has no cost unit {code}.", "Exact heeft geen kostendrager {code}."),
    "cost_center_not_allowed": (
        "Ledger {ledger} takes no cost centre in Exact.",
        "Grootboekrekening {ledger} staat in Exact geen kostenplaats toe.",
    ),
    "cost_unit_not_allowed": (
        "Ledger {ledger} takes no cost unit in Exact.",
        "Grootboekrekening {ledger} staat in Exact geen kostendrager toe.",
    ),
    "no_financial_year": ("Exact has no financial year for {day}.", "Exact heeft geen boekjaar voor {day}."),
    "no_period": ("Exact has no period {period} of {year}.", "Exact heeft geen periode {period} van {year}."),
    "period_closed": (
        "Period {period} of {year} is closed for journal {journal} in Exact.",
        "Periode {period} van {year} is in Exact gesloten voor dagboek {journal}.",
    ),
    "exists_otherwise": (
        "Exact's ledger has {listed}; here {reference} is {amount} for account {account}.",
        "Het grootboek van Exact heeft {listed}; hier is {reference} {amount} voor relatie {account}.",
    ),
    "standing_entry": (
        "entry {entry} in journal {journal} of {day} with {amount} for account {account}",
        "boeking {entry} in dagboek {journal} van {day} met {amount} voor relatie {account}",
    ),
    "linked_entry_gone": (
        "Entry {entry}, which it was linked to, is not in Exact's ledger, or is another document's.",
        "Boeking {entry}, waar het mee verbonden is, staat niet in het grootboek van Exact, of is van een ander document.",
    ),
    "withdrawn": (
        "A person took it back before it was sent to Exact.",
        "Iemand heeft het teruggenomen voordat het naar Exact was verstuurd.",
    ),
    "exact_failure": (
        "Exact failed {times} times and booked nothing.",
        "Exact faalde {times} keer en heeft niets geboekt.",
    ),
    "file_failure": ("Exact failed {times} times.", "Exact faalde {times} keer."),
    "pdf_not_answered": ("The PDF was asked for and did not come.", "De pdf is opgevraagd en niet gekomen."),
    "pdf_of_another": (
        "The document was taken back meanwhile, so that Chargebee's PDF of this number is not its own.",
        "Het document is intussen teruggenomen, dus de pdf van Chargebee bij dit nummer is niet de zijne.",
    ),
    "pdf_too_large": ("The PDF has {bytes} bytes.", "De pdf heeft {bytes} bytes."),
}
# What a person can do about a refusal, by its code; in English as in refusals.
ACTIONS_NL: Final[dict[str, str]] = {
    "period_closed": "Open de periode in Exact, of laat het document naar de volgende open periode gaan.",
    "no_financial_year": "Maak het boekjaar in Exact en doe dan `kruispost retry NUMMER`.",
    "not_a_customer": "Maak de relatie klant in Exact (status Klant) en doe dan `kruispost retry NUMMER`.",
    "vat_not_allowed": "Sta btw toe op het dagboek in Exact, of wijs een dagboek aan dat het toestaat.",
    "duplicate": "Zoek in Exact wat dit nummer of deze code al heeft.",
    "unbalanced": "Meld dit met het nummer van het document: de boeking is uit evenwicht verstuurd.",
    "invalid_reference": "Vergelijk de mapping met Exact: een rekening, btw-code, kostenplaats of dagboek is er niet bruikbaar.",
    "mandatory_field": "Vul in de mapping of in de instellingen van de administratie in waar Exact om vraagt.",
    "invalid_value": "Verbeter de waarde in Chargebee of in de mapping; Exact noemt het veld.",
    "malformed": "Meld dit met het nummer van het document: Exact kon het verzoek niet lezen.",
    "exact_failure": "Vraag het Exacts ondersteuning, met tijd en nummer; doe dan `kruispost retry NUMMER`.",
    "unknown_gl_account": "Maak de grootboekrekening in Exact, of verbeter haar code in de mapping.",
    "blocked_gl_account": "Deblokkeer de grootboekrekening in Exact, of wijs een andere aan.",
    "wrong_gl_account_type": "Verbeter de grootboekrekening in de mapping: haar soort in Exact past daar niet.",
    "customer_missing": "Verbeter de grootboekrekening in de mapping: op een debiteurenrekening hoort een klant.",
    "unknown_journal": "Maak het dagboek in Exact, of verbeter zijn code in de configuratie.",
    "wrong_journal_type": "Kies een verkoopboek voor facturen en creditnota's en een memoriaal voor betalingen.",
    "blocked_journal": "Deblokkeer het dagboek in Exact, of kies een ander in de configuratie.",
    "currency_not_allowed": "Laat het dagboek in Exact elke valuta toe, of kies een ander in de configuratie.",
    "unknown_currency": "Maak de valuta actief in Exact en doe dan `kruispost retry NUMMER`.",
    "unknown_vat_code": "Maak de btw-code in Exact, of verbeter haar in de mapping.",
    "blocked_vat_code": "Deblokkeer de btw-code in Exact, of kies een andere in de mapping.",
    "vat_code_for_purchases": "Kies in de mapping een btw-code voor verkoop.",
    "vat_code_inclusive": "Kies in de mapping de btw-code exclusief btw (type E).",
    "vat_amount_not_allowed": "Kies in de mapping een btw-code met een percentage, of verbeter de btw in Chargebee.",
    "unknown_cost_center": "Maak de kostenplaats in Exact, of verbeter haar code in de mapping.",
    "unknown_cost_unit": "Maak de kostendrager in Exact, of verbeter zijn code in de mapping.",
    "cost_center_missing": "Geef deze rekening in de mapping een kostenplaats, of maak die in Exact optioneel.",
    "cost_center_not_allowed": "Laat de kostenplaats van deze rekening weg uit de mapping, of sta haar toe in Exact.",
    "cost_unit_missing": "Geef deze rekening in de mapping een kostendrager, of maak die in Exact optioneel.",
    "cost_unit_not_allowed": "Laat de kostendrager van deze rekening weg uit de mapping, of sta hem toe in Exact.",
    "reference_too_long": "Geef het document in Chargebee een korter nummer, of boek het met de hand.",
    "unknown_payment_condition": "Maak de betalingsconditie in Exact, of verbeter haar code onder payment_conditions.",
    "customer_ambiguous": "Noem de relatie onder customers.links van de administratie, of new voor een eigen; herstart dan.",
    "account_blocked": "Deblokkeer de relatie in Exact, of verbind de klant met een andere onder customers.links.",
    "account_gone": (
        "Noem onder customers.links van de administratie de relatie die de klant nu is, of new voor een eigen; herstart en doe"
        " dan `kruispost retry NUMMER`."
    ),
    "reference_taken": (
        "Bekijk die boeking in Exact: verwijder haar als zij dit document is, laat haar staan als zij van een ander is; doe dan"
        " `kruispost retry NUMMER`, dat dit document boekt."
    ),
    "unknown_account": "Verbeter de code onder customers.links, of maak de relatie in Exact.",
    "exists_otherwise": "Vergelijk beide; `kruispost links` verbindt ze, of laat het document toch boeken.",
    "linked_entry_gone": "Zoek in Exact de boeking die het is en noem die met `kruispost links accept`.",
    "withdrawn": "Start de mapper met de gewijzigde mapping, of doe `kruispost retry --code withdrawn`.",
    "other": "Lees wat Exact zegt en doe dan `kruispost retry NUMMER`.",
}
PDF_ACTIONS_NL: Final[dict[str, str]] = {
    "pdf_missing": "Niets, als het document in Chargebee is verwijderd; voeg de pdf anders met de hand bij.",
    "pdf_refused": "Lees wat Chargebee zegt en vraag dan opnieuw met `kruispost pdf NUMMER`.",
    "pdf_unavailable": "Kijk of Chargebee de pdf toont en vraag dan opnieuw met `kruispost pdf NUMMER`.",
    "pdf_unusable": "Kijk of Chargebee de pdf toont en vraag dan opnieuw met `kruispost pdf NUMMER`.",
    "pdf_of_another": "Niets: wat daarna is geboekt, krijgt zijn eigen pdf.",
    "pdf_too_large": "Voeg in Exact met de hand een kleiner bestand bij.",
    "pdf_not_answered": "Kijk of ingest draait en vraag dan opnieuw met `kruispost pdf NUMMER`.",
    "other": "Vraag opnieuw met `kruispost pdf NUMMER`, of voeg de pdf met de hand bij.",
}


def say(name: str, /, **values: object) -> Told:
    """Fill in a sentence in both languages; raises KeyError for one that is not in the list above."""
    english, dutch = SENTENCES[name]
    in_dutch = {key: value.dutch if isinstance(value, Told) else value for key, value in values.items()}
    in_english = {key: value.english if isinstance(value, Told) else value for key, value in values.items()}
    return Told(english.format_map(in_english), dutch.format_map(in_dutch))


def connection_in_dutch(reason: str) -> str:
    """Return why a division is or is not connected in Dutch, with Exact's own words as they are; empty for what is not ours."""
    for name in CONNECTION:
        english, dutch = SENTENCES[name]
        pattern = "".join(
            f"{re.escape(text)}(?P<{field}>.*)" if field else re.escape(text) for text, field, _, _ in Formatter().parse(english)
        )
        found = re.fullmatch(pattern, reason, re.DOTALL)
        if found is not None:
            return dutch.format_map(found.groupdict())
    return ""
