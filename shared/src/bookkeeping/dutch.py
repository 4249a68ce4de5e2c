"""The reasons why a document is not booked, in Dutch: the same codes and the same values as in `rejections`.

What stands in the configuration, in Chargebee or in Exact stays as it is written there.
"""

from __future__ import annotations

# What a person does about a document that has waited too long, as in `rejections`.
_FETCH = "Haal {what} op met `kruispost backfill --from DAG`"

# code: (sentence, what to do, what to do when it has waited too long)
DUTCH_REASONS: dict[str, tuple[str, str, str]] = {
    "waiting_for_customer": (
        "Klant {customer} is nog niet bekend, dus {document} wacht daarop.",
        "Niets te doen: het wordt geboekt zodra de klant uit Chargebee binnenkomt.",
        _FETCH.format(what="de klant") + "; kent Chargebee hem niet meer, boek het document dan met de hand.",
    ),
    "waiting_for_product": (
        "Product {product} op regel '{line}' is nog niet bekend, dus {document} wacht daarop.",
        "Niets te doen: het wordt geboekt zodra het product uit Chargebee binnenkomt.",
        _FETCH.format(what="de producten") + "; kent Chargebee het niet meer, boek het document dan met de hand.",
    ),
    "waiting_for_subscription": (
        "Abonnement {subscription} van regel '{line}' is nog niet bekend en is nodig voor een regel of tekst van {document}.",
        "Niets te doen: het wordt geboekt zodra het abonnement uit Chargebee binnenkomt.",
        _FETCH.format(what="de abonnementen") + "; kent Chargebee het niet meer, boek het document dan met de hand.",
    ),
    "waiting_for_invoice": (
        "Factuur {invoice}, die {document} crediteert, is nog niet bekend en bepaalt {subject}.",
        (
            "Niets te doen: het wordt geboekt zodra de factuur uit Chargebee binnenkomt. Voor facturen die nooit komen: zet onder"
            " divisions.{division}: credit_notes: {{without_invoice: book, wait_days: 7}}"
        ),
        _FETCH.format(what="de factuur")
        + ". Voor facturen die nooit komen: zet onder divisions.{division}: credit_notes:"
        + " {{without_invoice: book, wait_days: 7}}",
    ),
    "credited_period_unknown": (
        "{document} neemt uitgestelde omzet terug, en factuur {invoice}, die zegt hoeveel er verdiend was, is nooit gekomen.",
        "Haal die factuur op met backfill, of boek dit document met de hand.",
        "",
    ),
    "waiting_for_credits": (
        "{document} neemt wat eerdere creditnota's van de factuur overlaten, en {missing}, waarvan dat afhangt, moet nog komen.",
        "Niets te doen: het wordt geboekt zodra dat uit Chargebee binnenkomt, of geboekt is.",
        _FETCH.format(what="{missing}") + "; wordt het vastgehouden, los dat op; of boek dit document met de hand.",
    ),
    "waiting_for_booked_invoice": (
        "{document} neemt factuur {invoice} terug, waarvan de boeking de koers en de uitstelling bepaalt en er nog niet is.",
        "Niets te doen: het wordt geboekt zodra die factuur geboekt is.",
        "Zie met `kruispost explain {invoice}` waarom die factuur niet geboekt is, en los dat op; of boek dit met de hand.",
    ),
    "booked_rate_unknown": (
        "{document} hoort tegen de koers waartegen Exact {booked} boekte, en die koers is hier niet bekend.",
        "Stop de mapper, draai `kruispost replay mapper --yes` en start hem weer; blijft hij onbekend, boek dit met de hand.",
        "",
    ),
    "waiting_for_paid_invoice": (
        "Document {invoice}, dat {document} vereffent, is nog niet bekend en bepaalt de rekening en de koers.",
        "Niets te doen: het wordt geboekt zodra dat uit Chargebee binnenkomt.",
        _FETCH.format(what="document {invoice}") + ", of boek het geld met de hand.",
    ),
    "customer_gone": (
        "Klant {customer} van {document} is in Chargebee verwijderd, of samengevoegd met een die nog op geen document staat.",
        (
            'Zet onder divisions.{division}.customers.links: {{"{customer}": "..."}} (de code van zijn relatie, of new) en '
            "herstart; of wacht tot er een document van de samengevoegde klant komt."
        ),
        "",
    ),
    "payment_in_progress": (
        "De betaaldienst heeft {document} nog niet bevestigd (status {status}).",
        "Niets te doen: het wordt geboekt zodra Chargebee meldt dat het geld binnen is.",
        "",
    ),
    "no_revenue_account": (
        "Geen omzetregel past op regel '{line}' ({entity_type}{product}) van {document}.",
        'Zet onder divisions.{division}.revenue: {{when: {{{condition}}}, account: "..."}}',
        "",
    ),
    "no_vat_code": (
        "Geen btw-regel past op regel '{line}' van {document}: land {country}, tarief {rate} %, reden {reason}.",
        'Zet onder divisions.{division}.vat: {{when: {{{condition}}}, code: "..."}}',
        "",
    ),
    "country_unknown": (
        "Regel '{line}' van {document} is export, maar geen adres zegt naar welk land.",
        "Vul in Chargebee het land van de klant in en maak het document opnieuw, of geef de reden export een regel zonder land.",
        "",
    ),
    "vat_number_missing": (
        "{document} verlegt de btw naar de klant, maar {customer} heeft geen bruikbaar btw-nummer.",
        "Vul in Chargebee het btw-nummer van de klant in; het wordt geboekt zodra de wijziging binnenkomt.",
        "",
    ),
    "unknown_business_entity": (
        "{document} hoort bij business entity {entity}, die met geen administratie verbonden is.",
        "Verbind haar onder sites.{site}.{setting} met een administratie.",
        "",
    ),
    "routes_disagree": (
        "{document} hoort volgens de routes van site {site} bij meer administraties ({divisions}), en wordt in een geboekt.",
        "Laat de routes onder sites.{site}.routes voor alles op een document hetzelfde zeggen, of boek het met de hand.",
        "",
    ),
    "route_unknown": (
        "{document} gaat naar de administratie van {other}, die nog niet bekend is.",
        "Niets te doen: het wordt geboekt zodra {other} een administratie heeft; kijk wat {other} ophoudt.",
        "Kijk met `kruispost trace {other}` wat dat ophoudt, of haal het op met `kruispost backfill --from DAG`.",
    ),
    "route_undecided": (
        "{document} vereffent nog geen document, en de routes van site {site} kijken naar wat daarop staat.",
        "Wijs het in Chargebee toe aan een factuur; het gaat naar de administratie van die factuur.",
        "",
    ),
    "unknown_site": (
        "{document} komt van site {site}, die niet in de configuratie staat.",
        "Zet de site onder sites, met haar tijdzone en administratie.",
        "",
    ),
    "no_exchange_rate": (
        "{document} is in {currency}, en Chargebee geeft geen koers naar {division_currency}, de valuta van de administratie.",
        "Maak {division_currency} de basisvaluta van de site, of boek dit document met de hand.",
        "",
    ),
    "currency_units_unknown": (
        "{document} is in {currency}, en Chargebee zegt nergens of het daarvan hele eenheden of honderdsten geeft.",
        (
            "Vergelijk het bedrag hier met de pdf: zijn ze gelijk, zet {currency} dan onder "
            "divisions.{division}.exchange_rates.whole_units; boek het document anders met de hand."
        ),
        "",
    ),
    "no_rate_in_table": (
        "{document} is in {currency}, en de tabel met wisselkoersen heeft er geen van {day} of eerder.",
        'Zet onder divisions.{division}.exchange_rates.table: {{currency: {currency}, from: {day}, rate: "..."}}',
        "",
    ),
    "waiting_for_coupon_code": (
        "Een kortingsregel vraagt naar de couponset van code {used} op {document}, en Chargebee heeft die nog niet genoemd.",
        "Niets te doen: Chargebee wordt ernaar gevraagd, en het wordt geboekt zodra het antwoord er is.",
        (
            "Controleer KRUISPOST_CHARGEBEE_API_KEY van ingest, of zet een regel voor de code zelf onder"
            ' divisions.{division}.discounts.rules: {{when: {{coupon_code: {used}}}, account: "..."}}'
        ),
    ),
    "coupon_code_gone": (
        "Een kortingsregel vraagt naar de couponset van code {used} op {document}, en Chargebee kent die code niet meer.",
        'Zet onder divisions.{division}.discounts.rules: {{when: {{coupon_code: {used}}}, account: "..."}}',
        "",
    ),
    "coupon_codes_differ": (
        (
            "Op {document} is coupon {coupon} gegeven met {used}, waarvoor de kortingsregels verschillende rekeningen hebben, en"
            " Chargebee zegt niet welke daarvan bij regel '{line}' hoort."
        ),
        "Geef ze dezelfde rekening onder divisions.{division}.discounts.rules, of boek dit document met de hand.",
        "",
    ),
    "coupon_code_unread": (
        (
            "Een kortingsregel vraagt naar een couponset, en wat van {document} bewaard is zegt niet met welke code coupon"
            " {coupon} op regel '{line}' is gegeven."
        ),
        "Voer `kruispost replay` uit, dat opnieuw leest wat Chargebee stuurde; helpt dat niet, boek dit dan met de hand.",
        "",
    ),
    "no_discount_account": (
        "Geen kortingsregel past op de korting van {amount} ({discount}) op regel '{line}' van {document}.",
        'Zet onder divisions.{division}.discounts.rules: {{when: {{{condition}}}, account: "..."}}',
        "",
    ),
    "no_payment_condition": (
        "Voor {document} ({terms}) is geen betalingsconditie van Exact aangewezen.",
        (
            'Zet onder divisions.{division}.payment_conditions.rules: {{when: {{{terms}}}, code: "..."}}, of zet unmapped daar op'
            " exact_default."
        ),
        "",
    ),
    "no_rounding_account": (
        "{document} is met {amount} afgerond, en de administratie heeft geen rekening voor afrondingen.",
        'Zet onder divisions.{division}: rounding: {{account: "..."}}',
        "",
    ),
    "no_control_account": (
        "Er is geen tussenrekening voor account {gateway} bij de betaaldienst in {currency}, waar {document} doorheen ging.",
        (
            "Zet onder divisions.{division}.control_accounts: "
            '{{gateway_account: "{gateway}", currency: "{currency}", account: "..."}}'
        ),
        "",
    ),
    "no_write_off_account": (
        "{document} boekt een vordering af, en de administratie heeft geen rekening voor oninbare debiteuren.",
        (
            'Zet onder divisions.{division}: write_offs: {{account: "..."}} en een dagboek ervoor, journals.write_offs, een'
            " memoriaal in Exact."
        ),
        "",
    ),
    "no_withheld_tax_account": (
        "{document} van {amount} is ingehouden op factuur {invoice}, en de administratie heeft er geen rekening voor.",
        'Zet onder divisions.{division}: withheld_taxes: {{account: "..."}}',
        "",
    ),
    "no_settlement_accounts": (
        "{document} is ingelezen, en de administratie heeft geen rekeningen voor uitbetalingen en kosten.",
        'Zet journals.settlements en settlements: {{payout_account: "...", fee_account: "..."}} onder divisions.{division}.',
        "",
    ),
    "no_exchange_difference_account": (
        "{document} kwam binnen tegen {rate}, wat het vereffent is geboekt tegen {booked}, en het verschil heeft geen rekening.",
        'Zet onder divisions.{division}: exchange_differences: {{account: "..."}}',
        "",
    ),
    "no_account_for_cents": (
        "{document}: de regels, elk afgerond op {currency}, schelen {amount} met het totaal, en daar is geen rekening voor.",
        'Zet onder divisions.{division}: exchange_differences: {{account: "..."}}',
        "",
    ),
    "waiting_for_both_bookings": (
        "{document} is bekend zodra {other} geboekt is, wat nog moet gebeuren.",
        "Niets te doen: het wordt geboekt zodra dat document geboekt is.",
        "Zie met `kruispost explain` waarom dat document niet geboekt is, en los dat op; dit volgt vanzelf.",
    ),
    "waiting_for_due_date": (
        "{document} komt een jaar na de vervaldatum van factuur {invoice} terug, en die factuur is nog niet bekend.",
        "Niets te doen zodra de factuur uit Chargebee binnenkomt.",
        _FETCH.format(what="die factuur") + ", of vraag de btw met de hand terug.",
    ),
    "vat_not_due": (
        "{document} komt terug op {date}, een jaar nadat de vordering betaald moest zijn: {vat}.",
        "Niets te doen: het wordt op die dag geboekt, tenzij de afboeking voor die tijd in Chargebee ongedaan wordt gemaakt.",
        "",
    ),
    "write_off_without_vat": (
        "{document} draagt geen btw maar factuur {invoice} wel, dus wat teruggevraagd mag worden is niet bekend.",
        "Vraag de btw van het onbetaalde deel met de hand terug, uiterlijk in de aangifte van een jaar na de vervaldatum.",
        "",
    ),
    "amounts_do_not_add_up": (
        "De regels van {document} ({lines}), btw ({tax}) en afronding ({rounding}) zijn samen {sum}, maar het totaal is {total}.",
        "Vergelijk het document in Chargebee met zijn regels; boek het met de hand als Chargebee gelijk heeft.",
        "",
    ),
    "incomplete_lines": (
        "{document} heeft meer regels dan er in het bericht van Chargebee stonden, en de rest moet nog gelezen worden.",
        "Niets te doen: ingest vraagt Chargebee om alle regels, en het wordt geboekt zodra die er zijn.",
        "Controleer KRUISPOST_CHARGEBEE_API_KEY van ingest; geeft Chargebee de regels niet, boek het document dan met de hand.",
    ),
    "unreadable_document": (
        "Van {document} is {field} niet bruikbaar.",
        "Bekijk het document in Chargebee; het wordt geboekt zodra een verbeterde versie binnenkomt.",
        "",
    ),
    "unknown_status": (
        "{document} heeft de status of soort {status}, die deze versie niet kent.",
        "Vraag om een versie die hem kent, of boek het document met de hand.",
        "",
    ),
    "period_closed": (
        "{document} is van {date}, en periode {period} van dagboek {journal} is gesloten{rest}.",
        "Open een periode in Exact, of zet period_policy op move (of ask), zodat het in een latere open periode komt.",
        "",
    ),
    "period_question": (
        "{document} is van {date}; periode {period} van dagboek {journal} is gesloten{rest}.",
        (
            "Open de periode in Exact, of antwoord een keer in kruispost.yaml, divisions.{division}.periods.answers:"
            " [{{period: {period}, into: {into}}}] voor de hele periode, of [{{document: {number}, into: {into}}}] voor alleen"
            " dit document."
        ),
        "",
    ),
    "answer_too_early": (
        "{document} is van {date}, en het antwoord in kruispost.yaml noemt periode {into}, die eerder is afgelopen.",
        "Noem onder divisions.{division}.periods.answers een latere, open periode{first}; eerder dan zijn datum komt niets.",
        "",
    ),
    "no_financial_year": (
        "{document} heeft een periode op {date} nodig, en administratie {division} in Exact heeft daar geen boekjaar voor.",
        "Maak het boekjaar in Exact; het document wordt opnieuw beoordeeld zodra de periodes ervan binnenkomen.",
        "",
    ),
    "waiting_for_periods": (
        "De lijst met periodes van Exact, die bepaalt waar {document} in komt, is nog niet helemaal binnen.",
        "Niets te doen: het wordt geboekt zodra de lijst met periodes uit Exact binnen is.",
        "",
    ),
    "changed_after_booking": (
        "De bedragen van {document} zijn in Chargebee gewijzigd nadat het geboekt was.",
        (
            "Vergelijk beide boekhoudingen; corrigeer het verschil met de hand, of zet onder divisions.{division}: changes:"
            " correct om de oude boeking terug te boeken en de nieuwe stand ervoor in de plaats te zetten."
        ),
        "",
    ),
    "linked_changed": (
        "{document} is in Chargebee gewijzigd; iemand anders boekte het in Exact, als boeking {entry} in dagboek {journal}.",
        "Corrigeer boeking {entry} in Exact met de hand; wat niet door ons is geboekt, wordt niet teruggeboekt.",
        "",
    ),
    "exists_otherwise": (
        "{document} wordt niet geboekt, want Exact heeft het misschien al: {message}",
        "`kruispost links accept {number} --entry BOEKING` verbindt, `kruispost links book {number}` boekt het.",
        "",
    ),
    "withdrawn": (
        "{document} is teruggenomen voor het naar Exact ging.",
        "Start de mapper met de gewijzigde mapping, of doe `kruispost retry --code withdrawn`.",
        "",
    ),
    "division_not_configured": (
        "{document} is geboekt in administratie {division}, die niet meer in de configuratie staat.",
        "Zet divisions.{division} terug tot de tegenboeking gedaan is, of boek het met de hand terug.",
        "",
    ),
    "exact_refused": (
        "Exact weigerde {document}: {message}",
        "Verhelp de oorzaak in Exact of in de mapping en doe dan `kruispost retry NUMMER`.",
        "",
    ),
    "customer_ambiguous": (
        "{document} wacht, omdat niet zeker is welke relatie in Exact klant {customer} is: {message}",
        (
            'Zet onder divisions.{division}.customers.links: {{"{customer}": "..."}} (de code van een relatie, of new voor een '
            "eigen) en herstart; het wordt geboekt zodra dat antwoord is overgenomen."
        ),
        "",
    ),
    "account_blocked": (
        "{document} wacht op de relatie van klant {customer}: {message}",
        "Deblokkeer de relatie in Exact, of wijs een andere aan onder divisions.{division}.customers.links, en herstart.",
        "",
    ),
    "unknown_account": (
        "{document} wacht op de relatie van klant {customer}: {message}",
        'Verbeter divisions.{division}.customers.links: {{"{customer}": "..."}}, of maak die relatie in Exact; herstart dan.',
        "",
    ),
    "customer_refused": (
        "Exact weigerde klant {customer} van {document}: {message}",
        "Verbeter de klant in Chargebee; de boeking volgt zodra Exact de wijziging accepteert.",
        "",
    ),
}

DUTCH_SET_ASIDES: dict[str, str] = {
    "pending": "{document} staat in Chargebee nog open als concept; het wordt geboekt zodra het definitief is.",
    "deleted": "{document} is verwijderd voordat het definitief was.",
    "gone_before_booking": "{document} verviel of werd verwijderd voor het geboekt was: een gat in de nummers, naar uw beleid.",
    "before_book_from": "{document} is van {date}, en de administratie wordt hier vanaf {first} geboekt (book_from).",
    "change_taken_back": "{document} is weer zoals het geboekt was, dus er is niets terug te boeken.",
    "no_vat_to_reclaim": "{document}: die is er niet.",
    "vat_reclaim_by_hand": "{document} wordt door iemand zelf teruggevraagd (vat_reclaim: by_hand), uiterlijk op {date}: {vat}.",
    "write_off_undone": "{document} wordt niet teruggevraagd, want de afboeking is in Chargebee ongedaan gemaakt.",
    "zero_total": "{document} heeft alleen regels van nul, dus er is niets te boeken.",
    "offline_payment": "{document} is met de hand of door een ander programma vastgelegd; het bankafschrift boekt het.",
    "own_payment": "{document} is in Chargebee vastgelegd door dit koppelprogramma, van een ontvangst die Exact al heeft.",
    "payment_failed": "{document} bracht geen geld (status {status}).",
    "no_exchange_difference": "{document}: dat is er niet.",
    "exchange_difference_by_others": "{document} blijft aan wie dat geld in Exact heeft geboekt.",
    "exchange_difference_by_exact": "{document} boekt Exact zelf bij het afletteren, omdat Exacts eigen koersen gelden.",
    "authorization": "{document} reserveert alleen geld; er is niets bewogen.",
    "payments_not_booked": "{document} is een betaling, en de administratie boekt die elders (book_payments staat op false).",
}

# How names of documents begin, the longer ones first.
