"""The words of the mapper's commands in English and Dutch, and journals in debit and credit as text."""

from __future__ import annotations

from string import Formatter
from typing import Literal

from bookkeeping.journal import Entry, Role
from bookkeeping.money import format_minor

Language = Literal["en", "nl"]
_NAME, _AMOUNT = 46, 15
_WORDS: dict[str, tuple[str, str]] = {
    # English, Dutch
    "invoice": ("invoice", "factuur"),
    "credit_note": ("credit note", "creditnota"),
    "payment": ("payment", "betaling"),
    "refund": ("refund", "terugbetaling"),
    "vat_reclaim": ("VAT of write-off", "btw van afboeking"),
    "tax_withheld": ("withheld tax", "ingehouden belasting"),
    "payout": ("payout", "uitbetaling van de betaaldienst"),
    "exchange_difference": ("exchange difference", "koersverschil"),
    "application": ("exchange difference of the debtor", "koersverschil van de debiteur"),
    "no_control_movements": (
        "Nothing was booked on a control account.",
        "Er is niets op een tussenrekening geboekt.",
    ),
    "control_heading": (
        "{account} of division {division}, gateway account {gateway}: balance {balance}",
        "{account} van administratie {division}, account bij de betaaldienst {gateway}: saldo {balance}",
    ),
    "control_open": (
        "  not paid out yet: {count}, together {amount}",
        "  nog niet uitbetaald: {count}, samen {amount}",
    ),
    "control_covered": (
        "  paid out where the file does not say what is in it: the oldest {count}, up to {last}, are exactly their {amount}",
        "  uitbetaald, waar het bestand niet zegt wat erin zit: de oudste {count}, tot en met {last}, zijn precies die {amount}",
    ),
    "control_late": ("late", "te laat"),
    "control_more": ("... and {count} more (--all shows them)", "... en nog {count} (--all toont ze)"),
    "control_reserve": ("  kept by the gateway as a reserve: {amount}", "  door de betaaldienst als reserve gehouden: {amount}"),
    "control_elsewhere": (
        "  booked on {former}, paid out over {account} (the mapping changed): {amount}; book it from {former} to {account}",
        "  geboekt op {former}, uitbetaald over {account} (gewijzigde regels): {amount}; boek het van {former} naar {account}",
    ),
    "control_undetailed": (
        "  payout {payout}, whose file does not say what is in it: {amount}",
        "  uitbetaling {payout}, waarvan het bestand niet zegt wat erin zit: {amount}",
    ),
    "control_strange": (
        "  WRONG: payout {payout} holds {amount} ({ids}), which was never booked; look for it in Chargebee",
        "  FOUT: uitbetaling {payout} bevat {amount} ({ids}), dat nooit is geboekt; zoek het in Chargebee",
    ),
    "control_differing": (
        "  WRONG: {number} is booked as {booked}, and payout {payout} holds {paid}",
        "  FOUT: {number} is geboekt als {booked}, en uitbetaling {payout} bevat {paid}",
    ),
    "control_unexplained": (
        "  WRONG: {amount} has no name: a payout holds more or less than its lines; import its whole file",
        "  FOUT: {amount} heeft geen naam: een uitbetaling bevat meer of minder dan haar regels; lees het hele bestand in",
    ),
    "control_sound": ("  every amount has its name", "  elk bedrag heeft zijn naam"),
    "control_unsound": (
        "  NOT PROVED: see what is marked; {count} should have been paid out by now",
        "  NIET BEWEZEN: zie wat gemarkeerd is; {count} hadden al uitbetaald moeten zijn",
    ),
    "payout_line": (
        "payout {payout} of {day}, {currency} {paid} with {fees} of fees",
        "uitbetaling {payout} van {day}, {currency} {paid} met {fees} aan kosten",
    ),
    "payout_planned": ("it goes to Exact", "gaat naar Exact"),
    "payout_booked": ("booked", "geboekt"),
    "payout_held": ("held", "vastgehouden"),
    "payout_waiting": ("waiting", "wacht"),
    "payout_refused": ("refused by Exact", "door Exact geweigerd"),
    "payout_set_aside": ("nothing to book", "niets te boeken"),
    "payout_known": ("imported before, so nothing is booked again", "al eerder ingelezen, dus niet opnieuw geboekt"),
    "payout_not_imported": ("would be imported", "zou worden ingelezen"),
    "held": ("held", "vastgehouden"),
    "waiting": ("waiting", "wacht"),
    "refused": ("refused", "geweigerd"),
    "planned": ("under way", "onderweg"),
    "booked": ("booked", "geboekt"),
    "set_aside": ("set aside", "terzijde gelegd"),
    "debit": ("debit", "debet"),
    "credit": ("credit", "credit"),
    "receivable": ("debtors", "debiteuren"),
    "heading": (
        "{document}, {state}: journal {journal} of division {division}, dated {date}",
        "{document}, {state}: dagboek {journal} van administratie {division}, gedateerd {date}",
    ),
    "reported_in": ("reported in {year}-{period:02d}", "gerapporteerd in {year}-{period:02d}"),
    "at_rate": ("in {currency}, at {rate}", "in {currency}, tegen {rate}"),
    "deferred": ("{amount} over {first} to {last}", "{amount} over {first} tot en met {last}"),
    "why_not": ("{document}, {state}: {sentence}", "{document}, {state}: {sentence}"),
    "what_to_do": ("what to do: {action}", "wat te doen: {action}"),
    "plan_totals": (
        "{entries} entries, {calls} calls to Exact; {not_booked} not booked",
        "{entries} boekingen, {calls} aanroepen van Exact; {not_booked} niet geboekt",
    ),
    "beyond_licence": (
        (
            "WARNING: the entries for division {division} have {lines:,} lines, and its licence takes {most:,} a month"
            " (licence.lines_a_month): spread them over months, or raise the licence first."
        ),
        (
            "LET OP: de boekingen voor administratie {division} hebben {lines:,} regels, en de licentie staat er {most:,} per"
            " maand toe (licence.lines_a_month): spreid ze over maanden, of breid eerst de licentie uit."
        ),
    ),
    "vat_row": ("VAT {code}", "btw {code}"),
    "more": ("... and {count} more (--limit shows more)", "... en nog {count} (--limit toont er meer)"),
    "nothing": ("no document fits", "geen document voldoet"),
    "explained_of_nobody": ("{document} of {date}, {amount}: {state}", "{document} van {date}, {amount}: {state}"),
    "explained": (
        "{document} of {date}, {amount}, customer {customer}: {state}",
        "{document} van {date}, {amount}, klant {customer}: {state}",
    ),
    "unknown_number": (
        "No document has the number {number}; it has not come in, or its number is written differently.",
        "Geen document heeft het nummer {number}; het is niet binnengekomen, of het nummer wordt anders geschreven.",
    ),
    "is_linked": (
        "{document} is entry {entry} in journal {journal}, which somebody else booked",
        "{document} is boeking {entry} in dagboek {journal}, door iemand anders geboekt",
    ),
    "no_links_held": (
        "Nothing is held because Exact may have it already.",
        "Er wordt niets vastgehouden omdat Exact het misschien al heeft.",
    ),
    "link_goes": (
        "{document} is linked to entry {entry} in journal {journal} as soon as the writer has taken it up; nothing is posted.",
        "{document} wordt verbonden met boeking {entry} in dagboek {journal} zodra de writer het opneemt; niets wordt geboekt.",
    ),
    "book_goes": ("{document} goes to Exact.", "{document} gaat naar Exact."),
    "link_cannot": (
        "{document} stays as it is ({state}): kruispost explain says what it needs.",
        "{document} blijft zoals het is ({state}): kruispost explain zegt wat het nodig heeft.",
    ),
    "links_which_entry": (
        "Exact has {count} entries with the number {entry}, as its ledger was last read; look for the number, or add --journal.",
        "Exact heeft {count} boekingen met nummer {entry}, zoals het grootboek is gelezen; zoek het nummer, of geef --journal.",
    ),
    "links_which_document": (
        "Which document is {number}? Known here is: {found}. Name its --kind and --site, or let `kruispost backfill` fetch it.",
        "Welk document is {number}? Bekend is hier: {found}. Geef --kind en --site, of haal het op met `kruispost backfill`.",
    ),
    "links_dry": (
        "{lines} lines are right: {linked} would be linked, {known} are linked already. Nothing was written.",
        "{lines} regels kloppen: {linked} zouden worden verbonden, {known} zijn dat al. Er is niets geschreven.",
    ),
    "links_imported": (
        "{lines} lines: {linked} are linked as soon as the writer has taken them up, {known} were linked already.",
        "{lines} regels: {linked} worden verbonden zodra de writer ze opneemt, {known} waren dat al.",
    ),
    "by_present_mapping": (
        "journal {journal} of division {division}, by the present mapping ({file}, version {version})",
        "dagboek {journal} van administratie {division}, volgens de huidige mapping ({file}, versie {version})",
    ),
    "by_older_mapping": (
        "journal {journal} of division {division}, by another mapping than the present one ({file}): version {version}",
        "dagboek {journal} van administratie {division}, volgens een andere mapping dan de huidige ({file}): versie {version}",
    ),
    "on_account": ("'{line}': {amount} on account {account}", "'{line}': {amount} op rekening {account}"),
    "by_rule": ("by the rule for {rule}", "volgens de regel voor {rule}"),
    "with_code": ("VAT {amount} at {rate} % with code {code}", "btw {amount} van {rate} % met code {code}"),
    "cents_moved": (
        "{amount} of this VAT is not the line's own: it lets all lines come to the document's VAT",
        "{amount} van deze btw is niet van de regel zelf: zo komen alle regels uit op de btw van het document",
    ),
    "at_once": ("{amount} at once", "{amount} ineens"),
    "would_differ": (
        "The present mapping would book it differently: {changes}",
        "De huidige mapping zou het anders boeken: {changes}",
    ),
    "would_not_differ": ("The present mapping would book it the same.", "De huidige mapping zou het net zo boeken."),
    "comparing": ("comparing", "vergelijken"),
    "looked_at": (
        "{looked_at} documents compared, {differing} differ",
        "{looked_at} documenten vergeleken, {differing} verschillen",
    ),
    "change_newly_booked": ("would be booked, and are not now", "zouden geboekt worden en worden dat nu niet"),
    "change_newly_held": ("would be held, and are not now", "zouden vastgehouden worden en worden dat nu niet"),
    "change_newly_set_aside": ("would be set aside, and are not now", "zouden terzijde gelegd worden en worden dat nu niet"),
    "change_other_reason": ("not booked for another reason", "niet geboekt om een andere reden"),
    "change_division": ("another division", "andere administratie"),
    "change_mode": ("booked in another way in Exact", "op een andere manier geboekt in Exact"),
    "change_journal": ("another journal", "ander dagboek"),
    "of_mode": ("booked as", "geboekt als"),
    "of_journal": ("journal", "dagboek"),
    "of_entry_date": ("date", "datum"),
    "of_reporting_year": ("reported in the year", "gerapporteerd in het jaar"),
    "of_reporting_period": ("reported in the period", "gerapporteerd in de periode"),
    "of_exchange_rate": ("exchange rate", "wisselkoers"),
    "of_due_date": ("due date", "vervaldatum"),
    "of_payment_condition": ("payment condition", "betalingsconditie"),
    "of_description": ("description", "omschrijving"),
    "of_line_text": ("text of a line", "tekst van een regel"),
    "of_released": ("revenue released over", "omzet die vrijvalt over"),
    "of_at_once": ("revenue at once", "omzet ineens"),
    "change_account": ("other accounts", "andere rekeningen"),
    "change_vat": ("other VAT codes", "andere btw-codes"),
    "change_dimension": ("other cost centres or units", "andere kostenplaatsen of -dragers"),
    "change_deferral": ("another deferral", "andere spreiding van de omzet"),
    "change_period": ("another date or period", "andere datum of periode"),
    "change_exchange_rate": ("another exchange rate", "andere wisselkoers"),
    "change_terms": ("another due date or payment condition", "andere vervaldatum of betalingsconditie"),
    "change_text": ("other texts", "andere teksten"),
    "change_other": ("otherwise", "op een andere manier"),
    "not_booked_then": ("not booked then:", "dan niet geboekt:"),
    "booked_differing": (
        "{count} of these are booked already; they stay as they are booked",
        "{count} daarvan zijn al geboekt; die blijven zoals ze geboekt zijn",
    ),
    "in_closed_periods": (
        "{count} of these are dated in a closed period",
        "{count} daarvan zijn gedateerd in een gesloten periode",
    ),
    "periods_not_compared": (
        "What division {division} does about closed periods is another: that is not compared, and what is booked stays there.",
        "Wat administratie {division} met gesloten perioden doet is anders: dat is niet vergeleken, en wat geboekt is blijft.",
    ),
    "before": ("before", "eerst"),
    "after": ("after", "dan"),
    "difference": ("difference", "verschil"),
    "part_account": ("account", "rekening"),
    "part_vat_base": ("base of VAT code", "grondslag van btw-code"),
    "part_vat": ("VAT of code", "btw van code"),
    "part_vat_box_base": ("base in box of the VAT return", "grondslag in rubriek van de aangifte"),
    "part_vat_box": ("VAT in box of the VAT return", "btw in rubriek van de aangifte"),
    "part_dimension": ("cost centre or unit", "kostenplaats of -drager"),
    "not_booked_yet": ("not booked yet", "nog niet geboekt"),
    "closed_period": ("closed period", "gesloten periode"),
    "opening": ("opening", "begin"),
    "invoiced": ("invoiced", "gefactureerd"),
    "released": ("released", "vrijgevallen"),
    "credited": ("credited", "gecrediteerd"),
    "closing": ("closing", "eind"),
    "nothing_deferred": (
        "division {division} has deferred no revenue in these periods",
        "administratie {division} heeft in deze periodes geen omzet uitgesteld",
    ),
    "deferred_heading": (
        "deferred revenue of division {division} on {account}, in {currency}",
        "uitgestelde omzet van administratie {division} op {account}, in {currency}",
    ),
    "deferred_without_rate": (
        "Left out, for the rate that Exact booked them at is not known: {documents}. Run `kruispost replay mapper --yes`.",
        "Niet meegeteld, want de koers van Exact is niet bekend: {documents}. Draai `kruispost replay mapper --yes`.",
    ),
    "deferred_left": ("left on the balance at the end: {amount}", "resteert op de balans aan het eind: {amount}"),
    "division_totals": ("division {division}, {currency}", "administratie {division}, {currency}"),
}


def say(name: str, lang: Language, /, **values: object) -> str:
    """Return a word or sentence; a name that has none is returned as it is."""
    pair = _WORDS.get(name)
    if pair is None:
        return name
    return pair[lang == "nl"].format_map(values)


def document_words(kind: str, reference: str, lang: Language) -> str:
    """Name a document: credit note CN-7."""
    return f"{say(kind, lang)} {reference}"


def row(name: str, debit_minor: int, credit_minor: int, currency: str) -> str:
    """Write one line of a journal."""
    amounts = [format_minor(amount, currency) if amount else "" for amount in (debit_minor, credit_minor)]
    return f"  {name:<{_NAME}}{amounts[0]:>{_AMOUNT}}{amounts[1]:>{_AMOUNT}}".rstrip()


def head(name: str, lang: Language) -> str:
    """Write the heading of journals."""
    return f"{name:<{_NAME + 2}}{say('debit', lang):>{_AMOUNT}}{say('credit', lang):>{_AMOUNT}}"


def journal_rows(entry: Entry, lang: Language) -> list[str]:
    """Write an entry line by line, debtor first, each line's VAT under it, with what is deferred."""
    rows = []
    for line in sorted(entry.lines, key=lambda each: each.role is not Role.RECEIVABLE):
        places = [place for place in (line.cost_center, line.cost_unit) if place]
        words = say("receivable", lang) if line.role is Role.RECEIVABLE and not line.description else line.description
        name = " ".join(filter(None, (line.account, words, f"[{' / '.join(places)}]" if places else "")))
        rows.append(row(name[: _NAME - 1], max(line.amount_minor, 0), max(-line.amount_minor, 0), entry.currency))
        if line.vat_minor:
            rows.append(
                row(
                    f"  {say('vat_row', lang, code=line.vat_code)}",
                    max(line.vat_minor, 0),
                    max(-line.vat_minor, 0),
                    entry.currency,
                )
            )
        if line.first is not None and line.last is not None:
            amount = format_minor(abs(line.amount_minor), entry.currency)
            rows.append(f"      {say('deferred', lang, amount=amount, first=line.first, last=line.last)}")
    return rows


def untranslated() -> list[str]:
    """Return the names whose sentences ask for different values in both languages."""

    def fields(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    return sorted(name for name, (english, dutch) in _WORDS.items() if fields(english) != fields(dutch))
