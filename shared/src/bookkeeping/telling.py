"""What an entry says of how it was made, in sentences of English and Dutch: the same values in both."""

from __future__ import annotations

from typing import Final

import msgspec


class InTwo(msgspec.Struct, frozen=True):
    """Words in English and Dutch: a sentence, or a value of a template."""

    english: str
    dutch: str

    def __str__(self) -> str:
        return self.english


# name: (English, Dutch)
TOLD: Final[dict[str, tuple[str, str]]] = {
    "linked": (
        "It is entry {entry} in journal {journal} of Exact, which somebody else booked: only its debt is ours to compare.",
        "Het is boeking {entry} in dagboek {journal} van Exact, door een ander geboekt: alleen de vordering is te vergelijken.",
    ),
    "linked_by": (
        "{who} linked it to entry {entry} in journal {journal} of Exact: {why}",
        "{who} heeft het verbonden met boeking {entry} in dagboek {journal} van Exact: {why}",
    ),
    "booked_all_the_same": (
        "{who} lets it be booked although Exact has something like it: {why}",
        "{who} laat het boeken hoewel Exact iets heeft dat erop lijkt: {why}",
    ),
    "rounding": (
        "Rounding of {amount} on its own account.",
        "Afronding van {amount} op een eigen rekening.",
    ),
    "credits_invoice": ("It credits invoice {invoice}.", "Zij crediteert factuur {invoice}."),
    "settles": ("It settles {settled}.", "Zij vereffent {settled}."),
    "settles_in_part": (
        "It settles {settled}; {rest} stays on the customer's account.",
        "Zij vereffent {settled}; {rest} blijft op de klant staan.",
    ),
    "settles_nothing": (
        "It was applied to nothing yet, and stays on the customer's account.",
        "Zij is nog nergens voor gebruikt, en blijft op de klant staan.",
    ),
    "invoice_never_seen": (
        "Invoice {invoice} was never seen: booked with the customer's own country.",
        "Factuur {invoice} is nooit gezien: geboekt met het eigen land van de klant.",
    ),
    "debtor_account": (
        "Debtor account {account}, by a rule under debtors.",
        "Debiteurenrekening {account}, volgens een regel onder debtors.",
    ),
    "empty_fields": (
        "Neither the document nor its customer has a value for {names}: the texts leave it out.",
        "Het document en de klant hebben geen waarde voor {names}: de teksten laten dat weg.",
    ),
    "rate_of_exact": (
        (
            "The rate is Exact's own of the day ({pair}), by exchange_rates: exact; cents of rounding, and what the debtor"
            " keeps in the division's currency once it is paid, are Exact's to book when it matches."
        ),
        (
            "De koers is die van Exact zelf van die dag ({pair}), volgens exchange_rates: exact; centen van afronding, en wat"
            " er na betaling in de valuta van de administratie op de debiteur blijft, boekt Exact zelf bij het afletteren."
        ),
    ),
    "rate_of_table": (
        "The rate is {rate} {pair}, by the table of exchange_rates.",
        "De koers is {rate} {pair}, volgens de tabel van exchange_rates.",
    ),
    "rate_of_chargebee": (
        "The rate is {rate} {pair}, Chargebee's own.",
        "De koers is {rate} {pair}, die van Chargebee zelf.",
    ),
    "rate_of_invoice": (
        "The rate is {rate} {pair}, that of invoice {invoice}.",
        "De koers is {rate} {pair}, die van factuur {invoice}.",
    ),
    "rate_of_settled": (
        "The rate is {rate}, that of what it settles; what its own rate {own} makes of it more or less is on {account}.",
        "De koers is {rate}, die van wat het vereffent; wat de eigen koers {own} meer of minder oplevert, staat op {account}.",
    ),
    "division_cents": (
        "Exact rounds each line to {currency}: {amount} of that is on {account}, so that the debtor is the total at the rate.",
        "Exact rondt elke regel af op {currency}: {amount} daarvan staat op {account}; zo staat de debiteur op het totaal.",
    ),
    "split_cents": (
        "Parts of a split line are each rounded to {currency}: {amount} of that is put back on {account}, to be worth the whole.",
        "Delen van een gesplitste regel worden elk op {currency} afgerond: {amount} daarvan komt op {account} terug.",
    ),
    "rest_of_vat": (
        "With this note the whole invoice is credited: {amount} {currency} that rounding left of VAT code {code} goes with it.",
        "Met deze nota is de hele factuur gecrediteerd: {amount} {currency} afronding van btw-code {code} gaat mee.",
    ),
    "rest_of_credits": (
        "With this note the whole invoice is credited: {amount} {currency} that rounding left on {account} goes with it.",
        "Met deze nota is de hele factuur gecrediteerd: {amount} {currency} die afronding op {account} overliet, gaat mee.",
    ),
    "discount": (
        "'{line}' discount {amount} on {account} by rule ({rule}).",
        "'{line}' korting {amount} op {account} volgens regel ({rule}).",
    ),
    "discount_by_code": (
        "'{line}' discount {amount} on {account} by rule ({rule}), given by code {code}.",
        "'{line}' korting {amount} op {account} volgens regel ({rule}), gegeven met code {code}.",
    ),
    "booked_back": ("It is booked back as {reference}.", "Het is teruggeboekt als {reference}."),
    "mirror": (
        "Mirror of the entry of {date}, booked on {day}.",
        "Spiegelbeeld van de boeking van {date}, geboekt op {day}.",
    ),
    "no_rate_on_invoice": (
        "Booked as a sales entry: a sales invoice of Exact's takes no exchange rate.",
        "Geboekt als verkoopboeking: een verkoopfactuur van Exact kent geen wisselkoers.",
    ),
    "deferred_by_itself": (
        "Booked by itself: Exact defers revenue on sales entries only, not in mode ledger.",
        "Apart geboekt: Exact stelt omzet alleen op verkoopboekingen uit, niet in modus ledger.",
    ),
    "rate_of_another_day": (
        "Booked by itself: in mode ledger, the rate that Exact takes would be that of another day.",
        "Apart geboekt: in modus ledger zou Exact de koers van een andere dag nemen.",
    ),
    "would_not_balance": (
        "Booked by itself: rounded to {currency}, its lines would not balance in mode ledger.",
        "Apart geboekt: afgerond op {currency} zouden de regels in modus ledger niet in evenwicht zijn.",
    ),
    "control_account": (
        "{amount} against control account {account} of gateway account {gateway}.",
        "{amount} tegen tussenrekening {account} van account {gateway} bij de betaaldienst.",
    ),
    "control_rule": ("Control account {account} is that of ({rule}).", "Tussenrekening {account} is die van ({rule})."),
    "journal_rule": ("Journal {journal} is that of ({rule}).", "Dagboek {journal} is dat van ({rule})."),
    "payment_condition": ("Payment condition {code} by rule ({rule}).", "Betalingsconditie {code} volgens regel ({rule})."),
    "payments_of_a_day": (
        "It goes to Exact after its day, in one entry with the other payments of that account and currency.",
        "Zij gaat na haar dag naar Exact, in een boeking met de andere betalingen van die rekening en valuta.",
    ),
    "withheld_tax": (
        "Tax that the customer held back from invoice {invoice}, on {account}.",
        "Belasting die de klant op factuur {invoice} heeft ingehouden, op {account}.",
    ),
    "payout": (
        "{paid} {currency} paid out and {fees} held back as fees, off control account {account}.",
        "{paid} {currency} uitbetaald en {fees} als kosten ingehouden, van tussenrekening {account}.",
    ),
    "payout_elsewhere": (
        "{amount} {currency} of it had been booked on control account {account}, and is taken off there.",
        "{amount} {currency} daarvan was op tussenrekening {account} geboekt, en gaat daar af.",
    ),
    "exchange_difference": (
        "Booked at {booked}, received at {own}: the difference is on {account}.",
        "Geboekt tegen {booked}, ontvangen tegen {own}: het verschil staat op {account}.",
    ),
    "application_difference": (
        "The debt stands at {debit}, what settles it at {credit}: what the customer's account keeps of it goes to {account}.",
        "De schuld staat tegen {debit}, wat haar vereffent tegen {credit}: wat er op de klant van blijft gaat naar {account}.",
    ),
    "period_is_closed": (
        "Period {period} of journal {journal} is closed: reported in {target}.",
        "Periode {period} van dagboek {journal} is gesloten: gerapporteerd in {target}.",
    ),
    "period_does_not_exist": (
        "Period {period} of journal {journal} does not exist: reported in {target}.",
        "Periode {period} van dagboek {journal} bestaat niet: gerapporteerd in {target}.",
    ),
    "vat_after_filing": (
        "VAT after filing: {amount} belongs to the VAT return of {filed}, which was filed without it.",
        "Btw na aangifte: {amount} hoort bij de btw-aangifte van {filed}, die zonder dat bedrag is ingediend.",
    ),
    "not_deferred": (
        (
            "'{line}': its whole service period lies in closed periods, so it is not deferred; {amount} is reported in {into}"
            " instead of {span}."
        ),
        (
            "'{line}': de hele periode van levering ligt in gesloten periodes, dus er wordt niets uitgesteld; {amount} wordt"
            " gerapporteerd in {into} in plaats van {span}."
        ),
    ),
    "taken_back_at_once": (
        "'{line}': {amount} was released in closed {span} and is taken back at once, the rest from {start} on.",
        "'{line}': {amount} viel vrij in het gesloten {span} en wordt meteen teruggenomen, de rest vanaf {start}.",
    ),
    "deferral_starts_later": (
        (
            "'{line}': deferral starts on {start} instead of {first}, which is in a closed period; {amount} of closed {span} is"
            " released from {into} on."
        ),
        (
            "'{line}': de spreiding begint op {start} in plaats van {first}, dat in een gesloten periode ligt; {amount} van het"
            " gesloten {span} valt vanaf {into} vrij."
        ),
    ),
    "written_off": (
        "{amount} written off on {account}; no sale and no VAT is taken back.",
        "{amount} afgeboekt op {account}; er wordt geen omzet of btw teruggenomen.",
    ),
    "vat_reclaimed": (
        "VAT reclaimed on {date}, a year after invoice {invoice} was due: {vat}.",
        "Btw teruggevraagd op {date}, een jaar nadat factuur {invoice} betaald moest zijn: {vat}.",
    ),
    "rule_of_other_days": (
        "The rule for {rule} would fit, but {day} decides, and it is not in force then.",
        "De regel voor {rule} zou passen, maar {day} beslist, en dan geldt die niet.",
    ),
    "rule_for_the_day_before": (
        "Let that rule begin earlier under {place}, or add one beside it: {item}",
        "Laat die regel onder {place} eerder ingaan, of zet er een naast: {item}",
    ),
    "rule_for_the_day_after": (
        "Let that rule end later under {place}, or add one beside it: {item}",
        "Laat die regel onder {place} later eindigen, of zet er een naast: {item}",
    ),
    "again_as_booked": (
        "The document is again as it was booked.",
        "Het document is weer zoals het geboekt was.",
    ),
    "vat_number_not_sent": (
        "VAT number {number} of customer {customer} cannot be right and is not sent to Exact.",
        "Btw-nummer {number} van klant {customer} kan niet kloppen en wordt niet naar Exact gestuurd.",
    ),
    "chamber_of_commerce_not_sent": (
        "{field} {number} of customer {customer} is no chamber of commerce number and is not sent to Exact.",
        "{field} {number} van klant {customer} is geen KvK-nummer en wordt niet naar Exact gestuurd.",
    ),
    "contact_cut": (
        "{field} of customer {customer} is too long for Exact and is cut at {most} characters.",
        "{field} van klant {customer} is te lang voor Exact en wordt na {most} tekens afgebroken.",
    ),
    "contact_not_sent": (
        "{field} {value} of customer {customer} is not what Exact takes and is not sent.",
        "{field} {value} van klant {customer} is niet wat Exact aanneemt en wordt niet gestuurd.",
    ),
    "field_too_long": (
        "{field} of customer {customer} is too long for its field in Exact and is not sent.",
        "{field} van klant {customer} is te lang voor zijn veld in Exact en wordt niet gestuurd.",
    ),
}
_ANYTHING = {
    "any line": "elke regel",
    "any discount": "elke korting",
    "any customer": "elke klant",
    "any terms": "elke afspraak",
}


# What contact details are called, as in Chargebee's own form.
CONTACT_WORDS: Final[dict[str, InTwo]] = {
    "address_line1": InTwo("Address line 1", "Adresregel 1"),
    "address_line2": InTwo("Address line 2", "Adresregel 2"),
    "address_line3": InTwo("Address line 3", "Adresregel 3"),
    "city": InTwo("City", "Plaats"),
    "postcode": InTwo("Postcode", "Postcode"),
    "phone": InTwo("Phone number", "Telefoonnummer"),
    "email": InTwo("E-mail address", "E-mailadres"),
}


def tell(name: str, /, **values: object) -> InTwo:
    """Fill in a sentence in both languages; raises KeyError for one that is not in the list above."""
    english, dutch = TOLD[name]
    in_dutch = {key: value.dutch if isinstance(value, InTwo) else value for key, value in values.items()}
    return InTwo(english.format_map(values), dutch.format_map(in_dutch))


def rule_in_dutch(words: str) -> str:
    """Return the conditions of a rule for Dutch: as they stand in the configuration, or that there are none."""
    return _ANYTHING.get(words, words)
