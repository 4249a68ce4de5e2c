"""The words of `kruispost matches` in English and Dutch."""

from __future__ import annotations

from typing import Literal

Language = Literal["en", "nl"]

# Why an open line waits for a person: the reasons of judging.py, and the empty one of a line that was not judged yet.
REASONS: dict[str, tuple[str, str]] = {
    "": ("not looked at yet", "nog niet bekeken"),
    "over_recorded": (
        "Exact has less of it than is recorded in Chargebee, or nothing; `kruispost matches undo` says what to do",
        "Exact heeft er minder van dan in Chargebee is vastgelegd, of niets meer; `kruispost matches undo` zegt wat te doen",
    ),
    "no_money": ("the line has no amount", "de regel heeft geen bedrag"),
    "money_left": (
        "money left for the customer; a refund is recorded in Chargebee by hand",
        "er ging geld naar de klant; een terugbetaling wordt met de hand in Chargebee vastgelegd",
    ),
    "amount_not_whole": (
        "a currency without cents has a part of a unit here; correct the amount in Exact",
        "een valuta zonder centen heeft hier een deel van een eenheid; corrigeer het bedrag in Exact",
    ),
    "unknown_customer": (
        "nothing tells which customer of Chargebee paid, or several share the account",
        "niets zegt welke klant van Chargebee betaalde, of meer klanten delen de rekening",
    ),
    "names_settled": (
        "it names an invoice on which nothing is due in Chargebee any more, and no other",
        "de regel noemt een factuur waarop in Chargebee niets meer openstaat, en geen andere",
    ),
    "other_currency": (
        "the customer owes something, but not in this currency",
        "de klant is iets verschuldigd, maar niet in deze valuta",
    ),
    "nothing_open": (
        "the customer has no open invoice; a payment in advance is kept as an excess payment",
        "de klant heeft geen openstaande factuur; een vooruitbetaling wordt als te veel betaald bewaard",
    ),
    "due_again": (
        "an invoice that it may pay is due in Chargebee, and Exact has it matched with something else",
        "een factuur die de regel kan betalen staat in Chargebee open, en Exact letterde haar met iets anders af",
    ),
    "equally_likely": (
        "several invoices fit equally well; nothing is guessed",
        "meer facturen passen even goed; er wordt niets gegokt",
    ),
    "to_judge": ("a person has to judge", "een mens moet oordelen"),
    "decided_before": (
        "number, amount and payer agree, but it was decided about or matched in Exact before; only a person decides it again",
        "nummer, bedrag en betaler kloppen, maar er is eerder over besloten of afgeletterd; alleen een mens besluit opnieuw",
    ),
    "payment_stands": (
        "a payment that may be of this money stands in Chargebee, and Exact shows no receipt for it",
        "een betaling die van dit geld kan zijn staat in Chargebee, en Exact toont er geen ontvangst voor",
    ),
    "certain": (
        "number, amount and payer agree; recording it without asking is not switched on",
        "nummer, bedrag en betaler kloppen; vastleggen zonder te vragen staat niet aan",
    ),
}
STATES: dict[str, tuple[str, str]] = {
    "open": ("open", "open"),
    "accepted": ("being recorded in Chargebee", "wordt in Chargebee vastgelegd"),
    "recorded": ("recorded in Chargebee", "vastgelegd in Chargebee"),
    "dismissed": ("dismissed", "terzijde gelegd"),
    "settled": ("matched in Exact", "in Exact afgeletterd"),
    "gone": ("no longer in Exact", "niet meer in Exact"),
}
_WORDS: dict[str, tuple[str, str]] = {
    "none": ("No bank line fits.", "Geen bankregel past."),
    "totals": ("{open} open, {to_match} to be matched in Exact", "{open} open, {to_match} in Exact af te letteren"),
    "stands": ("  stands for {days} days on {account}", "  staat al {days} dagen op {account}"),
    "stands_together": (
        "{amount} stands on {account} for {days} days or longer",
        "{amount} staat al {days} dagen of langer op {account}",
    ),
    "of_total": ("{left} left of {total}", "nog {left} van {total}"),
    "text": ("  text: {text}", "  omschrijving: {text}"),
    "why": ("  last time: {why}", "  vorige keer: {why}"),
    "standing": (
        "  stands in Chargebee: {transaction}, {amount} on invoice {number}; match it again in Exact, or remove it in Chargebee",
        "  staat in Chargebee: {transaction}, {amount} op factuur {number}; letter die weer af, of haal haar in Chargebee weg",
    ),
    "stands_on": (
        "  recorded in Chargebee: {amount} on invoice {number} ({transaction})",
        "  vastgelegd in Chargebee: {amount} op factuur {number} ({transaction})",
    ),
    "stands_kept": (
        "  kept in Chargebee: {amount} for customer {customer} ({transaction}); match it with what that pays later",
        "  bewaard in Chargebee: {amount} voor klant {customer} ({transaction}); letter af met wat dat later betaalt",
    ),
    "names_settled": (
        "  names {number} of customer {customer}: nothing is due on it in Chargebee any more",
        "  noemt {number} van klant {customer}: daarop staat in Chargebee niets meer open",
    ),
    "written_off": (
        "  {amount} of {number} was written off in Chargebee, by credit note {note}",
        "  van {number} is in Chargebee {amount} afgeboekt, met creditnota {note}",
    ),
    "written_off_more": ("  and {count} more of this customer", "  en nog {count} van deze klant"),
    "undo_write_off_first": (
        (
            "  is this the payment of that debt? Void that credit note in Chargebee first: the invoice is due again, the loss\n"
            "  is booked back, and the line can be recorded on it. --excess keeps the money for later, and the loss stays"
        ),
        (
            "  is dit de betaling daarvan? Annuleer eerst die creditnota in Chargebee: de factuur staat weer open, het verlies\n"
            "  wordt teruggeboekt, en de regel kan erop. Met --excess blijft het geld voor later bewaard, en blijft het verlies"
        ),
    ),
    "due_again": (
        "  {number} of customer {customer}: {amount} due in Chargebee again, after an undone write-off or a failed payment",
        "  {number} van klant {customer}: {amount} weer open in Chargebee, na een ingetrokken afboeking of mislukte betaling",
    ),
    "accept_due_again": (
        "     kruispost matches accept {id} {number}    (then match the line with what is open in Exact: `matches unequal`)",
        "     kruispost matches accept {id} {number}    (letter de regel dan af met wat in Exact openstaat: `matches unequal`)",
    ),
    "by_hand": (
        "  {number}: {amount} was recorded in Chargebee by hand ({transaction}); if this is that money, only match it in Exact",
        "  {number}: {amount} is in Chargebee met de hand vastgelegd ({transaction}); is dit dat geld, letter het dan alleen af",
    ),
    "of_customer": ("     of customer {customer}", "     van klant {customer}"),
    "of_another": (
        "     of customer {customer}, although Exact has the line on the account of {whose}",
        "     van klant {customer}, terwijl Exact de regel op de rekening van {whose} heeft",
    ),
    "dismissed_for": ("  dismissed: {why}", "  terzijde gelegd: {why}"),
    "proposal": ("  {place}. {invoices}{difference}: {evidence}", "  {place}. {invoices}{difference}: {evidence}"),
    "nothing_speaks": ("nothing but what is due", "niets dan wat openstaat"),
    "due": ("{number} ({amount} due)", "{number} ({amount} open)"),
    "over": (", {amount} more received", ", {amount} meer ontvangen"),
    "under": (", {amount} less received", ", {amount} minder ontvangen"),
    "command": ("     kruispost matches accept {id} {numbers}", "     kruispost matches accept {id} {numbers}"),
    "keep": (
        "     kruispost matches accept {id} --excess    (kept for the customer)",
        "     kruispost matches accept {id} --excess    (bewaard voor de klant)",
    ),
    "keep_for": (
        "     kruispost matches accept {id} --excess --customer {customer}    (kept for the customer)",
        "     kruispost matches accept {id} --excess --customer {customer}    (bewaard voor de klant)",
    ),
    "to_match": ("  to be matched in Exact: {entry}", "  in Exact nog af te letteren: {entry}"),
    "to_move": (
        "  in Exact to be moved to the customer's account, and matched there: {entry}",
        "  in Exact nog op de rekening van de klant te zetten en daar af te letteren: {entry}",
    ),
    "entry": ("entry {number} in journal {journal}", "boekstuk {number} in dagboek {journal}"),
    "unequal": (
        "{number}  {customer}: {currency} {open} open in Exact, {due} due in Chargebee",
        "{number}  {customer}: {currency} {open} open in Exact, {due} open in Chargebee",
    ),
    "unequal_note": (
        "{number}  {customer}: of this credit note {currency} {open} is open in Exact, and {due} is to be given in Chargebee",
        "{number}  {customer}: van deze creditnota staat in Exact {currency} {open} open, en in Chargebee is {due} nog te geven",
    ),
    "less_of_note": (
        "  was it paid out by bank? Record that refund on it in Chargebee. Else take in Exact back what it is matched with",
        "  is hij per bank uitbetaald? Leg die terugbetaling in Chargebee erop vast. Draai anders in Exact de aflettering terug",
    ),
    "more_in_exact": (
        "  match it in Exact with the payments and credit notes that Chargebee has on it; take wrong matches of those back first",
        "  letter het in Exact af met de betalingen en creditnota's die Chargebee erop heeft; draai een foute match eerst terug",
    ),
    "less_in_exact": (
        "  Exact has it matched with something that Chargebee does not have on it: take that match back, or record it there",
        "  Exact heeft het afgeletterd met iets wat Chargebee er niet op heeft: draai dat terug, of leg het daar vast",
    ),
    "without_receipt": (
        "{number}: payment {transaction} of {amount} stands in Chargebee, and Exact has matched its receipt with something else",
        "{number}: betaling {transaction} van {amount} staat in Chargebee, en Exact letterde de ontvangst met iets anders af",
    ),
    "unequal_under_way": (
        "  a payment of it is being recorded in Chargebee",
        "  een betaling ervan wordt in Chargebee vastgelegd",
    ),
    "unequal_entry": ("  entry {number}", "  boekstuk {number}"),
    "unequal_waiting": (
        (
            "{number}  {customer}: {currency} {waiting} that Exact matched with it is not recorded in Chargebee yet;"
            " {open} is open in Exact, and {due} due in Chargebee"
        ),
        (
            "{number}  {customer}: {currency} {waiting} die Exact ermee afletterde is in Chargebee nog niet vastgelegd;"
            " in Exact staat {open} open, in Chargebee {due}"
        ),
    ),
    "match_for_waiting": (
        "  match what Chargebee has on it besides, and Exact has open, with it in Exact; the money is then recorded by itself",
        "  letter in Exact af wat Chargebee er verder op heeft en daar nog openstaat; het geld wordt dan vanzelf vastgelegd",
    ),
    "money_elsewhere": (
        (
            "  Exact matched {amount} that came in from this customer with something else, such as a payment that failed: take\n"
            "  that match and this invoice's back, and match the receipt with the invoice; it is then recorded by itself"
        ),
        (
            "  Exact letterde {amount} die van deze klant binnenkwam met iets anders af, zoals een mislukte betaling: draai dat\n"
            "  en de aflettering van deze factuur terug, en letter de ontvangst met haar af; die wordt dan vanzelf vastgelegd"
        ),
    ),
    "open_items": ("  open in Exact for this customer:", "  voor deze klant staat in Exact open:"),
    "open_items_more": ("    and {count} more", "    en nog {count}"),
    "no_open_items": (
        "  nothing that fits is open in Exact for this customer: it is matched with something else there, or not booked yet",
        "  voor deze klant staat in Exact niets passends open: het is daar met iets anders afgeletterd, of nog niet geboekt",
    ),
    "open_document": ("    {amount} {kind} {document}, entry {number}", "    {amount} {kind} {document}, boekstuk {number}"),
    "open_exactly": (": exactly this amount", ": precies dit bedrag"),
    "open_received": (
        "    {amount} received on {day}, entry {number} in journal {journal}",
        "    {amount} ontvangen op {day}, boekstuk {number} in dagboek {journal}",
    ),
    "open_paid_out": (
        "    {amount} paid out on {day}, entry {number} in journal {journal}",
        "    {amount} uitbetaald op {day}, boekstuk {number} in dagboek {journal}",
    ),
    "open_is_on_it": (
        ": Chargebee has it on this invoice, or a part of it",
        ": Chargebee heeft dit, of een deel ervan, op deze factuur",
    ),
    "open_undecided": (
        ": nothing is decided about it (`kruispost matches`, {id})",
        ": nog niet over besloten (`kruispost matches`, {id})",
    ),
    "open_elsewhere": (
        "; it stands on {account}: move it to the account of this customer first",
        "; het staat op {account}: zet het eerst op de rekening van deze klant",
    ),
    "unequal_totals": (
        "{count} with another amount open in Exact than is due in Chargebee",
        "{count} waarvan in Exact een ander bedrag openstaat dan in Chargebee",
    ),
    "all_equal": (
        "Of every invoice Exact has as much open as Chargebee has due, and of no credit note less than is to be given.",
        "Van elke factuur staat in Exact evenveel open als in Chargebee, en van geen creditnota minder dan nog te geven is.",
    ),
    "will_pay": ("{number}: {amount} is recorded in Chargebee", "{number}: {amount} wordt in Chargebee vastgelegd"),
    "will_write_off": (
        "{number}: {amount} is missing and is written off within the tolerance",
        "{number}: {amount} ontbreekt en wordt binnen de tolerantie afgeboekt",
    ),
    "will_keep": (
        "{amount} is kept in Chargebee as an excess payment of customer {customer}",
        "{amount} wordt in Chargebee bewaard als te veel betaald door klant {customer}",
    ),
    "stays": ("{amount} stays in the inbox", "{amount} blijft in de inbox"),
    "match_it": ("In Exact, match {entry} with the same invoices.", "Letter in Exact {entry} af met dezelfde facturen."),
    "move_it": (
        "In Exact, move {entry} to the customer's account, and match it there with what it pays.",
        "Zet in Exact {entry} op de rekening van de klant, en letter het daar af met wat het betaalt.",
    ),
    "payment_stands": (
        (
            "Line {id} is not recorded: payment {transaction} of {amount} on invoice {number} may be of this money and stands in"
            " Chargebee still, while Exact shows no receipt for it. Match the line in Exact with that invoice again, or remove"
            " the payment in Chargebee first; --although-payment-stands records the line besides it."
        ),
        (
            "Regel {id} wordt niet vastgelegd: betaling {transaction} van {amount} op factuur {number} kan van dit geld zijn en"
            " staat nog in Chargebee, terwijl Exact er geen ontvangst voor toont. Letter de regel in Exact weer met die factuur"
            " af, of haal de betaling eerst in Chargebee weg; --although-payment-stands legt de regel er toch naast vast."
        ),
    ),
    "was_dismissed": ("Dismissed.", "Terzijde gelegd."),
    "was_undone": ("Taken back; the line is open again.", "Teruggedraaid; de regel staat weer open."),
    "not_open": ("Line {id} is not open: {state}.", "Regel {id} staat niet open: {state}."),
    "decided_meanwhile": (
        "Line {id} was decided about or changed just now; look at it again.",
        "Over regel {id} is zojuist besloten, of hij is veranderd; kijk opnieuw.",
    ),
    "no_amount": ("Line {id} brought no money: {reason}.", "Regel {id} bracht geen geld: {reason}."),
    "name_invoices": (
        "Several invoices fit line {id}, or none: name those that it pays, or --excess.",
        "Meer facturen passen bij regel {id}, of geen: noem die hij betaalt, of --excess.",
    ),
    "unknown_invoice": (
        "Chargebee showed no invoice {number}, or it was deleted.",
        "Chargebee liet geen factuur {number} zien, of hij is verwijderd.",
    ),
    "several_sites": (
        "Several sites have an invoice {number}; say which with --site.",
        "Meer sites hebben een factuur {number}; zeg welke met --site.",
    ),
    "wrong_currency": (
        "Invoice {number} is in {invoice_currency}, line {id} in {currency}.",
        "Factuur {number} is in {invoice_currency}, regel {id} in {currency}.",
    ),
    "nothing_due": (
        "Nothing is due on invoice {number} in Chargebee.",
        "Op factuur {number} staat in Chargebee niets open.",
    ),
    "nothing_left": (
        "Line {id} has nothing left for invoice {number}; leave it out.",
        "Regel {id} heeft niets over voor factuur {number}; laat hem weg.",
    ),
    "more_than_due": ("Only {due} is due on invoice {number}.", "Op factuur {number} staat maar {due} open."),
    "more_than_left": (
        "Line {id} has {left} left, and each amount must be more than nothing.",
        "Regel {id} heeft nog {left}, en elk bedrag moet meer dan niets zijn.",
    ),
    "whose": (
        "Nothing tells whose the rest of line {id} is; say so with --customer SITE/CUSTOMER.",
        "Niets zegt van wie de rest van regel {id} is; zeg het met --customer SITE/KLANT.",
    ),
    "unknown_site": (
        "The configuration has no site {site}, so nothing can be recorded there; it has {sites}.",
        "De configuratie heeft geen site {site}, dus daar kan niets worden vastgelegd; zij heeft {sites}.",
    ),
    "nothing_to_undo": (
        "There is no decision about line {id} to take back.",
        "Over regel {id} is geen besluit terug te draaien.",
    ),
    "under_way": (
        "A call to Chargebee for line {id} may be under way; try again in a minute.",
        "Voor regel {id} loopt misschien een aanroep naar Chargebee; probeer het over een minuut opnieuw.",
    ),
    "undo_payment": (
        "In Chargebee, remove payment {transaction} ({amount}) from invoice {number}, then delete that transaction.",
        "Haal in Chargebee betaling {transaction} ({amount}) van factuur {number} af en verwijder daarna die transactie.",
    ),
    "undo_excess": (
        "In Chargebee, delete the excess payment {transaction} ({amount}) of customer {customer}.",
        "Verwijder in Chargebee de te veel betaalde {amount} ({transaction}) van klant {customer}.",
    ),
    "undo_write_off": (
        "In Chargebee, void the credit note that wrote {amount} off on invoice {number}.",
        "Annuleer in Chargebee de creditnota die {amount} op factuur {number} afboekte.",
    ),
    "then_open": (
        "Once Chargebee shows that, line {id} is open again by itself.",
        "Zodra Chargebee dat laat zien, staat regel {id} vanzelf weer open.",
    ),
    "reason_unknown": (
        "No line waits for a reason named {reason}; the reasons are {known}.",
        "Geen regel wacht om een reden die {reason} heet; de redenen zijn {known}.",
    ),
    "amount_unreadable": ("{amount} is no amount; write it as 121.00.", "{amount} is geen bedrag; schrijf het als 121.00."),
    "unknown_line": (
        "No bank line begins with {id}; `kruispost matches --state all` lists them.",
        "Geen bankregel begint met {id}; `kruispost matches --state all` toont ze.",
    ),
    "several_lines": (
        "Several bank lines begin with {id}; give more of it.",
        "Meer bankregels beginnen met {id}; geef er meer van.",
    ),
    "no_amount_in": (
        "{text} is not INVOICE=AMOUNT, such as INV-1=50.00; excess=AMOUNT is kept for the customer.",
        "{text} is geen FACTUUR=BEDRAG, zoals INV-1=50.00; excess=BEDRAG wordt voor de klant bewaard.",
    ),
}


KINDS: dict[str, tuple[str, str]] = {
    "credit_note": ("credit note", "creditnota"),
    "payment": ("online payment", "online betaling"),
    "refund": ("refund", "terugbetaling"),
    "tax_withheld": ("withheld tax", "ingehouden belasting"),
    "exchange_difference": ("exchange difference", "koersverschil"),
    "application": ("exchange difference", "koersverschil"),
}


def kind_of(code: str, lang: Language) -> str:
    """Return what a document of ours is called; the code itself for one that is rare on a debtor account."""
    return KINDS.get(code, (code, code))[lang == "nl"]


def say(key: str, lang: Language, **details: object) -> str:
    """Return a sentence, filled in; raises KeyError for an unknown key or a missing detail."""
    return _WORDS[key][lang == "nl"].format_map(details)


def reason(code: str, lang: Language) -> str:
    """Return why an open line waits; the code itself for one that a newer release wrote."""
    return REASONS.get(code, (code, code))[lang == "nl"]


def state(code: str, lang: Language) -> str:
    """Return a state in words."""
    return STATES.get(code, (code, code))[lang == "nl"]
