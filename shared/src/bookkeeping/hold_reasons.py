"""Every reason why a document is not booked now: what happened, and what a person can do. The list of errors is made of this."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A code's sentence and action, as templates; `waiting` reasons are expected to pass by themselves.

    `overdue` is what a person does when one has not after PATIENCE_DAYS; without it there is no limit to the wait.
    """

    sentence: str
    action: str
    waiting: bool = False
    overdue: str = ""


REASONS: dict[str, Reason] = {
    "waiting_for_customer": Reason(
        sentence="Customer {customer} is not known yet, so {document} waits for it.",
        action="Nothing to do: it is booked as soon as the customer arrives from Chargebee.",
        waiting=True,
        overdue="Fetch the customer with `kruispost backfill --from DAY`; when Chargebee has none, book the document by hand.",
    ),
    "waiting_for_product": Reason(
        sentence="Product {product} on line '{line}' is not known yet, so {document} waits for it.",
        action="Nothing to do: it is booked as soon as the product arrives from Chargebee.",
        waiting=True,
        overdue="Fetch the products with `kruispost backfill --from DAY`; when Chargebee has none, book the document by hand.",
    ),
    "waiting_for_subscription": Reason(
        sentence=(
            "Subscription {subscription} of line '{line}' is not known yet, and a rule or a text asks for its fields, so"
            " {document} waits for it."
        ),
        action="Nothing to do: it is booked as soon as the subscription arrives from Chargebee.",
        waiting=True,
        overdue="Fetch the subscriptions with `kruispost backfill --from DAY`; when Chargebee has none, book it by hand.",
    ),
    "waiting_for_invoice": Reason(
        sentence="Invoice {invoice}, which {document} credits, is not known yet and decides {subject}.",
        action=(
            "Nothing to do: it is booked as soon as the invoice arrives from Chargebee. For those that never come, add under"
            " divisions.{division}: credit_notes: {{without_invoice: book, wait_days: 7}}"
        ),
        waiting=True,
        overdue=(
            "Fetch the invoice with `kruispost backfill --from DAY`. For those that never come, add under divisions.{division}:"
            " credit_notes: {{without_invoice: book, wait_days: 7}}"
        ),
    ),
    "credited_period_unknown": Reason(
        sentence="{document} takes back deferred revenue, and invoice {invoice}, which says how much was earned, never came.",
        action="Backfill that invoice, or book this document by hand.",
    ),
    "waiting_for_credits": Reason(
        sentence="{document} takes what earlier credits of its invoice leave, and {missing}, which decides it, is still to come.",
        action="Nothing to do: it is booked as soon as that has arrived from Chargebee, or is booked.",
        waiting=True,
        overdue="Fetch {missing} with `kruispost backfill --from DAY`; if it is held, mend that; or book this document by hand.",
    ),
    "waiting_for_booked_invoice": Reason(
        sentence="{document} takes invoice {invoice} back, whose booking decides its rate and its deferral and is still to come.",
        action="Nothing to do: it is booked as soon as that invoice is.",
        waiting=True,
        overdue="See with `kruispost explain {invoice}` why that invoice is not booked, and mend it; or book this by hand.",
    ),
    "booked_rate_unknown": Reason(
        sentence="{document} is to be booked at the rate at which Exact booked {booked}, and that rate is not known here.",
        action=(
            "Stop the mapper, run `kruispost replay mapper --yes`, which takes it from what Exact answered, and start it; where"
            " it stays unknown, book this by hand."
        ),
    ),
    "waiting_for_paid_invoice": Reason(
        sentence="Document {invoice}, which {document} settles, is not known yet and decides its account and its rate.",
        action="Nothing to do: it is booked as soon as that one arrives from Chargebee.",
        waiting=True,
        overdue="Fetch document {invoice} with `kruispost backfill --from DAY`, or book the money by hand.",
    ),
    "customer_gone": Reason(
        sentence="Customer {customer} of {document} was deleted in Chargebee, or merged into another that no document shows yet.",
        action=(
            'Add under divisions.{division}.customers.links: {{"{customer}": "..."}} (the code of its account, or new) and '
            "restart; or wait until a document of the merge arrives."
        ),
    ),
    "payment_in_progress": Reason(
        sentence="The gateway has not confirmed {document} yet (status {status}).",
        action="Nothing to do: it is booked when Chargebee reports the money as received.",
        waiting=True,
    ),
    "no_revenue_account": Reason(
        sentence="No revenue rule fits line '{line}' ({entity_type}{product}) of {document}.",
        action='Add under divisions.{division}.revenue: {{when: {{{condition}}}, account: "..."}}',
    ),
    "no_vat_code": Reason(
        sentence="No VAT rule fits line '{line}' of {document}: country {country}, rate {rate} %, reason {reason}.",
        action='Add under divisions.{division}.vat: {{when: {{{condition}}}, code: "..."}}',
    ),
    "country_unknown": Reason(
        sentence="Line '{line}' of {document} is an export, but no address says to which country.",
        action="Add the customer's country in Chargebee and issue the document anew, or map reason export without a country.",
    ),
    "vat_number_missing": Reason(
        sentence="{document} shifts the VAT to the customer (reverse charge), but {customer} has no usable VAT number.",
        action="Enter the customer's VAT number in Chargebee; it is booked when the change arrives.",
    ),
    "unknown_business_entity": Reason(
        sentence="{document} belongs to business entity {entity}, which no division is mapped to.",
        action="Map it under sites.{site}.{setting} to a division.",
    ),
    "routes_disagree": Reason(
        sentence="{document} belongs to several divisions ({divisions}) by the routes of site {site}, and is booked in one.",
        action="Make the routes under sites.{site}.routes agree on all that stands on one document, or book it by hand.",
    ),
    "route_unknown": Reason(
        sentence="{document} goes to the division of {other}, which is not known yet.",
        action="Nothing to do: it is booked as soon as {other} has its division; look at what holds {other}.",
        waiting=True,
        overdue="See what holds it with `kruispost trace {other}`, or fetch it with `kruispost backfill --from DAY`.",
    ),
    "route_undecided": Reason(
        sentence="{document} settles no document yet, and the routes of site {site} go by what stands on one.",
        action="Apply it to an invoice in Chargebee; it goes to that invoice's division.",
    ),
    "unknown_site": Reason(
        sentence="{document} comes from site {site}, which the configuration does not name.",
        action="Add the site under sites, with its time zone and division.",
    ),
    "no_exchange_rate": Reason(
        sentence="{document} is in {currency}, and Chargebee gives no rate to the division's currency {division_currency}.",
        action="Let the site's base currency be {division_currency}, or book this document by hand.",
    ),
    "currency_units_unknown": Reason(
        sentence="{document} is in {currency}, and Chargebee's pages do not say whether it gives whole units or hundredths.",
        action="Compare its amount here with its PDF: where they are the same, add {currency} to "
        "divisions.{division}.exchange_rates.whole_units; else book it by hand.",
    ),
    "no_rate_in_table": Reason(
        sentence="{document} is in {currency}, and the table of exchange rates has none of {day} or before.",
        action='Add under divisions.{division}.exchange_rates.table: {{currency: {currency}, from: {day}, rate: "..."}}',
    ),
    "waiting_for_coupon_code": Reason(
        sentence="A discount rule asks for the coupon set of code {used} on {document}, which Chargebee has not told yet.",
        action="Nothing to do: Chargebee is asked for it, and the document is booked as soon as it answers.",
        waiting=True,
        overdue=(
            "Check KRUISPOST_CHARGEBEE_API_KEY of ingest, or write a rule for the code itself under"
            ' divisions.{division}.discounts.rules: {{when: {{coupon_code: {used}}}, account: "..."}}'
        ),
    ),
    "coupon_code_gone": Reason(
        sentence="A discount rule asks for the coupon set of code {used} on {document}, and Chargebee has no such code any more.",
        action='Add under divisions.{division}.discounts.rules: {{when: {{coupon_code: {used}}}, account: "..."}}',
    ),
    "coupon_codes_differ": Reason(
        sentence=(
            "On {document} coupon {coupon} was given by {used}, for which the discount rules have different accounts, and"
            " Chargebee does not say which of them line '{line}' has."
        ),
        action="Give these the same account under divisions.{division}.discounts.rules, or book this document by hand.",
    ),
    "coupon_code_unread": Reason(
        sentence=(
            "A discount rule asks for a coupon set, and what is kept of {document} does not say by which code coupon {coupon} was"
            " given on line '{line}'."
        ),
        action=(
            "Run `kruispost replay` once: it reads what Chargebee sent anew. If that does not help, book this document by hand."
        ),
    ),
    "no_discount_account": Reason(
        sentence="No discount rule fits the discount of {amount} ({discount}) on line '{line}' of {document}.",
        action='Add under divisions.{division}.discounts.rules: {{when: {{{condition}}}, account: "..."}}',
    ),
    "no_payment_condition": Reason(
        sentence="No payment condition of Exact is mapped for {document} ({terms}).",
        action=(
            'Add under divisions.{division}.payment_conditions.rules: {{when: {{{terms}}}, code: "..."}}, or set unmapped there'
            " to exact_default."
        ),
    ),
    "no_rounding_account": Reason(
        sentence="{document} was rounded by {amount}, and the division has no account for roundings.",
        action='Add under divisions.{division}: rounding: {{account: "..."}}',
    ),
    "no_control_account": Reason(
        sentence="No control account is set for gateway account {gateway} in {currency}, which {document} went through.",
        action=(
            "Add under divisions.{division}.control_accounts: "
            '{{gateway_account: "{gateway}", currency: "{currency}", account: "..."}}'
        ),
    ),
    "no_write_off_account": Reason(
        sentence="{document} writes a debt off, and the division has no account for bad debts.",
        action=(
            'Add under divisions.{division}: write_offs: {{account: "..."}} and a journal for it, journals.write_offs, a general'
            " journal of Exact."
        ),
    ),
    "no_withheld_tax_account": Reason(
        sentence="{document} of {amount} was held back from invoice {invoice}, and the division has no account for it.",
        action='Add under divisions.{division}: withheld_taxes: {{account: "..."}}',
    ),
    "no_settlement_accounts": Reason(
        sentence="{document} was imported, and the division has no accounts for payouts and fees.",
        action='Add journals.settlements and settlements: {{payout_account: "...", fee_account: "..."}} to divisions.{division}.',
    ),
    "no_exchange_difference_account": Reason(
        sentence="{document} came in at {rate}, what it settled is booked at {booked}, and no account is set for the difference.",
        action='Add under divisions.{division}: exchange_differences: {{account: "..."}}',
    ),
    "no_account_for_cents": Reason(
        sentence=(
            "The lines of {document}, each rounded to {currency}, differ {amount} from its total, and no account is set for the"
            " difference."
        ),
        action='Add under divisions.{division}: exchange_differences: {{account: "..."}}',
    ),
    "waiting_for_both_bookings": Reason(
        sentence="{document} is known once {other} is booked, which is still to come.",
        action="Nothing to do: it is booked as soon as that one is.",
        waiting=True,
        overdue="See with `kruispost explain` why that document is not booked, and mend it; this follows by itself.",
    ),
    "waiting_for_due_date": Reason(
        sentence="{document} is reclaimed a year after invoice {invoice} was due, and that invoice is not known yet.",
        action="Nothing to do once the invoice arrives from Chargebee.",
        waiting=True,
        overdue="Fetch that invoice with `kruispost backfill --from DAY`, or reclaim the VAT by hand.",
    ),
    "vat_not_due": Reason(
        sentence="{document} is reclaimed on {date}, a year after the debt was due: {vat}.",
        action="Nothing to do: it is booked on that day, unless the write-off is undone in Chargebee before.",
        waiting=True,
    ),
    "write_off_without_vat": Reason(
        sentence="{document} carries no VAT, but invoice {invoice} does, so what may be reclaimed is not known.",
        action="Reclaim the VAT of the unpaid part by hand, at the latest in the return of a year after the due date.",
    ),
    "amounts_do_not_add_up": Reason(
        sentence="The lines of {document} ({lines}), tax ({tax}) and rounding ({rounding}) give {sum}, but its total is {total}.",
        action="Compare the document in Chargebee with its lines; book it by hand when Chargebee is right.",
    ),
    "incomplete_lines": Reason(
        sentence="{document} has more lines than its event carried, and the rest is still to be read from Chargebee.",
        action="Nothing to do: ingest asks Chargebee for all of its lines, and it is booked as soon as they are here.",
        waiting=True,
        overdue=(
            "Check KRUISPOST_CHARGEBEE_API_KEY of ingest, whose log says why the lines could not be read; when Chargebee does not"
            " give them, book the document by hand."
        ),
    ),
    "unreadable_document": Reason(
        sentence="{document} has no usable {field}.",
        action="Look at the document in Chargebee; it is booked when a corrected version arrives.",
    ),
    "unknown_status": Reason(
        sentence="{document} has the status or type {status}, which this release does not know.",
        action="Ask for a release that knows it, or book the document by hand.",
    ),
    "period_closed": Reason(
        sentence="{document} is dated {date}, and period {period} of journal {journal} is closed{rest}.",
        action="Open a period in Exact, or set period_policy to move (or ask) so that it is reported in a later open period.",
    ),
    "period_question": Reason(
        sentence="{document} is dated {date}; period {period} of journal {journal} is closed{rest}.",
        action=(
            "Open the period in Exact, or answer once in kruispost.yaml, divisions.{division}.periods.answers:"
            " [{{period: {period}, into: {into}}}] for all of the period, or [{{document: {number}, into: {into}}}] for this"
            " document alone."
        ),
    ),
    "answer_too_early": Reason(
        sentence="{document} is dated {date}, and the answer in kruispost.yaml names period {into}, which ended before that.",
        action=(
            "Name a later, open period{first} under divisions.{division}.periods.answers; nothing is reported earlier than its"
            " date."
        ),
    ),
    "no_financial_year": Reason(
        sentence="{document} needs a period on {date}, and Exact's division {division} has no financial year for it.",
        action="Create the financial year in Exact; the document is planned again as soon as its periods arrive.",
    ),
    "waiting_for_periods": Reason(
        sentence="Exact's list of periods, which decides where {document} is reported, has not come in whole yet.",
        action="Nothing to do: it is booked as soon as the list of periods has arrived from Exact.",
        waiting=True,
    ),
    "changed_after_booking": Reason(
        sentence="The amounts of {document} changed in Chargebee after it was booked.",
        action=(
            "Compare both books; correct the difference by hand, or add divisions.{division}.changes: correct to book the"
            " old entry back and the new state in its place."
        ),
    ),
    "linked_changed": Reason(
        sentence="{document} changed in Chargebee; somebody else booked it in Exact, as entry {entry} in journal {journal}.",
        action="Correct entry {entry} in Exact by hand; what we did not book is not booked back.",
    ),
    "exists_otherwise": Reason(
        sentence="{document} is not booked, since Exact may have it already: {message}",
        action="`kruispost links accept {number} --entry ENTRY` links it, `kruispost links book {number}` books it.",
    ),
    "withdrawn": Reason(
        sentence="{document} was taken back before it was sent to Exact.",
        action="Start the mapper with the changed mapping, or run `kruispost retry --code withdrawn`.",
    ),
    "division_not_configured": Reason(
        sentence="{document} was booked in division {division}, which is not in the configuration any more.",
        action="Put divisions.{division} back until the reversal is booked, or book it back by hand.",
    ),
    "exact_refused": Reason(
        sentence="Exact refused {document}: {message}",
        action="Mend the cause in Exact or in the mapping, then run `kruispost retry NUMBER`.",
    ),
    "customer_ambiguous": Reason(
        sentence="{document} waits, since it is not certain which account in Exact customer {customer} is: {message}",
        action=(
            'Add under divisions.{division}.customers.links: {{"{customer}": "..."}} (the code of an account, or new for one of '
            "its own) and restart; it is booked when the answer has been taken up."
        ),
    ),
    "account_blocked": Reason(
        sentence="{document} waits for the account of customer {customer}: {message}",
        action="Unblock the account in Exact, or name another one under divisions.{division}.customers.links, and restart.",
    ),
    "unknown_account": Reason(
        sentence="{document} waits for the account of customer {customer}: {message}",
        action='Correct divisions.{division}.customers.links: {{"{customer}": "..."}}, or create that account; then restart.',
    ),
    "customer_refused": Reason(
        sentence="Exact refused customer {customer} of {document}: {message}",
        action="Correct the customer in Chargebee; the entry follows when Exact accepts the change.",
    ),
}
