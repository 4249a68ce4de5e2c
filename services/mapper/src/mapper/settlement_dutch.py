"""Why a settlement file is not taken, in Dutch, sentence by sentence; what stands in the file goes in as it is.

A sentence that is not in the list stays English.
"""

from __future__ import annotations

from typing import Final

from backbone.sentence_patterns import patterns
from mapper.settlement_files import SettlementFileError

_AGAIN: Final = "exporteer het bestand opnieuw; er is niets van ingelezen."
_NOTHING: Final = "er is niets ingelezen."
# The first that fits counts, so what fits much stands last.
SENTENCES: Final[tuple[tuple[str, str], ...]] = (
    ("{file} is larger than {most} MB; export a shorter time.", "{file} is groter dan {most} MB; exporteer een kortere periode."),
    (
        "{file} cannot be read ({why}); name a file that exists.",
        "{file} kan niet worden gelezen ({why}); noem een bestaand bestand.",
    ),
    (
        "{file} is no text that can be read; export it again as CSV or JSON in UTF-8.",
        "{file} is geen leesbare tekst; exporteer het opnieuw als CSV of JSON in UTF-8.",
    ),
    (
        "{file} has no column {names}; it has {have}. Export the report with these columns.",
        "{file} heeft geen kolom {names}; wel {have}. Exporteer het rapport met deze kolommen.",
    ),
    (
        "{file} has no rows below its heading; export a time in which there was a payout.",
        "{file} heeft geen regels onder de kop; exporteer een periode met een uitbetaling.",
    ),
    (
        "{file} has no payout in it; export a time in which the gateway paid out.",
        "{file} bevat geen uitbetaling; exporteer een periode waarin de betaaldienst uitbetaalde.",
    ),
    (
        "{where}: this is no whole JSON ({why}); export the file again, nothing was imported.",
        "{where}: dit is geen volledige JSON ({why}); exporteer het bestand opnieuw, " + _NOTHING,
    ),
    (
        "{file} is nested too deeply to be a settlement; nothing was imported.",
        "{file} is te diep genest voor een afrekening; " + _NOTHING,
    ),
    (
        "{where}: this is no whole line of CSV ({why}); export the file again, nothing was imported.",
        "{where}: dit is geen volledige CSV-regel ({why}); exporteer het bestand opnieuw, " + _NOTHING,
    ),
    (
        "{where}: {name} is {text}, and not an amount such as 12.50; nothing of the file was imported.",
        "{where}: {name} is {text}, en geen bedrag zoals 12.50; " + _NOTHING,
    ),
    (
        "{where}: {name} is {text}, which has more decimals than {currency} has; nothing of the file was imported.",
        "{where}: {name} is {text}, met meer decimalen dan {currency} heeft; " + _NOTHING,
    ),
    ("{where}: {text} is no date; nothing of the file was imported.", "{where}: {text} is geen datum; " + _NOTHING),
    (
        "{file} is neither a settlement of Mollie's nor a list of them; nothing was imported.",
        "{file} is geen afrekening van Mollie en geen lijst ervan; " + _NOTHING,
    ),
    (
        "{file} has no settlement in it; export the settlement itself, too.",
        "{file} bevat geen afrekening; exporteer ook de afrekening zelf.",
    ),
    (
        "{where}: its settlement {of} is not in the file; export both. Nothing was imported.",
        "{where}: de afrekening {of} ervan staat niet in het bestand; exporteer beide. Er is niets ingelezen.",
    ),
    (
        "{where}: payout {number} stands in the file twice; nothing was imported.",
        "{where}: uitbetaling {number} staat tweemaal in het bestand; " + _NOTHING,
    ),
    (
        "{where} stands in the file twice; export it again, nothing was imported.",
        "{where} staat tweemaal in het bestand; exporteer het opnieuw, " + _NOTHING,
    ),
    (
        "{where} has no settlementAmount; export it again, nothing was imported.",
        "{where} heeft geen settlementAmount; exporteer het opnieuw, " + _NOTHING,
    ),
    (
        "{where} is in {one}, and its settlement in {other}; nothing was imported.",
        "{where} is in {one}, en de afrekening in {other}; " + _NOTHING,
    ),
    (
        "{where}: {what} is missing or not as Mollie writes it; export the settlement once it was paid out.",
        "{where}: {what} ontbreekt of is niet zoals Mollie het schrijft; exporteer de afrekening zodra zij is uitbetaald.",
    ),
    (
        (
            "{where}: the movements in the file add up to {sum}, and its revenue is {revenue}, so it is not all of it; export"
            " all its payments, captures, refunds and chargebacks. Nothing was imported."
        ),
        (
            "{where}: de mutaties in het bestand zijn samen {sum}, en de omzet is {revenue}, dus het is niet alles; exporteer"
            " alle payments, captures, refunds en chargebacks ervan. Er is niets ingelezen."
        ),
    ),
    (
        (
            "{where}: it pays {paid} out, and what is in it is {sum} less costs of {costs}, which is another amount; export"
            " it with all its payments, captures, refunds and chargebacks. Nothing was imported."
        ),
        (
            "{where}: er wordt {paid} uitbetaald, en erin zit {sum} min {costs} kosten, een ander bedrag; exporteer haar met alle"
            " payments, captures, refunds en chargebacks. Er is niets ingelezen."
        ),
    ),
    (
        "{where}: the payout has no usable id; export it again, nothing was imported.",
        "{where}: de uitbetaling heeft geen bruikbaar kenmerk; exporteer haar opnieuw, " + _NOTHING,
    ),
    (
        "{where}: {text} is no currency; export it again, nothing was imported.",
        "{where}: {text} is geen valuta; exporteer opnieuw, " + _NOTHING,
    ),
    (
        "The configuration has the sites {names}; name the one of this gateway by --site.",
        "De configuratie heeft de sites {names}; noem die van deze betaaldienst met --site.",
    ),
    (
        (
            "No payment over gateway account {account} is known of site {site} (known: {known}), so nothing was imported."
            " Name the right one by --account; one that is new stands under control_accounts first."
        ),
        (
            "Van site {site} is geen betaling via betaaldienst-account {account} bekend (bekend: {known}), dus er is niets"
            " ingelezen. Noem de juiste met --account; een nieuwe staat eerst onder control_accounts."
        ),
    ),
    (
        (
            "Payout {number} was imported before with {before}, and this file says {now}; nothing was imported. Ask the"
            " gateway which one is right."
        ),
        (
            "Uitbetaling {number} is eerder ingelezen met {before}, en dit bestand zegt {now}; er is niets ingelezen. Vraag de"
            " betaaldienst welke juist is."
        ),
    ),
    ("{where}: {what}; export the file again, nothing of it was imported.", "{where}: {what}; " + _AGAIN),
)
# What is wrong with a row, or what two files say of one payout: the part of a sentence above.
PARTS: Final[tuple[tuple[str, str], ...]] = (
    ("{name} is empty", "{name} is leeg"),
    ("{name} is {text}, and not a date such as 2026-03-05", "{name} is {text}, en geen datum zoals 2026-03-05"),
    (
        "the line has {count} of {all} columns, so it was cut off or changed",
        "de regel heeft {count} van {all} kolommen, dus hij is afgebroken of veranderd",
    ),
    (
        "the last line has no end, so {name} may be cut off",
        "de laatste regel heeft geen einde, dus {name} kan afgebroken zijn",
    ),
    ("gross {gross} less fee {fee} is not net {net}", "gross {gross} min fee {fee} is niet net {net}"),
    (
        "payout {number} is of {told}, and its rows add up to {sum}, so some are missing",
        "uitbetaling {number} is {told}, en de regels ervan zijn samen {sum}, dus er ontbreken regels",
    ),
    (
        "batch {batch} has {count} rows MerchantPayout, and a batch that was paid out has one",
        "batch {batch} heeft {count} regels MerchantPayout, en een uitbetaalde batch heeft er één",
    ),
    (
        "batch {batch} pays {told} out, and its rows add up to {sum}",
        "batch {batch} betaalt {told} uit, en de regels ervan zijn samen {sum}",
    ),
    (
        "the payout is in {currencies}, and one payout has one currency",
        "de uitbetaling is in {currencies}, en een uitbetaling heeft één valuta",
    ),
    ("{name} {identity} stands on line {line} already", "{name} {identity} staat al op regel {line}"),
    ("none", "geen enkele"),
    ("gateway account {account}", "betaaldienst-account {account}"),
    ("{count} movements", "{count} mutaties"),
    ("{count}, or others", "{count}, of andere"),
    (
        "{paid} of {day} with {fees} of fees ({charged_back} for chargebacks) and {tax} of VAT",
        "{paid} van {day} met {fees} kosten ({charged_back} voor chargebacks) en {tax} btw",
    ),
    (
        "{paid} of {day} with {fees} of fees ({charged_back} for chargebacks)",
        "{paid} van {day} met {fees} kosten ({charged_back} voor chargebacks)",
    ),
    ("{paid} of {day} with {fees} of fees and {tax} of VAT", "{paid} van {day} met {fees} kosten en {tax} btw"),
    ("{paid} of {day} with {fees} of fees", "{paid} van {day} met {fees} kosten"),
)
_HOLES_IN_WORDS: Final = ("what", "before", "now", "known")


def in_dutch(error: SettlementFileError) -> SettlementFileError:
    """Return the error with its sentence in Dutch."""
    return SettlementFileError(_told(error.sentence, SENTENCES) or error.sentence)


def _told(english: str, listed: tuple[tuple[str, str], ...]) -> str | None:
    for pattern, dutch in patterns(listed):
        found = pattern.fullmatch(english)
        if found is not None:
            holes = found.groupdict()
            words = {name: (_told(text, PARTS) or text) if name in _HOLES_IN_WORDS else text for name, text in holes.items()}
            return dutch.format_map(words)
    return None
