"""What a reconciliation says, in English and Dutch: a sentence for each finding, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from string import Formatter
from typing import Any

from bookkeeping.money import format_minor
from bookkeeping.reconciliation import VAT
from mapper.reconcile_scratch import Finding
from mapper.wording import Language, document_words

_AMOUNTS = frozenset(("owed_minor", "booked_minor", "debt"))
# English, Dutch: what is the matter, and what to do; nothing where it passes by itself or has its command.
_SENTENCES: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "document_held": (("{document} is held: {code}.", "kruispost explain {number} says what it needs."),
                      ("{document} is vastgehouden: {code}.", "kruispost explain {number} zegt wat er nodig is.")),
    "document_waiting": (("{document} waits: {code}.", ""), ("{document} wacht: {code}.", "")),
    "document_set_aside": (("{document} is not booked by rule: {code}.", ""),
                           ("{document} wordt volgens regel niet geboekt: {code}.", "")),
    "document_unhandled": (("{document} came from Chargebee and was not handled yet.", ""),
                           ("{document} kwam uit Chargebee en is nog niet verwerkt.", "")),
    "events_unread": (
        ("Ingest holds {count} events of Chargebee that it has told nobody of, the oldest of {oldest}, about these days{named}.",
         "Let ingest run until `kruispost status` shows them, or look in its log for translation_failed; then reconcile again."),
        ("Ingest heeft {count} events van Chargebee nog niet doorgegeven, de oudste van {oldest}, over deze dagen{named}.",
         "Laat ingest draaien tot `kruispost status` ze toont, of zoek in zijn log translation_failed; vergelijk dan opnieuw."),
    ),
    "events_unread_of_others": (
        ("Ingest holds {count} events of Chargebee that it has told nobody of, the oldest of {oldest}; none of these days.",
         ""),
        ("Ingest heeft {count} events van Chargebee nog niet doorgegeven, de oudste van {oldest}; niets van deze dagen.", ""),
    ),
    "document_missing": (
        ("{document} came from Chargebee and nothing was made of it.",
         "Compare `kruispost replay mapper`, and book it with --yes; report this as a defect."),
        ("{document} kwam uit Chargebee en er is niets mee gedaan.",
         "Vergelijk met `kruispost replay mapper` en boek het met --yes; meld dit als een fout in het programma."),
    ),
    "document_not_shown": (
        ("{document} is booked, and nothing of it is known from Chargebee any more.",
         "Let `kruispost backfill` fetch it; where many are named, restore a newer backup of ingest's database."),
        ("{document} is geboekt, en uit Chargebee is er niets meer van bekend.",
         "Laat `kruispost backfill` het ophalen; zet bij veel een nieuwere back-up van de database van ingest terug."),
    ),
    "document_differs": (
        ("{document} is {owed_minor} in Chargebee and {booked_minor} in our bookings.",
         "kruispost trace {number} shows both; book the difference by hand or by `changes: correct`."),
        ("{document} is {owed_minor} in Chargebee en {booked_minor} in onze boekingen.",
         "kruispost trace {number} toont beide; boek het verschil met de hand of met `changes: correct`."),
    ),
    "number_missing": (
        ("{number} never came from Chargebee ({count} numbers of the series {prefix}).",
         "Look for it in Chargebee; `kruispost backfill` fetches what no webhook brought."),
        ("{number} is nooit uit Chargebee gekomen ({count} nummers van de reeks {prefix}).",
         "Zoek het in Chargebee; `kruispost backfill` haalt op wat geen webhook bracht."),
    ),
    "entry_waiting": (("{document} is to be booked and not in Exact yet.", ""),
                      ("{document} gaat geboekt worden en staat nog niet in Exact.", "")),
    "entry_unread": (("{document} was booked as entry {entry} after Exact's ledger was last read.", ""),
                     ("{document} is geboekt als {entry} nadat het grootboek van Exact het laatst is gelezen.", "")),
    "entry_untold": (
        ("{document} is booked, and the exact-writer has no record of it.",
         "Restore a newer backup of the exact-writer's database; kruispost trace {number} says when it was booked."),
        ("{document} is geboekt, en de exact-writer weet er niets van.",
         "Zet een nieuwere back-up van de database van de exact-writer terug; kruispost trace {number} zegt sinds wanneer."),
    ),
    "entry_missing": (
        ("{document} was booked as entry {entry} in journal {journal} and is not in Exact any more: it was deleted there.",
         "kruispost drift revert {number} books it again; or void it in Chargebee, or accept it by kruispost drift."),
        ("{document} was geboekt als {entry} in dagboek {journal} en staat niet meer in Exact: het is daar verwijderd.",
         "kruispost drift revert {number} boekt het opnieuw; of annuleer het in Chargebee, of aanvaard het met kruispost drift."),
    ),
    "entry_edited_amount": (
        ("{document}, entry {entry}: account {place} has {found} in Exact and {booked} was booked{hand}.",
         "Change entry {entry} back in Exact, or correct the document in Chargebee."),
        ("{document}, boeking {entry}: rekening {place} heeft {found} in Exact en {booked} is geboekt{hand}.",
         "Zet boeking {entry} in Exact terug, of corrigeer het document in Chargebee."),
    ),
    "entry_edited_account": (
        ("{document}, entry {entry}: account {place} has {found} in Exact and {booked} was booked{hand}.",
         "Move it back in Exact; kruispost drift revert {number} moves it back by an entry; or kruispost drift accept, learn."),
        ("{document}, boeking {entry}: rekening {place} heeft {found} in Exact en {booked} is geboekt{hand}.",
         "Zet het in Exact terug; kruispost drift revert {number} boekt het terug; of kruispost drift accept, learn."),
    ),
    "entry_edited_vat": (
        ("{document}, entry {entry}: VAT code {place} has {found} in Exact and {booked} was booked{hand}.",
         "Change the VAT back in Exact before the VAT return is filed."),
        ("{document}, boeking {entry}: btw-code {place} heeft {found} in Exact en {booked} is geboekt{hand}.",
         "Zet de btw in Exact terug voordat de aangifte wordt gedaan."),
    ),
    "entry_edited_date": (
        ("{document}, entry {entry}: dated {found} in Exact and booked on {booked}{hand}.", "Set the date back in Exact."),
        ("{document}, boeking {entry}: in Exact gedateerd op {found} en geboekt op {booked}{hand}.",
         "Zet de datum in Exact terug."),
    ),
    "entry_edited_reference": (
        ("{document}, entry {entry}: its reference in Exact is {found} and was {booked}{hand}.",
         "Set it back in Exact: by it the entry is found, and payments are matched."),
        ("{document}, boeking {entry}: de referentie in Exact is {found} en was {booked}{hand}.",
         "Zet die in Exact terug: daarmee wordt de boeking gevonden en worden betalingen afgeletterd."),
    ),
    "entry_edited_customer": (
        ("{document}, entry {entry}: stands with {found} in Exact and was booked for {booked}{hand}.",
         "Set the customer back in Exact, or merge both in Chargebee."),
        ("{document}, boeking {entry}: staat in Exact bij {found} en was geboekt voor {booked}{hand}.",
         "Zet de klant in Exact terug, of voeg beide samen in Chargebee."),
    ),
    "entry_edited_dimension": (
        ("{document}, entry {entry}: account {place} has cost centre {found} in Exact and was booked with {booked}{hand}.",
         "Set it back in Exact, or change the mapping's rules of cost centres."),
        ("{document}, boeking {entry}: rekening {place} heeft in Exact kostenplaats {found} en was geboekt met {booked}{hand}.",
         "Zet die in Exact terug, of pas de regels van kostenplaatsen in de mapping aan."),
    ),
    "entry_edited_deferral": (
        ("{document}, entry {entry}: deferred revenue {place} is {found_base} {base} in Exact, by schedule {booked_base}{hand}.",
         "Set the release back in Exact, or accept it; where many differ, compare deferral.schedule with Exact's setting."),
        ("{document}, boeking {entry}: uitgestelde omzet {place} is {found_base} {base} in Exact, in schema {booked_base}{hand}.",
         "Zet de vrijval in Exact terug, of aanvaard het; wijken er veel af, vergelijk deferral.schedule met Exact."),
    ),
    "entry_period_moved": (
        ("{document}, entry {entry}: reported in {found} in Exact and booked in {booked}{hand}.",
         "Set the period back in Exact, or accept that both months differ by it."),
        ("{document}, boeking {entry}: in Exact verwerkt in {found} en geboekt in {booked}{hand}.",
         "Zet de periode in Exact terug, of aanvaard dat beide maanden hierin verschillen."),
    ),
    "entry_exchange_rate": (
        ("{document}, entry {entry}: {place} is {found_base} {base} in Exact and {booked_base} at the booked rate{hand}.",
         "Set the rate back in Exact; paid invoices get an exchange difference otherwise."),
        ("{document}, boeking {entry}: {place} is {found_base} {base} in Exact en {booked_base} tegen de geboekte koers{hand}.",
         "Zet de koers in Exact terug; anders ontstaat bij betaling een koersverschil."),
    ),
    "entry_rounding": (
        ("{document}, entry {entry}: {place} is {found} in Exact and {booked} here, by rounding.", ""),
        ("{document}, boeking {entry}: {place} is {found} in Exact en {booked} hier, door afronding.", ""),
    ),
    "entry_doubled": (
        ("{number} stands in Exact twice: entry {ours} is ours, entry {entry} in journal {journal} of {day} is not.",
         "Delete or reverse entry {entry} in Exact."),
        ("{number} staat dubbel in Exact: boeking {ours} is van ons, boeking {entry} in dagboek {journal} van {day} niet.",
         "Verwijder boeking {entry} in Exact of boek die tegen."),
    ),
    "entry_by_hand": (
        ("Entry {entry} in journal {journal} of {day} names {number}, with {debt} on debtors; our entry {ours} has {booked}.",
         "Give Chargebee the same (a credit note, a payment recorded by hand), or accept that both differ by it."),
        ("Boeking {entry} in dagboek {journal} van {day} noemt {number}, met {debt} op debiteuren; onze boeking {ours} {booked}.",
         "Geef Chargebee hetzelfde (een creditnota, een handmatige betaling), of aanvaard dat beide hierin verschillen."),
    ),
    "entry_unknown": (
        ("Entry {entry} under {number} is ours, and no booking here knows it: the document may stand in Exact twice.",
         "Look for {number} in Exact and delete the one too many; then report this as a defect."),
        ("Boeking {entry} onder {number} is van ons en hier onbekend: het document kan dubbel in Exact staan.",
         "Zoek {number} in Exact en verwijder wat te veel is; meld dit daarna als een fout in het programma."),
    ),
    "entry_linked": (
        ("{document} is entry {entry} in journal {journal}, which somebody else booked.", ""),
        ("{document} is boeking {entry} in dagboek {journal}, door iemand anders geboekt.", ""),
    ),
    "entry_exchange_difference": (
        ("Entry {entry} in journal {journal} of {day} ({number}) is Exact's own: an exchange difference of what it matched.", ""),
        ("Boeking {entry} in dagboek {journal} van {day} ({number}) is van Exact zelf: koersverschil van een aflettering.", ""),
    ),
    "entry_not_ours": (
        ("Entry {entry} in journal {journal} of {day} ({number}) is not ours.", ""),
        ("Boeking {entry} in dagboek {journal} van {day} ({number}) is niet van ons.", ""),
    ),
}  # fmt: skip
_WORDS: dict[str, tuple[str, str]] = {
    "kind_rounding": ("rounding", "afronding"),
    "kind_missing": ("missing", "ontbreekt"),
    "kind_doubled": ("doubled", "dubbel"),
    "kind_by_hand": ("corrected by hand", "met de hand gecorrigeerd"),
    "kind_period_moved": ("period moved", "periode verschoven"),
    "kind_edited": ("edited in Exact", "gewijzigd in Exact"),
    "kind_exchange_rate": ("exchange rate", "wisselkoers"),
    "kind_waiting": ("waiting", "wacht"),
    "kind_unread": ("not read yet", "nog niet gelezen"),
    "kind_held": ("held", "vastgehouden"),
    "kind_set_aside": ("set aside", "terzijde gelegd"),
    "kind_not_ours": ("not ours", "niet van ons"),
    "kind_linked": ("linked", "verbonden"),
    "kind_accepted": ("accepted", "aanvaard"),
    "accepted": ("{sentence} Accepted by {who} on {when}: {why}", "{sentence} Aanvaard door {who} op {when}: {why}"),
    "kind_differs": ("differs", "verschilt"),
    "heading": (
        "Division {division} ({name}), {first} to {last}. Exact's ledger as read {read_at}.",
        "Administratie {division} ({name}), {first} tot en met {last}. Grootboek van Exact gelezen {read_at}.",
    ),
    "no_deletions": (
        "This app may not see what is deleted in Exact (scope organization/administration), so deletions cannot be noticed.",
        "Deze app mag niet zien wat in Exact wordt verwijderd (scope organisatie/administratie); verwijderingen vallen niet op.",
    ),
    "by_day": ("day", "dag"),
    "by_customer": ("customer", "klant"),
    "by_vat": ("VAT code", "btw-code"),
    "by_account": ("account", "rekening"),
    "currency": ("currency", "valuta"),
    "chargebee": ("Chargebee", "Chargebee"),
    "logs": ("our bookings", "onze boekingen"),
    "exact": ("Exact", "Exact"),
    "differs": ("differs by", "verschilt"),
    "total": ("total", "totaal"),
    "nothing": ("nothing in these days", "niets in deze dagen"),
    "explained": ("Explained:", "Verklaard:"),
    "unexplained": ("NOT EXPLAINED:", "NIET VERKLAARD:"),
    "all_explained": ("Everything is equal or has its reason.", "Alles is gelijk of heeft zijn reden."),
    "more": ("... and {count} more (--all shows them)", "... en nog {count} (--all toont ze)"),
    "series_heading": ("Number series:", "Nummerreeksen:"),
    "series": (
        "  {first} to {last}: {numbers} numbers, {booked} booked{reasons}{gaps}",
        "  {first} tot en met {last}: {numbers} nummers, {booked} geboekt{reasons}{gaps}",
    ),
    "no_gap": ("; no gap", "; geen gat"),
    "gaps": ("; {count} missing", "; {count} ontbreken"),
    "hand": ("; last changed by {modifier} on {when}", "; laatst gewijzigd door {modifier} op {when}"),
    "somebody": ("somebody", "iemand"),
    "entry": ("entry", "boeking"),
    "event": ("event", "event"),
    "nobody": ("an account that is no customer of Chargebee's", "een relatie die geen klant van Chargebee is"),
}


def word(name: str, lang: Language, /, **values: object) -> str:
    """Return a word or sentence of the report."""
    return _WORDS[name][lang == "nl"].format_map(values)


def sentence_of(finding: Finding, lang: Language) -> tuple[str, str]:
    """Return what is the matter, and what to do (empty when nothing is)."""
    values = _values(finding, lang)
    sentence, action = _SENTENCES[finding.name][lang == "nl"]
    told = sentence.format_map(values)
    if finding.kind == "accepted":
        named = {name: finding.details[name] for name in ("who", "when", "why")}
        return word("accepted", lang, sentence=told, **named), ""
    return told, action.format_map(values)


def _values(finding: Finding, lang: Language) -> Mapping[str, Any]:
    details, currency = finding.details, finding.currency

    def shown(value: object, of: str = currency) -> object:
        return format_minor(value, of) if isinstance(value, int) and of else value

    values: dict[str, Any] = {name: shown(value) if name in _AMOUNTS else value for name, value in details.items()}
    base = str(details.get("base") or currency)
    values |= {name: shown(details.get(name)) for name in ("booked", "found")}
    values |= {f"{name}_base": shown(details.get(name), base) for name in ("booked", "found")}
    if details.get("what") == "customer":
        values["found"] = details.get("found") or word("nobody", lang)
    is_document = finding.document not in ("entry", "event")
    subject = document_words(finding.document, finding.number, lang) if is_document else word(finding.document, lang)
    return {
        **values,
        "named": _documents(details, lang),
        "document": subject,
        "number": finding.number,
        "code": finding.code,
        "place": str(details.get("place", "")).removeprefix(VAT),
        "hand": _hand(details, lang),
    }


def _documents(details: Mapping[str, Any], lang: Language) -> str:
    """Name the documents of events, without all of many."""
    pairs = [str(each).partition(" ") for each in details.get("documents", ())]
    names = ", ".join(document_words(kind, number, lang) if number else kind for kind, _, number in pairs)
    return f" ({names})" if names else ""


def _hand(details: Mapping[str, Any], lang: Language) -> str:
    changed = details.get("modified_at")
    if changed is None:
        return ""
    # Exact writes its local wall clock as if it were UTC.
    when = datetime.fromtimestamp(float(changed), UTC).strftime("%Y-%m-%d %H:%M")
    return word("hand", lang, modifier=details.get("modifier") or word("somebody", lang), when=when)


def untranslated() -> list[str]:
    """Return the names of sentences that do not fit both languages."""

    def fields(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    pairs = {name: (" ".join(english), " ".join(dutch)) for name, (english, dutch) in _SENTENCES.items()} | _WORDS
    return sorted(name for name, (english, dutch) in pairs.items() if fields(english) != fields(dutch))
