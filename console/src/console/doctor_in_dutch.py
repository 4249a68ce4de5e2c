"""What `kruispost doctor` finds of its own, in Dutch, sentence by sentence.

What another system says goes in as it came; the services tell their own complaints in the language that is asked for.
"""

from __future__ import annotations

from typing import Final

from backbone.sentence_patterns import patterns

SUBJECTS: Final[tuple[tuple[str, str], ...]] = (
    ("settings", "instellingen"),
    ("configuration", "configuratie"),
    ("database", "database"),
    ("PostgreSQL", "PostgreSQL"),
    ("broker", "broker"),
    ("messages", "berichten"),
    ("products", "producten"),
    ("webhooks of Exact", "webhooks van Exact"),
    ("webhooks of division {number}", "webhooks van administratie {number}"),
    ("custom fields in Exact", "vrije velden in Exact"),
    ("custom field {name} of division {number}", "vrij veld {name} van administratie {number}"),
    ("division {number} in Exact", "administratie {number} in Exact"),
    ("division {number}", "administratie {number}"),
    ("Chargebee site {name}", "Chargebee-site {name}"),
    ("site {name}", "site {name}"),
    ("{service} rules", "regels van {service}"),
)
# The first that fits counts, so what fits much stands last.
SENTENCES: Final[tuple[tuple[str, str], ...]] = (
    ("{file} is readable; divisions {numbers}", "{file} is leesbaar; administraties {numbers}"),
    (
        "division {number} books payments but has no control accounts, so every payment will be held",
        "administratie {number} boekt betalingen maar heeft geen tussenrekeningen, dus elke betaling wordt vastgehouden",
    ),
    (
        "division {number} has no revenue rules, so every document will be held",
        "administratie {number} heeft geen omzetregels, dus elk document wordt vastgehouden",
    ),
    (
        "division {number} has no vat rules, so every document will be held",
        "administratie {number} heeft geen btw-regels, dus elk document wordt vastgehouden",
    ),
    (
        (
            "exchange_rates: exact, so Exact rounds by itself and books exchange differences when it matches, on the account of"
            " its own settings; exchange_differences is not used. With `chargebee` or `table` they are entries that Kruispost"
            " explains"
        ),
        (
            "exchange_rates: exact, dus Exact rondt zelf af en boekt koersverschillen bij het afletteren, op de rekening van zijn"
            " eigen instellingen; exchange_differences wordt niet gebruikt. Met `chargebee` of `table` zijn het boekingen die"
            " Kruispost uitlegt"
        ),
    ),
    (
        "site {name} books into no division, so all its documents will be held",
        "site {name} boekt in geen administratie, dus al zijn documenten worden vastgehouden",
    ),
    ("all of the last day came to whom they were for", "van de laatste dag kwam alles aan waar het heen moest"),
    (
        "{count} messages of {service} never came to {queue}, said between {first} and {last} (UTC)",
        "{count} berichten van {service} kwamen nooit aan bij {queue}, verteld tussen {first} en {last} (UTC)",
    ),
    ("send it again: {command}", "verstuur ze opnieuw: {command}"),
    ("every topic is subscribed", "op elk onderwerp is een abonnement"),
    (
        "{topics}: not subscribed. The writer has not looked yet; it does once it is connected.",
        "{topics}: geen abonnement. De writer heeft nog niet gekeken; dat doet hij zodra hij verbonden is.",
    ),
    ("{topics}: not subscribed.", "{topics}: geen abonnement."),
    ("{topics}: not subscribed. {reason}", "{topics}: geen abonnement. {reason}"),
    ("Exact took every value so far", "Exact heeft tot nu toe elke waarde aangenomen"),
    (
        (
            "accounts without it: {count}. Exact does not let us write custom fields: they need its edition Premium and the right"
            " to extensibility."
        ),
        (
            "relaties zonder: {count}. Van Exact mogen we geen vrije velden schrijven: daarvoor zijn de editie Premium en het"
            " recht op uitbreidingen nodig."
        ),
    ),
    (
        "accounts without it: {count}. Exact has no such account any more.",
        "relaties zonder: {count}. Exact heeft die relatie niet meer.",
    ),
    (
        "accounts without it: {count}. Exact does not take the value: {said}",
        "relaties zonder: {count}. Exact neemt de waarde niet aan: {said}",
    ),
    (
        (
            "accounts without it: {count}. Exact shows no custom field of this name with accounts, but {names}; where it shows a"
            " field only once it has a value, write custom_field_component."
        ),
        (
            "relaties zonder: {count}. Exact toont bij relaties geen vrij veld met deze naam, wel {names}; waar het een veld pas"
            " toont als het een waarde heeft, schrijf custom_field_component."
        ),
    ),
    (
        "Chargebee has shown all {count} products and coupons that the rules name",
        "Chargebee heeft alle {count} producten en coupons laten zien die de regels noemen",
    ),
    ("the tables of {service} are not there, and others are", "de tabellen van {service} zijn er niet, en andere wel"),
    ("docs/operating.md has a drill for it", "docs/operating.md heeft er een draaiboek voor"),
    ("this role may not use the tables of {service}", "deze rol mag de tabellen van {service} niet gebruiken"),
    (
        "run what `kruispost roles` prints as the owner of the tables, or the doctor as a role with the rights of all",
        "voer wat `kruispost roles` toont uit als eigenaar van de tabellen, of de doctor als een rol met de rechten van alle",
    ),
    ("they cannot be checked: {error}", "ze kunnen niet gecontroleerd worden: {error}"),
    ("they do not contradict each other", "ze spreken elkaar niet tegen"),
    ("it is not set; ingest refuses to start without it", "het is niet gezet; zonder start ingest niet"),
    (
        "it is not set; the payment-matcher cannot record payments without it",
        "het is niet gezet; zonder kan de payment-matcher geen betalingen vastleggen",
    ),
    (
        "it is not set; the writer cannot connect to Exact without it",
        "het is niet gezet; zonder kan de writer geen verbinding met Exact maken",
    ),
    (
        "it is not set; the writer cannot keep Exact's token without it",
        "het is niet gezet; zonder kan de writer het token van Exact niet bewaren",
    ),
    (
        "it is not set; `kruispost login` and the console's addresses need it",
        "het is niet gezet; `kruispost login` en de adressen van de console hebben het nodig",
    ),
    ("it holds something that is no Fernet key", "er staat iets in dat geen Fernet-sleutel is"),
    ("it is set", "het is gezet"),
    (
        "SQLite cannot keep its files in {place}: {nearest} is no directory that this user may write to",
        "SQLite kan zijn bestanden niet in {place} bewaren: {nearest} is geen map waar deze gebruiker in mag schrijven",
    ),
    ("SQLite, in {place}, which the first start makes", "SQLite, in {place}, die de eerste start maakt"),
    ("SQLite, in {place}", "SQLite, in {place}"),
    ("PostgreSQL answers", "PostgreSQL antwoordt"),
    (
        "autovacuum is off on this server, so that tables only grow and everything becomes slower",
        "autovacuum staat op deze server uit, zodat tabellen alleen groeien en alles trager wordt",
    ),
    (
        (
            "a transaction is open for {minutes} minutes ({who} of {user} in database {database}), and all messages that were"
            " committed after it began wait for it"
        ),
        (
            "een transactie staat {minutes} minuten open ({who} van {user} in database {database}), en alle berichten die na het"
            " begin ervan zijn vastgelegd wachten erop"
        ),
    ),
    ("embedded, in the data directory", "ingebouwd, in de datamap"),
    ("RabbitMQ does not answer: {error}", "RabbitMQ antwoordt niet: {error}"),
    ("RabbitMQ answers", "RabbitMQ antwoordt"),
    ("it does not answer: {error}", "hij antwoordt niet: {error}"),
    (
        "it was not looked at: the writer at {address} does not answer ({error})",
        "er is niet gekeken: de writer op {address} antwoordt niet ({error})",
    ),
    (
        "it was not looked at: what answers at {address} is no writer of this release; name it with --writer-url",
        "er is niet gekeken: wat op {address} antwoordt is geen writer van deze versie; noem hem met --writer-url",
    ),
    (
        "it was not looked at: no writer answers here, and none is installed",
        "er is niet gekeken: hier antwoordt geen writer, en er is er geen geïnstalleerd",
    ),
    (
        "it was not looked at: no writer has ever run here; start one and run `kruispost login`",
        "er is niet gekeken: hier heeft nooit een writer gelopen; start er een en doe `kruispost login`",
    ),
    ("it was not looked at: {reason}", "er is niet gekeken: {reason}"),
    (
        (
            "the mapping fits what stands there ({ledgers} ledger accounts, {codes} VAT codes, {journals} journals; the licence"
            " is package {package})"
        ),
        (
            "de mapping past op wat er staat ({ledgers} grootboekrekeningen, {codes} btw-codes, {journals} dagboeken; de licentie"
            " is pakket {package})"
        ),
    ),
    (
        "the mapping fits what stands there ({ledgers} ledger accounts, {codes} VAT codes, {journals} journals)",
        "de mapping past op wat er staat ({ledgers} grootboekrekeningen, {codes} btw-codes, {journals} dagboeken)",
    ),
    # What to do.
    ("correct the environment; .env.example lists all", "verbeter de omgeving; .env.example noemt alles"),
    ("correct the file", "verbeter het bestand"),
    ("correct it", "verbeter het"),
    ("check KRUISPOST_EXACT_URL and the way out of your network", "controleer KRUISPOST_EXACT_URL en de weg uit uw netwerk"),
    ("check the site's name and the way out of your network", "controleer de naam van de site en de weg uit uw netwerk"),
    ("check {variable}", "controleer {variable}"),
    ("connect with `kruispost login`, and run this again", "maak verbinding met `kruispost login`, en doe dit opnieuw"),
    (
        "write divisions.{number}.control_accounts, or set book_payments to false",
        "schrijf divisions.{number}.control_accounts, of zet book_payments op false",
    ),
    ("write {place}", "schrijf {place}"),
    (
        "`kruispost webhooks` shows each topic; docs/operating.md says what they need",
        "`kruispost webhooks` toont elk onderwerp; docs/operating.md zegt wat ze nodig hebben",
    ),
    (
        (
            "correct customers.custom_fields, or the value in Chargebee; where the edition has none, use customers.account_fields"
            " (docs/bookkeeping.md)"
        ),
        (
            "verbeter customers.custom_fields, of de waarde in Chargebee; waar de editie ze niet heeft, gebruik"
            " customers.account_fields (docs/bookkeeping.md)"
        ),
    ),
    ("install the services of one and the same release", "installeer de diensten van een en dezelfde versie"),
    ("set {variable} or {other}", "zet {variable} of {other}"),
    (
        "switch it on: ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();",
        "zet het aan: ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();",
    ),
    (
        "end it, by pg_terminate_backend or ROLLBACK PREPARED, unless it is an import that will end by itself",
        "beëindig hem, met pg_terminate_backend of ROLLBACK PREPARED, tenzij het een import is die vanzelf eindigt",
    ),
    ("make one with: {command}", "maak er een met: {command}"),
    ("{address} does not answer: {error}", "{address} antwoordt niet: {error}"),
    ("{address} answers", "{address} antwoordt"),
)


def subject_in_dutch(subject: str) -> str:
    """Return what was looked at; names of variables and places in a file stay as they are."""
    return _translated(subject, SUBJECTS)


def finding_in_dutch(told: str) -> str:
    """Return a sentence or an advice of the doctor; one that is not in the list stays as it is."""
    return _translated(told, SENTENCES)


def _translated(told: str, listed: tuple[tuple[str, str], ...]) -> str:
    for pattern, dutch in patterns(listed):
        found = pattern.fullmatch(told)
        if found is not None:
            return dutch.format_map(found.groupdict())
    return told
