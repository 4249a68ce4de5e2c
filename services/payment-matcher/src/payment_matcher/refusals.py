"""Why a receipt seen in Exact is not recorded in Chargebee: every code, what it says, and what a person can do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """One reason: `sentence` is filled with the number and the details, `action` is empty when nothing is to be done."""

    sentence: str
    action: str


REFUSALS: dict[str, Refusal] = {
    "already_paid": Refusal(
        "Invoice {number} has nothing due in Chargebee any more (status {status}), so the receipt seen in Exact is not recorded.",
        "",
    ),
    "already_counted": Refusal(
        "What Exact matched with invoice {number} is in Chargebee already, or is a credit note that Chargebee still has to give.",
        "Allocate that credit note in Chargebee as Exact did; where there is none, nothing is to be done.",
    ),
    "taken_back": Refusal(
        "Exact does not show the receipt of {amount} on invoice {number} any more, which Chargebee has as {transaction}.",
        "Match it again in Exact, or remove that payment from the invoice in Chargebee when the money was not for it.",
    ),
    "voided": Refusal(
        "Invoice {number} is voided in Chargebee, so the receipt seen in Exact cannot be recorded.",
        "Check in Exact whether the customer paid an invoice that no longer exists, and refund it or book it elsewhere.",
    ),
    "not_payable": Refusal(
        "Invoice {number} has the status {status} in Chargebee, which takes no payments, so the receipt is not recorded.",
        "Close or correct the invoice in Chargebee and record the payment there by hand.",
    ),
    "not_found": Refusal(
        "Invoice {number} does not exist in Chargebee (any more), so the receipt seen in Exact cannot be recorded.",
        "Look up in Exact which entry has this reference, and correct it there when the invoice was deleted.",
    ),
    "currency_differs": Refusal(
        "The receivable of invoice {number} is in {receivable_currency} in Exact but the invoice is in {currency},"
        " so the receipt is not recorded.",
        "Record the payment in Chargebee by hand with the amount in {currency}.",
    ),
    "amount_not_whole": Refusal(
        "The receivable of invoice {number} in Exact ({amount} hundredths of {currency}) is not a whole amount in a currency"
        " without cents, so the receipt is not recorded.",
        "Correct the amount in Exact and record the payment in Chargebee by hand.",
    ),
    "customer_missing": Refusal(
        "Customer {customer} does not exist in Chargebee (any more), so the excess payment is not recorded.",
        "Name the right customer with --customer, or book the money elsewhere in Exact and dismiss the line.",
    ),
    "shortage_changed": Refusal(
        "Invoice {number} has {due} due in Chargebee by now (in its smallest unit) instead of the {short} that the receipt fell"
        " short, so nothing is written off.",
        "Look at the invoice in Chargebee, and write the rest off there by hand if it should be.",
    ),
    "refused": Refusal(
        "Chargebee refused the payment of invoice {number}: {message}",
        "Mend what Chargebee names and record the payment there by hand.",
    ),
}


def sentence(code: str, **details: object) -> str:
    """Return the sentence of a code, filled in; raises KeyError for an unknown code or a missing detail."""
    return REFUSALS[code].sentence.format_map(details)


def action(code: str, **details: object) -> str:
    """Return what a person can do about a code; raises KeyError for an unknown code or a missing detail."""
    return REFUSALS[code].action.format_map(details)
