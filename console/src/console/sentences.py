"""What happened to a document, in one plain sentence of Dutch or English each."""

from __future__ import annotations

from typing import Any, Literal

Language = Literal["en", "nl"]

_TEMPLATES: dict[Language, dict[str, str]] = {
    "en": {
        "observed": "Chargebee showed it ({event}, status {status}).",
        "deleted": "Chargebee deleted it ({event}).",
        "gateway.payout.imported": "It was read from a settlement file of the gateway.",
        "mapper.document.planned": "An entry was made by mapping {mapping_version} for division {division}.",
        "mapper.document.held": "Held: {sentence} What to do: {action}",
        "mapper.document.waiting": "Waiting: {sentence}",
        "mapper.document.set_aside": "Set aside: {sentence}",
        "exact.account.save": "The customer was sent to the writer as {name}.",
        "exact.account.saved": "The customer stands in Exact's division {division}.",
        "exact.account.refused": "Exact refused the customer: {message}",
        "exact.entry.post": "To be booked in journal {journal} under {your_ref}, dated {entry_date}.",
        "exact.entry.posted": "Booked in Exact: entry {entry_number} in journal {journal}.",
        "exact.entry.linked": "Not posted: somebody else booked it, as entry {entry_number} in journal {journal} of Exact.",
        "exact.entry.found": "Its answer was lost; it was found in Exact as entry {entry_number} in journal {journal}.",
        "exact.entry.refused": "Exact refused the entry: {message}",
        "exact.pdf.wanted": "Its PDF was asked for at Chargebee.",
        "exact.pdf.attached": "Its PDF hangs on the entry in Exact as {file_name}.",
        "exact.pdf.not_attached": "Its PDF is not attached; the entry stands. {message}",
        "exact.receivable.paid": "Exact shows it fully paid, last on {last_payment_date}.",
        "exact.receivable.open": "Exact shows it as open.",
        "matcher.payment.recorded": "The receipt was recorded in Chargebee as {transaction_id} under {reference}.",
        "matcher.shortage.written_off": "What the receipt fell short within the tolerance was written off in Chargebee.",
        "matcher.shortage.differs": "Look at the write-off in Chargebee: {sentence}",
        "matcher.payment.not_recorded": "The receipt was not recorded in Chargebee: {sentence}",
    },
    "nl": {
        "observed": "Chargebee liet het zien ({event}, status {status}).",
        "deleted": "Chargebee heeft het verwijderd ({event}).",
        "gateway.payout.imported": "Het is gelezen uit een afrekenbestand van de betaaldienst.",
        "mapper.document.planned": "Er is een boeking gemaakt met mapping {mapping_version}, voor administratie {division}.",
        "mapper.document.held": "Vastgehouden: {sentence} Wat te doen: {action}",
        "mapper.document.waiting": "Wacht: {sentence}",
        "mapper.document.set_aside": "Terzijde gelegd: {sentence}",
        "exact.account.save": "De klant is naar de schrijver gestuurd als {name}.",
        "exact.account.saved": "De klant staat in administratie {division} van Exact.",
        "exact.account.refused": "Exact weigerde de klant: {message}",
        "exact.entry.post": "Te boeken in dagboek {journal} onder {your_ref}, gedateerd {entry_date}.",
        "exact.entry.posted": "Geboekt in Exact: boekstuk {entry_number} in dagboek {journal}.",
        "exact.entry.linked": "Niet geboekt: een ander boekte het, als boekstuk {entry_number} in dagboek {journal} van Exact.",
        "exact.entry.found": "Antwoord verloren; in Exact teruggevonden als boekstuk {entry_number} in dagboek {journal}.",
        "exact.entry.refused": "Exact weigerde de boeking: {message}",
        "exact.pdf.wanted": "De pdf is bij Chargebee opgevraagd.",
        "exact.pdf.attached": "De pdf hangt in Exact aan de boeking als {file_name}.",
        "exact.pdf.not_attached": "De pdf is niet bijgevoegd; de boeking staat. {message}",
        "exact.receivable.paid": "Volgens Exact volledig betaald, laatst op {last_payment_date}.",
        "exact.receivable.open": "Exact toont het als openstaand.",
        "matcher.payment.recorded": "De ontvangst is in Chargebee vastgelegd als {transaction_id} onder {reference}.",
        "matcher.shortage.written_off": "Wat er binnen de tolerantie ontbrak, is in Chargebee afgeboekt.",
        "matcher.shortage.differs": "Bekijk de afboeking in Chargebee: {sentence}",
        "matcher.payment.not_recorded": "De ontvangst is niet in Chargebee vastgelegd: {sentence}",
    },
}


class _Values(dict[str, Any]):
    """A value that is missing shows as a dash, so that an older message can still be told."""

    def __missing__(self, key: str) -> str:
        return "-"


def describe(message_type: str, details: dict[str, Any], language: Language = "en") -> str:
    """Return the sentence of a message; its type for one that has none."""
    name = message_type
    if message_type.startswith("chargebee."):
        name = "deleted" if details.get("deleted") else "observed"
    elif message_type == "mapper.document.held" and details.get("waiting"):
        name = "mapper.document.waiting"
    elif message_type == "exact.entry.posted" and details.get("is_linked"):
        name = "exact.entry.linked"
    elif message_type == "exact.entry.posted" and details.get("found"):
        name = "exact.entry.found"
    elif message_type == "matcher.shortage.written_off" and details.get("code"):
        name = "matcher.shortage.differs"
    elif message_type == "exact.receivable.observed":
        name = "exact.receivable.paid" if details.get("is_fully_paid") else "exact.receivable.open"
    if language == "nl":
        dutch = {each: details[f"{each}_nl"] for each in ("sentence", "action", "message") if details.get(f"{each}_nl")}
        details = {**details, **dutch}
    template = _TEMPLATES[language].get(name)
    return template.format_map(_Values(details)) if template is not None else message_type


def untranslated() -> list[str]:
    """Return what one language can say and the other cannot."""
    return sorted(_TEMPLATES["en"].keys() ^ _TEMPLATES["nl"].keys())
