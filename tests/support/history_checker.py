"""What both books must show after any run, told from Chargebee's documents alone and computed without the product's own code.

- Every document is booked once, held for a reason that it deserves by what the world itself knows of it, or set aside with a
  reason; nothing waits any more once all is quiet, except for money of which Chargebee does not know yet whether it comes.
- What Exact has of a document is what Chargebee says, in the document's currency and by account, to the cent. While the reversal
  of one that is gone is held, that is what it came to before.
- The totals of each account over all of our entries are those of the documents, and no entry of ours is without a document.
- A customer who owes nothing in another currency owes nothing in euros for it either.
- No more is recorded in Chargebee as paid by bank than came in at the bank.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from simulators.chargebee.site import Resource

DEBTORS, REVENUE, VAT, ROUNDING, CONTROL, LOST, RATES = "1300", "8000", "1500", "4900", "1290", "4700", "4910"
OWN_JOURNALS = frozenset({"70", "71", "90", "91"})
HOME = "EUR"
QUIET = frozenset({"booked", "held", "set_aside"})


# Why an invoice, a credit note or a transaction may be held whose booking is dated at an instant; none: it must not.
Reasons = Callable[[Resource, int], frozenset[str]]


class Books(Protocol):
    """Chargebee's resources, the stand-in's own or a copy of them."""

    def all(self, kind: str) -> Iterable[Resource]:
        """Return those of a kind."""
        ...


class Seen(NamedTuple):
    """A document as the connector shows it to people."""

    kind: str
    number: str
    suffix: str
    state: str
    code: str


@dataclass
class Document:
    """A document of Chargebee, and what a bookkeeper would find of it in the end: debit minus credit by account, in cents."""

    kind: str
    number: str
    customer_id: str
    currency: str
    source: Resource
    lines: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)  # the same, had it not been taken back since
    is_under_way: bool = False  # Chargebee itself does not know yet how it ends


@dataclass
class Booked:
    """What Exact has of a document."""

    lines: Counter[str] = field(default_factory=Counter)
    references: Counter[str] = field(default_factory=Counter)


def never(_source: Resource, _at: int) -> frozenset[str]:
    """No reason: nothing may be held."""
    return frozenset()


def documents(site: Books) -> list[Document]:
    """All documents of a site with the lines that they come to."""
    made = [_sale(invoice, "invoice", 1) for invoice in site.all("invoice")]
    made += [_sale(note, "credit_note", -1) for note in site.all("credit_note")]
    return made + [_money(transaction) for transaction in site.all("transaction")]


def _sale(source: Resource, kind: str, sign: int) -> Document:
    document = Document(kind, source["id"], source["customer_id"], source["currency_code"], source)
    total, tax, rounding = source["total"], source["tax"], source["round_off_amount"]
    document.before[DEBTORS] = sign * total
    if (source.get("create_reason_code") or "").lower().replace(" ", "_") == "write_off":
        document.before[LOST] = -sign * total
    else:
        document.before.update({REVENUE: -sign * (total - tax - rounding), VAT: -sign * tax, ROUNDING: -sign * rounding})
    if source["status"] not in ("pending", "voided") and not source["deleted"]:
        document.lines.update(document.before)
    return document


def _money(source: Resource) -> Document:
    incoming = source["type"] == "payment"
    document = Document("payment" if incoming else "refund", source["id"], source["customer_id"], source["currency_code"], source)
    document.is_under_way = source["status"] == "in_progress"
    sign = 1 if incoming else -1
    if source["gateway"] != "not_applicable":
        document.before.update({CONTROL: sign * source["amount"], DEBTORS: -sign * source["amount"]})
    if source["status"] == "success" and not source["deleted"]:
        document.lines.update(document.before)
    return document


def check(
    site: Books,
    ledger: Mapping[str, Any],
    seen: Iterable[Seen],
    received_minor: Mapping[str, int] | None = None,
    reasons: Reasons = never,
) -> list[str]:
    """Return what is wrong, one sentence each; nothing when the books can be signed.

    `ledger` is what the stand-in of Exact shows, `seen` what the connector shows, `received_minor` what came in at the bank, by
    customer (None: that is judged elsewhere), and `reasons` why a document may be held.
    """
    expected, booked, strangers = documents(site), *_booked(ledger, site)
    rows: dict[str, list[Seen]] = defaultdict(list)
    for row in seen:
        rows[row.number].append(row)
    wrong = [f"an entry of ours belongs to no document: {reference}" for reference in strangers]
    wrong += _balanced(ledger)
    for document in expected:
        wrong += _of_document(document, booked.get(document.number, Booked()), rows[document.number], reasons)
    wrong += _totals(expected, booked, rows) + _rates(expected, booked, ledger)
    return wrong if received_minor is None else wrong + _receipts(site, received_minor)


def _booked(ledger: Mapping[str, Any], site: Books) -> tuple[dict[str, Booked], list[str]]:
    """What Exact has by document, and the references of entries of ours that name none."""
    known = {each["id"] for kind in ("invoice", "credit_note", "transaction") for each in site.all(kind)}
    booked: dict[str, Booked] = defaultdict(Booked)
    strangers = []
    for entry in ledger["entries"]:
        if entry["journal"].strip() not in OWN_JOURNALS:
            continue
        for part in _parts(entry):
            if _is_difference(_lines(entry, part)):
                continue  # they are looked at by customer
            name, _, rest = part.partition("/")
            found = _named(name, entry, known)
            if found is None:
                strangers.append(f"{entry['journal']} {part} {entry['lines']}")
                continue
            mine = booked[found]
            mine.references[f"{found}/{rest}" if rest else found] += 1
            for line in _lines(entry, part):
                mine.lines[line["gl_account"]] += line["amount_fc_minor"]
    return booked, strangers


def _parts(entry: Mapping[str, Any]) -> list[str]:
    """The references of one entry: one for a sale, those that its lines begin with for one that many documents share."""
    if entry["your_ref"]:
        return [entry["your_ref"]]
    return list(dict.fromkeys(_word(line) for line in entry["lines"]))


def _lines(entry: Mapping[str, Any], part: str) -> list[Mapping[str, Any]]:
    """The lines of one part of an entry: all of a sale's, those that begin with its reference where many documents share one."""
    return [each for each in entry["lines"] if len(_parts(entry)) == 1 or _word(each) == part]


def _is_difference(lines: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a part of an entry is only about an exchange difference; where euros are rounded within a sale it is the sale."""
    accounts = {line["gl_account"] for line in lines}
    return RATES in accounts and accounts <= {RATES, DEBTORS, CONTROL}


def _named(name: str, entry: Mapping[str, Any], known: set[str]) -> str | None:
    if name in known:
        return name
    words = [word for line in entry["lines"] for word in (line["description"] or "").replace("/", " ").split()]
    return next((word for word in words if word in known), None)


def _word(line: Mapping[str, Any]) -> str:
    return next(iter((line["description"] or "").split()), "")


def _balanced(ledger: Mapping[str, Any]) -> list[str]:
    return [
        f"entry {entry['entry_number']} does not balance"
        for entry in ledger["entries"]
        if sum(line["amount_minor"] for line in entry["lines"]) or sum(line["amount_fc_minor"] for line in entry["lines"])
    ]


def _of_document(document: Document, booked: Booked, rows: list[Seen], reasons: Reasons) -> list[str]:
    about = f"{document.kind} {document.number}"
    wrong = [f"{about} is booked {times} times as {name}" for name, times in booked.references.items() if times > 1]
    if not rows:
        return [*wrong, f"{about} is lost: nobody sees it"]
    if not document.is_under_way:
        wrong += [f"{about}{row.suffix} still waits: {row.state} {row.code}" for row in rows if row.state not in QUIET]
    held = [row for row in rows if row.state == "held"]
    wrong += [
        f"{about}{row.suffix} is held for {row.code}, which it does not deserve"
        for row in held
        if row.code not in reasons(document.source, _dated(document.source, row))
    ]
    still_stands = any(_is_reversal(row) for row in held)
    has, should = _trimmed(booked.lines), _trimmed(document.before if still_stands else document.lines)
    if has == should:
        if has and not any(row.state == "booked" for row in rows):
            wrong.append(f"{about} is booked and shown as {rows}")
        return wrong
    if held and not has and not still_stands:
        return wrong
    return [*wrong, f"{about} should come to {dict(should)} and is booked as {dict(has)}, shown as {rows}"]


def _is_reversal(row: Seen) -> bool:
    return row.suffix.rpartition("/")[2].startswith("R")


def _dated(source: Resource, row: Seen) -> int:
    """When a booking of a document is dated: a reversal on the day that the document was gone, if that is after its own."""
    date = int(source["date"])
    return max(date, source.get("voided_at") or source["updated_at"]) if _is_reversal(row) else date


def _trimmed(lines: Counter[str]) -> dict[str, int]:
    return {account: amount for account, amount in sorted(lines.items()) if amount}


def _totals(expected: list[Document], booked: Mapping[str, Booked], rows: Mapping[str, list[Seen]]) -> list[str]:
    """Totals by currency and account, of all documents that are not held."""
    should: Counter[tuple[str, str]] = Counter()
    has: Counter[tuple[str, str]] = Counter()
    for document in expected:
        if not any(row.state == "held" for row in rows[document.number]):
            should.update({(document.currency, account): amount for account, amount in document.lines.items()})
            has.update({(document.currency, account): amount for account, amount in booked[document.number].lines.items()})
    return [
        f"account {account} in {currency} has {has[currency, account]} and should have {should[currency, account]}"
        for currency, account in sorted(should.keys() | has.keys())
        if has[currency, account] != should[currency, account]
    ]


def _rates(expected: list[Document], booked: Mapping[str, Booked], ledger: Mapping[str, Any]) -> list[str]:
    """Whoever owes nothing in another currency owes nothing for it in our own, as far as it is booked."""
    foreign: Counter[str] = Counter()
    for document in expected:
        if document.currency != HOME:
            foreign[document.customer_id] += booked[document.number].lines[DEBTORS]
    home: Counter[str] = Counter()
    owner = {each.number: each.customer_id for each in expected}
    for entry in ledger["entries"]:
        if entry["journal"].strip() not in OWN_JOURNALS:
            continue
        for part in _parts(entry):
            if entry["currency"] == HOME and not _is_difference(_lines(entry, part)):
                continue
            named = _named(part.partition("/")[0], entry, set(owner))
            if named is not None:
                home[owner[named]] += sum(each["amount_minor"] for each in _lines(entry, part) if each["gl_account"] == DEBTORS)
    return [
        f"customer {customer} owes nothing in another currency and {home[customer]} for it in {HOME}"
        for customer, amount in sorted(foreign.items())
        if amount == 0 and home[customer] != 0
    ]


def _receipts(site: Books, received_minor: Mapping[str, int]) -> list[str]:
    recorded: Counter[str] = Counter()
    for transaction in site.all("transaction"):
        is_by_bank = transaction["gateway"] == "not_applicable" and transaction["type"] == "payment"
        if is_by_bank and transaction["status"] == "success" and not transaction["deleted"]:
            recorded[transaction["customer_id"]] += transaction["amount"]
    return [
        f"{amount} is recorded as paid by bank by {customer}, who paid {received_minor.get(customer, 0)}"
        for customer, amount in sorted(recorded.items())
        if amount > received_minor.get(customer, 0)
    ]
