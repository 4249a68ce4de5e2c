from collections.abc import Iterable

import msgspec

Language = str

# Patterns and words as users of Exact report them; the English ones as the API shows them to English users.
_KINDS = {
    "mandatory": ("Verplicht: {}", "Mandatory: {}"),
    "reference": ("Ongeldige referentie: {}", "Invalid reference: {}"),
    "invalid": ("Ongeldig: {}", "Invalid: {}"),
    "not_allowed": ("Niet toegestaan: {}", "Not allowed: {}"),
    "blocked": ("Geblokkeerd: {}", "Blocked: {}"),
    "exists": ("Bestaat reeds: {}", "Already exists: {}"),
    "in_use": ("In gebruik: {}", "In use: {}"),
    "too_long": ("Te lang: {}", "Too long: {}"),
    "unknown": ("Onbekend: {}", "Unknown: {}"),
    "cannot_delete": ("Kan niet verwijderen: {}", "Can't delete: {}"),
    "data_exists": ("Gegeven bestaat reeds.", "Data already exists"),
    "period_closed": ("Periode is afgesloten", "Period is closed"),
    "year_fixed": ("Het boekjaar kan niet worden gewijzigd.", "The financial year cannot be changed."),
    "unbalanced": ("De boeking is niet in evenwicht op: {}", "The entry is not balanced on: {}"),
    "number_used": ("In gebruik: Boekstuknummer", "Invoice number already used as document number"),
    "processed": ("Reeds verwerkt", "Already processed"),
    "blank": (
        "Er is een probleem opgetreden. De oorzaak van dit probleem wordt zo spoedig mogelijk onderzocht.",
        "A problem has occurred. The cause of this issue will be investigated as soon as possible.",
    ),
}

_FIELDS = {
    "account": ("Relatie", "Account"),
    "amount": ("Bedrag", "Amount"),
    "attachment": ("Bijlage", "Attachment"),
    "balance": ("Eindsaldo", "Closing balance"),
    "callback": ("Callback-URL", "Callback URL"),
    "code": ("Code", "Code"),
    "cost_center": ("Kostenplaats", "Cost center"),
    "cost_unit": ("Kostendrager", "Cost unit"),
    "country": ("Land", "Country"),
    "currency": ("Valuta", "Currency"),
    "custom_field": ("Vrij veld", "Custom field"),
    "customer": ("Klant", "Customer"),
    "customer_type": ("Klant (Type)", "Customer (Type)"),
    "date": ("Datum", "Date"),
    "description": ("Omschrijving", "Description"),
    "document": ("Document", "Document"),
    "document_type": ("Documenttype", "Document type"),
    "email": ("E-mail []", "Email []"),
    "entry": ("Boeking", "Entry"),
    "file_name": ("Bestandsnaam", "File name"),
    "financial_year": ("Boekjaar", "Financial year"),
    "from": ("Van", "From"),
    "gl_account": ("Grootboekrekening", "G/L account"),
    "gl_account_type": ("Grootboekrekening (type)", "G/L account (type)"),
    "invoice": ("Factuur", "Invoice"),
    "item": ("Artikel", "Item"),
    "item_group": ("Artikelgroep", "Item group"),
    "journal": ("Dagboek", "Journal"),
    "journal_type": ("Dagboek (type)", "Journal (type)"),
    "last_name": ("Achternaam", "Last name"),
    "lines": ("Regels", "Lines"),
    "name": ("Naam", "Name"),
    "payment_condition": ("Betalingsconditie", "Payment condition"),
    "percentage": ("Percentage", "Percentage"),
    "period_table": ("Boekjaar (Periode-datum tabel)", "Financial year (Period-date table)"),
    "price": ("Prijs", "Price"),
    "rate": ("Wisselkoers", "Exchange rate"),
    "state": ("Provincie", "State"),
    "Remarks": ("Opmerkingen", "Remarks"),
    "TradeName": ("Handelsnaam", "Trade name"),
    "Website": ("Website", "Website"),
    "CodeAtSupplier": ("Onze code bij de relatie", "Our code at the account"),
    "status": ("Status", "Status"),
    "subject": ("Onderwerp", "Subject"),
    "to": ("Tot", "To"),
    "topic": ("Onderwerp", "Topic"),
    "type": ("Type", "Type"),
    "vat_amount": ("Btw-bedrag", "VAT amount"),
    "vat_code": ("Btw-code", "VAT code"),
    "vat_number": ("Btw-nummer", "VAT number"),
    "your_ref": ("Uw ref.", "Your ref."),
}


class ApiError(Exception):
    """An answer other than the one that was asked for: status, the text for the OData error body, extra headers."""

    def __init__(self, status: int, text: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text
        self.headers = headers or {}


class Refusal(Exception):  # noqa: N818  it is Exact's answer, not a fault of the stand-in
    """Business validation failed. Exact answers these with HTTP 500 and an OData body: they are final."""

    def __init__(self, messages: Iterable[tuple[str, str]]) -> None:
        self.messages = list(messages)
        super().__init__(self.messages)

    def text(self, language: Language) -> str:
        """The messages in the user's language, joined as Exact joins them."""
        return "\r\n".join(message(kind, field, language) for kind, field in self.messages)


class Findings:
    """Collects what is wrong with a document, so that one answer names everything."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []

    def add(self, kind: str, field: str = "") -> None:
        """Notes one finding, once."""
        if (kind, field) not in self.messages:
            self.messages.append((kind, field))

    def raise_if_any(self) -> None:
        """Raises `Refusal` when something was found."""
        if self.messages:
            raise Refusal(self.messages)


def message(kind: str, field: str, language: Language) -> str:
    """One message, for example `Verplicht: Dagboek`. A field without a translation stands as it is."""
    column = 0 if language.startswith("nl") else 1
    words = _FIELDS.get(field)
    return _KINDS[kind][column].format(words[column] if words else field)


def error_body(text: str, language: Language) -> bytes:
    """The OData error document that Exact sends."""
    return msgspec.json.encode({"error": {"code": "", "message": {"lang": language, "value": text}}})
