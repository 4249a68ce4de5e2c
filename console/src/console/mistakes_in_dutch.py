"""Mistakes in the mapping in Dutch: what the configuration's reader and the mapper's rules say of a file, sentence by sentence.

They are told in English, with file, line and place in front, where they are found; what stands in the file and what YAML itself
says stays as it is. A sentence that is not in the list stays English.
"""

from __future__ import annotations

import re
from functools import cache
from string import Formatter
from typing import Final

# What is in holes may be anything, but for a choice between words of the file.
_CHOICE: Final = r"\S+(?:(?:, | or )\S+)*"
_GIVEN: Final[dict[str, str]] = {
    "; nothing is written here": "; hier staat niets",
    ", not a list": ", geen lijst",
    ", not keys with values": ", geen sleutels met waarden",
}
_NOUNS: Final[dict[str, str]] = {
    "revenue rules": "omzetregels",
    "discount rules": "kortingsregels",
    "VAT rules": "btw-regels",
    "routes": "routes",
    "rules of cost centres": "regels voor kostenplaatsen",
    "rules of cost units": "regels voor kostendragers",
    "rules of payment conditions": "regels voor betalingscondities",
    "control accounts": "tussenrekeningen",
    "journals": "dagboeken",
}
# The first that fits counts, so what fits much stands last.
SENTENCES: Final[tuple[tuple[str, str], ...]] = (
    ("this is required and missing; add it", "dit is verplicht en ontbreekt; voeg het toe"),
    ("write a whole number", "schrijf een geheel getal"),
    (
        "write a number with a point and without a sign, such as 5.5",
        "schrijf een getal met een punt en zonder teken, zoals 5.5",
    ),
    ("write true or false", "schrijf true of false"),
    ("write a day of the calendar as 2026-01-31", "schrijf een dag van de kalender, zoals 2026-01-31"),
    (
        "write a list here, as in [...] or in lines that begin with a dash",
        "schrijf hier een lijst, als [...] of in regels die met een streepje beginnen",
    ),
    ("write keys with values here, as in {{key: value}}", "schrijf hier sleutels met waarden, als {{key: value}}"),
    ("write keys with values here (known are {known})", "schrijf hier sleutels met waarden (bekend zijn {known})"),
    ("this is empty; write what is meant", "dit is leeg; schrijf wat bedoeld is"),
    ("this is too long; write at most {most} characters", "dit is te lang; schrijf ten hoogste {most} tekens"),
    ("write one word, code or text here", "schrijf hier één woord, code of tekst"),
    (
        "this list is empty; write at least {least}, or leave the key out",
        "deze lijst is leeg; schrijf er ten minste {least}, of laat de sleutel weg",
    ),
    ("write more than {least}", "schrijf meer dan {least}"),
    ("write {least} or more", "schrijf {least} of meer"),
    ("write {most} or less", "schrijf {most} of minder"),
    (
        "write a country's code in two capitals such as NL, or EU or non-EU",
        "schrijf de code van een land in twee hoofdletters zoals NL, of EU of non-EU",
    ),
    ("write a country's code in two capitals such as NL", "schrijf de code van een land in twee hoofdletters zoals NL"),
    (
        "write a currency's code in three capitals such as EUR, or *",
        "schrijf de code van een valuta in drie hoofdletters zoals EUR, of *",
    ),
    (
        "write a currency's code in three capitals such as EUR",
        "schrijf de code van een valuta in drie hoofdletters zoals EUR",
    ),
    (
        "write a custom field such as cf_project, sku, accounting_code, or accounting_category1 to accounting_category4",
        "schrijf een eigen veld zoals cf_project, sku, accounting_code, of accounting_category1 tot en met accounting_category4",
    ),
    (
        "write a custom field of subscriptions, such as cf_project",
        "schrijf een eigen veld van abonnementen, zoals cf_project",
    ),
    (
        "write the name of a custom field in Chargebee, such as cf_kvk",
        "schrijf de naam van een eigen veld in Chargebee, zoals cf_kvk",
    ),
    (
        "write the code of an account in Exact, in digits, or new",
        "schrijf de code van een relatie in Exact, in cijfers, of new",
    ),
    (
        "write {iso}, the ISO code: documents from {country} are read as that",
        "schrijf {iso}, de ISO-code: documenten uit {country} worden zo gelezen",
    ),
    ("write a year and a period, such as 2026-03", "schrijf een jaar en een periode, zoals 2026-03"),
    (
        "write a name as Exact shows it, without blanks around it",
        "schrijf een naam zoals Exact hem toont, zonder spaties eromheen",
    ),
    (
        "write a percentage with a point and without a sign, such as 21 or 5.5",
        "schrijf een percentage met een punt en zonder teken, zoals 21 of 5.5",
    ),
    ("there is no key {key}; did you mean {meant}?", "er is geen sleutel {key}; bedoelt u {meant}?"),
    ("there is no key {key}; known are {known}", "er is geen sleutel {key}; bekend zijn {known}"),
    ("there is no key {key}; remove it", "er is geen sleutel {key}; verwijder haar"),
    ("the key {key} stands here twice; remove one of them", "de sleutel {key} staat hier twee keer; verwijder er een"),
    (
        "the {undecided} stands here still; write what is meant, as nothing is booked by a guess",
        "hier staat nog {undecided}; schrijf wat bedoeld is, want niets wordt op de gok geboekt",
    ),
    (
        "{zone} is not a time zone; use an IANA name such as Europe/Amsterdam",
        "{zone} is geen tijdzone; gebruik een IANA-naam zoals Europe/Amsterdam",
    ),
    (
        "site {site} books into division {division}, which is not under divisions; add it there",
        "site {site} boekt in administratie {division}, die niet onder divisions staat; zet haar daar",
    ),
    (
        "the file cannot be read ({error}); set KRUISPOST_CONFIG to your kruispost.yaml.",
        "het bestand is niet te lezen ({error}); zet KRUISPOST_CONFIG op uw kruispost.yaml.",
    ),
    (
        "Correct the file; `kruispost config-schema` prints what is allowed.",
        "Verbeter het bestand; `kruispost config-schema` toont wat er mag staan.",
    ),
    (
        "this is not YAML: {problem}; save the file as plain text.",
        "dit is geen YAML: {problem}; bewaar het bestand als platte tekst.",
    ),
    (
        (
            "this is not YAML: {problem} (column {column}); look there and just before for a bracket, quote, comma or colon"
            " that is missing or too many."
        ),
        (
            "dit is geen YAML: {problem} (kolom {column}); zoek daar en vlak ervoor een haakje, aanhalingsteken, komma of"
            " dubbele punt die ontbreekt of te veel is."
        ),
    ),
    (
        "this is not YAML: {problem} (column {column}); indent with blanks instead of tabs.",
        "dit is geen YAML: {problem} (kolom {column}); spring in met spaties in plaats van tabs.",
    ),
    (
        "this is not YAML: {problem} (column {column}); write quotes around a text that begins with *.",
        "dit is geen YAML: {problem} (kolom {column}); zet aanhalingstekens om een tekst die met * begint.",
    ),
    (
        "the field {field} is asked for twice; one document has one value, so remove one of them",
        "naar het veld {field} wordt twee keer gevraagd; een document heeft één waarde, dus verwijder er een",
    ),
    (
        "there is no group {group}; there are no groups; add them as groups",
        "er is geen groep {group}; er zijn geen groepen; voeg ze toe als groups",
    ),
    ("there is no group {group}; groups has {known}", "er is geen groep {group}; groups heeft {known}"),
    (
        "a group is a list of item prices, items and families; name the group or one of those, not both",
        "een groep is een lijst van prijspunten, items en families; noem de groep of een van die, niet beide",
    ),
    (
        "a coupon_code belongs to one coupon set and one coupon: leave coupon and coupon_set out",
        "een coupon_code hoort bij één couponset en één coupon: laat coupon en coupon_set weg",
    ),
    (
        "name at least one product under item_prices, items or families",
        "noem ten minste één product onder item_prices, items of families",
    ),
    (
        "until {until} is before from {first}; a rule is in force on both days",
        "until {until} ligt voor from {first}; een regel geldt op beide dagen",
    ),
    (
        "name the products that are goods under goods first; else nothing is goods",
        "noem eerst de producten die goederen zijn onder goods; anders is niets een goed",
    ),
    ("VAT code {code} has no box; add it under vat_boxes", "btw-code {code} heeft geen rubriek; zet haar onder vat_boxes"),
    (
        "the rules are for discounts that are shown: write posting: gross, or remove the rules",
        "de regels zijn voor kortingen die getoond worden: schrijf posting: gross, of verwijder de regels",
    ),
    (
        "a table of rates goes with policy: table, and the other policies have none",
        "een tabel van koersen hoort bij policy: table; de andere hebben er geen",
    ),
    (
        "mode ledger needs journals.ledger, a general journal of Exact that allows VAT; add it, or use mode: entry",
        "modus ledger heeft journals.ledger nodig, een memoriaal van Exact met btw; voeg het toe, of gebruik mode: entry",
    ),
    (
        "write from, until or both; journals for all days stand under journals itself",
        "schrijf from, until of beide; dagboeken voor alle dagen staan onder journals zelf",
    ),
    ("name at least one journal, such as invoices", "noem ten minste één dagboek, zoals invoices"),
    (
        "a currency has no journal of its own for this; write it in another item, without currency",
        "een valuta heeft hiervoor geen eigen dagboek; schrijf het in een ander item, zonder currency",
    ),
    (
        "{section} needs a general journal of Exact; add {journal}",
        "{section} heeft een memoriaal van Exact nodig; voeg {journal} toe",
    ),
    (
        "fee_vat: {treatment} needs a VAT code for purchases; add code",
        "fee_vat: {treatment} heeft een btw-code voor inkoop nodig; voeg code toe",
    ),
    (
        "zero_invoices: book shows revenue and discount, so it needs discounts: {discounts}",
        "zero_invoices: book toont omzet en korting, en heeft dus discounts: {discounts} nodig",
    ),
    (
        "an answer names a document, or a period and perhaps its journal: {answer}",
        "een antwoord noemt een document, of een periode en misschien het dagboek: {answer}",
    ),
    (
        "nothing can be reported in {into}, before its own period {period}; name a later one",
        "in {into} kan niets komen, want het ligt voor de eigen periode {period}; noem een latere",
    ),
    ("{what} is answered twice; keep one of the answers", "op {what} zijn twee antwoorden; houd er een"),
    (
        "code_at_supplier holds Chargebee's customer id (chargebee_id); give account_fields another field",
        "in code_at_supplier staat Chargebees klantnummer (chargebee_id); geef account_fields een ander veld",
    ),
    ("{hole} is not known of an entry; use {known}", "{hole} is van een boeking niet bekend; gebruik {known}"),
    ("{hole} is no placeholder; did you mean {meant}?", "{hole} is geen plaatshouder; bedoelt u {meant}?"),
    (
        "{hole} is no placeholder; use one of {known}, or a custom field such as cf_project, or subscription.cf_project",
        "{hole} is geen plaatshouder; gebruik een van {known}, of een eigen veld zoals cf_project, of subscription.cf_project",
    ),
    (
        "the brackets in {source} do not fit; write {{number}} or [ for {{invoice}}]",
        "de haakjes in {source} passen niet; schrijf {{number}} of [ voor {{invoice}}]",
    ),
    (
        "a square bracket in {source} is not closed; write ] after what is left out when empty",
        "een vierkante haak in {source} is niet gesloten; schrijf ] na wat wegvalt als het leeg is",
    ),
    # What is wrong between rules, and what to do about it.
    (
        "two {noun} with the same conditions are in force on the same days {both}",
        "twee {noun} met dezelfde voorwaarden gelden op dezelfde dagen {both}",
    ),
    (
        "two {noun} are equally specific and can fit one line {both}",
        "twee {noun} zijn even specifiek en kunnen op één regel passen {both}",
    ),
    (
        "the rule for {words} has no version from {first} until {last}",
        "de regel voor {words} heeft geen versie van {first} tot en met {last}",
    ),
    (
        "of two {noun} that can fit one line, one is for fewer countries ({one}), the other asks for more ({other})",
        "van twee {noun} die op één regel kunnen passen, is een voor minder landen ({one}) en vraagt de ander meer ({other})",
    ),
    ("two debtor rules can fit one customer {both}", "twee debiteurenregels kunnen op één klant passen {both}"),
    (
        "two payment conditions can fit one invoice {both}",
        "twee betalingscondities kunnen op één factuur passen {both}",
    ),
    ("two discount rules have the same conditions {one}", "twee kortingsregels hebben dezelfde voorwaarden {one}"),
    ("two exchange rates of {currency} begin on {day}", "twee koersen van {currency} beginnen op {day}"),
    (
        "two control accounts are for gateway_account: {account}, currency: {currency}",
        "twee tussenrekeningen zijn voor gateway_account: {account}, currency: {currency}",
    ),
    ("two journals are for {words}", "twee dagboeken zijn voor {words}"),
    ("remove one of them", "verwijder er een"),
    ("write until: {day} in the earlier one", "schrijf until: {day} in de eerste"),
    ("let one end on the day before the other begins", "laat de een eindigen op de dag voor de ander begint"),
    (
        "make one of them more specific, or add a rule for what both cover and narrow these two",
        "maak een van beide specifieker, of voeg een regel toe voor wat beide dekken en maak deze twee smaller",
    ),
    (
        "let the first end until: {day}, or the second begin from: {other}",
        "laat de eerste eindigen met until: {day}, of de tweede beginnen met from: {other}",
    ),
    ("let the first ask for {missing}, too", "laat de eerste ook naar {missing} vragen"),
    ("add a rule for both: when: {when}", "voeg een regel voor beide toe: when: {when}"),
    ("write {choice}", "schrijf {choice}"),
)
_BETWEEN_RULES: Final = re.compile(
    r"(?P<what>.+) \(the other is (?P<on>on line )?(?P<place>[^()]+)\); (?P<remedy>.+)\.", re.DOTALL
)


def in_dutch(told: str) -> str:
    """Return what is told of a file in Dutch, line by line; a line that is not in the list stays as it is."""
    return "\n".join(_line(each) for each in told.split("\n"))


def _line(line: str) -> str:
    parts = line.split(": ")
    for count in range(len(parts)):
        sentence = ": ".join(parts[count:])
        dutch = _between_rules(sentence) or _sentence(sentence)
        if dutch is not None:
            return ": ".join([*parts[:count], dutch])
    return line


def _between_rules(sentence: str) -> str | None:
    found = _BETWEEN_RULES.fullmatch(sentence)
    if found is None:
        return None
    what, remedy = _sentence(found["what"]), _sentence(found["remedy"])
    if what is None or remedy is None:
        return None
    return f"{what} (de andere {'staat op regel' if found['on'] else 'is'} {found['place']}); {remedy}."


def _sentence(sentence: str) -> str | None:
    for pattern, dutch in _patterns():
        found = pattern.fullmatch(sentence)
        if found is None:
            continue
        values = {name: value or "" for name, value in found.groupdict().items()}
        prefix, given = values.pop("prefix"), values.pop("given")
        values = {name: _hole(name, value) for name, value in values.items()}
        return f"{'voor de sleutel ' if prefix else ''}{dutch.format_map(values)}{_given(given)}"
    return None


def _hole(name: str, value: str) -> str:
    if name == "choice":
        return value.replace(" or ", " of ")
    if name == "noun":
        return _NOUNS.get(value, value)
    if name == "both":
        value = value.replace(") and (", ") en (")
    return value.replace("(any line)", "(elke regel)") if name in ("both", "one", "other") else value


def _given(given: str) -> str:
    return _GIVEN.get(given) or (f", niet {given.removeprefix(', not ')}" if given else "")


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    return [(_pattern(english), dutch) for english, dutch in SENTENCES]


def _pattern(english: str) -> re.Pattern[str]:
    body = ""
    for text, hole, _, _ in Formatter().parse(english):
        body += re.escape(text)
        if hole:
            # In front of a sentence stands its place, which ends with a colon.
            body += f"(?P<{hole}>{_CHOICE if hole == 'choice' else '.+?' if body else '[^:]+?'})"
    return re.compile(f"(?P<prefix>for the key )?{body}(?P<given>{'|'.join(map(re.escape, _GIVEN))}|, not .+)?", re.DOTALL)
