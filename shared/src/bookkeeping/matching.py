"""Which open invoices a bank line pays that Exact did not match: proposals with their evidence, and nothing guessed.

Pure. Candidates come from indexes on the number's digits, the amount, the IBAN and the customer, each bounded, so that a line
costs the same whether a thousand or a hundred thousand invoices are open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import combinations

from bookkeeping.evidence import (
    Evidence,
    alike,
    compact,
    digits_of,
    one_slip_apart,
    plain_name,
    slips_of,
    structured_references,
    typed_digits,
    windows,
)

FEWEST_DIGITS = 3
FEWEST_BARE_DIGITS = 5
TAIL = 4
LARGEST_BUCKET = 50
LARGEST_SUM = 4
INVOICES_PER_SUM = 12
PROPOSALS = 5

_WEIGHTS = {
    Evidence.STRUCTURED_REFERENCE: 60,
    Evidence.NUMBER: 50,
    Evidence.DIGITS: 40,
    Evidence.SLIP: 25,
    Evidence.PART_OF_NUMBER: 18,
    Evidence.AMOUNT: 30,
    Evidence.SUM: 28,
    Evidence.WITHIN_TOLERANCE: 24,
    Evidence.ACCOUNT: 26,
    Evidence.IBAN: 26,
    Evidence.NAME: 22,
    Evidence.SIMILAR_NAME: 16,
}
_NAMING = frozenset((Evidence.STRUCTURED_REFERENCE, Evidence.NUMBER))
_PAYER = frozenset((Evidence.ACCOUNT, Evidence.IBAN, Evidence.NAME))


@dataclass(frozen=True, slots=True)
class OpenInvoice:
    """An invoice with what is due on it, in minor units of its currency, and who has to pay it."""

    number: str
    customer_id: str
    customer_name: str
    due_minor: int
    currency: str
    due_on: date


@dataclass(frozen=True, slots=True)
class BankLine:
    """A receipt as the bank tells it; `amount_minor` in minor units of `currency`, negative for money that left.

    `customer_id` is whose account the line was booked on already, empty where nobody said.
    """

    text: str
    amount_minor: int
    currency: str
    payer_name: str = ""
    iban: str = ""
    customer_id: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Invoices that a line may pay, with the evidence; `difference_minor` is what was received beyond what is due."""

    invoices: tuple[OpenInvoice, ...]
    evidence: tuple[Evidence, ...]
    difference_minor: int

    @property
    def strength(self) -> int:
        """Return the weight of the evidence, by which proposals are ordered; it never decides what is certain."""
        return sum(_WEIGHTS[one] for one in self.evidence)


@dataclass(frozen=True, slots=True)
class Match:
    """The proposals for one line, the best first; `certain` only where the first needs nobody's judgement."""

    proposals: tuple[Proposal, ...]
    certain: bool


_Named = dict[tuple[str, str], tuple[OpenInvoice, Evidence]]
_Payers = dict[str, tuple[Evidence, ...]]


class OpenInvoices:
    """All open invoices, found by digits of the number, structured reference, amount, IBAN, customer and name."""

    def __init__(self, invoices: Iterable[OpenInvoice], ibans: Iterable[tuple[str, str]] = ()) -> None:
        """Index the invoices; `ibans` are pairs of an IBAN and a customer who paid from it before."""
        self._by_digits: dict[str, list[OpenInvoice]] = defaultdict(list)
        self._by_tail: dict[str, list[OpenInvoice]] = defaultdict(list)
        self._by_reference: dict[str, list[OpenInvoice]] = defaultdict(list)
        self._by_amount: dict[tuple[str, int], list[OpenInvoice]] = defaultdict(list)
        self._by_customer: dict[str, list[OpenInvoice]] = defaultdict(list)
        self._by_customer_and_amount: dict[tuple[str, str, int], list[OpenInvoice]] = defaultdict(list)
        self._by_word: dict[str, set[str]] = defaultdict(set)
        self._by_iban: dict[str, set[str]] = defaultdict(set)
        self._names: dict[str, str] = {}
        self._lengths: set[int] = set()
        for invoice in invoices:
            self._add(invoice)
        for iban, customer_id in ibans:
            self._by_iban[compact(iban)].add(customer_id)

    def _add(self, invoice: OpenInvoice) -> None:
        digits = digits_of(invoice.number)
        self._lengths.add(len(digits))
        self._by_digits[digits].append(invoice)
        self._by_tail[digits[-TAIL:]].append(invoice)
        for reference in {compact(invoice.number).lstrip("0"), digits.lstrip("0")}:
            self._by_reference[reference].append(invoice)
        self._by_amount[invoice.currency, invoice.due_minor].append(invoice)
        if invoice.customer_id not in self._names:
            self._names[invoice.customer_id] = name = plain_name(invoice.customer_name)
            for word in name.split():
                self._by_word[word].add(invoice.customer_id)
        self._by_customer[invoice.customer_id].append(invoice)
        self._by_customer_and_amount[invoice.customer_id, invoice.currency, invoice.due_minor].append(invoice)

    def match(self, line: BankLine, tolerance_minor: int = 0) -> Match:
        """Return what the line may pay; a line that brought no money, or in a currency nobody owes, has no proposal."""
        if line.amount_minor <= 0:
            return Match((), certain=False)
        payers = self._payers(line)
        named = self._named(line, payers)
        candidates = {_key(one): one for one in (*(invoice for invoice, _ in named.values()), *self._by_money(line, payers))}
        proposals = [
            _single(invoice, line, named, payers, tolerance_minor)
            for invoice in candidates.values()
            if invoice.currency == line.currency
        ]
        proposals += self._sums(line, named, payers)
        proposals.sort(key=_best_first)
        return Match(tuple(proposals[:PROPOSALS]), bool(proposals) and self._certain(proposals[0], line, named))

    def _payers(self, line: BankLine) -> _Payers:
        payers: _Payers = {line.customer_id: (Evidence.ACCOUNT,)} if line.customer_id else {}
        for customer in sorted(self._by_iban.get(compact(line.iban), ())):
            payers[customer] = (*payers.get(customer, ()), Evidence.IBAN)
        name = plain_name(line.payer_name)
        # The rarest word of the name finds the customers to compare with; a word that everybody has finds nobody.
        buckets = [found for word in name.split() if 0 < len(found := self._by_word.get(word, ())) <= LARGEST_BUCKET]
        customers = {*min(buckets, key=len, default=()), *payers}
        same = {customer for customer in customers if name and self._names.get(customer) == name}
        like = set() if same else {customer for customer in customers if alike(self._names.get(customer, ""), name)}
        for customer in sorted(same | like):
            payers[customer] = (*payers.get(customer, ()), Evidence.NAME if same else Evidence.SIMILAR_NAME)
        return payers

    def _named(self, line: BankLine, payers: _Payers) -> _Named:
        named: _Named = {}

        def note(found: Iterable[OpenInvoice], evidence: Evidence) -> None:
            for invoice in found:
                named.setdefault(_key(invoice), (invoice, evidence))

        for reference in structured_references(line.text):
            note(self._by_reference.get(reference, ()), Evidence.STRUCTURED_REFERENCE)
        words, runs = windows(line.text), set(typed_digits(line.text, max(self._lengths, default=0) + 1))
        for run in runs:
            for invoice in self._by_digits.get(run, ()):
                written = compact(invoice.number)
                whole = written in words and (not written.isdecimal() or len(written) >= FEWEST_BARE_DIGITS)
                note((invoice,), Evidence.NUMBER if whole else Evidence.DIGITS)
        for run in runs:
            note(self._one_slip_from(run), Evidence.SLIP)
        for run in runs:
            # Four digits fit many numbers: they count for what the amount or the payer points to as well.
            tail = self._by_tail.get(run[-TAIL:], ())[:LARGEST_BUCKET] if len(run) >= TAIL else ()
            pointed = [one for one in tail if one.due_minor == line.amount_minor or one.customer_id in payers]
            note(pointed, Evidence.PART_OF_NUMBER)
        return named

    def _one_slip_from(self, run: str) -> Iterator[OpenInvoice]:
        near = len(run) >= FEWEST_DIGITS and not self._lengths.isdisjoint((len(run) - 1, len(run), len(run) + 1))
        if near and run not in self._by_digits:
            for slip in slips_of(run):
                yield from self._by_digits.get(slip, ())

    def _by_money(self, line: BankLine, payers: _Payers) -> Iterator[OpenInvoice]:
        for customer in payers:
            yield from self._by_customer_and_amount.get((customer, line.currency, line.amount_minor), ())[:LARGEST_BUCKET]
            yield from self._by_customer.get(customer, ())[:LARGEST_BUCKET]
        of_amount = self._by_amount.get((line.currency, line.amount_minor), ())
        yield from of_amount if len(of_amount) <= LARGEST_BUCKET else ()

    def _sums(self, line: BankLine, named: _Named, payers: _Payers) -> Iterator[Proposal]:
        called: dict[str, list[OpenInvoice]] = defaultdict(list)
        for invoice, evidence in named.values():
            if evidence in _NAMING and invoice.currency == line.currency:
                called[invoice.customer_id].append(invoice)
        for customer, invoices in called.items():
            if len(invoices) > 1 and sum(one.due_minor for one in invoices) == line.amount_minor:
                yield Proposal(tuple(invoices), (Evidence.NUMBER, Evidence.AMOUNT, *payers.get(customer, ())), 0)
        for customer, reasons in payers.items():
            invoices = [one for one in self._by_customer.get(customer, ()) if one.currency == line.currency]
            if len(invoices) <= INVOICES_PER_SUM:
                fitting = [
                    some
                    for count in range(2, LARGEST_SUM + 1)
                    for some in combinations(invoices, count)
                    if sum(one.due_minor for one in some) == line.amount_minor
                ]
                if len(fitting) == 1 and set(fitting[0]) != set(called.get(customer, ())):
                    yield Proposal(fitting[0], (Evidence.SUM, *reasons), 0)

    def _certain(self, best: Proposal, line: BankLine, named: _Named) -> bool:
        """Tell whether number, exact amount and payer agree, and nothing else that is known speaks against it."""
        evidence = set(best.evidence)
        if Evidence.AMOUNT not in evidence or not evidence & _NAMING or not evidence & _PAYER:
            return False
        known_payers = self._by_iban.get(compact(line.iban), ())
        if known_payers and best.invoices[0].customer_id not in known_payers:
            return False
        if line.customer_id not in ("", best.invoices[0].customer_id):
            return False
        if {_key(invoice) for invoice, how in named.values() if how in _NAMING} != {_key(one) for one in best.invoices}:
            return False
        # The number may itself be a slip: of an invoice beside it, with the same amount and of the same customer.
        return not any(
            rival not in best.invoices and one_slip_apart(digits_of(rival.number), digits_of(one.number))
            for one in best.invoices
            for rival in self._by_customer_and_amount[one.customer_id, one.currency, one.due_minor]
        )


def _key(invoice: OpenInvoice) -> tuple[str, str]:
    return invoice.customer_id, invoice.number


def _single(invoice: OpenInvoice, line: BankLine, named: _Named, payers: _Payers, tolerance_minor: int) -> Proposal:
    difference = line.amount_minor - invoice.due_minor
    evidence = [named[_key(invoice)][1]] if _key(invoice) in named else []
    if difference == 0:
        evidence.append(Evidence.AMOUNT)
    elif -tolerance_minor <= difference < 0:
        evidence.append(Evidence.WITHIN_TOLERANCE)
    return Proposal((invoice,), (*evidence, *payers.get(invoice.customer_id, ())), difference)


def _best_first(proposal: Proposal) -> tuple[int, int, date, str]:
    return -proposal.strength, abs(proposal.difference_minor), proposal.invoices[0].due_on, proposal.invoices[0].number
