import uuid
from datetime import datetime, timedelta
from decimal import Decimal

from simulators.exact import ledger
from simulators.exact.ledger import Heading, Posting
from simulators.exact.refusals import Refusal
from simulators.exact.wire import Row
from simulators.exact.world import Division

TERMS = "terms"
TYPE_EXCHANGE_DIFFERENCE = 82
OPEN, MATCHED = 20, 50
_SALES = (20, 21)


def open_term(division: Division, heading: Heading, posting: Posting, terms: Row | None = None) -> Row:
    """Writes the term that a line on a receivables account causes, open; `terms` adds what the document knows."""
    account = posting.account
    if account is None:
        raise LookupError("a term needs the account it stands with")
    sign = division.settings.receivable_sign
    amounts = {"FC": sign * posting.amount_fc, "DC": sign * posting.amount_dc}
    day = posting.date or heading.date
    row: Row = {
        "ID": division.world.next_id(),
        "EntryID": division.world.next_id(),
        "TransactionEntryID": heading.entry_id,
        "TransactionID": posting.id,
        "TransactionType": heading.type,
        "TransactionStatus": OPEN,
        "TransactionIsReversal": False,
        "TransactionReportingYear": heading.year,
        "TransactionReportingPeriod": heading.period,
        "TransactionDueDate": heading.due_date or day,
        "LineType": 20,
        "Status": OPEN,
        "IsFullyPaid": False,
        "Account": account["ID"],
        "AccountCode": account["Code"],
        "AccountName": account["Name"],
        "AccountCountry": account.get("Country"),
        "AmountDC": amounts["DC"],
        "AmountFC": amounts["FC"],
        "TransactionAmountDC": amounts["DC"],
        "TransactionAmountFC": amounts["FC"],
        "Currency": heading.currency,
        "RateFC": heading.rate,
        "Description": posting.description,
        "DueDate": heading.due_date or day,
        "EntryDate": day,
        "InvoiceDate": day,
        "EntryNumber": heading.number,
        "InvoiceNumber": heading.invoice_number or posting.our_ref,
        "GLAccount": posting.gl_account["ID"],
        "GLAccountCode": posting.gl_account["Code"],
        "GLAccountDescription": posting.gl_account["Description"],
        "Journal": heading.journal["Code"],
        "JournalDescription": heading.journal["Description"],
        "YourRef": heading.your_ref,
        "PaymentReference": heading.payment_reference,
        "Source": 1,
        **(terms or {}),
    }
    return division.create(TERMS, {name: value for name, value in row.items() if value is not None})


def match_automatically(division: Division, term: Row, our_ref: int | None = None) -> Row | None:
    """Settles a new term with an open one of the same account and exactly the opposite amount; returns that one.

    Bank and general journal lines are matched so; sales entries only among themselves and only by the switch. Several
    equal candidates: the oldest, or none, by the switch.
    """
    is_sales = term["TransactionType"] in _SALES
    if is_sales and not division.settings.match_credit_notes:
        return None
    candidates = [
        other
        for other in division.table(TERMS).where("Account", term["Account"])
        if other["Status"] == OPEN
        and other["ID"] != term["ID"]
        and other["GLAccount"] == term["GLAccount"]
        and other["Currency"] == term["Currency"]
        and other["AmountDC"] == -term["AmountDC"]
        and (not is_sales or other["TransactionType"] in _SALES)
    ]
    if division.settings.match_by_our_ref and our_ref is not None:
        named = [other for other in candidates if other.get("InvoiceNumber") == our_ref]
        candidates = named or candidates
    if not candidates or term["AmountDC"] == 0:
        return None
    if len(candidates) > 1 and division.settings.several_equal == "none":
        return None
    found = min(candidates, key=lambda other: (other["InvoiceDate"], division.table(TERMS).place(other["ID"])))
    match(division, found, term)
    return found


def match(division: Division, one: Row, other: Row) -> None:
    """Settles two open terms with each other; the larger one, in their own currency, is split and its rest stays open.

    What they are worth apart in the division's currency stays on the account. Raises `Refusal` when one of them is settled
    already or both have the same sign.
    """
    if one["Status"] == MATCHED or other["Status"] == MATCHED:
        raise Refusal([("processed", "")])
    if one["AmountDC"] * other["AmountDC"] >= 0:
        raise Refusal([("invalid", "amount")])
    amount = "AmountFC" if one["Currency"] == other["Currency"] else "AmountDC"
    paid = min(abs(one[amount]), abs(other[amount]))
    for term in (one, other):
        if abs(term[amount]) > paid:
            _split(division, term, amount, paid)
    match_id = division.world.next_id()  # not a property of Exact's: it remembers who was settled with whom
    latest = max(one["InvoiceDate"], other["InvoiceDate"])
    payment, invoice = (one, other) if one["TransactionType"] not in _SALES else (other, one)
    year, period = max((t["TransactionReportingYear"], t["TransactionReportingPeriod"]) for t in (one, other))
    for term in (one, other):
        changes: Row = {
            "Status": MATCHED,
            "EndDate": latest,
            "EndYear": year,
            "EndPeriod": period,
            "LastPaymentDate": payment["InvoiceDate"],
            "match_id": match_id,
        }
        is_receipt = term["TransactionType"] not in _SALES and invoice["TransactionType"] in _SALES
        if is_receipt and invoice.get("YourRef"):
            changes["YourRef"] = invoice["YourRef"]
        division.update(TERMS, term["ID"], changes)
    for term in (one, other):
        _mark_fully_paid(division, term)
    _book_exchange_difference(division, one, other, latest)
    division.notify("FinancialTransactions", one["TransactionEntryID"])


def _book_exchange_difference(division: Division, one: Row, other: Row, day: datetime) -> None:
    """Brings the debtor to zero in the division's currency, where two terms of another one are worth something else."""
    places, left = division.settings.exchange_difference, one["AmountDC"] + other["AmountDC"]
    if places is None or left == 0 or one["Currency"] != other["Currency"] or one["AmountFC"] + other["AmountFC"] != 0:
        return
    journal = division.by_code("financial/Journals", places[0])
    debtors = division.table("financial/GLAccounts").get(one["GLAccount"])
    differences = division.by_code("financial/GLAccounts", places[1])
    if journal is None or debtors is None or differences is None:
        raise LookupError(f"journal {places[0]} or ledger account {places[1]} is not there")
    year, period = max((t["TransactionReportingYear"], t["TransactionReportingPeriod"]) for t in (one, other))
    number = ledger.entry_number(division, journal["Code"], year, None)
    if number is None:
        raise LookupError(f"journal {places[0]} has no number left")
    invoice = one if one["TransactionType"] in _SALES else other
    heading = Heading(
        entry_id=division.world.next_id(),
        number=number,
        journal=journal,
        type=TYPE_EXCHANGE_DIFFERENCE,
        date=day,
        year=year,
        period=period,
        currency=one["Currency"],
        rate=Decimal(1),
        your_ref=invoice.get("YourRef"),
    )
    amount = -division.settings.receivable_sign * left
    account = division.table("crm/Accounts").get(one["Account"])
    sides = ((debtors, amount, account), (differences, -amount, None))
    postings = [
        Posting(place, gl_account, Decimal(0), dc, "Koersverschil", owner)
        for place, (gl_account, dc, owner) in enumerate(sides, 1)
    ]
    ledger.post(division, heading, postings)


def match_part(division: Division, one: Row, other: Row, amount: Decimal) -> None:
    """Settles so much of two open terms in one currency with each other, as a person does who shares a payment out."""
    for term in (one, other):
        if abs(term["AmountFC"]) > amount:
            _split(division, term, "AmountFC", amount)
    match(division, one, other)


def _split(division: Division, term: Row, amount: str, paid: Decimal) -> None:
    """Splits so much of one of a term's amounts off as a part of its own, with as much of the other amount."""
    share = paid / abs(term[amount])
    parts = {name: (term[name] * share).quantize(Decimal("0.01")) for name in ("AmountDC", "AmountFC")}
    rest = {name: term[name] - part for name, part in parts.items()}
    division.create(TERMS, {**term, "ID": division.world.next_id(), "EntryID": division.world.next_id(), **rest})
    division.update(TERMS, term["ID"], parts)


def _mark_fully_paid(division: Division, term: Row) -> None:
    parts = division.table(TERMS).where("TransactionID", term["TransactionID"])
    if all(part["Status"] == MATCHED for part in parts):
        for part in parts:
            if not part["IsFullyPaid"]:
                division.update(TERMS, part["ID"], {"IsFullyPaid": True})


def unmatch(division: Division, entry_id: uuid.UUID) -> int:
    """Opens the settled terms of an entry again, and those they were settled with; returns how many."""
    settled = [term for term in terms_of(division, entry_id) if term["Status"] == MATCHED]
    match_ids = {term["match_id"] for term in settled}
    accounts = {term["Account"] for term in settled}
    opened = 0
    for account in accounts:
        for term in division.table(TERMS).where("Account", account):
            if term["Status"] == MATCHED and term["match_id"] in match_ids:
                empty = dict.fromkeys(("EndDate", "EndYear", "EndPeriod", "LastPaymentDate", "match_id"))
                if division.settings.your_ref_of_opened == "emptied" and term["TransactionType"] not in _SALES:
                    empty["YourRef"] = None
                division.update(TERMS, term["ID"], {**empty, "Status": OPEN, "IsFullyPaid": False})
                opened += 1
    return opened


def is_matched(division: Division, entry_id: uuid.UUID) -> bool:
    """Whether a term of this entry is settled; such an entry cannot be deleted or changed."""
    return any(term["Status"] == MATCHED for term in division.table(TERMS).where("TransactionEntryID", entry_id))


def find_receivable(division: Division, reference: str) -> Row | None:
    """The open receivable of a document number, by YourRef, or by the line's description where a journal has no YourRef."""
    sign = division.settings.receivable_sign
    for term in division.table(TERMS).where("YourRef", reference):
        if term["Status"] == OPEN and term["AmountDC"] * sign > 0:
            return term
    for term in division.table(TERMS):
        named = reference in (term.get("Description") or "").split()
        if named and term["Status"] == OPEN and term["AmountDC"] * sign > 0:
            return term
    return None


def due_date(condition: Row, day: datetime) -> datetime:
    """The date a condition leads to: first so many ends of months, then so many days."""
    result = day
    for _ in range(condition.get("PaymentEndOfMonths", 0)):
        start = (result + timedelta(days=1)).replace(day=1)
        next_start = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
        result = next_start - timedelta(days=1)
    return result + timedelta(days=condition.get("PaymentDays", 0))


def terms_of(division: Division, entry_id: uuid.UUID) -> list[Row]:
    """The terms that an entry caused."""
    return division.table(TERMS).where("TransactionEntryID", entry_id)


def open_amount(division: Division, transaction_id: uuid.UUID) -> Decimal:
    """What is still open of a ledger line, over all parts its term was split into, in the sign of terms."""
    parts = division.table(TERMS).where("TransactionID", transaction_id)
    return sum((part["AmountDC"] for part in parts if part["Status"] == OPEN), Decimal(0))
